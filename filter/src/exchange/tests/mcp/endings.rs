//! How answers end, and answers that are nothing.

use super::answers::{JSON, Round, STREAM, round};
use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn a_row_is_complete_if_the_end_of_the_answer_was_seen() {
    let reset = "upstream_reset_after_response_started{remote_reset}";
    for (status, details, flags, outcome, complete) in [
        ("200", "via_upstream", 0, Outcome::Allowed, true),
        ("200", "via_upstream", 1 << 14, Outcome::Allowed, false),
        ("200", reset, 1 << 6, Outcome::Error, false),
        ("0", "downstream_remote_disconnect", 1 << 14, Outcome::Error, false),
        ("0", "http2.remote_reset", 0, Outcome::Error, false),
    ] {
        let host = posts(&call("list_a"), &[]);
        let port = 443_u64.to_le_bytes().to_vec();
        host.properties.borrow_mut().insert("upstream.port".into(), port);
        let mut exchange = under(&host, policy());
        assert!(matches!(asks(&host, &mut exchange), Verdict::Forward(_)));
        if status == "200" {
            host.put_headers(Map::Response, &JSON);
            exchange.response_headers(&host, false);
            let answer = json!({"jsonrpc": "2.0", "id": 7, "result": {}}).to_string();
            let whole = details == "via_upstream" && flags == 0;
            let piece = if whole { answer.as_str() } else { answer.get(..20).unwrap() };
            host.bodies.borrow_mut().insert(Body::Response, piece.as_bytes().to_vec());
            exchange.response_body(&host, piece.len(), whole);
        }
        ends(&host, status.parse().unwrap(), details, flags);
        exchange.finished(&host);

        let row = row(&host);
        assert_eq!((row.outcome, row.complete), (outcome, complete), "{status} {details}");
    }
}

#[test]
fn a_request_that_gets_nothing_is_answered_with_an_error() {
    for headers in [
        JSON,
        STREAM,
        [(":status", "202"), ("content-type", "text/plain")],
        [(":status", "200"), ("content-type", "text/plain")],
    ] {
        let host = posts(&call("list_a"), &[]);
        let mut exchange = under(&host, policy());
        assert!(matches!(asks(&host, &mut exchange), Verdict::Forward(_)));
        host.put_headers(Map::Response, &headers);

        assert_eq!(exchange.response_headers(&host, true), Passage::Replaced, "{headers:?}");

        let (_, body, code) = refused(&host);
        assert_eq!((&body["id"], &*code), (&json!(7), "mcp_server_failed"), "{headers:?}");
    }
    let Round { replaced, .. } =
        round(policy(), &call("list_a"), &[(":status", "202"), ("x", "y")], "", 1);
    assert!(replaced, "and not that it was taken");
}
