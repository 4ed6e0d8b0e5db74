use super::*;

fn key(day: &str, provider: &str, model: &str) -> Key {
    Key { day: day.into(), provider: provider.into(), model: model.into() }
}

const USAGE: &str = r#"{"data":[{"starting_at":"2026-11-16T00:00:00Z","ending_at":"2026-11-17T00:00:00Z",
  "results":[{"uncached_input_tokens":1500,"cache_creation":{"ephemeral_1h_input_tokens":1000,
    "ephemeral_5m_input_tokens":500},"cache_read_input_tokens":200,"output_tokens":500,
    "server_tool_use":{"web_search_requests":10},"api_key_id":null,"workspace_id":null,
    "model":"claude-opus-4-20250514","service_tier":"standard","context_window":"0-200k"},
   {"uncached_input_tokens":1,"cache_creation":null,"cache_read_input_tokens":0,"output_tokens":0,
    "model":"claude-opus-4-20250514","service_tier":"batch","context_window":"0-200k"}]}],
  "has_more":false,"next_page":null}"#;

const COST: &str = r#"{"data":[{"starting_at":"2026-11-16T00:00:00Z","ending_at":"2026-11-17T00:00:00Z",
  "results":[{"currency":"USD","amount":"123.78912","workspace_id":null,"cost_type":"tokens",
    "description":"Claude Opus 4 Usage - Input Tokens","model":"claude-opus-4-20250514",
    "token_type":"uncached_input_tokens","service_tier":"standard","context_window":"0-200k"},
   {"currency":"USD","amount":"10","cost_type":"web_search","model":null,"token_type":null}]}],
  "has_more":false,"next_page":null}"#;

#[test]
fn the_usage_report_is_read_by_kind() {
    let bill = anthropic::parse(USAGE.as_bytes()).unwrap();

    let quantities = bill.quantities.unwrap();
    let of = |unit| quantities[&(key("2026-11-16", "anthropic", "claude-opus-4"), unit)];
    assert_eq!(Unit::ALL.map(of), [1501, 500, 500, 1000, 200, 10]);
    assert_eq!(bill.other_tiers, 1);
    assert!(bill.costs.is_none(), "it says nothing of money");
}

#[test]
fn the_cost_report_is_read_to_the_last_digit() {
    let bill = anthropic::parse(COST.as_bytes()).unwrap();

    let costs = bill.costs.unwrap();
    assert_eq!(costs[&key("2026-11-16", "anthropic", "claude-opus-4")].to_string(), "1.2378912");
    assert_eq!(costs[&key("2026-11-16", "anthropic", "")].to_string(), "0.100000", "searches");
    assert!(bill.quantities.is_none());
}

#[test]
fn pages_come_one_after_the_other_or_in_an_array() {
    let lines = format!("{USAGE}\n{COST}");
    let array = format!("[{USAGE},{COST}]");
    for text in [lines, array] {
        let bill = anthropic::parse(text.as_bytes()).unwrap();
        assert_eq!(bill.quantities.unwrap().len(), 6);
        assert_eq!(bill.costs.unwrap().len(), 2);
    }
}

#[test]
fn a_report_that_is_not_whole_is_no_bill() {
    let more = USAGE.replace(r#""has_more":false"#, r#""has_more":true"#);
    assert!(matches!(anthropic::parse(more.as_bytes()), Err(Fault::More)));
    let joined = format!("{more}{USAGE}");
    assert!(anthropic::parse(joined.as_bytes()).is_ok(), "the next page follows");
    let error = br#"{"type":"error","error":{"type":"permission_error","message":"no"}}"#;
    let told = anthropic::parse(error).unwrap_err().to_string();
    assert!(told.contains("missing field `data`"), "an error is not zero: {told}");
    let unnamed = USAGE.replace(r#""model":"claude-opus-4-20250514""#, r#""model":null"#);
    assert!(matches!(anthropic::parse(unnamed.as_bytes()), Err(Fault::NoModel(_))));
    for (from, to) in [("123.78912", "1e5"), ("USD", "EUR"), ("2026-11-16T", "16.11.")] {
        let wrong = COST.replace(from, to);
        assert!(matches!(anthropic::parse(wrong.as_bytes()), Err(Fault::Value { .. })), "{to}");
    }
    assert!(matches!(anthropic::parse(b"").and_then(Bill::whole), Err(Fault::Empty)));
    let idle = br#"{"data":[],"has_more":false}"#;
    let bill = anthropic::parse(idle).unwrap();
    assert_eq!(bill.quantities.map(|none| none.len()), Some(0), "a bill of nothing is a bill");
}

#[test]
fn a_table_names_its_columns() {
    let text = "provider,day,model,kind,quantity,cost_usd\r\n\
        bedrock,2026-11-16,us.anthropic.claude-haiku-4-5-20251001-v1:0,input,100,0.0001\r\n\
        bedrock,2026-11-16,claude-haiku-4-5,output,5,\r\n\
        bedrock,2026-11-17,,,,12.5\r\n";

    let bill = table::parse(text.as_bytes()).unwrap();

    let haiku = key("2026-11-16", "bedrock", "claude-haiku-4-5");
    assert_eq!(bill.quantities.as_ref().unwrap()[&(haiku.clone(), Unit::Input)], 100);
    assert_eq!(bill.costs.as_ref().unwrap()[&haiku].to_string(), "0.000100");
    assert_eq!(bill.providers.iter().collect::<Vec<_>>(), ["bedrock"]);
    let inside = bill.within("2026-11-16", "2026-11-17");
    assert_eq!((inside.costs.unwrap().len(), inside.outside), (1, 1));
}

#[test]
fn a_wrong_cell_is_named_with_its_line() {
    let head = "day,provider,model,kind,quantity,cost_usd\n2026-11-16,p,m,input,1,\n";
    for (line, place) in [
        ("16.11.2026,p,m,input,1,", "line 3, day"),
        ("2026-11-16,,m,input,1,", "line 3, provider"),
        ("2026-11-16,p,m,tokens,1,", "line 3, kind"),
        ("2026-11-16,p,m,input,1.5,", "line 3, quantity"),
        ("2026-11-16,p,m,input,,", "line 3, quantity"),
        ("2026-11-16,p,,input,1,", "line 3, model"),
        ("2026-11-16,p,m,input,1,1e3", "line 3, cost_usd"),
    ] {
        let told = table::parse(format!("{head}{line}\n").as_bytes()).unwrap_err().to_string();
        assert!(told.starts_with(place), "{line}: {told}");
    }
    assert!(matches!(table::parse(b"day,model\n2026-11-16,m\n"), Err(Fault::Csv(_))));
}
