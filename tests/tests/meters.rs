//! The row says what the provider said it used.

use e2e::provider::script::{Fault, Script, Usage};
use e2e::suite::Suite;
use e2e::world::rows::Row;
use e2e::world::setup::Setup;
use serde_json::json;

static SUITE: Suite = Suite::new(|| Setup::named("meters"));

/// At 3, 15, 3.75, 6 and 0.30 dollars a million tokens: 13,777.8 microdollars.
const USED: Usage = Usage { input: 1234, output: 567, write_5m: 80, write_1h: 7, read: 4096 };

fn assert_used(row: &Row, used: Usage, why: &str) {
    let Usage { input, output, write_5m, write_1h, read } = used;
    let said = ["tokens_in", "tokens_out", "tokens_cache_write", "tokens_cache_read"];
    let said = said.map(|column| row.number(column));
    let expected = [input, output, write_5m + write_1h, read].map(|it| i64::try_from(it).ok());
    assert_eq!(said, expected, "{why}: {row:#?}");
    assert_eq!(row.number("cost_micro"), Some(13_778), "{why}: {row:#?}");
    assert_eq!(row.number("complete"), Some(1), "{why}: {row:#?}");
    assert_eq!(row.text("outcome"), "allowed", "{why}: {row:#?}");
    let fine = &row.payload["usage"];
    assert_eq!(fine["cache_write_5m"], write_5m, "{why}: {row:#?}");
    assert_eq!(fine["cache_write_1h"], write_1h, "{why}: {row:#?}");
}

#[test]
fn an_answer_in_json_is_metered() {
    SUITE.run(async |world| {
        for cut in [0, 1, 13] {
            let script = Script { cut, ..Script::new().usage(USED) };
            let answer = world.call(&script).send(world).await;

            let row = world.row_from(answer.source).await;

            assert_used(&row, USED, &format!("cut at {cut}"));
            assert_eq!(row.text("model"), "claude-sonnet-4-5", "normalised");
            assert_eq!(row.payload["requested_model"], "claude-sonnet-4-5-20250929");
            assert_eq!(row.payload["stop_reason"], "end_turn");
            assert_eq!(row.payload["provider_request_id"], format!("req_{}", script.id));
            assert_ne!(row.payload["streamed"], true);
        }
    });
}

#[test]
fn a_stream_is_metered_however_it_is_cut_and_written() {
    SUITE.run(async |world| {
        for (cut, crlf, noise, deltas) in [
            (0, false, false, 1),
            (1, false, true, 2),
            (3, true, true, 3),
            (50, true, false, 1),
            (4096, false, true, 5),
        ] {
            let base = Script::new().usage(USED);
            let script = Script { cut, crlf, noise, deltas, words: 20, ..base };
            let answer = world.call(&script).streamed().send(world).await;

            let row = world.row_from(answer.source).await;

            let why = format!("cut at {cut}, CRLF {crlf}, noise {noise}, {deltas} deltas");
            assert_used(&row, USED, &why);
            assert_eq!(row.payload["streamed"], true, "{why}");
            assert!(row.number("first_token_ms").is_some(), "{why}: {row:#?}");
        }
    });
}

#[test]
fn a_stream_cut_short_yields_what_was_known_and_says_so() {
    SUITE.run(async |world| {
        let base = Script { words: 20, ..Script::new().usage(USED) };
        for fault in [Fault::ResetAfter(5), Fault::EndAfter(5)] {
            let script = Script { fault, id: format!("{}{fault:?}", base.id), ..base.clone() };
            let answer = world.call(&script).streamed().send(world).await;

            let row = world.row_from(answer.source).await;

            assert_eq!(row.number("tokens_in"), Some(1234), "{fault:?}: {row:#?}");
            assert_eq!(row.number("tokens_cache_read"), Some(4096), "{fault:?}");
            assert_eq!(row.number("complete"), Some(0), "{fault:?}: {row:#?}");
            assert_eq!(row.text("outcome"), "error", "{fault:?}: {row:#?}");
        }
    });
}

#[test]
fn an_error_in_the_middle_of_a_stream_is_an_error_in_the_row() {
    SUITE.run(async |world| {
        let script = Script { error_event: true, ..Script::new() };
        let answer = world.call(&script).streamed().send(world).await;

        let row = world.row_from(answer.source).await;

        assert_eq!((row.text("outcome"), row.number("status")), ("error", Some(200)), "{row:#?}");
        assert_eq!(row.number("complete"), Some(0));
    });
}

#[test]
fn an_answer_compressed_unasked_passes_and_its_usage_is_unknown() {
    SUITE.run(async |world| {
        let script = Script { gzip: true, ..Script::new() };
        let call = world.call(&script).header("accept-encoding", "gzip, br");
        let answer = call.send(world).await;

        assert_eq!((answer.status, answer.header("content-encoding")), (200, "gzip"));
        let asked = world.provider.seen(&script).remove(0);
        let asked = asked.header("accept-encoding").unwrap_or("identity");
        assert_eq!(asked, "identity", "nobody asked the provider to compress");
        let row = world.row_from(answer.source).await;
        assert_eq!(row.number("tokens_in"), None, "unknown is null, never zero: {row:#?}");
        assert_eq!(row.number("cost_micro"), None);
        assert_eq!(row.number("complete"), Some(0));
        assert!(row.flagged("answer_compressed"), "{row:#?}");
    });
}

#[test]
fn a_model_without_a_price_costs_null_and_not_nothing() {
    SUITE.run(async |world| {
        let call =
            world.call(&Script::new().usage(USED)).member("model", json!("claude-haiku-9-9"));
        let answer = call.send(world).await;

        let row = world.row_from(answer.source).await;

        assert_eq!((row.text("outcome"), row.number("cost_micro")), ("allowed", None), "{row:#?}");
        assert!(row.flagged("price_unknown"), "{row:#?}");
        assert_eq!(row.number("tokens_in"), Some(1234));
    });
}

#[test]
fn a_count_of_tokens_is_a_row_of_its_own_kind() {
    SUITE.run(async |world| {
        let script = Script::new().usage(USED);
        let call = world.call(&script).path("/v1/messages/count_tokens");
        let answer = call.send(world).await;

        let row = world.row_from(answer.source).await;

        assert_eq!((row.text("kind"), row.number("tokens_in")), ("count", Some(1234)), "{row:#?}");
        assert_eq!(row.number("tokens_out"), None);
    });
}

#[test]
fn the_row_says_who_and_from_where() {
    SUITE.run(async |world| {
        let answer = world
            .call(&Script::new())
            .header("x-trace-id", "trace-7")
            .header("x-claude-code-session-id", "5b8c-session")
            .header("x-claude-code-agent-id", "agent-3")
            .header("x-claude-code-parent-agent-id", "agent-1")
            .send(world)
            .await;

        let row = world.row_from(answer.source).await;

        for (column, value) in [
            ("tenant_id", "acme"),
            ("user_id", "ann@example.com"),
            ("session_id", "5b8c-session"),
            ("trace_id", "5b8c-session"), // a helper's x-trace-id lives an hour and names no call
            ("client_id", "tollgate-helper"),
            ("policy_ver", "0000000000000000"),
            ("call_source", "subagent"),
            ("kind", "inference"),
            ("model", "claude-sonnet-4-5"),
            ("provider", "anthropic"),
            ("upstream_region", "us"),
            ("department", "engineering"),
            ("agent_id", "agent-3"),
            ("outcome", "allowed"),
            ("rule_id", "everyone"),
            ("credential_id", "pat_e2e"),
        ] {
            assert_eq!(row.text(column), value, "{column}: {row:#?}");
        }
        assert_eq!(row.text("bundle_ver").len(), 16, "the policy that judged");
        assert_eq!(row.text("request_id"), answer.header("x-request-id"));
        assert_eq!(row.text("event_id"), answer.header("x-request-id"));
        assert_eq!(row.payload["token_session_id"], "session-e2e");
        assert_eq!(row.payload["parent_agent_id"], "agent-1");
        assert_eq!(row.payload["department"], "engineering");
        assert_eq!(row.payload["sub"], "usr_e2e");
        assert!(row.number("latency_ms").is_some(), "{row:#?}");
        assert_eq!(row.payload["sequence"]["n"].as_u64().map(|n| n > 0), Some(true));
    });
}

#[test]
fn a_large_answer_is_metered_and_passes_whole() {
    SUITE.run(async |world| {
        let script = Script { words: 200_000, ..Script::new().usage(USED) };
        let answer = world.call(&script).send(world).await;

        assert!(answer.body.len() > 1_500_000 && answer.whole, "{}", answer.body.len());
        let row = world.row_from(answer.source).await;
        assert_used(&row, USED, "the usage comes after megabytes of text");
        assert_eq!(answer.json()["usage"]["input_tokens"], json!(1234));
    });
}
