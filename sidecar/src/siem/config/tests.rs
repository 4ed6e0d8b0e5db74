use super::*;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

fn token(mode: u32) -> (tempfile::TempDir, String) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("token");
    fs::write(&path, "hunter2\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let path = path.display().to_string();
    (place, path)
}

fn faults(document: Value) -> Vec<String> {
    parse(document).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn every_fault_is_told_at_once_and_with_its_place() {
    let (_place, open) = token(0o644);
    let told = faults(json!({
        "sinks": [
            { "name": "Big", "kind": "http", "encoding": "splunk_hec", "url": "http://splunk.example",
              "token_file": open, "indexx": "main", "batch": { "rows": 0, "size": 1 } },
            { "name": "a", "kind": "http", "encoding": "datadog", "url": "https://u:hunter2@dd.example" },
            { "name": "a", "kind": "ftp", "content": "yes" },
            { "name": "b", "kind": "http", "encoding": "elastic_bulk", "url": "https://e",
              "index": "../_all", "from": "yesterday", "timeout_seconds": 0 },
            { "kind": "file", "path": "/nowhere/at/all", "url": "https://e" },
            { "name": "s", "kind": "http", "encoding": "sumo_logic", "url": "https://sumo/hunter2" },
            7,
        ],
        "extra": 1,
    }));

    for wanted in [
        "extra: is unknown",
        "sinks[0].name: must be of",
        "sinks[0].url: must be https",
        "sinks[0].token_file: ",
        "chmod 600",
        "sinks[0].indexx: is unknown",
        "sinks[0].batch.rows: must be a whole number from 1 to 5000",
        "sinks[0].batch.size: is unknown",
        "sinks[1].url: must not hold a user or password",
        "sinks[1].token_file: is missing",
        "sinks[2].kind: must be one of http, file, stdout",
        "sinks[2].content: must be true or false",
        "sinks[3].index: must be of",
        "sinks[3].from: must be one of beginning, now",
        "sinks[3].timeout_seconds: must be",
        "sinks[4].name: is missing",
        "sinks[4].path: is in a directory that is not there",
        "sinks[4].url: is unknown",
        "sinks[5].url_file: is missing",
        "sinks[5].url: is unknown",
        "sinks[6]: must be an object",
    ] {
        assert!(told.iter().any(|fault| fault.contains(wanted)), "{wanted}: {told:#?}");
    }
    assert!(!told.iter().any(|fault| fault.contains("hunter2")), "no secret is told: {told:#?}");
}

#[test]
fn two_sinks_of_one_name_would_share_a_cursor_and_are_refused() {
    let told = faults(json!({ "sinks": [
        { "name": "a", "kind": "stdout" }, { "name": "a", "kind": "stdout" },
    ] }));

    assert_eq!(told, ["sinks[1].name: is another sink's too"]);
}

#[test]
fn what_is_not_said_is_chosen_with_care() {
    let (_place, path) = token(0o600);
    let sinks = parse(json!({ "sinks": [
        { "name": "dd", "kind": "http", "encoding": "datadog", "url": "https://dd.example",
          "token_file": path },
    ] }))
    .unwrap();

    let [sink] = &sinks[..] else { panic!("{sinks:?}") };
    assert!(!sink.content, "what was said leaves only where somebody asked for it");
    assert!(!sink.from_now, "and no row is left out unasked");
    let Place::Http(http) = &sink.place else { panic!("{sink:?}") };
    assert_eq!(http.address.target, "/api/v2/logs");
    assert_eq!(http.timeout, Duration::from_secs(30));
    assert!(!format!("{sinks:?}").contains("hunter2"));
}

#[test]
fn the_limits_of_a_vendor_cannot_be_exceeded() {
    let (_place, path) = token(0o600);
    let told = faults(json!({ "sinks": [
        { "name": "dd", "kind": "http", "encoding": "datadog", "url": "https://dd.example",
          "token_file": path, "batch": { "rows": 1001, "bytes": 5_000_001 } },
    ] }));

    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn the_examples_of_the_document_are_good() {
    let document = include_str!("../../../../docs/siem.md");
    let place = tempfile::tempdir().unwrap();
    let ca = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap().cert.pem();
    for (name, text) in [
        ("splunk.token", "t"),
        ("elastic.key", "t"),
        ("datadog.key", "t"),
        ("sumo.url", "https://sumo.example/receiver/v1/http/t"),
        ("elastic-ca.pem", &ca),
    ] {
        let path = place.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let here = format!("{}/", place.path().display());

    let blocks: Vec<&str> =
        document.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();

    assert_eq!(blocks.len(), 5);
    for block in blocks {
        let block = block.replace("/etc/tollgate/", &here);
        let read = parse(serde_json::from_str(&block).unwrap());
        assert!(read.is_ok(), "{block}: {read:?}");
    }
}
