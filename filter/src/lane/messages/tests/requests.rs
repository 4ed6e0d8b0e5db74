use super::*;
use serde::Deserialize;
use std::collections::BTreeMap;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    provider: String,
    lane: Terms,
    what: String,
    betas: String,
    body: String,
    expect: Expected,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Expected {
    Sent {
        path: String,
        set: BTreeMap<String, String>,
        remove: Vec<String>,
        /// `null`: the bytes as they came.
        body: Option<String>,
        model: String,
        stream: bool,
        dropped: Vec<String>,
    },
    Refused {
        status: u16,
        message: String,
    },
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../cases/requests.json")).unwrap()
}

fn said(case: &Case) -> Expected {
    let what = match &*case.what {
        "messages" => What::Messages,
        "count_tokens" => What::CountTokens,
        other => panic!("{other}"),
    };
    let ask = Ask { what, betas: &case.betas, body: case.body.as_bytes() };
    let provider = Provider::shipped(&case.provider).unwrap();

    match request(&ask, &provider, &case.lane) {
        Err(Unmappable { status, kind, message }) => {
            assert_eq!(kind, kind_of(status));
            Expected::Refused { status, message }
        }
        Ok(out) => Expected::Sent {
            path: out.path,
            set: out.set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            remove: out.remove.into_iter().map(ToOwned::to_owned).collect(),
            body: out.body.map(|body| String::from_utf8(body).unwrap()),
            model: out.model,
            stream: out.stream,
            dropped: out.dropped.into_iter().map(ToOwned::to_owned).collect(),
        },
    }
}

#[test]
fn every_request_is_said_as_its_case_has_it() {
    let mut names = BTreeSet::new();
    for case in cases() {
        assert_eq!(said(&case), case.expect, "{}", case.name);
        assert!(names.insert(case.name.clone()), "twice: {}", case.name);
    }
    assert!(names.len() >= 25);
}
