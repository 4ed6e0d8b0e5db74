//! Ways around the gate that are known of other gates. None leads to the provider unchecked.

use e2e::client::connection::Via;
use e2e::client::{Call, body, raw};
use e2e::provider::script::Script;
use e2e::suite::Suite;
use e2e::world::World;
use e2e::world::setup::Setup;
use serde_json::json;
use std::time::Duration;

static SUITE: Suite = Suite::new(|| Setup::named("bypasses"));

/// What is changed of a good call.
type Change = fn(Call, &str) -> Call;

/// A raw request for the plain front.
fn request(line: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut text = format!("{line}\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }

    format!("{text}\r\n{body}").into_bytes()
}

/// The call is not answered with success, and the provider hears nothing of it.
async fn stopped(world: &World, what: &str, script: &Script, bytes: &[u8]) -> raw::RawAnswer {
    let answer = raw::send(world.ports.plain, bytes).await.unwrap();

    assert!(answer.status >= 400, "{what}: {answer:?}");
    assert!(answer.body().contains(r#""type":"error""#), "{what}: {answer:?}");
    assert!(world.provider.seen(script).is_empty(), "{what} reached the provider");

    answer
}

#[test]
fn another_spelling_of_the_path_is_checked_like_the_first_or_refused() {
    SUITE.run(async |world| {
        for path in [
            "//v1/messages",
            "/v1//messages",
            "/v1/./messages",
            "/v1/../v1/messages",
            "/v1/%6dessages",
            "/v1\\messages",
            "/v1%2fmessages",
            "/v1%5cmessages",
            "/v1/messages;x",
            "/v1/messages/",
            "/v1/messages%00",
            "/v1/messages%3Fbeta=true",
            "/v1/messages%zz",
            "/v1/messages#x",
            "/V1/MESSAGES",
            "/v1/messages/count_tokens/../",
            "http://evil.example/v1/messages",
        ] {
            let script = Script::new();
            let text = body(&script).to_string();
            let line = format!("POST {path} HTTP/1.1");
            stopped(
                world,
                path,
                &script,
                &request(&line, &["content-type: application/json"], &text),
            )
            .await;

            // With a good token the same path may pass, but only to where it is checked and routed.
            let token = format!("authorization: Bearer {}", world.token());
            let headers = ["content-type: application/json", token.as_str()];
            let answer =
                raw::send(world.ports.plain, &request(&line, &headers, &text)).await.unwrap();
            for seen in world.provider.seen(&script) {
                assert_eq!(seen.path, "/v1/messages", "{path}: {answer:?}");
            }
        }
    });
}

#[test]
fn requests_that_two_parsers_could_read_differently_are_refused() {
    SUITE.run(async |world| {
        let script = Script::new();
        let text = body(&script).to_string();
        let token = format!("authorization: Bearer {}", world.token());
        let json = "content-type: application/json";
        let line = "POST /v1/messages HTTP/1.1";
        let chunked = format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len());
        for (what, headers, body) in [
            ("two lengths", vec!["content-length: 3"], &text),
            ("length and chunks", vec!["transfer-encoding: chunked"], &chunked),
            ("two encodings of transfer", vec!["transfer-encoding: gzip, chunked"], &text),
            ("a space before the colon", vec!["x-tenant-id : acme"], &text),
            ("an underscore", vec!["x_tenant_id: acme"], &text),
            ("an upgrade", vec!["connection: upgrade", "upgrade: websocket"], &text),
            ("expect something else", vec!["expect: 42-something"], &text),
        ] {
            let all: Vec<&str> = [json, &token].into_iter().chain(headers).collect();
            let answer = raw::send(world.ports.plain, &request(line, &all, body)).await.unwrap();

            let passed = !world.provider.seen(&script).is_empty();
            assert!(!passed || what == "expect something else", "{what}: {answer:?}");
        }
    });
}

#[test]
fn two_credentials_are_never_one_of_them() {
    SUITE.run(async |world| {
        let good = format!("authorization: Bearer {}", world.token());
        let bad = "authorization: Bearer a.b.c";
        for headers in [vec![good.as_str(), bad], vec![bad, good.as_str()], vec![&good, &good]] {
            let script = Script::new();
            let text = body(&script).to_string();
            let headers: Vec<&str> =
                headers.into_iter().chain(["content-type: application/json"]).collect();
            let bytes = request("POST /v1/messages HTTP/1.1", &headers, &text);

            let answer = stopped(world, "two credentials", &script, &bytes).await;

            assert_eq!(answer.status, 401, "{answer:?}");
        }
    });
}

#[test]
fn headers_that_are_there_twice_or_too_large_are_refused() {
    SUITE.run(async |world| {
        let long = "a".repeat(9000);
        let cases: [(&str, Change); 4] = [
            ("two tenants", |call, _| {
                call.header("x-tenant-id", "acme").header("x-tenant-id", "acme")
            }),
            ("two types", |call, _| call.header("content-type", "application/json")),
            ("two keys", |call, _| call.header("x-api-key", "a").header("x-api-key", "b")),
            ("a long credential", |call, long| call.bearer(long)),
        ];
        for (what, change) in cases {
            let script = Script::new();

            let answer = change(world.call(&script), &long).send(world).await;

            assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
            assert!(world.provider.seen(&script).is_empty(), "{what}");
        }
    });
}

#[test]
fn a_forged_request_id_is_not_the_row_s() {
    SUITE.run(async |world| {
        let forged = "00000000-0000-4000-8000-000000000000";
        for via in Via::ALL {
            let call = world.call(&Script::new()).via(via).header("x-request-id", forged);

            let answer = call.send(world).await;

            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_ne!(answer.header("x-request-id"), forged);
            assert_ne!(world.row_from(answer.source).await.text("event_id"), forged);
        }
        let hidden = format!("GET /v1%2fx HTTP/1.1\r\nhost: a\r\nx-request-id: {forged}\r\n\r\n");
        for _ in 0..2 {
            let answer = raw::send(world.ports.plain, hidden.as_bytes()).await.unwrap();
            assert_eq!(world.rows_from(answer.source, 1).await.len(), 1, "one row each");
        }
    });
}

#[test]
fn trailers_reach_nobody_and_change_nothing() {
    SUITE.run(async |world| {
        for via in [Via::Http2, Via::Plain2, Via::Http1] {
            let good = Script::new();
            let call = world.call(&good).via(via).trailer("x-tenant-id", "umbrella");
            let answer = call.trailer("x-canary", "canary").send(world).await;
            assert!(answer.status == 200 || answer.status == 400, "{via:?}: {}", answer.text());

            // With trailers no piece of the body is the last one: all checks must happen all the same.
            let script = Script::new();
            let call = world.call(&script).via(via).member("model", json!("claude-opus-4-8"));
            let answer = call.trailer("x-model", "claude-sonnet-4-5").send(world).await;
            assert!((400..500).contains(&answer.status), "{via:?}: {}", answer.text());
            assert!(world.provider.seen(&script).is_empty(), "{via:?}");
        }
    });
}

#[test]
fn a_forbidden_model_cannot_be_hidden_in_the_body() {
    SUITE.run(async |world| {
        for (what, text) in [
            (
                "two models",
                r#"{"model":"claude-haiku-4-5","model":"claude-opus-4-8","messages":[]}"#,
            ),
            ("escaped", r#"{"\u006dodel":"claude-opus-4-8","messages":[]}"#),
            ("a second document", r#"{"model":"claude-haiku-4-5"}{"model":"claude-opus-4-8"}"#),
            ("an array", r#"[{"model":"claude-haiku-4-5"}]"#),
            ("a comment", r#"{/*"model":"claude-haiku-4-5",*/"model":"claude-opus-4-8"}"#),
            ("a byte order mark", "\u{feff}{\"model\":\"claude-haiku-4-5\"}"),
            ("upper case", r#"{"MODEL":"claude-haiku-4-5"}"#),
            ("nested", r#"{"messages":[{"model":"claude-haiku-4-5"}]}"#),
        ] {
            let answer = world.call(&Script::new()).body(text).send(world).await;

            assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        }
        let deep = format!(
            r#"{{"model":"claude-haiku-4-5","a":{}{}}}"#,
            "[".repeat(200_000),
            "]".repeat(200_000)
        );
        let answer = world.call(&Script::new()).body(deep).send(world).await;
        assert!(matches!(answer.status, 200 | 400), "{answer:?}");
        assert_eq!(world.call(&Script::new()).send(world).await.status, 200, "and nothing trapped");
    });
}

#[test]
fn a_forbidden_model_cannot_be_asked_beside_an_allowed_one() {
    SUITE.run(async |world| {
        for (member, value) in [
            (
                "tools",
                json!([{"type": "advisor_20260301", "name": "a", "model": "claude-opus-4-8"}]),
            ),
            ("fallbacks", json!([{"model": "claude-opus-4-8"}])),
            ("fallbacks", json!([{"model": "claude-haiku-4-5"}, {"model": "Claude-OPUS-4-8"}])),
            ("fallbacks", json!(["claude-opus-4-8"])),
        ] {
            let script = Script::new();

            let answer = world.call(&script).member(member, value.clone()).send(world).await;

            answer.assert_refused(400, "invalid_request_error");
            assert_eq!(answer.header("x-tollgate-refusal"), "model_not_allowed", "{value}");
            assert!(world.provider.seen(&script).is_empty(), "{value}");
        }
        let data =
            json!([{"name": "t", "input_schema": {"properties": {"model": {"type": "string"}}}}]);
        let answer = world.call(&Script::new()).member("tools", data).send(world).await;
        assert_eq!(answer.status, 200, "a word in a tool's schema is data: {}", answer.text());
    });
}

fn large(script: &Script, megabytes: usize) -> String {
    let mut good = body(script);
    good["messages"][0]["content"] = json!("x".repeat(megabytes << 20));

    good.to_string()
}

#[test]
fn twenty_megabytes_pass_and_thirty_three_are_refused_with_their_row() {
    SUITE.run(async |world| {
        for via in Via::ALL {
            let script = Script::new();
            let sent = large(&script, 20);
            let answer = world.call(&script).body(sent.clone()).via(via).send(world).await;
            assert_eq!(answer.status, 200, "{via:?}: {}", answer.text());
            let seen = world.provider.seen(&script).remove(0);
            assert!(seen.whole && seen.body == sent, "{via:?}");

            let script = Script::new();
            let answer = world.call(&script).body(large(&script, 33)).via(via).send(world).await;
            answer.assert_refused(413, "request_too_large");
            assert!(world.provider.seen(&script).is_empty(), "{via:?}");
            let row = world.row_from(answer.source).await;
            assert_eq!(row.text("rule_id"), "body_too_large", "{via:?}: {row:?}");
        }
    });
}

#[test]
fn claims_that_lie_are_refused() {
    SUITE.run(async |world| {
        for (what, name, value) in [
            ("no tenant", "tenant_id", json!("")),
            ("a tenant of two lines", "tenant_id", json!("acme\r\nx-tollgate-model: a")),
            ("a user beyond ASCII", "email", json!("\u{430}nn@example.com")),
            ("an object for a name", "sid", json!({"a": 1})),
            ("an unknown way in", "amr", json!("magic")),
            ("no time at all", "exp", json!("tomorrow")),
        ] {
            let script = Script::new();
            let token = world.token_with(|_, claims| claims[name] = value);

            let answer = world.call(&script).bearer(&token).send(world).await;

            assert_eq!(answer.status, 401, "{what}: {}", answer.text());
            assert!(world.provider.seen(&script).is_empty(), "{what}");
        }
    });
}

#[test]
fn the_sidecar_s_inner_listener_cannot_be_reached_through_the_front() {
    SUITE.run(async |world| {
        for path in [
            "/gate/policy",
            "/gate/keys",
            "/gate/standing",
            "/gate/counted",
            "/gate/intent",
            "/gate/heartbeat",
            "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
            "/metrics",
            "/v1/auth/cowork/../../../gate/policy",
        ] {
            let answer = world.get(path).send(world).await;
            answer.assert_refused(404, "not_found_error");
        }
        let connect = b"CONNECT 127.0.0.1:7081 HTTP/1.1\r\nhost: 127.0.0.1:7081\r\n\r\n";
        let answer = raw::send(world.ports.plain, connect).await.unwrap();
        assert!(answer.status >= 400, "{answer:?}");
    });
}

#[test]
fn a_slow_body_is_checked_whole() {
    SUITE.run(async |world| {
        let script = Script::new();
        let call = world.call(&script).member("model", json!("claude-opus-4-8"));

        let answer = call.pieces(24, Duration::from_millis(5)).send(world).await;

        assert_eq!(answer.header("x-tollgate-refusal"), "model_not_allowed", "{}", answer.text());
        assert!(world.provider.seen(&script).is_empty());
    });
}
