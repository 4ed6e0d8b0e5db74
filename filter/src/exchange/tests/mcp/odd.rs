//! Requests that are refused for what they are.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn whatever_is_odd_is_refused_and_nothing_leaves() {
    let message = |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": "x", "method": method, "params": params});
    let raw = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    for (body, more, status, code) in [
        (json!([call("list_charges")]), &[][..], 400, "mcp_batch"),
        (raw(r#"{"id":1,"method":"tools/list"}"#), &[], 400, "mcp_message_malformed"),
        (raw(r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#), &[], 400, "mcp_message_malformed"),
        (message("tools/steal", json!({})), &[], 200, "mcp_method_closed"),
        (
            message("completion/complete", json!({"ref": {"type": "ref/prompt", "name": "greet"}})),
            &[],
            200,
            "mcp_method_closed",
        ),
        (message("tasks/result", json!({"taskId": "1"})), &[], 200, "mcp_method_closed"),
        (
            message("resources/read", json!({"uri": "file:///etc/passwd"})),
            &[],
            200,
            "mcp_resource_closed",
        ),
        (
            message("resources/read", json!({"uri": "stripe://prices/../keys"})),
            &[],
            200,
            "mcp_resource_closed",
        ),
        (
            message("resources/subscribe", json!({"uri": "stripe://keys"})),
            &[],
            200,
            "mcp_resource_closed",
        ),
        (message("prompts/get", json!({"name": "other"})), &[], 200, "mcp_prompt_closed"),
        (message("tools/call", json!({})), &[], 400, "mcp_message_malformed"),
        (
            message("tools/call", json!({"name": "list_a", "task": {}})),
            &[],
            200,
            "mcp_method_closed",
        ),
        (call("list_a"), &[(":path", "/mcp/others")], 404, "mcp_server_unknown"),
        (call("list_a"), &[(":path", "/mcp/nowhere")], 404, "mcp_server_unknown"),
        (call("list_a"), &[(":path", "/mcp/a/b")], 404, "unknown_path"),
        (call("list_a"), &[(":path", "/mcp/Stripe")], 404, "unknown_path"),
        (
            json!({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "list_a"}}),
            &[],
            400,
            "mcp_message_malformed",
        ),
        (
            json!({"jsonrpc": "2.0", "id": null, "method": "tools/call", "params": {"name": "list_a"}}),
            &[],
            400,
            "mcp_message_malformed",
        ),
        (message("notifications/initialized", json!({})), &[], 400, "mcp_message_malformed"),
        (message("tasks/list", json!({})), &[], 200, "mcp_method_closed"),
        (call("list_a"), &[(":path", "/mcp/stripe?project=other")], 404, "unknown_path"),
        (
            call("list_a"),
            &[("content-type", "application/json; charset =utf-7")],
            415,
            "media_type_unsupported",
        ),
        (
            call("list_a"),
            &[("content-type", "application/json; charset*=utf-7")],
            415,
            "media_type_unsupported",
        ),
        (
            json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
            &[("mcp-param-x", "1")],
            400,
            "mcp_header_mismatch",
        ),
        (call("list_a"), &[("last-event-id", "7")], 404, "mcp_session_unknown"),
        (call("list_a"), &[("origin", "https://evil.example")], 403, "mcp_origin"),
        // A name that was led here: the page and where it calls are the same.
        (
            call("list_a"),
            &[("origin", "https://evil.example"), (":authority", "evil.example")],
            403,
            "mcp_origin",
        ),
        (call("list_a"), &[("mcp-protocol-version", "2031-01-01")], 400, "mcp_version_unknown"),
        (call("list_a"), &[("mcp-method", "tools/list")], 400, "mcp_header_mismatch"),
        (call("list_a"), &[("mcp-name", "list_b")], 400, "mcp_header_mismatch"),
        (call("list_a"), &[("mcp-session-id", "forged")], 404, "mcp_session_unknown"),
        (call("list_a"), &[("content-encoding", "gzip")], 415, "encoding_unsupported"),
        (call("list_a"), &[("authorization", "Bearer x.y.z")], 401, "token_malformed"),
    ] {
        let (host, forwarded) = sends(&body, more);
        let (told, answer, refusal) = refused(&host);
        assert_eq!((forwarded, told, &*refusal), (false, status, code), "{body} {more:?}");
        if code == "unknown_path" {
            continue;
        }
        assert_eq!(answer["jsonrpc"], "2.0", "clients of MCP read nothing else: {answer}");
        let row = row(&host);
        assert_eq!((row.kind, row.outcome), (Kind::Mcp, Outcome::Denied), "{body}");
    }
}

#[test]
fn a_message_that_is_too_large_is_refused_before_it_is_whole() {
    let host = posts(&call("list_a"), &[]);
    let mut exchange = under(&host, policy());

    assert_eq!(exchange.request_headers(&host, false), Verdict::Hold);
    assert_eq!(exchange.request_body(&host, 4 * 1024 * 1024 + 1, false), Verdict::Hold);

    assert_eq!((refused(&host).0, &*refused(&host).2), (413, "mcp_message_too_large"));
}
