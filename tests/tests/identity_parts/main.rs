//! What the tests of identity stand on does what it says: the `OpenID` provider, the browser, the test PKI, the
//! issuer of workload tokens.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use e2e::identity::agent::{Agent, Sent};
use e2e::identity::provider::lies::{Endpoint, Fault, Lie, Signed};
use e2e::identity::provider::{OidcProvider, claims, parameter};
use e2e::suite::bare;
use e2e::world::processes::prepared;
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};
use url::Url;

mod browser;
mod certificates;
mod workload;

const CALLBACK: &str = "http://127.0.0.1:9/oauth/callback";

/// Signs Ann in and trades the code; what the provider answers.
async fn tokens(provider: &OidcProvider, agent: &Agent) -> Value {
    let request = provider.request(CALLBACK);
    let back = provider.sign_in(agent, &request.url, "ann").await.unwrap();
    assert_eq!(parameter(&back, "state").unwrap(), "e2e-state");
    let code = parameter(&back, "code").unwrap();
    let page = provider.trade(&request, &code).await.unwrap();
    assert_eq!(page.status, 200, "{}\n{}", page.text(), provider.log());

    page.json()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}"))
}

/// Does `openssl` find that this JWT was signed by one of these keys? Nothing here that signed it takes part.
fn verified(jwt: &str, jwks: &Value) -> bool {
    let (covered, signature) = jwt.rsplit_once('.').unwrap();
    let part = |nth| BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(nth).unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&part(0)).unwrap();
    let keys = jwks["keys"].as_array().unwrap();
    let Some(jwk) = keys.iter().find(|jwk| jwk["kid"] == header["kid"]) else { return false };
    let script = "const [jwk, covered, signature] = process.argv.slice(1), c = require('crypto');
        const key = { key: c.createPublicKey({ key: JSON.parse(jwk), format: 'jwk' }), dsaEncoding: 'ieee-p1363' };
        process.exit(c.verify('sha256', Buffer.from(covered), key, Buffer.from(signature, 'base64url')) ? 0 : 1)";
    let node = prepared("--node-folder").unwrap().join("node");
    let jwk = jwk.to_string();
    let verdict =
        Command::new(node).args(["-e", script, &jwk, covered, signature]).output().unwrap();

    verdict.status.success()
}

async fn jwks(provider: &OidcProvider) -> Value {
    Agent::new().get(&provider.url("/jwks")).await.unwrap().json()
}

#[test]
fn somebody_signs_in_at_the_provider_and_it_refreshes_and_rotates() {
    bare(async {
        let begun = Instant::now();
        let provider = OidcProvider::start(&[CALLBACK]).await.unwrap();
        eprintln!("the provider was there after {:?}", begun.elapsed());
        let first = tokens(&provider, &Agent::new()).await;

        let said = claims(text(&first, "id_token"));
        assert_eq!(said["iss"], json!(provider.issuer));
        assert_eq!((&said["sub"], &said["nonce"]), (&json!("sub-ann"), &json!("e2e-nonce")));
        assert_eq!(
            (&said["email"], &said["email_verified"]),
            (&json!("ann@example.com"), &json!(true))
        );
        assert_eq!(said["groups"], json!(["engineering"]));
        assert!(verified(text(&first, "id_token"), &jwks(&provider).await));
        let me = Sent::default().bearer(text(&first, "access_token"));
        let me = Agent::new().send(&provider.url("/me"), me).await.unwrap().json();
        assert_eq!((&me["sub"], &me["groups"]), (&json!("sub-ann"), &json!(["engineering"])));

        provider
            .change("ann", json!({ "groups": ["research"], "custom": { "cost": { "center": 7 } } }))
            .await;
        let second = provider.refresh(text(&first, "refresh_token")).await.unwrap().json();
        let said = claims(text(&second, "id_token"));
        assert_eq!(
            (&said["groups"], &said["custom"]["cost"]["center"]),
            (&json!(["research"]), &json!(7))
        );
        assert_ne!(second["refresh_token"], first["refresh_token"], "it rotates");

        provider.disable("ann").await;
        let refused = provider.refresh(text(&second, "refresh_token")).await.unwrap();
        assert_eq!((refused.status, text(&refused.json(), "error")), (400, "invalid_grant"));
        let request = provider.request(CALLBACK);
        let shut = provider.sign_in(&Agent::new(), &request.url, "ann").await.unwrap_err();
        assert!(format!("{shut:#}").contains("not let in"), "{shut:#}");
        let grants: Vec<_> = provider.seen().await.iter().map(|it| it["grant"].clone()).collect();
        assert_eq!(
            grants.iter().filter(|it| **it == json!("refresh_token")).count(),
            2,
            "{grants:?}"
        );
    });
}

#[test]
fn the_provider_keeps_to_the_rules_of_codes() {
    bare(async {
        let provider = OidcProvider::start(&[CALLBACK]).await.unwrap();
        let agent = Agent::new();
        let request = provider.request(CALLBACK);
        let back = provider.sign_in(&agent, &request.url, "ann").await.unwrap();
        let code = parameter(&back, "code").unwrap();
        let mut other = request.clone();
        other.verifier.push('x');

        assert_eq!(provider.trade(&other, &code).await.unwrap().status, 400, "another verifier");
        let again = provider.sign_in(&agent, &request.url, "ann").await.unwrap();
        let code = parameter(&again, "code").unwrap();
        assert_eq!(provider.trade(&request, &code).await.unwrap().status, 200);
        assert_eq!(
            provider.trade(&request, &code).await.unwrap().status,
            400,
            "a code is for once"
        );

        let elsewhere = provider.request("http://127.0.0.1:9/elsewhere");
        assert_eq!(agent.get(&elsewhere.url).await.unwrap().status, 400, "not registered");
        provider.allow_redirect("http://127.0.0.1:9/elsewhere").await;
        let back = provider.sign_in(&agent, &elsewhere.url, "ann").await.unwrap();
        assert!(back.as_str().starts_with("http://127.0.0.1:9/elsewhere?"), "{back}");
    });
}

#[test]
fn each_lie_is_told_once_and_is_one() {
    bare(async {
        let provider = OidcProvider::start(&[CALLBACK]).await.unwrap();
        let agent = Agent::new();
        let keys = jwks(&provider).await;

        provider.lie(Lie::wrong_nonce()).await;
        assert_ne!(
            claims(text(&tokens(&provider, &agent).await, "id_token"))["nonce"],
            "e2e-nonce"
        );
        provider.lie(Lie::wrong_issuer()).await;
        let told = tokens(&provider, &agent).await;
        assert_ne!(claims(text(&told, "id_token"))["iss"], json!(provider.issuer));
        assert!(verified(text(&told, "id_token"), &keys), "it is signed all the same");
        provider.lie(Lie::expired()).await;
        let said = claims(text(&tokens(&provider, &agent).await, "id_token"));
        assert!(said["exp"].as_u64().unwrap() < e2e::world::tokens::now());

        for (how, alg) in [
            (Signed::None, "none"),
            (Signed::Hs256Secret, "HS256"),
            (Signed::Hs256PublicKey, "HS256"),
            (Signed::Unpublished, "RS256"),
            (Signed::UnknownKid, "RS256"),
            (Signed::Broken, "RS256"),
        ] {
            provider.lie(Lie::signed(how)).await;
            let told = tokens(&provider, &agent).await;
            let jwt = text(&told, "id_token");
            let header = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').next().unwrap()).unwrap();
            let header: Value = serde_json::from_slice(&header).unwrap();
            assert_eq!(header["alg"], alg, "{how:?}");
            assert!(!verified(jwt, &keys), "{how:?} verifies");
        }

        provider.lie(Lie::callback(&json!({ "iss": "http://127.0.0.1:1", "state": null }))).await;
        let request = provider.request(CALLBACK);
        let back = provider.sign_in(&agent, &request.url, "ann").await.unwrap();
        assert_eq!(parameter(&back, "iss").unwrap(), "http://127.0.0.1:1");
        assert!(parameter(&back, "state").is_err(), "{back}");

        let honest = tokens(&provider, &agent).await;
        assert!(verified(text(&honest, "id_token"), &keys), "each was told once");
        assert_eq!(claims(text(&honest, "id_token"))["nonce"], "e2e-nonce");
        provider.rotate_keys(false).await;
        let rotated = tokens(&provider, &agent).await;
        assert!(!verified(text(&rotated, "id_token"), &keys));
        assert!(verified(text(&rotated, "id_token"), &jwks(&provider).await));
    });
}

#[test]
fn the_provider_breaks_and_leaves_and_names_groups_elsewhere() {
    bare(async {
        let provider = OidcProvider::start(&[CALLBACK]).await.unwrap();
        let agent = Agent::new();
        provider.overage("ann", true).await;
        let over = tokens(&provider, &agent).await;
        let said = claims(text(&over, "id_token"));
        assert_eq!(said["groups"], Value::Null);
        let source = said["_claim_names"]["groups"].as_str().unwrap();
        let lookup: Url = text(&said["_claim_sources"][source], "endpoint").parse().unwrap();
        let asked = Sent::default().bearer(text(&over, "access_token"));
        assert_eq!(
            agent.send(&lookup, asked).await.unwrap().json()["value"],
            json!(["engineering"])
        );
        assert_eq!(agent.get(&lookup).await.unwrap().status, 401);
        provider.overage("ann", false).await;
        provider.only_in_userinfo(&["groups"]).await;
        let bare = tokens(&provider, &agent).await;
        assert_eq!(claims(text(&bare, "id_token"))["groups"], Value::Null);
        let me = Sent::default().bearer(text(&bare, "access_token"));
        let me = agent.send(&provider.url("/me"), me).await.unwrap().json();
        assert_eq!(me["groups"], json!(["engineering"]));

        let refresh = text(&bare, "refresh_token");
        provider.fail(Endpoint::Token, Fault::Status(500)).await;
        assert_eq!(provider.refresh(refresh).await.unwrap().status, 500);
        provider.fail(Endpoint::Token, Fault::Hang).await;
        let hung =
            tokio::time::timeout(Duration::from_millis(500), provider.refresh(refresh)).await;
        assert!(hung.is_err(), "{hung:?}");
        provider.heal(Endpoint::Token).await;
        provider.go_away().await;
        assert!(agent.get(&provider.url("/jwks")).await.is_err());
        provider.come_back().await;
        let page = provider.refresh(refresh).await.unwrap();
        assert_eq!(page.status, 200, "what was issued stays valid: {}", page.text());

        provider.refresh_tokens(false).await;
        assert_eq!(tokens(&provider, &Agent::new()).await["refresh_token"], Value::Null);
    });
}
