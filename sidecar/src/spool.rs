//! The spool: the file Envoy appends every finished exchange to. The sure way of a record.
//!
//! How far it was read is stored in the transaction that stores the rows, so whatever dies, each
//! line is read again or not at all. The file may be rotated or truncated under us: rotation shows
//! as another inode behind the name (the old file is first read to its end, even if that happened
//! while we were away), truncation as a file shorter than what was read of it.

use crate::counters::Counters;
use crate::store::{Mark, Store, StoreError};
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

use lines::Batch;

mod lines;

/// How often the file is looked at. Envoy flushes it each 100 ms.
const LOOK: Duration = Duration::from_millis(100);

/// How much is read at once.
const CHUNK: usize = 1024 * 1024; // 1 MiB

/// How long to pause when the file or the database refuses.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a step of reading failed.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// The file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads one spool.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    name: String,
    store: Store,
    counters: Arc<Counters>,
    open: Option<File>,
    mark: Mark,
}

impl Spool {
    /// A spool, read from where the store says it was left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn resume(
        path: &Path,
        store: Store,
        counters: Arc<Counters>,
    ) -> Result<Self, StoreError> {
        let name = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let name = name.display().to_string();
        let mark = store.mark(&name).await?.unwrap_or_default();
        counters.spool_offset.set(mark.position);

        Ok(Self { path: path.to_owned(), name, store, counters, open: None, mark })
    }

    /// Reads until told to stop, then once more to the end.
    pub async fn follow(mut self, mut draining: watch::Receiver<bool>) {
        let mut failing = false;
        loop {
            let last = *draining.borrow();
            let pause = match self.catch_up().await {
                Ok(()) => {
                    if failing {
                        info!("The spool is read again");
                    }
                    failing = false;
                    LOOK
                }
                Err(error) => {
                    if !failing {
                        error!(error = %error, "The spool waits");
                    }
                    failing = true;
                    PAUSE
                }
            };
            if last {
                return;
            }
            tokio::select! {
                () = sleep(pause) => {}
                _changed = draining.wait_for(|draining| *draining) => {}
            }
        }
    }

    /// Reads all there is.
    ///
    /// # Errors
    /// [`SpoolError`]; what was not stored is read again next time.
    pub async fn catch_up(&mut self) -> Result<(), SpoolError> {
        loop {
            if self.open.is_none() && !self.find()? {
                return Ok(());
            }
            while self.step().await? {}
            if !self.turned()? {
                return Ok(());
            }
        }
    }

    /// Opens the file that was being read, or else the one that has the name now.
    fn find(&mut self) -> Result<bool, SpoolError> {
        let failed = |source| SpoolError::File { path: self.path.clone(), source };
        let named = match File::open(&self.path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(source) => return Err(failed(source)),
        };
        let identity = match &named {
            Some(file) => Some(identity(&file.metadata().map_err(failed)?)),
            None => None,
        };
        if identity.as_deref() == Some(&self.mark.file) {
            self.open = named;
            return Ok(true);
        }
        if let Some(rotated) = self.rotated() {
            self.open = Some(rotated);
            return Ok(true);
        }
        let (Some(file), Some(identity)) = (named, identity) else { return Ok(false) };
        if !self.mark.file.is_empty() {
            warn!("The spool read last is gone; going on with the one that has its name");
        }
        self.begin(identity);
        self.open = Some(file);

        Ok(true)
    }

    /// The file that was being read, under the name it was rotated to in the same directory.
    fn rotated(&self) -> Option<File> {
        if self.mark.file.is_empty() {
            return None;
        }
        let entries = fs::read_dir(self.path.parent()?).ok()?;
        for entry in entries.flatten() {
            let same = entry.metadata().is_ok_and(|about| identity(&about) == self.mark.file);
            if same {
                return File::open(entry.path()).ok();
            }
        }

        None
    }

    /// Reads a chunk and stores it. False when there was no whole line.
    async fn step(&mut self) -> Result<bool, SpoolError> {
        let Some(file) = &self.open else { return Ok(false) };
        let failed = |source| SpoolError::File { path: self.path.clone(), source };
        let length = file.metadata().map_err(failed)?.len();
        if length < self.mark.position {
            warn!(spool.length = length, "The spool was truncated; reading it from its start");
            let file = self.mark.file.clone();
            self.begin(file);
            return Ok(true);
        }
        self.counters.spool_lag.set(length.saturating_sub(self.mark.position));
        let chunk = read(file, self.mark.position).map_err(failed)?;
        let batch = Batch::of(&chunk, &self.mark);
        if batch.bytes == 0 {
            return Ok(false);
        }

        let advance = u64::try_from(batch.bytes).unwrap_or(u64::MAX);
        let next =
            Mark { position: self.mark.position.saturating_add(advance), ..self.mark.clone() };
        let appended = match self.store.append(&batch.events, Some((&self.name, &next))).await {
            Ok(appended) => appended,
            Err(error) => {
                self.counters.store_errors.one();
                return Err(error.into());
            }
        };
        self.counters.spool.stored.add(appended.stored);
        self.counters.spool.duplicates.add(appended.duplicates);
        self.counters.spool_unreadable.add(batch.unreadable);
        self.counters.spool_offset.set(next.position);
        self.counters.spool_lag.set(length.saturating_sub(next.position));
        self.mark = next;

        Ok(true)
    }

    /// Was the file rotated? Then the next one begins; this one has been read to its end.
    fn turned(&mut self) -> Result<bool, SpoolError> {
        let about = match fs::metadata(&self.path) {
            Ok(about) => about,
            // Moved away and not made anew yet: the old one may still be written.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(SpoolError::File { path: self.path.clone(), source }),
        };
        let identity = identity(&about);
        if identity == self.mark.file {
            return Ok(false);
        }
        info!("The spool was rotated");
        self.begin(identity);
        self.open = None;

        Ok(true)
    }

    /// A file is read from its start.
    fn begin(&mut self, file: String) {
        self.mark = Mark { generation: self.mark.generation.saturating_add(1), file, position: 0 };
    }
}

/// A chunk, as long as it must be to hold a whole line.
fn read(file: &File, from: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut size = CHUNK;
    loop {
        bytes.resize(size, 0);
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = from.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
            match file.read_at(rest, at)? {
                0 => break,
                count => filled = filled.saturating_add(count),
            }
        }
        bytes.truncate(filled);
        if filled < size || size >= lines::LONGEST || bytes.contains(&b'\n') {
            return Ok(bytes);
        }
        size = lines::LONGEST;
    }
}

fn identity(about: &Metadata) -> String {
    format!("{}:{}", about.dev(), about.ino())
}

#[cfg(test)]
mod tests;
