use super::*;
use crate::lane::messages::answer::body;
use serde::Deserialize;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    provider: String,
    what: String,
    asked: String,
    body: String,
    expect: Expected,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expected {
    Unchanged,
    Body(String),
    Failure(u16),
}

fn said(case: &Case) -> Expected {
    let provider = Provider::shipped(&case.provider).unwrap();
    let what = if case.what == "messages" { What::Messages } else { What::CountTokens };
    match body(&provider, what, &case.asked, case.body.as_bytes()) {
        Ok(None) => Expected::Unchanged,
        Ok(Some(body)) => Expected::Body(String::from_utf8(body).unwrap()),
        Err(Failure { status, message, .. }) => {
            assert!(!message.contains("canary"), "{message}");
            Expected::Failure(status)
        }
    }
}

#[test]
fn every_answer_in_one_piece_is_said_as_its_case_has_it() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../cases/answers.json")).unwrap();
    for case in &cases {
        assert_eq!(said(case), case.expect, "{}", case.name);
    }
    assert!(cases.len() >= 12);
}
