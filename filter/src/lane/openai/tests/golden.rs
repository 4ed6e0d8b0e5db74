//! The cases in `golden/`: what is said, and what it becomes. Their names say what each is for.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Cases of one direction, and how one is run.
pub(super) type Direction = (&'static str, &'static str, fn(&Value) -> Value);

pub(super) const DIRECTIONS: [Direction; 4] = [
    ("requests", include_str!("../golden/requests.json"), request_becomes),
    ("answers", include_str!("../golden/answers.json"), answer_becomes),
    ("streams", include_str!("../golden/streams.json"), stream_becomes),
    ("errors", include_str!("../golden/errors.json"), error_becomes),
];

/// The cases of a direction.
pub(super) fn cases(name: &str) -> Vec<Value> {
    let (_, text, _) = DIRECTIONS.into_iter().find(|(known, ..)| *known == name).unwrap();

    serde_json::from_str(text).unwrap()
}

fn request_becomes(case: &Value) -> Value {
    let params = if case["params"].is_null() { json!({}) } else { case["params"].clone() };
    match said(case["provider"].as_str().unwrap(), &params, &case["asked"]) {
        Ok(outgoing) => {
            json!({"path": outgoing.path, "dropped": outgoing.dropped, "body": body(&outgoing)})
        }
        Err(no) => json!({"status": no.status, "type": no.kind, "message": no.message}),
    }
}

fn answer_becomes(case: &Value) -> Value {
    match answer(case["said"].to_string().as_bytes(), "claude-sonnet-4-5") {
        Ok(body) => serde_json::from_slice(&body).unwrap(),
        Err(failure) => failed(&failure),
    }
}

fn stream_becomes(case: &Value) -> Value {
    let (out, failure) = stream([framed(case).as_slice()]);
    let mut all = events(&out);
    all.extend(failure.iter().map(failed));

    Value::Array(all)
}

fn error_becomes(case: &Value) -> Value {
    let status = case["status"].as_u64().unwrap().try_into().unwrap();
    let kind = case["content_type"].as_str().unwrap();

    failed(&error(status, kind, case["said"].as_str().unwrap().as_bytes()))
}

fn failed(failure: &Failure) -> Value {
    json!({"status": failure.status, "type": failure.kind, "message": failure.message})
}

/// A case's chunks as the provider sends them.
pub(super) fn framed(case: &Value) -> Vec<u8> {
    let framing = case["framing"].as_str().unwrap_or("plain");
    let end = match framing {
        "crlf" => "\r\n",
        "cr" => "\r",
        _ => "\n",
    };
    let mut text = String::new();
    for chunk in case["said"].as_array().unwrap() {
        let data = chunk.as_str().map_or_else(|| chunk.to_string(), str::to_owned);
        if framing == "noisy" {
            text += ": PROCESSING\n\nevent: chunk\nid: 7\nretry: 10\nunknown\n";
        }
        let data = match framing {
            "lines" => data.replacen("\",\"", "\",\ndata: \"", 1),
            _ => data,
        };
        let space = if framing == "tight" { "" } else { " " };
        text.extend(["data:", space, data.as_str(), end, end]);
    }
    if framing == "short" {
        text = text.trim_end().to_owned();
    }

    text.into_bytes()
}

#[test]
fn every_case_becomes_what_it_shall() {
    for (direction, text, becomes) in DIRECTIONS {
        let cases: Vec<Value> = serde_json::from_str(text).unwrap();
        assert!(cases.len() >= 25, "{direction}");
        for case in cases {
            let found = becomes(&case);
            assert_eq!(found, case["becomes"], "{direction}: {}\n{found:#}", case["name"]);
        }
    }
}

#[test]
fn the_names_of_cases_are_told_apart() {
    for (direction, text, _) in DIRECTIONS {
        let cases: Vec<Value> = serde_json::from_str(text).unwrap();
        let mut names: Vec<_> = cases.iter().map(|case| case["name"].to_string()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cases.len(), "{direction}");
    }
}
