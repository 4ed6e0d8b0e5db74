//! What must stay inside stays inside, in both directions. The provider itself refuses whatever is
//! not on the list (`tests/src/provider/seen.rs`), in every suite; here everything is sent at once.

use e2e::client::Call;
use e2e::client::connection::Via;
use e2e::provider::script::{Fault, Script};
use e2e::provider::seen::CANARY;
use e2e::suite::Suite;
use e2e::world::setup::Setup;

static SUITE: Suite = Suite::new(|| Setup::named("strips"));

/// Headers of our own, of clients, of proxies, of attackers; each with a canary in it.
const INSIDE: &[&str] = &[
    "cookie",
    "x-claude-code-session-id",
    "x-claude-code-agent-id",
    "x-claude-code-parent-agent-id",
    "x-client-request-id",
    "x-app",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-client-cert",
    "x-real-ip",
    "x-request-id",
    "x-correlation-id",
    "x-envoy-original-path",
    "x-envoy-original-host",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-decorator-operation",
    "x-envoy-internal",
    "x-tollgate-model",
    "x-tollgate-tenant",
    "x-tollgate-row",
    "x-tollgate-reply",
    "x-tollgate-caller",
    "x-trace-id",
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "forwarded",
    "via",
    "referer",
    "origin",
    "proxy-authorization",
    "x-amz-security-token",
    "x-goog-user-project",
    "x-unknown",
    "if-none-match",
    "expect-ct",
    "priority",
];

fn with_everything(mut call: Call) -> Call {
    for name in INSIDE {
        call = call.header(name, &format!("{CANARY}-{name}"));
    }
    call
}

#[test]
fn nothing_outside_the_allow_list_reaches_the_provider() {
    SUITE.run(async |world| {
        for via in Via::ALL {
            for path in ["/v1/messages", "/v1/messages/count_tokens"] {
                let script = Script::new();
                let call = with_everything(world.call(&script).via(via).path(path));

                let answer = call.send(world).await;

                assert_eq!(answer.status, 200, "{via:?} {path}: {}", answer.text());
                let seen = world.provider.seen(&script).remove(0);
                assert_eq!(seen.authority, "api.anthropic.com");
                assert!(seen.header("x-api-key").is_some_and(|key| key.starts_with("sk-ant-e2e")));
            }
        }
    });
}

#[test]
fn identity_headers_that_agree_with_the_token_stay_inside_too() {
    SUITE.run(async |world| {
        let script = Script::new();

        let answer = world
            .call(&script)
            .header("x-user-id", "ann@example.com")
            .header("x-session-id", "session-e2e")
            .header("x-client-id", "tollgate-helper")
            .header("x-tenant-id", "acme")
            .header("x-policy-version", "0000000000000000")
            .header("x-call-source", "cowork")
            .header("x-trace-id", "trace-1")
            .send(world)
            .await;

        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(world.provider.seen(&script).len(), 1);
    });
}

#[test]
fn a_call_that_is_tried_again_leaks_no_more_than_the_first_time() {
    SUITE.run(async |world| {
        let script = Script { fail_first: 1, ..Script::new() };

        let answer = with_everything(world.call(&script)).send(world).await;

        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(world.provider.seen(&script).len(), 2, "the second attempt succeeded");
    });
}

#[test]
fn a_header_cannot_be_smuggled_out_by_naming_it_in_connection() {
    SUITE.run(async |world| {
        let script = Script::new();
        let call = world.call(&script).via(Via::Plain).header("x-tenant-id", "acme");

        let answer = call.header("connection", "x-tenant-id, anthropic-version").send(world).await;

        // Envoy takes away what `connection` names, before the gate sees it.
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(world.provider.seen(&script)[0].header("anthropic-version"), None);
    });
}

#[test]
fn the_provider_s_account_and_shared_limits_do_not_come_back() {
    SUITE.run(async |world| {
        for script in [Script::new(), Script::new().status(429), Script::new().status(500)] {
            for streamed in [false, true] {
                let call = world.call(&script);
                let call = if streamed { call.streamed() } else { call };

                let answer = call.send(world).await;

                for (name, value) in &answer.headers {
                    let value = String::from_utf8_lossy(value.as_bytes());
                    assert!(!value.contains(CANARY), "{name}: {value}");
                    let shared = ["anthropic-ratelimit", "anthropic-priority", "x-envoy"];
                    let shared = shared.iter().any(|begin| name.as_str().starts_with(begin));
                    assert!(!shared && name != "set-cookie" && name != "via", "{name}: {value}");
                }
                assert_eq!(answer.header("x-passes"), "yes", "what nobody withholds passes");
                assert_eq!(answer.header("request-id"), format!("req_{}", script.id));
                assert!(!answer.header("x-request-id").is_empty());
            }
        }
    });
}

#[test]
fn trailers_of_the_provider_do_not_come_back() {
    SUITE.run(async |world| {
        for via in [Via::Http2, Via::Http1] {
            for streamed in [false, true] {
                let call = world.call(&Script { trailers: true, ..Script::new() }).via(via);
                let call = if streamed { call.streamed() } else { call.header("te", "trailers") };

                let answer = call.send(world).await;

                assert_eq!((answer.status, answer.whole), (200, true), "{}", answer.text());
                assert!(answer.trailers.is_empty(), "{via:?}: {:?}", answer.trailers);
                let row = world.row_from(answer.source).await;
                assert_eq!((row.text("outcome"), row.number("complete")), ("allowed", Some(1)));
            }
        }
    });
}

#[test]
fn a_provider_cannot_put_words_into_the_row() {
    SUITE.run(async |world| {
        let answer = world.call(&Script::new()).send(world).await;

        let row = world.row_from(answer.source).await;

        assert_eq!((row.text("tenant_id"), row.text("user_id")), ("acme", "ann@example.com"));
        assert_eq!(row.text("provider"), "anthropic");
    });
}

#[test]
fn no_key_no_call() {
    let setup = Setup::named("strips-keyless").edit(
        "secrets/anthropic.yaml",
        "sk-ant-e2e-provider-key",
        "",
    );
    e2e::suite::alone(setup, async |world| {
        let answer = world.call(&Script::new()).send(world).await;

        assert_eq!(answer.error(), "api_error", "{}", answer.text());
        assert!(world.provider.all().is_empty());
        assert_eq!(world.row_from(answer.source).await.text("outcome"), "error");
    });
}

#[test]
fn an_answer_that_breaks_off_leaks_nothing_either() {
    SUITE.run(async |world| {
        let script = Script::new().fault(Fault::ResetBeforeHeaders);

        let answer = with_everything(world.call(&script)).send(world).await;

        answer.assert_refused(529, "overloaded_error");
        assert!(!answer.text().contains("reset") && !answer.text().contains("127.0.0.1"));
        assert_eq!(answer.header("retry-after"), "5");
    });
}
