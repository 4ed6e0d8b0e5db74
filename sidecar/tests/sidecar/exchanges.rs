//! A job's own token becomes one of ours: RFC 8693, against an issuer of our own.

use crate::world::{Answer, Fallible, Place, World, ask};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contract::audit::Acted;
use jwt_simple::algorithms::{
    ECDSAP256KeyPairLike, ECDSAP256PublicKeyLike, ES256KeyPair, Ed25519KeyPair, EdDSAKeyPairLike,
    HS256Key, MACLike,
};
use jwt_simple::claims::{Claims as Registered, JWTClaims};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tollgate::acts::Act;
use tollgate::clock;
use tollgate::operators::operator::Operator;

/// An issuer whose keys can be changed, and that can be away.
struct Issuer {
    name: String,
    keys: Arc<Mutex<Value>>,
    away: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    pair: ES256KeyPair,
}

impl Issuer {
    fn start() -> Fallible<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let name = format!("http://{}", listener.local_addr()?);
        let pair = ES256KeyPair::generate().with_key_id("one");
        let keys = Arc::new(Mutex::new(json!({ "keys": [jwk(&pair, "one")] })));
        let (away, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let it = Self { name, keys, away, asked, pair };
        let (name, keys, away, asked) =
            (it.name.clone(), Arc::clone(&it.keys), Arc::clone(&it.away), Arc::clone(&it.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut request = [0; 2048];
                let read = stream.read(&mut request).unwrap_or_default();
                if away.load(Ordering::Relaxed) {
                    continue;
                }
                asked.fetch_add(1, Ordering::Relaxed);
                let discovery = String::from_utf8_lossy(request.get(..read).unwrap_or_default())
                    .contains("openid-configuration");
                let body = if discovery {
                    json!({ "issuer": name, "jwks_uri": format!("{name}/keys") }).to_string()
                } else {
                    keys.lock().unwrap_or_else(PoisonError::into_inner).to_string()
                };
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length";
                drop(write!(stream, "{head}: {}\r\n\r\n{body}", body.len()));
            }
        });
        Ok(it)
    }

    fn claims(&self) -> Value {
        let now = clock::now();
        json!({
            "iss": self.name, "aud": "https://gateway.example", "jti": "run-1",
            "sub": "repo:acme/api:ref:refs/heads/main", "iat": now, "nbf": now, "exp": now + 600,
        })
    }

    fn token(&self, change: &[(&str, Value)]) -> Fallible<String> {
        Ok(self.pair.sign(claims(self.claims(), change))?)
    }
}

fn claims(mut all: Value, change: &[(&str, Value)]) -> JWTClaims<Value> {
    if let Some(all) = all.as_object_mut() {
        all.extend(change.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    let mut claims =
        Registered::with_custom_claims(all, jwt_simple::prelude::Duration::from_secs(1));
    (claims.issued_at, claims.expires_at, claims.invalid_before) = (None, None, None);
    claims
}

fn jwk(pair: &ES256KeyPair, kid: &str) -> Value {
    let point = ECDSAP256PublicKeyLike::public_key(&pair.public_key()).to_bytes_uncompressed();
    let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    json!({ "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": text(x), "y": text(y) })
}

async fn world(issuer: &Issuer, once: bool) -> Fallible<World> {
    let mut place = Place::new()?;
    let identity = json!({
        "schema": "tollgate.identity/v1",
        "workloads": [{
            "id": "deploy", "issuer": issuer.name, "audience": "https://gateway.example",
            "subjects": ["repo:acme/*:ref:refs/heads/main"], "once": once, "tenant": "acme",
            "department": "platform", "groups": ["ci"],
        }],
    });
    let file = place.directory.path().join("identity.yaml");
    fs::write(&file, identity.to_string())?;
    place.identity = Some(file);
    World::start_in(place).await
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn post(world: &World, pairs: &[(&str, &str)]) -> Fallible<Answer> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(pairs);
    ask(world.at.public, "POST", "/oauth/token", &[FORM], &form.finish()).await
}

const GRANT: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
const KIND: (&str, &str) = ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt");

async fn exchange(world: &World, token: &str) -> Fallible<Answer> {
    post(world, &[GRANT, KIND, ("subject_token", token)]).await
}

fn acted(answer: &Answer) -> Fallible<Acted> {
    Ok(serde_json::from_str(answer.header("x-tollgate-caller"))?)
}

#[tokio::test]
async fn a_job_s_token_is_exchanged_for_one_that_lives_no_longer() -> Fallible {
    let issuer = Issuer::start()?;
    let world = world(&issuer, false).await?;
    let exp = clock::now() + 120;

    let answer = exchange(&world, &issuer.token(&[("exp", exp.into())])?).await?;

    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    let told = answer.json()?;
    assert_eq!(told["token_type"], "Bearer");
    assert_eq!(told["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    let token = told["access_token"].as_str().ok_or("no token")?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).ok_or("no payload")?)?;
    let claims: Value = serde_json::from_slice(&payload)?;
    assert_eq!(claims["exp"], exp);
    for (name, value) in [
        ("amr", "service"),
        ("client_id", "service"),
        ("credential_id", "wkl_deploy"),
        ("sub", "service:deploy"),
        ("tenant_id", "acme"),
        ("department", "platform"),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert_eq!(claims["groups"], json!(["ci"]));
    assert_eq!(claims["email"], Value::Null);
    let acted = acted(&answer)?;
    assert_eq!(acted.user_id, "service:deploy");
    let told = acted.sign_in.ok_or("nothing told")?;
    assert_eq!((&*told.tier, &*told.act), ("service", "exchanged"));
    assert_eq!(told.provider, "repo:acme/api:ref:refs/heads/main", "which job it was");

    world.store.disable_user("service:deploy", 1, &Act::new(&Operator::owner(), "test")?).await?;
    let refused = exchange(&world, &issuer.token(&[])?).await?;
    assert_eq!((refused.status, &refused.json()?["error"]), (400, &json!("unauthorized_client")));
    assert_eq!(refused.header("x-tollgate-refusal"), "user_disabled");
    Ok(())
}

#[tokio::test]
async fn each_token_that_is_not_the_job_s_is_refused_and_the_row_says_why() -> Fallible {
    let issuer = Issuer::start()?;
    let world = world(&issuer, false).await?;
    let now = clock::now();
    let public = serde_json::to_string(&issuer.keys.lock().unwrap()["keys"][0])?;
    let hmac = HS256Key::from_bytes(public.as_bytes()).with_key_id("one");
    let plain = |header: Value| -> Fallible<String> {
        let text = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        Ok(format!("{}.{}.", text(header), text(issuer.claims())))
    };
    let stranger = ES256KeyPair::generate().with_key_id("one");
    let other = Ed25519KeyPair::generate().with_key_id("one");
    let good = issuer.token(&[])?;
    let (head, signature) = good.rsplit_once('.').ok_or("no signature")?;
    let (_, payload) = head.split_once('.').ok_or("no payload")?;
    let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    for (token, why) in [
        (plain(json!({ "alg": "none" }))?, "signature"),
        (format!("{none}.{payload}.{signature}"), "signature"),
        (hmac.authenticate(claims(issuer.claims(), &[]))?, "signature"),
        (stranger.sign(claims(issuer.claims(), &[]))?, "signature"),
        (other.sign(claims(issuer.claims(), &[]))?, "signature"),
        (issuer.token(&[("iss", "https://evil.example".into())])?, "issuer"),
        (issuer.token(&[("iss", format!("{}/", issuer.name).into())])?, "issuer"),
        (issuer.token(&[("aud", "https://gateway.example.evil".into())])?, "audience"),
        (issuer.token(&[("aud", json!(["https://gateway.example", "x"]))])?, "audience"),
        (issuer.token(&[("sub", "repo:acme-evil/api:ref:refs/heads/main".into())])?, "subject"),
        (issuer.token(&[("sub", "repo:acme/api:pull_request".into())])?, "subject"),
        (issuer.token(&[("exp", (now - 1).into())])?, "expired"),
        (issuer.token(&[("nbf", (now + 120).into())])?, "early"),
        (issuer.token(&[("iat", (now - 90_000).into())])?, "old"),
        ("rubbish".to_owned(), "malformed"),
        ("x".repeat(20_000), "too_long"),
    ] {
        let answer = exchange(&world, &token).await?;
        assert_eq!(
            (answer.status, &answer.json()?["error"]),
            (400, &json!("invalid_request")),
            "{why}"
        );
        assert_eq!(answer.header("x-tollgate-refusal"), "subject_refused");
        let told = acted(&answer)?.sign_in.ok_or("nothing told")?;
        let (flags, wanted) = (told.flags, vec![why.to_owned()]);
        // A token that names no algorithm may not even be read as one.
        assert!(
            flags == wanted || (why == "signature" && flags == ["malformed"]),
            "{why}: {flags:?}"
        );
    }
    assert_eq!(exchange(&world, &good).await?.status, 200, "and the good one is taken");
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_none_is_answered_as_oauth_says() -> Fallible {
    let issuer = Issuer::start()?;
    let world = world(&issuer, false).await?;
    let good = issuer.token(&[])?;
    let subject = ("subject_token", &*good);
    for (pairs, error) in [
        (vec![("grant_type", "client_credentials")], "unsupported_grant_type"),
        (vec![subject, KIND], "invalid_request"),
        (vec![GRANT, KIND], "invalid_request"),
        (vec![GRANT, subject], "invalid_request"),
        (vec![GRANT, KIND, subject, subject], "invalid_request"),
        (vec![GRANT, KIND, subject, ("actor_token", "x")], "invalid_request"),
        (vec![GRANT, KIND, subject, ("requested_token_type", "x")], "invalid_request"),
        (vec![GRANT, KIND, subject, ("resource", "https://x")], "invalid_target"),
        (vec![GRANT, KIND, subject, ("audience", "https://elsewhere")], "invalid_target"),
    ] {
        let answer = post(&world, &pairs).await?;
        assert_eq!((answer.status, &answer.json()?["error"]), (400, &json!(error)), "{pairs:?}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let json = ask(world.at.public, "POST", "/oauth/token", &[], "{}").await?;
    assert_eq!(json.json()?["error"], "invalid_request");
    let more = [
        ("audience", "tollgate"),
        ("scope", "x"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    let answer = post(&world, &[&[GRANT, KIND, subject][..], &more].concat()).await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    Ok(())
}

#[tokio::test]
async fn a_token_that_may_be_exchanged_once_is() -> Fallible {
    let issuer = Issuer::start()?;
    let world = world(&issuer, true).await?;
    let token = issuer.token(&[])?;

    assert_eq!(exchange(&world, &token).await?.status, 200);
    let again = exchange(&world, &token).await?;

    assert_eq!((again.status, again.header("x-tollgate-refusal")), (400, "subject_reused"));
    assert_eq!(acted(&again)?.user_id, "service:deploy");
    let nameless = exchange(&world, &issuer.token(&[("jti", Value::Null)])?).await?;
    assert_eq!(nameless.header("x-tollgate-refusal"), "subject_refused");
    assert_eq!(exchange(&world, &issuer.token(&[("jti", "run-2".into())])?).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn keys_outlive_their_issuer_and_unknown_ones_are_asked_for_seldom() -> Fallible {
    let issuer = Issuer::start()?;
    let world = world(&issuer, false).await?;
    let made_up = ES256KeyPair::generate().with_key_id("made-up");
    let forged = async || -> Fallible {
        let refused = exchange(&world, &made_up.sign(claims(issuer.claims(), &[]))?).await?;
        assert_eq!(refused.status, 400);
        Ok(())
    };

    // The first made-up key id might be a new one; right after that nobody is asked for another.
    forged().await?;
    let asked = issuer.asked.load(Ordering::Relaxed);
    for _ in 0..5 {
        forged().await?;
    }
    assert_eq!(issuer.asked.load(Ordering::Relaxed), asked);

    issuer.away.store(true, Ordering::Relaxed);
    assert_eq!(exchange(&world, &issuer.token(&[])?).await?.status, 200, "from what is known");
    Ok(())
}

#[tokio::test]
async fn a_sidecar_that_cannot_have_an_issuer_s_keys_does_not_start() -> Fallible {
    let issuer = Issuer::start()?;
    issuer.away.store(true, Ordering::Relaxed);
    let Err(error) = world(&issuer, false).await else { return Err("it started".into()) };
    assert!(error.to_string().contains(&issuer.name), "{error}");

    issuer.away.store(false, Ordering::Relaxed);
    *issuer.keys.lock().unwrap() = json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] });
    let Err(error) = world(&issuer, false).await else { return Err("it started".into()) };
    assert!(error.to_string().contains("no key for"), "{error}");
    Ok(())
}
