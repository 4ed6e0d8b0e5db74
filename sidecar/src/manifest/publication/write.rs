//! A publication → its folder.

use super::{Archived, Contents, Envelopes, Publication, broken, read};
use crate::manifest::ManifestFailure;
use crate::settings::{self, FileError};
use contract::manifest::sha256;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What a publication's folder has, and nothing else.
const PARTS: [&str; 5] = ["index.json", "documents", "marketplaces", "archives", "signed"];

impl Contents {
    /// Writes what is to be signed into a folder that is new, empty, or has a publication, which is replaced.
    ///
    /// # Errors
    /// [`ManifestFailure`].
    pub fn write(&self, dir: &Path) -> Result<(), ManifestFailure> {
        let mut kept = BTreeMap::new();
        for (sha, archived) in &self.archives {
            // What lies where room is made is needed still.
            if archived.path().is_some_and(|path| path.starts_with(dir)) {
                kept.insert(sha, archived.bytes()?);
            }
        }
        clear(dir)?;
        for (sha, archived) in &self.archives {
            let path = dir.join("archives").join(format!("{sha}.zip"));
            let bytes = kept.remove(sha).map_or_else(|| archived.bytes(), Ok)?;
            if sha256(&bytes) != *sha {
                return Err(broken(&path, "has not the digest that is its name"));
            }
            put(&path, &bytes)?;
        }
        for (name, bytes) in &self.marketplaces {
            put(&dir.join("marketplaces").join(format!("{name}.json")), bytes)?;
        }
        for (name, document) in &self.documents {
            put(&dir.join("documents").join(format!("{name}.json")), &document.payload)?;
        }
        // The last: a folder with an index is whole.
        put(&dir.join("index.json"), &self.index.payload)?;

        Ok(())
    }

    /// Is what lies beside the envelopes what is in them?
    pub(super) fn is_as_signed(&self, dir: &Path) -> Result<(), ManifestFailure> {
        let documents = self.documents.iter().map(|(name, document)| {
            (dir.join("documents").join(format!("{name}.json")), &document.payload)
        });
        let index = (dir.join("index.json"), &self.index.payload);
        for (path, payload) in documents.chain([index]) {
            if read(&path, super::LARGEST_PART)? != *payload {
                return Err(broken(&path, "is not what was signed: build and sign it again"));
            }
        }

        Ok(())
    }
}

impl Envelopes {
    /// Puts them beside what they hold.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn write(&self, dir: &Path) -> Result<(), FileError> {
        let signed = dir.join("signed");
        for (name, bytes) in &self.documents {
            put(&signed.join("documents").join(format!("{name}.json")), bytes)?;
        }

        put(&signed.join("index.json"), &self.index)
    }

    /// The envelopes that lie in a folder, trusted or not; none if there are none.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn lying_in(dir: &Path, contents: &Contents) -> Result<Option<Self>, FileError> {
        let signed = dir.join("signed");
        let path = signed.join("index.json");
        if !path.exists() {
            return Ok(None);
        }
        let mut envelopes = Self { index: read(&path, super::LARGEST_PART)?, ..Self::default() };
        for name in contents.documents.keys() {
            let path = signed.join("documents").join(format!("{name}.json"));
            envelopes.documents.insert(name.clone(), read(&path, super::LARGEST_PART)?);
        }

        Ok(Some(envelopes))
    }
}

impl Publication {
    /// Writes all of it.
    ///
    /// # Errors
    /// [`ManifestFailure`].
    pub fn write(&self, dir: &Path) -> Result<(), ManifestFailure> {
        self.contents.write(dir)?;
        self.envelopes.write(dir)?;

        Ok(())
    }
}

impl Archived {
    /// Where it lies, if it lies in a file.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Memory(_) => None,
        }
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }

    settings::replace(path, bytes, 0o644)
}

/// Makes room, and never where something else lies.
fn clear(dir: &Path) -> Result<(), ManifestFailure> {
    let failed = |path: PathBuf| |source| FileError::Write { path, source };
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(fs::create_dir_all(dir).map_err(failed(dir.to_owned()))?);
        }
        other => other.map_err(failed(dir.to_owned()))?,
    };
    let mut parts = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed(dir.to_owned()))?;
        if !PARTS.iter().any(|part| entry.file_name() == *part) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let why = format!("has {name:?}: a publication wants a folder of its own");
            return Err(broken(dir, why));
        }
        parts.push(entry.path());
    }
    // The index first: what has none is no publication any more.
    parts.sort_by_key(|path| !path.ends_with("index.json"));
    for path in parts {
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(failed(path))?;
    }

    Ok(())
}
