//! Where things are, and what `serve` was told.

use crate::envoy::place::EnvoyPlace;
use std::fmt;
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// The data directory and the names in it.
#[derive(Debug, Clone)]
pub struct Data {
    root: PathBuf,
    postgres: Option<Postgres>,
    envoy: Option<EnvoyPlace>,
}

/// Where the Postgres is. The addresses hold passwords: they are never shown.
#[derive(Clone)]
pub struct Postgres {
    /// To write, `postgres://user:password@host/database`.
    pub url: String,
    /// To read, where that is another (a replica).
    pub read_url: Option<String>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Postgres")
    }
}

impl Data {
    /// A data directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), postgres: None, envoy: None }
    }

    /// With the tables in Postgres, where one is given, rather than in a file.
    #[must_use]
    pub fn with_postgres(self, postgres: Option<Postgres>) -> Self {
        Self { postgres, ..self }
    }

    /// The Postgres, if the tables are there.
    pub fn postgres(&self) -> Option<&Postgres> {
        self.postgres.as_ref()
    }

    /// With an Envoy beside it whose files are looked after.
    #[must_use]
    pub fn with_envoy(self, envoy: Option<EnvoyPlace>) -> Self {
        Self { envoy, ..self }
    }

    /// Where Envoy is, if its files are looked after.
    pub fn envoy(&self) -> Option<&EnvoyPlace> {
        self.envoy.as_ref()
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Users, tokens, audit rows, unless they are in Postgres.
    pub fn database(&self) -> PathBuf {
        self.root.join("tollgate.db")
    }

    /// The policy in force, in its signed envelope.
    pub fn policy(&self) -> PathBuf {
        self.root.join("policy.dsse.json")
    }

    /// Holds the keys.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// Holds the keys that sign tokens: the last by name signs.
    pub fn signing(&self) -> PathBuf {
        self.keys().join("signing")
    }

    /// The key that signs policies; belongs elsewhere in production.
    pub fn policy_key(&self) -> PathBuf {
        self.keys().join("policy.key")
    }

    /// The public half of it: whose policies are believed.
    pub fn policy_pin(&self) -> PathBuf {
        self.keys().join("policy.pub")
    }

    /// Holds the key that signs manifests, and the public halves whose manifests are believed. Not beside the policy's:
    /// who decides what stands on laptops need not decide what the gate lets through.
    pub fn manifest_keys(&self) -> PathBuf {
        self.keys().join("manifest")
    }

    /// The key that signs manifests; belongs elsewhere in production.
    pub fn manifest_key(&self) -> PathBuf {
        self.manifest_keys().join("manifest.key")
    }

    /// The public half of it.
    pub fn manifest_pin(&self) -> PathBuf {
        self.manifest_keys().join("manifest.pub")
    }

    /// The key that seals what sign-ins leave with browsers and in the database. The sidecars of one database
    /// share it.
    pub fn session_key(&self) -> PathBuf {
        self.keys().join("session.key")
    }

    /// Holds the key that signs the audit chain, and the public halves that `audit verify` believes.
    /// Not beside the policy's: whose chain is believed may sign no policy.
    pub fn audit_keys(&self) -> PathBuf {
        self.keys().join("audit")
    }

    /// The key that signs the audit chain.
    pub fn audit_key(&self) -> PathBuf {
        self.audit_keys().join("writer.key")
    }

    /// Where the audit chains stood: to be copied off this machine as it grows.
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints.jsonl")
    }

    /// Holds the archives of plugins that are served: copies of the database's.
    pub fn archives(&self) -> PathBuf {
        self.root.join("archives")
    }

    /// The rows that a sink of the SIEM would not take.
    pub fn dead_letters(&self, sink: &str) -> PathBuf {
        self.root.join("siem").join(format!("{sink}.dead.jsonl"))
    }

    /// Where operators of this host ask, unless said otherwise.
    pub fn operator_socket(&self) -> PathBuf {
        self.root.join("operator.sock")
    }

    /// Held while `serve` runs.
    pub fn lock(&self) -> PathBuf {
        self.root.join("serve.lock")
    }

    /// Makes the directory, closed to others, if it is not there.
    ///
    /// # Errors
    /// [`FileError`], if it cannot be made.
    pub fn create(&self) -> Result<(), FileError> {
        directory(&self.root)
    }
}

/// What `serve` was told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the data is.
    pub data: Data,
    /// The listener that Envoy routes sign-in to.
    pub public: SocketAddr,
    /// The listener for the gate itself.
    pub gate: SocketAddr,
    /// The listener for operators.
    pub operators: SocketAddr,
    /// `iss` of the tokens.
    pub issuer: String,
    /// `aud` of the tokens.
    pub audience: String,
    /// How long a token lives.
    pub token_ttl: Duration,
    /// The file Envoy appends its access log to.
    pub spool: PathBuf,
    /// The file that names the sinks of the SIEM.
    pub siem: Option<PathBuf>,
    /// The file that says who may sign in, and how.
    pub identity: Option<PathBuf>,
    /// The file that names the channels in which people are told of requests for approval.
    pub approvals: Option<PathBuf>,
    /// What signs tokens, if not a key of the data directory.
    pub token_signer: Option<TokenSigner>,
    /// Whose tokens of Google are kept fresh.
    pub google: GoogleAccounts,
    /// The operators' socket, if not where it is unless said.
    pub operator_socket: Option<PathBuf>,
    /// Its mode.
    pub operator_socket_mode: u32,
}

/// Service accounts of Google: as many of the one as of the other, in the same order.
#[derive(Debug, Clone, Default)]
pub struct GoogleAccounts {
    /// Their key files.
    pub credentials: Vec<PathBuf>,
    /// The files that Envoy reads their tokens from.
    pub secrets: Vec<PathBuf>,
}

/// A command that signs tokens.
#[derive(Clone)]
pub struct TokenSigner {
    /// The command.
    pub command: String,
    /// The public keys, the one that signs first.
    pub keys: Vec<PathBuf>,
}

/// The command may hold a PIN.
impl fmt::Debug for TokenSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TokenSigner({:?})", self.keys)
    }
}

/// A file or directory that is not as it must be.
#[derive(Debug, Error)]
pub enum FileError {
    /// Could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A secret that is no secret.
    #[error("{} can be read by others (mode {mode:03o}): chmod 600 it", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

/// Makes a directory, and what leads to it, closed to others.
///
/// # Errors
/// [`FileError::Write`].
pub fn directory(path: &Path) -> Result<(), FileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| FileError::Write { path: path.to_owned(), source })
}

/// Reads a file that nobody but its owner may read.
///
/// # Errors
/// [`FileError`]; a file that others can read counts as lost.
pub fn read_secret(path: &Path) -> Result<String, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FileError::Open { path: path.to_owned(), mode });
    }

    fs::read_to_string(path).map_err(failed)
}

/// Replaces a file in one step: a reader sees the old one or the new one, whole.
///
/// # Errors
/// [`FileError::Write`].
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    // Left behind by a process of the same number, as there are in containers.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }

    write_new(&beside, bytes, mode).and_then(|()| fs::rename(&beside, path)).map_err(failed)
}

/// Writes a file that must not be there yet.
///
/// # Errors
/// [`FileError::Write`], also if it is there.
pub fn write_once(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    write_new(path, bytes, mode)
        .map_err(|source| FileError::Write { path: path.to_owned(), source })
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// What tells one version of a file from the next without reading it.
pub type Fingerprint = (u64, u64, i64, i64);

/// Inode, length and time of change, be it of the bytes or of who may read them.
pub fn fingerprint(metadata: &Metadata) -> Fingerprint {
    (metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_others_can_read_is_refused_and_the_error_says_what_to_do() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.key");
        write_once(&path, b"secret", 0o644).unwrap();

        let error = read_secret(&path).unwrap_err().to_string();

        assert!(error.contains("chmod 600") && error.contains("a.key"), "{error}");
        assert!(!error.contains("secret"));
    }

    #[test]
    fn what_a_killed_process_left_behind_is_in_nobody_s_way() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("policy.json");
        let left = path.with_extension(format!("new-{}", std::process::id()));
        fs::write(&left, b"half").unwrap();

        replace(&path, b"whole", 0o600).unwrap();

        assert_eq!(read_secret(&path).unwrap(), "whole");
        assert!(!left.exists());
    }

    #[test]
    fn what_is_written_once_is_not_written_twice() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.key");
        write_once(&path, b"1", 0o600).unwrap();

        assert!(write_once(&path, b"2", 0o600).is_err());
        replace(&path, b"3", 0o600).unwrap();
        assert_eq!(read_secret(&path).unwrap(), "3");
    }
}
