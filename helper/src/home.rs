//! What is kept on this machine: where the gateway is, the personal access token, the last token.
//! One directory, readable by its owner alone; a file that is not is refused, not repaired, since
//! somebody may have read it or put it there.

use crate::context::Deadline;
use crate::failure::Failure;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Names the directory; for tests and unusual installations.
pub const HOME: &str = "TOLLGATE_HELPER_HOME";

/// Longest file that is read.
const LARGEST: u64 = 1024 * 1024; // 1 MiB

/// Between two tries to take the lock.
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// The directory.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// This directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The one of this user: `variable` looks up the environment.
    ///
    /// # Errors
    /// [`Failure::Usage`], if the environment names no place.
    pub fn of_user(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<Self, Failure> {
        if let Some(root) = variable(HOME) {
            return Ok(Self::new(root));
        }
        let place = if cfg!(windows) {
            variable("APPDATA")
        } else if cfg!(target_os = "macos") {
            variable("HOME").map(|home| home.join("Library/Application Support"))
        } else {
            variable("XDG_CONFIG_HOME")
                .filter(|place| place.is_absolute())
                .or_else(|| variable("HOME").map(|home| home.join(".config")))
        };

        place.map(|place| Self::new(place.join("tollgate-helper"))).ok_or_else(|| {
            Failure::Usage(format!("there is no home directory: set {HOME} to a directory"))
        })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file of this name.
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Makes the directory, closed to others.
    ///
    /// # Errors
    /// [`Failure`], also if it is another user's.
    pub fn create(&self) -> Result<(), Failure> {
        let failed = |source| Failure::Unwritable { path: self.root.clone(), source };
        if let Some(above) = self.root.parent() {
            fs::create_dir_all(above).map_err(failed)?;
        }
        match make_directory(&self.root) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(source) => return Err(failed(source)),
        }

        ours(&self.root, &fs::metadata(&self.root).map_err(failed)?)
    }

    /// Reads a file that is its owner's alone; `None` if there is none.
    ///
    /// # Errors
    /// [`Failure`], also if others can read it or it is another's.
    pub fn read(&self, name: &str) -> Result<Option<String>, Failure> {
        let path = self.file(name);
        let failed = |source| Failure::Unreadable { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        // The file that was opened is the file that is judged: no other can be put in between.
        ours(&path, &file.metadata().map_err(failed)?)?;
        ours(&self.root, &fs::metadata(&self.root).map_err(failed)?)?;
        let mut text = String::new();
        file.take(LARGEST).read_to_string(&mut text).map_err(failed)?;

        Ok(Some(text))
    }

    /// Replaces a file in one step, readable by its owner alone from the first byte.
    ///
    /// # Errors
    /// [`Failure::Unwritable`].
    pub fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.file(name);
        let beside = self.file(&format!(".{name}.{}", std::process::id()));
        let written = write_new(&beside, text).and_then(|()| fs::rename(&beside, &path));

        written.map_err(|source| {
            // It may hold a secret, and nobody would look for it.
            let _left = fs::remove_file(&beside).is_err();
            Failure::Unwritable { path, source }
        })
    }

    /// Waits until no other process of ours is getting a token. The lock ends with the file.
    ///
    /// # Errors
    /// [`Failure::Busy`] when it is still taken at the deadline.
    pub fn lock(&self, deadline: Deadline) -> Result<File, Failure> {
        let failed = |source| Failure::Unwritable { path: self.root.clone(), source };
        let started = Instant::now();
        let file = self.lockable().map_err(failed)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if deadline.left().is_zero() => {
                    return Err(Failure::Busy(started.elapsed().as_secs()));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }

    /// The directory itself: a file for it would stay behind.
    #[cfg(unix)]
    fn lockable(&self) -> io::Result<File> {
        File::open(&self.root)
    }

    #[cfg(not(unix))]
    fn lockable(&self) -> io::Result<File> {
        File::options().create(true).truncate(false).write(true).open(self.file("lock"))
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// [`Failure::Unwritable`].
    pub fn remove(&self, name: &str) -> Result<(), Failure> {
        match fs::remove_file(self.file(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Failure::Unwritable { path: self.file(name), source: error })
            }
            _ => Ok(()),
        }
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    // Left behind by a run that was killed.
    if let Err(error) = fs::remove_file(path)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(unix)]
fn make_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

#[cfg(unix)]
fn ours(path: &Path, about: &fs::Metadata) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt;

    let exposed = |why| Err(Failure::Exposed { path: path.to_owned(), why });
    if about.uid() != rustix::process::geteuid().as_raw() {
        return exposed("another user owns it");
    }
    if about.mode() & 0o077 != 0 {
        return exposed("others can reach it");
    }

    Ok(())
}

/// Whether nobody but the administrator, or the user, can have written a file that all may read.
///
/// # Errors
/// [`Failure::Exposed`].
#[cfg(unix)]
pub fn administered(path: &Path, about: &fs::Metadata) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt;

    let exposed = |why| Err(Failure::Exposed { path: path.to_owned(), why });
    if about.uid() != 0 && about.uid() != rustix::process::geteuid().as_raw() {
        return exposed("neither the administrator nor you own it");
    }
    if about.mode() & 0o022 != 0 {
        return exposed("others can write it");
    }

    Ok(())
}

/// Its folder is the administrator's by inheritance.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn administered(_path: &Path, _about: &fs::Metadata) -> Result<(), Failure> {
    Ok(())
}

/// A private key's file: its owner's alone.
///
/// # Errors
/// [`Failure`], also if others can read it.
pub fn read_private(path: &Path) -> Result<String, Failure> {
    let failed = |source| Failure::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    ours(path, &file.metadata().map_err(failed)?)?;
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).map_err(failed)?;

    Ok(text)
}

/// The profile's directory is its owner's by inheritance.
#[cfg(not(unix))]
fn ours(_path: &Path, _about: &fs::Metadata) -> Result<(), Failure> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_where() {
        let home = if cfg!(windows) { "APPDATA" } else { "HOME" };
        let set = |name: &str| (name == home).then(|| PathBuf::from("/home/ann"));
        let named = |name: &str| (name == HOME).then(|| PathBuf::from("/elsewhere"));

        assert!(Home::of_user(set).unwrap().root().starts_with("/home/ann"));
        assert_eq!(Home::of_user(named).unwrap().root(), Path::new("/elsewhere"));
        assert!(Home::of_user(|_| None).is_err());
    }
}
