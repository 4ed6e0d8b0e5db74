//! What a publication changes for people who look: against the one that was in force, and in the pins of marketplaces.
//! Nothing is decided by it.

use super::diff::{self, Change, Side};
use super::publication::{Contents, Publication, Written};
use crate::store::manifests::{ManifestDocument, ManifestVersion};
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::envelope::Envelope;
use contract::manifest::{Document, Index, sha256};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The pin of an audience's marketplace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The audience.
    pub audience: String,
    /// `manifestSha256`.
    pub sha256: String,
    /// Is it another than before?
    pub changed: bool,
}

impl Pin {
    /// As JSON.
    pub fn object(&self) -> Value {
        json!({ "audience": self.audience, "manifestSha256": self.sha256, "changed": self.changed })
    }
}

/// The pins that a publication needs, against those of the documents that were in force.
pub fn pins(publication: &Publication, before: &[ManifestDocument]) -> Vec<Pin> {
    let audiences = publication.index().audiences.iter();

    audiences
        .filter_map(|audience| {
            let pin = audience.marketplace_sha256.clone()?;
            let was = before.iter().find(|it| it.audience == audience.name);
            let was = was.and_then(|it| it.marketplace.as_deref()).map(sha256);
            let changed = was.as_ref() != Some(&pin);
            Some(Pin { audience: audience.name.clone(), sha256: pin, changed })
        })
        .collect()
}

/// What changes; nothing can be said where nothing was in force that can be read.
pub fn of(
    publication: &Publication,
    before: Option<(&ManifestVersion, &[ManifestDocument])>,
) -> Vec<Change> {
    let side = before.and_then(|(version, documents)| side(version, documents));

    side.map_or_else(Vec::new, |side| diff::diff(&side, &Side::of(publication.contents())))
}

fn side(version: &ManifestVersion, documents: &[ManifestDocument]) -> Option<Side> {
    let payload = payload(&version.envelope)?;
    let index: Index = serde_json::from_slice(&payload).ok()?;
    let documents = documents
        .iter()
        .filter_map(|it| {
            Some((it.audience.clone(), Written { says: read(it)?, payload: Vec::new() }))
        })
        .collect();

    Some(Side::of(&Contents {
        index: Written { says: index, payload },
        documents,
        marketplaces: BTreeMap::new(),
        archives: BTreeMap::new(),
    }))
}

/// Whose signatures an envelope has, as it says itself.
pub fn signers(envelope: &[u8]) -> BTreeSet<String> {
    let envelope = serde_json::from_slice::<Envelope>(envelope).ok();

    envelope.into_iter().flat_map(|it| it.signatures).map(|it| it.keyid).collect()
}

/// What a stored document says.
pub fn read(stored: &ManifestDocument) -> Option<Document> {
    serde_json::from_slice(&payload(&stored.envelope)?).ok()
}

fn payload(envelope: &[u8]) -> Option<Vec<u8>> {
    let envelope: Envelope = serde_json::from_slice(envelope).ok()?;

    BASE64_STANDARD.decode(envelope.payload).ok()
}
