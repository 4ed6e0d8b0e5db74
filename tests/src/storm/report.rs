//! `target/failures.json`: an entry for each fault and store, and the table made of it.

use super::books::Books;
use crate::world::processes::repository;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};

/// What one storm came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What was done.
    pub fault: String,
    /// To which store.
    pub store: String,
    /// How often.
    pub rounds: u32,
    /// What chance followed from.
    pub seed: u32,
    /// Calls that Envoy can have seen.
    pub requests: usize,
    /// A second, while Envoy was there.
    pub per_second: f64,
    /// Ids that have rows.
    pub rows: usize,
    /// Calls that must have a row and have none.
    pub lost: usize,
    /// Ids with more than one row.
    pub doubled: usize,
    /// Numbers of sequences without a row.
    pub holes: u64,
    /// Calls that were not served.
    pub failed: usize,
}

impl Entry {
    /// From the books.
    pub fn new(fault: &str, store: &str, rounds: u32, seed: u32, rate: f64, books: &Books) -> Self {
        Self {
            fault: fault.to_owned(),
            store: store.to_owned(),
            rounds,
            seed,
            requests: books.sent,
            per_second: rate.round(),
            rows: books.rows,
            lost: books.lost.len(),
            doubled: books.doubled.len(),
            holes: books.holes(),
            failed: books.failed.len(),
        }
    }

    /// Writes it into the file, in the place of an earlier one.
    pub fn enter(self) -> Result<()> {
        let path = repository().join("target/failures.json");
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.lock()?; // suites of several programs may end at once
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let mut all: Vec<Self> = serde_json::from_str(&text).unwrap_or_default();
        all.retain(|entry| (&entry.fault, &entry.store) != (&self.fault, &self.store));
        all.push(self);
        all.sort_by(|a, b| (&a.fault, &a.store).cmp(&(&b.fault, &b.store)));
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;

        Ok(writeln!(file, "{}", serde_json::to_string_pretty(&all)?)?)
    }
}

/// Prints the table.
pub fn print() -> Result<()> {
    let text = fs::read_to_string(repository().join("target/failures.json"))?;
    let all: Vec<Entry> = serde_json::from_str(&text)?;
    println!(
        "{:<34} {:<9} {:>6} {:>9} {:>6} {:>9} {:>5} {:>8} {:>6} {:>7}",
        "fault", "store", "rounds", "requests", "/s", "rows", "lost", "doubled", "holes", "failed"
    );
    for entry in all {
        println!(
            "{:<34} {:<9} {:>6} {:>9} {:>6} {:>9} {:>5} {:>8} {:>6} {:>7}",
            entry.fault,
            entry.store,
            entry.rounds,
            entry.requests,
            entry.per_second,
            entry.rows,
            entry.lost,
            entry.doubled,
            entry.holes,
            entry.failed
        );
    }

    Ok(())
}
