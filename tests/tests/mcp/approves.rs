//! A call that somebody else has to approve of.

use super::{BEHIND, refused, run, with};
use e2e::mcp::gated::{Agent, messages, reply};
use e2e::mcp::standin::script::Script;
use e2e::world::{ANN, World};
use serde_json::{Value, json};
use sqlx::Row as _;
use std::time::{Duration, Instant};

/// The id of the request that waits for this tool's call.
async fn waiting(world: &World, reason: &str) -> String {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let list = world.tollgate(&["--json", "approval", "list"]).unwrap_or_default();
        let found = list
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|request| request.to_string().contains(reason))
            .and_then(|request| {
                Some(request["id"].as_str().or(request["approval_id"].as_str())?.to_owned())
            });
        if let Some(id) = found {
            return id;
        }
        assert!(Instant::now() < end, "nobody asks: {list}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn without_an_approval_the_model_reads_how_to_ask_for_one() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        let script = Script::new();
        let call = ann.calls("tool_090", &script.arguments());

        let answer = refused(world, call, &script, "approval_required").await;
        let row = super::denied(world, &[answer.source]).await.remove(0);

        let result = reply(&answer)["result"].clone();
        assert_eq!((answer.status, &result["isError"]), (200, &json!(true)), "{result}");
        let text = result["content"][0]["text"].as_str().unwrap();
        for word in ["request_approval", "approvals", "tickets", "tool_090"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert_eq!(row.payload["tool"], "tool_090");
    });
}

#[test]
fn what_a_person_approved_passes_once() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        let asks = Agent::of(world, ANN, "approvals");
        let script = Script::new();
        let arguments = with(&script, &json!({ "text": "close it", "n": 1 }));
        let other = with(&script, &json!({ "text": "close it", "n": 2 }));
        refused(world, ann.calls("tool_090", &arguments), &script, "approval_required").await;

        let wish = json!({ "server": "tickets", "tool": "tool_090", "arguments": arguments, "reason": "the whole round" });
        let call = asks.calls("request_approval", &wish);
        let asked = async { call.send(world).await };
        let decided = async {
            let id = waiting(world, "the whole round").await;
            world.tollgate(&["approval", "approve", &id, "--note", "CHG-1"]).unwrap();
            id
        };
        let (asked, id) = tokio::join!(asked, decided);

        assert_eq!(asked.status, 200, "{}", asked.text());
        let told = messages(&asked).pop().unwrap().to_string();
        assert!(told.contains("approved") && told.contains(&id), "{told}");
        refused(world, ann.calls("tool_090", &other), &script, "approval_required").await;
        let passed = ann.calls("tool_090", &arguments).send(world).await;
        assert!(reply(&passed)["result"]["isError"].is_null(), "{}", passed.text());
        assert_eq!(BEHIND.tickets.seen(&script).len(), 1);
        let again = ann.calls("tool_090", &arguments).send(world).await;
        assert_eq!(again.header("x-tollgate-refusal"), "approval_required", "{}", again.text());
        assert_eq!(BEHIND.tickets.seen(&script).len(), 1, "once");
        let row = world.row_from(passed.source).await;
        assert_eq!(row.payload["mcp"]["approval"], id, "{row:#?}");
        // Who was consulted before this call, as docs/approvals.md has it asked.
        let text = include_str!("../../../docs/approvals.md");
        let question = super::rows::statements(text)[0].replace(":action", "?");
        let pool = super::rows::database(world).await;
        let found =
            sqlx::query(&question).bind(row.text("event_id")).fetch_all(&pool).await.unwrap();
        assert_eq!(found.len(), 1, "one decision");
        let decided: (Option<String>, Option<String>) = (found[0].get(1), found[0].get(3));
        assert_eq!(decided, (Some("approved".to_owned()), Some("tool_090".to_owned())));
        let row = world.row_from(asked.source).await;
        assert_eq!(
            (row.text("kind"), &row.payload["mcp_server"]),
            ("mcp", &json!("approvals")),
            "{row:#?}"
        );
    });
}
