//! A publication: the folder in which one version of a catalogue lies, and what it holds.
//!
//! ```text
//! DIR/index.json                      the index, as it is signed
//! DIR/documents/AUDIENCE.json         each document, as it is signed
//! DIR/marketplaces/AUDIENCE.json      marketplace.json of that audience
//! DIR/archives/SHA256.zip             each plugin's files
//! DIR/signed/index.json               the index in its envelope
//! DIR/signed/documents/AUDIENCE.json  each document in its own
//! ```
//!
//! It is believed as a whole or not at all: signatures, the digests that the index has of the documents, one catalogue,
//! one version and one time in all of them, and each archive opened and compared with the files that are listed.

use super::marketplace::Marketplace;
use super::{ManifestFailure, archive};
use crate::settings::FileError;
use contract::envelope::{self, PinnedKey};
use contract::manifest::{
    self, Audience, Document, INDEX_TYPE, Index, LARGEST_PLUGIN, MANIFEST_TYPE, Plugin, sha256,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

mod write;

/// What was said, and the very bytes in which it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<T> {
    /// What it says.
    pub says: T,
    /// Canonical JSON.
    pub payload: Vec<u8>,
}

impl<T> Written<T> {
    /// SHA-256 of the payload, hex.
    pub fn sha256(&self) -> String {
        sha256(&self.payload)
    }
}

impl Written<Index> {
    /// An index, in its one form.
    ///
    /// # Errors
    /// [`ManifestFailure`].
    pub fn index(index: Index) -> Result<Self, ManifestFailure> {
        let payload = index.canonical()?;

        Ok(Self { says: index, payload })
    }
}

impl Written<Document> {
    /// A document, in its one form.
    ///
    /// # Errors
    /// [`ManifestFailure`].
    pub fn document(document: Document) -> Result<Self, ManifestFailure> {
        let payload = document.canonical()?;

        Ok(Self { says: document, payload })
    }
}

/// An archive's bytes, wherever they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Archived {
    /// In a file.
    File(PathBuf),
    /// Here.
    Memory(Vec<u8>),
}

impl Archived {
    /// The bytes.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn bytes(&self) -> Result<Vec<u8>, FileError> {
        match self {
            Self::File(path) => read(path, LARGEST_PLUGIN),
            Self::Memory(bytes) => Ok(bytes.clone()),
        }
    }
}

/// What a publication says. Nothing here tells that anybody signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The audiences, in their order.
    pub index: Written<Index>,
    /// By audience.
    pub documents: BTreeMap<String, Written<Document>>,
    /// By audience, those that have one.
    pub marketplaces: BTreeMap<String, Vec<u8>>,
    /// By SHA-256 of the archive.
    pub archives: BTreeMap<String, Archived>,
}

/// A publication that pinned keys have signed, whole. Only [`Publication::read`] and `Publication::of` make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    contents: Contents,
    envelopes: Envelopes,
    key_ids: BTreeSet<String>,
}

/// The envelopes of a publication, as they were signed and travel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelopes {
    /// The index's.
    pub index: Vec<u8>,
    /// Each document's, by audience.
    pub documents: BTreeMap<String, Vec<u8>>,
}

/// Largest index or marketplace document that is read, in bytes.
const LARGEST_PART: u64 = envelope::LARGEST as u64;

fn read(path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(failed(ErrorKind::FileTooLarge.into()));
    }

    Ok(bytes)
}

fn broken(path: &Path, problem: impl Into<String>) -> ManifestFailure {
    ManifestFailure::Broken { path: path.to_owned(), problem: problem.into() }
}

impl Contents {
    /// Reads a folder that nobody need have signed: at its author's, before signing.
    ///
    /// # Errors
    /// [`ManifestFailure`].
    pub fn read(dir: &Path) -> Result<Self, ManifestFailure> {
        let path = dir.join("index.json");
        if !path.exists() {
            return Err(ManifestFailure::None(dir.to_owned()));
        }
        let payload = read(&path, LARGEST_PART)?;
        let says = Index::parse(&payload)
            .map_err(|faults| ManifestFailure::Faults { path: path.clone(), faults })?;
        let mut documents = BTreeMap::new();
        for audience in &says.audiences {
            let path = dir.join("documents").join(format!("{}.json", audience.name));
            let payload = read(&path, LARGEST_PART)?;
            let says = Document::parse(&payload)
                .map_err(|faults| ManifestFailure::Faults { path: path.clone(), faults })?;
            documents.insert(audience.name.clone(), Written { says, payload });
        }

        let contents = Self::gather(dir, Written { says, payload }, documents)?;
        contents.check(dir)?;

        Ok(contents)
    }

    /// Adds what is not signed by itself: its digest stands in what is.
    fn gather(
        dir: &Path,
        index: Written<Index>,
        documents: BTreeMap<String, Written<Document>>,
    ) -> Result<Self, ManifestFailure> {
        let mut marketplaces = BTreeMap::new();
        for audience in index.says.audiences.iter().filter(|it| it.marketplace_sha256.is_some()) {
            let path = dir.join("marketplaces").join(format!("{}.json", audience.name));
            marketplaces.insert(audience.name.clone(), read(&path, LARGEST_PART)?);
        }
        let path =
            |plugin: &Plugin| dir.join("archives").join(format!("{}.zip", plugin.archive.sha256));
        let archives = documents
            .values()
            .flat_map(|it| &it.says.plugins)
            .map(|plugin| (plugin.archive.sha256.clone(), Archived::File(path(plugin))))
            .collect();

        Ok(Self { index, documents, marketplaces, archives })
    }

    /// Do the parts fit together?
    ///
    /// # Errors
    /// [`ManifestFailure`], with what does not, below `dir`.
    pub fn check(&self, dir: &Path) -> Result<(), ManifestFailure> {
        for audience in &self.index.says.audiences {
            self.audience(dir, audience)?;
        }
        let mut compared = BTreeSet::new();
        for plugin in self.documents.values().flat_map(|it| &it.says.plugins) {
            if compared.insert((&plugin.archive.sha256, &plugin.directory_sha256)) {
                self.archive(dir, plugin)?;
            }
        }

        Ok(())
    }

    fn audience(&self, dir: &Path, audience: &Audience) -> Result<(), ManifestFailure> {
        let index = &self.index.says;
        let path = dir.join("documents").join(format!("{}.json", audience.name));
        let Some(document) = self.documents.get(&audience.name) else {
            return Err(broken(&path, "is not there, and the index names it"));
        };
        let Document { catalogue, audience: name, version, issued_at, expires_at, .. } =
            &document.says;
        if document.sha256() != audience.document_sha256 {
            return Err(broken(&path, "is not the one that the index has the digest of"));
        }
        if *name != audience.name {
            return Err(broken(&path, format!("is for the audience {name:?}")));
        }
        if (catalogue, version, issued_at, expires_at)
            != (&index.catalogue, &index.version, &index.issued_at, &index.expires_at)
        {
            return Err(broken(&path, "is of another catalogue, version or time than the index"));
        }
        let path = dir.join("marketplaces").join(format!("{}.json", audience.name));
        match (&audience.marketplace_sha256, self.marketplaces.get(&audience.name)) {
            (None, None) => Ok(()),
            (Some(digest), Some(bytes)) if sha256(bytes) == *digest => {
                let offered =
                    Marketplace::parse(bytes).map_err(|problem| broken(&path, problem))?;
                if offered.fits(&document.says) {
                    Ok(())
                } else {
                    Err(broken(&path, "offers something else than the document has"))
                }
            }
            _ => Err(broken(&path, "is not the one that the index has the digest of")),
        }
    }

    fn archive(&self, dir: &Path, plugin: &Plugin) -> Result<(), ManifestFailure> {
        let digest = &plugin.archive.sha256;
        let path = dir.join("archives").join(format!("{digest}.zip"));
        let Some(archived) = self.archives.get(digest) else {
            return Err(broken(&path, format!("is not there, and {:?} needs it", plugin.name)));
        };
        let bytes = archived.bytes()?;
        if bytes.len() as u64 != plugin.archive.bytes || sha256(&bytes) != *digest {
            return Err(broken(&path, "has not the digest that is its name"));
        }

        archive::compare(&bytes, &plugin.files).map_err(|problem| broken(&path, problem))
    }
}

impl Publication {
    /// Reads a folder that was signed, and believes nothing of it that no pinned key has signed.
    ///
    /// # Errors
    /// [`ManifestFailure`]: it is taken whole or not at all.
    pub fn read(dir: &Path, pins: &[PinnedKey]) -> Result<Self, ManifestFailure> {
        let signed = dir.join("signed");
        let path = signed.join("index.json");
        if !path.exists() {
            let built = dir.join("index.json").exists();
            let dir = dir.to_owned();
            return Err(if built {
                ManifestFailure::Unsigned(dir)
            } else {
                ManifestFailure::None(dir)
            });
        }
        let index = read(&path, LARGEST_PART)?;
        let says = open_index(&path, &index, pins)?.0.says;
        let mut documents = BTreeMap::new();
        for audience in &says.audiences {
            let path = signed.join("documents").join(format!("{}.json", audience.name));
            documents.insert(audience.name.clone(), read(&path, LARGEST_PART)?);
        }

        Self::of(dir, Envelopes { index, documents }, pins, |index, documents| {
            let contents = Contents::gather(dir, index, documents)?;
            contents.is_as_signed(dir)?;
            Ok(contents)
        })
    }

    /// Of envelopes and of contents that were gathered for what stands in them: from elsewhere than a folder, such as the
    /// store. `from` is named in what is wrong.
    ///
    /// # Errors
    /// [`ManifestFailure`].
    pub fn of(
        from: &Path,
        envelopes: Envelopes,
        pins: &[PinnedKey],
        gather: impl FnOnce(
            Written<Index>,
            BTreeMap<String, Written<Document>>,
        ) -> Result<Contents, ManifestFailure>,
    ) -> Result<Self, ManifestFailure> {
        let signed = from.join("signed");
        let (index, key_id) = open_index(&signed.join("index.json"), &envelopes.index, pins)?;
        let mut key_ids = BTreeSet::from([key_id]);
        let mut documents = BTreeMap::new();
        for audience in &index.says.audiences {
            let path = signed.join("documents").join(format!("{}.json", audience.name));
            let Some(bytes) = envelopes.documents.get(&audience.name) else {
                return Err(broken(&path, "is not there, and the index names it"));
            };
            let (document, key_id) = open_document(&path, bytes, pins)?;
            key_ids.insert(key_id);
            documents.insert(audience.name.clone(), document);
        }
        let contents = gather(index.clone(), documents.clone())?;
        if contents.index != index || contents.documents != documents {
            return Err(broken(from, "is not what was signed"));
        }
        contents.check(from)?;

        Ok(Self { contents, envelopes, key_ids })
    }

    /// What it says.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// As it travels.
    pub fn envelopes(&self) -> &Envelopes {
        &self.envelopes
    }

    /// The pinned keys that signed.
    pub fn key_ids(&self) -> &BTreeSet<String> {
        &self.key_ids
    }

    /// The index.
    pub fn index(&self) -> &Index {
        &self.contents.index.says
    }
}

fn open_index(
    path: &Path,
    bytes: &[u8],
    pins: &[PinnedKey],
) -> Result<(Written<Index>, String), ManifestFailure> {
    let unbelieved = |source| ManifestFailure::Unbelieved { path: path.to_owned(), source };
    let opened =
        envelope::open(bytes, INDEX_TYPE, pins).map_err(|error| unbelieved(error.into()))?;
    let says = Index::parse(opened.payload())
        .map_err(|faults| unbelieved(manifest::ManifestError::Faults(faults)))?;

    Ok((Written { says, payload: opened.payload().to_vec() }, opened.key_id().to_owned()))
}

fn open_document(
    path: &Path,
    bytes: &[u8],
    pins: &[PinnedKey],
) -> Result<(Written<Document>, String), ManifestFailure> {
    let unbelieved = |source| ManifestFailure::Unbelieved { path: path.to_owned(), source };
    let opened =
        envelope::open(bytes, MANIFEST_TYPE, pins).map_err(|error| unbelieved(error.into()))?;
    let says = Document::parse(opened.payload())
        .map_err(|faults| unbelieved(manifest::ManifestError::Faults(faults)))?;

    Ok((Written { says, payload: opened.payload().to_vec() }, opened.key_id().to_owned()))
}
