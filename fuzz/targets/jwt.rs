//! A token: no bytes panic, nothing that this key did not sign is a caller, and claims that it did
//! sign, whatever they are, make a caller who is named or none.
#![no_main]

use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use contract::headers::IDENTITY;
use ed25519_compact::{KeyPair, Seed};
use libfuzzer_sys::fuzz_target;
use std::rc::Rc;
use std::sync::LazyLock;
use tollgate_filter::settings::Settings;
use tollgate_filter::snapshot::{self, Bundle, Snapshot};
use tollgate_filter::stages::authenticate;
use tollgate_filter::stages::decode::Head;
use tollgate_filter::tokens::Tokens;

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::from_seed(Seed::new([7; 32])));

const NOW: u64 = 1_760_000_000;

fn snapshot() -> Snapshot {
    let policy = br#"{"schema":"tollgate.policy/v1","name":"n","rules":[{"id":"a","models":["*"]}]}"#;
    let x = BASE64_URL_SAFE_NO_PAD.encode(KEY.pk.as_ref());
    let keys = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k1","x":"{x}"}}]}}"#);
    let policy = contract::policy::Policy::parse(policy).expect("a policy");
    Snapshot {
        bundle: Rc::new(Bundle { version: "v".into(), policy }),
        keys: Rc::new(snapshot::keys(keys.as_bytes()).expect("keys")),
        board: Rc::default(),
    }
}

fn settings() -> Settings {
    let key = BASE64_STANDARD.encode(KEY.pk.as_ref());
    let text = format!(
        r#"{{"role":"gate","issuer":"i","audience":"a","gate_cluster":"c",
            "policy_keys":[{{"key_id":"p","public_key":"{key}"}}]}}"#
    );
    Settings::parse(text.as_bytes()).expect("settings")
}

fuzz_target!(|input: (bool, &str, &str, &str)| {
    let (signed, header, claims, said) = input;
    let token = if signed {
        let header = if header.is_empty() { r#"{"alg":"EdDSA","kid":"k1"}"# } else { header };
        let covered =
            format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(claims));
        let signature = KEY.sk.sign(covered.as_bytes(), None);
        format!("{covered}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()))
    } else {
        format!("{header}{claims}")
    };
    let mut head = Head { credential: Some(token), ..Head::default() };
    for slot in head.claimed.iter_mut().take(IDENTITY.len()) {
        *slot = (!said.is_empty()).then(|| said.to_owned());
    }
    let caller =
        authenticate::caller(&head, &settings(), &snapshot(), &mut Tokens::default(), NOW);
    if let Ok(caller) = caller {
        assert!(signed, "nobody else has the key");
        assert!(!caller.user_id.is_empty() && !caller.claims.tenant_id.is_empty());
        assert!(caller.expires >= NOW);
    }
});
