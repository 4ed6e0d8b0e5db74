//! What was changed by another way, and what is staged.

use crate::operator::{
    at_socket, changed, drift_metric, edit, envoy, hang_up, live, rows, setup, status_of_calls,
    until_drift_is,
};
use e2e::suite::alone;
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn drift_is_told_once_when_it_begins_and_once_when_it_ends() {
    alone(setup("applies-drift"), async |world| {
        let from = edit(world, "first", &[("routes.yaml", "num_retries: 2", "num_retries: 1")]);
        assert_eq!(envoy(world, &["apply", "--from", &from]).exit, 0);
        let applied = live(world, "routes.yaml");
        hang_up(world);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(drift_metric(world).await, 0);

        world
            .rename_into_place(
                "routes.yaml",
                &changed(&applied, "num_retries: 1", "num_retries: 3"),
            )
            .unwrap();
        hang_up(world);
        until_drift_is(world, 1).await;
        hang_up(world);
        tokio::time::sleep(Duration::from_millis(800)).await;

        let begun = rows(world, "envoy drift: ", 1).await;
        assert_eq!(begun.len(), 1, "{begun:#?}");
        assert!(begun[0].payload["target"].as_str().unwrap().contains("routes.yaml: was changed"));
        let status = envoy(world, &["status", "--json"]);
        let told: Value = serde_json::from_str(&status.out).unwrap();
        assert_eq!((status.exit, &told["drift"]), (1, &Value::from(true)), "{status:?}");
        let next =
            edit(world, "next", &[("clusters.yaml", "connect_timeout: 5s", "connect_timeout: 4s")]);
        let refused = envoy(world, &["apply", "--from", &next]);
        assert_eq!(refused.exit, 1);
        assert!(
            refused.aside.contains("routes.yaml") && refused.aside.contains("--over-drift"),
            "{refused:?}"
        );

        world.rename_into_place("routes.yaml", &applied).unwrap();
        hang_up(world);
        until_drift_is(world, 0).await;
        let ended = rows(world, "envoy agrees", 1).await;
        assert_eq!(ended.len(), 1);
        assert_eq!(envoy(world, &["apply", "--from", &next]).exit, 0);

        // Written over in place: Envoy never sees it, whatever the file says.
        let clusters = live(world, "clusters.yaml");
        fs::write(
            world.run().join("clusters.yaml"),
            changed(&clusters, "connect_timeout: 4s", "connect_timeout: 6s"),
        )
        .unwrap();
        hang_up(world);
        until_drift_is(world, 1).await;
        let over =
            edit(world, "over", &[("clusters.yaml", "connect_timeout: 6s", "connect_timeout: 7s")]);
        assert_eq!(envoy(world, &["apply", "--from", &over, "--over-drift"]).exit, 0);
        assert_eq!(envoy(world, &["status"]).exit, 0);
        let log = fs::read_to_string(world.place.join("logs/sidecar.log")).unwrap();
        assert_eq!(log.matches("Envoy's files are not what was put in force").count(), 2);
    });
}

#[test]
fn sighup_puts_what_is_staged_in_force() {
    alone(setup("applies-staged"), async |world| {
        let staged = world.run().join("staged");
        fs::create_dir(&staged).unwrap();
        let text = changed(&live(world, "routes.yaml"), "num_retries: 2", "num_retries: 1");
        fs::write(staged.join("routes.yaml"), &text).unwrap();
        hang_up(world);

        let row = rows(world, "envoy apply: ", 1).await.remove(0);
        assert_eq!(row.text("user_id"), "host");
        assert!(live(world, "routes.yaml").contains("num_retries: 1"));

        fs::write(staged.join("routes.yaml"), changed(&text, "cluster: anthropic", "cluster: x"))
            .unwrap();
        hang_up(world);
        let log = world.place.join("logs/sidecar.log");
        let end = Instant::now() + Duration::from_secs(20);
        while !fs::read_to_string(&log).unwrap().contains("is not in force") {
            assert!(Instant::now() < end, "{}", world.logs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(live(world, "routes.yaml").contains("cluster: anthropic"));
        assert_eq!(status_of_calls(world, 2).await, [200; 2]);
    });
}

#[test]
fn from_elsewhere_the_staged_edit_is_applied_and_no_file_is_named() {
    alone(setup("applies-elsewhere"), async |world| {
        let staged = world.run().join("staged");
        fs::create_dir(&staged).unwrap();
        assert_eq!(at_socket(world, &["apply"]).exit, 3, "nothing is staged");
        let text = changed(&live(world, "routes.yaml"), "num_retries: 2", "num_retries: 1");
        fs::write(staged.join("routes.yaml"), &text).unwrap();
        for named in [
            ["apply", "--from", "/tmp"],
            ["check", "--file", "routes.yaml=/etc/passwd"],
            ["status", "--envoy-dir", "/tmp"],
            ["check", "--envoy-bin", "/bin/sh"],
            ["status", "--envoy-admin", "127.0.0.1:1"],
        ] {
            let said = at_socket(world, &named);
            assert_eq!((said.exit, &*said.out), (1, ""), "{named:?}: {said:?}");
            assert!(!said.aside.contains("root:"), "{said:?}");
        }

        assert_eq!(at_socket(world, &["check"]).exit, 0);
        let said = at_socket(world, &["apply", "--ticket", "OPS-9"]);

        assert_eq!(said.exit, 0, "{said:?}");
        assert!(live(world, "routes.yaml").contains("num_retries: 1"));
        let row = rows(world, "envoy apply: ", 1).await.remove(0);
        assert_eq!(row.payload["sign_in"]["tier"], "socket");
        assert_eq!(at_socket(world, &["status"]).exit, 0);

        let gate = changed(
            &live(world, "gate.yaml"),
            "\"audience\": \"tollgate\"",
            "\"audience\": \"other\"",
        );
        fs::write(staged.join("gate.yaml"), gate).unwrap();
        let said = at_socket(world, &["apply"]);
        assert_eq!(said.exit, 6, "{said:?}");
        assert!(!live(world, "gate.yaml").contains("other"));
    });
}
