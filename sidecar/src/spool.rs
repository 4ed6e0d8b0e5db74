//! The spool: the file Envoy appends every finished exchange to. The sure way of a record.
//!
//! How far it was read is stored in the transaction that stores the rows, so whatever dies, each
//! line is read again or not at all. The file may be rotated or truncated under us: rotation shows
//! as another file behind the name (the old one is first read to its end, and those between, even
//! if that happened while we were away), truncation as a file shorter than what was read of it.
//!
//! It holds what people said, so what is stored is cleared (`spool/clear.rs`) within a minute.

use crate::counters::Counters;
use crate::glass;
use crate::store::{Appended, Mark, Store, StoreError};
use contract::audit::Event;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

use clear::Sweeper;
use lines::Batch;

mod clear;
mod files;
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
    sweeper: Sweeper,
    /// Since when something waits to be read.
    behind: Option<Instant>,
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

        let sweeper = Sweeper::default();

        Ok(Self {
            path: path.to_owned(),
            name,
            store,
            counters,
            open: None,
            mark,
            sweeper,
            behind: None,
        })
    }

    /// Reads until told to stop, then once more to the end.
    pub async fn follow(mut self, mut draining: watch::Receiver<bool>) {
        let mut failing = false;
        loop {
            let last = *draining.borrow();
            let caught_up = self.catch_up().await;
            self.note_age();
            let pause = match caught_up {
                Ok(()) => {
                    self.sweeper.sweep(self.open.as_ref(), &self.mark);
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
                self.sweeper.finish(self.open.as_ref(), &self.mark);
                return;
            }
            tokio::select! {
                () = sleep(pause) => {}
                _changed = draining.wait_for(|draining| *draining) => {}
            }
        }
    }

    /// Notes how long something has been waiting.
    fn note_age(&mut self) {
        let waits = self.counters.spool_lag.get() > 0;
        self.behind = waits.then(|| self.behind.unwrap_or_else(Instant::now));
        let age = self.behind.map_or(0, |since| since.elapsed().as_secs());
        self.counters.spool_age.set(age);
    }

    /// Reads all there is.
    ///
    /// # Errors
    /// [`SpoolError`]; what was not stored is read again next time.
    pub async fn catch_up(&mut self) -> Result<(), SpoolError> {
        loop {
            if self.open.is_none() && !self.find().await? {
                return Ok(());
            }
            while self.step().await? {}
            let Some(next) = self.next()? else { return Ok(()) };
            // Between the last step and now the old file may have grown; since the next one is
            // there, it does not grow any more.
            while self.step().await? {}
            self.turn(next).await?;
        }
    }

    /// Opens the file that was being read, or else the one that has the name now.
    async fn find(&mut self) -> Result<bool, SpoolError> {
        let failed = |source| SpoolError::File { path: self.path.clone(), source };
        let siblings = files::all(&self.path).map_err(failed)?;
        self.counters.spool_present.set(u64::from(!siblings.is_empty()));
        let named = siblings.iter().find(|file| file.path == self.path);
        let last_read = siblings.iter().find(|file| file.identity == self.mark.file);
        // What no sidecar has read yet begins with the oldest.
        let first = if self.mark.file.is_empty() { files::oldest(&siblings) } else { named };
        let Some(chosen) = last_read.or(first) else { return Ok(false) };
        let open = clear::open(&chosen.path).map_err(failed)?;
        // Rotated while it was being opened: then look again.
        if files::identity(&open.metadata().map_err(failed)?) != chosen.identity {
            return Ok(false);
        }
        if last_read.is_none() {
            if !self.mark.file.is_empty() {
                warn!("The spool read last is gone; going on with the one that has its name");
            }
            let identity = chosen.identity.clone();
            self.begin(identity).await?;
        }
        self.open = Some(open);

        Ok(true)
    }

    /// The file that came after this one, if it was rotated.
    fn next(&self) -> Result<Option<files::Sibling>, SpoolError> {
        let failed = |source| SpoolError::File { path: self.path.clone(), source };
        let siblings = files::all(&self.path).map_err(failed)?;

        Ok(files::after(siblings, &self.path, &self.mark.file))
    }

    /// Goes on with the next file: this one has been read to its end.
    async fn turn(&mut self, next: files::Sibling) -> Result<(), SpoolError> {
        let read = self.mark.position;
        let length = self.open.as_ref().and_then(|file| file.metadata().ok());
        let done = self.mark.file.clone();
        self.begin(next.identity).await?;
        self.open = None;
        self.sweeper.retire(self.path.clone(), done, read);
        if length.is_some_and(|about| about.len() > read) {
            self.counters.spool_unreadable.one();
            error!(
                spool.offset = read,
                "The last line of a rotated spool is not whole: data was lost"
            );
        }
        info!("The spool was rotated");

        Ok(())
    }

    /// Reads a chunk and stores it. False when there was no whole line.
    async fn step(&mut self) -> Result<bool, SpoolError> {
        let Some(file) = &self.open else { return Ok(false) };
        let failed = |source| SpoolError::File { path: self.path.clone(), source };
        let length = file.metadata().map_err(failed)?.len();
        if length < self.mark.position {
            warn!(spool.length = length, "The spool was truncated; reading it from its start");
            let file = self.mark.file.clone();
            self.begin(file).await?;
            return Ok(true);
        }
        self.counters.spool_lag.set(length.saturating_sub(self.mark.position));
        if let Some(data) = clear::behind_hole(file, self.mark.position).map_err(failed)? {
            warn!(
                from = self.mark.position,
                to = data,
                "The spool was cleared here: rows are stored"
            );
            self.mark.position = data;
            return Ok(true);
        }
        let chunk = read(file, self.mark.position).map_err(failed)?;
        let batch = Batch::of(&chunk, &self.mark);
        if batch.bytes == 0 {
            return Ok(false);
        }

        let advance = u64::try_from(batch.bytes).unwrap_or(u64::MAX);
        let next =
            Mark { position: self.mark.position.saturating_add(advance), ..self.mark.clone() };
        let appended = self.keep(&batch.events, &next).await?;
        self.counters.spool.stored.add(appended.stored);
        if appended.stored > 0 {
            glass::tell(&batch.events);
        }
        self.counters.spool.duplicates.add(appended.duplicates);
        self.counters.spool_unreadable.add(batch.unreadable);
        self.counters.spool_offset.set(next.position);
        self.counters.spool_lag.set(length.saturating_sub(next.position));
        self.mark = next;

        Ok(true)
    }

    /// Stores rows and mark.
    async fn keep(&self, events: &[Event<'static>], mark: &Mark) -> Result<Appended, StoreError> {
        let begun = Instant::now();
        let kept = self.store.append(events, Some((&self.name, mark))).await;
        if !events.is_empty() {
            self.counters.appended(begun.elapsed());
        }
        if kept.is_err() {
            self.counters.store_errors.one();
        }

        kept
    }

    /// A file is read from its start. That is kept at once: before it has its first line the one
    /// before it may be deleted, or it may be rotated itself.
    async fn begin(&mut self, file: String) -> Result<(), StoreError> {
        let start = self.mark.start_of(file);
        self.keep(&[], &start).await?;
        self.mark = start;

        Ok(())
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

#[cfg(test)]
mod tests;
