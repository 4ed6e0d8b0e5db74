//! Streams that were translated from chat completions, read by the Anthropic SDK for Python, unmodified: it makes the
//! same message of them as of the provider's own.

use e2e::world::processes::{prepared, repository};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use tollgate_filter::lane::dialect::Stream;
use tollgate_filter::lane::openai::Reader;

fn data(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(repository().join(path)).unwrap();

    serde_json::from_str(&text).unwrap()
}

/// A completion's chunks as the events of a message; a failure is an event as well.
fn translated(chunks: &Value) -> String {
    let (mut reader, mut out) = (Reader::new("claude-sonnet-4-5"), Vec::new());
    for chunk in chunks.as_array().unwrap() {
        let data = chunk.as_str().map_or_else(|| chunk.to_string(), str::to_owned);
        if let Err(failure) = reader.eat(format!("data: {data}\n\n").as_bytes(), &mut out) {
            out.extend(failure.event());
            return String::from_utf8(out).unwrap();
        }
    }
    if let Err(failure) = reader.end(&mut out) {
        out.extend(failure.event());
    }

    String::from_utf8(out).unwrap()
}

fn native(events: &Value) -> String {
    let event =
        |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());

    events.as_array().unwrap().iter().map(event).collect()
}

/// What the SDK makes of streams.
fn read(streams: &BTreeMap<String, String>) -> BTreeMap<String, Value> {
    let mut python = Command::new(prepared("--client-python").unwrap())
        .arg(repository().join("tests/data/oracle.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(json!(streams).to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());

    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_translated_stream_is_the_same_message_to_the_sdk_as_a_native_one() {
    let cases = data("tests/data/oracle.json");
    let mut streams = BTreeMap::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        streams.insert(format!("{name}, translated"), translated(&case["chat"]));
        streams.insert(format!("{name}, native"), native(&case["native"]));
    }
    let said = read(&streams);

    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let one = &said[&format!("{name}, translated")];
        let other = &said[&format!("{name}, native")];
        assert!(one["message"]["content"].is_array(), "{name}: {one}");
        assert_eq!(one, other, "{name}");
    }
}

#[test]
fn the_sdk_reads_every_golden_stream_to_its_end_or_raises_its_error() {
    let cases = data("filter/src/lane/openai/golden/streams.json");
    let name = |case: &Value| case["name"].as_str().unwrap().to_owned();
    let said = read(&cases.iter().map(|case| (name(case), translated(&case["said"]))).collect());

    for case in &cases {
        let (said, events) = (&said[&name(case)], case["becomes"].as_array().unwrap());
        let last = events.last().unwrap();
        if last["type"] != "message_stop" {
            assert_eq!(said["error"], last["type"], "{}: {said}", name(case));
            continue;
        }
        let texts = |event: &Value| event["delta"]["text"].as_str().unwrap_or_default().to_owned();
        assert_eq!(said["texts"], events.iter().map(texts).collect::<String>(), "{}", name(case));
        let end = events.iter().rfind(|event| event["type"] == "message_delta").unwrap();
        let message = &said["message"];
        assert_eq!(message["stop_reason"], end["delta"]["stop_reason"], "{}", name(case));
        assert_eq!(message["usage"]["input_tokens"], end["usage"]["input_tokens"]);
        assert_eq!(message["usage"]["output_tokens"], end["usage"]["output_tokens"]);
    }
}
