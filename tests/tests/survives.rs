//! What goes wrong around the gate, or is changed under it, costs nobody a call or a row.

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use contract::envelope::{self, POLICY_TYPE};
use e2e::client::answer::Answer;
use e2e::provider::script::Script;
use e2e::suite::alone;
use e2e::world::setup::Setup;
use e2e::world::{World, policy};
use ed25519_compact::{KeyPair, Seed};
use http::{Request, Response};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::fs;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

async fn opus(world: &World) -> Answer {
    let call = world.call(&Script::new()).member("model", json!("claude-opus-4-8"));

    call.send(world).await
}

/// The policy that lets everybody use everything.
fn lax() -> String {
    let mut lax = policy();
    lax["rules"] = json!([{ "id": "anything", "models": ["*"] }]);

    lax.to_string()
}

#[test]
fn what_envoy_had_flushed_is_not_lost_when_it_is_killed() {
    alone(Setup::named("survives-kill"), async |world| {
        let mut sources = Vec::new();
        for _ in 0..30 {
            let answer = world.call(&Script::new()).send(world).await;
            assert_eq!(answer.status, 200);
            sources.push(answer.source);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;

        world.kill_envoy();
        world.start_envoy().await.unwrap();

        sources.push(world.call(&Script::new()).send(world).await.source);
        for row in world.row_of_each(&sources).await {
            assert_eq!(row.text("outcome"), "allowed", "{row:#?}");
        }
    });
}

#[test]
fn everything_killed_at_once_loses_and_doubles_no_row() {
    alone(Setup::named("survives-all"), async |world| {
        let mut sources = Vec::new();
        for round in 0..3 {
            for _ in 0..20 {
                sources.push(world.call(&Script::new()).send(world).await.source);
            }
            if round == 1 {
                world.kill_sidecar();
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
            world.kill_envoy();
            world.kill_sidecar();
            world.start_sidecar().await.unwrap();
            world.start_envoy().await.unwrap();
        }

        assert_eq!(world.row_of_each(&sources).await.len(), 60);
    });
}

#[test]
fn a_new_signing_key_refuses_nobody() {
    alone(Setup::named("survives-rotation"), async |world| {
        let traded = async || -> String {
            let trade = world.anonymous(&Script::new()).path("/v1/auth/cowork/pat");
            let traded = trade.json(&json!({})).bearer(&world.pat).send(world).await.json();
            traded["token"].as_str().unwrap().to_owned()
        };
        let kid = |token: &str| -> Value {
            let header = token.split('.').next().unwrap();
            let header = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(header).unwrap();
            serde_json::from_slice::<Value>(&header).unwrap()["kid"].clone()
        };
        let old = traded().await;

        world.tollgate(&["keys", "rotate"]).unwrap();

        let rotated = Instant::now();
        let mut new = old.clone();
        while kid(&new) == kid(&old) {
            assert!(rotated.elapsed() < Duration::from_secs(15), "the new key does not sign");
            new = traded().await;
            for token in [&old, &new] {
                let answer = world.anonymous(&Script::new()).bearer(token).send(world).await;
                assert_eq!(answer.status, 200, "{:?}: {}", rotated.elapsed(), answer.text());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let keys = world.get("/.well-known/jwks.json").send(world).await.json();
        assert_eq!(keys["keys"].as_array().map(Vec::len), Some(2));
    });
}

#[test]
fn a_new_policy_is_in_force_within_seconds_and_running_streams_stay() {
    alone(Setup::named("survives-policy"), async |world| {
        let script = Script { words: 100, pause: 40, ..Script::new() };
        let stream = world.call(&script).streamed().open(world).await.unwrap();
        let before = opus(world).await;
        assert_eq!(before.header("x-tollgate-refusal"), "model_not_allowed");
        let (plain, signed) = (world.place.join("lax.json"), world.place.join("lax.signed.json"));
        fs::write(&plain, lax()).unwrap();
        let (plain, signed) = (plain.display().to_string(), signed.display().to_string());

        world.tollgate(&["policy", "sign", &plain, "--out", &signed]).unwrap();
        world.tollgate(&["policy", "publish", &signed]).unwrap();

        let published = Instant::now();
        let after = loop {
            let answer = opus(world).await;
            if answer.status == 200 {
                break answer;
            }
            assert!(published.elapsed() < Duration::from_secs(5), "{}", answer.text());
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let rows = world.row_of_each(&[before.source, after.source]).await;
        assert_ne!(rows[0].text("bundle_ver"), rows[1].text("bundle_ver"));
        assert_eq!(rows[1].text("rule_id"), "anything");
        assert!(stream.read().await.whole, "a stream that ran meanwhile");
    });
}

/// A sidecar in an attacker's hands: it serves a policy of its own making, and keys of its own.
async fn captured(listener: TcpListener, envelope: String) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let envelope = envelope.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let text = match request.uri().path() {
                    "/gate/policy" => envelope.clone(),
                    "/gate/keys" => "{\"keys\":[]".to_owned(),
                    _ => "junk".to_owned(),
                };
                async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text)))) }
            });
            let server = auto::Builder::new(TokioExecutor::new());
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

#[test]
fn a_captured_sidecar_can_withhold_a_policy_and_not_forge_one() {
    alone(Setup::named("survives-captured"), async |world| {
        let keys: Value =
            serde_json::from_str(&world.tollgate(&["keys", "show", "--json"]).unwrap()).unwrap();
        let name = keys["policy"]["key_id"].as_str().unwrap();
        let foreign = KeyPair::from_seed(Seed::new([9; 32]));
        let forged = envelope::seal(POLICY_TYPE, lax().as_bytes(), name, &foreign);
        assert_eq!(opus(world).await.status, 400);

        world.kill_sidecar();
        let listener = TcpListener::bind(world.ports.gate).await.unwrap();
        let forged = serde_json::to_string(&forged).unwrap();
        let server = tokio::spawn(captured(listener, forged));
        tokio::time::sleep(Duration::from_secs(4)).await;

        assert_eq!(opus(world).await.header("x-tollgate-refusal"), "model_not_allowed");
        let answer = world.call(&Script::new()).send(world).await;
        assert_eq!(answer.status, 200, "what was in force stays in force: {}", answer.text());
        server.abort();
    });
}

#[test]
fn a_policy_of_a_key_that_is_not_pinned_is_never_in_force() {
    alone(Setup { sidecar: false, ..Setup::named("survives-unpinned") }, async |world| {
        let keys: Value =
            serde_json::from_str(&world.tollgate(&["keys", "show", "--json"]).unwrap()).unwrap();
        let pinned = keys["policy"]["public_key"].as_str().unwrap();
        let other = KeyPair::from_seed(Seed::new([9; 32]));
        let other = BASE64_STANDARD.encode(other.pk.as_ref());
        let gate = fs::read_to_string(world.run().join("gate.yaml")).unwrap();
        world.rename_into_place("gate.yaml", &gate.replace(pinned, &other)).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;

        world.start_sidecar().await.unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;

        let answer = world.call(&Script::new()).send(world).await;
        answer.assert_refused(503, "api_error");
        assert_eq!(answer.header("x-tollgate-refusal"), "not_ready");
        assert!(world.provider.all().is_empty());
    });
}
