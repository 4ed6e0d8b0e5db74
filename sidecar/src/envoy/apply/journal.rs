//! The old files, kept until an edit has come to its end: whoever finds them after a crash puts them back.

use crate::envoy::files::{BOOTSTRAP, Set, is_private, read_bounded};
use crate::envoy::plan::Step;
use crate::failure::Failure;
use crate::settings::{self, FileError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Where the old files are meanwhile, closed to others.
const PLACE: &str = ".tollgate-apply";

/// What is written last: without it no file has been touched.
const LIST: &str = "files.json";

/// A file as it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    name: String,
    /// Its copy; none where there was no such file.
    copy: Option<String>,
    mode: u32,
}

/// The files of one edit.
#[derive(Debug)]
pub(super) struct Journal<'d> {
    dir: &'d Path,
    kept: Vec<Kept>,
}

impl<'d> Journal<'d> {
    /// Keeps what the steps will replace.
    pub(super) fn begin(dir: &'d Path, before: &Set, steps: &[Step]) -> Result<Self, Failure> {
        let place = dir.join(PLACE);
        settings::directory(&place)?;
        let names: BTreeSet<&str> = steps.iter().map(|step| step.file.as_str()).collect();
        let mut kept = Vec::new();
        for (index, name) in names.into_iter().enumerate() {
            let old = before.files().get(name);
            let copy = old.map(|_| format!("{index}.old"));
            if let (Some(old), Some(copy)) = (old, &copy) {
                settings::replace(&place.join(copy), &old.bytes, 0o600)?;
            }
            let closed = if is_private(name) { 0o600 } else { 0o644 };
            let mode =
                fs::metadata(dir.join(name)).map_or(closed, |it| it.permissions().mode() & 0o777);
            kept.push(Kept { name: name.to_owned(), copy, mode });
        }
        settings::replace(&place.join(LIST), &serde_json::to_vec(&kept)?, 0o600)?;

        Ok(Self { dir, kept })
    }

    /// Renames a file into place, with the mode and the owner of the one that was there.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let mode = self.kept.iter().find(|kept| kept.name == name).map_or(0o600, |kept| kept.mode);

        rename(self.dir, name, bytes, mode)
            .map_err(|error| format!("{name} cannot be put there: {error}"))
    }

    /// Removes what was not there before.
    pub(super) fn remove_new(&self) {
        for kept in self.kept.iter().filter(|kept| kept.copy.is_none()) {
            drop(fs::remove_file(self.dir.join(&kept.name)));
        }
    }

    /// The edit has come to its end, this or that way.
    pub(super) fn end(&self) {
        forget(self.dir);
    }

    /// Puts back what a process left that was killed; the names.
    pub(super) fn recover(dir: &Path) -> Result<Vec<String>, Failure> {
        let place = dir.join(PLACE);
        let list = match read_bounded(&place.join(LIST)) {
            Ok(list) => list,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(FileError::Read { path: place, source }.into()),
        };
        let kept: Vec<Kept> = serde_json::from_slice(&list)?;
        let failed = |path: PathBuf| |source| Failure::File(FileError::Write { path, source });
        for one in &kept {
            let path = dir.join(&one.name);
            match &one.copy {
                Some(copy) => {
                    let bytes =
                        read_bounded(&place.join(copy)).map_err(failed(place.join(copy)))?;
                    rename(dir, &one.name, &bytes, one.mode).map_err(failed(path))?;
                }
                None => drop(fs::remove_file(path)),
            }
        }
        forget(dir);

        Ok(kept.into_iter().map(|kept| kept.name).collect())
    }
}

fn forget(dir: &Path) {
    let place = dir.join(PLACE);
    // The list first: without it the rest means nothing.
    drop(fs::remove_file(place.join(LIST)));
    drop(fs::remove_dir_all(place));
}

fn rename(dir: &Path, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    let path = dir.join(name);
    // Envoy may be another user than who operates: it reads the new file as it read the old one.
    let owner = fs::metadata(&path).or_else(|_new| fs::metadata(dir.join(BOOTSTRAP)))?;
    let mut beside = path.clone().into_os_string();
    beside.push(".tollgate-new");
    let beside = PathBuf::from(beside);
    drop(fs::remove_file(&beside));
    let written = settings::write_once(&beside, bytes, mode).map_err(io::Error::other);
    let handed = written.and_then(|()| {
        // The mask of the process may have taken something away.
        fs::set_permissions(&beside, fs::Permissions::from_mode(mode))?;
        let now = fs::metadata(&beside)?;
        if (now.uid(), now.gid()) == (owner.uid(), owner.gid()) {
            return Ok(());
        }
        chown(&beside, Some(owner.uid()), Some(owner.gid()))
    });
    let done = handed.and_then(|()| fs::rename(&beside, &path));
    if done.is_err() {
        drop(fs::remove_file(&beside));
    }

    done
}
