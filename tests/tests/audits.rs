//! Exactly one row for each exchange, however it ends. Every call comes from an address of its own,
//! and its row is found by that: the row's id cannot help where Envoy never read a header.

use e2e::client::connection::{self, Via};
use e2e::client::{Call, raw, source};
use e2e::provider::script::{Fault, Script};
use e2e::suite::{Suite, alone};
use e2e::world::World;
use e2e::world::rows::Row;
use e2e::world::setup::Setup;
use http::Method;
use serde_json::json;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

static SUITE: Suite = Suite::new(|| {
    // As shipped, but no test waits for a minute.
    Setup::named("audits")
        .edit("envoy.yaml", "request_headers_timeout: 10s", "request_headers_timeout: 2s")
        .edit("envoy.yaml", "request_timeout: 120s", "request_timeout: 3s")
        .edit("envoy.yaml", "stream_idle_timeout: 900s", "stream_idle_timeout: 4s")
        .edit("routes.yaml", "idle_timeout: 900s # a model", "idle_timeout: 2s # a model")
});

const MOMENT: Duration = Duration::from_millis(300);

/// The one row of a call, which names Ann.
async fn hers(world: &World, answer: &e2e::client::answer::Answer) -> Row {
    let row = world.row_from(answer.source).await;
    assert_eq!(
        (row.text("tenant_id"), row.text("user_id")),
        ("acme", "ann@example.com"),
        "{row:?}"
    );
    assert_eq!(row.text("event_id"), answer.header("x-request-id"), "{row:?}");
    row
}

#[test]
fn allowed() {
    SUITE.run(async |world| {
        for via in Via::ALL {
            for streamed in [false, true] {
                let call = world.call(&Script::new()).via(via);
                let call = if streamed { call.streamed() } else { call };

                let answer = call.send(world).await;

                let row = hers(world, &answer).await;
                assert_eq!((row.text("outcome"), row.number("status")), ("allowed", Some(200)));
            }
        }
    });
}

#[test]
fn refused_by_the_gate() {
    SUITE.run(async |world| {
        let call = world.call(&Script::new()).member("model", json!("gpt-5"));

        let answer = call.send(world).await;

        let row = hers(world, &answer).await;
        assert_eq!((row.text("outcome"), row.text("model")), ("denied", "gpt-5"));
    });
}

#[test]
fn an_error_of_the_provider() {
    SUITE.run(async |world| {
        for status in [400, 429, 500, 529] {
            let answer = world.call(&Script::new().status(status)).send(world).await;

            let row = hers(world, &answer).await;

            let expected = ("error", Some(i64::from(status)));
            assert_eq!((row.text("outcome"), row.number("status")), expected);
        }
    });
}

async fn left(world: &World, call: Call, after: Duration) -> Row {
    let source = call.source;
    call.leave_after(world, after).await;

    let row = world.row_from(source).await;

    assert_eq!(row.text("outcome"), "error", "{row:#?}");
    row
}

#[test]
fn the_client_goes_before_the_provider_s_headers() {
    SUITE.run(async |world| {
        for via in [Via::Http2, Via::Http1] {
            let script = Script::new().fault(Fault::SilentBeforeHeaders);
            let row = left(world, world.call(&script).via(via), MOMENT).await;
            assert_eq!(row.text("user_id"), "ann@example.com", "{via:?}: {row:#?}");
        }
    });
}

#[test]
fn the_client_goes_while_its_body_is_on_the_way() {
    SUITE.run(async |world| {
        for via in [Via::Http2, Via::Http1] {
            let call = world.call(&Script::new()).pieces(20, Duration::from_millis(100)).via(via);
            let row = left(world, call, MOMENT).await;
            assert!(row.flagged("client_gone"), "{via:?}: {row:#?}");
        }
    });
}

#[test]
fn the_client_goes_in_the_middle_of_a_stream() {
    SUITE.run(async |world| {
        for via in [Via::Http2, Via::Http1] {
            let script = Script { words: 100, pause: 50, ..Script::new() };
            let call = world.call(&script).streamed().via(via);
            let source = call.source;
            let mut open = call.open(world).await.unwrap();
            open.next().await.unwrap();
            drop(open);

            let row = world.row_from(source).await;

            // The provider did its work: docs/decisions/0006-client-gone-is-allowed.md.
            let ended = (row.text("outcome"), row.number("complete"));
            assert_eq!(ended, ("allowed", Some(0)), "{row:#?}");
            assert!(row.flagged("client_gone"), "{row:#?}");
            assert_eq!(row.number("tokens_in"), Some(25), "{via:?}: message_start had come");
        }
    });
}

#[test]
fn the_client_goes_before_its_headers_are_whole_or_never_finishes_them() {
    SUITE.run(async |world| {
        for (stays, status) in [(200, 0), (2600, 408)] {
            let from = source();
            let mut stream = connection::tcp(from, world.ports.plain).await.unwrap();
            stream.write_all(b"POST /v1/messages HTTP/1.1\r\nhost: a\r\n").await.unwrap();
            tokio::time::sleep(Duration::from_millis(stays)).await;
            drop(stream);

            let row = world.row_from(from).await;

            assert_eq!((row.number("status"), row.text("user_id")), (Some(status), ""), "{row:#?}");
            assert_ne!(row.text("outcome"), "allowed");
        }
    });
}

#[test]
fn the_provider_breaks_off_before_and_after_its_headers() {
    SUITE.run(async |world| {
        let before = Script::new().fault(Fault::ResetBeforeHeaders);
        let answer = world.call(&before).send(world).await;
        let row = hers(world, &answer).await;
        assert_eq!((row.text("outcome"), row.number("status")), ("error", Some(529)), "{row:#?}");

        let after = Script { words: 30, ..Script::new().fault(Fault::ResetAfter(4)) };
        let answer = world.call(&after).streamed().send(world).await;
        assert!(!answer.whole, "a stream cut short must not look whole");
        let row = hers(world, &answer).await;
        assert_eq!((row.text("outcome"), row.number("status")), ("error", Some(200)), "{row:#?}");
    });
}

#[test]
fn silence() {
    SUITE.run(async |world| {
        let before = Script::new().fault(Fault::SilentBeforeHeaders);
        let answer = world.call(&before).send(world).await;
        answer.assert_refused(504, "timeout_error");
        let row = hers(world, &answer).await;
        assert_eq!((row.text("outcome"), row.number("status")), ("error", Some(504)), "{row:#?}");

        let after = Script { words: 30, ..Script::new().fault(Fault::SilentAfter(4)) };
        let answer = world.call(&after).streamed().send(world).await;
        assert!(!answer.whole);
        assert_eq!(hers(world, &answer).await.text("outcome"), "error");
    });
}

#[test]
fn tried_again() {
    SUITE.run(async |world| {
        let script = Script { fail_first: 2, ..Script::new() };

        let answer = world.call(&script).send(world).await;

        assert_eq!((answer.status, world.provider.seen(&script).len()), (200, 3));
        let row = hers(world, &answer).await;
        assert_eq!(row.text("outcome"), "allowed");
    });
}

#[test]
fn a_route_that_is_none() {
    SUITE.run(async |world| {
        let answer = world.get("/v1/complete").send(world).await;

        answer.assert_refused(404, "not_found_error");
        let row = world.row_from(answer.source).await;
        assert_eq!((row.text("outcome"), row.text("user_id")), ("denied", ""), "{row:#?}");
        assert_eq!(row.payload["target"], "GET /v1/complete");
    });
}

/// What Envoy itself refuses, by hand. Each has one row, though the gate never saw it.
#[test]
fn refused_by_envoy() {
    let long = format!("GET / HTTP/1.1\r\nhost: a\r\nx-long: {}\r\n\r\n", "x".repeat(70_000));
    let many = "x-many: 1\r\n".repeat(120);
    let many = format!("GET /v1/messages HTTP/1.1\r\nhost: a\r\n{many}\r\n");
    SUITE.run(async |world| {
        for (what, bytes, status) in [
            ("no HTTP", "HELLO\r\n\r\n", 400),
            ("an escaped slash", "GET /v1%2fmessages HTTP/1.1\r\nhost: a\r\n\r\n", 400),
            ("an underscore", "GET / HTTP/1.1\r\nhost: a\r\nx_a: 1\r\n\r\n", 400),
            ("no host", "GET / HTTP/1.1\r\n\r\n", 400),
            ("HTTP/1.0", "GET / HTTP/1.0\r\nhost: a\r\n\r\n", 426),
            ("headers too large", &long, 431),
            ("headers too many", &many, 431),
            (
                "a body that does not come",
                "POST /v1/messages HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n",
                0,
            ),
        ] {
            let answer = raw::send(world.ports.plain, bytes.as_bytes()).await.unwrap();

            if status > 0 {
                assert_eq!(answer.status, status, "{what}: {answer:?}");
                assert!(answer.body().contains(r#""type":"error""#), "{what}: {answer:?}");
            }
            let rows = world.rows_from(answer.source, 1).await;
            assert_eq!(rows.len(), 1, "{what}: {rows:#?}");
            let outcome = rows[0].text("outcome");
            assert!(matches!(outcome, "denied" | "error"), "{what}: {:#?}", rows[0]);
        }
    });
}

#[test]
fn a_body_that_stops_arriving() {
    SUITE.run(async |world| {
        let call = world.call(&Script::new()).pieces(8, Duration::from_millis(400)).via(Via::Http1);

        let answer = call.send(world).await;

        answer.assert_refused(408, "timeout_error");
        assert_ne!(world.row_from(answer.source).await.text("outcome"), "allowed");
    });
}

#[test]
fn a_trade_of_credentials() {
    SUITE.run(async |world| {
        let trade = || world.anonymous(&Script::new()).path("/v1/auth/cowork/pat").json(&json!({}));
        let good = trade().bearer(&world.pat).send(world).await;
        let bad = trade().bearer("tgp_000000000000_wrong").send(world).await;

        let row = hers(world, &good).await;
        assert_eq!((row.text("kind"), row.text("outcome")), ("auth", "allowed"), "{row:#?}");
        assert!(row.text("credential_id").starts_with("pat_"), "{row:#?}");
        bad.assert_refused(401, "authentication_error");
        let row = world.row_from(bad.source).await;
        assert_eq!((row.text("kind"), row.text("outcome")), ("auth", "denied"), "{row:#?}");
        assert_eq!(good.header("x-tollgate-caller"), "", "for the gate only");
    });
}

#[test]
fn what_is_no_call_leaves_no_row() {
    SUITE.run(async |world| {
        for (method, path, status) in [
            (Method::GET, "/healthz", 200),
            (Method::GET, "/readyz", 200),
            (Method::GET, "/v1/auth/cowork/capabilities", 200),
            (Method::GET, "/.well-known/jwks.json", 200),
            (Method::GET, "/v1/models?limit=1000", 401), // who may use which is for callers alone
            (Method::HEAD, "/", 200),
            (Method::HEAD, "/api/hello", 200),
        ] {
            let answer = world.get(path).method(method).send(world).await;
            assert_eq!(answer.status, status, "{path}");
            assert!(world.rows_from(answer.source, 0).await.is_empty(), "{path}");
        }
    });
}

#[test]
fn nobody_can_hide_a_call_from_the_table() {
    SUITE.run(async |world| {
        let call = world.call(&Script::new()).header("x-tollgate-row", "none");
        let answer = call.send(world).await;
        assert_eq!(hers(world, &answer).await.text("outcome"), "allowed");

        let hidden = b"GET /v1%2fmessages HTTP/1.1\r\nhost: a\r\nx-tollgate-row: none\r\n\r\n";
        let answer = raw::send(world.ports.plain, hidden).await.unwrap();
        assert_eq!(world.rows_from(answer.source, 1).await.len(), 1);
    });
}

#[test]
fn envoy_is_stopped_with_streams_open() {
    alone(Setup::named("audits-stopped"), async |world| {
        let script = Script { words: 200, pause: 50, ..Script::new() };
        let mut open = Vec::new();
        for _ in 0..10 {
            let mut stream = world.call(&script).streamed().open(world).await.unwrap();
            stream.next().await.unwrap();
            open.push(stream);
        }

        world.stop_envoy().unwrap();

        let sources: Vec<_> = open.iter().map(|stream| stream.source).collect();
        for row in world.row_of_each(&sources).await {
            assert_eq!(
                (row.text("outcome"), row.number("complete")),
                ("error", Some(0)),
                "{row:#?}"
            );
            assert_eq!(row.text("user_id"), "ann@example.com");
        }
    });
}

#[test]
fn the_sidecar_is_away_for_a_while() {
    alone(Setup::named("audits-sidecar"), async |world| {
        assert_eq!(world.call(&Script::new()).send(world).await.status, 200);
        world.kill_sidecar();
        let mut sources = Vec::new();
        for _ in 0..40 {
            let answer = world.call(&Script::new()).send(world).await;
            assert_eq!(answer.status, 200, "calls go on without the sidecar: {}", answer.text());
            sources.push(answer.source);
        }

        world.start_sidecar().await.unwrap();

        for row in world.row_of_each(&sources).await {
            assert_eq!(row.text("outcome"), "allowed", "{row:#?}");
        }
    });
}

#[test]
fn more_calls_than_the_provider_s_circuit_takes() {
    let setup = Setup::named("audits-circuit").edit(
        "clusters.yaml",
        "max_requests: 16384",
        "max_requests: 2",
    );
    alone(setup, async |world| {
        let script = Script { words: 60, pause: 30, ..Script::new() };
        let mut open = Vec::new();
        for _ in 0..2 {
            open.push(world.call(&script).streamed().open(world).await.unwrap());
        }

        let answer = world.call(&Script::new()).send(world).await;

        answer.assert_refused(529, "overloaded_error");
        assert_eq!(hers(world, &answer).await.text("outcome"), "error");
        for stream in open {
            assert!(stream.read().await.whole, "who was served before goes on");
        }
    });
}

#[test]
fn envoy_is_overloaded() {
    let monitor = "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig";
    let injected = "envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig";
    let setup = Setup::named("audits-overload")
        .edit(
            "envoy.yaml",
            "&heap envoy.resource_monitors.fixed_heap",
            "&heap envoy.resource_monitors.injected_resource",
        )
        .edit("envoy.yaml", monitor, injected)
        .edit("envoy.yaml", "max_heap_size_bytes: 2147483648", "filename: ./pressure");
    alone(setup, async |world| {
        world.rename_into_place("pressure", "0.96").unwrap();
        tokio::time::sleep(Duration::from_millis(800)).await;

        let answer = world.call(&Script::new()).send(world).await;

        answer.assert_refused(503, "api_error");
        assert_eq!(world.row_from(answer.source).await.text("outcome"), "error");
        world.rename_into_place("pressure", "0.1").unwrap();
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert_eq!(world.call(&Script::new()).send(world).await.status, 200);
    });
}
