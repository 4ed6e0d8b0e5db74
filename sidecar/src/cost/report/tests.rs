use super::*;
use crate::cost::spend::{Per, Tokens};

fn group(user: &str, calls: u64, cost_micro: u64) -> Spend {
    Spend {
        period: Some("2026-11-16".into()),
        keys: vec![Some(user.into())],
        calls,
        tokens: Tokens { input: 1_000, ..Tokens::default() },
        cost_micro,
        ..Spend::default()
    }
}

fn query() -> Query {
    Query { by: vec![By::User], per: Some(Per::Day), ..Query::default() }
}

#[test]
fn the_table_has_exact_dollars_and_a_total() {
    let spent = [group("ann", 3, 1_234_567), group("bob", 1, 1)];
    let mut total = Spend::default();
    for one in &spent {
        total.add(one);
    }

    let (head, rows) = table(&query(), &spent, &total);

    assert_eq!(head[..3], ["FROM", "USER", "CALLS"].map(String::from));
    let costs: Vec<&str> = rows.iter().map(|row| row.last().unwrap().trim()).collect();
    assert_eq!(costs, ["1.234567", "0.000001", "1.234568"]);
    assert_eq!(rows[2][0], "total");
    assert!(rows.iter().all(|row| row.len() == head.len()));
}

#[test]
fn what_has_no_price_is_never_shown_as_nothing() {
    let some = Spend { unpriced: 1, ..group("ann", 3, 5) };
    let none = Spend { unpriced: 3, ..group("ann", 3, 0) };

    assert_eq!((dollars(&some), dollars(&none)), ("≥0.000005".into(), "unknown".into()));
    assert_eq!(numbers(&none).get("cost_micro"), Some(&Value::Null));
    assert!(left_out(&some).starts_with("Without a price: 1 of 3 calls;"));
    assert_eq!(dollars(&Spend::default()), "0.000000", "no calls cost nothing");
}

#[test]
fn json_names_each_key_and_keeps_integers() {
    let object = object(&query(), &group("ann", 3, 1_234_567));

    let text = serde_json::to_string(&object).unwrap();
    for part in [
        r#""from":"2026-11-16""#,
        r#""user":"ann""#,
        r#""input":1000"#,
        r#""cost_micro":1234567"#,
        r#""cost_usd":"1.234567""#,
        r#""no_price":0"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
