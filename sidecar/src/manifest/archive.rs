//! A plugin's files ↔ one ZIP file.
//!
//! The same files make the same bytes: entries in the order of their paths, one time, one of two modes, no more than that.
//! Only another compressor makes other bytes, and then the archive is another but the files, and what is signed of them,
//! are not.

use contract::manifest::{File, LARGEST_PLUGIN, MOST_FILES, sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read, Write};
use zip::read::ZipArchive;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime};

const PLAIN: u32 = 0o644;
const EXECUTABLE: u32 = 0o755;

/// A file with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Below the plugin's folder, parts separated by `/`.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// May it be run?
    pub executable: bool,
}

impl Packed {
    /// A file that nobody runs.
    pub fn text(path: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), bytes: text.into(), executable: false }
    }

    /// As a document lists it.
    pub fn listed(&self) -> File {
        File {
            path: self.path.clone(),
            sha256: sha256(&self.bytes),
            bytes: self.bytes.len() as u64,
            executable: self.executable,
        }
    }
}

/// Packs files, which are sorted by path.
///
/// # Errors
/// What the archiver says.
pub fn pack(files: &[Packed]) -> Result<Vec<u8>, String> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for Packed { path, bytes, executable } in files {
        let mode = if *executable { EXECUTABLE } else { PLAIN };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(9))
            .last_modified_time(DateTime::DEFAULT)
            .unix_permissions(mode);
        writer.start_file(path.as_str(), options).map_err(|error| error.to_string())?;
        writer.write_all(bytes).map_err(|error| error.to_string())?;
    }
    let bytes = writer.finish().map_err(|error| error.to_string())?.into_inner();

    Ok(bytes)
}

/// Compares an archive with the list of its files: those, each as it is listed, and nothing else.
///
/// # Errors
/// What is wrong.
pub fn compare(archive: &[u8], files: &[File]) -> Result<(), String> {
    open(archive, files, |_, _| ()).map(drop)
}

/// The files of an archive, each as it is listed.
///
/// # Errors
/// As [`compare`].
pub fn unpack(archive: &[u8], files: &[File]) -> Result<Vec<Packed>, String> {
    open(archive, files, |file, bytes| Packed {
        path: file.path.clone(),
        bytes,
        executable: file.executable,
    })
}

fn open<T>(
    archive: &[u8],
    files: &[File],
    mut take: impl FnMut(&File, Vec<u8>) -> T,
) -> Result<Vec<T>, String> {
    let mut zip = ZipArchive::new(Cursor::new(archive)).map_err(|error| error.to_string())?;
    if zip.len() > MOST_FILES {
        return Err(format!("has more than {MOST_FILES} entries"));
    }
    let mut taken = Vec::with_capacity(files.len());
    let by_path: BTreeMap<&str, &File> = files.iter().map(|it| (it.path.as_str(), it)).collect();
    let mut seen = BTreeSet::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(|error| error.to_string())?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let Some(file) = by_path.get(name.as_str()).copied() else {
            return Err(format!("has {name:?}, which is not listed"));
        };
        if !seen.insert(name.clone()) {
            return Err(format!("has {name:?} twice"));
        }
        let mode = entry.unix_mode().unwrap_or(PLAIN);
        if !entry.is_file() || entry.is_symlink() {
            return Err(format!("{name:?} is no plain file"));
        }
        if (mode & 0o111 != 0) != file.executable {
            return Err(format!("{name:?} has another mode than listed"));
        }
        let mut bytes = Vec::new();
        let most = file.bytes.min(LARGEST_PLUGIN).saturating_add(1);
        let read = entry.by_ref().take(most).read_to_end(&mut bytes);
        read.map_err(|error| format!("{name:?}: {error}"))?;
        if bytes.len() as u64 != file.bytes || sha256(&bytes) != file.sha256 {
            return Err(format!("{name:?} is not as listed"));
        }
        taken.push(take(file, bytes));
    }
    match files.iter().find(|file| !seen.contains(&file.path)) {
        Some(file) => Err(format!("has no {:?}", file.path)),
        None => Ok(taken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, prelude::BASE64_STANDARD};

    fn files() -> Vec<Packed> {
        let run = Packed { executable: true, ..Packed::text("hooks/run.sh", "#!/bin/sh\n") };
        vec![Packed::text("a.md", "a".repeat(10_000)), run]
    }

    fn listed(files: &[Packed]) -> Vec<File> {
        files.iter().map(Packed::listed).collect()
    }

    #[test]
    fn what_is_packed_is_what_comes_out() {
        let files = files();
        let archive = pack(&files).unwrap();

        assert!(archive.len() < 1_000, "it is compressed");
        assert_eq!(unpack(&archive, &listed(&files)).unwrap(), files);
        assert_eq!(pack(&files).unwrap(), archive);
    }

    #[test]
    fn an_archive_with_anything_else_is_refused() {
        let files = files();
        let list = listed(&files);
        let told = |change: &dyn Fn(&mut Vec<Packed>)| {
            let mut files = files.clone();
            change(&mut files);
            compare(&pack(&files).unwrap(), &list).unwrap_err()
        };

        assert!(told(&|it| it.push(Packed::text("z", "z"))).contains("not listed"));
        assert!(told(&|it| it.push(Packed::text("../z", "z"))).contains("not listed"));
        assert!(told(&|it| it[0].bytes[0] = b'b').contains("not as listed"));
        assert!(told(&|it| it[0].bytes.push(b'a')).contains("not as listed"));
        assert!(told(&|it| it[0].executable = true).contains("another mode"));
        assert!(told(&|it| drop(it.pop())).contains("has no"));
        assert!(compare(b"PK", &list).is_err());
    }

    /// The published vectors: another program's archives.
    #[test]
    fn archives_are_read_as_published() {
        let text = include_str!("../../../contract/data/manifest-vectors.json");
        let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
        for one in vectors["archives"].as_array().unwrap() {
            let bytes = BASE64_STANDARD.decode(one["zip"].as_str().unwrap()).unwrap();
            let files: Vec<File> = serde_json::from_value(one["files"].clone()).unwrap();
            let result = if sha256(&bytes) != one["archive"]["sha256"] {
                "other_archive"
            } else if compare(&bytes, &files).is_err() {
                "other_files"
            } else {
                "ok"
            };
            assert_eq!(result, one["result"], "{}", one["name"]);
        }
    }

    #[test]
    fn a_link_in_an_archive_is_no_file() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_symlink("a.md", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        let archive = writer.finish().unwrap().into_inner();
        let list = [Packed::text("a.md", "/etc/passwd").listed()];

        assert!(compare(&archive, &list).unwrap_err().contains("no plain file"));
    }
}
