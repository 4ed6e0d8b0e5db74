//! Signing a publication, where the key is.

use super::ManifestFailure;
use super::publication::{Contents, Envelopes, Publication};
use crate::policy::signer;
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::envelope::{self, Envelope, PinnedKey, Signed};
use contract::manifest::{INDEX_TYPE, MANIFEST_TYPE};
use ed25519_compact::KeyPair;
use std::fmt;
use std::path::Path;

/// What signs.
pub enum Key {
    /// A key that is here.
    Here {
        /// Its name.
        key_id: String,
        /// The key.
        pair: KeyPair,
    },
    /// A command that has the key, asked once for each document.
    Command {
        /// Of the shell.
        command: String,
        /// With which its signatures have to verify.
        public: PinnedKey,
    },
}

/// A private key is never shown, and a command may hold a PIN.
impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({:?})", self.key_id())
    }
}

impl Key {
    /// Its name.
    pub fn key_id(&self) -> &str {
        match self {
            Self::Here { key_id, .. } => key_id,
            Self::Command { public, .. } => &public.key_id,
        }
    }

    /// Its public half.
    pub fn public(&self) -> PinnedKey {
        match self {
            Self::Here { key_id, pair } => PinnedKey {
                key_id: key_id.clone(),
                public_key: BASE64_STANDARD.encode(pair.pk.as_ref()),
            },
            Self::Command { public, .. } => public.clone(),
        }
    }

    async fn sign(&self, payload_type: &str, payload: &[u8]) -> Result<Signed, ManifestFailure> {
        match self {
            Self::Here { key_id, pair } => {
                let signature = pair.sk.sign(envelope::covered(payload_type, payload), None);
                Ok(Signed::new(key_id, signature.as_ref()))
            }
            Self::Command { command, public } => {
                Ok(signer::sign(command, (payload_type, payload), public).await?)
            }
        }
    }
}

/// Signs the index and each document. Signatures that others have made of the same bytes stay where `before` has them.
///
/// # Errors
/// [`ManifestFailure`].
pub async fn envelopes(
    contents: &Contents,
    key: &Key,
    before: Option<&Envelopes>,
) -> Result<Envelopes, ManifestFailure> {
    let mut envelopes = Envelopes::default();
    for (name, document) in &contents.documents {
        let before = before.and_then(|before| before.documents.get(name));
        let signed = one(key, (MANIFEST_TYPE, &document.payload), before).await?;
        envelopes.documents.insert(name.clone(), signed);
    }
    let before = before.map(|before| &before.index);
    envelopes.index = one(key, (INDEX_TYPE, &contents.index.payload), before).await?;

    Ok(envelopes)
}

/// Signs, and believes what was signed: for who builds, signs and publishes in one act.
///
/// # Errors
/// [`ManifestFailure`].
pub async fn publication(contents: Contents, key: &Key) -> Result<Publication, ManifestFailure> {
    let envelopes = envelopes(&contents, key, None).await?;

    Publication::of(Path::new("publication"), envelopes, &[key.public()], |_, _| Ok(contents))
}

/// One document in its envelope: a line of JSON, so that the same signatures make the same bytes.
async fn one(
    key: &Key,
    (payload_type, payload): (&str, &[u8]),
    before: Option<&Vec<u8>>,
) -> Result<Vec<u8>, ManifestFailure> {
    let mut signatures = match before {
        Some(bytes) => others((payload_type, payload), bytes)?,
        None => Vec::new(),
    };
    signatures.retain(|signed| signed.keyid != key.key_id());
    signatures.push(key.sign(payload_type, payload).await?);
    let mut bytes = serde_json::to_vec(&envelope::enclose(payload_type, payload, signatures))?;
    bytes.push(b'\n');

    Ok(bytes)
}

/// The signatures of an envelope that holds these bytes.
fn others(
    (payload_type, payload): (&str, &[u8]),
    bytes: &[u8],
) -> Result<Vec<Signed>, ManifestFailure> {
    let envelope: Envelope = serde_json::from_slice(bytes)?;
    let same = BASE64_STANDARD.decode(&envelope.payload).is_ok_and(|bytes| bytes == payload);
    if envelope.payload_type != payload_type || !same {
        let why = "what was signed before is something else: sign without --add";
        return Err(ManifestFailure::Refused(why.into()));
    }

    Ok(envelope.signatures)
}
