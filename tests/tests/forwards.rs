//! What is allowed passes, and passes unchanged.

use e2e::client::{body, connection::Via};
use e2e::provider::script::Script;
use e2e::suite::Suite;
use e2e::world::setup::Setup;
use serde_json::json;
use std::time::Duration;

static SUITE: Suite = Suite::new(|| Setup::named("forwards"));

#[test]
fn a_call_passes_by_every_way_in() {
    SUITE.run(async |world| {
        for via in Via::ALL {
            let script = Script::new();

            let answer = world.call(&script).via(via).send(world).await;

            assert_eq!(answer.status, 200, "{via:?}: {}", answer.text());
            assert_eq!(answer.json()["content"][0]["text"], "word0 ", "{via:?}");
            assert_eq!(world.provider.seen(&script).len(), 1, "{via:?}");
        }
    });
}

#[test]
fn calls_after_each_other_pass_on_one_connection() {
    SUITE.run(async |world| {
        for via in Via::ALL {
            let call = world.call(&Script::new()).via(via);
            let mut connection = call.connect(world).await.unwrap();
            for _ in 0..3 {
                let answer = call.clone().open_on(&mut connection).await.unwrap().read().await;
                assert_eq!(answer.status, 200, "{via:?}: {}", answer.text());
            }
            assert_eq!(world.rows_from(call.source, 3).await.len(), 3, "{via:?}");
        }
    });
}

#[test]
fn a_token_in_x_api_key_counts_as_much_as_a_bearer() {
    SUITE.run(async |world| {
        let token = world.token();
        let key = world.anonymous(&Script::new()).header("x-api-key", &token);
        let both = world.call(&Script::new()).bearer(&token).header("x-api-key", &token);

        assert_eq!(key.send(world).await.status, 200, "apiKeyHelper's clients send x-api-key");
        assert_eq!(both.send(world).await.status, 200, "and some send the same one twice");
    });
}

#[test]
fn the_body_reaches_the_provider_byte_for_byte() {
    SUITE.run(async |world| {
        let script = Script::new();
        // Order, spaces, escapes, numbers no double can hold, members nobody knows.
        let text = format!(
            "{{ \"x_future\" : 1e400,\t\"n\":12345678901234567890.10, \"s\":\"\\u00e9\\/é\",\n\
             \"model\":\"claude-sonnet-4-5\",\"max_tokens\":1,\"system\":[{{\"type\":\"text\",\
             \"text\":\"x-anthropic-billing-header: a\"}}],\"messages\":[],\
             \"metadata\":{{\"user_id\":{}}} }}  ",
            json!(script.user_id())
        );

        let answer = world.call(&script).body(text.clone()).send(world).await;

        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = world.provider.seen(&script);
        assert_eq!(seen.len(), 1);
        assert_eq!(String::from_utf8_lossy(&seen[0].body), text);
    });
}

#[test]
fn what_the_messages_api_defines_reaches_the_provider() {
    SUITE.run(async |world| {
        let script = Script::new();

        let answer = world
            .call(&script)
            .path("/v1/messages?beta=true")
            .header("anthropic-beta", "context-1m-2025-08-07,not-known-yet-2030-01-01")
            .header("anthropic-dangerous-direct-browser-access", "true")
            .header("x-stainless-lang", "python")
            .header("accept", "application/json")
            .send(world)
            .await;

        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = world.provider.seen(&script).remove(0);
        assert_eq!(seen.path, "/v1/messages?beta=true", "the query passes and matches nothing");
        assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
        let beta = seen.header("anthropic-beta");
        assert_eq!(beta, Some("context-1m-2025-08-07,not-known-yet-2030-01-01"));
        assert_eq!(seen.header("anthropic-dangerous-direct-browser-access"), Some("true"));
        assert_eq!(seen.header("x-stainless-lang"), Some("python"));
        assert_eq!(seen.header("accept"), Some("application/json"));
        assert_eq!(seen.header("user-agent"), Some("e2e/1"));
    });
}

#[test]
fn tokens_are_counted_on_their_own_path() {
    SUITE.run(async |world| {
        let script = Script::new();

        let call = world.call(&script).path("/v1/messages/count_tokens");
        let answer = call.send(world).await;

        assert_eq!((answer.status, answer.json()), (200, json!({"input_tokens": 25})));
        assert_eq!(world.provider.seen(&script)[0].path, "/v1/messages/count_tokens");
    });
}

#[test]
fn a_stream_arrives_as_it_is_written_and_not_at_its_end() {
    SUITE.run(async |world| {
        for via in [Via::Http2, Via::Http1] {
            let script = Script { words: 8, pause: 50, ..Script::new() };

            let answer = world.call(&script).streamed().via(via).send(world).await;

            assert!(answer.whole && answer.text().contains("word7"), "{via:?}: {}", answer.text());
            let (first, last) = (answer.times[0], answer.times[answer.times.len() - 1]);
            assert!(answer.times.len() >= 8, "{via:?}: {:?}", answer.times);
            assert!(
                last.checked_sub(first).unwrap() > Duration::from_millis(300),
                "{via:?}: {:?}",
                answer.times
            );
        }
    });
}

#[test]
fn a_stream_is_passed_on_byte_for_byte_however_it_is_cut() {
    SUITE.run(async |world| {
        let base = Script { noise: true, deltas: 3, ..Script::new() };
        let direct = world.call(&base).streamed().send(world).await;
        for (cut, crlf) in [(1, false), (7, true), (64, false), (1000, true)] {
            let script = Script { cut, crlf, ..base.clone() };

            let answer = world.call(&script).streamed().send(world).await;

            let text = answer.text().replace("\r\n", "\n");
            assert_eq!(text, direct.text(), "cut at {cut}, CRLF {crlf}");
        }
    });
}

#[test]
fn errors_of_the_provider_pass_word_for_word() {
    SUITE.run(async |world| {
        for status in [400, 401, 404, 429, 500, 503, 529] {
            let script = Script::new().status(status);

            let answer = world.call(&script).send(world).await;

            assert_eq!(answer.status, status);
            let expected = e2e::provider::model::error(status);
            assert_eq!(answer.json(), expected, "clients recover by the wording");
            let after = answer.header("retry-after");
            assert_eq!(after == "17", matches!(status, 429 | 529), "{status}: {after}");
            assert_eq!(world.provider.seen(&script).len(), 1, "nobody asks twice: {status}");
        }
    });
}

#[test]
fn a_body_in_pieces_without_a_length_passes_whole() {
    SUITE.run(async |world| {
        for via in [Via::Http2, Via::Plain] {
            let script = Script::new();
            let mut call = world.call(&script).pieces(16, Duration::from_millis(2)).via(via);
            call.sized = false;

            let answer = call.send(world).await;

            assert_eq!(answer.status, 200, "{via:?}: {}", answer.text());
            let expected = body(&script).to_string();
            assert_eq!(world.provider.seen(&script)[0].body, expected, "{via:?}");
        }
    });
}

#[test]
fn the_gate_answers_for_its_own_health_and_modes() {
    SUITE.run(async |world| {
        for path in ["/healthz", "/readyz"] {
            assert_eq!(world.get(path).send(world).await.status, 200, "{path}");
        }
        let modes = world.get("/v1/auth/cowork/capabilities").send(world).await;
        assert_eq!((modes.status, modes.json()), (200, json!({"modes": ["pat"]})));
        let keys = world.get("/.well-known/jwks.json").send(world).await;
        assert_eq!(keys.json()["keys"][0]["crv"], "Ed25519", "{}", keys.text());
    });
}

#[test]
fn a_personal_access_token_is_traded_for_a_token_that_works() {
    SUITE.run(async |world| {
        let trade = world.anonymous(&Script::new()).path("/v1/auth/cowork/pat").json(&json!({}));
        let traded = trade.bearer(&world.pat).send(world).await;
        assert_eq!(traded.status, 200, "{}", traded.text());
        let traded = traded.json();
        let token = traded["token"].as_str().unwrap();
        let mut call = world.anonymous(&Script::new()).bearer(token);
        let headers = traded["headers"].as_object().unwrap();
        assert_eq!(headers.len(), 7, "{headers:?}");
        for (name, value) in headers {
            call = call.header(name, value.as_str().unwrap());
        }

        let answer = call.send(world).await;

        assert_eq!(answer.status, 200, "{}", answer.text());
    });
}
