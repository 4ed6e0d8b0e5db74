//! Every configuration we ship is valid, starts, and does what its comments say: on the Envoy we
//! pin, on the oldest we promise, and inside an ingress of somebody else.

use e2e::client::connection::Via;
use e2e::client::raw;
use e2e::provider::script::Script;
use e2e::suite::{Suite, alone};
use e2e::world::World;
use e2e::world::setup::Setup;
use serde_json::json;
use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

static SUITE: Suite = Suite::new(|| Setup::named("configs"));

/// Counters that are above zero when Envoy did not take a file as it stands.
async fn assert_taken_whole(world: &World) {
    let stats = world.admin("/stats").await.unwrap();
    let bad = [
        "update_rejected",
        "update_failure",
        "unknown_fields",
        "deprecated_feature_use",
        "wip_protos",
    ];
    for line in stats.lines() {
        let watched = bad.iter().any(|word| line.contains(word));
        // The credential injector is marked as work in progress by Envoy itself.
        let allowed = line.contains("wip_protos") || line.ends_with(": 0");
        assert!(!watched || allowed, "{line}\n{}", world.logs());
    }
    for loaded in ["rds.front.update_success", "cds.update_success", "lds.update_success"] {
        let line = stats.lines().find(|line| line.contains(loaded)).unwrap_or_default();
        assert!(!line.is_empty() && !line.ends_with(": 0"), "{loaded}: {line:?}");
    }
}

/// A call, a refusal and a body of 20 MB, with their rows.
async fn assert_works(world: &World, ways: &[Via]) {
    for &via in ways {
        let answer = world.call(&Script::new()).streamed().via(via).send(world).await;
        assert_eq!(answer.status, 200, "{via:?}: {}", answer.text());
        assert_eq!(world.row_from(answer.source).await.text("outcome"), "allowed");

        let denied = world.call(&Script::new()).member("model", json!("gpt-5")).via(via);
        let answer = denied.send(world).await;
        answer.assert_refused(400, "invalid_request_error");
        assert_eq!(world.row_from(answer.source).await.text("outcome"), "denied");

        let large = json!([{"role": "user", "content": "x".repeat(20 << 20)}]);
        let answer =
            world.call(&Script::new()).member("messages", large).via(via).send(world).await;
        assert_eq!(answer.status, 200, "20 MB, {via:?}: {}", answer.text());
        assert_eq!(world.row_from(answer.source).await.text("outcome"), "allowed");
    }
}

#[test]
fn the_pinned_envoy_takes_every_file_whole() {
    SUITE.run(async |world| {
        assert_taken_whole(world).await;
        world.validate("envoy.yaml").unwrap();
    });
}

#[test]
fn the_oldest_envoy_runs_the_same_files() {
    alone(Setup { oldest: true, ..Setup::named("configs-oldest") }, async |world| {
        let info = world.admin("/server_info").await.unwrap();
        assert!(info.contains("/1.36."), "{info}");
        world.validate("envoy.yaml").unwrap();
        assert_taken_whole(world).await;
        assert_works(world, &Via::ALL).await;
    });
}

#[test]
fn four_workers_serve_like_one() {
    alone(Setup { concurrency: 4, ..Setup::named("configs-workers") }, async |world| {
        for _ in 0..40 {
            let answer = world.call(&Script::new()).send(world).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    });
}

#[test]
fn a_foreign_ingress_gets_the_gate_and_its_other_hosts_do_not_change() {
    for oldest in [false, true] {
        let setup = Setup { foreign: true, oldest, ..Setup::named("configs-foreign") };
        alone(setup, async |world| {
            assert_works(world, &[Via::Plain, Via::Plain2]).await;

            let before = world.rows().await.len();
            for (line, expected) in
                [("POST /v1/messages", "a message board of the shop"), ("GET /ready", "LIVE")]
            {
                let request = format!(
                    "{line} HTTP/1.1\r\nhost: shop.example.com\r\ncontent-length: 2\r\n\
                     x-tollgate-model: theirs\r\nx-user-id: theirs\r\nconnection: close\r\n\r\n{{}}"
                );
                let answer = raw::send(world.ports.plain, request.as_bytes()).await.unwrap();
                assert_eq!(answer.status, 200, "{answer:?}");
                assert!(answer.body().contains(expected), "{answer:?}");
                assert_eq!(answer.header("x-their-filter"), Some("ran"));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(world.rows().await.len(), before, "their calls are not ours to write down");
            let log = fs::read_to_string(world.run().join("spool/theirs.log")).unwrap();
            assert!(log.contains("shop.example.com /v1/messages 200"), "{log}");
        });
    }
}

#[test]
fn a_route_renamed_into_place_is_in_force_at_once_and_a_broken_one_never() {
    alone(Setup::named("configs-edits"), async |world| {
        let good = fs::read_to_string(world.run().join("routes.yaml")).unwrap();
        let haiku = async || {
            let call = world.call(&Script::new()).member("model", json!("claude-haiku-4-5"));
            call.send(world).await
        };
        assert_eq!(haiku().await.status, 200);

        // The example that stands in the file as a comment, with an answer of its own as its end.
        let elsewhere = "- match: {prefix: /v1/messages, headers: [{name: x-tollgate-model, \
            string_match: {prefix: claude-haiku}}]}\n      \
            direct_response: {status: 418}\n    - name: messages";
        let edited = good.replacen("- name: messages", elsewhere, 1);
        world.rename_into_place("routes.yaml", &edited).unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(haiku().await.status, 418, "moved by one edit, no restart");
        assert_eq!(world.call(&Script::new()).send(world).await.status, 200, "others stay");

        for broken in ["resources: [", &good.replace("cluster: anthropic", "cluster: nope")] {
            world.rename_into_place("routes.yaml", broken).unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(haiku().await.status, 418, "the old one stays in force");
        }
    });
}

#[test]
fn a_renamed_key_is_used_by_the_next_call() {
    alone(Setup::named("configs-key"), async |world| {
        let secret = fs::read_to_string(world.run().join("secrets/anthropic.yaml")).unwrap();
        assert_eq!(world.call(&Script::new()).send(world).await.status, 200);

        let other = secret.replace("sk-ant-e2e-provider-key", "sk-ant-e2e-another-key");
        world.rename_into_place("secrets/anthropic.yaml", &other).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let script = Script::new();
        let answer = world.call(&script).send(world).await;

        assert_eq!(
            world.provider.seen(&script)[0].header("x-api-key"),
            Some("sk-ant-e2e-another-key")
        );
        assert_eq!(answer.status, 418, "which this provider does not know");
        world.provider.forgive();
    });
}

#[test]
fn clients_without_tls_1_3_are_refused_and_admin_is_on_loopback() {
    SUITE.run(async |world| {
        let port = world.ports.tls.port().to_string();
        let old = std::process::Command::new("openssl")
            .args(["s_client", "-tls1_2", "-connect", &format!("127.0.0.1:{port}")])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        assert!(!old.status.success(), "{}", String::from_utf8_lossy(&old.stdout));
        let shipped = e2e::world::processes::repository().join("envoy/envoy.yaml");
        let shipped = fs::read_to_string(shipped).unwrap();
        assert!(shipped.contains("admin: {address: {socket_address: {address: 127.0.0.1,"));
    });
}

#[test]
fn the_client_s_address_is_the_connection_s_unless_a_hop_in_front_is_trusted() {
    let claimed: Ipv4Addr = "127.9.9.9".parse().unwrap();
    let calls = async |world: &World| {
        let call = world.call(&Script::new());
        let (source, call) =
            (call.source, call.header("x-forwarded-for", "203.0.113.9, 127.9.9.9"));
        assert_eq!(call.send(world).await.status, 200);
        source
    };
    alone(Setup::named("configs-no-hop"), async |world| {
        let source = calls(world).await;

        assert_eq!(world.row_from(source).await.payload["source_address"], source.to_string());
    });
    let hop = Setup::named("configs-hop");
    alone(
        hop.edit("envoy.yaml", "xff_num_trusted_hops: 0", "xff_num_trusted_hops: 1"),
        async |world| {
            calls(world).await;

            let row = world.row_from(claimed).await;
            assert_eq!(row.payload["source_address"], "127.9.9.9", "what the hop says, no further");
        },
    );
}
