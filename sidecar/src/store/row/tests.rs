use super::*;

#[test]
fn the_columns_are_the_event_s_members_in_their_order() {
    let full = Event {
        event_id: "e".into(),
        occurred_at: 1,
        tenant_id: "t".into(),
        user_id: "u".into(),
        session_id: Some("s".into()),
        trace_id: Some("t".into()),
        client_id: Some("c".into()),
        policy_ver: Some("p".into()),
        bundle_ver: Some("b".into()),
        call_source: Some(CallSource::Job),
        model: Some("m".into()),
        provider: Some("p".into()),
        upstream_region: Some("r".into()),
        department: Some("d".into()),
        agent_id: Some("a".into()),
        tokens_in: Some(1),
        tokens_out: Some(1),
        tokens_cache_write: Some(1),
        tokens_cache_read: Some(1),
        cost_micro: Some(1),
        latency_ms: Some(1),
        gate_ms: Some(1.0),
        first_token_ms: Some(1),
        status: Some(200),
        rule_id: Some("r".into()),
        credential_id: Some("c".into()),
        request_id: Some("r".into()),
        parent_event_id: Some("p".into()),
        ..Event::default()
    };

    let wire = serde_json::to_string(&full).unwrap();
    let mut rest = wire.as_str();
    for (column, _) in COLUMNS {
        let key = format!("\"{column}\":");
        let at = rest.find(&key).unwrap_or_else(|| panic!("{column} is missing or misplaced"));
        rest = rest.get(at + key.len()..).unwrap();
    }
}

#[test]
fn the_digest_covers_every_value_and_of_the_content_only_its_name() {
    let event = Event { event_id: "e".into(), user_id: "ann".into(), ..Event::default() };
    let of = |event: &Event<'static>, payload: &str| {
        digest("w", 1, cells(event, "2026-11-21T00:00:00.000000Z", payload, None))
    };
    let payload = r#"{"lane":"a","content_sha256":"00","content":{"mode":"full"}}"#;
    let whole = of(&event, payload);

    assert_eq!(of(&event, r#"{"lane":"a","content_sha256":"00"}"#), whole, "content may be erased");
    assert_ne!(of(&event, r#"{"lane":"b","content_sha256":"00"}"#), whole);
    assert_ne!(of(&event, r#"{"lane":"a","content_sha256":"01"}"#), whole);
    let other = Event { user_id: "bob".into(), ..event.clone() };
    assert_ne!(of(&other, payload), whole);
    let moved = Event { tenant_id: "ann".into(), user_id: "".into(), ..event };
    assert_ne!(of(&moved, payload), whole, "a value in another column is another row");
    assert_eq!(parts(payload).1, Some(r#"{"mode":"full"}"#));
}
