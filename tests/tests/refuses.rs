//! Every no of the gate: its status, its type, its code, its row, and nothing upstream.
//!
//! One test for each code of `filter/src/refusal.rs`; the last one holds the two lists together.

use e2e::client::connection::Via;
use e2e::client::{Call, body};
use e2e::provider::script::Script;
use e2e::suite::{Suite, alone};
use e2e::world::World;
use e2e::world::setup::Setup;
use e2e::world::tokens::{covered, now};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

static SUITE: Suite = Suite::new(|| Setup::named("refuses"));

/// The call gets this refusal, leaves one row that says so, and the provider hears nothing.
async fn refused(world: &World, call: Call, code: &str, status: u16, kind: &str) {
    let script = call.body.first().and_then(|body| Script::find(body));

    let answer = call.send(world).await;

    answer.assert_refused(status, kind);
    assert_eq!(answer.header("x-tollgate-refusal"), code, "{}", answer.text());
    let body = answer.json();
    let id = body["request_id"].as_str().unwrap_or_default();
    assert!(!id.is_empty() && id == answer.header("request-id"), "{body} {:?}", answer.headers);
    let row = world.row_from(answer.source).await;
    let expected = if status >= 500 { "error" } else { "denied" };
    assert_eq!((row.text("rule_id"), row.text("outcome")), (code, expected), "{row:?}");
    assert_eq!(row.number("status"), Some(i64::from(status)), "{row:?}");
    assert_eq!(row.text("request_id"), id, "the row is found by what the client was told");
    if let Some(script) = script {
        assert!(world.provider.seen(&script).is_empty(), "nothing goes upstream");
    }
}

/// The same for a token.
async fn token_refused(world: &World, token: &str, code: &str) {
    let call = world.anonymous(&Script::new()).bearer(token);

    refused(world, call, code, 401, "authentication_error").await;
}

/// One test: a change of a good call, and what it is refused with.
macro_rules! refusals {
    ($($name:ident: $code:literal $status:literal $kind:literal $change:expr;)+) => {
        $(
            #[test]
            fn $name() {
                SUITE.run(async |world| {
                    let change: fn(&World, Call) -> Call = $change;
                    let call = change(world, world.call(&Script::new()));
                    refused(world, call, $code, $status, $kind).await;
                });
            }
        )+
        /// What the tests above are for.
        const CODES: &[&str] = &[$($code),+];
    };
}

/// One test: a token that is not accepted.
macro_rules! tokens {
    ($($name:ident: $code:literal $token:expr;)+) => {
        $(
            #[test]
            fn $name() {
                SUITE.run(async |world| {
                    let token: fn(&World) -> String = $token;
                    token_refused(world, &token(world), $code).await;
                });
            }
        )+
        /// What the tests above are for.
        const TOKEN_CODES: &[&str] = &[$($code),+];
    };
}

const INVALID: &str = "invalid_request_error";

refusals! {
    a_path_that_is_none_is_refused:
        "unknown_path" 404 "not_found_error" |_, call| call.path("/v1/complete");
    another_method_is_refused:
        "method_not_allowed" 405 "invalid_request_error" |_, call| call.method(Method::PUT);
    an_identity_header_that_is_there_twice_is_refused:
        "header_twice" 400 "invalid_request_error"
        |_, call| call.header("x-trace-id", "a").header("x-trace-id", "b");
    a_call_source_that_is_none_is_refused:
        "header_malformed" 400 "invalid_request_error"
        |_, call| call.header("x-call-source", "robot");
    a_compressed_request_is_refused:
        "encoding_unsupported" 415 "invalid_request_error"
        |_, call| call.header("content-encoding", "gzip");
    a_body_of_another_media_type_is_refused:
        "media_type_unsupported" 415 "invalid_request_error"
        |_, call| call.without("content-type").header("content-type", "text/plain");
    a_call_without_a_credential_is_refused:
        "credential_missing" 401 "authentication_error" |_, call| call.without("authorization");
    a_credential_of_another_scheme_is_refused:
        "credential_malformed" 401 "authentication_error"
        |_, call| call.without("authorization").header("authorization", "Basic YTpi");
    two_different_credentials_are_refused:
        "credential_ambiguous" 401 "authentication_error"
        |world, call| call.header("x-api-key", &world.token());
    a_personal_access_token_opens_no_model:
        "credential_is_pat" 401 "authentication_error"
        |world, call| call.bearer(&world.pat);
    an_identity_header_that_contradicts_the_token_is_refused:
        "identity_mismatch" 403 "permission_error"
        |_, call| call.header("x-tenant-id", "umbrella");
    a_body_over_the_limit_is_refused_by_its_announced_length:
        "body_too_large" 413 "request_too_large" |_, call| call.body(large(33));
    a_call_without_a_body_is_refused:
        "body_missing" 400 "invalid_request_error" |_, mut call| { call.body.clear(); call };
    a_body_that_is_not_json_is_refused:
        "body_malformed" 400 "invalid_request_error" |_, call| call.body("{\"model\":");
    a_model_that_is_there_twice_is_refused:
        "body_duplicate" 400 "invalid_request_error" |_, call|
        call.body(r#"{"model":"claude-haiku-4-5","mod\u0065l":"claude-opus-4-8","messages":[]}"#);
    a_call_without_a_model_is_refused:
        "model_missing" 400 "invalid_request_error" |_, call| call.member("model", Value::Null);
    a_model_that_is_no_string_is_refused:
        "model_type" 400 "invalid_request_error" |_, call| call.member("model", json!(["claude"]));
    a_model_that_only_looks_like_one_is_refused:
        "model_malformed" 400 "invalid_request_error"
        |_, call| call.member("model", json!("cl\u{430}ude-sonnet-4-5"));
    a_model_that_no_rule_allows_is_refused:
        "model_not_allowed" 400 "invalid_request_error"
        |_, call| call.member("model", json!("claude-opus-4-8"));
    a_stream_member_that_is_no_boolean_is_refused:
        "stream_type" 400 "invalid_request_error" |_, call| call.member("stream", json!("yes"));
}

tokens! {
    a_token_that_is_none_is_refused: "token_malformed" |_| "not.a-token.at_all".to_owned();
    a_token_without_an_algorithm_is_refused:
        "token_algorithm" |world| {
            let token = world.token_with(|header, _| header["alg"] = json!("none"));
            format!("{}.", token.rsplit_once('.').unwrap().0)
        };
    a_token_signed_with_the_public_key_as_a_secret_is_refused:
        "token_algorithm" |world| world.minter().confused();
    a_token_of_a_key_nobody_knows_is_refused:
        "token_unknown_key" |world| world.token_with(|header, _| header["kid"] = json!("other"));
    a_token_that_brings_its_own_key_is_refused:
        "token_signature" |world| {
            let forger = world.minter().forger();
            let (mut header, claims) = forger.parts();
            header["jku"] = json!("https://evil.example/jwks.json");
            forger.sign(&covered(&header, &claims))
        };
    a_token_whose_claims_were_changed_is_refused:
        "token_signature" |world| {
            let good = world.token();
            let (header, mut claims) = world.minter().parts();
            claims["tenant_id"] = json!("umbrella");
            format!("{}.{}", covered(&header, &claims), good.rsplit_once('.').unwrap().1)
        };
    a_token_that_has_expired_is_refused:
        "token_expired" |world| world.token_with(|_, claims| {
            claims["iat"] = json!(now() - 7200);
            claims["nbf"] = json!(now() - 7200);
            claims["exp"] = json!(now() - 60);
        });
    a_token_for_later_is_refused:
        "token_not_yet_valid" |world| world.token_with(|_, claims| claims["nbf"] = json!(now() + 600));
    a_token_of_another_issuer_is_refused:
        "token_issuer" |world| world.token_with(|_, claims| claims["iss"] = json!("https://evil"));
    a_token_for_another_audience_is_refused:
        "token_audience" |world| world.token_with(|_, claims| claims["aud"] = json!("billing"));
    a_token_without_an_end_is_refused:
        "token_claims" |world| world.token_with(|_, claims| {
            claims.as_object_mut().unwrap().remove("exp");
        });
    a_token_without_a_tenant_is_refused:
        "token_claims" |world| world.token_with(|_, claims| {
            claims.as_object_mut().unwrap().remove("tenant_id");
        });
}

fn large(megabytes: usize) -> String {
    let mut good = body(&Script::new());
    good["messages"][0]["content"] = json!("x".repeat(megabytes << 20));

    good.to_string()
}

#[test]
fn a_body_over_the_limit_is_refused_while_it_arrives() {
    SUITE.run(async |world| {
        for via in [Via::Http1, Via::Http2] {
            let mut call = world.call(&Script::new()).body(large(33)).via(via);
            call.sized = false;
            call = call.pieces(1 << 20, Duration::ZERO);
            call.sized = false;

            refused(world, call, "body_too_large", 413, "request_too_large").await;
        }
    });
}

#[test]
fn a_revoked_credential_is_refused_within_seconds_although_its_token_was_remembered() {
    alone(Setup::named("refuses-revoked"), async |world| {
        let trade = world.anonymous(&Script::new()).path("/v1/auth/cowork/pat").json(&json!({}));
        let traded = trade.bearer(&world.pat).send(world).await.json();
        let token = traded["token"].as_str().unwrap().to_owned();
        let call = || world.anonymous(&Script::new()).bearer(&token);
        assert_eq!(call().send(world).await.status, 200);
        let list = world.tollgate(&["pat", "list", "--json"]).unwrap();
        let id = list.split('"').find(|word| word.starts_with("pat_")).unwrap().to_owned();

        world.tollgate(&["pat", "revoke", &id]).unwrap();

        let revoked = std::time::Instant::now();
        while call().send(world).await.status == 200 {
            assert!(revoked.elapsed() < Duration::from_secs(4), "still served");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        eprintln!("refused {:?} after the revocation", revoked.elapsed());
        let answer = call().send(world).await;
        answer.assert_refused(401, "authentication_error");
        let row = world.row_from(answer.source).await;
        assert_eq!((row.text("rule_id"), row.text("credential_id")), ("token_revoked", &*id));
        assert_eq!(row.text("user_id"), "ann@example.com", "an operator asks who was stopped");
    });
}

#[test]
fn before_policy_and_keys_are_there_everything_is_refused() {
    let setup = Setup { sidecar: false, ..Setup::named("refuses-unready") };
    alone(setup, async |world| {
        let script = Script::new();

        let answer = world.call(&script).send(world).await;

        answer.assert_refused(503, "api_error");
        assert_eq!(answer.header("x-tollgate-refusal"), "not_ready");
        assert_eq!(world.get("/readyz").send(world).await.status, 503);
        assert!(world.provider.all().is_empty());
        world.start_sidecar().await.unwrap();
        let row = world.row_from(answer.source).await;
        assert_eq!((row.text("rule_id"), row.text("outcome")), ("not_ready", "error"));
    });
}

#[test]
fn a_call_that_must_be_stored_first_is_refused_while_nobody_can_store_it() {
    let mut setup = Setup::named("refuses-unstored");
    setup.policy["rules"][1]["models"] = json!(["*"]);
    setup.policy["rules"][1].as_object_mut().unwrap().remove("who");
    setup.policy["rules"][1]["audit"] = json!("before");
    alone(setup, async |world| {
        world.kill_sidecar();

        let answer = world.call(&Script::new()).send(world).await;

        answer.assert_refused(503, "api_error");
        assert_eq!(answer.header("x-tollgate-refusal"), "audit_unavailable");
        assert!(world.provider.all().is_empty());
        world.start_sidecar().await.unwrap();
        let row = world.row_from(answer.source).await;
        assert_eq!((row.text("rule_id"), row.text("outcome")), ("audit_unavailable", "error"));
        assert_eq!(row.number("complete"), Some(1), "nothing was sent, nothing is billed");
    });
}

#[test]
fn no_refusal_says_what_is_inside() {
    SUITE.run(async |world| {
        let call = world.call(&Script::new()).member("model", json!("claude-opus-4-8"));

        let answer = call.send(world).await;

        for inside in ["research", "tollgate_gate", "127.0.0.1", "wasm", "envoy"] {
            assert!(!answer.text().contains(inside), "{inside}: {}", answer.text());
        }
        assert!(!answer.header("x-request-id").is_empty());
        assert_eq!(INVALID, answer.error());
    });
}

/// What needs a broken host, a trap, or an operator (`revokes.rs`); tested elsewhere.
const ELSEWHERE: [&str; 8] = [
    "not_ready",
    "gate_failed",
    "audit_unavailable",
    "token_revoked",
    "access_paused",
    "throttled",
    "standing_stale",
    "quarantined",
];

/// What a policy with more than models says: `governs.rs`, `devices.rs`; of MCP servers, the filter's own tests and `mcp.rs`.
const GOVERNED: [&str; 5] = [
    include_str!("governs.rs"),
    include_str!("devices.rs"),
    include_str!("../../filter/src/exchange/tests/mcp.rs"),
    include_str!("../../filter/src/exchange/tests/mcp/answers.rs"),
    include_str!("../../filter/src/exchange/tests/mcp/odd.rs"),
];

#[test]
fn every_code_of_the_table_has_its_test() {
    let table = e2e::world::processes::repository().join("filter/src/refusal.rs");
    let table = std::fs::read_to_string(table).unwrap();
    let rows = table.split("table! {").nth(1).unwrap().split("\n}\n").next().unwrap();
    let codes = rows.lines().filter_map(|line| line.split('"').nth(1));

    for code in codes {
        let tested = [CODES, TOKEN_CODES, &ELSEWHERE].iter().any(|list| list.contains(&code))
            || GOVERNED.iter().any(|suite| suite.contains(&format!("\"{code}\"")));
        assert!(tested, "{code} has no test here");
    }
}
