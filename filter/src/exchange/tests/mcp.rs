//! Calls of MCP servers.

use super::*;
use crate::feed::Document;
use crate::gate::tests::document;
use serde_json::Value;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod answers;
mod endings;
mod approvals;
mod odd;
mod pins;
mod sessions;

const KEY: &[u8] = br#"{"key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;

/// A policy with one server of which little is open.
fn policy() -> Value {
    json!({
        "rules": [{"id": "all", "models": ["*"]}],
        "servers": [
            {"id": "stripe", "gateway": {"tools": {"list_*": "allow", "note": "ask", "wire": "approve"},
                "resources": {"stripe://prices/*": "allow"}, "prompts": {"greet": "allow"}}},
            {"id": "others", "who": {"users": ["bob@example.com"]}, "gateway": {"otherwise": "allow"}},
        ],
        "tools": [{"id": "careful", "tools": {"mcp__stripe__list_secrets": "blocked"}, "say": "Ask Cleo."}],
        "approvals": {"approvers": {"groups": ["leads"]}, "wait_seconds": 60, "valid_seconds": 600},
    })
}

/// A host at the start of a POST of this message, with these headers besides.
fn posts(message: &Value, more: &[(&str, &str)]) -> FakeHost {
    let host = world(&token(|_| {}), &message.to_string());
    let mut headers = host.maps.borrow()[&Map::Request].clone();
    headers.retain(|(name, _)| name != ":path");
    headers.push((":path".into(), b"/mcp/stripe".to_vec()));
    headers.push((":scheme".into(), b"https".to_vec()));
    for (name, value) in more {
        headers.retain(|(known, _)| known != name);
        headers.push(((*name).to_owned(), value.as_bytes().to_vec()));
    }
    host.maps.borrow_mut().insert(Map::Request, headers);
    let id = format!("filter_state.{}", contract::audit::EVENT_ID_STATE);
    host.properties.borrow_mut().insert(id, b"event-1".to_vec());
    host
}

fn under(host: &FakeHost, policy: Value) -> Exchange {
    let gate = ready(host, &json!([]));
    gate.take(Document::Policy, &document(policy)).unwrap();
    gate.take(Document::Sessions, KEY).unwrap();
    Exchange::new(Rc::new(gate))
}

/// Brings the request to its verdict.
fn asks(host: &FakeHost, exchange: &mut Exchange) -> Verdict {
    let length = host.bodies.borrow()[&Body::Request].len();
    let verdict = exchange.request_headers(host, false);
    if host.replies.borrow().is_empty() && verdict == Verdict::Hold {
        return exchange.request_body(host, length, true);
    }
    verdict
}

/// Sends a message; was it forwarded? Without an answer.
fn sends(message: &Value, more: &[(&str, &str)]) -> (FakeHost, bool) {
    let host = posts(message, more);
    let mut exchange = under(&host, policy());
    let forwarded = matches!(asks(&host, &mut exchange), Verdict::Forward(_));
    let status = host.replies.borrow().first().map_or(200, |reply| reply.status);
    ends(&host, status.into(), "", 0);
    exchange.finished(&host);
    (host, forwarded)
}

fn call(tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool, "arguments": {"a": 1.0}}})
}

/// The status, the body, and the code of a refusal.
fn refused(host: &FakeHost) -> (u16, Value, String) {
    let reply = &host.replies.borrow()[0];
    let code = reply.headers.iter().find(|(name, _)| name == "x-tollgate-refusal").unwrap();
    (reply.status, serde_json::from_str(&reply.body).unwrap(), code.1.clone())
}

const STATELESS: [(&str, &str); 3] = [
    ("mcp-protocol-version", "2026-07-28"),
    ("mcp-method", "tools/call"),
    ("mcp-name", "list_charges"),
];

fn stateless(tool: &str) -> Value {
    let mut call = call(tool);
    call["params"]["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    call
}

#[test]
fn a_call_that_is_open_leaves_with_what_routes_match_on_and_without_the_client_s_token() {
    let (host, forwarded) =
        sends(&call("list_charges"), &[("mcp-protocol-version", "2025-11-25"), ("mcp-x", "y")]);

    assert!(forwarded);
    let header = |name: &str| host.header(Map::Request, name);
    assert_eq!(header("x-tollgate-surface").as_deref(), Some("mcp"));
    assert_eq!(header("x-tollgate-server").as_deref(), Some("stripe"));
    assert_eq!(header("x-tollgate-tool").as_deref(), Some("list_charges"));
    assert_eq!(header("x-tollgate-tenant").as_deref(), Some("acme"));
    assert_eq!(header("accept-encoding").as_deref(), Some("identity"));
    assert_eq!(header("mcp-protocol-version").as_deref(), Some("2025-11-25"));
    for inside in
        ["authorization", "cookie", "x-user-id", "anthropic-beta", "x-claude-code-session-id"]
    {
        assert_eq!(header(inside), None, "{inside}");
    }
}

#[test]
fn the_row_says_server_tool_and_what_it_was_called_with() {
    let (host, _) = sends(&call("list_charges"), &[("mcp-protocol-version", "2025-11-25")]);

    let row = row(&host);

    assert_eq!((row.kind, row.rule_id.as_deref()), (Kind::Mcp, Some("stripe")));
    assert_eq!(row.payload.mcp_server.as_deref(), Some("stripe"));
    assert_eq!(row.payload.tool.as_deref(), Some("list_charges"));
    let call = row.payload.mcp.unwrap();
    assert_eq!(call.method.as_deref(), Some("tools/call"));
    assert_eq!(call.protocol.as_deref(), Some("2025-11-25"));
    let digest = contract::canonical::digest(br#"{"a":1}"#).unwrap();
    assert_eq!(call.arguments_sha256, Some(contract::envelope::hex(&digest).into()));
    let content = serde_json::to_value(row.payload.content.unwrap()).unwrap();
    assert_eq!(content["input"][0]["name"], "list_charges");
    assert_eq!(content["input"][0]["text"], r#"{"a":1.0}"#);
}

#[test]
fn a_tool_that_is_closed_looks_like_one_that_is_not_there() {
    for (tool, rule, message) in
        [("refund", "stripe", call("refund")), ("list_secrets", "careful", call("list_secrets"))]
    {
        let (host, forwarded) = sends(&message, &[]);
        assert!(!forwarded, "{tool}");
        let (status, body, code) = refused(&host);
        assert_eq!((status, &*code), (200, "tool_blocked"));
        assert_eq!((&body["id"], &body["error"]["code"]), (&json!(7), &json!(-32602)));
        assert_eq!(body["error"]["message"], format!("Unknown tool: {tool}"));
        let row = row(&host);
        assert_eq!((row.outcome, row.rule_id.as_deref()), (Outcome::Denied, Some(rule)));
        assert_eq!(row.payload.tool.as_deref(), Some(tool));
        assert_eq!(row.payload.findings[0].action, "blocked");
    }
    let (host, _) =
        sends(&stateless("refund"), &[STATELESS[0], STATELESS[1], ("mcp-name", "refund")]);
    assert_eq!(refused(&host).0, 400, "so says the later protocol");
}

#[test]
fn by_choice_the_model_is_told_why() {
    let host = posts(&call("list_secrets"), &[]);
    let mut chosen = policy();
    chosen["servers"][0]["gateway"]["denied_as"] = json!("result");

    asks(&host, &mut under(&host, chosen));

    let (status, body, _) = refused(&host);
    assert_eq!((status, &body["result"]["isError"]), (200, &json!(true)));
    let text = body["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.ends_with("(rule careful) Ask Cleo."), "{text}");
}

#[test]
fn a_member_that_could_be_read_in_two_ways_is_refused() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_a","name":"refund"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_a","Name":"refund"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_a","n\u0061me":"refund"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"refund"}}"#,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"list_a\"},\"param\u{17f}\":{\"name\":\"refund\"}}",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_a","name\u0000":"refund"}}"#,
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"capabilities":{"Sampling":{}}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","METHOD":"tools/call","params":{"name":"refund"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_a","arguments":{"to":"a","to":"b"}}}"#,
    ] {
        let host = posts(&json!({}), &[]);
        host.bodies.borrow_mut().insert(Body::Request, body.as_bytes().to_vec());
        let mut exchange = under(&host, policy());
        assert_eq!(asks(&host, &mut exchange), Verdict::Hold, "{body}");
        assert_eq!(refused(&host).2, "body_duplicate", "{body}");
    }
}

#[test]
fn in_the_stateless_protocol_headers_say_what_the_body_says() {
    let params = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "list_charges", "arguments": {"region": "Zürich ☃", "n": 42, "on": true},
        "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}});
    let param = |name: &'static str, value: &'static str| {
        let mut headers = STATELESS.to_vec();
        headers.push((name, value));
        headers
    };
    let without = |name: &str| STATELESS.into_iter().filter(|(known, _)| *known != name).collect();
    for (headers, passes) in [
        (STATELESS.to_vec(), true),
        (without("mcp-method"), false),
        (without("mcp-name"), false),
        (param("mcp-param-region", "=?base64?WsO8cmljaCDimIM=?="), true),
        (param("mcp-param-region", "=?base64?!!!?="), false),
        (param("mcp-param-region", "Bern"), false),
        (param("mcp-param-n", "42"), true),
        (param("mcp-param-n", "42.0"), true),
        (param("mcp-param-on", "true"), true),
        (param("mcp-param-on", "false"), false),
    ] {
        let (host, forwarded) = sends(&params, &headers);
        assert_eq!(forwarded, passes, "{headers:?}");
        if !passes {
            let (status, body, _) = refused(&host);
            assert_eq!((status, &body["error"]["code"]), (400, &json!(-32020)));
        }
    }
    let (_, forwarded) = sends(&call("list_charges"), &STATELESS);
    assert!(!forwarded, "the version stands in the body as well");
}

#[test]
fn what_is_closed_is_not_promised_to_the_server() {
    let message = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {"sampling": {}, "roots": {"listChanged": true}, "x": 1}, "clientInfo": {"name": "c"}}});
    let (host, forwarded) = sends(&message, &[]);

    assert!(forwarded);
    let body = host.bodies.borrow()[&Body::Request].clone();
    let sent: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(sent["params"]["capabilities"], json!({"x": 1}));
    assert_eq!(sent["params"]["clientInfo"], json!({"name": "c"}));
    assert_eq!(host.header(Map::Request, "content-length"), Some(body.len().to_string()));
}

#[test]
fn our_own_server_gets_the_token_and_the_id_of_the_row() {
    let message = json!({"jsonrpc": "2.0", "id": 0, "method": "tools/call", "params": {"name": "request_approval", "arguments": {}}});
    let (host, forwarded) = sends(&message, &[(":path", "/mcp/approvals")]);

    assert!(forwarded);
    assert!(host.header(Map::Request, "authorization").is_some());
    assert!(host.header(Map::Request, "x-request-id").is_some());
    assert_eq!(host.header(Map::Request, "cookie"), None);
}

#[test]
fn who_has_no_token_is_told_where_to_sign_in_and_is_not_sent_there() {
    let (host, forwarded) = sends(&call("list_charges"), &[("authorization", "Basic x")]);

    assert!(!forwarded);
    let reply = &host.replies.borrow()[0];
    assert_eq!(reply.status, 401);
    let challenge = reply.headers.iter().find(|(name, _)| name == "www-authenticate").unwrap();
    assert_eq!(
        challenge.1,
        "Bearer resource_metadata=\"https://gate.test/.well-known/oauth-protected-resource/mcp/stripe\""
    );

    let host = posts(
        &json!({}),
        &[(":path", "/.well-known/oauth-protected-resource/mcp/stripe"), (":method", "GET")],
    );
    under(&host, policy()).request_headers(&host, true);
    let reply = &host.replies.borrow()[0];
    let metadata: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(
        (reply.status, &metadata["resource"]),
        (200, &json!("https://gate.test/mcp/stripe"))
    );
    assert_eq!(metadata["authorization_servers"], json!(["https://tollgate.test"]));
}

#[test]
fn what_only_keeps_the_protocol_going_leaves_no_row() {
    for message in [
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}),
        json!({"jsonrpc": "2.0", "id": 0, "error": {"code": 1, "message": "no"}}),
    ] {
        let host = posts(&message, &[]);
        let mut exchange = under(&host, policy());
        let gate = Rc::clone(&exchange.gate);
        assert!(matches!(asks(&host, &mut exchange), Verdict::Forward(_)), "{message}");
        exchange.finished(&host);
        assert!(host.record().is_none(), "{message}");
        assert_eq!(gate.heartbeat().highest, 0, "nor a hole where one could have been");
    }
    let (host, forwarded) = sends(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}), &[]);
    assert!(forwarded && host.record().is_some());
}

#[test]
fn whichever_host_call_fails_no_call_leaves_that_is_not_allowed() {
    for tool in ["refund", "wire", "list_charges"] {
        for fails in 1..200 {
            let host = posts(&call(tool), &[]);
            let mut exchange = under(&host, policy());
            host.calls.borrow_mut().clear();
            host.fails.set(Some(fails));
            let verdict = asks(&host, &mut exchange);
            let over = host.calls.borrow().len() < fails;
            let forwarded = matches!(verdict, Verdict::Forward(_));
            assert!(!forwarded || (tool == "list_charges"), "{tool} at call {fails}");
            assert!(!forwarded || host.header(Map::Request, "authorization").is_none());
            if over {
                break;
            }
        }
    }
}
