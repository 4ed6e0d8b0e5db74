//! Calls of MCP servers and the `tool_use` blocks that asked for them.

use super::*;
use contract::audit::{Kind as RowKind, McpCall};
use contract::canonical;

const HOUR: u64 = 3_600_000_000;

fn digest(json: &str) -> String {
    hex(&canonical::digest(json.as_bytes()).unwrap())
}

/// A call of a model, in Claude Code's session `s`, whose answer has these tools, each with its id,
/// name and input.
fn model(id: &str, at: u64, tool_uses: &[(&str, &str, &str)]) -> Event<'static> {
    let mut event = event(id, at);
    event.session_id = Some("s".into());
    event.trace_id = Some("s".into());
    event.payload.token_session_id = Some("token".into());
    event.payload.tool_uses = tool_uses
        .iter()
        .map(|(id, name, input)| ToolUse {
            id: (*id).to_owned().into(),
            name: (*name).to_owned().into(),
            input_sha256: Some(digest(input).into()),
        })
        .collect();
    event
}

/// A call of a server's tool: of the token's session alone.
fn mcp(id: &str, at: u64, server: &str, tool: &str, arguments: &str) -> Event<'static> {
    let mut event = event(id, at);
    event.kind = RowKind::Mcp;
    event.session_id = Some("token".into());
    event.trace_id = Some("own".into());
    event.payload.mcp_server = Some(server.to_owned().into());
    event.payload.tool = Some(tool.to_owned().into());
    event.payload.mcp = Some(McpCall {
        method: Some("tools/call".into()),
        arguments_sha256: Some(digest(arguments).into()),
        ..McpCall::default()
    });
    event
}

/// Parent and trace of each call of a server, found at once or later.
async fn found(bench: &Bench) -> Vec<(String, String, String)> {
    let steps = bench.store.lineage(None, None, 1_000).await.unwrap();
    let steps = steps.into_iter().filter(|step| step.kind == "mcp");
    steps
        .map(|step| {
            let parent = step.parent_event_id.unwrap_or_default();
            (step.event_id, parent, step.trace_id.unwrap_or_default())
        })
        .collect()
}

fn expected(list: &[(&str, &str)]) -> Vec<(String, String, String)> {
    let trace = |parent: &str| if parent.is_empty() { "own" } else { "s" };
    list.iter()
        .map(|(id, parent)| ((*id).to_owned(), (*parent).to_owned(), trace(parent).to_owned()))
        .collect()
}

both! {
    async fn a_call_follows_from_the_tool_use_with_its_tool_and_input(bench: Bench) {
        let store = &bench.store;
        // Written in another order, and a number otherwise.
        let uses = [("t1", "mcp__git__push", r#"{"a":{"y":1,"x":[2]},"b":"c"}"#), ("t2", "Bash", "{}")];
        store.append(&[model("a", 1, &uses)], None).await.unwrap();
        let call = mcp("x", 2, "git", "push", r#"{ "b": "\u0063", "a": {"x": [2.0], "y": 1e0} }"#);
        store.append(&[call], None).await.unwrap();

        assert_eq!(found(&bench).await, expected(&[("x", "a")]));
        let rows = store.rows(&all()).await.unwrap();
        assert_eq!(rows[1].text("parent_event_id"), "a", "in the row itself");
        assert_eq!(rows[1].text("trace_id"), "s", "with its trace");
    }

    async fn both_in_one_batch_find_each_other(bench: Bench) {
        let call = mcp("x", 2, "git", "push", "{}");
        let model = model("a", 1, &[("t1", "mcp__git__push", "{}")]);
        bench.store.append(&[call, model], None).await.unwrap();

        assert_eq!(found(&bench).await, expected(&[("x", "a")]));
    }

    async fn what_is_not_the_same_links_nothing(bench: Bench) {
        let store = &bench.store;
        let uses = [("t1", "mcp__git__push", r#"{"a":1}"#), ("t2", "push", r#"{"a":2}"#)];
        store.append(&[model("a", HOUR, &uses)], None).await.unwrap();
        let same = |id| mcp(id, HOUR + 1, "git", "push", r#"{"a":1}"#);
        let mut listed = same("c");
        listed.payload.mcp.as_mut().unwrap().method = Some("tools/list".into());
        let mut unread = same("d");
        unread.payload.mcp.as_mut().unwrap().arguments_sha256 = None;
        let no_mcp = Event { kind: RowKind::Inference, ..same("e") };
        let calls = [
            mcp("f", HOUR + 1, "git", "push", r#"{"a":"1"}"#),
            mcp("g", HOUR + 1, "git", "pull", r#"{"a":1}"#),
            mcp("h", HOUR + 1, "git", "ush", r#"{"a":1}"#),
            mcp("i", HOUR + 1, "git", "push", r#"{"a":2}"#),
            mcp("j", HOUR - 1, "git", "push", r#"{"a":1}"#),
            mcp("k", 2 * HOUR + 1, "git", "push", r#"{"a":1}"#),
            listed, unread, no_mcp,
        ];
        store.append(&calls, None).await.unwrap();
        store.tidy_audit(0).await.unwrap();
        let found = found(&bench).await;
        assert!(found.len() == 8 && found.iter().all(|(_, parent, _)| parent.is_empty()), "{found:?}");

        let last = mcp("z", 2 * HOUR, "git", "push", r#"{"a":1}"#);
        store.append(&[last], None).await.unwrap();
        let rows = store.rows(&all()).await.unwrap();
        assert_eq!(rows.iter().filter(|row| row.text("parent_event_id") == "a").count(), 1);
    }

    async fn nothing_is_linked_to_what_another_user_asked_for(bench: Bench) {
        let store = &bench.store;
        let bob = |event: Event<'static>| Event { user_id: "bob@example.com".into(), ..event };
        let nobody = |event: Event<'static>| Event { user_id: "".into(), ..event };
        let uses = [("t1", "mcp__git__push", "{}")];
        store.append(&[model("a", 1, &uses), nobody(model("b", 1, &uses))], None).await.unwrap();
        let call = |id| mcp(id, 2, "git", "push", "{}");
        store.append(&[bob(call("x")), nobody(call("y"))], None).await.unwrap();
        // Nor late, with the same ids.
        store.append(&[model("c", 1, &uses)], None).await.unwrap();
        store.tidy_audit(0).await.unwrap();

        assert_eq!(found(&bench).await, expected(&[("x", ""), ("y", "")]));
    }

    async fn a_session_counts_where_the_client_said_one(bench: Bench) {
        let store = &bench.store;
        store.append(&[model("a", 1, &[("t1", "mcp__git__push", "{}")])], None).await.unwrap();
        let said = |id, session: &'static str| {
            let mut call = mcp(id, 2, "git", "push", "{}");
            call.payload.token_session_id = Some("token".into());
            Event { session_id: Some(session.into()), ..call }
        };
        store.append(&[said("x", "other"), said("y", "s")], None).await.unwrap();
        let without = Event { session_id: None, ..mcp("z", 3, "git", "push", "{}") };
        store.append(&[without], None).await.unwrap();

        assert_eq!(found(&bench).await, expected(&[("x", ""), ("y", "a"), ("z", "a")]));
    }

    async fn of_calls_that_are_the_same_each_takes_its_own(bench: Bench) {
        let store = &bench.store;
        let twice = [("t1", "mcp__git__push", "{}"), ("t2", "mcp__git__push", "{}")];
        store.append(&[model("a", 1, &twice[..1]), model("b", 2, &twice)], None).await.unwrap();
        let calls: Vec<_> =
            ["u", "v", "w", "x"].into_iter().zip(3..).map(|(id, at)| mcp(id, at, "git", "push", "{}")).collect();
        store.append(&calls[..2], None).await.unwrap();
        store.append(&calls[..3], None).await.unwrap();
        store.append(&calls, None).await.unwrap();
        store.append(&[model("c", 7, &twice[..1]), mcp("y", 8, "git", "push", "{}")], None).await.unwrap();

        let found = found(&bench).await;
        assert_eq!(
            found,
            expected(&[("u", "b"), ("v", "b"), ("w", "a"), ("x", "b"), ("y", "c")]),
            "one tried again follows from the newest"
        );
    }

    async fn of_two_servers_with_the_same_tool_the_named_one_is_preferred(bench: Bench) {
        let store = &bench.store;
        let uses = |names: &[&'static str]| -> Vec<_> {
            names.iter().map(|name| (*name, *name, r#"{"q":"x"}"#)).collect()
        };
        store.append(&[model("a", 1, &uses(&["mcp__wiki.eu__find"]))], None).await.unwrap();
        store.append(&[model("b", 2, &uses(&["mcp__wiki_eu__find"]))], None).await.unwrap();
        store.append(&[model("c", 3, &uses(&["mcp__mail__find", "mcp__mail__re__find"]))], None).await.unwrap();
        let call = |id, at, server| mcp(id, at, server, "find", r#"{"q":"x"}"#);
        store.append(&[call("v", 4, "wiki.eu"), call("w", 5, "mail")], None).await.unwrap();
        store.append(&[call("x", 6, "wiki.eu")], None).await.unwrap();
        // A client may name a server otherwise.
        store.append(&[call("y", 7, "post")], None).await.unwrap();

        assert_eq!(
            found(&bench).await,
            expected(&[("v", "b"), ("w", "c"), ("x", "b"), ("y", "c")])
        );
    }

    async fn a_call_whose_row_comes_first_is_linked_later(bench: Bench) {
        let store = &bench.store;
        let beside = bench.beside().await;
        let call = |id, at| mcp(id, at, "git", "push", "{}");
        store.append(&[call("y", 4), call("x", 2), call("z", 5)], None).await.unwrap();
        let uses = [("t1", "mcp__git__push", "{}")];
        beside.store.append(&[model("a", 1, &uses), model("b", 3, &uses)], None).await.unwrap();

        assert_eq!(found(&bench).await, expected(&[("x", "a"), ("y", "b"), ("z", "b")]));
        let steps = store.lineage(Some("s"), None, 10).await.unwrap();
        let ids: Vec<_> = steps.iter().map(|step| &*step.event_id).collect();
        assert_eq!(ids, ["a", "x", "b", "y", "z"], "they are of their parent's trace");
        store.append(&[call("u", 6)], None).await.unwrap();
        assert_eq!(store.lineage(Some("s"), None, 10).await.unwrap().len(), 6, "and no one waits twice");
    }

    async fn parent_and_call_that_two_sidecars_stored_at_once_are_linked_in_time(bench: Bench) {
        let store = &bench.store;
        store.append(&[mcp("x", 2, "git", "push", "{}")], None).await.unwrap();
        bench
            .sql(&format!(
                "INSERT INTO audit_tool_uses (tool_use_id, event_id, occurred_at, user_id, session_id,
                     agent_id, trace_id, name, input_sha256)
                 VALUES ('t1', 'a', 1, 'ann@example.com', 's', '', 's', 'mcp__git__push', '{}')",
                digest("{}")
            ))
            .await
            .unwrap();

        store.tidy_audit(0).await.unwrap();

        assert_eq!(found(&bench).await, expected(&[("x", "a")]));
    }

    async fn a_call_of_a_server_is_no_agent_s_first(bench: Bench) {
        let store = &bench.store;
        store.append(&[model("a", 1, &[("t1", "Task", "{}")])], None).await.unwrap();
        let mut call = mcp("x", 2, "git", "push", "{}");
        (call.agent_id, call.session_id) = (Some("helper".into()), Some("s".into()));
        call.payload.token_session_id = Some("token".into());
        let mut first = model("b", 3, &[]);
        first.agent_id = Some("helper".into());
        store.append(&[call, first], None).await.unwrap();

        let steps = store.lineage(None, None, 10).await.unwrap();
        let parents: Vec<_> = steps.iter().map(|step| step.parent_event_id.as_deref()).collect();
        assert_eq!(parents, [None, None, Some("a")]);
    }

    async fn calls_that_wait_are_forgotten(bench: Bench) {
        let store = &bench.store;
        store.append(&[mcp("x", 2, "git", "push", "{}")], None).await.unwrap();
        store.tidy_audit(10).await.unwrap();
        store.append(&[model("a", 1, &[("t1", "mcp__git__push", "{}")])], None).await.unwrap();

        assert_eq!(found(&bench).await, expected(&[("x", "")]));
    }
}
