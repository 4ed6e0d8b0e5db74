//! What the security team has signed: a DSSE envelope (Dead Simple Signing Envelope, v1.0.2) with
//! Ed25519 signatures (RFC 8032).
//!
//! The signature covers the payload *and* its type, so a manifest can never be taken for a policy.
//! The bytes that were signed are the bytes that are parsed: nothing is re-serialised between the
//! two. During a rotation an envelope carries two signatures, or two keys are pinned; one good
//! signature of a pinned key is enough.

use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_compact::{KeyPair, PublicKey, Signature};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// `payloadType` of a policy document.
pub const POLICY_TYPE: &str = "application/vnd.tollgate.policy.v1+json";

/// Largest envelope that is looked at, in bytes.
pub const LARGEST: usize = 4 * 1024 * 1024; // 4 MiB: 10,000 rules are under 2

/// Most signatures of an envelope: each costs a verification.
pub const MOST_SIGNATURES: usize = 16;

/// A signed document as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// The signed bytes, base64.
    pub payload: String,
    /// Who signed.
    pub signatures: Vec<Signed>,
}

/// One signature over an [`Envelope`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// Which key signed. A hint: only pinned keys count.
    pub keyid: String,
    /// The signature, base64.
    pub sig: String,
}

/// A public key that this installation trusts, as it stands in configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedKey {
    /// The key's name.
    pub key_id: String,
    /// The raw 32 bytes, base64.
    pub public_key: String,
}

/// Why an envelope was not accepted.
#[derive(Debug, Error)]
pub enum EnvelopeError {
    /// Not an envelope at all.
    #[error("not a DSSE envelope: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Larger than [`LARGEST`], or with more signatures than [`MOST_SIGNATURES`].
    #[error("larger than {LARGEST} bytes, or with more than {MOST_SIGNATURES} signatures")]
    TooLarge,
    /// It holds something else.
    #[error("the payload is of another type")]
    OtherType,
    /// A member is not base64.
    #[error("a member is not base64: {0}")]
    Encoding(#[from] base64::DecodeError),
    /// No signature is by a pinned key.
    #[error("not signed by a pinned key")]
    UnknownKey,
    /// A pinned key is named, but did not make this signature.
    #[error("the signature does not verify")]
    Forged,
    /// A pinned key is itself unusable.
    #[error("the pinned key is not an Ed25519 public key")]
    BadKey,
}

/// Payload bytes that a pinned key has signed. Only [`open`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    payload: Vec<u8>,
    key_id: String,
}

impl Opened {
    /// The signed bytes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The pinned key that signed.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The version of the document: the first 16 hex digits of the SHA-256 of the signed bytes.
    pub fn version(&self) -> String {
        version(&self.payload)
    }
}

/// The version of a document with these bytes.
pub fn version(payload: &[u8]) -> String {
    hex(Sha256::digest(payload).get(..8).unwrap_or_default())
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0f])
        .filter_map(|nibble| DIGITS.get(usize::from(nibble)))
        .collect()
}

/// The bytes a signature covers (DSSE's pre-authentication encoding): what a signer elsewhere gets.
pub fn covered(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Signs a document.
pub fn seal(payload_type: &str, payload: &[u8], key_id: &str, key: &KeyPair) -> Envelope {
    let signature = key.sk.sign(covered(payload_type, payload), None);

    enclose(payload_type, payload, vec![Signed::new(key_id, signature.as_ref())])
}

/// A document with signatures made elsewhere. Nothing here says that they verify.
pub fn enclose(payload_type: &str, payload: &[u8], signatures: Vec<Signed>) -> Envelope {
    Envelope {
        payload_type: payload_type.to_owned(),
        payload: BASE64_STANDARD.encode(payload),
        signatures,
    }
}

impl Signed {
    /// A signature, by the key of this name.
    pub fn new(key_id: &str, signature: &[u8]) -> Self {
        Self { keyid: key_id.to_owned(), sig: BASE64_STANDARD.encode(signature) }
    }
}

/// Opens an envelope that must hold `payload_type`, signed by one of the pinned keys.
///
/// # Errors
/// [`EnvelopeError`]; the envelope then counts for nothing.
pub fn open(
    envelope: &[u8],
    payload_type: &str,
    pinned: &[PinnedKey],
) -> Result<Opened, EnvelopeError> {
    if envelope.len() > LARGEST {
        return Err(EnvelopeError::TooLarge);
    }
    let envelope: Envelope = serde_json::from_slice(envelope)?;
    if envelope.payload_type != payload_type {
        return Err(EnvelopeError::OtherType);
    }
    if envelope.signatures.len() > MOST_SIGNATURES {
        return Err(EnvelopeError::TooLarge);
    }
    let payload = BASE64_STANDARD.decode(&envelope.payload)?;
    let covered = covered(payload_type, &payload);

    let mut outcome = EnvelopeError::UnknownKey;
    for signed in &envelope.signatures {
        for key in pinned.iter().filter(|key| key.key_id == signed.keyid) {
            match verify(&covered, &signed.sig, key) {
                Ok(()) => return Ok(Opened { payload, key_id: key.key_id.clone() }),
                Err(error) => outcome = error,
            }
        }
    }

    Err(outcome)
}

fn verify(covered: &[u8], signature: &str, key: &PinnedKey) -> Result<(), EnvelopeError> {
    let key = key.decode()?;
    let signature = BASE64_STANDARD.decode(signature)?;
    match Signature::from_slice(&signature).map(|signature| key.verify(covered, &signature)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(EnvelopeError::Forged),
    }
}

impl PinnedKey {
    /// The key itself.
    ///
    /// # Errors
    /// [`EnvelopeError::BadKey`] or [`EnvelopeError::Encoding`].
    pub fn decode(&self) -> Result<PublicKey, EnvelopeError> {
        let bytes = BASE64_STANDARD.decode(&self.public_key)?;
        match PublicKey::from_slice(&bytes) {
            Ok(key) => Ok(key),
            Err(_) => Err(EnvelopeError::BadKey),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_compact::Seed;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn key(seed: u8) -> KeyPair {
        KeyPair::from_seed(Seed::new([seed; 32]))
    }

    fn pinned(name: &str, key: &KeyPair) -> PinnedKey {
        PinnedKey { key_id: name.to_owned(), public_key: BASE64_STANDARD.encode(key.pk.as_ref()) }
    }

    fn wire(envelope: &Envelope) -> Vec<u8> {
        serde_json::to_vec(envelope).unwrap()
    }

    #[test]
    fn what_was_signed_is_what_is_opened() {
        let envelope = wire(&seal(POLICY_TYPE, b"{}", "a", &key(1)));

        let opened = open(&envelope, POLICY_TYPE, &[pinned("a", &key(1))]).unwrap();

        assert_eq!(opened.payload(), b"{}");
        assert_eq!(opened.version(), "44136fa355b3678a", "the first half of SHA-256 of {{}}");
    }

    #[test]
    fn a_changed_payload_a_foreign_key_and_another_type_are_refused() {
        let envelope = seal(POLICY_TYPE, b"{}", "a", &key(1));
        let mut changed = envelope.clone();
        changed.payload = BASE64_STANDARD.encode(b"{ }");

        let keys = [pinned("a", &key(1))];
        assert!(matches!(open(&wire(&changed), POLICY_TYPE, &keys), Err(EnvelopeError::Forged)));
        assert!(matches!(
            open(&wire(&envelope), POLICY_TYPE, &[pinned("a", &key(2))]),
            Err(EnvelopeError::Forged)
        ));
        assert!(matches!(
            open(&wire(&envelope), POLICY_TYPE, &[pinned("b", &key(1))]),
            Err(EnvelopeError::UnknownKey)
        ));
        assert!(matches!(
            open(&wire(&envelope), "application/other", &keys),
            Err(EnvelopeError::OtherType)
        ));
        let none = Envelope { signatures: vec![], ..envelope };
        assert!(matches!(open(&wire(&none), POLICY_TYPE, &keys), Err(EnvelopeError::UnknownKey)));
    }

    #[test]
    fn who_signs_without_end_costs_nothing() {
        let good = seal(POLICY_TYPE, b"{}", "a", &key(1));
        let of = |count: usize| {
            let mut signatures = vec![Signed::new("a", &[0; 64]); count - 1];
            signatures.extend(good.signatures.clone());
            wire(&Envelope { signatures, ..good.clone() })
        };
        let keys = [pinned("a", &key(1))];

        assert!(open(&of(MOST_SIGNATURES), POLICY_TYPE, &keys).is_ok());
        let more = open(&of(MOST_SIGNATURES + 1), POLICY_TYPE, &keys);
        assert!(matches!(more, Err(EnvelopeError::TooLarge)));
    }

    #[test]
    fn one_good_signature_of_two_is_enough_during_a_rotation() {
        let mut envelope = seal(POLICY_TYPE, b"{}", "old", &key(1));
        envelope.signatures.extend(seal(POLICY_TYPE, b"{}", "new", &key(2)).signatures);

        let opened = open(&wire(&envelope), POLICY_TYPE, &[pinned("new", &key(2))]).unwrap();

        assert_eq!(opened.key_id(), "new");
    }
}
