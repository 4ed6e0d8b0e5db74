//! What the gate judges by: policy, keys and standing. One exchange sees one snapshot from its
//! headers to its end.

use crate::mcp::session::Key;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contract::envelope::{self, EnvelopeError, PinnedKey};
use contract::policy::{Fault, Policy, Tier};
use contract::standing::{Board, StandingError};
use jwt_simple::algorithms::Ed25519PublicKey;
use serde::Deserialize;
use std::rc::Rc;
use thiserror::Error;

/// The policy in force.
#[derive(Debug)]
pub struct Bundle {
    /// Its version.
    pub version: String,
    /// What it says.
    pub policy: Policy,
}

/// The keys that tokens are signed with, and the ways to get one.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    keys: Vec<(String, Ed25519PublicKey)>,
    tiers: Vec<Tier>,
}

impl Keys {
    /// The key of this name.
    pub fn get(&self, key_id: &str) -> Option<&Ed25519PublicKey> {
        self.keys.iter().find(|(name, _)| name == key_id).map(|(_, key)| key)
    }

    /// Can somebody sign in this way at the sidecar?
    pub fn offers(&self, tier: Tier) -> bool {
        self.tiers.contains(&tier)
    }
}

/// What has arrived so far.
#[derive(Debug, Clone, Default)]
pub struct Documents {
    /// The signed policy.
    pub bundle: Option<Rc<Bundle>>,
    /// The token keys.
    pub keys: Option<Rc<Keys>>,
    /// Who was stopped.
    pub board: Option<Rc<Board>>,
}

/// Everything that is needed to judge. Only [`Documents::complete`] makes one.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The policy.
    pub bundle: Rc<Bundle>,
    /// The token keys.
    pub keys: Rc<Keys>,
    /// Who was stopped.
    pub board: Rc<Board>,
}

impl Documents {
    /// The snapshot, once nothing is missing.
    pub fn complete(&self) -> Option<Snapshot> {
        Some(Snapshot {
            bundle: Rc::clone(self.bundle.as_ref()?),
            keys: Rc::clone(self.keys.as_ref()?),
            board: Rc::clone(self.board.as_ref()?),
        })
    }
}

/// Why a document was refused. The one before it stays in force.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// The policy's envelope.
    #[error("policy: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The policy itself.
    #[error("policy: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Policy(Vec<Fault>),
    /// Not JSON of its form.
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
    /// Not a standing, or not one that can be searched.
    #[error(transparent)]
    Standing(#[from] StandingError),
    /// No key in it that could verify a token.
    #[error("keys: none is an Ed25519 key with a name")]
    NoKey,
    /// No key that could seal a session.
    #[error("sessions: the key is none of 32 bytes")]
    NoSessionKey,
}

/// Reads a signed policy.
///
/// # Errors
/// [`DocumentError`] if it is not signed by a pinned key, or has any fault.
pub fn bundle(document: &[u8], pinned: &[PinnedKey]) -> Result<Bundle, DocumentError> {
    let opened = envelope::open(document, envelope::POLICY_TYPE, pinned)?;
    let policy = Policy::parse(opened.payload()).map_err(DocumentError::Policy)?;

    Ok(Bundle { version: opened.version(), policy })
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
    /// Ours (RFC 7517 §5 allows more members): how one can sign in here.
    #[serde(default = "only_pats")]
    tiers: Vec<Tier>,
}

fn only_pats() -> Vec<Tier> {
    vec![Tier::Pat]
}

/// A JSON Web Key (RFC 7517, RFC 8037). Keys of other kinds are passed over.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    kid: String,
    #[serde(default)]
    x: String,
}

/// Reads a JSON Web Key Set.
///
/// # Errors
/// [`DocumentError`] if no key in it is of use.
pub fn keys(document: &[u8]) -> Result<Keys, DocumentError> {
    let Jwks { keys, tiers } = serde_json::from_slice(document)?;
    let keys: Vec<_> = keys
        .into_iter()
        .filter(|key| key.kty == "OKP" && key.crv == "Ed25519" && !key.kid.is_empty())
        .filter_map(|key| {
            let raw = BASE64_URL_SAFE_NO_PAD.decode(&key.x).ok()?;
            let public = Ed25519PublicKey::from_bytes(&raw).ok()?;
            Some((key.kid, public))
        })
        .collect();

    if keys.is_empty() { Err(DocumentError::NoKey) } else { Ok(Keys { keys, tiers }) }
}

/// Reads the key that sessions of MCP servers are sealed with: `{"key": "BASE64URL"}`.
///
/// # Errors
/// [`DocumentError::NoSessionKey`], or [`DocumentError::Malformed`].
pub fn session_key(document: &[u8]) -> Result<Key, DocumentError> {
    #[derive(Deserialize)]
    struct Sealed {
        key: String,
    }
    let Sealed { key } = serde_json::from_slice(document)?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(key).or(Err(DocumentError::NoSessionKey))?;

    Key::new(&bytes).ok_or(DocumentError::NoSessionKey)
}

/// Reads a standing.
///
/// # Errors
/// [`DocumentError::Standing`].
pub fn board(document: &[u8]) -> Result<Board, DocumentError> {
    Ok(Board::read(document.to_vec())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn only_named_ed25519_keys_are_taken() {
        let document = br#"{"keys":[
            {"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"},
            {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            {"kty":"OKP","crv":"Ed25519","kid":"k1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            {"kty":"OKP","crv":"Ed25519","kid":"short","x":"AAAA"}]}"#;

        let keys = keys(document).unwrap();

        assert!(keys.get("k1").is_some());
        assert!(keys.get("short").is_none() && keys.get("r").is_none() && keys.get("").is_none());
    }

    #[test]
    fn a_set_without_a_usable_key_is_refused() {
        assert!(matches!(keys(br#"{"keys":[]}"#), Err(DocumentError::NoKey)));
    }

    #[test]
    fn nothing_is_judged_before_everything_is_there() {
        let mut documents = Documents::default();
        assert!(documents.complete().is_none());

        documents.board = Some(Rc::default());
        documents.keys = Some(Rc::default());

        assert!(documents.complete().is_none(), "the policy is still missing");
    }
}
