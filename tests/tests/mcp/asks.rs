//! Messages that can be read in two ways, and what a server asks of its clients.

use super::{BEHIND, refused, run};
use e2e::mcp::gated::{Agent, messages, reply};
use e2e::mcp::raw::events;
use e2e::mcp::standin::script::Script;
use e2e::world::ANN;
use serde_json::{Value, json};

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        let script = Script::new();
        let mut sources = Vec::new();
        let params = json!({ "name": "echo", "arguments": script.arguments() });
        let message =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let arguments = script.arguments().to_string();
        let twice = |members: &str| {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{members},"arguments":{arguments}}}}}"#
            );
            ann.post(&message).body(body)
        };
        let legacy = || ann.asks("tools/call", &params);
        let modern = || ann.modern("tools/call", &params);
        for (call, status, code) in [
            (ann.post(&json!([message])), 400, "mcp_batch"),
            (ann.post(&json!([])), 400, "mcp_batch"),
            (twice(r#""name":"echo","name":"tool_020""#), 400, "body_duplicate"),
            (twice(r#""name":"echo","Name":"tool_020""#), 400, "body_duplicate"),
            (legacy().header("mcp-name", "tool_020"), 400, "mcp_header_mismatch"),
            (modern().without("mcp-name"), 400, "mcp_header_mismatch"),
            (
                modern().without("mcp-name").header("mcp-name", "tool_001"),
                400,
                "mcp_header_mismatch",
            ),
            (modern().without("mcp-method"), 400, "mcp_header_mismatch"),
            (modern().header("mcp-param-region", "Bern"), 400, "mcp_header_mismatch"),
            (
                legacy()
                    .without("mcp-protocol-version")
                    .header("mcp-protocol-version", "2031-01-01"),
                400,
                "mcp_version_unknown",
            ),
            (legacy().header("mcp-protocol-version", "2025-11-25"), 400, "header_twice"),
            (legacy().header("mcp-session-id", &ann.session), 400, "header_twice"),
            (legacy().header("origin", "https://evil.example"), 403, "mcp_origin"),
            (ann.post(&json!({ "id": 1, "method": "ping" })), 400, "mcp_message_malformed"),
            (ann.asks("tools/steal", &script.params()), 200, "mcp_method_closed"),
        ] {
            let answer = refused(world, call, &script, code).await;
            sources.push(answer.source);
            assert_eq!(answer.status, status, "{code}: {}", answer.text());
            assert_eq!(answer.json()["jsonrpc"], "2.0", "{code}");
            if code == "mcp_version_unknown" {
                let supported = answer.json()["error"]["data"]["supported"].to_string();
                assert!(supported.contains("2026-07-28"), "{supported}");
            }
        }
        super::denied(world, &sources).await;
    });
}

fn sampling() -> Value {
    json!({ "method": "sampling/createMessage", "params": { "maxTokens": 5, "messages": [
        { "role": "user", "content": { "type": "text", "text": "SAMPLE" } }] } })
}

#[test]
fn what_a_server_asks_is_dropped_where_it_is_closed() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        let mut ask = sampling();
        (ask["jsonrpc"], ask["id"]) = (json!("2.0"), json!(1));
        let log = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "LOG" } });
        let script = Script { before: vec![ask, log], ..Script::new().streamed() };

        let answer = ann.calls("echo", &script.arguments()).send(world).await;

        assert!(reply(&answer)["result"].is_object(), "{}", answer.text());
        assert!(
            !answer.text().contains("LOG") && !answer.text().contains("sampling"),
            "{}",
            answer.text()
        );
        let row = world.row_from(answer.source).await;
        assert!(row.flagged("mcp_messages_dropped"), "{row:#?}");
        let begun = BEHIND.tickets.all().into_iter().filter(|seen| seen.rpc() == "initialize");
        let told: Vec<Value> =
            begun.map(|seen| seen.json["params"]["capabilities"].clone()).collect();
        assert!(told.contains(&json!({})), "a server does not wait for what is closed: {told:?}");
        // The same in the stateless era, where it stands inside of a result.
        let script = Script { asks: vec![sampling()], ..Script::new() };
        let params = json!({ "name": "echo", "arguments": script.arguments() });
        let answer = ann.modern("tools/call", &params).send(world).await;
        assert_eq!(
            reply(&answer)["error"]["data"]["refusal"],
            "mcp_input_closed",
            "{}",
            answer.text()
        );
        let seen = BEHIND.tickets.seen(&script);
        let meta = &seen[0].json["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        assert_eq!(meta, &json!({}), "{}", seen[0].json);
    });
}

#[test]
fn what_a_server_asks_reaches_the_client_where_it_is_open_and_its_answer_the_server() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "open").await;
        let script = Script { asks: vec![sampling()], ..Script::new() };
        let mut open = ann.calls("echo", &script.arguments()).open(world).await.unwrap();
        let mut text = String::new();
        while events(&text).is_empty() {
            text.push_str(&String::from_utf8_lossy(&open.next().await.unwrap()));
        }
        let ask = events(&text).remove(0);
        assert_eq!(ask["method"], "sampling/createMessage");

        let said = json!({ "jsonrpc": "2.0", "id": ask["id"], "result": { "role": "assistant", "model": "m",
            "content": { "type": "text", "text": "sampled here" } } });
        let taken = ann.post(&said).send(world).await;

        assert_eq!(taken.status, 202, "{}", taken.text());
        let rest = open.read().await;
        assert!(rest.text().contains("LLM response: sampled here"), "{}", rest.text());
        // In the stateless era: inside of a result, and with the same call again.
        let params = json!({ "name": "echo", "arguments": script.arguments() });
        let answer = ann.modern("tools/call", &params).send(world).await;
        assert_eq!(
            messages(&answer)[0]["result"]["resultType"],
            "input_required",
            "{}",
            answer.text()
        );
        let mut again = params;
        again["inputResponses"] = json!({ "ask-0": { "role": "assistant", "model": "m", "content": { "type": "text", "text": "twice" } } });
        again["requestState"] = json!("stand-in");
        let answer = ann.modern("tools/call", &again).send(world).await;
        assert!(answer.text().contains("LLM response: twice"), "{}", answer.text());
    });
}
