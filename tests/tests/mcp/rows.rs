//! What a call leaves behind: its row, whom it follows from, and the questions that the documents say can be asked.

use super::{BEHIND, run, with};
use e2e::client::body;
use e2e::mcp::gated::{Agent, token};
use e2e::mcp::standin::script::Script;
use e2e::provider::script::{Script as ModelScript, Tool};
use e2e::world::{ANN, World};
use serde_json::{Value, json};
use sqlx::Row as _;
use std::time::{Duration, Instant};

#[test]
fn a_row_has_server_tool_digests_and_sizes_and_what_was_said_without_its_secrets() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        let script = Script { text: "told".into(), ..Script::new() };
        let arguments = with(&script, &json!({ "password": "hunter2hunter2", "n": 1.0 }));

        let answer = ann.calls("tool_030", &arguments).send(world).await;

        let row = world.row_from(answer.source).await;
        let payload = &row.payload;
        assert_eq!((row.text("kind"), row.text("outcome")), ("mcp", "allowed"), "{row:#?}");
        assert_eq!((row.text("user_id"), row.text("tenant_id")), (ANN, "acme"));
        assert_eq!((row.text("rule_id"), row.number("complete")), ("tickets", Some(1)));
        assert_eq!(
            (&payload["mcp_server"], &payload["tool"]),
            (&json!("tickets"), &json!("tool_030"))
        );
        assert_eq!(payload["findings"][0]["action"], "ask", "{row:#?}");
        let mcp = &payload["mcp"];
        assert_eq!(
            (&mcp["method"], &mcp["protocol"]),
            (&json!("tools/call"), &json!("2025-11-25"))
        );
        let digest = contract::canonical::digest(arguments.to_string().as_bytes()).unwrap();
        assert_eq!(mcp["arguments_sha256"], contract::envelope::hex(&digest));
        assert_eq!(mcp["result_sha256"].as_str().map(str::len), Some(64), "{mcp}");
        let seen = BEHIND.tickets.seen(&script);
        assert_eq!(mcp["request_bytes"], seen[0].body.len());
        assert!(mcp["answer_bytes"].as_u64().unwrap() > 50, "{mcp}");
        let content = &payload["content"];
        assert_eq!(content["mode"], "redacted");
        assert!(content["input"][0]["text"].as_str().unwrap().contains("\"n\":1.0"), "{content}");
        assert!(content["output"][0]["text"].as_str().unwrap().contains("told"), "{content}");
        let silent = Agent::begun(world, ANN, "open").await;
        let answer = silent.calls("echo", &script.arguments()).send(world).await;
        let row = world.row_from(answer.source).await;
        assert_eq!(row.payload["content"], Value::Null, "by the server's entry: {row:#?}");
    });
}

#[test]
fn what_only_keeps_the_protocol_going_leaves_no_row() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        let ping = ann.asks("ping", &json!({})).send(world).await;
        let told = ann.post(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } }));
        let told = told.send(world).await;
        let list = ann.asks("tools/list", &json!({})).send(world).await;

        assert_eq!((ping.status, told.status), (200, 202), "{} {}", ping.text(), told.text());
        world.row_from(list.source).await;
        assert!(world.rows_from(ping.source, 0).await.is_empty());
        assert!(world.rows_from(told.source, 0).await.is_empty());
    });
}

/// The statements of a document.
pub(crate) fn statements(text: &str) -> Vec<&str> {
    text.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// The sidecar's own, for whoever asks what the documents say can be asked.
pub(crate) async fn database(world: &World) -> sqlx::SqlitePool {
    let path = world.place.join("data/tollgate.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).read_only(true);

    sqlx::SqlitePool::connect_with(options).await.unwrap()
}

async fn linked(world: &World, pool: &sqlx::SqlitePool, event: &str) -> (String, String) {
    let end = Instant::now() + Duration::from_secs(15);
    loop {
        let row =
            sqlx::query("SELECT parent_event_id, trace_id FROM audit_lineage WHERE event_id = ?")
                .bind(event)
                .fetch_one(pool)
                .await
                .unwrap();
        let parent: Option<String> = row.get(0);
        let trace: Option<String> = row.get(1);
        if let Some(parent) = parent {
            return (parent, trace.unwrap_or_default());
        }
        assert!(Instant::now() < end, "no parent\n{}", world.logs());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[test]
fn a_call_follows_from_the_model_s_answer_that_asked_for_it() {
    run(async |world| {
        let dora = "dora@example.com";
        let agent = Agent::begun(world, dora, "tickets").await;
        let script = Script::new();
        let arguments = with(&script, &json!({ "text": "of the model" }));
        let tools = vec![Tool::new("toolu_m1", "mcp__tickets__echo", &arguments.to_string())];
        let model = ModelScript { tools, ..ModelScript::new() };
        let mut asked = body(&model);
        asked["tools"] = json!([{ "name": "mcp__tickets__echo", "description": "d", "input_schema": { "type": "object" } }]);
        let said = world.call(&model).json(&asked).bearer(&token(world, dora)).send(world).await;
        assert_eq!(said.status, 200, "{}", said.text());
        let parent = world.row_from(said.source).await;
        assert!(parent.payload["tool_uses"][0]["input_sha256"].is_string(), "{parent:#?}");

        let answer = agent.calls("echo", &arguments).send(world).await;

        assert_eq!(answer.status, 200, "{}", answer.text());
        let row = world.row_from(answer.source).await;
        let pool = database(world).await;
        let (found, trace) = linked(world, &pool, row.text("event_id")).await;
        assert_eq!(found, parent.text("event_id"));
        assert_eq!(trace, parent.text("trace_id"), "and is of the same trace");
        // What docs/audit.md says can be asked.
        let text = include_str!("../../../docs/audit.md");
        let found: Vec<&str> =
            statements(text).into_iter().filter(|sql| sql.contains("mcp_server")).collect();
        assert_eq!(found.len(), 1);
        let question = found[0].rsplit_once(";\n\n").map_or(found[0], |(_, last)| last);
        let question = question.replace("jane@example.com", dora).replace("'researcher'", "''");
        let rows = sqlx::query(&question).fetch_all(&pool).await.unwrap();
        let calls: Vec<(Option<String>, Option<String>, String, i64)> =
            rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(4))).collect();
        let expected =
            (Some("tickets".to_owned()), Some("echo".to_owned()), "allowed".to_owned(), 1);
        assert!(calls.contains(&expected), "{calls:?}");
    });
}
