//! Lists: what a caller may not use is not in them, however they are cut.

use super::{BEHIND, BOB, run};
use e2e::client::Call;
use e2e::mcp::clients::names;
use e2e::mcp::gated::{Agent, reply};
use e2e::mcp::standin::script::{Script, Style};
use e2e::world::{ANN, World};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// Follows a list to its end. Gives the names, and how many pages there were.
async fn walk(world: &World, page: impl Fn(Value) -> Call) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut params) = (Vec::new(), 0, json!({}));
    loop {
        let answer = page(params.clone()).send(world).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let result = reply(&answer)["result"].clone();
        found.extend(names(&result["tools"]).into_iter().map(str::to_owned));
        pages += 1;
        match result["nextCursor"].as_str() {
            Some(cursor) => params["cursor"] = json!(cursor),
            None => return (found, pages),
        }
    }
}

/// What of 101 tools is open at `tickets`.
fn open() -> Vec<String> {
    let numbered = (0..100).filter(|number| !(20..30).contains(number));

    std::iter::once("echo".to_owned())
        .chain(numbered.map(|number| format!("tool_{number:03}")))
        .collect()
}

#[test]
fn a_list_of_tools_shows_what_is_open_as_json_and_as_a_stream_on_any_page() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        for (sse, page, cut, ends) in [
            (false, 0, 0, ""),
            (true, 0, 0, ""),
            (false, 7, 0, ""),
            (true, 7, 0, "\r\n"),
            (true, 7, 13, "\r"),
            (true, 0, 1000, "\r\n"),
            (false, 0, 999, ""),
        ] {
            let style = Style {
                ends: ends.into(),
                lines: cut > 0,
                noise: cut > 0,
                ids: sse,
                mark: sse,
                ..Style::default()
            };
            let script = Script { sse: Some(sse), page: Some(page), cut, style, ..Script::new() };
            let (legacy, pages) = walk(world, |params| {
                let mut all = script.params();
                all["cursor"] = params["cursor"].clone();
                if all["cursor"].is_null() {
                    all.as_object_mut().unwrap().remove("cursor");
                }
                ann.asks("tools/list", &all)
            })
            .await;

            assert_eq!(legacy, open(), "{sse} {page} {cut}");
            assert_eq!(pages, if page == 0 { 1 } else { 15 });
        }
    });
}

#[test]
fn what_is_hidden_is_counted_and_a_list_may_not_be_kept() {
    run(async |world| {
        let ann = Agent::of(world, ANN, "tickets");

        let answer = ann.modern("tools/list", &Script::new().params()).send(world).await;

        let result = reply(&answer)["result"].clone();
        assert_eq!(names(&result["tools"]), open());
        assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(0), &json!("private")));
        let row = world.row_from(answer.source).await;
        assert_eq!(row.payload["mcp"]["hidden"], 10, "{row:#?}");
        assert_eq!(row.payload["mcp"]["method"], "tools/list");
    });
}

/// IBM/mcp-context-forge#1915: visibility was asked for calls, and not for lists.
#[test]
fn each_caller_s_lists_are_their_own_also_at_the_same_moment() {
    run(async |world| {
        let (ann, bob) =
            (Agent::begun(world, ANN, "shared").await, Agent::begun(world, BOB, "shared").await);
        let rounds = (0..20).map(|round| {
            let (agent, bobs) = if round % 2 == 0 { (&ann, false) } else { (&bob, true) };
            async move {
                let params = Script::new().params();
                let get = async |method: &str| {
                    let call = if round % 4 < 2 {
                        agent.modern(method, &params)
                    } else {
                        agent.asks(method, &params)
                    };
                    reply(&call.send(world).await)["result"].clone()
                };
                let tools = get("tools/list").await;
                let expected: &[&str] = if bobs { &["echo", "tool_001"] } else { &["echo"] };
                assert_eq!(names(&tools["tools"]), expected);
                let resources = get("resources/list").await;
                let count = resources["resources"].as_array().unwrap().len();
                assert_eq!(count, if bobs { 2 } else { 1 }, "{resources}");
                let prompts = get("prompts/list").await;
                let expected: &[&str] = if bobs { &["test_simple_prompt"] } else { &[] };
                assert_eq!(names(&prompts["prompts"]), expected);
            }
        });
        join_all(rounds).await;
    });
}

#[test]
fn a_resource_or_prompt_that_is_not_listed_cannot_be_had_by_its_name() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        let read = |uri: &str| ann.asks("resources/read", &json!({ "uri": uri }));

        let open = read("test://static-text").send(world).await;
        assert!(reply(&open)["result"]["contents"].is_array(), "{}", open.text());
        let before = BEHIND.tickets.all().iter().filter(|seen| seen.rpc() == "prompts/get").count();
        let mut sources = Vec::new();
        for (call, code) in [
            (read("test://static-binary"), "mcp_resource_closed"),
            (read("test://static-text/../static-binary"), "mcp_resource_closed"),
            (
                ann.asks("prompts/get", &json!({ "name": "test_simple_prompt" })),
                "mcp_prompt_closed",
            ),
            (
                ann.asks(
                    "completion/complete",
                    &json!({ "ref": { "type": "ref/prompt", "name": "x" },
                "argument": { "name": "a", "value": "b" } }),
                ),
                "mcp_method_closed",
            ),
        ] {
            sources.push(super::refused(world, call, &Script::new(), code).await.source);
        }
        super::denied(world, &sources).await;
        let uris: Vec<_> =
            BEHIND.tickets.all().iter().map(|seen| seen.json["params"]["uri"].clone()).collect();
        assert!(uris.iter().all(|uri| uri != "test://static-text/../static-binary"), "{uris:?}");
        let after = BEHIND.tickets.all().iter().filter(|seen| seen.rpc() == "prompts/get").count();
        assert_eq!(before, after);
    });
}

#[test]
fn a_server_is_not_there_for_whom_it_is_not() {
    run(async |world| {
        let script = Script::new();
        let (ann, bob) = (Agent::of(world, ANN, "bobs"), Agent::begun(world, BOB, "bobs").await);
        let nowhere = Agent::of(world, ANN, "nowhere");

        let one = super::refused(
            world,
            ann.calls("echo", &script.arguments()),
            &script,
            "mcp_server_unknown",
        )
        .await;
        let other = super::refused(
            world,
            nowhere.calls("echo", &script.arguments()),
            &script,
            "mcp_server_unknown",
        )
        .await;
        assert_eq!((one.status, other.status), (404, 404));
        let mut both = [one.json(), other.json()];
        for answer in &mut both {
            answer["error"]["data"]["request_id"] = Value::Null;
        }
        assert_eq!(both[0], both[1], "the two look alike");
        let answer = bob.calls("echo", &script.arguments()).send(world).await;
        assert!(reply(&answer)["result"].is_object(), "{}", answer.text());
    });
}
