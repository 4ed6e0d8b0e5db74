//! A plugin's folder → its files.
//!
//! Links are refused, all of them: one that leads out would bring what nobody has looked at, and one that stays inside is a
//! text file in another system's checkout, so that the same commit would make two plugins.

use super::archive::Packed;
use contract::manifest::{LARGEST_PLUGIN, MOST_FILES, path_fault};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// What systems and editors leave behind, which is no part of a plugin.
const LEFT_BEHIND: [&str; 4] = [".DS_Store", "Thumbs.db", "desktop.ini", ".git"];

/// Deepest folders: paths end before.
const DEEPEST: usize = 80;

/// Reads a folder below `root`: its files, sorted by path, and what is wrong with it.
pub(crate) fn read(root: &Path, folder: &str) -> (Vec<Packed>, Vec<String>) {
    let mut reader = Reader::default();
    match inside(root, folder) {
        Ok(path) if path.is_dir() => reader.folder(&path, "", 0),
        Ok(path) if path.exists() => {
            reader.problems.push("is a file, and a folder belongs here".into());
        }
        Ok(_) => reader.problems.push("is not there".into()),
        Err(problem) => reader.problems.push(problem),
    }
    reader.files.sort_by(|one, other| one.path.cmp(&other.path));

    (reader.files, reader.problems)
}

/// Reads a file of text below `root`.
///
/// # Errors
/// What is wrong.
pub(crate) fn text(root: &Path, file: &str) -> Result<String, String> {
    let path = inside(root, file)?;
    let metadata = fs::metadata(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "is not there".to_owned(),
        _ => format!("cannot be read: {error}"),
    })?;
    if !metadata.is_file() {
        return Err("is no file".into());
    }
    if metadata.len() > LARGEST_TEXT {
        return Err(format!("has {} bytes; a text has {LARGEST_TEXT} at most", metadata.len()));
    }
    let bytes = fs::read(&path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|error| format!("is no UTF-8: {error}"))?;

    Ok(text.trim_start_matches('\u{feff}').replace("\r\n", "\n"))
}

/// Longest text of a skill or agent, in bytes: it stands in the document.
const LARGEST_TEXT: u64 = 128 * 1024;

/// A path that stays inside, by its words and by what lies there.
fn inside(root: &Path, path: &str) -> Result<PathBuf, String> {
    let mut at = root.to_owned();
    if path.is_empty() {
        return Err("is empty: name something below the catalogue's folder".into());
    }
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => at.push(part),
            _ => return Err("leads out of the catalogue's folder".into()),
        }
        if at.is_symlink() {
            return Err(format!("{} is a link: put what it leads to in its place", at.display()));
        }
    }

    Ok(at)
}

#[derive(Default)]
struct Reader {
    files: Vec<Packed>,
    problems: Vec<String>,
    bytes: u64,
}

impl Reader {
    fn folder(&mut self, folder: &Path, below: &str, depth: usize) {
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.problems.push(format!("{below} cannot be read: {error}")),
        };
        if depth > DEEPEST {
            return self.problems.push(format!("{below} lies too deep"));
        }
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let Some(name) = entry.file_name().to_str().map(ToOwned::to_owned) else {
                self.problems.push(format!("{below} has a name that is no UTF-8"));
                continue;
            };
            if LEFT_BEHIND.contains(&name.as_str()) {
                continue;
            }
            let inner = if below.is_empty() { name } else { format!("{below}/{name}") };
            match entry.file_type() {
                Ok(kind) if kind.is_symlink() => self.link(&entry.path(), &inner),
                Ok(kind) if kind.is_dir() => {
                    self.folder(&entry.path(), &inner, depth.saturating_add(1));
                }
                Ok(kind) if kind.is_file() => self.file(&entry.path(), inner),
                Ok(_) => self.problems.push(format!("{inner} is neither a file nor a folder")),
                Err(error) => self.problems.push(format!("{inner} cannot be read: {error}")),
            }
        }
    }

    fn link(&mut self, path: &Path, inner: &str) {
        let to = fs::read_link(path).map(|to| to.display().to_string()).unwrap_or_default();
        self.problems.push(format!("{inner} is a link to {to}: put what it leads to in its place"));
    }

    fn file(&mut self, path: &Path, inner: String) {
        if let Some(problem) = path_fault(&inner) {
            return self.problems.push(format!("{inner:?} {problem}"));
        }
        if self.files.len() >= MOST_FILES {
            if self.files.len() == MOST_FILES {
                self.problems.push(format!("has more than {MOST_FILES} files"));
            }
            return;
        }
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return self.problems.push(format!("{inner} cannot be read: {error}")),
        };
        if self.bytes > LARGEST_PLUGIN {
            return; // it is told
        }
        self.bytes = self.bytes.saturating_add(metadata.len());
        if self.bytes > LARGEST_PLUGIN {
            let problem = format!("has over {LARGEST_PLUGIN} bytes, with {inner}");
            return self.problems.push(problem);
        }
        match fs::read(path) {
            Ok(bytes) => self.files.push(Packed {
                path: inner,
                bytes,
                // The owner's bit: the others follow from a umask.
                executable: metadata.permissions().mode() & 0o100 != 0,
            }),
            Err(error) => self.problems.push(format!("{inner} cannot be read: {error}")),
        }
    }
}
