//! Secrets stay where they are.

use crate::operator::{edit, envoy, hang_up, live, setup};
use e2e::suite::alone;
use e2e::world::{PROVIDER_KEY, World};
use serde_json::json;
use std::fs;
use std::time::Duration;

const KEY: &str = "sk-ant-CANARY-of-the-candidate";

/// An edit with the key, written like this, and perhaps another beside it.
fn with_key(world: &World, name: &str, written: &str, also: Option<(&str, &str, &str)>) -> String {
    let old = format!("inline_string: \"{PROVIDER_KEY}\"");
    let new = written.replace("KEY", KEY);
    let mut edits = vec![("secrets/anthropic.yaml", old.as_str(), new.as_str())];
    edits.extend(also);

    edit(world, name, &edits)
}

#[test]
fn no_secret_is_printed_or_written_down_whatever_becomes_of_the_edit() {
    alone(setup("applies-canary"), async |world| {
        let zero = ("clusters.yaml", "  connect_timeout: 1s", "  connect_timeout: 0s");
        let good = with_key(world, "good", "inline_string: \"KEY\"", None);
        let mut said = String::new();
        for from in [
            with_key(world, "type", "inline_string: [\"KEY\"]", None),
            with_key(world, "syntax", "inline_string: \"KEY\"\n KEY: 1", None),
            with_key(world, "twice", "\"KEY\": 1, \"KEY\": 2, inline_string: \"KEY\"", None),
            with_key(world, "field", "KEY: KEY", None),
            with_key(world, "range", "inline_string: \"KEY\"", Some(zero)),
        ] {
            for words in
                [["check", "--from", &from, "--json"], ["apply", "--from", &from, "--json"]]
            {
                let one = envoy(world, &words);
                assert_eq!(one.exit, 1, "{one:?}");
                said += &one.all();
            }
        }
        for words in [
            vec!["check", "--from", &good],
            vec!["diff", "--from", &good],
            vec!["diff", "--from", &good, "--json"],
            vec!["apply", "--from", &good],
            vec!["status", "--json"],
            vec!["history", "--json"],
        ] {
            said += &envoy(world, &words).all();
        }
        hang_up(world);
        tokio::time::sleep(Duration::from_secs(1)).await;

        assert!(live(world, "secrets/anthropic.yaml").contains(KEY), "it is in force: {said}");
        assert!(said.contains("(another secret)"), "{said}");
        let payloads = world.rows().await.into_iter().map(|row| row.payload).collect::<Vec<_>>();
        said += &json!(payloads).to_string();
        said += &fs::read_to_string(world.place.join("logs/sidecar.log")).unwrap();
        for file in ["data/tollgate.db", "data/tollgate.db-wal"] {
            said += &String::from_utf8_lossy(&fs::read(world.place.join(file)).unwrap_or_default());
        }
        for secret in [KEY, PROVIDER_KEY] {
            assert!(!said.contains(secret), "{}", said.replace(secret, "SECRET"));
        }
        assert_eq!(fs::read_dir(world.place.join("tmp")).unwrap().count(), 0, "nothing is left");
    });
}
