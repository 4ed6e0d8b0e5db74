//! What the callers know, beside what the table says.

use super::base::{Base, Counted};
use super::load::{Call, Fate, Kind};
use crate::world::World;
use anyhow::Result;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// How long a second row would take at most: it would come by the other way (gRPC, spool).
const SETTLES: Duration = Duration::from_millis(1200);

/// How long a busy Envoy may leave unread what it was sent.
const UNREAD: Duration = Duration::from_secs(1);

/// What was sent, and what is written.
#[derive(Debug)]
pub struct Books {
    /// Calls that Envoy can have seen.
    pub sent: usize,
    /// Calls whose row must be there: answered, or begun to be, or forwarded, or left by a client
    /// that had sent all of it.
    pub owed: usize,
    /// Their ids that have rows.
    pub rows: usize,
    /// Owed calls without a row.
    pub lost: Vec<Call>,
    /// Ids with more than one row.
    pub doubled: Vec<u64>,
    /// Rows of calls that were never sent.
    pub invented: Vec<u64>,
    /// Calls that were answered with something else than 200.
    pub failed: Vec<Call>,
    /// Refusals of a gate that was not ready: as many as callers read, and with those that they may
    /// not have read.
    pub refused: (usize, usize),
    /// As many of these as rows tell.
    pub told: usize,
    /// What each filter VM has counted.
    pub sequences: Vec<Counted>,
    /// What `tollgate audit verify` found; an error, if it is not whole.
    pub verified: Result<String>,
}

impl Books {
    /// Compares, once the rows have had their time. `stopped` says when Envoy was: what nobody
    /// answered then may have been left unread.
    pub async fn close(
        base: &Base,
        world: &World,
        calls: &[Call],
        forwarded: &HashSet<u64>,
        stopped: &[(Instant, Instant)],
        silence: Duration,
    ) -> Result<Self> {
        let owed: Vec<&Call> =
            calls.iter().filter(|call| is_owed(call, forwarded, stopped)).collect();
        let rows = settled(base, world, &owed, silence).await?;
        let sent: HashSet<u64> =
            calls.iter().filter(|call| call.fate != Fate::Unsent).map(|call| call.id).collect();
        let lost = owed.iter().filter(|call| !rows.contains_key(&call.id));
        let failed = calls.iter().filter(|call| match call.fate {
            Fate::Answered(status) => status != 200,
            Fate::NotReady | Fate::Broken => true,
            Fate::Unsent | Fate::Left => false,
        });
        let refused = calls.iter().filter(|call| call.fate == Fate::NotReady).count();
        let unread = |call: &&Call| {
            matches!(call.fate, Fate::Left | Fate::Broken) && !forwarded.contains(&call.id)
        };
        let unread = calls.iter().filter(unread).count();

        Ok(Self {
            sent: sent.len(),
            owed: owed.len(),
            lost: lost.map(|call| **call).collect(),
            doubled: rows.iter().filter(|(_, count)| **count > 1).map(|(id, _)| *id).collect(),
            invented: rows.keys().filter(|id| !sent.contains(id)).copied().collect(),
            rows: rows.len(),
            failed: failed.copied().collect(),
            refused: (refused, refused + unread),
            told: usize::try_from(base.not_ready(world).await?)?,
            sequences: base.sequences(world).await?,
            verified: tokio::task::block_in_place(|| world.tollgate(&["audit", "verify"])),
        })
    }

    /// Numbers without a row, below the highest that has one, of all VMs.
    pub fn holes(&self) -> u64 {
        self.sequences.iter().map(Counted::holes).sum()
    }

    /// The promise of nearly every storm.
    pub fn assert_whole(&self) {
        let first = &self.lost[..self.lost.len().min(5)];
        assert!(self.lost.is_empty(), "{} rows lost: {first:#?}", self.lost.len());
        self.assert_no_more();
        assert_eq!(self.holes(), 0, "no number is without a row: {:?}", self.sequences);
        assert!(self.verified.is_ok(), "the chain: {:#?}", self.verified);
    }

    /// Nothing is told twice, and nothing that never was.
    pub fn assert_no_more(&self) {
        assert!(self.doubled.is_empty(), "doubled: {:x?}", self.doubled);
        assert!(self.invented.is_empty(), "rows of calls never sent: {:x?}", self.invented);
    }

    /// No caller noticed.
    pub fn assert_all_served(&self) {
        let first = &self.failed[..self.failed.len().min(5)];
        assert!(self.failed.is_empty(), "{} calls failed: {first:#?}", self.failed.len());
    }
}

/// Must this call have a row?
fn is_owed(call: &Call, forwarded: &HashSet<u64>, stopped: &[(Instant, Instant)]) -> bool {
    let meanwhile =
        |(from, to): &(Instant, Instant)| call.sent <= *to && call.over + UNREAD >= *from;
    match call.fate {
        Fate::Unsent | Fate::NotReady => false,
        Fate::Answered(_) => true,
        // Who leaves early has sent everything: Envoy reads it before it reads the end.
        Fate::Left if call.kind == Kind::LeavesEarly && !stopped.iter().any(meanwhile) => true,
        Fate::Left | Fate::Broken => call.begun || forwarded.contains(&call.id),
    }
}

/// The rows, once all that are owed are there or no more come.
async fn settled(
    base: &Base,
    world: &World,
    owed: &[&Call],
    silence: Duration,
) -> Result<HashMap<u64, i64>> {
    let mut last = (0, Instant::now());
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let count = base.count(world).await.unwrap_or(last.0);
        if count > last.0 {
            last = (count, Instant::now());
        }
        if usize::try_from(count)? >= owed.len() || last.1.elapsed() > silence {
            let rows = base.rows(world).await?;
            let whole = owed.iter().all(|call| rows.contains_key(&call.id));
            if whole || last.1.elapsed() > silence {
                break;
            }
        }
    }
    tokio::time::sleep(SETTLES).await;

    base.rows(world).await
}
