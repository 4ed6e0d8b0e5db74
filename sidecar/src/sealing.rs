//! What only the sidecars of one database can read: sign-ins that wait in a browser's cookie, and the refresh
//! tokens that providers gave.
//!
//! AES-256-GCM with a random nonce each (NIST SP 800-38D §8.2.2). One key seals far fewer than 2³² times. What a
//! text is for is sealed with it, so that none can stand in another's place. The key is `keys/session.key`; the
//! text names it, so that a sidecar with another key says so rather than calling the text damaged.

use crate::keys::{self, KeyError};
use crate::settings::{self, Data, FileError};
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use contract::envelope::hex;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// Bytes of a nonce.
const NONCE: usize = 12;

/// Why there is no key, or nothing sealed.
#[derive(Debug, Error)]
pub enum SealError {
    /// Its file.
    #[error(transparent)]
    File(#[from] FileError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] KeyError),
    /// It is not one.
    #[error("{} must hold 32 bytes in base64url, as `tollgate keys init` makes them", .0.display())]
    Malformed(PathBuf),
    /// The library refused.
    #[error("nothing could be sealed")]
    Seal,
}

/// Why a sealed text cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Another key sealed it.
    #[error("was sealed with another keys/session.key: the sidecars of one database share one")]
    OtherKey,
    /// It was changed, or is for something else.
    #[error("is damaged")]
    Damaged,
}

/// The key.
#[derive(Clone)]
pub struct Sealer {
    name: String,
    cipher: Aes256Gcm,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Sealer({})", self.name)
    }
}

/// Makes the key if there is none.
///
/// # Errors
/// [`SealError`].
pub fn make(data: &Data) -> Result<(), SealError> {
    let path = data.session_key();
    if path.exists() {
        return Ok(());
    }
    settings::directory(&data.keys())?;
    let text = BASE64.encode(keys::random::<32>()?) + "\n";
    match settings::write_once(&path, text.as_bytes(), 0o600) {
        // Somebody else has just made it.
        Err(_) if path.exists() => Ok(()),
        other => Ok(other?),
    }
}

impl Sealer {
    /// Reads the key, and makes it first if there is none.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn of(data: &Data) -> Result<Self, SealError> {
        make(data)?;
        let path = data.session_key();
        let text = settings::read_secret(&path)?;
        let bytes = BASE64.decode(text.trim()).unwrap_or_default();
        match <[u8; 32]>::try_from(bytes) {
            Ok(bytes) => Ok(Self::new(&bytes)),
            Err(_) => Err(SealError::Malformed(path)),
        }
    }

    fn new(bytes: &[u8; 32]) -> Self {
        let name = Sha256::new_with_prefix("tollgate session key").chain_update(bytes).finalize();

        Self {
            name: hex(name.get(..4).unwrap_or_default()),
            cipher: Aes256Gcm::new(&(*bytes).into()),
        }
    }

    /// Seals a text for one purpose.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(&self, purpose: &str, text: &[u8]) -> Result<String, SealError> {
        let nonce = keys::random::<NONCE>()?;
        let payload = Payload { msg: text, aad: purpose.as_bytes() };
        let Ok(sealed) = self.cipher.encrypt(&Nonce::from(nonce), payload) else {
            return Err(SealError::Seal);
        };

        Ok(format!("{}.{}", self.name, BASE64.encode([nonce.as_slice(), &sealed].concat())))
    }

    /// Opens what was sealed for that purpose.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, purpose: &str, sealed: &str) -> Result<Vec<u8>, OpenError> {
        let (name, sealed) = sealed.split_once('.').ok_or(OpenError::Damaged)?;
        let bytes = BASE64.decode(sealed).unwrap_or_default();
        let Some((nonce, sealed)) = bytes.split_first_chunk::<NONCE>() else {
            return Err(OpenError::Damaged);
        };
        if name != self.name {
            return Err(OpenError::OtherKey);
        }
        let payload = Payload { msg: sealed, aad: purpose.as_bytes() };

        self.cipher.decrypt(&Nonce::from(*nonce), payload).or(Err(OpenError::Damaged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_for_no_other_and_not_when_changed() {
        let key = Sealer::new(&[7; 32]);
        let sealed = key.seal("login", b"secret").unwrap();

        assert_eq!(key.open("login", &sealed).unwrap(), b"secret");
        assert!(!sealed.contains("secret"));
        assert_ne!(sealed, key.seal("login", b"secret").unwrap(), "no two are alike");
        assert_eq!(key.open("grant", &sealed), Err(OpenError::Damaged));
        let mut changed = sealed.clone().into_bytes();
        let last = changed.len() - 3;
        changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(key.open("login", &changed), Err(OpenError::Damaged));
        for nonsense in ["", "x", ".", "a.b", "é.é"] {
            assert_eq!(key.open("login", nonsense), Err(OpenError::Damaged), "{nonsense}");
        }
        let other = Sealer::new(&[8; 32]);
        assert_eq!(other.open("login", &sealed), Err(OpenError::OtherKey));
    }

    #[test]
    fn the_key_is_made_once_and_is_its_owner_s_alone() {
        let place = tempfile::tempdir().unwrap();
        let data = Data::new(place.path());
        let sealed = Sealer::of(&data).unwrap().seal("x", b"y").unwrap();

        assert_eq!(Sealer::of(&data).unwrap().open("x", &sealed).unwrap(), b"y");
        let mode = std::fs::metadata(data.session_key()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(data.session_key(), "short").unwrap();
        assert!(Sealer::of(&data).unwrap_err().to_string().contains("32 bytes"));
    }
}
