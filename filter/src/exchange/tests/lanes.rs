use super::*;
use crate::trail::{Facts, Failed, Trails};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const STREAM: [&str; 3] = [
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-sonnet-4-5\",\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
];

/// A call that has left, and the trail that its lanes write.
fn left(host: &FakeHost) -> (Rc<Trails>, Exchange) {
    let trails = Rc::new(Trails::default());
    trails.lane_is_here();
    let gate = Rc::new(ready(host, &json!([])).beside(Rc::clone(&trails)));
    let mut exchange = Exchange::new(gate).of_stream(42);
    exchange.request_headers(host, false);
    let length = BODY.len();
    assert!(matches!(exchange.request_body(host, length, true), Verdict::Forward(_)));

    (trails, exchange)
}

fn asks(host: &FakeHost, trails: &Trails, lane: &str, status: u16) {
    let told = host.header(Map::Request, contract::headers::EXCHANGE).unwrap();
    let trail = trails.of(told.parse().unwrap()).unwrap();
    let facts = Facts { lane: lane.into(), provider: "bedrock".into(), region: Some("eu".into()) };
    let place = trail.begin(&Rc::new(facts), 0);
    trail.note(place, |attempt| {
        attempt.status = Some(status);
        let body = format!("{{\"said_by\":\"{lane}\"}}").into_bytes();
        attempt.failed = (status >= 400).then_some(Failed { status, body, retry_after: Some(3) });
    });
}

#[test]
fn a_stream_that_a_lane_serves_is_metered_once_though_pieces_are_held_together() {
    let host = world(&token(|_| {}), BODY);
    let (trails, mut exchange) = left(&host);
    asks(&host, &trails, "one", 200);
    host.put_headers(Map::Response, &[(":status", "200"), ("content-type", "text/event-stream")]);
    assert_eq!(exchange.response_headers(&host, false), Passage::Pass);

    // The second piece comes before the first was let go: the proxy shows both.
    let first = STREAM[0].to_owned();
    let both = [STREAM[0], STREAM[1]].concat();
    for (piece, last, passage) in [
        (first.as_str(), false, Passage::Held),
        (both.as_str(), false, Passage::Held),
        (STREAM[2], true, Passage::Pass),
    ] {
        if last {
            assert!(trails.released(42));
        }
        host.bodies.borrow_mut().insert(Body::Response, piece.as_bytes().to_vec());
        assert_eq!(exchange.response_body(&host, piece.len(), last), passage);
    }
    assert_eq!(*host.releases.borrow(), [42, 42]);
    assert!(!trails.may_speak(42), "its end is on its way");
    ends(&host, 200, "via_upstream", 0);
    exchange.finished(&host);

    let row = row(&host);
    assert_eq!((row.tokens_in, row.tokens_out, row.complete), (Some(7), Some(5), true));
    assert_eq!(
        (row.provider.as_deref(), row.upstream_region.as_deref()),
        (Some("bedrock"), Some("eu"))
    );
    assert_eq!(row.payload.lane.as_deref(), Some("one"));
}

#[test]
fn where_all_lanes_failed_the_answer_is_what_helps_most() {
    let host = world(&token(|_| {}), BODY);
    let (trails, mut exchange) = left(&host);
    asks(&host, &trails, "one", 429);
    asks(&host, &trails, "two", 500);
    host.put_headers(Map::Response, &[(":status", "500"), ("content-type", "text/plain")]);
    assert_eq!(exchange.response_headers(&host, false), Passage::Pass);
    host.bodies.borrow_mut().insert(Body::Response, b"from the last".to_vec());

    assert_eq!(exchange.response_body(&host, 13, false), Passage::Held);
    assert_eq!(exchange.response_body(&host, 13, true), Passage::Pass);

    assert_eq!(host.header(Map::Response, ":status").as_deref(), Some("429"));
    assert_eq!(host.header(Map::Response, "retry-after").as_deref(), Some("3"));
    let said = host.bodies.borrow()[&Body::Response].clone();
    assert_eq!(String::from_utf8(said).unwrap(), r#"{"said_by":"one"}"#);
    ends(&host, 429, "via_upstream", 0);
    exchange.finished(&host);
    let row = row(&host);
    assert_eq!(
        (row.outcome, row.status, row.payload.attempts.len()),
        (Outcome::Error, Some(429), 2)
    );
}

#[test]
fn what_helps_most_arrives_where_trailers_follow_too_and_not_where_there_is_no_body() {
    let failed = |last: bool| {
        let host = world(&token(|_| {}), BODY);
        let (trails, mut exchange) = left(&host);
        asks(&host, &trails, "one", 429);
        asks(&host, &trails, "two", 500);
        host.put_headers(Map::Response, &[(":status", "500")]);
        assert_eq!(exchange.response_headers(&host, last), Passage::Pass);
        (host, exchange)
    };
    let (host, mut exchange) = failed(false);
    host.bodies.borrow_mut().insert(Body::Response, b"from the last".to_vec());
    assert_eq!(exchange.response_body(&host, 13, false), Passage::Held);
    exchange.response_trailers(&host);
    let said = host.bodies.borrow()[&Body::Response].clone();
    assert_eq!(String::from_utf8(said).unwrap(), r#"{"said_by":"one"}"#);

    let (host, _exchange) = failed(true);
    assert_eq!(host.header(Map::Response, ":status").as_deref(), Some("500"));
    assert_eq!(host.header(Map::Response, "content-length"), None, "of nothing");
}

#[test]
fn a_stream_that_ends_with_trailers_is_over_for_whoever_would_speak_into_it() {
    let host = world(&token(|_| {}), BODY);
    let (trails, mut exchange) = left(&host);
    asks(&host, &trails, "one", 200);
    host.put_headers(Map::Response, &[(":status", "200"), ("content-type", "text/event-stream")]);
    exchange.response_headers(&host, false);
    host.bodies.borrow_mut().insert(Body::Response, STREAM.concat().into_bytes());
    assert_eq!(exchange.response_body(&host, STREAM.concat().len(), false), Passage::Held);
    assert!(trails.may_speak(42));

    exchange.response_trailers(&host);

    assert!(!trails.may_speak(42));
}

#[test]
fn without_lanes_nothing_is_said_that_costs_a_host_call() {
    let host = world(&token(|_| {}), BODY);
    let mut exchange = exchange(&host);

    assert!(run(&host, &mut exchange));

    assert_eq!(host.header(Map::Request, contract::headers::EXCHANGE), None);
}
