//! The keys of an issuer (RFC 7517): which there are, and what each verifies.
//!
//! The algorithm is the key's, never the token's: a key of RSA verifies RS256 and nothing else, whatever the
//! token's header asks for (RFC 8725 §3.1). `none` and everything with a shared secret is thereby no algorithm.

use super::{Claims, Why, payload};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike, ES256PublicKey, Ed25519PublicKey, EdDSAPublicKeyLike, RS256PublicKey,
    RSAPublicKeyLike,
};
use jwt_simple::claims::NoCustomClaims;
use jwt_simple::common::VerificationOptions;
use jwt_simple::prelude::Duration;
use jwt_simple::token::Token;
use serde::Deserialize;

/// Smallest modulus of RSA, in bytes: 2,048 bits (RFC 7518 §3.3).
const RSA: usize = 256;

/// Most keys of an issuer that are looked at.
const MOST: usize = 64;

#[derive(Debug, Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    crv: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Debug, Clone)]
enum Public {
    Rs256(Box<RS256PublicKey>),
    Es256(ES256PublicKey),
    EdDsa(Ed25519PublicKey),
}

/// A key that verifies.
#[derive(Debug, Clone)]
pub struct Key {
    kid: Option<String>,
    public: Public,
}

/// All of an issuer's.
#[derive(Debug, Clone, Default)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// Reads a key set. What is of another kind than ours is left out (RFC 7517 §5).
    ///
    /// # Errors
    /// What it is instead.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let set: KeySet =
            serde_json::from_slice(bytes).map_err(|error| format!("no key set: {error}"))?;
        let keys: Vec<Key> = set
            .keys
            .into_iter()
            .take(MOST)
            .filter_map(|key| serde_json::from_value(key).ok())
            .filter_map(|key: Jwk| usable(&key))
            .collect();
        if keys.is_empty() {
            return Err("its key set has no key for RS256, ES256 or EdDSA".to_owned());
        }

        Ok(Self(keys))
    }

    /// Is there a key that this token could be of?
    pub fn know(&self, kid: Option<&str>) -> bool {
        self.of(kid).next().is_some()
    }

    fn of(&self, kid: Option<&str>) -> impl Iterator<Item = &Key> {
        let kid = kid.map(ToOwned::to_owned);

        self.0.iter().filter(move |key| kid.is_none() || key.kid.is_none() || key.kid == kid)
    }

    /// What it says, if one of these keys has signed it.
    ///
    /// # Errors
    /// [`Why`].
    pub fn verify(&self, token: &str) -> Result<Claims, Why> {
        let kid = kid(token)?;
        if self.of(kid.as_deref()).any(|key| key.has_signed(token)) {
            return payload(token).ok_or("malformed");
        }

        Err("signature")
    }
}

impl Key {
    /// Only whether: when and for whom it is good is looked at by one clock, elsewhere.
    fn has_signed(&self, token: &str) -> bool {
        let options = VerificationOptions {
            accept_future: true,
            artificial_time: Some(Duration::from_secs(0)), // nothing is over then
            time_tolerance: Some(Duration::from_secs(0)),
            max_validity: None,
            max_token_length: Some(super::LONGEST),
            ..VerificationOptions::default()
        };
        let options = Some(options);
        match &self.public {
            Public::Rs256(key) => key.verify_token::<NoCustomClaims>(token, options).is_ok(),
            Public::Es256(key) => key.verify_token::<NoCustomClaims>(token, options).is_ok(),
            Public::EdDsa(key) => key.verify_token::<NoCustomClaims>(token, options).is_ok(),
        }
    }
}

/// Which key a token says it is of.
///
/// # Errors
/// [`Why`]: it is no token.
pub fn kid(token: &str) -> Result<Option<String>, Why> {
    let metadata = Token::decode_metadata(token).or(Err("malformed"))?;

    Ok(metadata.key_id().map(ToOwned::to_owned))
}

fn usable(key: &Jwk) -> Option<Key> {
    if key.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return None;
    }
    let bytes = |text: &Option<String>| BASE64_URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
    let is = |name: &str| key.alg.as_deref().is_none_or(|alg| alg == name);
    let public = match (&*key.kty, &*key.crv) {
        ("RSA", _) if is("RS256") => {
            let n = bytes(&key.n).filter(|n| n.len() >= RSA)?;
            let key = RS256PublicKey::from_components(&n, &bytes(&key.e)?).ok()?;
            Public::Rs256(Box::new(key))
        }
        ("EC", "P-256") if is("ES256") => {
            let (x, y) = (bytes(&key.x)?, bytes(&key.y)?);
            let fits = x.len() == 32 && y.len() == 32;
            let point: Vec<u8> = [&[4], &*x, &*y].concat();
            Public::Es256(fits.then(|| ES256PublicKey::from_bytes(&point).ok())??)
        }
        ("OKP", "Ed25519") if is("EdDSA") || is("Ed25519") => {
            Public::EdDsa(Ed25519PublicKey::from_bytes(&bytes(&key.x)?).ok()?)
        }
        _ => return None,
    };

    Some(Key { kid: key.kid.clone(), public })
}
