//! A client of the Messages API notes no difference, whoever serves it: chat completions and clouds, each by the template
//! that ships, on the real Envoy.

use e2e::client::Call;
use e2e::client::answer::Answer;
use e2e::provider::script::{Fault, Script, Tool, Usage};
use e2e::suite::Suite;
use e2e::world::World;
use e2e::world::lanes::Lane;
use e2e::world::lanes::completes::Completes;
use e2e::world::lanes::shipped::Shipped;
use e2e::world::setup::Setup;
use serde_json::{Value, json};

/// Each lane's model, and its provider as rows name it.
const LANES: [(&str, &str, &str); 5] = [
    ("openai", "claude-haiku-4-5", "openai"),
    ("azure", "claude-sonnet-5", "azure"),
    ("bedrock", "claude-sonnet-4-6", "bedrock"),
    ("mantle", "claude-opus-4-7", "bedrock-mantle"),
    ("foundry", "claude-opus-5", "foundry"),
];

static SUITE: Suite = Suite::new(|| {
    let lanes = vec![
        Lane::completes(Completes::OPENAI),
        Lane::completes(Completes::AZURE),
        Lane::shipped(Shipped::signed("bedrock", &["AKIAONE"]).unwrap()),
        Lane::shipped(Shipped::signed("mantle", &["AKIAONE"]).unwrap()),
        Lane::shipped(Shipped::foundry("sk-foundry-e2e").unwrap()),
    ];
    let policy = json!({ "schema": "tollgate.policy/v1", "name": "e2e", "rules": [
        { "id": "everyone", "models": ["claude-*"] },
    ]});

    Setup { policy, ..Setup::named("lanes") }
        .lanes_by_model(lanes, &LANES.map(|(_, model, _)| model))
});

/// A call for this model whose script reaches every kind of provider.
fn call(world: &World, model: &str, script: &Script) -> Call {
    let text = format!("{} Say something.", script.user_id());
    world
        .call(script)
        .member("model", json!(model))
        .member("messages", json!([{"role": "user", "content": text}]))
}

/// The events of a stream, by their names, without the words between.
fn events(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn assert_nothing_leaked(lane: &str, answer: &Answer) {
    let headers = format!("{:?}", answer.headers);
    assert!(!headers.contains("canary"), "{lane}: {headers}");
    assert!(!answer.text().contains("canary"), "{lane}: {}", answer.text());
}

#[test]
fn an_answer_is_a_message_and_its_row_names_who_served() {
    SUITE.run(async |world| {
        for (lane, model, provider) in LANES {
            let script =
                Script::new().usage(Usage { input: 31, output: 7, read: 4, ..Usage::default() });
            let call = call(world, model, &script);

            let answer = call.clone().send(world).await;

            assert_eq!(answer.status, 200, "{lane}: {}", answer.text());
            let message = answer.json();
            assert_eq!(message["type"], "message", "{lane}");
            assert_eq!(message["content"][0]["text"], "word0 ", "{lane}");
            assert_eq!(message["stop_reason"], "end_turn", "{lane}");
            assert_nothing_leaked(lane, &answer);
            let row = world.row_from(call.source).await;
            assert_eq!(
                (row.text("provider"), row.text("outcome")),
                (provider, "allowed"),
                "{lane}"
            );
            assert_eq!(row.payload["lane"], lane);
            assert_eq!(row.number("tokens_in"), Some(31), "{lane}");
            assert_eq!(row.number("tokens_cache_read"), Some(4), "{lane}");
            assert_eq!(row.number("tokens_out"), Some(7), "{lane}");
            assert_eq!(row.number("complete"), Some(1), "{lane}: {}", row.payload);
        }
    });
}

#[test]
fn an_answer_that_ends_with_trailers_is_a_message_all_the_same() {
    SUITE.run(async |world| {
        for (lane, model, _) in LANES {
            for status in [200, 400] {
                let script = Script { trailers: true, ..Script::new().status(status) };

                let answer = call(world, model, &script).send(world).await;

                assert_eq!((answer.status, answer.whole), (status, true), "{lane}");
                let kind = if status == 200 { "message" } else { "error" };
                assert_eq!(answer.json()["type"], kind, "{lane}: {}", answer.text());
                assert!(answer.trailers.is_empty(), "{lane}: {:?}", answer.trailers);
                assert_nothing_leaked(lane, &answer);
            }
        }
    });
}

#[test]
fn a_stream_has_the_events_of_a_message_with_its_calls_of_tools() {
    SUITE.run(async |world| {
        for (lane, model, _) in LANES {
            let script = Script {
                words: 4,
                tools: vec![Tool::new("toolu_1", "get_weather", r#"{"city":"Zürich"}"#)],
                ..Script::new()
            };
            let tool = json!({"name": "get_weather", "description": "d", "input_schema": {"type": "object"}});
            let call = call(world, model, &script).member("tools", json!([tool])).streamed();

            let answer = call.clone().send(world).await;

            assert_eq!(answer.status, 200, "{lane}: {}", answer.text());
            assert!(answer.header("content-type").starts_with("text/event-stream"), "{lane}");
            let events = events(&answer);
            assert_eq!(events[0]["type"], "message_start", "{lane}");
            assert_eq!(events[events.len() - 1]["type"], "message_stop", "{lane}");
            let words: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
            assert_eq!(words, "word0 word1 word2 word3 ", "{lane}");
            let arguments: String =
                events.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
            assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), json!({"city": "Zürich"}), "{lane}");
            let stop = events.iter().find_map(|event| event["delta"]["stop_reason"].as_str());
            assert_eq!(stop, Some("tool_use"), "{lane}");
            assert_nothing_leaked(lane, &answer);
            let row = world.row_from(call.source).await;
            assert_eq!(row.payload["tool_uses"][0]["name"], "get_weather", "{lane}");
            assert_eq!(row.number("tokens_out"), Some(15), "{lane}");
        }
    });
}

#[test]
fn an_error_is_one_of_the_messages_api_and_tells_nothing_of_an_account() {
    SUITE.run(async |world| {
        for (lane, model, _) in LANES {
            for (status, kind) in
                [(400, "invalid_request_error"), (403, "permission_error"), (500, "api_error")]
            {
                let script = Script::new().status(status);

                let answer = call(world, model, &script).send(world).await;

                assert_eq!(answer.status, status, "{lane}: {}", answer.text());
                assert_eq!(answer.json()["type"], "error", "{lane} {status}");
                assert_eq!(answer.json()["error"]["type"], kind, "{lane} {status}");
                assert_nothing_leaked(lane, &answer);
            }
        }
    });
}

#[test]
fn a_stream_that_ends_too_early_or_breaks_off_ends_in_an_error_event() {
    SUITE.run(async |world| {
        for (lane, model, _) in LANES {
            for fault in [Fault::EndAfter(4), Fault::ResetAfter(4)] {
                let script = Script { words: 9, ..Script::new() }.fault(fault);
                let call = call(world, model, &script).streamed();

                let answer = call.clone().send(world).await;

                assert_eq!(answer.status, 200, "{lane} {fault:?}: {}", answer.text());
                let events = events(&answer);
                assert_eq!(
                    events[events.len() - 1]["type"],
                    "error",
                    "{lane} {fault:?}: {}",
                    answer.text()
                );
                let row = world.row_from(call.source).await;
                assert_eq!(row.text("outcome"), "error", "{lane} {fault:?}");
                assert_eq!(row.number("complete"), Some(0), "{lane} {fault:?}");
            }
        }
    });
}

#[test]
fn tokens_are_counted_where_the_provider_can() {
    SUITE.run(async |world| {
        for (lane, model, _) in LANES {
            let script = Script::new();

            let counted =
                call(world, model, &script).path("/v1/messages/count_tokens").send(world).await;

            match lane {
                "openai" | "azure" => {
                    assert_eq!(counted.status, 501, "{lane}: {}", counted.text());
                    assert_eq!(counted.json()["error"]["type"], "not_supported", "{lane}");
                }
                _ => assert_eq!(
                    counted.json(),
                    json!({"input_tokens": 25}),
                    "{lane}: {}",
                    counted.status
                ),
            }
        }
    });
}

#[test]
fn what_a_provider_has_no_words_for_is_named_in_the_row() {
    SUITE.run(async |world| {
        let script = Script::new();
        let call = call(world, "claude-haiku-4-5", &script).member("top_k", json!(5));

        let answer = call.clone().send(world).await;

        assert_eq!(answer.status, 200, "{}", answer.text());
        let row = world.row_from(call.source).await;
        let dropped = row.payload["attempts"][0]["dropped"].to_string();
        assert!(dropped.contains("top_k"), "{dropped}");
        assert_eq!(row.payload["attempts"][0]["model"], "gpt-5.1");
        assert_eq!(row.text("model"), "gpt-5.1", "the one that is paid for");
        assert_eq!(row.payload["requested_model"], "claude-haiku-4-5");
    });
}
