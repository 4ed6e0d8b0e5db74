//! An edit of Envoy's files: a wrong one changes nothing, a good one is in force on every worker, no stream is cut, and
//! what was changed by another way is told.

mod drift;
mod lanes;
mod operator;
mod secrets;

use self::operator::{
    all_live, changed, edit, envoy, envoy_by, live, rows, second_cluster, setup, status_of_calls,
};
use e2e::client::answer::Open;
use e2e::provider::script::Script;
use e2e::suite::{Suite, alone};
use e2e::world::processes::{built, prepared};
use futures_util::future::join_all;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

static SUITE: Suite = Suite::new(|| setup("applies"));

/// A file, what stands there, what somebody writes instead, and what they are told.
const WRONG: &[(&str, &str, &str, &str)] = &[
    ("routes.yaml", "cluster: anthropic", "cluster: anthropc", "did you mean \"anthropic\""),
    ("routes.yaml", "timeout: 0s #", "timeut: 0s #", "no such field: 'timeut'"),
    ("routes.yaml", "timeout: 0s #", "timeout: 0x #", "duration must end with"),
    (
        "clusters.yaml",
        "  connect_timeout: 1s",
        "  connect_timeout: 0s",
        "value must be greater than 0s",
    ),
    ("clusters.yaml", "tls/ca.pem", "tls/nobody.pem", "tls/nobody.pem"),
    ("clusters.yaml", "  name: tollgate_gate", "  name: elsewhere", "this edit takes away"),
    (
        "lanes.yaml",
        "resources: []",
        "resources:\n- name: x\n  internal_listener: {}",
        "no filter chains",
    ),
    ("lanes.yaml", "resources: []", "resources: [", "is no YAML"),
    ("gate.yaml", "tollgate_filter.wasm", "gone.wasm", "gone.wasm"),
    ("gate.yaml", "\"role\": \"gate\"", "\"role\": \"gat\"", "this plugin does not start"),
    (
        "secrets/anthropic.yaml",
        "inline_string: \"",
        "inline_strin: \"",
        "no such field: 'inline_strin'",
    ),
    ("secrets/anthropic.yaml", "name: anthropic", "name: other", "has no secret \"anthropic\""),
    (
        "secrets/clients.yaml",
        "validation_context: {}",
        "validation_context: {trusted_ca: {filename: gone.pem}}",
        "gone.pem",
    ),
    ("secrets/tls.yaml", "tls/key.pem", "tls/ca.pem", "private key"),
];

#[test]
fn a_wrong_edit_of_each_file_is_refused_with_its_line_and_the_old_one_serves() {
    SUITE.run(async |world| {
        let before = all_live(world);
        for (file, from, to, expected) in WRONG {
            let from = edit(world, "wrong", &[(*file, *from, *to)]);

            let said = envoy(world, &["apply", "--from", &from]);

            assert_eq!(said.exit, 1, "{file}: {said:?}");
            assert!(said.aside.contains(expected), "{expected}: {said:?}");
            assert!(said.aside.contains("Nothing was changed."), "{said:?}");
            assert!(!said.all().contains("sk-ant-"), "{said:?}");
            assert_eq!(all_live(world), before, "{file}: nothing was touched");
        }
        assert_eq!(status_of_calls(world, 4).await, [200; 4]);
        let wrong = envoy(world, &["check", "--file", "routes.yaml=/dev/null", "--json"]);
        let report: Value = serde_json::from_str(&wrong.out).unwrap();
        assert_eq!((wrong.exit, &report["faults"][0]["file"]), (1, &Value::from("routes.yaml")));
        assert_eq!(envoy(world, &["check"]).exit, 0, "the files as they are");
    });
}

#[test]
fn a_good_edit_is_in_force_for_the_next_call_on_every_worker_when_apply_returns() {
    alone(setup("applies-good"), async |world| {
        let shipped = live(world, "routes.yaml");
        let route = "      route: &anthropic\n";
        for round in 0..5 {
            let status = 420 + round;
            let own = format!(
                "      match: {{prefix: /v1/messages}}\n      direct_response: {{status: {status}}}\n    - name: after\n      match: {{path: /v1/never}}\n{route}"
            );
            let at = shipped.find("      match: {path: /v1/messages, ").unwrap();
            let end = shipped.find(route).unwrap();
            let text = changed(&shipped, &shipped[at..end + route.len()], &own);
            let path = world.place.join("routes.new.yaml");
            fs::write(&path, text).unwrap();

            let named = format!("routes.yaml={}", path.display());
            let said = envoy(world, &["apply", "--file", &named, "--ticket", "OPS-7", "--json"]);

            assert_eq!(said.exit, 0, "{said:?}");
            assert_eq!(status_of_calls(world, 16).await, [status; 16], "round {round}");
        }
        let rows = rows(world, "envoy apply: ", 5).await;
        let payload = &rows[0].payload;
        assert_eq!((rows[0].text("kind"), rows[0].text("outcome")), ("admin", "allowed"));
        assert!(payload["target"].as_str().unwrap().ends_with("ticket OPS-7"), "{payload}");
        let digest =
            |which: &str| payload[which]["files"]["routes.yaml"].as_str().unwrap().to_owned();
        assert!(digest("before").starts_with("sha256:") && digest("before") != digest("after"));
        assert_eq!(payload["after"]["files"].as_object().unwrap().len(), 1, "what changed alone");
        let history = envoy(world, &["history"]);
        assert_eq!(history.out.matches("OPS-7").count(), 5, "{history:?}");
        let status = envoy(world, &["status"]);
        assert_eq!(status.exit, 0, "{status:?}");
    });
}

#[test]
fn edits_of_routes_and_clusters_under_load_cut_no_stream_and_fail_no_call() {
    alone(setup("applies-load"), async |world| {
        let script = Script { words: 150, pause: 40, ..Script::new() };
        let open = async |count: usize| {
            let all = (0..count).map(|_| world.call(&script).streamed().open(world));
            join_all(all).await.into_iter().map(Result::unwrap).collect::<Vec<_>>()
        };
        let (routes, clusters) = (live(world, "routes.yaml"), live(world, "clusters.yaml"));
        let mut streams = open(4).await;
        let first = format!("resources:\n{}\n", second_cluster(world));
        let added = edit(
            world,
            "added",
            &[
                ("clusters.yaml", "resources:\n", &first),
                ("routes.yaml", "cluster: anthropic", "cluster: second"),
            ],
        );
        let removed = world.place.join("removed");
        fs::create_dir(&removed).unwrap();
        fs::write(removed.join("routes.yaml"), &routes).unwrap();
        fs::write(removed.join("clusters.yaml"), &clusters).unwrap();
        let removed = removed.display().to_string();

        let calls = async {
            let mut count = 0;
            let end = Instant::now() + Duration::from_secs(6);
            while Instant::now() < end {
                assert_eq!(status_of_calls(world, 2).await, [200; 2]);
                count += 2;
            }
            count
        };
        let edits = async {
            let apply = |from: &str| {
                let (data, run, from) = (world.place.join("data"), world.run(), from.to_owned());
                let bin = prepared("--envoy-path").unwrap();
                let mut command = tokio::process::Command::new(built("tollgate").unwrap());
                command.arg("--data").arg(data).args(["envoy", "apply", "--from", &from]);
                command.env("TOLLGATE_ENVOY_DIR", run).env("TOLLGATE_ENVOY_BIN", bin);
                async move { command.output().await.unwrap() }
            };
            let said = apply(&added).await;
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            let out = String::from_utf8_lossy(&said.stdout).into_owned();
            assert!(out.contains("+ cluster second\n"), "{out}");
            assert!(out.contains("~ route messages: cluster anthropic → second\n"), "{out}");
            let over_second = open(4).await;
            let said = apply(&removed).await;
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            over_second
        };
        let (count, over_second) = tokio::join!(calls, edits);

        assert!(count > 10, "{count}");
        streams.extend(over_second);
        for answer in join_all(streams.into_iter().map(Open::read)).await {
            assert!(answer.whole && answer.text().contains("message_stop"), "{}", answer.source);
        }
        let clusters = world.admin("/clusters").await.unwrap();
        assert!(!clusters.contains("second::") || clusters.contains("second::added_via_api"));
    });
}

#[test]
fn what_envoy_refuses_although_the_check_has_passed_is_taken_back_whole() {
    alone(setup("applies-back"), async |world| {
        let before = all_live(world);
        fs::copy(world.run().join("tls/ca.pem"), world.run().join("tls/brief.pem")).unwrap();
        // An Envoy that checks, and behind whose back the file then goes.
        let real = prepared("--envoy-path").unwrap();
        let bin = world.place.join("envoy-that-loses");
        let script =
            format!("#!/bin/sh\n{} \"$@\" || exit 1\nrm -f tls/brief.pem\n", real.display());
        fs::write(&bin, script).unwrap();
        fs::set_permissions(&bin, fs::Permissions::from_mode(0o755)).unwrap();
        let from = edit(
            world,
            "half",
            &[
                ("secrets/clients.yaml", "resources:", "# another comment\nresources:"),
                ("clusters.yaml", "tls/ca.pem", "tls/brief.pem"),
                ("routes.yaml", "timeout: 0s #", "timeout: 1s #"),
            ],
        );

        let said = envoy_by(world, &bin, &["apply", "--from", &from]);

        assert_eq!(said.exit, 1, "{said:?}");
        for word in ["Envoy refused clusters.yaml", "everything is as it was", "tls/brief.pem"] {
            assert!(said.aside.contains(word), "{word}: {said:?}");
        }
        assert_eq!(all_live(world), before);
        assert_eq!(status_of_calls(world, 8).await, [200; 8]);
        let row = rows(world, "envoy apply taken back", 1).await.remove(0);
        assert_eq!((row.text("outcome"), row.text("rule_id")), ("error", "envoy_refused"));
        let status = envoy(world, &["status"]);
        assert_eq!(status.exit, 0, "{status:?}");
        assert!(!world.run().join(".tollgate-apply").exists());
    });
}
