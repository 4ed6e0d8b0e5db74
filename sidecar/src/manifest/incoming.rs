//! A publication that comes from elsewhere: its folder as a ZIP file, as it is or in base64, unpacked where it is read,
//! and taken away again.
//!
//! Nothing of it is believed by being here: only file names that a publication has are taken, and what they hold is
//! verified as that of any other folder.

use super::ManifestFailure;
use crate::keys;
use crate::settings::{self, Data, FileError};
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::envelope::hex;
use contract::manifest::{is_hex_digest, name_fault};
use std::fs;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// Most bytes that are unpacked, all files together.
const MOST: u64 = 512 * 1024 * 1024;

/// A folder that ends with this value.
#[derive(Debug)]
pub struct Unpacked(PathBuf);

impl Drop for Unpacked {
    fn drop(&mut self) {
        // Left behind, it is in nobody's way: it has a name of its own.
        drop(fs::remove_dir_all(&self.0));
    }
}

impl Unpacked {
    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// Unpacks.
    ///
    /// # Errors
    /// [`ManifestFailure`].
    pub fn of(bytes: &[u8], data: &Data) -> Result<Self, ManifestFailure> {
        let no = |why: &str| ManifestFailure::Refused(format!("standard input {why}"));
        // What an operator elsewhere sends is text.
        let text: Vec<u8> =
            bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let decoded = BASE64_STANDARD.decode(text).unwrap_or_default();
        let bytes = if decoded.is_empty() { bytes } else { &decoded };
        let Ok(mut zip) = ZipArchive::new(Cursor::new(bytes)) else {
            return Err(no("is no publication: `cd DIR && zip -qr - . | base64`"));
        };
        let name = format!("incoming-{}", hex(&keys::random::<8>()?));
        let place = Self(data.root().join(name));
        settings::directory(&place.0)?;
        let mut left = MOST;
        for index in 0..zip.len() {
            let Ok(file) = zip.by_index(index) else {
                return Err(no("has a file that cannot be read"));
            };
            let Some(path) = file.name().ok().and_then(|name| known(&name)) else { continue };
            let path = place.0.join(path);
            let failed = |source: io::Error| FileError::Write { path: path.clone(), source };
            if let Some(folder) = path.parent() {
                settings::directory(folder)?;
            }
            let mut to = fs::File::create(&path).map_err(failed)?;
            let mut limited = file.take(left.saturating_add(1));
            let wrote = io::copy(&mut limited, &mut to).map_err(failed)?;
            left = left.checked_sub(wrote).ok_or_else(|| no("unpacks to over 512 MiB"))?;
        }

        Ok(place)
    }
}

/// The path of a file that a publication has.
fn known(name: &str) -> Option<PathBuf> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let parts: Vec<&str> = name.split('/').collect();
    let audience = |file: &str| {
        file.strip_suffix(".json").is_some_and(|audience| name_fault(audience).is_none())
    };
    let archive = |file: &str| file.strip_suffix(".zip").is_some_and(is_hex_digest);
    let is_known = match parts.as_slice() {
        ["index.json"] | ["signed", "index.json"] => true,
        ["documents" | "marketplaces", file] | ["signed", "documents", file] => audience(file),
        ["archives", file] => archive(file),
        _ => false,
    };

    is_known.then(|| parts.iter().collect())
}

#[cfg(test)]
mod tests {
    use super::known;

    #[test]
    fn only_what_a_publication_has_is_unpacked() {
        let digest = "a".repeat(64);
        for good in ["index.json", "./signed/documents/all.json", &format!("archives/{digest}.zip")]
        {
            assert!(known(good).is_some(), "{good}");
        }
        for bad in [
            "../index.json",
            "/index.json",
            "documents/../index.json",
            "documents/..json",
            "archives/x.zip",
            "documents/a/b.json",
            "signed/",
        ] {
            assert!(known(bad).is_none(), "{bad}");
        }
    }
}
