//! The manifest: what stands on a laptop, decided and signed where the security team sits.
//!
//! One [`Document`] for each audience says which plugins, skills, agents and MCP servers its people have, and what was
//! revoked. It travels in an [envelope](crate::envelope) of the type [`MANIFEST_TYPE`]; its payload is canonical JSON (RFC 8785),
//! signed by Ed25519 (RFC 8032). A laptop believes the signature, never who served it:
//!
//! 1. [`open`] the envelope with the keys that were pinned when the helper was installed → [`Manifest`];
//! 2. [`Manifest::follows`] what this laptop knew: no older version, no other audience, no second text of a version;
//! 3. fetch each plugin's archive by its SHA-256, take from it the files that the document lists, and compare each.
//!
//! The [`Index`] is signed beside the documents ([`INDEX_TYPE`]): who is of which audience, for the sidecar that chooses.
//!
//! Whoever writes a client of their own finds all of this with examples in `docs/manifest.md`, and the vectors in
//! `contract/data/manifest-vectors.json`.

mod check;
mod document;
mod index;
mod known;
mod names;
mod report;

#[cfg(test)]
mod tests;

use crate::envelope::{self, EnvelopeError, PinnedKey};
use crate::policy::Fault;
use sha2::{Digest, Sha256};
use thiserror::Error;

pub use document::{
    Agent, Archive, Document, File, Installation, Kind, ManagedServer, OnExpiry, Plugin,
    Revocation, SCHEMA, Skill, Transport,
};
pub use index::{Audience, INDEX_SCHEMA, Index};
pub use known::{Freshness, Known, Rejected};
pub use names::{is_hex_digest, name_fault, path_fault};
pub use report::{
    Fetch, LARGEST_REPORT, LAST_SYNC_SCHEMA, LastSync, Standing, Stands, SyncReport, SyncResult,
};

/// `payloadType` of a [`Document`].
pub const MANIFEST_TYPE: &str = "application/vnd.tollgate.manifest.v1+json";

/// `payloadType` of an [`Index`].
pub const INDEX_TYPE: &str = "application/vnd.tollgate.catalogue.v1+json";

/// The whole number that JSON readers agree on up to this (RFC 8785 §3.2.2.3, IEEE 754).
pub const LARGEST_NUMBER: u64 = 9_007_199_254_740_991; // 2^53 - 1

/// Most plugins in a document.
pub const MOST_PLUGINS: usize = 500;

/// Most files of a plugin.
pub const MOST_FILES: usize = 5_000;

/// Most bytes of a plugin, its files together.
pub const LARGEST_PLUGIN: u64 = 200 * 1024 * 1024; // 200 MiB

/// Seconds by which clocks may be apart.
pub const SKEW: u64 = 300;

/// A document that a pinned key has signed, and that has no fault. Only [`open`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    document: Document,
    sha256: String,
    key_id: String,
}

/// Why a document was not believed.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Its envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// It is signed, and is not what it should be.
    #[error("signed, and not usable: {}", list(.0))]
    Faults(Vec<Fault>),
}

impl ManifestError {
    /// A stable word for it, for reports and vectors.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Envelope(EnvelopeError::Malformed(_) | EnvelopeError::Encoding(_)) => "malformed",
            Self::Envelope(EnvelopeError::TooLarge) => "too_large",
            Self::Envelope(EnvelopeError::OtherType) => "other_type",
            Self::Envelope(EnvelopeError::UnknownKey) => "unknown_key",
            Self::Envelope(EnvelopeError::Forged) => "forged",
            Self::Envelope(EnvelopeError::BadKey) => "bad_key",
            Self::Faults(_) => "faults",
        }
    }
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Opens a document, signed by one of the pinned keys.
///
/// # Errors
/// [`ManifestError`]; the document then counts for nothing.
pub fn open(bytes: &[u8], pinned: &[PinnedKey]) -> Result<Manifest, ManifestError> {
    let opened = envelope::open(bytes, MANIFEST_TYPE, pinned)?;
    let document = Document::parse(opened.payload()).map_err(ManifestError::Faults)?;

    Ok(Manifest { document, sha256: sha256(opened.payload()), key_id: opened.key_id().to_owned() })
}

/// Opens an index, signed by one of the pinned keys.
///
/// # Errors
/// [`ManifestError`].
pub fn open_index(bytes: &[u8], pinned: &[PinnedKey]) -> Result<Index, ManifestError> {
    let opened = envelope::open(bytes, INDEX_TYPE, pinned)?;

    Index::parse(opened.payload()).map_err(ManifestError::Faults)
}

/// SHA-256 in lower-case hex, as all digests of a document are written.
pub fn sha256(bytes: &[u8]) -> String {
    envelope::hex(&Sha256::digest(bytes))
}

impl Manifest {
    /// What it says.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// SHA-256 of the signed bytes, hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The pinned key that signed.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }
}
