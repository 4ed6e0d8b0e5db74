//! A session works for who opened it.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const OPENS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;

/// The session that somebody gets as the server `path` opens one.
fn opened(token: &str, path: &str, key: &[u8]) -> String {
    let message = serde_json::from_str(OPENS).unwrap();
    let bearer = format!("Bearer {token}");
    let host = posts(
        &message,
        &[(":path", path), ("authorization", &bearer), ("x-user-id", &user(token))],
    );
    let mut open = policy();
    open["servers"][1]["who"] = json!({});
    let mut exchange = under(&host, open);
    exchange.gate.take(Document::Sessions, key).unwrap();
    assert!(matches!(asks(&host, &mut exchange), Verdict::Forward(_)));
    host.put_headers(
        Map::Response,
        &[
            (":status", "200"),
            ("content-type", "application/json"),
            ("mcp-session-id", "upstream-1"),
        ],
    );
    assert_eq!(exchange.response_headers(&host, false), Passage::Pass);
    host.header(Map::Response, "mcp-session-id").unwrap()
}

fn user(token: &str) -> String {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["email"].as_str().unwrap_or_else(|| claims["sub"].as_str().unwrap()).to_owned()
}

/// What the server is sent of a session; none if it is refused.
fn used(token: &str, method: &str, path: &str, session: &str) -> Option<String> {
    let message = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    let bearer = format!("Bearer {token}");
    let headers = [
        (":method", method),
        (":path", path),
        ("authorization", &*bearer),
        ("mcp-session-id", session),
        ("x-user-id", &user(token)),
    ];
    let host = posts(&message, &headers);
    let mut open = policy();
    open["servers"][1]["who"] = json!({});
    let mut exchange = under(&host, open);
    let verdict = if method == "POST" {
        asks(&host, &mut exchange)
    } else {
        exchange.request_headers(&host, true)
    };
    if !matches!(verdict, Verdict::Forward(_)) {
        assert_eq!(refused(&host).0, 404);
        return None;
    }
    host.header(Map::Request, "mcp-session-id")
}

fn bob() -> String {
    token(|claims| {
        claims.subject = Some("bob".into());
        claims.custom.email = Some("bob@example.com".into());
    })
}

#[test]
fn a_session_of_another_caller_is_not_there_whatever_is_asked_of_it() {
    let ann = token(|_| {});
    let session = opened(&ann, "/mcp/stripe", KEY);

    assert_ne!(session, "upstream-1");
    for method in ["POST", "GET", "DELETE"] {
        assert_eq!(used(&ann, method, "/mcp/stripe", &session).as_deref(), Some("upstream-1"));
        assert_eq!(used(&bob(), method, "/mcp/stripe", &session), None, "{method} by another");
        assert_eq!(used(&ann, method, "/mcp/others", &session), None, "{method} at another server");
        assert_eq!(used(&ann, method, "/mcp/stripe", "upstream-1"), None, "{method} unsealed");
    }
}

#[test]
fn another_key_knows_no_session_of_the_one_before() {
    let other = br#"{"key":"BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA"}"#;
    let ann = token(|_| {});

    assert_eq!(used(&ann, "POST", "/mcp/stripe", &opened(&ann, "/mcp/stripe", other)), None);
}

#[test]
fn without_the_key_there_are_no_sessions() {
    let ann = token(|_| {});
    let session = opened(&ann, "/mcp/stripe", KEY);
    let host = posts(
        &json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}),
        &[("mcp-session-id", &session)],
    );
    let gate = ready(&host, &json!([]));
    gate.take(Document::Policy, &document(policy())).unwrap();
    let mut exchange = Exchange::new(Rc::new(gate));

    assert_eq!(asks(&host, &mut exchange), Verdict::Hold);
    assert_eq!(refused(&host).2, "not_ready");
}

#[test]
fn a_page_may_call_here_if_it_is_of_the_gateway_s_own_address_that_was_configured() {
    let read = |origin: &str, ours: Option<&str>| {
        let host = posts(&call("list_a"), &[("origin", origin)]);
        let list = host.headers(Map::Request).unwrap();
        let protocol = contract::mcp::Protocol::shipped().unwrap();
        crate::mcp::head::Head::of("stripe", true).read(&list, &protocol, ours)
    };
    let ours = Some("https://gate.test");

    assert_eq!(read("https://gate.test", ours), Ok(()));
    for origin in ["https://gate.test:1", "http://gate.test", "null", ""] {
        assert_eq!(read(origin, ours), Err(Refusal::McpOrigin), "{origin}");
    }
    assert_eq!(
        read("https://gate.test", None),
        Err(Refusal::McpOrigin),
        "nobody said what is ours"
    );
}

#[test]
fn what_follows_a_request_that_has_no_message_is_not_passed_on() {
    for method in ["GET", "DELETE"] {
        let host = posts(&call("refund"), &[(":method", method)]);
        let mut exchange = under(&host, policy());

        assert_eq!(exchange.request_headers(&host, false), Verdict::Hold);
        assert_eq!(refused(&host).2, "mcp_message_malformed", "{method}");
    }
}
