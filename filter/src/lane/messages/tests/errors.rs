use super::*;
use crate::lane::messages::errors::{Told, error};
use serde::Deserialize;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    provider: String,
    lane: Terms,
    status: u16,
    content_type: String,
    body: String,
    expect: Expected,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Expected {
    Unchanged,
    Instead { status: u16, kind: String, message: String },
}

fn said(case: &Case) -> Expected {
    let provider = Provider::shipped(&case.provider).unwrap();
    let body = case.body.as_bytes();
    match error(&provider, &case.lane, case.status, &case.content_type, body) {
        Told::Unchanged => Expected::Unchanged,
        Told::Instead(Failure { status, kind, message }) => {
            let kind = serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned();
            Expected::Instead { status, kind, message }
        }
    }
}

#[test]
fn every_error_is_told_as_its_case_has_it() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../cases/errors.json")).unwrap();
    let mut names = BTreeSet::new();
    for case in cases {
        let said = said(&case);
        assert_eq!(said, case.expect, "{}", case.name);
        if let Expected::Instead { message, .. } = said {
            for secret in ["canary", "123456789012", "arn:", "amazonaws", "googleapis", "azure"] {
                assert!(!message.contains(secret), "{}: {message}", case.name);
            }
        }
        assert!(names.insert(case.name.clone()), "twice: {}", case.name);
    }
    assert!(names.len() >= 25);
}
