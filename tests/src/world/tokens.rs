//! Tokens: good ones as the sidecar mints them, and every kind of bad one.

use crate::world::ANN;
use crate::world::processes::Programs;
use anyhow::{Context, Result, anyhow};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ed25519_compact::{KeyPair, Seed};
use jwt_simple::algorithms::Ed25519KeyPair;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Holds the sidecar's signing key.
#[derive(Debug)]
pub struct Minter {
    key: KeyPair,
    kid: String,
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Minter {
    /// Reads the signing key of a data directory.
    pub fn read(programs: &Programs, data: &Path) -> Result<Self> {
        let kid = programs.pins(data)?;
        let kid = kid.pointer("/signing/kid").and_then(Value::as_str);
        let kid = kid.context("`keys show` names no signing key")?.to_owned();
        let mut files: Vec<_> =
            fs::read_dir(data.join("keys/signing"))?.flatten().map(|entry| entry.path()).collect();
        files.sort();
        let file = files.pop().context("no signing key")?;
        let key = Ed25519KeyPair::from_pem(&fs::read_to_string(file)?);
        let key = key.map_err(|error| anyhow!("the signing key: {error}"))?;
        let key = KeyPair::from_slice(&key.to_bytes())?;

        Ok(Self { key, kid })
    }

    /// The same names with another key.
    pub fn forger(&self) -> Self {
        Self { key: KeyPair::from_seed(Seed::new([7; 32])), kid: self.kid.clone() }
    }

    /// The public half, as every client may know it.
    pub fn public(&self) -> Vec<u8> {
        self.key.pk.as_ref().to_vec()
    }

    /// A token, after its header and claims were changed.
    pub fn mint(&self, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let (mut header, mut claims) = self.parts();
        change(&mut header, &mut claims);

        self.sign(&covered(&header, &claims))
    }

    /// Header and claims of a good token for Ann.
    pub fn parts(&self) -> (Value, Value) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let now = now();
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": self.kid });
        let claims = json!({
            "iss": "https://tollgate.localhost", "aud": "tollgate", "sub": "usr_e2e",
            "jti": format!("jti-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            "iat": now, "nbf": now, "exp": now + 3600,
            "tenant_id": "acme", "sid": "session-e2e", "client_id": "tollgate-helper",
            "policy_version": "0000000000000000", "amr": "pat", "credential_id": "pat_e2e",
            "email": ANN, "department": "engineering", "groups": ["engineering"],
        });

        (header, claims)
    }

    /// Puts a signature behind what it covers.
    pub fn sign(&self, covered: &str) -> String {
        let signature = self.key.sk.sign(covered, None);

        format!("{covered}.{}", BASE64.encode(signature.as_ref()))
    }

    /// A token whose signature is an HMAC keyed with the public key (RFC 8725 §2.1).
    pub fn confused(&self) -> String {
        let (mut header, claims) = self.parts();
        header["alg"] = json!("HS256");
        let covered = covered(&header, &claims);
        let signature = hmac_sha256(&self.public(), covered.as_bytes());

        format!("{covered}.{}", BASE64.encode(signature))
    }
}

/// HMAC (RFC 2104) of a key no longer than a block.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message);
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c));

    outer.chain_update(inner.finalize()).finalize().to_vec()
}

/// What a signature covers.
pub fn covered(header: &Value, claims: &Value) -> String {
    format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
}
