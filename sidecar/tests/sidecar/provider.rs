//! A small `OpenID` provider with keys of its own, that lies when a test asks.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::struct_excessive_bools,
    reason = "what helps the tests may fail as loudly as they do"
)]

use crate::world::Fallible;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Json;
use axum::routing::{get, post};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use jwt_simple::algorithms::RS256KeyPair;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use ring::{hmac, signature};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::{Url, form_urlencoded};

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Lie {
    #[default]
    None,
    /// No signature at all.
    AlgNone,
    /// The client's secret as the key of an HMAC.
    HmacOfSecret,
    /// Its own public key as the key of an HMAC.
    HmacOfPublicKey,
    /// A key that it has not published, under a name that it has.
    WrongKey,
    /// A key of a name that it has not published.
    UnknownKid,
    /// Over, by more than clocks differ.
    Expired,
    /// From the future.
    Early,
    /// For another client.
    OtherAudience,
    /// For this client and another.
    TwoAudiences,
    /// Issued to another.
    OtherParty,
    /// Another issuer's.
    OtherIssuer,
    /// Another sign-in's.
    OtherNonce,
    /// No nonce.
    NoNonce,
    /// The userinfo is about somebody else.
    OtherUserinfo,
}

pub(crate) struct Inner {
    pub(crate) issuer: String,
    pub(crate) key: Key,
    pub(crate) lie: Lie,
    /// What is told of the person who signs in.
    pub(crate) person: Value,
    /// What the discovery document says otherwise.
    pub(crate) discovery: Value,
    /// Answers 503 to everything.
    pub(crate) is_away: bool,
    /// They have left: nothing is refreshed.
    pub(crate) has_left: bool,
    /// Gives refresh tokens.
    pub(crate) refreshes: bool,
    /// How often the token endpoint has refreshed.
    pub(crate) refreshed: usize,
    /// Seconds that its clock is ahead.
    pub(crate) ahead: i64,
    /// Only in the userinfo, not in the ID token.
    pub(crate) only_userinfo: bool,
    codes: BTreeMap<String, (String, String)>,
    tokens: BTreeSet<String>,
    number: usize,
}

/// It.
pub(crate) struct Fake {
    pub(crate) inner: Arc<Mutex<Inner>>,
    _served: JoinSet<()>,
}

type Shared = State<Arc<Mutex<Inner>>>;

/// A key that signs, and how.
pub(crate) struct Key {
    kid: String,
    algorithm: &'static str,
    pair: Pair,
    /// As its key set tells it.
    jwk: Value,
    /// The public half as it is.
    public: Vec<u8>,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Key {
    pub(crate) fn new(kid: &str, algorithm: &'static str) -> Self {
        let random = SystemRandom::new();
        let (pair, public, mut jwk) = match algorithm {
            "ES256" => {
                let way = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let der = EcdsaKeyPair::generate_pkcs8(way, &random).unwrap();
                let pair = EcdsaKeyPair::from_pkcs8(way, der.as_ref(), &random).unwrap();
                let point = pair.public_key().as_ref().to_vec();
                let (x, y) = (BASE64.encode(&point[1..33]), BASE64.encode(&point[33..]));
                (Pair::Ec(pair), point, json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y }))
            }
            "EdDSA" => {
                let der = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
                let point = pair.public_key().as_ref().to_vec();
                let x = BASE64.encode(&point);
                (Pair::Ed(pair), point, json!({ "kty": "OKP", "crv": "Ed25519", "x": x }))
            }
            _ => {
                let made = RS256KeyPair::generate(2048).unwrap();
                let parts = made.public_key().to_components();
                let pair = RsaKeyPair::from_pkcs8(&made.to_der().unwrap()).unwrap();
                let (n, e) = (BASE64.encode(&parts.n), BASE64.encode(&parts.e));
                (Pair::Rsa(Box::new(pair)), parts.n, json!({ "kty": "RSA", "n": n, "e": e }))
            }
        };
        jwk["kid"] = kid.into();
        jwk["use"] = "sig".into();
        Self { kid: kid.to_owned(), algorithm, pair, jwk, public }
    }

    /// The same key, for another algorithm.
    pub(crate) fn signing(self, algorithm: &'static str) -> Self {
        Self { algorithm, ..self }
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair) => pair.sign(&random, text).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(text).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let way: &dyn signature::RsaEncoding =
                    if self.algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(way, &random, text, &mut signature).unwrap();
                signature
            }
        }
    }
}

impl Fake {
    pub(crate) async fn start() -> Fallible<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let inner = Arc::new(Mutex::new(Inner {
            issuer: format!("http://{}", listener.local_addr()?),
            key: Key::new("k1", "ES256"),
            lie: Lie::None,
            person: json!({ "sub": "s-ann", "email": "ann@example.com", "email_verified": true,
                "name": "Ann", "groups": ["staff"] }),
            discovery: json!({}),
            is_away: false,
            has_left: false,
            refreshes: true,
            refreshed: 0,
            ahead: 0,
            only_userinfo: false,
            codes: BTreeMap::new(),
            tokens: BTreeSet::new(),
            number: 0,
        }));
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(Arc::clone(&inner));
        let mut served = JoinSet::new();
        served.spawn(async move { drop(axum::serve(listener, routes).await) });
        Ok(Self { inner, _served: served })
    }

    pub(crate) fn set(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    pub(crate) fn issuer(&self) -> String {
        self.set().issuer.clone()
    }

    /// Another key, as after a rotation.
    pub(crate) fn rotate_keys(&self) {
        self.set().key = Key::new("k2", "ES256");
    }

    /// Its section of the configuration.
    pub(crate) fn section(&self, id: &str, more: &str) -> String {
        format!(
            "  - id: {id}\n    issuer: {}\n    client_id: tollgate\n    tenant: acme\n    domains: [example.com]\n{more}",
            self.issuer()
        )
    }

    /// The person signs in at an address that the gateway sent them to; what they come back with.
    pub(crate) fn sign_in(&self, authorize: &str) -> Fallible<Vec<(String, String)>> {
        let url = Url::parse(authorize)?;
        let asked: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let get = |name: &str| {
            asked.get(name).cloned().ok_or_else(|| format!("no {name} in {authorize}"))
        };
        assert_eq!((&*get("response_type")?, &*get("code_challenge_method")?), ("code", "S256"));
        let mut inner = self.set();
        inner.number += 1;
        let code = format!("provider-code-{}", inner.number);
        let begun = (get("code_challenge")?, get("nonce")?);
        inner.codes.insert(code.clone(), begun);
        Ok(vec![
            ("code".into(), code),
            ("state".into(), get("state")?),
            ("iss".into(), inner.issuer.clone()),
        ])
    }
}

fn lock(inner: &Arc<Mutex<Inner>>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn discovery(State(inner): Shared) -> Result<Json<Value>, StatusCode> {
    let inner = up(&inner)?;
    let at = &inner.issuer;
    let mut document = json!({
        "issuer": at, "authorization_endpoint": format!("{at}/authorize"),
        "token_endpoint": format!("{at}/token"), "jwks_uri": format!("{at}/jwks"),
        "userinfo_endpoint": format!("{at}/userinfo"), "response_types_supported": ["code"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": [inner.key.algorithm],
        "authorization_response_iss_parameter_supported": true,
    });
    for (name, value) in inner.discovery.as_object().into_iter().flatten() {
        document[name] = value.clone();
    }
    Ok(Json(document))
}

fn up(inner: &Arc<Mutex<Inner>>) -> Result<MutexGuard<'_, Inner>, StatusCode> {
    let inner = lock(inner);
    if inner.is_away { Err(StatusCode::SERVICE_UNAVAILABLE) } else { Ok(inner) }
}

async fn jwks(State(inner): Shared) -> Result<Json<Value>, StatusCode> {
    let inner = up(&inner)?;
    // What a careless provider may publish besides.
    let shared = json!({ "kty": "oct", "kid": "k1", "k": BASE64.encode("hunter2") });
    Ok(Json(json!({ "keys": [inner.key.jwk, shared] })))
}

async fn token(
    State(inner): Shared,
    body: String,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    let no = |code: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": code })));
    let mut inner = up(&inner).map_err(|status| (status, Json(json!({}))))?;
    let form: BTreeMap<String, String> =
        form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let nonce = match get("grant_type") {
        "authorization_code" => {
            let (challenge, nonce) =
                inner.codes.remove(get("code")).ok_or_else(|| no("invalid_grant"))?;
            if BASE64.encode(Sha256::digest(get("code_verifier"))) != challenge {
                return Err(no("invalid_grant"));
            }
            Some(nonce)
        }
        "refresh_token" => {
            // Each is good once.
            if inner.has_left || !inner.tokens.remove(get("refresh_token")) {
                return Err(no("invalid_grant"));
            }
            inner.refreshed += 1;
            None
        }
        _ => return Err(no("unsupported_grant_type")),
    };
    let mut answer = json!({ "access_token": "at", "token_type": "Bearer", "expires_in": 300,
        "id_token": id_token(&inner, nonce.as_deref()) });
    if inner.refreshes {
        inner.number += 1;
        let token = format!("provider-refresh-{}", inner.number);
        answer["refresh_token"] = token.clone().into();
        inner.tokens.insert(token);
    }
    Ok(Json(answer))
}

async fn userinfo(State(inner): Shared, asked: HeaderMap) -> Result<Json<Value>, StatusCode> {
    let inner = up(&inner)?;
    if inner.has_left || asked.get("authorization").is_none_or(|value| value != "Bearer at") {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let mut person = inner.person.clone();
    if inner.lie == Lie::OtherUserinfo {
        person["sub"] = "s-eve".into();
    }
    Ok(Json(person))
}

fn id_token(inner: &Inner, nonce: Option<&str>) -> String {
    let lie = inner.lie;
    let now =
        (i64::try_from(tollgate::clock::now()).unwrap_or_default() + inner.ahead).cast_unsigned();
    let mut claims = if inner.only_userinfo || lie == Lie::OtherUserinfo {
        json!({ "sub": inner.person["sub"] })
    } else {
        inner.person.clone()
    };
    let other = |is: Lie, value: Value, lies: Value| if lie == is { lies } else { value };
    claims["iss"] =
        other(Lie::OtherIssuer, inner.issuer.clone().into(), "http://127.0.0.1:9".into());
    claims["aud"] = other(Lie::OtherAudience, "tollgate".into(), "other".into());
    if lie == Lie::TwoAudiences {
        claims["aud"] = json!(["tollgate", "other"]);
    }
    if lie == Lie::OtherParty {
        claims["azp"] = "other".into();
    }
    claims["iat"] = other(Lie::Early, now.into(), (now + 3_600).into());
    claims["exp"] = other(Lie::Expired, (now + 300).into(), (now - 61).into());
    if let Some(nonce) = nonce
        && lie != Lie::NoNonce
    {
        claims["nonce"] = other(Lie::OtherNonce, nonce.into(), "another".into());
    }
    signed(inner, &claims)
}

/// JWS as RFC 7515 §3.1 has it, by hand: a library signs no nonsense.
fn signed(inner: &Inner, claims: &Value) -> String {
    let key = &inner.key;
    let kid = if inner.lie == Lie::UnknownKid { "k9" } else { &key.kid };
    let text = |alg: &str| {
        let head = BASE64.encode(json!({ "alg": alg, "kid": kid }).to_string());
        format!("{head}.{}", BASE64.encode(claims.to_string()))
    };
    let mac = |secret: &[u8]| {
        let text = text("HS256");
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
        format!("{text}.{}", BASE64.encode(tag))
    };
    let told = |key: &Key| {
        let text = text(key.algorithm);
        format!("{text}.{}", BASE64.encode(key.sign(text.as_bytes())))
    };
    match inner.lie {
        Lie::AlgNone => format!("{}.", text("none")),
        Lie::HmacOfSecret => mac(b"hunter2"),
        Lie::HmacOfPublicKey => mac(&key.public),
        Lie::WrongKey | Lie::UnknownKid => told(&Key::new(&key.kid, "ES256")),
        _ => told(key),
    }
}
