//! What is published of a catalogue, with its version and time.

use super::Compiled;
use crate::manifest::ManifestFailure;
use crate::manifest::marketplace::Marketplace;
use crate::manifest::publication::{Archived, Contents, Written};
use contract::manifest::{Audience, Document, INDEX_SCHEMA, Index, LARGEST_NUMBER, sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

impl Compiled {
    /// A publication of this version, made at this time, Unix seconds: the same input makes the same bytes.
    ///
    /// # Errors
    /// [`ManifestFailure`].
    pub fn contents(&self, version: u64, at: u64) -> Result<Contents, ManifestFailure> {
        let expires_at = at.saturating_add(self.source.valid_for).min(LARGEST_NUMBER);
        let owner = self.source.owner.as_deref().unwrap_or(&self.source.name);
        let mut audiences = Vec::with_capacity(self.documents.len());
        let mut documents = BTreeMap::new();
        let mut marketplaces = BTreeMap::new();
        for (document, audience) in self.documents.iter().zip(&self.source.audiences) {
            let document = Document { version, issued_at: at, expires_at, ..document.clone() };
            let offered =
                Marketplace::of(&document, (&self.source.gateway, owner), &self.descriptions);
            let offered = offered.canonical()?;
            let document = Written::document(document)?;
            audiences.push(Audience {
                name: audience.name.clone(),
                who: audience.who.clone(),
                unless: audience.unless.clone(),
                document_sha256: document.sha256(),
                marketplace_sha256: Some(sha256(&offered)),
            });
            marketplaces.insert(audience.name.clone(), offered);
            documents.insert(audience.name.clone(), document);
        }
        let index = Written::index(Index {
            schema: INDEX_SCHEMA.to_owned(),
            catalogue: self.source.name.clone(),
            version,
            issued_at: at,
            expires_at,
            audiences,
        })?;
        let named: BTreeSet<&String> = documents
            .values()
            .flat_map(|it: &Written<Document>| &it.says.plugins)
            .map(|it| &it.archive.sha256)
            .collect();
        let archives = self
            .archives
            .iter()
            .filter(|(sha, _)| named.contains(sha))
            .map(|(sha, bytes)| (sha.clone(), Archived::Memory(bytes.clone())))
            .collect();
        let contents = Contents { index, documents, marketplaces, archives };
        contents.check(Path::new("publication"))?;

        Ok(contents)
    }
}
