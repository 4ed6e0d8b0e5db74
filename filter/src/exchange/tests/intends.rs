//! Calls that must be stored before they may leave.

use super::*;
use crate::feed::Document;
use crate::gate::tests::{policy, standing};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A host and a gate under whose policy every call is stored first.
fn before(token: &str) -> (FakeHost, Rc<Gate>) {
    let host = world(token, BODY);
    let id = format!("filter_state.{}", contract::audit::EVENT_ID_STATE);
    host.properties.borrow_mut().insert(id, b"event-1".to_vec());
    let gate = ready(&host, &json!([]));
    let rules = json!([{"id": "everyone", "models": ["*"]}, {"id": "regulated", "models": ["*"], "audit": "before"}]);
    gate.take(Document::Policy, &policy(&rules)).unwrap();
    (host, Rc::new(gate))
}

/// Runs a call until it waits for the sidecar, or was refused. The token of what it waits for.
fn ask(host: &FakeHost, exchange: &mut Exchange) -> Option<u32> {
    let verdicts =
        [exchange.request_headers(host, false), exchange.request_body(host, BODY.len(), true)];
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Hold), "{verdicts:?}");
    u32::try_from(host.posts.borrow().len()).ok().filter(|token| *token > 0)
}

/// The rest of a call that was let go on.
fn answered(host: &FakeHost, exchange: &mut Exchange) {
    exchange.response_headers(host, false);
    exchange.response_body(host, ANSWER.len(), true);
    ends(host, 200, "via_upstream", 0);
    exchange.finished(host);
}

#[test]
fn a_call_that_must_be_stored_first_leaves_once_it_is_and_not_before() {
    let (host, gate) = before(&token(|_| {}));
    let mut exchange = Exchange::new(gate);

    let token = ask(&host, &mut exchange).expect("the sidecar is told");
    let (path, intent) = host.posts.borrow()[0].clone();
    assert_eq!(host.header(Map::Request, "x-tollgate-tenant").as_deref(), Some("forged"));
    assert!(host.header(Map::Request, "authorization").is_some(), "nothing is done to it yet");
    host.answer.set(Some(204));
    let verdict = exchange.call_ended(&host, token);

    assert!(matches!(verdict, Verdict::Forward(_)));
    assert_eq!(host.resumed.get(), 1);
    assert_eq!(host.header(Map::Request, "x-tollgate-tenant").as_deref(), Some("acme"));
    assert_eq!(host.header(Map::Request, "authorization"), None);
    answered(&host, &mut exchange);
    let row = row(&host);
    assert_eq!((row.outcome, row.complete), (Outcome::Allowed, true));
    let intent: Event<'_> = serde_json::from_str(&intent).unwrap();
    assert_eq!((&*path, &*intent.event_id), ("/gate/intent", "event-1"));
    assert_eq!(intent.payload.flags, ["provisional"]);
    assert_eq!(
        (intent.occurred_at, intent.payload.sequence),
        (row.occurred_at, row.payload.sequence)
    );
    assert_eq!(
        (&*intent.user_id, intent.model.as_deref()),
        ("ann@example.com", Some("claude-sonnet-4-5"))
    );
    assert_eq!(intent.payload.content, None, "what was said is in the row alone");
}

#[test]
fn whatever_else_the_sidecar_answers_the_call_is_refused() {
    for answer in [None, Some(200), Some(202), Some(404), Some(500), Some(503), Some(504)] {
        let (host, gate) = before(&token(|_| {}));
        let mut exchange = Exchange::new(gate);
        let token = ask(&host, &mut exchange).unwrap();
        host.answer.set(answer);

        let verdict = exchange.call_ended(&host, token);
        let again = exchange.call_ended(&host, token);

        assert_eq!((verdict, again, host.resumed.get()), (Verdict::Hold, Verdict::Hold, 0));
        let reply = host.replies.borrow()[0].clone();
        assert_eq!(reply.status, 503, "{answer:?}");
        assert!(reply.headers.contains(&("x-tollgate-refusal".into(), "audit_unavailable".into())));
        assert_eq!(host.replies.borrow().len(), 1, "once");
        assert_eq!(host.header(Map::Request, "x-tollgate-tenant").as_deref(), Some("forged"));
        ends(&host, 503, "", 0);
        exchange.finished(&host);
        let row = row(&host);
        assert_eq!(row.outcome, Outcome::Error);
        assert_eq!(row.rule_id.as_deref(), Some("audit_unavailable"));
        assert!(row.complete, "nothing was sent, so nothing is billed");
    }
}

#[test]
fn a_call_whose_row_has_no_id_cannot_be_stored_first_and_is_refused() {
    let (host, gate) = before(&token(|_| {}));
    host.properties.borrow_mut().clear();

    assert_eq!(ask(&host, &mut Exchange::new(gate)), None);

    assert_eq!(host.replies.borrow()[0].status, 503);
}

#[test]
fn who_is_stopped_while_the_call_is_being_stored_is_stopped() {
    let (host, gate) = before(&token(|_| {}));
    let mut exchange = Exchange::new(Rc::clone(&gate));
    let token = ask(&host, &mut exchange).unwrap();
    let listed = json!([{"kind": "user", "id": "ann@example.com", "effect": "revoked"}]);
    gate.take(Document::Standing, &standing(2, &listed)).unwrap();
    host.answer.set(Some(204));

    assert_eq!(exchange.call_ended(&host, token), Verdict::Hold);

    assert_eq!((host.resumed.get(), host.replies.borrow()[0].status), (0, 401));
}

#[test]
fn a_client_that_leaves_while_the_call_is_being_stored_leaves_a_row_and_nothing_is_forwarded() {
    let (host, gate) = before(&token(|_| {}));
    let mut exchange = Exchange::new(gate);
    let token = ask(&host, &mut exchange).unwrap();
    ends(&host, 0, "downstream_remote_disconnect", 1 << 14);

    exchange.finished(&host);
    let row = row(&host);
    host.answer.set(Some(204));
    let late = exchange.call_ended(&host, token);

    assert_eq!((row.outcome, row.status, row.complete), (Outcome::Error, Some(0), true));
    assert!(row.payload.flags.contains(&"client_gone".into()), "{:?}", row.payload.flags);
    assert_eq!((late, host.resumed.get()), (Verdict::Hold, 0), "it is too late");
}

#[test]
fn an_answer_to_another_call_lets_nothing_go_on() {
    let (host, gate) = before(&token(|_| {}));
    let mut exchange = Exchange::new(gate);
    let token = ask(&host, &mut exchange).unwrap();
    host.answer.set(Some(204));

    assert_eq!(exchange.call_ended(&host, token + 1), Verdict::Hold);
    let more = exchange.request_body(&host, BODY.len(), true);

    assert_eq!((more, host.resumed.get(), host.posts.borrow().len()), (Verdict::Hold, 0, 1));
    assert!(host.replies.borrow().is_empty(), "it still waits for its own");
    assert!(matches!(exchange.call_ended(&host, token), Verdict::Forward(_)));
}

/// Fails each host call of a whole exchange that is stored first in turn: whatever fails, the request
/// goes on only after the 204 and never after a failure before it did; the client is told; the row
/// stands.
#[test]
fn whichever_host_call_fails_a_call_that_must_be_stored_first_fails_closed() {
    let token_ = token(|_| {});
    let walk = |fails: Option<usize>| {
        let (host, gate) = before(&token_);
        let mut exchange = Exchange::new(gate);
        let start = host.calls.borrow().len();
        host.fails.set(fails.map(|index| start + index + 1));
        let mut forwarded = false;
        if let Some(token) = ask(&host, &mut exchange) {
            host.answer.set(Some(204));
            forwarded = matches!(exchange.call_ended(&host, token), Verdict::Forward(_));
        }
        if forwarded {
            answered(&host, &mut exchange);
        } else if let Some(reply) = host.replies.borrow().first() {
            ends(&host, u64::from(reply.status), "", 0);
        }
        exchange.finished(&host);
        let calls = host.calls.borrow().get(start..).unwrap().to_vec();
        (host, forwarded, calls)
    };
    let (_, forwarded, calls) = walk(None);
    assert!(forwarded && calls.len() > 30, "the whole way is walked: {calls:?}");
    let resumed_at = calls.iter().position(|call| *call == "resume").unwrap();
    assert!(calls.iter().position(|call| *call == "post").unwrap() < resumed_at);

    for (index, call) in calls.iter().enumerate() {
        let (host, forwarded, _) = walk(Some(index));
        let place = format!("call {index}, {call}");
        assert_eq!(host.resumed.get(), usize::from(forwarded), "{place}");
        assert_eq!(row(&host).payload.sequence.map(|sequence| sequence.n), Some(1), "{place}");
        if index <= resumed_at && *call != "now" {
            assert!(!forwarded, "{place} failed unnoticed");
            let status = host.replies.borrow()[0].status;
            let record = ["post", "call_status"].contains(call);
            assert_eq!(status, if record { 503 } else { 500 }, "{place}");
        }
    }
}
