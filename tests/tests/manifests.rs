//! The published vectors of manifests, read by a client that shares no line with ours: `tests/data/manifest.py`, with the
//! signatures of the library `cryptography`.

use e2e::world::processes::{prepared, repository};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Stdio};

/// What the other client says to vectors; with `write`, the vectors that it makes.
fn other(input: &str, argument: Option<&str>) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), input).unwrap();
    let output = Command::new(prepared("--mcp-python").unwrap())
        .arg(repository().join("tests/data/manifest.py"))
        .args(argument)
        .stdin(Stdio::from(file.reopen().unwrap()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    output.stdout
}

fn vectors() -> String {
    fs::read_to_string(repository().join("contract/data/manifest-vectors.json")).unwrap()
}

#[test]
fn another_client_reads_every_vector_as_it_is_published() {
    let said: Value = serde_json::from_slice(&other(&vectors(), None)).unwrap();

    assert!(said["agrees"].as_u64().is_some_and(|count| count > 100), "{said}");
}

#[test]
fn another_client_sees_a_vector_that_is_wrong() {
    let mut wrong: Value = serde_json::from_str(&vectors()).unwrap();
    wrong["directories"][0]["directory_sha256"] = json!("0".repeat(64));
    wrong["opening"][0]["result"] = json!("forged");

    let said: Value = serde_json::from_slice(&other(&wrong.to_string(), None)).unwrap();

    assert_eq!(said["differs"].as_array().map(Vec::len), Some(2), "{said}");
}

#[test]
fn the_vectors_are_those_that_the_other_client_makes() {
    assert!(
        other("", Some("write")) == vectors().into_bytes(),
        "make them again, or see what changed"
    );
}
