//! Where the chain stood, told outside the database: without it, who can write to the database could
//! cut the end of the chain off unseen.
//!
//! Each checkpoint is signed, appended to `checkpoints.jsonl` in the data directory, and logged: copy
//! the file, or the log, where whoever administers the database does not reach.

use crate::clock;
use crate::counters::Counters;
use crate::settings::Data;
use crate::store::Store;
use crate::store::chain::{Checkpoint, Head};
use contract::envelope::PinnedKey;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::time::sleep;
use tracing::{error, info};

/// How often, if rows were stored since: what is newer can be cut off unseen.
const EACH: Duration = Duration::from_secs(30);

/// `payloadType` of a checkpoint.
pub const TYPE: &str = "application/vnd.tollgate.checkpoint.v1+json";

/// Why a file of checkpoints cannot be used.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is no checkpoint of a key that is believed.
    #[error("{}, line {line}: {why}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Why not.
        why: String,
    },
}

/// Writes checkpoints as the chain grows.
pub async fn watch(data: Data, store: Store, counters: Arc<Counters>) {
    let mut last = Head::default();
    loop {
        match write(&data, &store, &last).await {
            Ok(head) => last = head,
            Err(error) => {
                counters.store_errors.one();
                error!(error = %error, "No checkpoint was written");
            }
        }
        sleep(EACH).await;
    }
}

/// Writes one as the sidecar leaves.
pub async fn last(data: &Data, store: &Store) {
    if let Err(error) = write(data, store, &Head::default()).await {
        error!(error = %error, "The last checkpoint was not written");
    }
}

/// Writes a checkpoint, if the chain has grown since `last`; says where it stands.
///
/// # Errors
/// Why it could not be written.
pub async fn write(data: &Data, store: &Store, last: &Head) -> anyhow::Result<Head> {
    let writer = store.writer();
    let heads = store.heads().await?;
    let Some((name, head)) = heads.into_iter().find(|(name, _)| name == writer.id()) else {
        return Ok(last.clone());
    };
    if head.block == last.block {
        return Ok(head);
    }
    let checkpoint = Checkpoint::of(&name, &head, clock::stamp(clock::now_micros()));
    let envelope = writer.seal(TYPE, &serde_json::to_vec(&checkpoint)?);
    append(&data.checkpoints(), &serde_json::to_vec(&envelope)?)?;
    info!(
        writer = name,
        block = checkpoint.block,
        rows = checkpoint.rows,
        hash = checkpoint.hash,
        signature = envelope.signatures.first().map(|signed| &*signed.sig),
        at = checkpoint.at,
        "Checkpoint of the audit chain"
    );

    Ok(head)
}

fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.write_all(&[line, b"\n"].concat())?;

    file.sync_data()
}

/// Reads checkpoints that one of these keys has signed.
///
/// # Errors
/// [`CheckpointError`].
pub fn read(path: &Path, keys: &[PinnedKey]) -> Result<Vec<Checkpoint>, CheckpointError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| CheckpointError::Read { path: path.to_owned(), source })?;
    let failed = |line: usize, why: String| CheckpointError::Line {
        path: path.to_owned(),
        line: line.saturating_add(1),
        why,
    };
    let mut checkpoints = Vec::new();
    // A last line without its end was being written when the machine stopped.
    let whole = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or_default();
    for (line, text) in whole.lines().enumerate() {
        let opened = contract::envelope::open(text.as_bytes(), TYPE, keys)
            .map_err(|error| failed(line, error.to_string()))?;
        let checkpoint: Checkpoint = serde_json::from_slice(opened.payload())
            .map_err(|error| failed(line, error.to_string()))?;
        if opened.key_id() != checkpoint.writer {
            return Err(failed(line, "another writer's key has signed it".into()));
        }
        checkpoints.push(checkpoint);
    }

    Ok(checkpoints)
}
