//! Answers that are none: nothing of a server's that is about the gate reaches a client, and who waits is told.

use super::{BEHIND, key, run};
use e2e::client::answer::Answer;
use e2e::mcp::gated::{Agent, messages, reply};
use e2e::mcp::standin::script::{Fault, Script};
use e2e::world::{ANN, World};
use serde_json::json;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// A call with this script in either era.
async fn called(world: &World, agent: &Agent<'_>, script: &Script, modern: bool) -> Answer {
    let params = json!({ "name": "echo", "arguments": script.arguments() });
    let call = if modern {
        agent.modern("tools/call", &params)
    } else {
        agent.asks("tools/call", &params)
    };

    call.send(world).await
}

/// Each of these calls left one row with this outcome.
async fn all_ended(world: &World, sources: &[Ipv4Addr], outcome: &str) {
    assert!(!sources.is_empty());
    for row in world.row_of_each(sources).await {
        assert_eq!((row.text("kind"), row.text("outcome")), ("mcp", outcome), "{row:#?}");
    }
}

#[test]
fn a_redirection_and_a_401_are_not_the_client_s() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        let mut sources = Vec::new();
        for modern in [false, true] {
            for status in [301, 307, 401] {
                let headers = vec![
                    ("location".to_owned(), "https://evil.example/mcp".to_owned()),
                    (
                        "www-authenticate".to_owned(),
                        "Bearer resource_metadata=\"https://evil.example\"".to_owned(),
                    ),
                ];
                let script = Script { status, headers, ..Script::new().json() };

                let answer = called(world, &ann, &script, modern).await;

                sources.push(answer.source);
                assert_eq!(answer.status, 502, "{}", answer.text());
                assert!(
                    !format!("{:?} {}", answer.headers, answer.text()).contains("evil"),
                    "{answer:?}"
                );
                assert_eq!(reply(&answer)["error"]["data"]["refusal"], "mcp_server_failed");
            }
        }
        all_ended(world, &sources, "error").await;
    });
}

#[test]
fn an_answer_that_is_none_of_mcp_s_is_told_as_an_error_with_the_request_s_id() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        let mut sources = Vec::new();
        for (what, script) in [
            ("compressed", Script { gzip: true, ..Script::new().json() }),
            ("a compressed stream", Script { gzip: true, ..Script::new().streamed() }),
            ("html", Script::new().raw("text/html", "<p>CANARY $ID</p>")),
            ("no json", Script::new().raw("application/json", "CANARY")),
            ("empty", Script::new().raw("application/json", "")),
            ("an empty stream", Script::new().raw("text/event-stream", "")),
            (
                "another's answer",
                Script {
                    answer_id: Some(json!(4711)),
                    text: "CANARY".into(),
                    ..Script::new().json()
                },
            ),
            (
                "another's in a stream",
                Script {
                    answer_id: Some(json!(4711)),
                    text: "CANARY".into(),
                    ..Script::new().streamed()
                },
            ),
            (
                "a batch",
                Script::new().raw(
                    "application/json",
                    r#"[{"jsonrpc":"2.0","id":$ID,"result":{"x":"CANARY"}}]"#,
                ),
            ),
            (
                "twice",
                Script::new().raw(
                    "application/json",
                    r#"{"jsonrpc":"2.0","id":$ID,"result":{},"result":{"x":"CANARY"}}"#,
                ),
            ),
        ] {
            for modern in [false, true] {
                let answer = called(world, &ann, &script, modern).await;

                sources.push(answer.source);
                assert!(!answer.text().contains("CANARY"), "{what}: {}", answer.text());
                assert!(answer.whole, "{what}");
                assert_eq!(
                    reply(&answer)["error"]["data"]["refusal"],
                    "mcp_server_failed",
                    "{what}: {}",
                    answer.text()
                );
            }
        }
        all_ended(world, &sources, "error").await;
    });
}

#[test]
fn a_secret_in_a_result_does_not_come_in_nor_into_the_row() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "leaky").await;
        for modern in [false, true] {
            let params = json!({ "name": "echo", "arguments": {} });
            let call = if modern {
                ann.modern("tools/call", &params)
            } else {
                ann.asks("tools/call", &params)
            };

            let answer = call.send(world).await;

            assert!(!answer.text().contains(&key()), "{}", answer.text());
            assert_eq!(
                reply(&answer)["error"]["data"]["refusal"],
                "secret_found",
                "{}",
                answer.text()
            );
            let row = world.row_from(answer.source).await;
            assert_eq!(
                (row.text("outcome"), row.text("rule_id")),
                ("denied", "no-keys"),
                "{row:#?}"
            );
            assert!(!format!("{row:?}").contains(&key()), "{row:#?}");
        }
        // And none leaves.
        let script = Script::new();
        let arguments = super::with(&script, &json!({ "text": key() }));
        let agent = Agent::begun(world, ANN, "tickets").await;
        super::refused(world, agent.calls("echo", &arguments), &script, "secret_found").await;
    });
}

#[test]
fn a_result_that_is_too_large_is_told_and_not_let_through() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        let mut sources = Vec::new();
        for sse in [false, true] {
            for modern in [false, true] {
                let fits = Script { size: 150_000, sse: Some(sse), ..Script::new() };
                let answer = called(world, &ann, &fits, modern).await;
                assert!(reply(&answer)["result"].is_object(), "{sse} {modern}: {}", answer.status);
                let large = Script { size: 3_000_000, sse: Some(sse), ..Script::new() };

                let answer = called(world, &ann, &large, modern).await;

                sources.push(answer.source);
                let refusal = &reply(&answer)["error"]["data"]["refusal"];
                assert_eq!(refusal, "result_too_large", "{sse} {modern}: {}", answer.status);
                assert!(answer.body.len() < 10_000 && answer.whole, "{}", answer.body.len());
            }
        }
        all_ended(world, &sources, "denied").await;
    });
}

#[test]
fn who_waits_for_a_server_that_breaks_off_is_told_or_cut() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        let mut sources = Vec::new();
        for (what, script) in [
            ("before its headers", Script::new().fault(Fault::Reset)),
            ("in json", Script::new().json().fault(Fault::ResetAfter(20))),
            ("in an event", Script::new().streamed().fault(Fault::ResetAfter(30))),
            ("too early", Script::new().streamed().fault(Fault::EndAfter(30))),
            ("in json, in good order", Script::new().json().fault(Fault::EndAfter(20))),
        ] {
            for modern in [false, true] {
                let begun = Instant::now();
                let answer = called(world, &ann, &script, modern).await;

                sources.push(answer.source);
                assert!(begun.elapsed() < Duration::from_secs(15), "{what}: {:?}", begun.elapsed());
                let told = messages(&answer).iter().any(|message| message["error"].is_object());
                assert!(told || !answer.whole, "{what}: {} {}", answer.status, answer.text());
                assert!(!answer.text().contains("fine"), "{what}");
                assert_eq!(
                    BEHIND.tickets.seen(&script).len(),
                    if modern { 2 } else { 1 },
                    "{what}: a call is not tried again"
                );
            }
        }
        all_ended(world, &sources, "error").await;
    });
}

#[test]
fn who_leaves_a_server_that_hangs_leaves_a_row() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        for script in [
            Script::new().fault(Fault::Hang),
            Script::new().streamed().fault(Fault::SilentAfter(30)),
        ] {
            let call = ann.calls("echo", &script.arguments());
            let source = call.source;

            call.leave_after(world, Duration::from_millis(700)).await;

            let row = world.row_from(source).await;
            assert_eq!((row.text("kind"), row.number("complete")), ("mcp", Some(0)), "{row:#?}");
            assert!(row.flagged("client_gone"), "{row:#?}");
        }
    });
}

#[test]
fn what_envoy_itself_says_a_client_of_mcp_can_read() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        for modern in [false, true] {
            let script = Script::new().fault(Fault::Reset);
            let away = called(world, &ann, &script, modern).await;
            // A server of the policy's that Envoy has no route to.
            let unrouted = called(world, &Agent::of(world, ANN, "unrouted"), &script, modern).await;

            for (answer, status) in [(away, 529), (unrouted, 404)] {
                assert_eq!(answer.status, status, "{}", answer.text());
                let error = reply(&answer)["error"].clone();
                assert_eq!(error["code"], -32000, "{error}");
                assert!(error["data"]["request_id"].is_string(), "{error}");
                world.row_from(answer.source).await;
            }
        }
    });
}
