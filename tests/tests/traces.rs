//! What was said, by whom, because of what: content and lineage as an agent's loop leaves them, and
//! the proof that no row is missing and none was changed.

use e2e::client::{Call, body};
use e2e::provider::script::{Script, Tool};
use e2e::suite::{Suite, alone};
use e2e::world::World;
use e2e::world::setup::Setup;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

static SUITE: Suite = Suite::new(|| Setup::named("traces"));

const KEY: &str = "sk-ant-api03-canary-0123456789abcdefghij";

/// A turn of a conversation: what was said before it, and what is said now.
fn turn(world: &World, script: &Script, session: &str, before: &[Value], now: &Value) -> Call {
    let mut messages = before.to_vec();
    messages.push(json!({"role": "user", "content": now}));
    let mut body = body(script);
    body["messages"] = messages.into();

    world.call(script).json(&body).header("x-claude-code-session-id", session)
}

fn result_of(ids: &[&str]) -> Value {
    let results =
        ids.iter().map(|id| json!({"type": "tool_result", "tool_use_id": id, "content": "done"}));

    results.collect()
}

fn called(id: &str, name: &str) -> Value {
    json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": name, "input": {}}]})
}

/// Waits until the command says what is expected, and returns what it said.
async fn until(world: &World, arguments: &[&str], holds: impl Fn(&str) -> bool) -> String {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let said = world.tollgate(arguments).unwrap_or_default();
        if holds(&said) {
            return said;
        }
        assert!(Instant::now() < end, "{arguments:?}: {said}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[test]
fn a_row_keeps_the_turn_that_is_new_with_its_secrets_masked() {
    SUITE.run(async |world| {
        for streamed in [false, true] {
            let tools = vec![Tool::new("toolu_c1", "Bash", r#"{"command":"ls -l"}"#)];
            let script = Script { tools, words: 2, ..Script::new() };
            let before = [
                json!({"role": "user", "content": "an earlier turn"}),
                json!({"role": "assistant", "content": "an earlier answer"}),
            ];
            let now = json!([
                {"type": "text", "text": format!("my key is {KEY} ok?")},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGFsbG8="}},
            ]);
            let call = turn(world, &script, "content", &before, &now);
            let call = if streamed { call.streamed() } else { call };
            let answer = call.send(world).await;

            let row = world.row_from(answer.source).await;

            let content = &row.payload["content"];
            assert_eq!(content["mode"], "redacted", "unless the policy says otherwise: {row:#?}");
            assert_eq!(content["input"][0]["text"], "my key is [anthropic_key] ok?");
            let image = &content["input"][1];
            assert_eq!((&image["type"], &image["kind"]), (&"blob".into(), &"image".into()));
            assert_eq!(image["media_type"], "image/png");
            assert_eq!(content["output"][0]["text"], "word0 word1 ");
            let tool = &content["output"][1];
            assert_eq!((&tool["type"], &tool["name"]), (&"tool_use".into(), &"Bash".into()));
            let input: Value = serde_json::from_str(tool["text"].as_str().unwrap()).unwrap();
            assert_eq!(input, json!({"command": "ls -l"}));
            assert_eq!(content["history"]["messages"], 2);
            assert!(row.flagged("secrets_masked"), "{row:#?}");
            assert!(!format!("{row:?}").contains("an earlier"), "history is a digest: {row:#?}");
            assert_eq!(row.payload["tool_uses"], json!([{"id": "toolu_c1", "name": "Bash"}]));
        }
    });
}

#[test]
fn the_policy_says_how_much_is_kept() {
    for (mode, kept) in [("none", Value::Null), ("full", format!("my key is {KEY}").into())] {
        let policy = json!({"schema": "tollgate.policy/v1", "name": "e2e",
            "rules": [{"id": "all", "models": ["*"], "content": mode}]});
        alone(Setup { policy, ..Setup::named("keeps") }, async |world| {
            let now = format!("my key is {KEY}").into();
            let answer = turn(world, &Script::new(), "kept", &[], &now).send(world).await;

            let row = world.row_from(answer.source).await;

            assert_eq!(row.payload["content"]["input"][0]["text"], kept, "{row:#?}");
            let spool = std::fs::read_to_string(world.run().join("spool/audit.jsonl"));
            assert_eq!(spool.unwrap().contains(KEY), mode == "full", "the spool holds no more");
        });
    }
}

#[test]
fn an_agent_s_loop_is_one_tree_and_what_the_gate_did_not_see_is_not_in_it() {
    SUITE.run(async |world| {
        let start = Script {
            tools: vec![Tool::new("toolu_1", "Bash", "{}"), Tool::new("toolu_2", "Task", "{}")],
            ..Script::new()
        };
        let first = turn(world, &start, "loop", &[], &"do it".into()).streamed().send(world).await;
        let first = world.row_from(first.source).await;

        let inner = Script { tools: vec![Tool::new("toolu_3", "Read", "{}")], ..Script::new() };
        let agent = turn(world, &inner, "loop", &[], &"the agent's task".into());
        let agent = agent.header("x-claude-code-agent-id", "agent-1").send(world).await;
        let agent = world.row_from(agent.source).await;
        let before =
            [json!({"role": "user", "content": "the agent's task"}), called("toolu_3", "Read")];
        let inner = turn(world, &Script::new(), "loop", &before, &result_of(&["toolu_3"]));
        let inner = inner.header("x-claude-code-agent-id", "agent-1").send(world).await;
        let inner = world.row_from(inner.source).await;

        let before = [json!({"role": "user", "content": "do it"}), called("toolu_1", "Bash")];
        let done =
            turn(world, &Script::new(), "loop", &before, &result_of(&["toolu_1", "toolu_2"]));
        let mut told: Value = serde_json::from_slice(&done.body.concat()).unwrap();
        // As Claude Code does: words of its own behind the user's.
        let own = json!({"role": "system", "content": "a reminder"});
        told["messages"].as_array_mut().unwrap().push(own);
        let done = done.json(&told).header("x-trace-id", "changed-midway").send(world).await;
        let done = world.row_from(done.source).await;
        let forged = turn(world, &Script::new(), "elsewhere", &before, &result_of(&["toolu_1"]));
        let forged = world.row_from(forged.send(world).await.source).await;

        assert_eq!(first.text("parent_event_id"), "");
        assert_eq!(agent.text("parent_event_id"), first.text("event_id"), "it hangs on the Task");
        assert_eq!(inner.text("parent_event_id"), agent.text("event_id"));
        assert_eq!(done.text("parent_event_id"), first.text("event_id"));
        assert_eq!(forged.text("parent_event_id"), "", "another session's id links nothing");
        let tree =
            until(world, &["audit", "lineage", "loop"], |said| said.contains("4 steps")).await;
        let drawn: Vec<&str> = tree.lines().collect();
        assert!(drawn[1].starts_with("└─ ") && drawn[1].contains("→ Bash, Task"), "{tree}");
        assert!(drawn[2].starts_with("   ├─ ") && drawn[2].contains("agent agent-1"), "{tree}");
        assert!(drawn[3].starts_with("   │  └─ "), "{tree}");
        assert!(drawn[4].starts_with("   └─ "), "{tree}");
    });
}

#[test]
fn every_number_of_the_gate_has_its_row_and_the_chain_is_whole() {
    SUITE.run(async |world| {
        for _ in 0..20 {
            world.call(&Script::new()).send(world).await;
        }

        let said = until(world, &["audit", "verify"], |said| said.contains(": whole")).await;

        assert!(said.contains("1 writers"), "{said}");
    });
}
