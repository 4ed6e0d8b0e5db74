//! What a run leaves to read: `last-sync.json`, and a line for each check in `sync.log.jsonl`.

use super::disk::{self, Disk, there};
use super::places::{LAST_SYNC, LOG, OLD_LOG, RECORDS};
use super::trouble::{Trouble, at};
use contract::manifest::{LastSync, Manifest};
use serde::Serialize;
use std::io;
use std::path::Path;

/// A log of this size is put aside, and the one before it goes.
const LARGEST_LOG: u64 = 1024 * 1024; // 1 MiB: some weeks of a run every quarter of an hour

/// Longest `last-sync.json` that is read.
const LARGEST: u64 = 1024 * 1024;

/// A check and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Check {
    /// When, Unix seconds.
    pub at: u64,
    /// What was looked at: `pins`, `document`, `choice`, `archive`, `tree`, `switch`, `run`.
    pub check: &'static str,
    /// `ok` or `failed`; for `tree` also `changes`, where another document is to stand; for `run` how it ended.
    pub result: &'static str,
    /// The stable word for what was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The same for people, and what was looked at.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Whose inbox it was in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbox: Option<String>,
    /// The document's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// SHA-256 of its signed bytes, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The key that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
}

/// The checks of a run.
#[derive(Debug, Default)]
pub struct Log {
    /// When it began, Unix seconds.
    pub at: u64,
    /// In their order.
    pub checks: Vec<Check>,
}

impl Check {
    /// One that went well.
    pub fn good(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, result: "ok", detail: detail.into(), ..Self::default() }
    }

    /// One that did not.
    pub fn bad(check: &'static str, trouble: &Trouble) -> Self {
        let (code, detail) = (Some(trouble.code()), short(&trouble.to_string()));

        Self { check, result: "failed", code, detail, ..Self::default() }
    }

    /// In this person's inbox.
    #[must_use]
    pub fn of_inbox(self, inbox: &str) -> Self {
        Self { inbox: Some(inbox.to_owned()), ..self }
    }

    /// Of this document.
    #[must_use]
    pub fn of(self, manifest: &Manifest) -> Self {
        Self {
            version: Some(manifest.document().version),
            sha256: Some(manifest.sha256().to_owned()),
            key_id: Some(manifest.key_id().to_owned()),
            ..self
        }
    }
}

impl Log {
    /// One more.
    pub fn add(&mut self, check: Check) {
        self.checks.push(Check { at: self.at, ..check });
    }

    /// Appends it all, to the disk itself.
    ///
    /// # Errors
    /// As the system has them.
    pub fn append(&self, mount: &Path, disk: &Disk) -> io::Result<()> {
        let folder = mount.join(RECORDS);
        let path = folder.join(LOG);
        let mut text = disk::read(&path, LARGEST_LOG.saturating_mul(2))
            .unwrap_or_default()
            .unwrap_or_default();
        if text.len() as u64 > LARGEST_LOG {
            disk.rename(&path, &folder.join(OLD_LOG))?;
            text.clear();
        }
        for check in &self.checks {
            text.extend(serde_json::to_vec(check).unwrap_or_default());
            text.push(b'\n');
        }

        // Whole or not at all: a line that ends in the middle is no evidence.
        disk.replace(&path, &text)
    }
}

/// What somebody else wrote may be long.
pub(super) fn short(text: &str) -> String {
    text.chars().filter(|sign| !sign.is_control()).take(500).collect()
}

/// How the last run went, where that can be read.
pub fn read(path: &Path) -> Option<LastSync> {
    let text = disk::read(path, LARGEST).ok()??;

    serde_json::from_slice(&text).ok()
}

/// Writes `last-sync.json` and the log.
///
/// # Errors
/// [`Trouble::Disk`].
pub fn write(mount: &Path, disk: &Disk, last: &LastSync, log: &Log) -> Result<(), Trouble> {
    let folder = mount.join(RECORDS);
    if there(&folder).map_err(at(&folder))?.is_some_and(|about| !about.is_dir()) {
        disk.remove(&folder).map_err(at(&folder))?;
    }
    disk.ensure_folder(&folder).map_err(at(&folder))?;
    log.append(mount, disk).map_err(at(&folder.join(LOG)))?;
    let mut text = serde_json::to_vec_pretty(last).unwrap_or_default();
    text.push(b'\n');

    disk.replace(&folder.join(LAST_SYNC), &text).map_err(at(&folder.join(LAST_SYNC)))
}
