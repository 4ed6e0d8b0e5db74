use super::*;
mod costs;
mod floods;
mod forms;
mod governs;
mod intends;
mod lanes;
mod manifest;
mod mcp;
mod said;
mod stands;
use crate::counters::Counter;
use crate::gate::tests::ready;
use crate::host::Body;
use crate::host::fake::FakeHost;
use crate::stages::authenticate::tests::{NOW, token};
use contract::audit::{Event, Kind, Outcome};
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const ANSWER: &str = r#"{"id":"msg_1","model":"claude-sonnet-4-5-20250929","content":[],
    "stop_reason":"end_turn","usage":{"input_tokens":10,"output_tokens":20}}"#;

/// A host as Envoy is at the start of a good call.
fn world(token: &str, body: &str) -> FakeHost {
    let host = FakeHost::default();
    host.now.set(NOW * 1_000_000_000);
    let bearer = format!("Bearer {token}");
    host.put_headers(
        Map::Request,
        &[
            (":method", "POST"),
            (":path", "/v1/messages?beta=true"),
            (":authority", "gate.test"),
            ("authorization", &bearer),
            ("content-type", "application/json"),
            ("accept-encoding", "gzip, br"),
            ("anthropic-beta", "a,b"),
            ("x-user-id", "ann@example.com"),
            ("x-claude-code-session-id", "session-1"),
            ("x-tollgate-tenant", "forged"),
            ("cookie", "a=b"),
            ("x-request-id", "0af76519-16cd-43dd-8448-eb211c80319c"),
        ],
    );
    host.put_headers(
        Map::Response,
        &[
            (":status", "200"),
            ("content-type", "application/json"),
            ("request-id", "req_1"),
            ("anthropic-organization-id", "org-1"),
        ],
    );
    host.bodies.borrow_mut().insert(Body::Request, body.as_bytes().to_vec());
    host.bodies.borrow_mut().insert(Body::Response, ANSWER.as_bytes().to_vec());
    let mut properties = host.properties.borrow_mut();
    properties.insert("source.address".into(), b"10.1.2.3:5555".to_vec());
    drop(properties);
    host
}

fn ends(host: &FakeHost, status: u64, details: &str, flags: u64) {
    let mut properties = host.properties.borrow_mut();
    properties.insert("response.code".into(), status.to_le_bytes().to_vec());
    properties.insert("response.flags".into(), flags.to_le_bytes().to_vec());
    properties.insert("response.code_details".into(), details.as_bytes().to_vec());
    properties.insert("xds.cluster_name".into(), b"direct".to_vec());
    let provider = "xds.cluster_metadata.filter_metadata.tollgate.provider";
    properties.insert(provider.into(), b"anthropic".to_vec());
}

fn exchange(host: &FakeHost) -> Exchange {
    Exchange::new(Rc::new(ready(host, &json!([]))))
}

/// Runs a call as Envoy does. Was it forwarded?
fn run(host: &FakeHost, exchange: &mut Exchange) -> bool {
    let length = host.bodies.borrow()[&Body::Request].len();
    let mut verdict = exchange.request_headers(host, false);
    if host.replies.borrow().is_empty() {
        assert_eq!(verdict, Verdict::Hold, "nothing goes on before its body is known");
        verdict = exchange.request_body(host, length / 2, false);
        assert_eq!(verdict, Verdict::Hold);
        verdict = exchange.request_body(host, length, true);
    }
    let forwarded = matches!(verdict, Verdict::Forward(_));
    if forwarded && exchange.response_headers(host, false) == Passage::Pass {
        exchange.response_body(host, ANSWER.len(), true);
        ends(host, 200, "via_upstream", 0);
    } else if let Some(reply) = host.replies.borrow().first() {
        ends(host, u64::from(reply.status), "", 0);
    }
    exchange.finished(host);
    forwarded
}

fn row(host: &FakeHost) -> Event<'static> {
    serde_json::from_str(&host.record().expect("a record")).unwrap()
}

const BODY: &str = r#"{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}"#;

#[test]
fn a_call_costs_what_was_negotiated_in_the_policy_that_judged_it() {
    use crate::feed::Document;
    use contract::envelope::{POLICY_TYPE, seal};
    use ed25519_compact::{KeyPair, Seed};

    let host = world(&token(|_| {}), BODY);
    let gate = ready(&host, &json!([]));
    let policy = json!({
        "schema": contract::policy::SCHEMA, "name": "test",
        "rules": [{"id": "everyone", "models": ["*"]}],
        "rates": {"as_of": "2026-11-01", "source": "order form", "rates": [
            {"provider": "anthropic", "models": ["claude-*"], "discount": "0.1"}]},
    });
    // The key that `gate::tests` pins.
    let key = KeyPair::from_seed(Seed::new([7; 32]));
    let sealed = seal(POLICY_TYPE, policy.to_string().as_bytes(), "p1", &key);
    gate.take(Document::Policy, &serde_json::to_vec(&sealed).unwrap()).unwrap();

    assert!(run(&host, &mut Exchange::new(Rc::new(gate))));

    assert_eq!(row(&host).cost_micro, Some(297), "a tenth less than the list's 330");
}

#[test]
fn a_good_call_is_forwarded_metered_and_written_down() {
    let host = world(&token(|_| {}), BODY);

    assert!(run(&host, &mut exchange(&host)));

    let row = row(&host);
    assert_eq!((row.outcome, row.kind, row.complete), (Outcome::Allowed, Kind::Inference, true));
    assert_eq!((&*row.user_id, &*row.tenant_id), ("ann@example.com", "acme"));
    assert_eq!((row.tokens_in, row.tokens_out), (Some(10), Some(20)));
    assert_eq!(row.cost_micro, Some(330), "10 at 3 and 20 at 15 dollars a million");
    assert_eq!(row.model.as_deref(), Some("claude-sonnet-4-5"));
    assert_eq!(row.provider.as_deref(), Some("anthropic"));
    assert_eq!(row.session_id.as_deref(), Some("session-1"));
    assert_eq!(row.trace_id.as_deref(), Some("session-1"));
    assert_eq!(row.rule_id.as_deref(), Some("everyone"));
    assert_eq!(row.payload.provider_request_id.as_deref(), Some("req_1"));
    assert!(row.payload.flags.is_empty(), "{:?}", row.payload.flags);
    assert!(host.counted.borrow().contains(&Counter::Outcome(Outcome::Allowed)));
}

#[test]
fn only_what_is_on_the_list_leaves_and_the_facts_go_to_the_route_table() {
    let host = world(&token(|_| {}), BODY);

    run(&host, &mut exchange(&host));

    for name in ["authorization", "cookie", "x-user-id", "x-request-id", "x-claude-code-session-id"]
    {
        assert_eq!(host.header(Map::Request, name), None, "{name}");
    }
    for (name, value) in [
        ("anthropic-beta", "a,b"),
        ("accept-encoding", "identity"),
        ("x-tollgate-tenant", "acme"),
        ("x-tollgate-model", "claude-sonnet-4-5"),
        ("x-tollgate-department", "engineering"),
        ("x-tollgate-region", "none"),
        ("x-tollgate-source", "cowork"),
    ] {
        assert_eq!(host.header(Map::Request, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(host.header(Map::Response, "anthropic-organization-id"), None);
    assert_eq!(host.header(Map::Response, "request-id").as_deref(), Some("req_1"));
    assert!(host.header(Map::Response, "x-request-id").is_some());
}

#[test]
fn a_refusal_is_told_in_the_shape_of_the_messages_api_and_written_down() {
    let host = world(&token(|_| {}), r#"{"model":"gpt-5"}"#);

    assert!(!run(&host, &mut exchange(&host)));

    let reply = host.replies.borrow()[0].clone();
    let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(reply.status, 400);
    assert_eq!(body["type"], "error");
    assert_eq!(body["error"]["type"], "invalid_request_error");
    assert_eq!(body["request_id"], "0af76519-16cd-43dd-8448-eb211c80319c");
    let has = |name: &str| reply.headers.iter().any(|(candidate, _)| candidate == name);
    assert!(has("request-id") && has("x-trace-id") && has("x-tollgate-refusal"));
    let row = row(&host);
    assert_eq!((row.outcome, row.status), (Outcome::Denied, Some(400)));
    assert_eq!(row.rule_id.as_deref(), Some("model_not_allowed"));
    assert_eq!(row.model.as_deref(), Some("gpt-5"), "what was asked for");
    assert_eq!(&*row.user_id, "ann@example.com");
}

#[test]
fn trailers_end_the_body_and_do_not_go_on() {
    let host = world(&token(|_| {}), BODY);
    host.put_headers(Map::RequestTrailers, &[("x-smuggled", "1")]);
    let mut exchange = exchange(&host);

    exchange.request_headers(&host, false);
    assert_eq!(exchange.request_body(&host, BODY.len(), false), Verdict::Hold);
    let verdict = exchange.request_trailers(&host);

    assert!(matches!(verdict, Verdict::Forward(_)));
    assert_eq!(host.header(Map::RequestTrailers, "x-smuggled"), None);
}

#[test]
fn a_body_too_large_is_refused_while_it_comes() {
    let host = world(&token(|_| {}), BODY);
    let mut exchange = exchange(&host);
    exchange.request_headers(&host, false);

    let verdict = exchange.request_body(&host, LARGEST_BODY + 1, false);
    let later = exchange.request_body(&host, LARGEST_BODY + 2, true);

    assert_eq!((verdict, later), (Verdict::Hold, Verdict::Hold));
    assert_eq!(host.replies.borrow()[0].status, 413);
    assert_eq!(host.replies.borrow().len(), 1, "once");
}

#[test]
fn nothing_passes_before_policy_keys_and_standing_are_there() {
    let host = world(&token(|_| {}), BODY);
    let mut exchange = Exchange::new(Rc::new(crate::gate::tests::gate(&host)));

    assert!(!run(&host, &mut exchange));

    assert_eq!(host.replies.borrow()[0].status, 503);
    assert_eq!(row(&host).outcome, Outcome::Error, "our failure, not the caller's");
}

#[test]
fn the_ways_an_upstream_can_end_are_told_apart() {
    let gone = 1 << 14;
    let reset = 1 << 6;
    for (status, details, flags, outcome, complete) in [
        (200, "via_upstream", 0, Outcome::Allowed, true),
        (200, "via_upstream", gone, Outcome::Allowed, false),
        (200, "upstream_reset_after_response_started{remote_reset}", reset, Outcome::Error, false),
        (529, "via_upstream", 0, Outcome::Error, true),
        (
            503,
            "upstream_reset_before_response_started{connection_failure}",
            32,
            Outcome::Error,
            true,
        ),
        (0, "downstream_remote_disconnect", gone, Outcome::Error, false),
        (0, "downstream_local_disconnect(x)", gone, Outcome::Error, false),
    ] {
        let host = world(&token(|_| {}), BODY);
        let started = details.contains("via_upstream") || details.contains("after_response");
        let port = 443_u64.to_le_bytes().to_vec();
        host.properties.borrow_mut().insert("upstream.port".into(), port);
        let mut exchange = exchange(&host);
        exchange.request_headers(&host, false);
        exchange.request_body(&host, BODY.len(), true);
        if started {
            let code = status.to_string();
            let kind = ("content-type", "application/json");
            host.put_headers(Map::Response, &[(":status", &code), kind]);
            exchange.response_headers(&host, false);
            exchange.response_body(&host, ANSWER.len(), flags == 0);
        }
        ends(&host, status, details, flags);
        exchange.finished(&host);

        let row = row(&host);
        assert_eq!((row.outcome, row.complete), (outcome, complete), "{status} {details}");
        let client_gone = row.payload.flags.iter().any(|flag| flag == "client_gone");
        let left = flags == gone && !details.contains("local");
        assert_eq!(client_gone, left, "{status} {details}");
    }
}

#[test]
fn health_is_answered_here_and_leaves_no_row() {
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/v1/auth/cowork/capabilities", 200),
        ("/api/hello", 200),
        ("/v1/models?limit=1000", 401),
    ] {
        let host = world("unused", "");
        host.put_headers(Map::Request, &[(":method", "HEAD"), (":path", path)]);
        let mut exchange = exchange(&host);

        assert_eq!(exchange.request_headers(&host, true), Verdict::Hold);
        exchange.finished(&host);

        assert_eq!(host.replies.borrow()[0].status, status, "{path}");
        assert!(host.record().is_none(), "{path}");
        assert!(host.state.borrow().contains_key(contract::audit::NO_ROW_MARK));
    }
}

#[test]
fn the_number_of_an_exchange_is_open_until_it_has_ended_however_it_ends() {
    let host = world(&token(|_| {}), BODY);
    let gate = Rc::new(ready(&host, &json!([])));
    let mut open = Exchange::new(Rc::clone(&gate));
    open.request_headers(&host, false);
    assert_eq!((gate.heartbeat().highest, gate.heartbeat().open), (1, vec![1]));

    drop(open); // as Envoy does without a word when another stream traps
    let mut whole = Exchange::new(Rc::clone(&gate));
    run(&host, &mut whole);
    drop(whole);

    assert_eq!((gate.heartbeat().highest, gate.heartbeat().open), (2, vec![]));
}

/// Fails each host call of a whole exchange in turn, generated over all of them: whatever fails,
/// the request is not forwarded after it, the client is told in our shape (unless telling is what
/// failed), and the row stands.
#[test]
fn whichever_host_call_fails_the_call_fails_closed_with_its_row() {
    let token = token(|_| {});
    let whole = world(&token, BODY);
    let mut exchange_ = exchange(&whole);
    let before = whole.calls.borrow().len();
    assert!(run(&whole, &mut exchange_));
    let calls = whole.calls.borrow()[before..].to_vec();
    let forwarded_at = calls.iter().rposition(|call| *call == "set_header").unwrap();
    assert!(calls.len() > 30, "the whole way is walked: {calls:?}");

    for (index, call) in calls.iter().enumerate() {
        let host = world(&token, BODY);
        let mut exchange = exchange(&host);
        host.fails.set(Some(before + index + 1));
        let forwarded = run(&host, &mut exchange);
        let place = format!("call {index}, {call}");

        let row = row(&host);
        assert_eq!(
            &*row.payload.sequence.map(|s| s.n.to_string()).unwrap_or_default(),
            "1",
            "{place}"
        );
        let reply = host.replies.borrow().first().cloned();
        match reply {
            Some(reply) => {
                assert_eq!(reply.status, 500, "{place}");
                assert!(reply.body.contains(r#""type":"api_error""#), "{place}");
                assert_eq!(row.outcome, Outcome::Error, "{place}");
            }
            // A clock that stands still, or a count that is lost, is no reason to refuse; and
            // behind the answer's headers nothing can be refused any more.
            None => assert!(
                *call == "now" || index > forwarded_at,
                "{place} failed unnoticed (forwarded: {forwarded})"
            ),
        }
    }
}

/// The same for a refusal: whatever fails on its way, nothing is forwarded.
#[test]
fn whichever_host_call_fails_a_refused_call_stays_refused() {
    let whole = world("not-a-token", BODY);
    let mut exchange_ = exchange(&whole);
    let before = whole.calls.borrow().len();
    assert!(!run(&whole, &mut exchange_));
    let count = whole.calls.borrow().len() - before;

    for index in 0..count {
        let host = world("not-a-token", BODY);
        let mut exchange = exchange(&host);
        host.fails.set(Some(before + index + 1));

        let verdicts = [
            exchange.request_headers(&host, false),
            exchange.request_body(&host, BODY.len(), true),
            exchange.request_trailers(&host),
        ];
        exchange.finished(&host);

        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Hold), "call {index}");
    }
}
