//! The policy in force: published as a signed envelope, checked here, judged in the gate.
//!
//! The sidecar hands on the very bytes that were signed. A policy it cannot verify is refused and
//! the old one stays; the gate verifies again and believes nobody.
//!
//! What was published stands in the store ([`history`]), which all sidecars of a database share; each
//! follows it ([`live`]) and keeps a copy in its data directory. People write policies in YAML
//! ([`compile`]), try them ([`cases`], [`explain`], [`diff`]) and sign what was made of them ([`signer`]).

use crate::document::Document;
use crate::keys::{self, KeyError};
use crate::settings::{self, Data, FileError, Fingerprint};
use contract::envelope::{self, EnvelopeError, POLICY_TYPE, PinnedKey};
use contract::policy::{Fault, Policy};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

pub mod called;
pub mod cases;
pub mod command;
pub mod compile;
pub mod diff;
pub mod explain;
pub mod history;
pub mod live;
pub mod shape;
pub mod signer;
pub mod verdict;
pub mod walk;
pub mod warnings;
pub mod yaml;

/// Why a policy was refused.
#[derive(Debug, Error)]
pub enum PolicyError {
    /// There is none.
    #[error("no policy is published in {}: run `tollgate policy publish FILE`", .0.display())]
    None(PathBuf),
    /// Its file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its envelope.
    #[error("{}: {source}", path.display())]
    Envelope {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: EnvelopeError,
    },
    /// The document in it.
    #[error("{}: {}", path.display(), listed(faults))]
    Faults {
        /// Which file.
        path: PathBuf,
        /// Every one.
        faults: Vec<Fault>,
    },
}

fn listed(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A policy that was verified and has no faults.
#[derive(Debug, Clone)]
pub struct Published {
    /// As it judges.
    pub policy: Arc<Policy>,
    /// Names these bytes.
    pub version: String,
    /// A name for people.
    pub name: String,
    /// The key that signed.
    pub key_id: String,
    /// The envelope as it was signed.
    pub envelope: Document,
    /// The signed bytes.
    pub payload: Vec<u8>,
}

impl Published {
    /// Reads and checks a signed policy.
    ///
    /// # Errors
    /// [`PolicyError`]: a policy is accepted whole or not at all.
    pub fn read(path: &Path, pins: &[PinnedKey]) -> Result<Self, PolicyError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(PolicyError::None(path.to_owned()));
            }
            Err(source) => return Err(FileError::Read { path: path.to_owned(), source }.into()),
        };

        Self::open(bytes, path, pins)
    }

    /// Checks a signed policy, which came from there.
    ///
    /// # Errors
    /// [`PolicyError`]: a policy is accepted whole or not at all.
    pub fn open(bytes: Vec<u8>, from: &Path, pins: &[PinnedKey]) -> Result<Self, PolicyError> {
        let opened = envelope::open(&bytes, POLICY_TYPE, pins)
            .map_err(|source| PolicyError::Envelope { path: from.to_owned(), source })?;
        let policy = Policy::parse(opened.payload())
            .map_err(|faults| PolicyError::Faults { path: from.to_owned(), faults })?;

        Ok(Self {
            version: opened.version(),
            name: policy.name().to_owned(),
            policy: Arc::new(policy),
            key_id: opened.key_id().to_owned(),
            envelope: Document::new(bytes),
            payload: opened.payload().to_vec(),
        })
    }

    /// The policy of this installation.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn current(data: &Data) -> Result<Self, PolicyError> {
        Self::read(&data.policy(), &keys::pins(data)?)
    }

    /// Puts it into the data directory: what a sidecar starts with.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn keep(&self, data: &Data) -> Result<(), FileError> {
        settings::replace(&data.policy(), self.envelope.body(), 0o644)
    }

    /// The same bytes, signed by the same keys?
    pub fn is(&self, other: &Self) -> bool {
        self.envelope == other.envelope
    }
}

/// A signed policy that could be put in force here.
///
/// # Errors
/// [`PolicyError`].
pub fn signed(data: &Data, from: &Path) -> Result<Published, PolicyError> {
    match Published::read(from, &keys::pins(data)?) {
        Err(PolicyError::None(path)) => {
            let source = std::io::ErrorKind::NotFound.into();
            Err(FileError::Read { path, source }.into())
        }
        other => other,
    }
}

/// Puts a signed policy into the data directory: checked, then renamed into place. The sidecar of the
/// directory takes it from there.
///
/// # Errors
/// [`PolicyError`]; the old one then stays.
pub fn publish(data: &Data, from: &Path) -> Result<Published, PolicyError> {
    let published = signed(data, from)?;
    published.keep(data)?;

    Ok(published)
}

/// What tells this version of the file from the next.
pub fn fingerprint(data: &Data) -> Option<Fingerprint> {
    fs::metadata(data.policy()).ok().map(|metadata| settings::fingerprint(&metadata))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::envelope::seal;

    const GOOD: &[u8] =
        br#"{"schema":"tollgate.policy/v1","name":"acme","rules":[{"id":"all","models":["*"]}]}"#;

    fn installed() -> (tempfile::TempDir, Data, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let data = Data::new(place.path());
        keys::init(&data).unwrap();
        let file = place.path().join("signed.json");
        (place, data, file)
    }

    fn signed(data: &Data, payload: &[u8]) -> Vec<u8> {
        let (key_id, pair) = keys::policy_key(&data.policy_key()).unwrap();
        serde_json::to_vec(&seal(POLICY_TYPE, payload, &key_id, &pair)).unwrap()
    }

    #[test]
    fn what_is_published_is_what_was_signed() {
        let (_place, data, file) = installed();
        fs::write(&file, signed(&data, GOOD)).unwrap();

        publish(&data, &file).unwrap();
        let current = Published::current(&data).unwrap();

        assert_eq!(current.envelope.body(), fs::read(&file).unwrap());
        assert_eq!(current.version, envelope::version(GOOD));
        assert_eq!(current.payload, GOOD);
    }

    #[test]
    fn a_foreign_signature_and_a_faulty_policy_leave_the_old_one_in_force() {
        let (_place, data, file) = installed();
        fs::write(&file, signed(&data, GOOD)).unwrap();
        publish(&data, &file).unwrap();

        let (_other_place, other, _) = installed();
        fs::write(&file, signed(&other, GOOD)).unwrap();
        assert!(matches!(publish(&data, &file), Err(PolicyError::Envelope { .. })));
        fs::write(&file, signed(&data, br#"{"schema":"x","name":"n","rules":[]}"#)).unwrap();
        let faults = publish(&data, &file).unwrap_err().to_string();

        assert!(faults.contains("schema") && faults.contains("rules"), "every fault: {faults}");
        assert_eq!(Published::current(&data).unwrap().version, envelope::version(GOOD));
    }

    #[test]
    fn without_a_policy_the_error_says_what_to_do() {
        let (_place, data, _) = installed();

        let error = Published::current(&data).unwrap_err().to_string();

        assert!(error.contains("tollgate policy publish"), "{error}");
    }
}
