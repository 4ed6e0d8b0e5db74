use super::*;
use serde_json::json;

const NOW: u64 = 1_763_000_000;

fn workload(id: &str) -> Workload {
    serde_json::from_value(json!({
        "id": id, "issuer": "https://ci.example", "audience": "https://gateway.example",
        "subjects": ["repo:acme/*:ref:refs/heads/main"], "tenant": "acme",
        "claims": { "/repository_owner_id": "42", "/runner/hosted": "true" },
    }))
    .unwrap()
}

fn claims(change: &[(&str, Value)]) -> Claims {
    let mut claims = json!({
        "iss": "https://ci.example", "aud": "https://gateway.example", "jti": "1",
        "sub": "repo:acme/api:ref:refs/heads/main", "iat": NOW, "exp": NOW + 300, "nbf": NOW,
        "repository_owner_id": "42", "runner": { "hosted": true },
    });
    for (name, value) in change {
        claims[*name] = value.clone();
    }

    claims.as_object().unwrap().clone()
}

fn job(change: &[(&str, Value)]) -> Result<String, Why> {
    let all = Workloads { workloads: vec![workload("deploy")], issuers: BTreeMap::new() };

    all.job(&claims(change), NOW).map(|job| job.workload.id.clone())
}

#[test]
fn a_job_is_one_only_if_everything_that_was_said_of_it_is_so() {
    assert_eq!(job(&[]).as_deref(), Ok("deploy"));
    assert_eq!(job(&[("aud", json!(["https://gateway.example"]))]).as_deref(), Ok("deploy"));
    assert_eq!(job(&[("iat", json!(1_763_000_000.5))]).as_deref(), Ok("deploy"));
    for (name, value, why) in [
        ("iss", json!("https://ci.example/"), "issuer"),
        ("iss", json!("https://CI.example"), "issuer"),
        ("aud", json!("https://gateway.example/"), "audience"),
        ("aud", json!("https://gateway.example.evil"), "audience"),
        ("aud", json!(["https://gateway.example", "https://other"]), "audience"),
        ("aud", json!([]), "audience"),
        ("aud", Value::Null, "audience"),
        ("sub", json!("repo:acme/api:pull_request"), "subject"),
        ("sub", json!("repo:acme-evil/api:ref:refs/heads/main"), "subject"),
        ("sub", json!("repo:acme/api:ref:refs/heads/main "), "subject"),
        ("sub", json!("repo:acme/x/y:ref:refs/heads/main"), "subject"),
        ("sub", json!(7), "subject"),
        ("repository_owner_id", json!("420"), "claims"),
        ("runner", json!({}), "claims"),
        ("exp", json!(NOW), "expired"),
        ("exp", Value::Null, "exp"),
        ("exp", json!(-1), "exp"),
        ("iat", Value::Null, "iat"),
        ("iat", json!(NOW + 61), "early"),
        ("nbf", json!(NOW + 61), "early"),
        ("nbf", json!("soon"), "nbf"),
        ("iat", json!(NOW - 86_401), "old"),
    ] {
        assert_eq!(job(&[(name, value.clone())]), Err(why), "{name} {value}");
    }
    assert_eq!(job(&[("nbf", json!(NOW + 60)), ("iat", json!(NOW + 60))]).as_deref(), Ok("deploy"));
}

#[test]
fn the_first_workload_that_it_is_counts_and_another_one_s_conditions_do_not_add_up() {
    let mut other = workload("other");
    other.subjects = vec!["repo:acme/api:**".into()];
    other.claims.clear();
    other.audience = "https://elsewhere.example".into();
    let all = Workloads { workloads: vec![workload("deploy"), other], issuers: BTreeMap::new() };

    let pull = claims(&[("sub", json!("repo:acme/api:pull_request"))]);
    assert!(all.job(&pull, NOW).is_err(), "a subject of one and an audience of the other");
    let elsewhere = claims(&[("aud", json!("https://elsewhere.example"))]);
    assert_eq!(all.job(&elsewhere, NOW).unwrap().workload.id, "other");
}

#[test]
fn what_may_be_exchanged_once_is_named_by_its_issuer_and_its_id() {
    let once = Workload { once: true, ..workload("deploy") };
    let all = Workloads { workloads: vec![once], issuers: BTreeMap::new() };
    let name = |claims: &Claims| all.job(claims, NOW).map(|job| job.once);

    let first = name(&claims(&[])).unwrap().unwrap();
    assert_eq!(name(&claims(&[])).unwrap().unwrap(), first);
    assert_ne!(name(&claims(&[("jti", json!("2"))])).unwrap().unwrap(), first);
    assert_eq!(name(&claims(&[("jti", json!(""))])), Err("jti"));
}
