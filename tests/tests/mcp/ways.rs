//! By whatever way a call comes, and on whichever worker.

use super::{BEHIND, run, with};
use e2e::client::connection::Via;
use e2e::mcp::gated::{Agent, reply};
use e2e::mcp::standin::script::Script;
use e2e::world::ANN;
use futures_util::future::join_all;
use serde_json::json;
use std::time::Duration;

#[test]
fn a_message_is_the_same_by_every_way_in_pieces_and_without_a_length() {
    run(async |world| {
        for via in Via::ALL {
            for (size, sized) in [(usize::MAX, true), (usize::MAX, false), (17, false), (17, true)]
            {
                let mut ann = Agent::of(world, ANN, "tickets");
                let paced = |call: e2e::client::Call| {
                    let mut call = call.via(via).pieces(size, Duration::from_millis(1));
                    call.sized = sized;
                    call
                };
                // The one whose body the gate shortens.
                let begun = paced(ann.initialize()).send(world).await;
                assert_eq!(begun.status, 200, "{via:?} {size} {sized}: {}", begun.text());
                begun.header("mcp-session-id").clone_into(&mut ann.session);
                let script = Script::new();
                let arguments = with(&script, &json!({ "text": "in pieces" }));

                let answer = paced(ann.calls("echo", &arguments)).send(world).await;

                assert_eq!(reply(&answer)["result"]["content"][0]["text"], "in pieces", "{via:?}");
                let seen = BEHIND.tickets.seen(&script);
                assert!(seen.len() == 1 && seen[0].whole, "{seen:?}");
                assert_eq!(seen[0].json["params"]["arguments"], arguments);
            }
        }
        let begun = BEHIND.tickets.all().into_iter().filter(|seen| seen.rpc() == "initialize");
        for seen in begun {
            assert!(seen.whole && seen.json.is_object(), "{seen:?}");
        }
    });
}

#[test]
fn a_hundred_calls_at_once_each_have_their_own_answer() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        let calls = (0..100).map(|nth: usize| {
            let ann = &ann;
            async move {
                let script = Script {
                    delay: (nth % 11) as u64,
                    sse: Some(nth.is_multiple_of(2)),
                    ..Script::new()
                };
                let words = format!("number {nth}");
                let answer =
                    ann.calls("echo", &with(&script, &json!({ "text": words }))).send(world).await;
                assert_eq!(
                    reply(&answer)["result"]["content"][0]["text"],
                    words,
                    "{}",
                    answer.text()
                );
            }
        });
        join_all(calls).await;
    });
}

#[test]
fn a_call_with_an_expectation_or_trailers_passes_or_is_refused_and_never_hangs() {
    run(async |world| {
        let ann = Agent::begun(world, ANN, "tickets").await;
        let script = Script::new();
        let call = ann.calls("echo", &script.arguments());

        let answer = call.trailer("x-more", "canary").send(world).await;

        let refused = answer.header("x-tollgate-refusal").to_owned();
        assert!(!refused.is_empty() || reply(&answer)["result"].is_object(), "{}", answer.text());
    });
}
