//! What the system half keeps where only the system writes: which laptop this is, what it had, the document that stands, the
//! archives of it, and the journal of a switch.

use super::disk::{self, Disk};
use super::trouble::{Trouble, at};
use crate::chance;
use contract::envelope::{LARGEST, PinnedKey};
use contract::manifest::{Known, Revocation};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a second run waits for the first.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// Longest state that is read.
const MOST: u64 = 4 * 1024 * 1024;

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Which laptop: at random, 32 hex digits.
    pub device: String,
    /// Has that just been drawn, and is not written down?
    #[serde(skip)]
    pub drawn: bool,
    /// What was taken last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// The key by which that was believed. What it signed binds as long as it is pinned, and no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PinnedKey>,
    /// When, Unix seconds.
    #[serde(default)]
    pub applied_at: u64,
    /// In whose inbox it lay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<String>,
    /// What a newer document has revoked that expired before it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// Revocations without their document: they hold until one of a later version stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Of this version.
    pub version: u64,
    /// Them.
    pub revocations: Vec<Revocation>,
    /// The key by which they were believed; they go with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PinnedKey>,
}

impl State {
    /// Forgets what a key has said that is pinned no longer: else whoever stole it could sign the highest version once, and
    /// nothing would be taken ever again. `standing` is the key by which the known document is believed now, if one does.
    /// Says whether anything was forgotten.
    pub fn forget(&mut self, pins: &[PinnedKey], standing: Option<&PinnedKey>) -> bool {
        let gone = |key: &Option<PinnedKey>| key.as_ref().is_some_and(|key| !pins.contains(key));
        let mut forgot = false;
        if gone(&self.key) {
            // Signed with both keys, as during a rotation, it goes on to bind.
            self.key = standing.cloned();
            if standing.is_none() {
                self.known = None;
                forgot = true;
            }
        }
        if self.held.as_ref().is_some_and(|held| gone(&held.key)) {
            self.held = None;
            forgot = true;
        }

        forgot
    }
}

/// The folder.
#[derive(Debug)]
pub struct Store<'a> {
    root: PathBuf,
    disk: &'a Disk,
}

impl<'a> Store<'a> {
    /// This folder; it is made where it is missing.
    ///
    /// # Errors
    /// [`Trouble::Disk`].
    pub fn open(root: &Path, disk: &'a Disk) -> Result<Self, Trouble> {
        let store = Self { root: root.to_owned(), disk };
        disk.ensure_folder(root).map_err(at(root))?;
        close(root).map_err(at(root))?;
        disk.ensure_folder(&store.archives()).map_err(at(root))?;

        Ok(store)
    }

    /// One without writing: for a dry run.
    pub fn look(root: &Path, disk: &'a Disk) -> Self {
        Self { root: root.to_owned(), disk }
    }

    /// Waits a little until no other run is at it. The lock ends with the file.
    ///
    /// # Errors
    /// [`Trouble::Busy`].
    pub fn lock(&self) -> Result<File, Trouble> {
        let path = self.root.join("lock");
        let started = Instant::now();
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(at(&path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if started.elapsed() > PATIENCE => {
                    return Err(Trouble::Busy(started.elapsed().as_secs()));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::Error(source)) => return Err(Trouble::Disk { path, source }),
            }
        }
    }

    /// What is known. A file that cannot be understood is none: what stands says it again.
    ///
    /// # Errors
    /// [`Trouble::Disk`].
    pub fn read(&self) -> Result<State, Trouble> {
        let path = self.file();
        let text = disk::read(&path, MOST).map_err(at(&path))?.unwrap_or_default();
        let mut state: State = serde_json::from_slice(&text).unwrap_or_default();
        if state.device.len() != 32
            && let Some(device) = chance::name()
        {
            state.device = device;
            state.drawn = true;
        }

        Ok(state)
    }

    /// Keeps it.
    ///
    /// # Errors
    /// [`Trouble::Disk`].
    pub fn write(&self, state: &State) -> Result<(), Trouble> {
        let text = serde_json::to_vec(state).unwrap_or_default();

        self.disk.replace(&self.file(), &text).map_err(at(&self.file()))
    }

    /// The document that stands, as it was signed: a copy, should the folder's own be gone.
    ///
    /// # Errors
    /// [`Trouble::Disk`].
    pub fn standing(&self) -> Result<Option<Vec<u8>>, Trouble> {
        let path = self.root.join("standing.json");

        disk::read(&path, LARGEST as u64).map_err(at(&path))
    }

    /// Keeps that.
    ///
    /// # Errors
    /// [`Trouble::Disk`].
    pub fn write_standing(&self, envelope: &[u8]) -> Result<(), Trouble> {
        let path = self.root.join("standing.json");

        self.disk.replace(&path, envelope).map_err(at(&path))
    }

    /// Where archives are kept, by their digest.
    pub fn archives(&self) -> PathBuf {
        self.root.join("archives")
    }

    /// The journal of a switch.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal.json")
    }

    fn file(&self) -> PathBuf {
        self.root.join("state.json")
    }
}

#[cfg(unix)]
fn close(root: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o700))
}

/// Windows: `install` closes it.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn close(_root: &Path) -> std::io::Result<()> {
    Ok(())
}
