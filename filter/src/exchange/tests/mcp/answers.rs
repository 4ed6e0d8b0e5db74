//! What comes back, as far as this caller may see it.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Sends a message and brings back this answer in pieces of so many bytes: what the client gets, and the row.
pub(super) struct Round {
    pub(super) host: FakeHost,
    pub(super) got: String,
    pub(super) replaced: bool,
}

pub(super) fn round(
    policy: Value,
    asked: &Value,
    headers: &[(&str, &str)],
    answer: &str,
    size: usize,
) -> Round {
    round_with(policy, asked, &[], headers, answer, size)
}

fn round_with(
    policy: Value,
    asked: &Value,
    more: &[(&str, &str)],
    headers: &[(&str, &str)],
    answer: &str,
    size: usize,
) -> Round {
    let host = posts(asked, more);
    let mut exchange = under(&host, policy);
    assert!(matches!(asks(&host, &mut exchange), Verdict::Forward(_)), "{asked}");
    host.put_headers(Map::Response, headers);
    let replaced = exchange.response_headers(&host, false) == Passage::Replaced;
    let mut got = Vec::new();
    if !replaced {
        let mut held = Vec::new();
        let pieces: Vec<&[u8]> = answer.as_bytes().chunks(size.max(1)).collect();
        for (nth, piece) in pieces.iter().enumerate() {
            held.extend_from_slice(piece);
            host.bodies.borrow_mut().insert(Body::Response, held.clone());
            let passage = exchange.response_body(&host, held.len(), nth + 1 == pieces.len());
            if passage == Passage::Pass {
                got.extend(std::mem::take(
                    host.bodies.borrow_mut().get_mut(&Body::Response).unwrap(),
                ));
                held.clear();
            }
        }
    }
    let status = host.header(Map::Response, ":status").and_then(|status| status.parse().ok());
    ends(&host, status.unwrap_or_default(), "via_upstream", 0);
    exchange.finished(&host);

    Round { host, got: String::from_utf8(got).unwrap(), replaced }
}

pub(super) const JSON: [(&str, &str); 2] =
    [(":status", "200"), ("content-type", "application/json")];
pub(super) const STREAM: [(&str, &str); 2] =
    [(":status", "200"), ("content-type", "text/event-stream")];

pub(super) fn lists() -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"})
}

fn tools() -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "result": {"nextCursor": "2", "tools": [
        {"name": "refund", "description": "SECRET"}, {"name": "list_a", "inputSchema": {"type": "object"}},
        {"name": "list_secrets"}, {"Name": "list_b", "name": "refund"}, "list_c", {"name": "note"}]}})
}

pub(super) fn names(text: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(text).unwrap();
    let tools = answer["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_list_shows_what_its_caller_may_use_and_goes_on_to_its_next_page() {
    let Round { host, got, .. } = round(policy(), &lists(), &JSON, &tools().to_string(), 40);

    assert_eq!(names(&got), ["list_a", "note"]);
    assert!(got.contains(r#""nextCursor":"2""#) && !got.contains("SECRET"), "{got}");
    let row = row(&host);
    assert_eq!(row.payload.mcp.unwrap().hidden, 4);
    assert_eq!((row.outcome, row.complete), (Outcome::Allowed, true));
}

#[test]
fn in_a_stream_every_message_is_looked_at_wherever_it_is_cut() {
    let progress =
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}});
    let ends = ["\n", "\r\n", "\r"];
    for end in ends {
        let pretty = serde_json::to_string_pretty(&tools()).unwrap();
        let lines: Vec<String> = pretty.lines().map(|line| format!("data:{line}{end}")).collect();
        let stream = format!(
            "\u{feff}: hello{end}{end}id: 1{end}data: {end}{end}data: {progress}{end}{end}event: message{end}id: 2{end}{}{end}",
            lines.concat()
        );
        for size in [1, 2, 3, 7, 64, stream.len()] {
            let Round { got, .. } = round(policy(), &lists(), &STREAM, &stream, size);
            let events: Vec<&str> = got.split("\n\n").collect();
            assert_eq!(
                &events[..3],
                &[":", "id: 1\ndata: ", &format!("data: {progress}")],
                "{got}"
            );
            let list = events[3].strip_prefix("event: message\nid: 2\ndata: ").unwrap();
            assert_eq!(names(list), ["list_a", "note"], "{size} {end:?}");
            assert!(!got.contains("SECRET"));
        }
    }
}

#[test]
fn what_some_readers_end_a_line_at_hides_no_message() {
    let evil = tools().to_string();
    let hidden = format!(
        ": x\u{2028}\u{2028}data: {evil}\u{2028}\u{2028}\n\nretry: 1\u{85}data: {evil}\n\n"
    );
    let inside = json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": [], "x": format!("\u{2028}\u{2028}data: {evil}\u{2028}\u{2028}")}});

    let Round { got, .. } =
        round(policy(), &lists(), &STREAM, &format!("{hidden}data: {inside}\n\n"), 9);

    assert!(!got.contains('\u{2028}') && !got.contains('\u{85}'), "{got}");
    for line in got.split(['\n', '\u{2028}', '\u{85}', '\u{b}', '\u{c}', '\u{1c}']) {
        assert!(
            !line.starts_with("data: {\"id\":7,\"jsonrpc\":\"2.0\",\"result\":{\"nextCursor\""),
            "{line}"
        );
    }
}

#[test]
fn no_result_keeps_a_list_by_standing_there_twice_or_in_another_case() {
    for answer in [
        r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[],"tools":[{"name":"refund","description":"SECRET"}]}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"Tools":[{"name":"refund","description":"SECRET"}]}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{},"result":{"tools":[{"name":"refund","description":"SECRET"}]}}"#,
        r#"{"jsonrpc":"2.0","id":7,"Result":{"tools":[{"name":"refund","description":"SECRET"}]}}"#,
        r#"[{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"refund","description":"SECRET"}]}}]"#,
        r#"{"jsonrpc":"2.0","id":8,"result":{"tools":[{"name":"refund","description":"SECRET"}]}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"tools":{"name":"refund","description":"SECRET"}}}"#,
        "SECRET",
    ] {
        for (headers, text) in [(JSON, answer.to_owned()), (STREAM, format!("data: {answer}\n\n"))]
        {
            let Round { host, got, .. } = round(policy(), &lists(), &headers, &text, 11);
            assert!(!got.contains("SECRET"), "{got}");
            assert!(got.contains("mcp_server_failed"), "{answer}: who asked is told: {got}");
            assert_eq!(row(&host).outcome, Outcome::Error, "{answer}");
        }
    }
}

#[test]
fn resources_and_prompts_are_listed_as_far_as_they_are_open() {
    let answer = json!({"jsonrpc": "2.0", "id": 7, "result": {
        "resources": [{"uri": "stripe://prices/eu", "name": "a"}, {"uri": "stripe://keys", "name": "SECRET"}],
        "resourceTemplates": [{"uriTemplate": "stripe://prices/{x}"}, {"uriTemplate": "file:///{path}", "name": "SECRET"}],
        "prompts": [{"name": "greet"}, {"name": "SECRET"}]}});

    let Round { got, .. } = round(policy(), &lists(), &JSON, &answer.to_string(), 1000);

    let kept: Value = serde_json::from_str(&got).unwrap();
    for (list, count) in [("resources", 1), ("resourceTemplates", 1), ("prompts", 1)] {
        assert_eq!(kept["result"][list].as_array().unwrap().len(), count, "{list}");
    }
    assert!(!got.contains("SECRET"));
}

#[test]
fn nobody_keeps_a_list_that_another_one_may_not_see() {
    let mut answer = tools();
    answer["result"]["ttlMs"] = json!(60_000);
    answer["result"]["cacheScope"] = json!("public");

    let Round { got, .. } = round(policy(), &lists(), &JSON, &answer.to_string(), 1000);

    let kept: Value = serde_json::from_str(&got).unwrap();
    assert_eq!(
        (&kept["result"]["ttlMs"], &kept["result"]["cacheScope"]),
        (&json!(0), &json!("private"))
    );
}

#[test]
fn what_a_server_asks_of_a_client_is_closed_until_it_is_opened() {
    let asks = json!({"jsonrpc": "2.0", "id": 0, "method": "sampling/createMessage", "params": {"x": "SAMPLE"}});
    let tells =
        json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "LOG"}});
    let answer = json!({"jsonrpc": "2.0", "id": 7, "result": {"content": []}});
    let stream = format!("id: 1\ndata: {asks}\n\ndata: {tells}\n\ndata: {answer}\n\n");
    let mut open = policy();
    open["servers"][0]["gateway"]["also"] = json!(["sampling", "logging"]);

    let closed = round(policy(), &call("list_a"), &STREAM, &stream, 10);
    let opened = round(open, &call("list_a"), &STREAM, &stream, 10);

    assert!(!closed.got.contains("SAMPLE") && !closed.got.contains("LOG"), "{}", closed.got);
    assert!(
        closed.got.starts_with("id: 1\ndata: \n\n"),
        "where it is taken up again: {}",
        closed.got
    );
    assert!(closed.got.contains(r#""content""#));
    assert_eq!(row(&closed.host).payload.flags, ["mcp_messages_dropped"]);
    assert!(opened.got.contains("SAMPLE") && opened.got.contains("LOG"), "{}", opened.got);
}

#[test]
fn what_a_server_asks_inside_of_a_result_is_closed_as_well() {
    let answer = json!({"jsonrpc": "2.0", "id": 7, "result": {"resultType": "input_required", "requestState": "s",
        "inputRequests": {"a": {"method": "elicitation/create", "params": {"message": "your password?"}}}}});
    let mut call = stateless("list_charges");
    call["id"] = json!(7);
    let mut open = policy();
    open["servers"][0]["gateway"]["also"] = json!(["elicitation"]);

    let closed = round_with(policy(), &call, &STATELESS, &JSON, &answer.to_string(), 1000);
    let opened = round_with(open, &call, &STATELESS, &JSON, &answer.to_string(), 1000);

    assert!(
        !closed.got.contains("password") && closed.got.contains("mcp_input_closed"),
        "{}",
        closed.got
    );
    assert_eq!(row(&closed.host).outcome, Outcome::Denied);
    assert_eq!(opened.got, answer.to_string(), "and nothing of it is changed");
}

#[test]
fn a_result_that_is_open_goes_on_as_it_is_and_stands_in_the_row() {
    let answer = r#"{ "id":7, "result":{"content":[{"type":"text","text":"1.0"}],"isError":true},"jsonrpc":"2.0"}"#;

    let Round { host, got, .. } = round(policy(), &call("list_a"), &JSON, answer, 5);

    assert_eq!(got, answer, "byte for byte");
    let row = row(&host);
    let call = row.payload.mcp.unwrap();
    assert!(call.is_error);
    assert_eq!((call.answer_bytes, call.request_bytes > 0), (answer.len() as u64, true));
    assert!(call.result_sha256.is_some());
    let content = serde_json::to_value(row.payload.content.unwrap()).unwrap();
    assert_eq!(content["output"][0]["type"], "tool_result");
    assert!(content["output"][0]["text"].as_str().unwrap().contains("1.0"));
}

#[test]
fn a_secret_in_a_result_does_not_come_in() {
    let mut watched = policy();
    watched["secrets"] =
        json!([{"id": "keys", "patterns": ["*"], "action": "deny", "severity": "high"}]);
    let key = format!("ghp_{}", "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF2hJ5".get(..36).unwrap());
    let answer =
        json!({"jsonrpc": "2.0", "id": 7, "result": {"content": [{"type": "text", "text": key}]}})
            .to_string();
    for (headers, text) in [(JSON, answer.clone()), (STREAM, format!("data: {answer}\n\n"))] {
        let Round { host, got, .. } = round(watched.clone(), &call("list_a"), &headers, &text, 20);
        assert!(!got.contains("ghp_") && got.contains("secret_found"), "{got}");
        let record = host.record().unwrap();
        assert!(!record.contains("ghp_aB"), "nor into the row: {record}");
        let row = row(&host);
        assert_eq!((row.outcome, row.rule_id.as_deref()), (Outcome::Denied, Some("keys")));
        assert_eq!(row.payload.refusal.as_deref(), Some("secret_found"));
    }
}

#[test]
fn a_result_that_is_too_large_is_not_held_and_does_not_pass() {
    let mut small = policy();
    small["servers"][0]["gateway"]["largest_result"] = json!(2000);
    let answer =
        json!({"jsonrpc": "2.0", "id": 7, "result": {"content": "x".repeat(9000)}}).to_string();
    let stream = format!("data: {answer}\n\ndata: {}\n\n", answer.replace('7', "8"));
    for (headers, text) in [(JSON, answer.clone()), (STREAM, stream)] {
        let Round { host, got, .. } = round(small.clone(), &call("list_a"), &headers, &text, 500);
        assert!(got.contains("result_too_large") && !got.contains("xxxx"), "{got}");
        assert_eq!(got.matches("result_too_large").count(), 1);
        assert_eq!(row(&host).payload.refusal.as_deref(), Some("result_too_large"));
    }
}

#[test]
fn an_answer_that_leads_elsewhere_or_cannot_be_read_is_none() {
    for headers in [
        &[
            (":status", "307"),
            ("location", "https://evil.example/mcp"),
            ("content-type", "application/json"),
        ][..],
        &[
            (":status", "401"),
            ("www-authenticate", "Bearer resource_metadata=\"https://evil.example\""),
            ("content-type", "application/json"),
        ],
        &[(":status", "200"), ("content-type", "application/json"), ("content-encoding", "gzip")],
        &[(":status", "200"), ("content-type", "text/html")],
        &[(":status", "200")],
        &[(":status", "200"), ("content-type", "application/json"), ("mcp-session-id", "a b")],
    ] {
        let Round { host, replaced, .. } = round(policy(), &call("list_a"), headers, "SECRET", 10);
        assert!(replaced, "{headers:?}");
        let (status, body, code) = refused(&host);
        assert_eq!(
            (status, &*code, &body["id"]),
            (502, "mcp_server_failed", &json!(7)),
            "{headers:?}"
        );
        let reply = &host.replies.borrow()[0];
        assert!(
            !reply
                .headers
                .iter()
                .any(|(name, _)| ["location", "www-authenticate"].contains(&name.as_str()))
        );
    }
}

#[test]
fn where_the_server_is_away_the_client_reads_why_in_its_own_words() {
    let headers = [(":status", "529"), ("content-type", "application/json")];
    let answer = r#"{"type":"error","error":{"type":"overloaded_error","message":"The model's provider cannot be reached. Try again shortly."}}"#;

    let Round { got, .. } = round(policy(), &call("list_a"), &headers, answer, 1000);

    let said: Value = serde_json::from_str(&got).unwrap();
    assert_eq!((&said["id"], &said["jsonrpc"]), (&json!(7), &json!("2.0")));
    assert_eq!(said["error"]["message"], "The MCP server cannot be reached. Try again shortly.");
}

#[test]
fn of_an_error_in_another_form_nothing_is_passed_on() {
    let html = [(":status", "403"), ("content-type", "text/html")];
    let bare = [(":status", "400"), ("content-type", "application/json")];
    let asks = json!({"jsonrpc": "2.0", "id": 7, "error": {"code": -32042, "message": "m",
        "data": {"elicitations": [{"url": "https://evil.example/SECRET"}]}}});
    for (headers, text, said) in [
        (&html[..], "<p>SECRET</p>".to_owned(), "status 403"),
        (&bare, r#"{"tools":[{"name":"refund","description":"SECRET"}]}"#.to_owned(), "status 400"),
        (&JSON, asks.to_string(), "mcp_input_closed"),
    ] {
        let Round { got, .. } = round(policy(), &call("list_a"), headers, &text, 9);
        assert!(!got.contains("SECRET") && got.contains(said), "{got}");
        assert_eq!(serde_json::from_str::<Value>(&got).unwrap()["id"], json!(7));
    }
}

#[test]
fn of_headers_only_those_of_the_protocol_come_back() {
    let headers = [
        (":status", "200"),
        ("content-type", "application/json"),
        ("content-length", "99"),
        ("set-cookie", "a=b"),
        ("server", "x"),
        ("x-internal", "y"),
        ("mcp-session-id", "s1"),
        ("retry-after", "1"),
    ];
    let answer = json!({"jsonrpc": "2.0", "id": 7, "result": {}}).to_string();

    let Round { host, .. } = round(policy(), &call("list_a"), &headers, &answer, 1000);

    for gone in ["set-cookie", "server", "x-internal", "content-length"] {
        assert_eq!(host.header(Map::Response, gone), None, "{gone}");
    }
    assert_eq!(host.header(Map::Response, "retry-after").as_deref(), Some("1"));
    assert!(host.header(Map::Response, "mcp-session-id").unwrap().starts_with("s1."));
}

#[test]
fn whichever_host_call_fails_nothing_that_is_hidden_comes_through() {
    for (headers, text) in [
        (JSON, tools().to_string()),
        (STREAM, format!("data: {}\n\ndata: {}\n\n", tools(), tools())),
    ] {
        for fails in 1..60 {
            let host = posts(&lists(), &[]);
            let mut exchange = under(&host, policy());
            assert!(matches!(asks(&host, &mut exchange), Verdict::Forward(_)));
            host.put_headers(Map::Response, &headers);
            host.calls.borrow_mut().clear();
            host.fails.set(Some(fails));
            if exchange.response_headers(&host, false) != Passage::Pass {
                continue;
            }
            host.bodies.borrow_mut().insert(Body::Response, text.clone().into_bytes());
            let passage = exchange.response_body(&host, text.len(), true);
            let got = String::from_utf8(host.bodies.borrow()[&Body::Response].clone()).unwrap();
            assert!(passage != Passage::Pass || !got.contains("SECRET"), "call {fails}: {got}");
        }
    }
}
