//! What is done to a machine, act by act: so that it can be told before, and printed for another system.

use super::guard;
use crate::failure::Failure;
use crate::sync::disk::{Disk, there};
use crate::sync::places::below;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A folder of this mode, the administrator's.
    Folder {
        /// Which.
        path: PathBuf,
        /// As `chmod` has it.
        mode: u32,
    },
    /// A file that all may read.
    File {
        /// Which.
        path: PathBuf,
        /// What stands in it.
        text: String,
    },
    /// A task of Windows' scheduler, which takes no other encoding than its own: UTF-16.
    Task {
        /// Which file.
        path: PathBuf,
        /// What stands in it.
        text: String,
    },
    /// Made by the administrator, or not there: whoever made it else could change it again, whatever is said of it later.
    Trusted(PathBuf),
    /// Nobody but the system and its administrators may write there, if it is there.
    Closed(PathBuf),
    /// A link.
    Link {
        /// Which.
        path: PathBuf,
        /// Where it points.
        to: String,
    },
    /// Removed, with all in it.
    Remove(PathBuf),
    /// A program of the system's.
    Run {
        /// It and its arguments.
        words: Vec<String>,
        /// Does it matter if it fails?
        may_fail: bool,
    },
}

impl Act {
    pub(in crate::sync) fn file(path: impl Into<PathBuf>, text: String) -> Self {
        Self::File { path: path.into(), text }
    }

    pub(in crate::sync) fn run(words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();

        Self::Run { words, may_fail: false }
    }

    pub(in crate::sync) fn try_run(words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();

        Self::Run { words, may_fail: true }
    }

    /// In a line.
    pub fn told(&self) -> String {
        match self {
            Self::Folder { path, mode } => format!("folder {} ({mode:o})", path.display()),
            Self::File { path, text } => format!("file {} ({} bytes)", path.display(), text.len()),
            Self::Task { path, text } => {
                format!("task {} ({} bytes)", path.display(), utf16(text).len())
            }
            Self::Trusted(path) => format!("refuse {} if others made it", path.display()),
            Self::Closed(path) => format!("refuse {} if others can write it", path.display()),
            Self::Link { path, to } => format!("link {} -> {to}", path.display()),
            Self::Remove(path) => format!("remove {}", path.display()),
            Self::Run { words, .. } => format!("run {}", quoted(words)),
        }
    }

    /// Is it about the machine itself, and not about files below a folder?
    pub fn is_of_the_machine(&self) -> bool {
        matches!(self, Self::Run { .. } | Self::Trusted(_) | Self::Closed(_))
    }

    /// Does it, below `root` if there is one; then no program is run.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn perform(&self, root: Option<&Path>) -> Result<(), Failure> {
        let place = |path: &Path| below(root, &path.to_string_lossy());
        let failed = |path: PathBuf| move |source| Failure::Unwritable { path, source };
        match self {
            Self::Folder { path, mode } => {
                let path = place(path);
                folder(&path, *mode).map_err(failed(path))
            }
            Self::File { path, text } => {
                let path = place(path);
                file(&path, text.as_bytes()).map_err(failed(path))
            }
            Self::Task { path, text } => {
                let path = place(path);
                file(&path, &utf16(text)).map_err(failed(path))
            }
            Self::Trusted(path) => guard::trusted(path),
            Self::Closed(path) => guard::closed(path),
            Self::Link { path, to } => {
                let path = place(path);
                link(&path, to).map_err(failed(path))
            }
            Self::Remove(path) => {
                let path = place(path);
                Disk::default().remove(&path).map_err(failed(path))
            }
            Self::Run { words, may_fail } if root.is_none() => {
                let done = run(words);
                if *may_fail { Ok(()) } else { done }
            }
            Self::Run { .. } => Ok(()),
        }
    }
}

/// All of them, with their texts: for whoever lays them down by other means.
pub fn printed(acts: &[Act]) -> String {
    let mut text = String::new();
    for act in acts {
        let _never = writeln!(text, "# {}", act.told()).is_err();
        if let Act::File { text: file, .. } | Act::Task { text: file, .. } = act {
            let _never = writeln!(text, "{file}").is_err();
        }
    }

    text
}

fn quoted(words: &[String]) -> String {
    let word =
        |word: &String| if word.contains(' ') { format!("\"{word}\"") } else { word.clone() };

    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn run(words: &[String]) -> Result<(), Failure> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let failed = |why: String| Failure::System { words: quoted(words), why };
    let out = Command::new(of_the_system(program))
        .args(arguments)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if out.status.success() {
        return Ok(());
    }

    Err(failed(String::from_utf8_lossy(&out.stderr).trim().to_owned()))
}

/// As the scheduler exports it: with a byte order mark.
fn utf16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());

    units.flat_map(u16::to_le_bytes).collect()
}

#[cfg(windows)]
fn of_the_system(program: &str) -> PathBuf {
    crate::sync::places::system_folder().join(format!("{program}.exe"))
}

#[cfg(not(windows))]
fn of_the_system(program: &str) -> &str {
    program
}

fn folder(path: &Path, wanted: u32) -> io::Result<()> {
    Disk::default().ensure_folder(path)?;
    give_to_the_administrator(path)?;

    set_mode(path, wanted)
}

fn file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let disk = Disk::default();
    if let Some(above) = path.parent() {
        disk.ensure_folder(above)?;
    }

    disk.replace(path, bytes)
}

#[cfg(unix)]
fn link(path: &Path, to: &str) -> io::Result<()> {
    let disk = Disk::default();
    if let Some(above) = path.parent() {
        disk.ensure_folder(above)?;
    }
    if there(path)?.is_some() {
        fs::remove_file(path)?;
    }

    std::os::unix::fs::symlink(to, path)
}

#[cfg(not(unix))]
fn link(path: &Path, _to: &str) -> io::Result<()> {
    // Only units of systemd are linked.
    there(path).map(drop)
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(unix)]
fn give_to_the_administrator(path: &Path) -> io::Result<()> {
    // Whoever is not, lays it down below a folder of their own.
    if rustix::process::geteuid().is_root() {
        return std::os::unix::fs::chown(path, Some(0), Some(0));
    }

    Ok(())
}

#[cfg(not(unix))]
fn set_mode(path: &Path, _mode: u32) -> io::Result<()> {
    fs::metadata(path).map(drop)
}

#[cfg(not(unix))]
fn give_to_the_administrator(path: &Path) -> io::Result<()> {
    fs::metadata(path).map(drop)
}
