use super::*;
use serde_json::json;

fn row(payload: &Value) -> Row {
    let values = COLUMNS.map(|(name, _)| match name {
        "event_id" => "e1".into(),
        "occurred_at" => "2025-11-21T13:00:00.000007Z".into(),
        "kind" => "inference".into(),
        "outcome" => "denied".into(),
        "status" => 403.into(),
        "payload" => payload.clone(),
        _ => Value::Null,
    });
    Row {
        writer: "w".into(),
        place: 7,
        digest: Vec::new(),
        raw: String::new(),
        values: values.into(),
    }
}

fn sumo() -> Vendor {
    Vendor::Sumo { headers: Vec::new() }
}

fn sent(item: &Item) -> Value {
    serde_json::from_slice(&item.framed).unwrap()
}

#[test]
fn what_was_said_leaves_only_where_it_is_wanted() {
    let said = json!({ "content": { "input": ["hello"] }, "content_sha256": "abc" });

    let with = Item::of(row(&said), &Vendor::JsonLines, true).unwrap();
    let without = Item::of(row(&said), &Vendor::JsonLines, false).unwrap();

    assert_eq!(sent(&with)["payload"], said);
    assert_eq!(sent(&without)["payload"], json!({ "content_sha256": "abc" }));
}

#[test]
fn a_row_that_is_too_long_goes_without_its_content_and_says_so() {
    let long = json!({ "content": "x".repeat(70_000), "flags": ["provisional"], "iss": "i" });

    let item = Item::of(row(&long), &sumo(), true).unwrap();

    assert_eq!(sent(&item)["payload"], json!({ "flags": ["provisional", CUT], "iss": "i" }));
    assert_eq!(item.fault, None);
}

#[test]
fn one_that_is_still_too_long_keeps_its_columns() {
    let long = json!({ "target": "x".repeat(70_000), "sequence": { "n": 1 } });

    let item = Item::of(row(&long), &sumo(), true).unwrap();

    assert_eq!(sent(&item)["payload"], json!({ "flags": [CUT], "sequence": { "n": 1 } }));
    assert_eq!(sent(&item)["event_id"], "e1");
}

#[test]
fn one_whose_columns_are_too_long_is_a_dead_letter_that_says_why() {
    let mut long = row(&json!({}));
    long.values[3] = "u".repeat(70_000).into();

    let item = Item::of(long, &sumo(), true).unwrap();

    assert!(item.fault.is_some());
    let letter: Value = serde_json::from_slice(&item.letter("why")).unwrap();
    assert_eq!((&letter["event_id"], &letter["place"]), (&"e1".into(), &7.into()));
    assert_eq!(letter["why"], "why");
}

#[test]
fn every_column_is_a_member_in_the_table_s_order() {
    let item = Item::of(row(&json!({})), &Vendor::JsonLines, false).unwrap();
    let text = String::from_utf8(item.framed).unwrap();

    let mut rest = text.as_str();
    for (column, _) in COLUMNS {
        let (_, after) = rest.split_once(&format!("\"{column}\":")).unwrap();
        rest = after;
    }
}

#[test]
fn datadog_gets_the_time_of_a_row_only_while_it_takes_it() {
    let vendor = Vendor::Datadog { beside: Map::new() };
    let mut new = row(&json!({}));
    new.values[1] = crate::clock::stamp(crate::clock::now_micros()).into();

    let (old, new) = (
        Item::of(row(&json!({})), &vendor, false).unwrap(),
        Item::of(new, &vendor, false).unwrap(),
    );

    assert_eq!(sent(&old)["timestamp"], Value::Null, "it would be refused for its age");
    assert_eq!(sent(&old)["audit"]["occurred_at"], "2025-11-21T13:00:00.000007Z");
    assert_eq!(sent(&new)["timestamp"], sent(&new)["audit"]["occurred_at"]);
    assert_eq!(
        (&sent(&new)["status"], &sent(&new)["audit"]["status"]),
        (&"warn".into(), &403.into())
    );
}
