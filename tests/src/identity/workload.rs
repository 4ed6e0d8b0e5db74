//! An issuer of workload tokens on loopback, as GitHub Actions and Kubernetes have one: a description, public keys,
//! and tokens of their shapes.

use crate::world::ports;
use crate::world::tokens::{covered, now};
use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jwt_simple::algorithms::RS256KeyPair;
use rcgen::{KeyPair, PublicKeyData};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// With what it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA of 2048 bits: what GitHub and Kubernetes use.
    Rs256,
    /// ECDSA on P-256.
    Es256,
}

/// A running one.
#[derive(Debug)]
pub struct WorkloadIssuer {
    /// Its issuer, `http://127.0.0.1:PORT`.
    pub issuer: String,
    address: SocketAddr,
    shown: Arc<Mutex<Shown>>,
    current: Mutex<Key>,
    server: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shown {
    keys: Vec<Value>,
    asked: Vec<String>,
}

#[derive(Debug, Clone)]
struct Key {
    algorithm: Algorithm,
    kid: String,
    pem: String,
    jwk: Value,
}

impl Key {
    fn new(algorithm: Algorithm) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let kid = format!("workload-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (pem, mut jwk) = match algorithm {
            Algorithm::Rs256 => rsa()?,
            Algorithm::Es256 => ec()?,
        };
        jwk["kid"] = json!(kid);
        jwk["use"] = json!("sig");

        Ok(Self { algorithm, kid, pem, jwk })
    }

    /// A JWT of these; `alg` and `kid` of the header are this key's.
    fn sign(&self, mut header: Value, claims: &Value) -> Result<String> {
        let (name, scheme) = match self.algorithm {
            Algorithm::Rs256 => ("RS256", SignatureScheme::RSA_PKCS1_SHA256),
            Algorithm::Es256 => ("ES256", SignatureScheme::ECDSA_NISTP256_SHA256),
        };
        header["alg"] = json!(name);
        header["kid"] = json!(self.kid);
        let covered = covered(&header, claims);
        let key = any_supported_type(&PrivateKeyDer::from_pem_slice(self.pem.as_bytes())?)?;
        let signer = key.choose_scheme(&[scheme]).context("not a key for this scheme")?;
        let mut signature = signer.sign(covered.as_bytes())?;
        if self.algorithm == Algorithm::Es256 {
            signature = fixed(&signature).context("not a signature in DER")?;
        }

        Ok(format!("{covered}.{}", BASE64.encode(signature)))
    }
}

/// By `openssl`: the libraries here make RSA keys too slowly, unoptimised.
fn rsa() -> Result<(String, Value)> {
    let arguments = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-quiet"];
    let made = Command::new("openssl").args(arguments).output().context("openssl")?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let pem = String::from_utf8(made.stdout)?;
    let key = RS256KeyPair::from_pem(&pem).map_err(|error| anyhow!("the RSA key: {error}"))?;
    let public = key.public_key().to_components();
    let (n, e) = (BASE64.encode(public.n), BASE64.encode(public.e));

    Ok((pem, json!({ "kty": "RSA", "alg": "RS256", "n": n, "e": e })))
}

fn ec() -> Result<(String, Value)> {
    let key = KeyPair::generate()?;
    let point = key.der_bytes().get(1..).context("a point")?;
    let (x, y) = point.split_at(32);
    let (x, y) = (BASE64.encode(x), BASE64.encode(y));

    Ok((
        key.serialize_pem(),
        json!({ "kty": "EC", "alg": "ES256", "crv": "P-256", "x": x, "y": y }),
    ))
}

/// An ECDSA signature as JWS wants it: two numbers of 32 bytes (RFC 7518 §3.4), instead of DER.
fn fixed(der: &[u8]) -> Option<Vec<u8>> {
    let mut rest = der.get(2..)?;
    let mut whole = Vec::new();
    for _ in 0..2 {
        let length = usize::from(*rest.get(1)?);
        let number = rest.get(2..2 + length)?;
        let digits = &number[number.iter().take_while(|&&byte| byte == 0).count()..];
        whole.extend(std::iter::repeat_n(0, 32_usize.checked_sub(digits.len())?));
        whole.extend(digits);
        rest = rest.get(2 + length..)?;
    }

    Some(whole)
}

impl WorkloadIssuer {
    /// Starts one.
    pub async fn start(algorithm: Algorithm) -> Result<Self> {
        // Another test may have taken the port in between.
        for _ in 0..5 {
            if let Ok(started) = Self::try_start(algorithm).await {
                return Ok(started);
            }
        }

        Self::try_start(algorithm).await
    }

    async fn try_start(algorithm: Algorithm) -> Result<Self> {
        let address = ports::port()?;
        let key = Key::new(algorithm)?;
        let this = Self {
            issuer: format!("http://{address}"),
            address,
            shown: Arc::new(Mutex::new(Shown { keys: vec![key.jwk.clone()], asked: Vec::new() })),
            current: Mutex::new(key),
            server: Mutex::default(),
        };
        this.come_back().await?;

        Ok(this)
    }

    /// Refuses connections, and cuts the open ones.
    pub async fn go_away(&self) {
        let server = self.server.lock().unwrap().take();
        if let Some(server) = server {
            server.abort();
            drop(server.await);
        }
    }

    /// Is there again, at the same address.
    pub async fn come_back(&self) -> Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        let server = tokio::spawn(serve(listener, self.issuer.clone(), Arc::clone(&self.shown)));
        *self.server.lock().unwrap() = Some(server);

        Ok(())
    }

    /// Signs with a new key of this kind. Does it still publish the old ones?
    pub fn rotate(&self, algorithm: Algorithm, keep: bool) -> Result<()> {
        let key = Key::new(algorithm)?;
        let mut shown = self.shown.lock().unwrap();
        if !keep {
            shown.keys.clear();
        }
        shown.keys.push(key.jwk.clone());
        *self.current.lock().unwrap() = key;

        Ok(())
    }

    /// The paths it was asked for since the last such question.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.shown.lock().unwrap().asked)
    }

    /// A token of these claims.
    pub fn mint(&self, claims: &Value) -> String {
        self.current.lock().unwrap().sign(json!({ "typ": "JWT" }), claims).unwrap()
    }

    /// A token of these claims by another key, under the name of this issuer's.
    pub fn forge(&self, claims: &Value) -> String {
        let current = self.current.lock().unwrap();
        let mut other = Key::new(current.algorithm).unwrap();
        other.kid.clone_from(&current.kid);

        other.sign(json!({ "typ": "JWT" }), claims).unwrap()
    }

    /// What GitHub Actions says of a job of this repository (`OWNER/NAME`) on this ref, to this audience. As its
    /// documentation has it ("`OpenID` Connect reference", the token's claims); five minutes long.
    pub fn github(&self, repository: &str, reference: &str, audience: &str) -> Value {
        let owner = repository.split('/').next().unwrap_or_default();
        let workflow = format!("{repository}/.github/workflows/review.yml@{reference}");
        let sha = "94e1f2e6d2b4a4bb0f3f1d6c8f3a5b7c9d0e1f2a";

        self.times(300, json!({
            "sub": format!("repo:{repository}:ref:{reference}"), "aud": audience,
            "repository": repository, "repository_owner": owner, "repository_id": "74", "repository_owner_id": "65",
            "repository_visibility": "private", "ref": reference, "ref_type": "branch", "ref_protected": "true",
            "sha": sha, "workflow": "review", "workflow_ref": workflow, "workflow_sha": sha,
            "job_workflow_ref": workflow, "job_workflow_sha": sha, "event_name": "push", "actor": "octocat",
            "actor_id": "12", "run_id": "4123456789", "run_number": "10", "run_attempt": "1", "head_ref": "",
            "base_ref": "", "runner_environment": "github-hosted",
        }))
    }

    /// What Kubernetes says of a pod of this service account, to this audience: a projected token, an hour long. As
    /// its documentation has it ("Managing Service Accounts", bound tokens).
    pub fn kubernetes(&self, namespace: &str, account: &str, audience: &str) -> Value {
        self.times(3607, json!({
            "sub": format!("system:serviceaccount:{namespace}:{account}"), "aud": [audience],
            "kubernetes.io": {
                "namespace": namespace,
                "node": { "name": "node-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1" },
                "pod": { "name": format!("{account}-7d9c"), "uid": "49b0f1c3-6a4e-4d2b-9a32-0f9fb1d3c6e5" },
                "serviceaccount": { "name": account, "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798" },
                "warnafter": now() + 3000,
            },
        }))
    }

    fn times(&self, life: u64, mut claims: Value) -> Value {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let now = now();
        claims["iss"] = json!(self.issuer);
        claims["iat"] = json!(now);
        claims["nbf"] = json!(now);
        claims["exp"] = json!(now + life);
        claims["jti"] = json!(format!("workload-{now}-{}", NEXT.fetch_add(1, Ordering::Relaxed)));

        claims
    }
}

impl Drop for WorkloadIssuer {
    fn drop(&mut self) {
        if let Some(server) = self.server.lock().unwrap().take() {
            server.abort();
        }
    }
}

async fn serve(listener: TcpListener, issuer: String, shown: Arc<Mutex<Shown>>) {
    // With the set its connections end too.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (issuer, shown) = (issuer.clone(), Arc::clone(&shown));
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer(request.uri().path(), &issuer, &mut shown.lock().unwrap());
            async move { Ok::<_, Infallible>(answer) }
        });
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn answer(path: &str, issuer: &str, shown: &mut Shown) -> Response<Full<Bytes>> {
    shown.asked.push(path.to_owned());
    let (status, body) = match path {
        "/.well-known/openid-configuration" => (
            StatusCode::OK,
            json!({
                "issuer": issuer, "jwks_uri": format!("{issuer}/.well-known/jwks"),
                "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            }),
        ),
        "/.well-known/jwks" => (StatusCode::OK, json!({ "keys": shown.keys })),
        _ => (StatusCode::NOT_FOUND, json!({})),
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);

    response
}
