//! Each provider gets the credential that it knows us by, in time, and nothing leaves without one.

use e2e::client::answer::Answer;
use e2e::provider::script::Script;
use e2e::provider::seen::Seen;
use e2e::provider::tokens::TokenServer;
use e2e::suite::{Suite, alone, bare};
use e2e::world::World;
use e2e::world::certificates::{self, Authority};
use e2e::world::lanes::Lane;
use e2e::world::lanes::shipped::{Shipped, credentials, keys};
use e2e::world::setup::Setup;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

static SUITE: Suite = Suite::new(|| {
    let lane = Lane::shipped(Shipped::signed("bedrock", &["AKIAONE"]).unwrap());
    Setup { concurrency: 2, ..Setup::named("credentials") }.over_lanes(vec![lane], "10s")
});

fn signed(name: &'static str, ids: &[&str]) -> Setup {
    let shipped = Shipped::signed("bedrock", ids).unwrap();

    Setup::named(name).over_lanes(vec![Lane::shipped(shipped)], "10s")
}

/// With this file of keys when Envoy starts.
fn keyed(name: &'static str, file: &str) -> Setup {
    let mut shipped = Shipped::signed("bedrock", &["AKIAONE"]).unwrap();
    shipped.secrets = vec![("aws/credentials", file.to_owned())];

    Setup::named(name).over_lanes(vec![Lane::shipped(shipped)], "10s")
}

/// The one call with this script that arrived.
fn arrived(world: &World, lane: &str, script: &Script) -> Seen {
    let mut seen = world.cloud(lane).seen(script);
    assert_eq!(seen.len(), 1, "{:?}", world.cloud(lane).violations());

    seen.remove(0)
}

/// Calls until one gets this status.
async fn until(world: &World, status: u16) -> (Script, Answer) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let script = Script::new();
        let answer = world.call(&script).send(world).await;
        if answer.status == status {
            return (script, answer);
        }
        assert!(Instant::now() < end, "no {status}: {} {}", answer.status, answer.text());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn everything(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            everything(&path, found);
        } else if let Ok(bytes) = fs::read(&path) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            found.push((path.display().to_string(), text));
        }
    }
}

/// No credential stands in a log, a row, or what Envoy tells of itself.
async fn told_nowhere(world: &World, credential: &str) {
    let mut found = Vec::new();
    for folder in ["logs", "data", "run/spool"] {
        everything(&world.place.join(folder), &mut found);
    }
    for path in ["/config_dump?include_eds", "/stats", "/clusters"] {
        found.push((path.to_owned(), world.admin(path).await.unwrap()));
    }
    assert!(found.len() > 5);
    for (place, text) in found {
        assert!(!text.contains(credential), "{place} holds a credential");
    }
}

#[test]
fn what_is_signed_is_what_leaves_short_or_long_streamed_or_not() {
    SUITE.run(async |world| {
        for size in [0, 100, 70_000, 1_100_000, 5_000_000] {
            for streamed in [false, true] {
                let script = Script::new();
                let content = "x".repeat(size) + ".";
                let call = world
                    .call(&script)
                    .member("messages", json!([{"role": "user", "content": content}]));
                let call = if streamed { call.streamed() } else { call };

                let answer = call.send(world).await;

                assert_eq!(answer.status, 200, "{size} {streamed}: {}", answer.text());
                let seen = arrived(world, "bedrock", &script);
                let told = seen.header("authorization").unwrap();
                assert!(told.contains("/us-east-1/bedrock/aws4_request"), "{told}");
                assert_eq!(seen.header("x-amz-content-sha256"), Some(&*seen.digest()));
                assert!(seen.body.len() > size && seen.header("content-length").is_some());
            }
        }
    });
}

#[test]
fn a_caller_s_own_credentials_do_not_get_through() {
    SUITE.run(async |world| {
        let script = Script::new();

        let answer = world
            .call(&script)
            .header("x-amz-security-token", "canary-session")
            .header("x-amz-date", "20200101T000000Z")
            .header("api-key", "canary-key")
            .send(world)
            .await;

        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = arrived(world, "bedrock", &script);
        assert_eq!(seen.header("x-amz-security-token"), None);
        assert_ne!(seen.header("x-amz-date"), Some("20200101T000000Z"));
        told_nowhere(world, "marked-secret-of").await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains("AKIAONE"), "nor told the caller");
    });
}

#[test]
fn keys_that_are_replaced_cut_no_stream_and_sign_the_next_call() {
    alone(signed("credentials-rotate", &["AKIAONE", "AKIATWO"]), async |world| {
        let slow = Script { words: 30, pause: 100, ..Script::new() };
        let running = world.call(&slow).streamed();
        let (answer, second) = tokio::join!(running.send(world), async {
            tokio::time::sleep(Duration::from_millis(800)).await;
            let new = credentials(&keys("AKIATWO", "bedrock")).unwrap();
            world.rename_into_place("secrets/aws/credentials", &new).unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
            let second = Script::new();
            assert_eq!(world.call(&second).send(world).await.status, 200);
            second
        });

        assert!(answer.text().contains("event: message_stop"), "{}", answer.text());
        let key = |script| {
            let seen = arrived(world, "bedrock", script);
            seen.header("authorization").unwrap().contains("Credential=AKIATWO/")
        };
        assert_eq!((key(&slow), key(&second)), (false, true));
        assert!(world.cloud("bedrock").seen(&slow).len() == 1, "the stream was one call");
    });
}

/// Envoy's signer lets a call pass unsigned when it has no keys. The lane does not.
async fn nothing_leaves(world: &World) {
    let script = Script::new();
    let call = world.call(&script);

    let answer = call.clone().send(world).await;

    assert!(answer.status >= 400, "{}", answer.text());
    assert!(world.cloud("bedrock").all().is_empty(), "a prompt left without a signature");
    let row = world.row_from(call.source).await;
    assert_eq!(row.text("outcome"), "error");
    let stats = world.admin("/stats?filter=rbac.denied").await.unwrap();
    assert!(stats.contains("http.lane_bedrock.rbac.denied: 1\n"), "{stats}");
}

#[test]
fn without_keys_nothing_leaves_unsigned_and_a_good_file_heals_it() {
    alone(keyed("credentials-none", "[default]\n"), async |world| {
        nothing_leaves(world).await;

        let good = credentials(&keys("AKIAONE", "bedrock")).unwrap();
        world.rename_into_place("secrets/aws/credentials", &good).unwrap();

        until(world, 200).await;
    });
}

#[test]
fn with_an_empty_file_nothing_leaves_unsigned() {
    alone(keyed("credentials-empty-file", ""), nothing_leaves);
}

/// A world whose first lane gets tokens of Entra's, and that can fall back on another lane.
async fn entra(name: &'static str, life: u64, others: Vec<Lane>) -> (Setup, TokenServer) {
    // The world's authority is not there yet: the token server has its own.
    let authority = Authority::new().unwrap();
    let certificate = authority.certify(&["login.microsoftonline.com"]).unwrap();
    let tls = certificates::server(certificate.cert.as_bytes(), certificate.key.as_bytes());
    let server = TokenServer::start("entra", life, Some(tls.unwrap())).await.unwrap();
    let tokens = TokenServer::tokens("entra");
    let port = server.address.port();
    let mut shipped = Shipped::entra(port, "marked-client-secret", &tokens).unwrap();
    // Of two authorities the second is the token server's.
    shipped.edits.push((
        "/etc/ssl/certs/ca-certificates.crt}\n          # Without a name to match, Envoy would hand the client's secret".to_owned(),
        "tls/entra.pem}\n          # Without a name to match, Envoy would hand the client's secret".to_owned(),
    ));
    let mut lanes = vec![Lane::shipped(shipped)];
    lanes.extend(others);
    let setup = Setup::named(name).over_lanes(lanes, "10s");

    (setup.file("run/tls/entra.pem", authority.pem()), server)
}

#[test]
fn a_token_of_entra_s_is_renewed_before_it_expires() {
    let (setup, server) = bare(entra("credentials-entra", 6, Vec::new()));
    alone(setup, async |world| {
        until(world, 200).await;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            let script = Script::new();
            let answer = world.call(&script).send(world).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }

        let asked = server.asked();
        assert!(asked.len() >= 2, "{}", asked.len());
        let form = String::from_utf8_lossy(&asked[0]).into_owned();
        assert!(form.contains("grant_type=client_credentials"), "{form}");
        assert!(form.contains("client_id=ENTRA_CLIENT"), "{form}");
        assert!(form.contains("client_secret=marked-client-secret"), "{form}");
        assert!(form.contains("ai.azure.com"), "{form}");
        told_nowhere(world, "marked-client-secret").await;
        told_nowhere(world, "entra-marked-token").await;
    });
}

#[test]
fn where_no_token_is_to_be_had_the_next_provider_serves() {
    let (setup, server) = bare(entra("credentials-dead", 4, vec![Lane::new("second", "eu")]));
    alone(setup, async |world| {
        let end = Instant::now() + Duration::from_secs(20);
        let mut served_first = false;
        while !served_first {
            assert!(Instant::now() < end, "the first provider never served");
            let (script, _) = until(world, 200).await;
            served_first = !world.cloud("foundry").seen(&script).is_empty();
        }
        server.die();
        tokio::time::sleep(Duration::from_secs(6)).await;
        let before = world.cloud("foundry").all().len();

        for _ in 0..5 {
            let (script, _) = until(world, 200).await;
            assert_eq!(world.behind("second").seen(&script).len(), 1);
        }

        assert!(server.refused() > 0, "it was asked in vain");
        assert_eq!(world.cloud("foundry").all().len(), before, "nothing left without a token");
    });
}

/// A key file of a service account whose token server is at this address.
fn key_file(server: &TokenServer) -> String {
    let arguments = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-quiet"];
    let made = Command::new("openssl").args(arguments).output().unwrap();
    let file = json!({
        "type": "service_account", "project_id": "e2e-project", "private_key_id": "kid-1",
        "private_key": String::from_utf8(made.stdout).unwrap(),
        "client_email": "gateway@e2e-project.iam.gserviceaccount.com",
        "token_uri": format!("http://{}/token", server.address),
    });

    file.to_string()
}

fn vertex(name: &'static str, server: &TokenServer) -> Setup {
    let lane = Lane::shipped(Shipped::vertex(&TokenServer::tokens("google")));

    over(name, vec![lane], server)
}

/// A world whose sidecar keeps a token of this server's fresh.
fn over(name: &'static str, lanes: Vec<Lane>, server: &TokenServer) -> Setup {
    let serve =
        ["--google-credentials", "account.json", "--google-secret", "run/secrets/vertex.yaml"];
    let setup = Setup::named(name).over_lanes(lanes, "10s");
    let serve = serve.map(ToOwned::to_owned).to_vec();

    Setup { serve, ..setup }.file("account.json", key_file(server))
}

#[test]
fn the_sidecar_s_token_of_google_s_reaches_the_provider_and_is_replaced_under_a_stream() {
    let server = bare(TokenServer::start("google", 4, None)).unwrap();
    alone(vertex("credentials-vertex", &server), async |world| {
        until(world, 200).await;
        let slow = Script { words: 50, pause: 100, ..Script::new() };

        let answer = world.call(&slow).streamed().send(world).await;

        assert!(answer.text().contains("event: message_stop"), "{}", answer.text());
        let (last, _) = until(world, 200).await;
        let token =
            |script| arrived(world, "vertex", script).header("authorization").unwrap().to_owned();
        assert_ne!(token(&slow), token(&last), "a new token while the stream ran");
        assert!(server.asked().len() >= 2);
        told_nowhere(world, "google-marked-token").await;
        let file = fs::read_to_string(world.place.join("account.json")).unwrap();
        let key = file.split("\\n").nth(1).unwrap();
        assert!(key.len() > 60, "{}", key.len());
        told_nowhere(world, key).await;
    });
}

#[test]
fn until_google_gives_a_token_nothing_leaves() {
    let server = bare(TokenServer::start("google", 4, None)).unwrap();
    server.die();
    alone(vertex("credentials-empty", &server), async |world| {
        let script = Script::new();

        let answer = world.call(&script).send(world).await;

        assert!(answer.status >= 400, "{}", answer.text());
        assert!(world.cloud("vertex").all().is_empty(), "a prompt left without a token");
        let metrics =
            e2e::client::raw::get(world.ports.operators, "/metrics").await.unwrap().body();
        let left = "tollgate_provider_token_expires_in_seconds{secret=\"vertex\"} 0\n";
        assert!(metrics.contains(left), "{metrics}");
    });
}

#[test]
fn a_key_of_a_cloud_s_goes_in_its_own_header_and_an_empty_one_nowhere() {
    let shipped = Shipped::foundry("marked-foundry-key").unwrap();
    let setup = Setup::named("credentials-key").over_lanes(vec![Lane::shipped(shipped)], "10s");
    alone(setup, async |world| {
        let (script, _) = until(world, 200).await;
        let seen = arrived(world, "foundry", &script);
        assert_eq!(seen.header("api-key"), Some("marked-foundry-key"));
        assert_eq!(seen.header("authorization"), None);

        let text = fs::read_to_string(world.run().join("secrets/foundry.yaml")).unwrap();
        let empty = text.replace("marked-foundry-key", "");
        world.rename_into_place("secrets/foundry.yaml", &empty).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = world.cloud("foundry").all().len();
        let answer = world.call(&Script::new()).send(world).await;

        assert!(answer.status >= 400, "{}", answer.text());
        assert_eq!(world.cloud("foundry").all().len(), before);
        told_nowhere(world, "marked-foundry-key").await;
    });
}

/// All templates as they are shipped, one behind the other.
fn all(server: &TokenServer) -> Setup {
    let signed = |folder| Shipped::signed(folder, &["AKIAONE"]).unwrap();
    let (mut bedrock, mut mantle, aws) = (signed("bedrock"), signed("mantle"), signed("aws"));
    // One file of keys for all three.
    bedrock.secrets.clear();
    mantle.secrets.clear();
    let lanes = [
        bedrock,
        mantle,
        aws,
        Shipped::vertex(&TokenServer::tokens("google")),
        Shipped::foundry("marked-foundry-key").unwrap(),
    ];

    over("credentials-all", lanes.map(Lane::shipped).to_vec(), server)
}

#[test]
fn every_template_as_shipped_says_the_call_in_its_provider_s_words_with_its_credential() {
    let server = bare(TokenServer::start("google", 3600, None)).unwrap();
    alone(all(&server), async |world| {
        for streamed in [false, true] {
            // Each fails, so that all are asked.
            let script = Script::new().status(500);
            let call = world.call(&script).member("model", json!("claude-haiku-4-5"));
            let call = if streamed { call.streamed() } else { call };

            let answer = call.send(world).await;

            assert!(answer.status >= 500, "{}", answer.text());
            for lane in ["bedrock", "mantle", "aws", "vertex", "foundry"] {
                arrived(world, lane, &script);
            }
        }
        told_nowhere(world, "marked-").await;
    });
}
