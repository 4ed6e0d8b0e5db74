//! One signing key: its public half, and what signs with it.

use super::signer::TokenSigner;
use super::{KeyError, key_id};
use crate::settings;
use crate::tokens::MintError;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_compact::PublicKey;
use jwt_simple::algorithms::{Ed25519KeyPair, Ed25519PublicKey, EdDSAKeyPairLike};
use jwt_simple::claims::JWTClaims;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A key that signs tokens.
#[derive(Clone)]
pub struct SigningKey {
    pub(super) kid: String,
    public: Ed25519PublicKey,
    hand: Hand,
}

/// What signs with it.
#[derive(Clone)]
enum Hand {
    Here(Ed25519KeyPair),
    Elsewhere(Arc<TokenSigner>),
    /// Nothing any more.
    Gone,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.kid)
    }
}

impl SigningKey {
    pub(super) fn read(path: &Path) -> Result<Self, KeyError> {
        let pem = settings::read_secret(path)?;
        match Ed25519KeyPair::from_pem(&pem) {
            Ok(pair) => Ok(Self::new(pair)),
            Err(_) => Err(KeyError::Malformed(path.to_owned())),
        }
    }

    /// A key, named by its own public half.
    pub fn new(pair: Ed25519KeyPair) -> Self {
        let kid = key_id(&pair.public_key().to_bytes());

        let (public, hand) = (pair.public_key(), Hand::Here(pair.with_key_id(&kid)));

        Self { kid, public, hand }
    }

    /// A key whose private half is not here.
    pub(super) fn elsewhere(
        key: &PublicKey,
        signer: Option<Arc<TokenSigner>>,
    ) -> Result<Self, KeyError> {
        let public =
            Ed25519PublicKey::from_bytes(key.as_ref()).map_err(|_bad| KeyError::Foreign)?;

        Ok(Self {
            kid: key_id(key.as_ref()),
            public,
            hand: signer.map_or(Hand::Gone, Hand::Elsewhere),
        })
    }

    /// Its name in tokens and key sets.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What its tokens verify with.
    pub fn public(&self) -> &Ed25519PublicKey {
        &self.public
    }

    /// The same as text, as key sets have it.
    pub(super) fn public_text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.public.to_bytes())
    }

    /// Signs a token (RFC 7519 §7.1).
    ///
    /// # Errors
    /// [`MintError`].
    pub async fn sign<C>(&self, claims: JWTClaims<C>) -> Result<String, MintError>
    where
        C: Serialize + DeserializeOwned,
    {
        let signer = match &self.hand {
            Hand::Here(pair) => return Ok(pair.sign(claims)?),
            Hand::Elsewhere(signer) => signer,
            Hand::Gone => return Err(MintError::Gone),
        };
        let head = json!({ "alg": "EdDSA", "typ": "JWT", "kid": self.kid }).to_string();
        let body = serde_json::to_vec(&claims)?;
        let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let input = format!("{}.{}", part(head.as_bytes()), part(&body));
        let signature = signer.sign(input.as_bytes()).await?;

        Ok(format!("{input}.{}", part(&signature)))
    }

    pub(super) fn jwk(&self) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid,
            "x": self.public_text(),
        })
    }
}
