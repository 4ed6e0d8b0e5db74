//! `tollgate audit verify`: is every row as it was stored, and is none missing?
//!
//! Walks each writer's chain from its first block (`store/chain.rs`), holds it against the keys and
//! checkpoints that the auditor brings, and asks the gate's numbers for exchanges without a row.

use crate::checkpoints::{self, CheckpointError};
use crate::holes;
use crate::keys::{self, KeyError};
use crate::screen::Screen;
use crate::settings::Data;
use crate::store::chain::{Block, Checkpoint, Head};
use crate::store::row::parts;
use crate::store::{Row, Store, StoreError, writer};
use contract::envelope::{PinnedKey, hex};
use ed25519_compact::PublicKey;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use thiserror::Error;

/// Blocks read at once.
const BLOCKS: u32 = 1_000;

/// Rows read at once.
const ROWS: u32 = 2_000;

/// Rows between two words of progress.
const STEP: u64 = 100_000;

/// Findings told one by one; beyond it only counted.
const MOST: usize = 1_000;

/// Why it could not be verified at all.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file of checkpoints.
    #[error(transparent)]
    Checkpoints(#[from] CheckpointError),
}

/// Something that is not as it was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable word: `row_edited`, `rows_missing`, `rows_added`, `rows_swapped`, `content_edited`,
    /// `chain_broken`, `signature_wrong`, `writer_unknown`, `tail_cut`, `chain_rewritten`,
    /// `no_row`.
    pub what: &'static str,
    /// Whose chain, or which VM's numbers.
    pub writer: String,
    /// Where, in words for a person.
    pub place: String,
    /// The row, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Is everything as it was stored, and is no number without a row?
    pub whole: bool,
    /// Rows that were read.
    pub rows: u64,
    /// Blocks that were read.
    pub blocks: u64,
    /// Writers.
    pub writers: u64,
    /// Checkpoints that were held against the chains.
    pub checkpoints: u64,
    /// Rows whose content has been erased.
    pub erased: u64,
    /// Findings beyond those listed.
    pub untold: u64,
    /// What is not as it was.
    pub findings: Vec<Finding>,
}

impl Report {
    fn tell(&mut self, what: &'static str, writer: &str, place: String, row: Option<&Row>) {
        if self.findings.len() >= MOST {
            self.untold = self.untold.saturating_add(1);
            return;
        }
        let event_id = row.map(|row| row.text("event_id"));
        self.findings.push(Finding { what, writer: writer.to_owned(), place, event_id });
    }
}

/// What the auditor brings.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Whose chains are believed, by the writer's name.
    keys: BTreeMap<String, PublicKey>,
    /// Where chains stood.
    checkpoints: Vec<Checkpoint>,
}

impl Evidence {
    /// Keys and checkpoints from files; those of the data directory where none are named.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn read(
        data: &Data,
        key_files: &[PathBuf],
        checkpoint_files: &[PathBuf],
    ) -> Result<Self, VerifyError> {
        let pins: Vec<PinnedKey> = if key_files.is_empty() {
            keys::audit_pins(data)?
        } else {
            key_files.iter().map(|path| keys::pin(path)).collect::<Result<_, _>>()?
        };
        let own = [data.checkpoints()];
        let files = match checkpoint_files {
            [] if data.checkpoints().exists() => own.as_slice(),
            files => files,
        };
        let mut checkpoints = Vec::new();
        for file in files {
            checkpoints.extend(checkpoints::read(file, &pins)?);
        }
        let keys = pins
            .iter()
            .filter_map(|pin| pin.decode().ok())
            .map(|key| (writer::name(&key), key))
            .collect();

        Ok(Self { keys, checkpoints })
    }
}

/// Verifies everything.
///
/// # Errors
/// [`VerifyError`]; what is not as it should be is in the report.
pub async fn verify(
    store: &Store,
    evidence: &Evidence,
    screen: &mut Screen,
) -> Result<Report, VerifyError> {
    let mut report = Report::default();
    let heads: BTreeMap<String, Head> = store.heads().await?.into_iter().collect();
    let counts: BTreeMap<String, i64> = store.rows_in_all().await?.into_iter().collect();
    let told = evidence.checkpoints.iter().map(|one| &one.writer);
    let mut writers: Vec<&String> = heads.keys().chain(counts.keys()).chain(told).collect();
    writers.sort_unstable();
    writers.dedup();
    for writer in writers {
        let head = heads.get(writer).cloned().unwrap_or_default();
        let mut walk = Walk { store, evidence, writer, report: &mut report, screen };
        walk.chain(&head).await?;
    }
    for ((boot, vm), ranges) in holes::settled(store).await? {
        for (first, last) in ranges {
            let place = format!("numbers {first} to {last}");
            report.tell("no_row", &format!("boot {boot}, vm {vm}"), place, None);
        }
    }
    report.checkpoints = u64::try_from(evidence.checkpoints.len()).unwrap_or(u64::MAX);
    report.whole = report.findings.is_empty();

    Ok(report)
}

/// The way along one chain.
struct Walk<'a> {
    store: &'a Store,
    evidence: &'a Evidence,
    writer: &'a str,
    report: &'a mut Report,
    screen: &'a mut Screen,
}

impl Walk<'_> {
    fn tell(&mut self, what: &'static str, place: String, row: Option<&Row>) {
        self.report.tell(what, self.writer, place, row);
    }

    /// The chain up to where it ended when it was looked at: rows go on being stored meanwhile.
    async fn chain(&mut self, head: &Head) -> Result<(), VerifyError> {
        self.report.writers = self.report.writers.saturating_add(1);
        let key = self.evidence.keys.get(self.writer).copied();
        if key.is_none() {
            self.tell("writer_unknown", "no key given vouches for this chain".into(), None);
        }
        let mut before = Head::default();
        'chain: loop {
            let blocks = self.store.blocks(self.writer, before.block, BLOCKS).await?;
            if blocks.is_empty() {
                break;
            }
            for block in blocks {
                if block.number > head.block && before.block == head.block {
                    break 'chain; // stored since
                }
                self.block(&before, &block, key.as_ref()).await?;
                self.compare(&block);
                let rows = before.rows.saturating_add(block.rows);
                before = Head { place: block.last, block: block.number, hash: block.hash, rows };
            }
        }
        self.behind(&before).await?;
        if *head != before {
            let place = format!(
                "the chain ends with block {}, {} rows; it was noted to end with block {}, {} rows",
                before.block, before.rows, head.block, head.rows
            );
            self.tell("tail_cut", place, None);
        }
        self.beyond(&before);

        Ok(())
    }

    /// Rows behind the end, but for those stored since: of these the chain knows by now.
    async fn behind(&mut self, end: &Head) -> Result<(), VerifyError> {
        let from = end.place.saturating_add(1);
        let rows = self.store.rows_of(self.writer, from, i64::MAX, ROWS).await?;
        let heads = self.store.heads().await?;
        let now = heads.into_iter().find(|(writer, _)| writer == self.writer);
        let known = now.map_or(0, |(_, head)| head.place);
        for row in rows.iter().filter(|row| row.place > known) {
            self.tell("rows_added", format!("place {}, in no block", row.place), Some(row));
        }

        Ok(())
    }

    /// A block, and the rows it names.
    async fn block(
        &mut self,
        before: &Head,
        block: &Block,
        key: Option<&PublicKey>,
    ) -> Result<(), VerifyError> {
        let at = format!("block {}, rows {} to {}", block.number, block.first, block.last);
        if block.number != before.block.saturating_add(1) || block.first <= before.place {
            let place = format!("{at}: it does not follow block {}", before.block);
            self.tell("chain_broken", place, None);
        }
        if key.is_some_and(|key| !writer::verifies(key, &block.hash, &block.signature)) {
            self.tell("signature_wrong", at.clone(), None);
        }
        if block.first > before.place.saturating_add(1) {
            self.between(before.place.saturating_add(1), block.first.saturating_sub(1)).await?;
        }
        let told = self.report.findings.len();
        let digests = self.rows(block).await?;
        let hash = block.hash_over(&before.hash, digests.iter().map(<[u8; 32]>::as_slice));
        // An edited row has been named already, and breaks the hash of its block.
        if hash.as_slice() != block.hash && self.report.findings.len() == told {
            let found = i64::try_from(digests.len()).unwrap_or(i64::MAX);
            let (what, why) = match found.cmp(&block.rows) {
                std::cmp::Ordering::Less => ("rows_missing", "of its rows some are gone"),
                std::cmp::Ordering::Greater => ("rows_added", "there are rows it never had"),
                std::cmp::Ordering::Equal => ("rows_swapped", "its rows are not the ones it names"),
            };
            let place = format!("{at}: {why} ({found} of {})", block.rows);
            self.tell(what, place, None);
        }
        self.report.blocks = self.report.blocks.saturating_add(1);

        Ok(())
    }

    /// The digests of what the rows of a block say now.
    async fn rows(&mut self, block: &Block) -> Result<Vec<[u8; 32]>, VerifyError> {
        let mut digests = Vec::new();
        let mut from = block.first;
        loop {
            let rows = self.store.rows_of(self.writer, from, block.last, ROWS).await?;
            let Some(last) = rows.last() else { return Ok(digests) };
            from = last.place.saturating_add(1);
            for row in &rows {
                digests.push(self.row(row));
            }
        }
    }

    fn row(&mut self, row: &Row) -> [u8; 32] {
        let actual = row.actual_digest();
        if actual.as_slice() != row.digest {
            let place = format!("place {}, {}", row.place, row.text("occurred_at"));
            self.tell("row_edited", place, Some(row));
        }
        let named = row.get("payload").get("content_sha256").and_then(|digest| digest.as_str());
        match (named, parts(&row.raw).1) {
            (Some(named), Some(content)) if hex(&Sha256::digest(content)) != named => {
                self.tell("content_edited", format!("place {}", row.place), Some(row));
            }
            (None, Some(_)) => {
                self.tell("content_edited", format!("place {}", row.place), Some(row));
            }
            (Some(_), None) => self.report.erased = self.report.erased.saturating_add(1),
            (Some(_) | None, _) => {}
        }
        self.report.rows = self.report.rows.saturating_add(1);
        if self.report.rows.is_multiple_of(STEP) {
            self.screen.say(&format!("{} rows verified", self.report.rows));
        }

        actual
    }

    /// Rows where the chain has none.
    async fn between(&mut self, from: i64, to: i64) -> Result<(), VerifyError> {
        let rows = self.store.rows_of(self.writer, from, to, ROWS).await?;
        for row in &rows {
            self.tell("rows_added", format!("place {}, in no block", row.place), Some(row));
        }

        Ok(())
    }

    /// Holds a block against the checkpoints that were written behind it.
    fn compare(&mut self, block: &Block) {
        let evidence = self.evidence;
        let of = |one: &&Checkpoint| one.writer == block.writer && one.block == block.number;
        for checkpoint in evidence.checkpoints.iter().filter(of) {
            if checkpoint.hash != hex(&block.hash) {
                let place = format!(
                    "block {} is not the one that stood there at {}",
                    block.number, checkpoint.at
                );
                self.tell("chain_rewritten", place, None);
            }
        }
    }

    /// Checkpoints behind the end.
    fn beyond(&mut self, end: &Head) {
        let evidence = self.evidence;
        let writer = self.writer;
        let of = |one: &&Checkpoint| one.writer == writer && one.block > end.block;
        if let Some(last) = evidence.checkpoints.iter().filter(of).max_by_key(|one| one.block) {
            let place = format!(
                "at {} the chain had {} rows in {} blocks; now it has {} in {}",
                last.at, last.rows, last.block, end.rows, end.block
            );
            self.tell("tail_cut", place, None);
        }
    }
}
