//! Which files a spool is made of: the one that has its name, and those it was rotated to.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Endings of files that were packed away and cannot be read as they are.
const PACKED: [&str; 4] = ["gz", "zst", "xz", "bz2"];

/// A file of the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sibling {
    pub(super) path: PathBuf,
    pub(super) identity: String,
    modified: (i64, i64),
}

/// What stays the same when a file is renamed, and is another for every other file: the inode, and
/// when it was made, since inodes are used again.
pub(super) fn identity(about: &Metadata) -> String {
    let made = about.created().unwrap_or(SystemTime::UNIX_EPOCH).duration_since(UNIX_EPOCH);

    format!("{}:{}", about.ino(), made.unwrap_or_default().as_nanos())
}

/// The spool and what it was rotated to: files of its folder whose names begin with its own.
pub(super) fn all(spool: &Path) -> io::Result<Vec<Sibling>> {
    let name = spool.file_name().unwrap_or_default().as_encoded_bytes();
    let folder = match spool.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut siblings = Vec::new();
    for entry in entries {
        let entry = entry?;
        let packed = Path::new(&entry.file_name())
            .extension()
            .is_some_and(|ending| PACKED.iter().any(|packed| ending == *packed));
        if packed || !entry.file_name().as_encoded_bytes().starts_with(name) {
            continue;
        }
        match entry.metadata() {
            Ok(about) if about.is_file() => {
                let path = if entry.file_name().as_encoded_bytes() == name {
                    spool.to_owned()
                } else {
                    entry.path()
                };
                let modified = (about.mtime(), about.mtime_nsec());
                siblings.push(Sibling { path, identity: identity(&about), modified });
            }
            Ok(_) => {}
            // Rotated away while the folder was read.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }

    Ok(siblings)
}

/// The file written first.
pub(super) fn oldest(siblings: &[Sibling]) -> Option<&Sibling> {
    siblings.iter().min_by_key(|file| file.modified)
}

/// The file written next after the one that was read: rotated ones in between come first. None
/// while the one that was read still has the name, or nothing has it.
pub(super) fn after(siblings: Vec<Sibling>, spool: &Path, read: &str) -> Option<Sibling> {
    let named = siblings.iter().find(|file| file.path == spool)?.clone();
    if named.identity == read {
        return None;
    }
    let last = siblings.iter().find(|file| file.identity == read).map(|file| file.modified);
    let between = siblings
        .into_iter()
        .filter(|file| file.path != spool && file.identity != read)
        .filter(|file| last.is_some_and(|last| file.modified > last))
        .min_by_key(|file| file.modified);

    Some(between.unwrap_or(named))
}
