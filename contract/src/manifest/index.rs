//! The index: the audiences of a catalogue in their order, and who is of them.

use super::check::Faults;
use super::names::is_hex_digest;
use crate::canonical::{self, CanonicalError};
use crate::policy::{Fault, Subject, Who, concerns};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The value of `schema`.
pub const INDEX_SCHEMA: &str = "tollgate.catalogue/v1";

/// The audiences of one publication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Always [`INDEX_SCHEMA`].
    pub schema: String,
    /// The catalogue's name.
    pub catalogue: String,
    /// As in each document.
    pub version: u64,
    /// As in each document.
    pub issued_at: u64,
    /// As in each document.
    pub expires_at: u64,
    /// In their order: of whom several fit, the first counts.
    pub audiences: Vec<Audience>,
}

/// An audience.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audience {
    /// Its name.
    pub name: String,
    /// Who is of it; absent: everyone.
    #[serde(default, skip_serializing_if = "Who::is_everyone")]
    pub who: Who,
    /// And who is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<Who>,
    /// SHA-256 of its document's signed bytes, hex.
    pub document_sha256: String,
    /// SHA-256 of its marketplace document's bytes, hex, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marketplace_sha256: Option<String>,
}

impl Index {
    /// Reads what was signed.
    ///
    /// # Errors
    /// Every fault.
    pub fn parse(payload: &[u8]) -> Result<Self, Vec<Fault>> {
        let index: Self = super::check::read(payload)?;
        let mut faults = Faults::default();
        let Self { schema, catalogue, version, issued_at, expires_at, audiences } = &index;
        if schema != INDEX_SCHEMA {
            faults.add("schema", format!("must be {INDEX_SCHEMA:?}"));
        }
        faults.head(catalogue, *version, (*issued_at, *expires_at));
        let mut names = BTreeSet::new();
        for (place, audience) in audiences.iter().enumerate() {
            let place = |member: &str| format!("audiences[{place}].{member}");
            faults.name(&place("name"), &audience.name, &mut names);
            let digests = [
                ("document_sha256", Some(&audience.document_sha256)),
                ("marketplace_sha256", audience.marketplace_sha256.as_ref()),
            ];
            for (member, digest) in digests {
                if digest.is_some_and(|digest| !is_hex_digest(digest)) {
                    faults.add(place(member), "must be 64 hex digits in lower case");
                }
            }
        }
        if audiences.is_empty() {
            faults.add("audiences", "has none");
        }

        faults.done(index)
    }

    /// The bytes that are signed: canonical JSON.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub fn canonical(&self) -> Result<Vec<u8>, CanonicalError> {
        let text = serde_json::to_vec(self).or(Err(CanonicalError::NotJson))?;

        canonical::write(&text)
    }

    /// The audience of somebody: the first that fits.
    pub fn audience(&self, subject: &Subject<'_>) -> Option<&Audience> {
        self.audiences.iter().find(|it| concerns(&it.who, it.unless.as_ref(), subject))
    }
}
