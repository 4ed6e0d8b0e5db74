use super::*;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jwt_simple::algorithms::{Ed25519KeyPair, EdDSAKeyPairLike};
use jwt_simple::claims::Claims as Registered;
use serde_json::{Value, json};
use std::sync::Mutex as Shared;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What an issuer that stands here answers; `None` while it is away.
type Answers = Arc<Shared<Option<Value>>>;

async fn issuer(keys: Value) -> (String, Answers) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name = format!("http://{}", listener.local_addr().unwrap());
    let answers: Answers = Arc::new(Shared::new(Some(keys)));
    let (shown, answered) = (name.clone(), Arc::clone(&answers));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 2048];
            let read = stream.read(&mut request).await.unwrap();
            let Some(keys) = answered.lock().unwrap().clone() else { continue };
            let asked = String::from_utf8_lossy(&request[..read]).into_owned();
            let body = if asked.contains("openid-configuration") {
                json!({ "issuer": shown, "jwks_uri": format!("{shown}/keys") })
            } else {
                keys
            };
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });

    (name, answers)
}

fn pair(kid: &str) -> (Ed25519KeyPair, Value) {
    let pair = Ed25519KeyPair::generate().with_key_id(kid);
    let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().to_bytes());

    (pair, json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x }] }))
}

fn token(pair: &Ed25519KeyPair) -> String {
    pair.sign(Registered::create(jwt_simple::prelude::Duration::from_mins(5))).unwrap()
}

/// As if that long had passed.
async fn later(issuer: &Issuer, by: Duration) {
    let mut asked = issuer.asked.lock().await;
    asked.at = asked.at.checked_sub(by).unwrap();
}

#[tokio::test]
async fn a_new_key_is_asked_for_once_the_pause_is_over_and_an_old_one_that_is_gone_is_out() {
    let ((old, first), (new, second)) = (pair("old"), pair("new"));
    let (name, answers) = issuer(first).await;
    let issuer = Issuer::start(&name, None).await.unwrap();
    let early = issuer.verify(&token(&new)).await;
    assert!(matches!(early, Err(Unproven::Refused("signature"))), "it was asked: {early:?}");
    *answers.lock().unwrap() = Some(second);

    let early = issuer.verify(&token(&new)).await;
    assert!(matches!(early, Err(Unproven::Refused("signature"))), "it was not: {early:?}");
    later(&issuer, PAUSE).await;
    assert!(issuer.verify(&token(&new)).await.is_ok());
    let gone = issuer.verify(&token(&old)).await;
    assert!(matches!(gone, Err(Unproven::Refused("signature"))), "{gone:?}");
}

#[tokio::test]
async fn while_it_is_away_what_is_known_goes_on_and_what_is_not_is_not_judged() {
    let ((known, keys), (unknown, _)) = (pair("known"), pair("unknown"));
    let (name, answers) = issuer(keys.clone()).await;
    let issuer = Issuer::start(&name, None).await.unwrap();
    *answers.lock().unwrap() = None;
    later(&issuer, FRESH).await;

    assert!(issuer.verify(&token(&known)).await.is_ok());
    later(&issuer, PAUSE).await;
    let judged = issuer.verify(&token(&unknown)).await;
    assert!(matches!(judged, Err(Unproven::Away)), "{judged:?}");
    *answers.lock().unwrap() = Some(keys);
    later(&issuer, PAUSE).await;
    let judged = issuer.verify(&token(&unknown)).await;
    assert!(matches!(judged, Err(Unproven::Refused("signature"))), "{judged:?}");
}

#[tokio::test]
async fn an_issuer_that_says_it_is_another_is_none() {
    let (name, _answers) = issuer(pair("one").1).await;

    let why = Issuer::start(&format!("{name}/"), None).await.unwrap_err().to_string();
    assert!(why.contains("is of"), "{why}");
    let why = Issuer::start("http://192.0.2.1", None).await.unwrap_err().to_string();
    assert!(why.contains("only https"), "{why}");
}

#[tokio::test]
async fn a_key_says_by_itself_what_it_verifies() {
    let (pair, keys) = pair("one");
    let with = |name: &str, value: Value| {
        let mut keys = keys.clone();
        keys["keys"][0][name] = value;
        Keys::read(keys.to_string().as_bytes())
    };

    assert!(with("kid", Value::Null).unwrap().verify(&token(&pair)).is_ok());
    assert!(with("alg", "EdDSA".into()).unwrap().verify(&token(&pair)).is_ok());
    for (name, value) in [
        ("alg", "HS256".into()),
        ("alg", "none".into()),
        ("use", "enc".into()),
        ("crv", "Ed448".into()),
        ("kty", "oct".into()),
        ("x", "AAAA".into()),
    ] {
        assert!(with(name, Value::clone(&value)).is_err(), "{name} {value}");
    }
    assert!(Keys::read(b"rubbish").is_err());
}
