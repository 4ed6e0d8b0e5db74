//! What goes wrong in a sync, and the stable word for it.

use crate::failure::Failure;
use contract::manifest::{ManifestError, Rejected};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use thiserror::Error;

/// The first second of the year 10000, which no date has.
const FAR: u64 = 253_402_300_800;

/// Why a run of the system half, or a document in it, came to nothing.
#[derive(Debug, Error)]
pub enum Trouble {
    /// Another run is at it.
    #[error("another run has been at it for {0} s")]
    Busy(u64),
    /// The pinned keys.
    #[error("the pinned keys cannot be used: {0}")]
    Pins(String),
    /// The folder of plugins is none.
    #[error("{} is not a folder of its own: {why}", path.display())]
    Mount {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// What lies in an inbox is not what may lie there.
    #[error("{file} of the inbox {inbox} {why}")]
    Inbox {
        /// Whose.
        inbox: String,
        /// Which file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// A document that is not believed.
    #[error(transparent)]
    Document(#[from] ManifestError),
    /// A document that is believed, and not taken.
    #[error("the document {}", rejected(.0))]
    Rejected(#[from] Rejected),
    /// Two documents, and nothing says which.
    #[error(
        "version {version} lies here for {}: pin one of them (`audience` in the machine's configuration)",
        audiences.join(" and for ")
    )]
    Ambiguous {
        /// Of both.
        version: u64,
        /// Whom they are for.
        audiences: Vec<String>,
    },
    /// Nothing here has the archive.
    #[error("the archive of {plugin:?} lies in no inbox")]
    ArchiveMissing {
        /// Of which plugin.
        plugin: String,
    },
    /// An archive, or a file in it, is not what the document says.
    #[error("the archive of {plugin:?}: {why}")]
    ArchiveDiffers {
        /// Of which plugin.
        plugin: String,
        /// What is wrong with it.
        why: String,
    },
    /// The disk.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Trouble {
    /// The stable word, for reports.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy(_) => "busy",
            Self::Pins(_) => "pins",
            Self::Mount { .. } => "mount",
            Self::Inbox { .. } => "inbox",
            Self::Document(error) => error.code(),
            Self::Rejected(rejected) => rejected.code(),
            Self::Ambiguous { .. } => "ambiguous",
            Self::ArchiveMissing { .. } => "archive_missing",
            Self::ArchiveDiffers { .. } => "archive_differs",
            Self::Disk { source, .. } if is_full(source) => "disk_full",
            Self::Disk { source, .. } if is_locked(source) => "locked",
            Self::Disk { .. } => "disk",
        }
    }

    /// As a failure of the program.
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Busy(seconds) => Failure::Busy(seconds),
            other => Failure::Sync { code: other.code().to_owned(), problem: other.to_string() },
        }
    }
}

/// With times as people read them.
fn rejected(why: &Rejected) -> String {
    let told = |seconds: u64| {
        SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(seconds))
            .filter(|_| seconds < FAR)
            .map_or_else(|| seconds.to_string(), httpdate::fmt_http_date)
    };
    match why {
        Rejected::Expired(at) => format!("has expired, {}", told(*at)),
        Rejected::FromTheFuture(at, from_now) => {
            format!("was made {}, {from_now} s from now: a clock is wrong", told(*at))
        }
        other => other.to_string(),
    }
}

/// Is the disk, or this user's share of it, full?
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}

/// Does somebody use the file?
fn is_locked(error: &io::Error) -> bool {
    // ERROR_ACCESS_DENIED of a folder in which a file is open, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION.
    let of_windows = cfg!(windows) && matches!(error.raw_os_error(), Some(5 | 32 | 33));

    of_windows || matches!(error.kind(), ErrorKind::ResourceBusy | ErrorKind::ExecutableFileBusy)
}

/// Names the file that an error is about.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Trouble {
    let path = path.to_owned();

    move |source| Trouble::Disk { path, source }
}
