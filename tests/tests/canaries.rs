//! What is secret or said in confidence is written down nowhere. A marked value stands in every
//! secret, header and prompt; afterwards no log, row, metric or dump holds one.

use e2e::client::raw;
use e2e::provider::script::{Fault, Script};
use e2e::suite::alone;
use e2e::world::World;
use e2e::world::setup::Setup;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::Duration;

const MARK: &str = "marked-7f3a";

/// Calls that end in every way, each with marks wherever the client can put one.
async fn calls(world: &World) {
    let prompt = json!([{"role": "user", "content": format!("{MARK}-prompt")}]);
    let token = world.token_with(|_, claims| claims["name"] = json!(format!("{MARK}-name")));
    for script in [
        Script::new(),
        Script::new().status(500),
        Script::new().fault(Fault::ResetBeforeHeaders),
        Script { words: 9, ..Script::new().fault(Fault::ResetAfter(3)) },
    ] {
        for streamed in [true, false] {
            let good = world
                .call(&script)
                .bearer(&token)
                .path(&format!("/v1/messages?beta={MARK}-query"))
                .header("cookie", &format!("{MARK}-cookie"))
                .header("x-unknown", &format!("{MARK}-header"))
                .header("user-agent", "e2e")
                .member("messages", prompt.clone())
                .member("system", json!(format!("{MARK}-system")));
            let good = if streamed { good.streamed() } else { good };
            let (forged, _) = token.rsplit_once('.').unwrap();
            good.clone().bearer(&format!("{forged}.{}", "A".repeat(86))).send(world).await;
            good.clone().bearer(&format!("{MARK}-bearer")).send(world).await;
            good.clone().bearer(&format!("tgp_{MARK}")).send(world).await;
            good.clone().body(format!("{{\"{MARK}-body\"")).send(world).await;
            good.clone().header("x-tenant-id", &format!("{MARK}-tenant")).send(world).await;
            good.clone().header("x-call-source", &format!("{MARK}-source")).send(world).await;
            good.send(world).await;
        }
    }
    for line in [
        format!("GET /v1%2f?{MARK}-query HTTP/1.1\r\nhost: a\r\nx-a: {MARK}-raw"),
        format!("GET / HTTP/1.1\r\nhost: a\r\nx_a: {MARK}-underscore"),
        format!(
            "POST /v1/auth/cowork/pat?{MARK}-q HTTP/1.1\r\nhost: a\r\nauthorization: Bearer tgp_{MARK}"
        ),
    ] {
        raw::send(world.ports.plain, format!("{line}\r\n\r\n").as_bytes()).await.unwrap();
    }
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        // Where secrets are kept; everything else is written by what runs.
        if path.ends_with("keys") || path.ends_with("secrets") || path.ends_with("tls") {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

#[test]
fn nothing_secret_or_said_in_confidence_is_written_down() {
    let mut setup = Setup::named("canaries");
    // What is said is kept by default. Where the policy says it is not, it is nowhere.
    for rule in setup.policy["rules"].as_array_mut().unwrap() {
        rule["content"] = json!("none");
    }
    alone(setup, async |world| {
        let trade = world.anonymous(&Script::new()).path("/v1/auth/cowork/pat").json(&json!({}));
        let traded = trade.bearer(&world.pat).send(world).await.json();
        let token = traded["token"].as_str().unwrap().to_owned();
        world.anonymous(&Script::new()).bearer(&token).send(world).await;
        calls(world).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(world.rows().await.len() > 40, "the calls left their rows");

        let mut places = Vec::new();
        let mut paths = Vec::new();
        files(&world.place, &mut paths);
        for path in paths {
            places.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
        for path in [
            "/stats",
            "/stats/prometheus",
            "/config_dump?include_eds",
            "/clusters",
            "/listeners",
            "/certs",
        ] {
            places.push((path.to_owned(), world.admin(path).await.unwrap().into_bytes()));
        }
        let metrics = raw::get(world.ports.operators, "/metrics").await.unwrap();
        places.push(("/metrics of the sidecar".to_owned(), metrics.text.into_bytes()));
        assert!(places.iter().any(|(place, bytes)| place == "/stats" && bytes.len() > 1000));

        for known in ["audit.jsonl", "tollgate.db"] {
            let holds = |(place, bytes): &(String, Vec<u8>)| {
                place.contains(known) && String::from_utf8_lossy(bytes).contains("ann@example.com")
            };
            assert!(places.iter().any(holds), "the search finds what is there: {known}");
        }
        let secrets = [MARK, "sk-ant-e2e-provider-key", &world.pat, &token, "word0 "];
        for (place, bytes) in &places {
            let text = String::from_utf8_lossy(bytes);
            for secret in secrets {
                let at = text.find(secret);
                let around =
                    at.map(|at| text.get(at.saturating_sub(80)..at + 60).unwrap_or(secret));
                assert!(at.is_none(), "{place} holds {secret:.12}…: {around:?}");
            }
        }
    });
}
