//! Who stores rows: a key, and the name that follows from it.

use crate::keys::{self, KeyError};
use crate::settings::{self, Data};
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::envelope::{self, Envelope, hex};
use ed25519_compact::{KeyPair, PublicKey, Signature};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fmt;

/// Signs the chain of one data directory.
#[derive(Clone)]
pub struct Writer {
    id: String,
    pair: KeyPair,
}

impl fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Writer({})", self.id)
    }
}

impl Writer {
    fn new(pair: KeyPair) -> Self {
        Self { id: name(&pair.pk), pair }
    }

    /// The one of a data directory, made where there is none yet.
    ///
    /// # Errors
    /// [`KeyError`]; a key that others can read is refused.
    pub fn of(data: &Data) -> Result<Self, KeyError> {
        let path = data.audit_key();
        if !path.exists() {
            settings::directory(&data.audit_keys())?;
            let made = settings::write_once(&path, keys::new_pem()?.as_bytes(), 0o600);
            if !path.exists() {
                made?; // else another command was first
            }
        }
        let writer = Self::new(keys::pair(&path)?);
        let pin = data.audit_keys().join(format!("{}.pub", writer.id));
        if !pin.exists() {
            let public = BASE64_STANDARD.encode(writer.pair.pk.as_ref());
            let text = json!({ "key_id": writer.id, "public_key": public }).to_string() + "\n";
            settings::replace(&pin, text.as_bytes(), 0o644)?;
        }

        Ok(writer)
    }

    /// Its name in the table.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Signs a document of its own.
    pub fn seal(&self, payload_type: &str, payload: &[u8]) -> Envelope {
        envelope::seal(payload_type, payload, &self.id, &self.pair)
    }

    /// Signs.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sk.sign(message, None).to_vec()
    }

    /// Is this its signature?
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        verifies(&self.pair.pk, message, signature)
    }
}

/// What a key is called in the table: the first 16 hex digits of its SHA-256.
pub fn name(key: &PublicKey) -> String {
    hex(&Sha256::digest(key.as_slice())).chars().take(16).collect()
}

/// Is this the key's signature?
pub fn verifies(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    Signature::from_slice(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
}
