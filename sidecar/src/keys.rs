//! The keys of this installation.
//!
//! *Signing keys* sign tokens. They stand in `keys/signing/*.key`; the last by name signs, all
//! verify, and one retires ([`retire`]) when the last it signed has expired. With `--token-signer` the one that
//! signs is not here ([`signer`]). A key that appears while `serve` runs is
//! published first and signs a little later, so that no gate meets a token before its key.
//!
//! *The audit key*, `keys/audit/writer.key`, signs the chain of the audit table (`store/writer.rs`).
//!
//! *The policy key* signs policies and belongs to the security team. The sidecar itself only needs
//! its public half, `keys/policy.pub`. *The manifest key* is the same for what stands on laptops, `keys/manifest/`.

use crate::clock;
use crate::counters::Counters;
use crate::document::Document;
use crate::settings::{self, Data, FileError, Fingerprint};
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::envelope::{PinnedKey, hex};
use contract::policy::Tier;
use ed25519_compact::KeyPair;
use jwt_simple::algorithms::{Ed25519KeyPair, Ed25519PublicKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

pub mod command;
mod kept;
mod key;
mod manifest;
pub mod retire;
pub mod signer;

pub use self::kept::Kept;
pub use self::key::SigningKey;
pub use self::manifest::{manifest_key, manifest_pins, new_manifest_key};

/// How often the directory is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How long a new key is published before it signs: gates fetch each second.
const PUBLISHED_FIRST: Duration = Duration::from_secs(5);

/// Why a key cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// Its file.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is none.
    #[error("no signing key in {}: run `tollgate keys init`", .0.display())]
    None(PathBuf),
    /// It is not one.
    #[error("{} is no Ed25519 private key in PEM form", .0.display())]
    Malformed(PathBuf),
    /// It is not a pinned key.
    #[error("{} is no public key file of `tollgate keys init`: {source}", path.display())]
    Pin {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// It is no key of Ed25519.
    #[error("the key of --token-signer-key is no Ed25519 public key")]
    Foreign,
    /// No randomness to make one of.
    #[error("the system gave no random bytes: {0}")]
    Random(getrandom::Error),
}

/// All signing keys, the newest last. Never empty.
#[derive(Debug, Clone)]
pub struct Ring {
    older: Vec<SigningKey>,
    newest: SigningKey,
    tiers: Vec<Tier>,
}

impl Ring {
    /// Reads the directory.
    ///
    /// # Errors
    /// [`KeyError`], also if a single key cannot be read: half a ring would refuse good tokens.
    pub fn read(directory: &Path) -> Result<Self, KeyError> {
        Self::read_with(directory, &[])
    }

    /// Reads the directory; keys that are not in it come behind those that are.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read_with(directory: &Path, elsewhere: &[SigningKey]) -> Result<Self, KeyError> {
        let mut keys = key_files(directory)?
            .iter()
            .map(|path| SigningKey::read(path))
            .collect::<Result<Vec<_>, _>>()?;
        keys.extend_from_slice(elsewhere);
        let newest = keys.pop().ok_or_else(|| KeyError::None(directory.to_owned()))?;

        Ok(Self { older: keys, newest, tiers: vec![Tier::Pat] })
    }

    /// Of a sidecar at which one signs in these ways.
    #[must_use]
    pub fn offering(self, tiers: Vec<Tier>) -> Self {
        Self { tiers, ..self }
    }

    fn keys(&self) -> impl Iterator<Item = &SigningKey> {
        self.older.iter().chain([&self.newest])
    }

    /// The newest key.
    pub fn newest(&self) -> &SigningKey {
        &self.newest
    }

    /// The key set as gates and clients fetch it (RFC 7517 §5, RFC 8037). A member of ours tells gates how
    /// one can sign in here.
    pub fn jwks(&self) -> Document {
        let keys: Vec<Value> = self.keys().map(SigningKey::jwk).collect();
        Document::new(json!({ "keys": keys, "tiers": self.tiers }).to_string())
    }
}

/// The ring in use, and which key of it signs.
#[derive(Debug, Clone)]
pub struct Live {
    /// Signs what is minted now.
    pub signer: Arc<SigningKey>,
    /// What is published.
    pub jwks: Document,
    ring: Arc<Ring>,
}

impl Live {
    /// A ring whose newest key signs.
    pub fn new(ring: Ring) -> Self {
        let signer = Arc::new(ring.newest().clone());

        Self { signer, jwks: ring.jwks(), ring: Arc::new(ring) }
    }

    /// What verifies the tokens of a key.
    pub fn verifier(&self, kid: &str) -> Option<&Ed25519PublicKey> {
        self.ring.keys().find(|key| key.kid == kid).map(SigningKey::public)
    }

    /// This ring, but signed with the key that signed before, if it is still there.
    fn published(ring: Ring, before: &SigningKey) -> Self {
        let signer =
            ring.keys().find(|key| key.kid == before.kid).unwrap_or_else(|| ring.newest()).clone();

        Self { signer: Arc::new(signer), jwks: ring.jwks(), ring: Arc::new(ring) }
    }

    fn settled(&self) -> bool {
        self.signer.kid == self.ring.newest.kid
    }
}

/// Keeps the ring as its directory is. A directory that cannot be used changes nothing.
///
/// `seen` is how it was before it was read: a key added since is not overlooked.
pub async fn watch(
    (directory, elsewhere): (PathBuf, Vec<SigningKey>),
    mut seen: Listing,
    live: watch::Sender<Live>,
    counters: Arc<Counters>,
) {
    loop {
        sleep(LOOK).await;
        let now = listing(&directory);
        if now == seen {
            continue;
        }
        seen = now;
        match Ring::read_with(&directory, &elsewhere) {
            Ok(ring) => change(ring, &live).await,
            Err(error) => {
                counters.keys_refused.one();
                error!(error = %error, "The signing keys changed and cannot be used; the old stay");
            }
        }
    }
}

async fn change(ring: Ring, live: &watch::Sender<Live>) {
    if ring.older.len() > 1 {
        warn!(keys = ring.older.len() + 1, "More than two signing keys are live");
    }
    let ring = ring.offering(live.borrow().ring.tiers.clone());
    live.send_modify(|live| *live = Live::published(ring, &live.signer));
    let settled = live.borrow().settled();
    if !settled {
        sleep(PUBLISHED_FIRST).await;
        live.send_modify(|live| *live = Live::new(Ring::clone(&live.ring)));
    }
    let kid = live.borrow().signer.kid().to_owned();
    info!(key.id = kid, "The signing keys changed");
}

fn key_files(directory: &Path) -> Result<Vec<PathBuf>, KeyError> {
    files(directory, "key")
}

fn files(directory: &Path, kind: &str) -> Result<Vec<PathBuf>, KeyError> {
    let failed = |source| FileError::Read { path: directory.to_owned(), source };
    let mut paths = Vec::new();
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(paths),
        Err(source) => return Err(failed(source).into()),
    };
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == kind) {
            paths.push(path);
        }
    }
    paths.sort();

    Ok(paths)
}

/// What tells the directory's keys from others without reading them.
pub type Listing = Vec<(PathBuf, Option<Fingerprint>)>;

/// How the directory is now.
pub fn listing(directory: &Path) -> Listing {
    key_files(directory)
        .unwrap_or_default()
        .into_iter()
        .map(|path| {
            let print = fs::metadata(&path).ok().map(|metadata| settings::fingerprint(&metadata));
            (path, print)
        })
        .collect()
}

fn key_id(public_key: &[u8]) -> String {
    hex(Sha256::digest(public_key).get(..8).unwrap_or_default())
}

/// Random bytes for keys, tokens and ids.
///
/// # Errors
/// [`KeyError::Random`].
pub fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(KeyError::Random)?;

    Ok(bytes)
}

/// A public key whose policies this installation believes.
///
/// # Errors
/// [`KeyError`].
pub fn pin(path: &Path) -> Result<PinnedKey, KeyError> {
    let text = fs::read_to_string(path)
        .map_err(|source| FileError::Read { path: path.to_owned(), source })?;

    serde_json::from_str(&text).map_err(|source| KeyError::Pin { path: path.to_owned(), source })
}

/// All such keys: `keys/*.pub`, two while the security team changes its key.
///
/// # Errors
/// [`KeyError`].
pub fn pins(data: &Data) -> Result<Vec<PinnedKey>, KeyError> {
    files(&data.keys(), "pub")?.iter().map(|path| pin(path)).collect()
}

/// The public keys whose audit chains are believed: `keys/audit/*.pub`.
///
/// # Errors
/// [`KeyError`].
pub fn audit_pins(data: &Data) -> Result<Vec<PinnedKey>, KeyError> {
    files(&data.audit_keys(), "pub")?.iter().map(|path| pin(path)).collect()
}

/// A key that signs policies, with its name.
///
/// # Errors
/// [`KeyError`].
pub fn policy_key(path: &Path) -> Result<(String, KeyPair), KeyError> {
    let pair = pair(path)?;

    Ok((format!("policy-{}", key_id(pair.pk.as_ref())), pair))
}

/// A private key.
///
/// # Errors
/// [`KeyError`].
pub fn pair(path: &Path) -> Result<KeyPair, KeyError> {
    let pem = settings::read_secret(path)?;
    let malformed = || KeyError::Malformed(path.to_owned());
    let Ok(pair) = Ed25519KeyPair::from_pem(&pem) else { return Err(malformed()) };

    let Ok(pair) = KeyPair::from_slice(&pair.to_bytes()) else { return Err(malformed()) };

    Ok(pair)
}

/// Makes all keys a new installation needs.
///
/// # Errors
/// [`KeyError`]; nothing that is there is overwritten.
pub fn init(data: &Data) -> Result<(), KeyError> {
    settings::directory(&data.signing())?;
    let pem = new_pem()?;
    settings::write_once(&data.policy_key(), pem.as_bytes(), 0o600)?;
    let (key_id, pair) = policy_key(&data.policy_key())?;
    let pin = PinnedKey { key_id, public_key: BASE64_STANDARD.encode(pair.pk.as_ref()) };
    let text = json!({ "key_id": pin.key_id, "public_key": pin.public_key }).to_string() + "\n";
    settings::write_once(&data.policy_pin(), text.as_bytes(), 0o644)?;
    new_manifest_key(data)?;
    add(data)?;

    Ok(())
}

/// Adds a signing key, which then is the newest. Returns its name.
///
/// # Errors
/// [`KeyError`].
pub fn add(data: &Data) -> Result<String, KeyError> {
    let pem = new_pem()?;
    let random = hex(&random::<3>()?);
    let mut path = data.signing().join(format!("{}-{random}.key", clock::compact(clock::now())));
    // The last by name signs: also within a second of the one before, and by a clock that went back.
    if let Some(last) = key_files(&data.signing())?.pop().filter(|last| *last >= path) {
        let stem = last.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        path = data.signing().join(format!("{stem}_{random}.key"));
    }
    settings::write_once(&path, pem.as_bytes(), 0o600)?;

    Ok(SigningKey::read(&path)?.kid)
}

pub(crate) fn new_pem() -> Result<String, KeyError> {
    // The system's generator is asked first: the library's own would panic without it.
    random::<32>()?;

    Ok(Ed25519KeyPair::generate().to_pem())
}

#[cfg(test)]
mod tests;
