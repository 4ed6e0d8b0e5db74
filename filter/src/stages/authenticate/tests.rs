use super::*;
use crate::gate::tests::{ready, settings, token_key};
use crate::host::fake::FakeHost;
use contract::claims::Confirmation;
use jwt_simple::prelude::{Audiences, EdDSAKeyPairLike, HS256Key, MACLike};
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

pub(crate) const NOW: u64 = 1_800_000_000;

/// A caller as if verified.
pub(crate) fn caller(email: &str) -> Caller {
    named(jwt(email)).unwrap()
}

pub(crate) fn jwt(email: &str) -> JWTClaims<Claims> {
    JWTClaims {
        issued_at: Some(UnixTimeStamp::from_secs(NOW)),
        expires_at: Some(UnixTimeStamp::from_secs(NOW + 3600)),
        invalid_before: Some(UnixTimeStamp::from_secs(NOW)),
        issuer: Some("https://tollgate.test".into()),
        subject: Some("u-1".into()),
        audiences: Some(Audiences::AsString("tollgate".into())),
        jwt_id: Some("j-1".into()),
        nonce: None,
        custom: Claims {
            tenant_id: "acme".into(),
            sid: "s-1".into(),
            client_id: "tollgate-helper".into(),
            policy_version: "p-1".into(),
            amr: Method::Pat,
            credential_id: "pat_1".into(),
            email: Some(email.into()),
            name: None,
            department: Some("engineering".into()),
            cost_centre: None,
            groups: vec![],
            roles: vec![],
            populations: vec![],
            region: None,
            cnf: None::<Confirmation>,
        },
    }
}

pub(crate) fn token(change: impl FnOnce(&mut JWTClaims<Claims>)) -> String {
    let mut claims = jwt("Ann@Example.com");
    change(&mut claims);
    token_key().sign(claims).unwrap()
}

type Change = Box<dyn FnOnce(&mut JWTClaims<Claims>)>;

fn judge_with(
    token: &str,
    said: &[(usize, &str)],
    revoked: &serde_json::Value,
) -> Result<Rc<Caller>, Refusal> {
    let host = FakeHost::default();
    let gate = ready(&host, revoked);
    let mut head = Head { credential: Some(token.to_owned()), ..Head::default() };
    for (place, value) in said {
        head.claimed[*place] = Some((*value).to_owned());
    }
    let snapshot = gate.snapshot().unwrap();
    let first = super::caller(&head, &settings(), &snapshot, &mut gate.tokens.borrow_mut(), NOW);
    let again = super::caller(&head, &settings(), &snapshot, &mut gate.tokens.borrow_mut(), NOW);
    assert_eq!(
        first.as_ref().map_err(|refused| refused.0).ok(),
        again.as_ref().map_err(|refused| refused.0).ok(),
        "a remembered token is judged as a new one"
    );
    first.map_err(|(refusal, _)| refusal)
}

fn judge(token: &str) -> Result<Rc<Caller>, Refusal> {
    judge_with(token, &[], &json!([]))
}

#[test]
fn a_good_token_names_its_caller() {
    let caller = judge(&token(|_| {})).unwrap();

    assert_eq!(caller.user_id, "ann@example.com", "in lower case");
    assert_eq!((caller.subject.as_str(), caller.claims.credential_id.as_str()), ("u-1", "pat_1"));
}

#[test]
fn a_token_is_good_only_in_its_time_for_us_and_by_us() {
    let secs = UnixTimeStamp::from_secs;
    let cases: Vec<(Change, Refusal)> = vec![
        (Box::new(move |c| c.expires_at = Some(secs(NOW - 1))), Refusal::TokenExpired),
        (Box::new(move |c| c.invalid_before = Some(secs(NOW + 60))), Refusal::TokenEarly),
        (Box::new(|c| c.issuer = Some("https://evil".into())), Refusal::TokenIssuer),
        (Box::new(|c| c.issuer = None), Refusal::TokenIssuer),
        (
            Box::new(|c| c.audiences = Some(Audiences::AsString("other".into()))),
            Refusal::TokenAudience,
        ),
        (Box::new(|c| c.audiences = None), Refusal::TokenAudience),
        (Box::new(|c| c.expires_at = None), Refusal::TokenClaims),
        (Box::new(|c| c.invalid_before = None), Refusal::TokenClaims),
        (Box::new(|c| c.subject = None), Refusal::TokenClaims),
        (Box::new(|c| c.custom.tenant_id = String::new()), Refusal::TokenClaims),
        (Box::new(|c| c.custom.sid = "a\r\nx-evil: 1".into()), Refusal::TokenClaims),
    ];
    for (change, refusal) in cases {
        assert_eq!(judge(&token(change)), Err(refusal));
    }
}

#[test]
fn the_algorithm_is_the_keys_and_never_the_tokens() {
    let none = "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ.e30.";
    assert_eq!(judge(none), Err(Refusal::TokenAlgorithm));

    let public = token_key().public_key().to_bytes();
    let confused =
        HS256Key::from_bytes(&public).with_key_id("k1").authenticate(jwt("a@b.c")).unwrap();
    assert_eq!(judge(&confused), Err(Refusal::TokenAlgorithm), "HMAC under the public key");

    let other = jwt_simple::prelude::Ed25519KeyPair::generate();
    let foreign = other.clone().with_key_id("k2").sign(jwt("a@b.c")).unwrap();
    assert_eq!(judge(&foreign), Err(Refusal::TokenKey));
    let forged = other.with_key_id("k1").sign(jwt("a@b.c")).unwrap();
    assert_eq!(judge(&forged), Err(Refusal::TokenSignature));

    assert_eq!(judge("a.b.c"), Err(Refusal::TokenMalformed));
    assert_eq!(judge("tgp_0123456789ab_x"), Err(Refusal::CredentialIsPat));
}

#[test]
fn whoever_was_stopped_is_stopped_at_once_and_by_any_name() {
    for (kind, id) in [
        ("user", "ann@example.com"),
        ("user", "u-1"),
        ("session", "s-1"),
        ("token", "j-1"),
        ("credential", "pat_1"),
    ] {
        let revoked = json!([{"kind": kind, "id": id, "effect": "revoked"}]);
        assert_eq!(judge_with(&token(|_| {}), &[], &revoked), Err(Refusal::TokenRevoked), "{kind}");
    }
    let revoked = json!([{"kind": "session", "id": "another", "effect": "revoked"}]);
    assert!(judge_with(&token(|_| {}), &[], &revoked).is_ok());
}

#[test]
fn an_identity_header_may_repeat_the_claims_and_not_contradict_them() {
    let good = [(0, "ANN@example.com"), (1, "s-1"), (2, "any-trace"), (4, "acme"), (5, "p-1")];
    assert!(judge_with(&token(|_| {}), &good, &json!([])).is_ok());

    for (place, lie) in [(0, "bob@example.com"), (1, "s-2"), (3, "x"), (4, "other"), (5, "p-0")] {
        let judged = judge_with(&token(|_| {}), &[(place, lie)], &json!([]));
        assert_eq!(judged, Err(Refusal::IdentityMismatch), "{}", headers::IDENTITY[place]);
    }
}

#[test]
fn the_strictest_source_counts() {
    let caller = caller("ann@example.com");
    let mut head = Head::default();
    assert_eq!(source(&head, &caller), CallSource::Cowork);
    head.agent_id = Some("a1".into());
    head.source = Some(CallSource::Cowork);
    assert_eq!(source(&head, &caller), CallSource::Subagent, "an agent is no person");
    head.source = Some(CallSource::Job);
    assert_eq!(source(&head, &caller), CallSource::Job);
}

#[test]
fn bad_tokens_are_never_remembered() {
    let host = FakeHost::default();
    let gate = ready(&host, &json!([]));
    let head = Head { credential: Some(token(|c| c.issuer = None)), ..Head::default() };

    let judged = super::caller(
        &head,
        &settings(),
        &gate.snapshot().unwrap(),
        &mut gate.tokens.borrow_mut(),
        NOW,
    );

    assert!(judged.is_err());
    assert!(gate.tokens.borrow().is_empty());
}
