use super::*;
use crate::cost::spend::Tokens;
use csv::ReaderBuilder;
use std::collections::BTreeMap;

fn asked(per: Per) -> Query {
    let day = |text| clock::day_or_point(text).unwrap();
    query(Query {
        by: vec![By::User, By::Model, By::CostCentre],
        per: Some(per),
        from: day("2026-11-16"),
        to: day("2026-11-30"),
        tenant: None,
    })
}

fn group(day: &str, user: &str, priced: &str) -> Spend {
    let key = |text: &str| Some(text.to_owned());
    Spend {
        period: key(day),
        keys: vec![
            key("acme"),
            key("anthropic"),
            key("claude-opus-4-8"),
            key(priced),
            key(user),
            None,
        ],
        calls: 2,
        tokens: Tokens { input: 6, cache_write_5m: 159_217, web_searches: 1, ..Tokens::default() },
        cost_micro: 1_063_761,
        ..Spend::default()
    }
}

fn lines(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = ReaderBuilder::new().from_reader(text.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

#[test]
fn a_line_has_the_columns_of_focus_and_the_exact_cost() {
    let text = text(&asked(Per::Day), &[group("2026-11-16", "ann", "yes")], "org-1").unwrap();

    assert!(text.ends_with("\r\n"), "RFC 4180, section 2");
    let line = &lines(&text)[0];
    for (column, value) in [
        ("BilledCost", "1.063761"),
        ("EffectiveCost", "1.063761"),
        ("BillingAccountId", "org-1"),
        ("BillingCurrency", "USD"),
        ("BillingPeriodStart", "2026-11-01T00:00:00Z"),
        ("BillingPeriodEnd", "2026-12-01T00:00:00Z"),
        ("ChargeCategory", "Usage"),
        ("ChargePeriodStart", "2026-11-16T00:00:00Z"),
        ("ChargePeriodEnd", "2026-11-17T00:00:00Z"),
        ("ConsumedQuantity", "159223"),
        ("ProviderName", "anthropic"),
        ("ServiceCategory", "AI and Machine Learning"),
        ("SkuId", "claude-opus-4-8"),
        ("SubAccountId", "acme"),
        ("Tags", r#"{"user":"ann"}"#),
        ("x_CacheWrite5mTokens", "159217"),
        ("x_WebSearches", "1"),
    ] {
        assert_eq!(line.get(column).map(String::as_str), Some(value), "{column}");
    }
}

#[test]
fn a_month_that_was_asked_for_in_part_is_charged_in_part() {
    let text = text(&asked(Per::Month), &[group("2026-11-01", "ann", "yes")], "").unwrap();

    let line = &lines(&text)[0];
    assert_eq!(line["ChargePeriodStart"], "2026-11-16T00:00:00Z");
    assert_eq!(line["ChargePeriodEnd"], "2026-11-30T00:00:00Z");
}

#[test]
fn a_call_without_a_price_has_a_line_without_a_cost() {
    let unpriced = Spend { cost_micro: 0, unpriced: 2, ..group("2026-11-16", "ann", UNPRICED) };

    let text = text(&asked(Per::Day), &[unpriced], "").unwrap();

    let line = &lines(&text)[0];
    assert_eq!((line["BilledCost"].as_str(), line["x_UnpricedCalls"].as_str()), ("", "2"));
    assert!(line["ChargeDescription"].ends_with("whose price is not known"));
}

#[test]
fn no_value_is_a_formula_and_none_breaks_out_of_its_cell() {
    let mut forged = group("2026-11-16", "=1+1\",x", "yes");
    forged.keys[0] = Some("=cmd|' /C calc'!A0".into());
    forged.keys[2] = Some("@SUM(A1)\r\n-2".into());

    let text = text(&asked(Per::Day), &[forged], "+1").unwrap();

    let line = &lines(&text)[0];
    assert_eq!(line["SubAccountId"], "'=cmd|' /C calc'!A0");
    assert_eq!(line["SkuId"], "'@SUM(A1)\r\n-2");
    assert_eq!(line["BillingAccountId"], "'+1");
    assert_eq!(line["Tags"], r#"{"user":"=1+1\",x"}"#, "begins with a brace");
    let first = |cell: &&String| cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    assert_eq!(line.values().find(first), None);
}
