//! What the standing does to a call.

use super::*;
use crate::feed::Document;
use crate::gate::tests::{policy_with, standing};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const SECOND: u64 = 1_000_000_000;

/// A call of Ann's some seconds later, in a gate of these entries. What she was answered.
fn called(gate: &Rc<Gate>, from: &FakeHost, after: u64) -> (FakeHost, bool) {
    let host = world(&token(|_| {}), BODY);
    host.now.set((NOW + after) * SECOND);
    host.data.replace(from.data.borrow().clone());
    let served = run(&host, &mut Exchange::new(Rc::clone(gate)));
    from.data.replace(host.data.borrow().clone());

    (host, served)
}

fn gate(host: &FakeHost, listed: &serde_json::Value) -> Rc<Gate> {
    Rc::new(ready(host, listed))
}

fn header(host: &FakeHost, name: &str) -> Option<String> {
    let replies = host.replies.borrow();
    let headers = &replies.first()?.headers;

    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

#[test]
fn who_is_paused_is_told_how_long_and_their_row_says_who_and_by_what() {
    let data = FakeHost::default();
    let gate = gate(
        &data,
        &json!([
        {"kind": "user", "id": "ann@example.com", "effect": "paused", "until": NOW + 3000}]),
    );

    let (host, served) = called(&gate, &data, 0);

    assert!(!served);
    let reply = host.replies.borrow()[0].clone();
    assert_eq!((reply.status, header(&host, "retry-after")), (403, None));
    assert!(reply.body.contains("paused by an operator of this gateway. It ends in 50 minutes."));
    let row = row(&host);
    assert_eq!((row.outcome, row.rule_id.as_deref()), (Outcome::Denied, Some("access_paused")));
    assert_eq!((row.credential_id.as_deref(), &*row.user_id), (Some("pat_1"), "ann@example.com"));
    assert!(called(&gate, &data, 3000).1, "it ends by itself");
}

#[test]
fn a_throttle_lets_so_many_calls_a_minute_through_and_says_when_there_is_room() {
    let data = FakeHost::default();
    let gate = gate(
        &data,
        &json!([
        {"kind": "credential", "id": "pat_1", "effect": {"throttled": {"per_minute": 2}}, "until": NOW + 600}]),
    );

    assert!(called(&gate, &data, 0).1 && called(&gate, &data, 10).1);
    let (host, served) = called(&gate, &data, 20);

    assert!(!served);
    assert_eq!(
        (host.replies.borrow()[0].status, header(&host, "retry-after")),
        (429, Some("41".into()))
    );
    let row = row(&host);
    assert_eq!((row.outcome, row.rule_id.as_deref()), (Outcome::Denied, Some("throttled")));
    assert_eq!(row.credential_id.as_deref(), Some("pat_1"));
    assert!(!called(&gate, &data, 59).1 && called(&gate, &data, 61).1, "in any 60 s");
    assert!(
        called(&gate, &data, 601).1 && called(&gate, &data, 602).1 && called(&gate, &data, 603).1
    );
}

#[test]
fn a_call_that_is_refused_for_another_reason_does_not_count() {
    let data = FakeHost::default();
    let gate = gate(
        &data,
        &json!([
        {"kind": "user", "id": "u-1", "effect": {"throttled": {"per_minute": 1}}}]),
    );
    for _ in 0..3 {
        let host = world(&token(|_| {}), "{}");
        host.data.replace(data.data.borrow().clone());
        assert!(!run(&host, &mut Exchange::new(Rc::clone(&gate))));
        assert_eq!(host.replies.borrow()[0].status, 400);
        data.data.replace(host.data.borrow().clone());
    }

    assert!(called(&gate, &data, 1).1);
    assert!(!called(&gate, &data, 2).1);
}

#[test]
fn nothing_is_counted_for_whom_no_throttle_is_set() {
    let data = FakeHost::default();
    let gate = gate(
        &data,
        &json!([
        {"kind": "user", "id": "bob@example.com", "effect": {"throttled": {"per_minute": 1}}}]),
    );

    let (host, served) = called(&gate, &data, 0);

    assert!(served);
    assert!(!host.data.borrow().keys().any(|key| key.contains("throttle")));
}

#[test]
fn a_standing_that_is_too_old_for_the_policy_refuses_everybody_and_otherwise_nobody() {
    for (most, served) in [(json!({"max_age_seconds": 30}), false), (json!(null), true)] {
        let data = FakeHost::default();
        let gate = gate(&data, &json!([]));
        gate.take(Document::Policy, &policy_with("standing", &most)).unwrap();
        gate.age.confirm(&data, NOW * SECOND, 0).unwrap();

        assert!(called(&gate, &data, 20).1, "{most}");
        let (host, later) = called(&gate, &data, 40);

        assert_eq!(later, served, "{most}");
        if !served {
            assert_eq!(
                (host.replies.borrow()[0].status, header(&host, "retry-after")),
                (503, Some("1".into()))
            );
            let row = row(&host);
            assert_eq!(
                (row.outcome, row.rule_id.as_deref()),
                (Outcome::Error, Some("standing_stale"))
            );
            assert_eq!(&*row.user_id, "ann@example.com", "it is known who called");
        }
        gate.age.confirm(&data, (NOW + 41) * SECOND, 0).unwrap();
        assert!(called(&gate, &data, 42).1, "and when it is confirmed it is young");
    }
}

#[test]
fn who_is_paused_while_the_body_comes_is_paused() {
    let host = world(&token(|_| {}), BODY);
    let gate = gate(&host, &json!([]));
    let mut exchange = Exchange::new(Rc::clone(&gate));
    assert_eq!(exchange.request_headers(&host, false), Verdict::Hold);
    let paused = json!([{"kind": "session", "id": "s-1", "effect": "paused", "until": NOW + 60}]);
    gate.take(Document::Standing, &standing(2, &paused)).unwrap();

    assert_eq!(exchange.request_body(&host, BODY.len(), true), Verdict::Hold);

    assert_eq!(host.replies.borrow()[0].status, 403);
}
