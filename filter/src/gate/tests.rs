use super::*;
use crate::host::fake::FakeHost;
use contract::envelope::{self, PinnedKey};
use ed25519_compact::{KeyPair, Seed};
use jwt_simple::prelude::Ed25519KeyPair;
use std::sync::OnceLock;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn policy_key() -> KeyPair {
    KeyPair::from_seed(Seed::new([7; 32]))
}

/// The key that tokens of these tests are signed with.
pub(crate) fn token_key() -> &'static Ed25519KeyPair {
    static KEY: OnceLock<Ed25519KeyPair> = OnceLock::new();
    KEY.get_or_init(|| Ed25519KeyPair::generate().with_key_id("k1"))
}

pub(crate) fn settings() -> Settings {
    use base64::{Engine, prelude::BASE64_STANDARD};
    Settings {
        gate_cluster: "tollgate_gate".into(),
        issuer: "https://tollgate.test".into(),
        audience: "tollgate".into(),
        policy_keys: vec![PinnedKey {
            key_id: "p1".into(),
            public_key: BASE64_STANDARD.encode(policy_key().pk.as_ref()),
        }],
        clock_skew: 0,
        anonymous_rows: 10,
        route_claims: Vec::new(),
        costing: None,
        public_url: None,
    }
}

/// A gate that knows nothing yet.
pub(crate) fn gate(host: &FakeHost) -> Gate {
    Gate::start(host, settings(), Boundary::shipped().unwrap(), RateCard::shipped().unwrap())
        .unwrap()
}

/// A signed policy with one rule.
pub(crate) fn bundle(rule: &str, models: &[&str]) -> Vec<u8> {
    policy(&serde_json::json!([{"id": rule, "models": models}]))
}

/// A signed policy with these rules.
pub(crate) fn policy(rules: &serde_json::Value) -> Vec<u8> {
    document(serde_json::json!({ "rules": rules }))
}

/// A signed policy with these members.
pub(crate) fn document(mut members: serde_json::Value) -> Vec<u8> {
    members["schema"] = contract::policy::SCHEMA.into();
    members["name"] = "test".into();
    let payload = members.to_string();
    let sealed = envelope::seal(envelope::POLICY_TYPE, payload.as_bytes(), "p1", &policy_key());
    serde_json::to_vec(&sealed).unwrap()
}

/// A signed policy that allows everything, with one more member; null for none.
pub(crate) fn policy_with(name: &str, value: &serde_json::Value) -> Vec<u8> {
    let mut payload = serde_json::json!({
        "schema": contract::policy::SCHEMA, "name": "test", "rules": [{"id": "all", "models": ["*"]}],
    });
    if !value.is_null() {
        payload[name] = value.clone();
    }
    let payload = payload.to_string();
    let sealed = envelope::seal(envelope::POLICY_TYPE, payload.as_bytes(), "p1", &policy_key());
    serde_json::to_vec(&sealed).unwrap()
}

/// The key set that verifies [`token_key`]'s tokens.
pub(crate) fn keys() -> Vec<u8> {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let public = token_key().public_key().to_bytes();
    serde_json::json!({"keys": [{
        "kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": BASE64_URL_SAFE_NO_PAD.encode(public),
    }]})
    .to_string()
    .into_bytes()
}

/// A standing with these entries.
pub(crate) fn standing(version: u64, entries: &serde_json::Value) -> Vec<u8> {
    let entries = serde_json::from_value(entries.clone()).unwrap();

    contract::standing::Standing { version, entries }.encode()
}

/// What somebody with this address, and nothing else of note, can be listed by.
pub(crate) fn marks(user_id: &str) -> contract::standing::Marks {
    let claims = crate::stages::authenticate::tests::jwt("nobody@example.com").custom;

    contract::standing::Marks::new(user_id, "", "", &claims)
}

/// A gate that is ready, with nobody listed but these.
pub(crate) fn ready(host: &FakeHost, listed: &serde_json::Value) -> Gate {
    let gate = gate(host);
    gate.take(Document::Policy, &bundle("everyone", &["claude-*"])).unwrap();
    gate.take(Document::Keys, &keys()).unwrap();
    gate.take(Document::Standing, &standing(1, listed)).unwrap();
    gate
}

#[test]
fn each_vm_has_its_number_and_all_have_one_boot() {
    let host = FakeHost::default();

    let (one, two) = (gate(&host), gate(&host));
    let (first, second) = (one.next(), one.next());

    assert_eq!((one.vm(), two.vm()), (1, 2));
    assert_eq!((first.n, second.n), (1, 2));
    assert_eq!(first.boot, two.next().boot);
}

#[test]
fn a_heartbeat_tells_the_highest_number_and_those_that_are_still_open() {
    let host = FakeHost::default();
    let gate = gate(&host);
    assert_eq!((gate.heartbeat().highest, gate.heartbeat().open), (0, vec![]));

    let [one, two, three] = [gate.next(), gate.next(), gate.next()];
    gate.close(two);
    gate.close(two);

    let beat = gate.heartbeat();
    assert_eq!((beat.boot, beat.vm), (one.boot, one.vm));
    assert_eq!((beat.highest, beat.open), (3, vec![1, 3]));
    gate.close(one);
    gate.close(three);
    assert_eq!((gate.heartbeat().highest, gate.heartbeat().open), (3, vec![]));
}

#[test]
fn where_more_are_open_than_a_heartbeat_lists_it_speaks_of_no_number_beyond_them() {
    let host = FakeHost::default();
    let gate = gate(&host);
    let numbers: Vec<_> = (0..Heartbeat::MOST + 10).map(|_| gate.next()).collect();
    gate.close(numbers[0]);

    let beat = gate.heartbeat();

    assert_eq!(beat.open.len(), Heartbeat::MOST);
    assert_eq!((beat.open.first(), beat.open.last()), (Some(&2), Some(&beat.highest)));
}

#[test]
fn the_number_of_a_count_is_open_until_the_sidecar_has_it() {
    let host = FakeHost::default();
    let gate = gate(&host);
    let reason = crate::flood::Reason { code: "token_expired", status: 401, sign_in: false };
    gate.flood.borrow_mut().admits(reason, "10.0.0.1", 1, 0);

    let counted = gate.counted(1);
    assert_eq!(gate.heartbeat().open, [1]);
    gate.stored(&counted);

    assert_eq!((gate.heartbeat().highest, gate.heartbeat().open), (1, vec![]));
}
