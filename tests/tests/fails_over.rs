//! A provider that fails costs no call while another one serves, and nobody is asked twice.

use e2e::client::connection::Via;
use e2e::provider::script::{Fault, Script};
use e2e::suite::{Suite, alone};
use e2e::world::World;
use e2e::world::lanes::Lane;
use e2e::world::setup::Setup;
use serde_json::{Value, json};

static SUITE: Suite = Suite::new(|| {
    let lanes = vec![Lane::new("first", "us"), Lane::new("second", "eu"), Lane::new("third", "us")];
    Setup { concurrency: 2, ..Setup::named("fails_over") }.over_lanes(lanes, "2s")
});

/// How often each provider was asked.
fn asked(world: &World, script: &Script) -> [usize; 3] {
    ["first", "second", "third"].map(|lane| world.behind(lane).seen(script).len())
}

/// The lanes and statuses of a row's attempts.
fn attempts(payload: &Value) -> Vec<(String, Value)> {
    let list = payload["attempts"].as_array().cloned().unwrap_or_default();
    list.iter()
        .map(|one| (one["lane"].as_str().unwrap().to_owned(), one["status"].clone()))
        .collect()
}

fn fails(status: u16) -> Script {
    Script::new().status(status)
}

#[test]
fn a_provider_that_serves_is_the_only_one_that_is_asked() {
    SUITE.run(async |world| {
        let script = Script::new();
        let call = world.call(&script);

        let answer = call.clone().send(world).await;

        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(asked(world, &script), [1, 0, 0]);
        let row = world.row_from(call.source).await;
        assert_eq!((row.text("provider"), row.text("upstream_region")), ("anthropic", "us"));
        assert_eq!(row.payload["lane"], "first");
        assert_eq!(row.payload["attempts"], Value::Null);
        assert_eq!(row.number("tokens_out"), Some(15));
    });
}

#[test]
fn with_two_of_three_dead_the_third_serves_and_the_row_tells_of_all() {
    SUITE.run(async |world| {
        for (first, second) in [(503, 500), (502, 401), (403, 404), (501, 504)] {
            let script =
                Script::new().where_at("first", fails(first)).where_at("second", fails(second));
            let call = world.call(&script).streamed();

            let answer = call.clone().send(world).await;

            assert_eq!(answer.status, 200, "{first} {second}: {}", answer.text());
            assert!(answer.text().contains("event: message_stop"));
            assert_eq!(asked(world, &script), [1, 1, 1], "{first} {second}: nobody twice");
            let row = world.row_from(call.source).await;
            assert_eq!(row.payload["lane"], "third");
            assert_eq!(
                attempts(&row.payload),
                [
                    ("first".to_owned(), json!(first)),
                    ("second".to_owned(), json!(second)),
                    ("third".to_owned(), json!(200)),
                ]
            );
            assert_eq!(row.text("outcome"), "allowed");
        }
    });
}

#[test]
fn what_the_caller_has_to_mend_is_asked_once_and_its_wording_stays() {
    SUITE.run(async |world| {
        let script = fails(400);

        let answer = world.call(&script).send(world).await;

        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["error"]["message"], "max_tokens: Field required");
        assert_eq!(answer.json()["request_id"], "req_e2e_provider", "byte for byte");
        assert_eq!(asked(world, &script), [1, 0, 0]);
    });
}

#[test]
fn a_provider_that_says_nothing_or_breaks_off_before_its_first_event_is_one_more_that_failed() {
    SUITE.run(async |world| {
        for fault in [
            Fault::ResetBeforeHeaders,
            Fault::SilentBeforeHeaders,
            Fault::SilentAfter(0),
            Fault::ResetAfter(0),
        ] {
            let script = Script::new().where_at("first", Script::new().fault(fault));
            let call = world.call(&script).streamed();

            let answer = call.clone().send(world).await;

            assert_eq!(answer.status, 200, "{fault:?}: {}", answer.text());
            assert_eq!(asked(world, &script), [1, 1, 0], "{fault:?}");
            let row = world.row_from(call.source).await;
            assert_eq!(row.text("upstream_region"), "eu", "{fault:?}");
        }
    });
}

#[test]
fn after_the_first_event_nobody_else_is_asked_and_the_client_is_told() {
    SUITE.run(async |world| {
        for words in [3, 40] {
            let broken = Script { words, ..Script::new() }.fault(Fault::ResetAfter(4));
            let call = world.call(&broken).streamed();

            let answer = call.clone().send(world).await;

            assert_eq!(answer.status, 200);
            assert_eq!(asked(world, &broken), [1, 0, 0]);
            let text = answer.text();
            let events: Vec<_> =
                text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
            assert_eq!(events.first(), Some(&"message_start"), "{text}");
            assert_eq!(events.last(), Some(&"error"), "{text}");
            assert!(text.contains(r#""type":"overloaded_error""#), "{text}");
            let row = world.row_from(call.source).await;
            assert_eq!(row.text("outcome"), "error");
            assert_eq!(row.number("tokens_in"), Some(25), "what was used until then");
            assert_eq!(row.number("complete"), Some(0));
        }
    });
}

#[test]
fn where_all_fail_the_client_gets_what_helps_most() {
    SUITE.run(async |world| {
        for (first, second, third, status, message) in [
            (429, 500, 503, 429, "This request would exceed your rate limit"),
            (500, 403, 404, 403, "max_tokens: Field required"),
            (500, 404, 503, 404, "model: no-such-model"),
            (500, 503, 529, 502, "all upstreams failed (3 attempted)"),
        ] {
            // A provider that says 429 is left alone for that model: one that no other test asks for.
            let model = if status == 429 { "claude-sonnet-5" } else { "claude-sonnet-4-6" };
            let script = Script::new()
                .where_at("first", fails(first))
                .where_at("second", fails(second))
                .where_at("third", fails(third));
            let call = world.call(&script).member("model", json!(model));

            let answer = call.clone().send(world).await;

            assert_eq!(answer.status, status, "{}", answer.text());
            assert_eq!(answer.json()["error"]["message"], message);
            let retry_after = answer.header("retry-after");
            assert_eq!(retry_after, if status == 429 { "17" } else { "" });
            let row = world.row_from(call.source).await;
            assert_eq!((row.text("outcome"), row.number("status")), ("error", Some(status.into())));
            assert_eq!(attempts(&row.payload).len(), 3);
        }
    });
}

/// Where trailers follow, no piece of a body is the last one: what waits for the end must leave with them.
#[test]
fn answers_that_end_with_trailers_arrive_whole_and_without_them() {
    SUITE.run(async |world| {
        for (status, streamed, wanted, said) in [
            (200, false, 200, r#""stop_reason":"end_turn""#),
            (200, true, 200, "event: message_stop"),
            (400, false, 400, "max_tokens: Field required"),
            (500, true, 502, "all upstreams failed (3 attempted)"),
        ] {
            let script = Script { trailers: true, ..fails(status) };
            let call = world.call(&script);
            let call = if streamed { call.streamed() } else { call };

            let answer = call.clone().send(world).await;

            assert_eq!((answer.status, answer.whole), (wanted, true), "{}", answer.text());
            assert!(answer.text().contains(said), "{status}: {}", answer.text());
            assert!(answer.trailers.is_empty(), "{status}: {:?}", answer.trailers);
            let row = world.row_from(call.source).await;
            let outcome = if wanted == 200 { "allowed" } else { "error" };
            assert_eq!((row.text("outcome"), row.number("status")), (outcome, Some(wanted.into())));
        }

        let early = Script { trailers: true, ..Script::new() }.fault(Fault::EndAfter(4));
        let call = world.call(&early).streamed();
        let answer = call.clone().send(world).await;
        assert!(answer.text().starts_with("event: message_start"), "{}", answer.text());
        assert!(!answer.text().contains("message_stop"), "{}", answer.text());
        // Whether the client is told depends on what has reached the gate by then. The row always says so.
        assert_eq!(world.row_from(call.source).await.number("complete"), Some(0));
    });
}

#[test]
fn a_provider_that_asked_to_be_left_alone_is_until_then() {
    SUITE.run(async |world| {
        let busy = || {
            let limited = Script { retry_after: 2, ..fails(429) };
            Script::new().where_at("first", limited)
        };
        let (one, two, three) = (busy(), Script::new(), Script::new());
        let ask = |script: &Script| {
            world.call(script).member("model", json!("claude-haiku-4-5")).send(world)
        };

        assert_eq!(ask(&one).await.status, 200);
        assert_eq!(asked(world, &one), [1, 1, 0]);
        assert_eq!(ask(&two).await.status, 200);
        assert_eq!(
            asked(world, &two),
            [0, 1, 0],
            "the first is left alone, on the other worker too"
        );
        tokio::time::sleep(std::time::Duration::from_millis(2_200)).await;
        assert_eq!(ask(&three).await.status, 200);
        assert_eq!(asked(world, &three), [1, 0, 0]);
    });
}

/// What is said from outside a stream's own callbacks has to hold under load, on all workers and over both protocols.
#[test]
fn sixty_four_streams_that_fall_silent_and_break_are_all_kept_awake_and_all_told() {
    SUITE.run(async |world| {
        let streams = (0..64).map(|nth| async move {
            let script = Script::new().fault(Fault::ResetAfterSilence(4, 17_000));
            let via = if nth % 2 == 0 { Via::Http1 } else { Via::Http2 };
            let call = world.call(&script).streamed().via(via);
            (call.source, call.send(world).await.text())
        });
        let beside = async {
            // Others come and go meanwhile.
            for _ in 0..200 {
                let script = Script { words: 30, ..Script::new() };
                let answer = world.call(&script).streamed().send(world).await;
                assert!(answer.whole && answer.text().ends_with("message_stop\"}\n\n"));
            }
        };

        let (told, ()) = futures_util::join!(futures_util::future::join_all(streams), beside);

        for (source, text) in &told {
            let events: Vec<_> =
                text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
            assert_eq!(events.iter().filter(|event| **event == "ping").count(), 1, "{text}");
            assert_eq!(events.last(), Some(&"error"), "{source}: {text}");
        }
        let rows =
            world.row_of_each(&told.iter().map(|(source, _)| *source).collect::<Vec<_>>()).await;
        assert!(rows.iter().all(|row| row.text("outcome") == "error"));
    });
}

#[test]
fn who_is_pinned_to_a_zone_is_asked_for_in_it_alone_whoever_fails() {
    let lanes = vec![Lane::new("first", "us"), Lane::new("second", "eu"), Lane::new("third", "us")];
    let policy = json!({ "schema": "tollgate.policy/v1", "name": "e2e",
        "residency": [{ "id": "gdpr", "who": { "regions": ["eu"] }, "zone": "eu" }],
        "rules": [{ "id": "everyone", "models": ["claude-*"] }] });
    let setup = Setup { policy, ..Setup::named("fails_over-zone") }.over_lanes(lanes, "2s");
    alone(setup, async |world| {
        let pinned = world.token_with(|_, claims| claims["region"] = json!("eu"));

        let served = Script::new();
        let answer = world.call(&served).bearer(&pinned).send(world).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(asked(world, &served), [0, 1, 0]);

        let dead = Script::new().where_at("second", fails(503));
        let call = world.call(&dead).bearer(&pinned);
        let answer = call.clone().send(world).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert_eq!(asked(world, &dead), [0, 1, 0], "not even where nobody else is left");
        let row = world.row_from(call.source).await;
        let why: Vec<_> =
            row.payload["attempts"].as_array().unwrap().iter().map(|one| &one["why"]).collect();
        assert_eq!(why, [&json!("residency"), &Value::Null, &json!("residency")]);

        let free = Script::new();
        assert_eq!(world.call(&free).send(world).await.status, 200);
        assert_eq!(asked(world, &free), [1, 0, 0], "who is not pinned is asked for in their order");
    });
}
