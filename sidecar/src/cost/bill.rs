//! What a provider says was used, and what it wants for it.

use super::money::Money;
use crate::settings::FileError;
use clap::ValueEnum;
use contract::model;
use contract::price::Unit;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use thiserror::Error;

mod anthropic;
mod table;

/// Largest file: a year of days, models and workspaces has a few megabytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// How a bill is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Pages of the Admin API's usage report, of its cost report, or of both.
    Anthropic,
    /// A table: day, provider, model, kind, quantity, `cost_usd`.
    Csv,
}

/// Why a bill cannot be read.
#[derive(Debug, Error)]
pub enum BillError {
    /// Its file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its size.
    #[error("{} is larger than {} MiB", .0.display(), LARGEST / 1024 / 1024)]
    Large(PathBuf),
    /// What is in it.
    #[error("{}: {fault}", path.display())]
    Faulty {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        fault: Fault,
    },
}

/// What is wrong with a bill.
#[derive(Debug, Error)]
pub enum Fault {
    /// No JSON of the report's form.
    #[error("not pages of a usage or cost report: {0}")]
    Json(#[from] serde_json::Error),
    /// No table.
    #[error("not a table: {0}")]
    Csv(#[from] csv::Error),
    /// Pages are missing.
    #[error("the last page says that there are more: fetch them all")]
    More,
    /// Not told apart by model.
    #[error("usage of {0} names no model: ask for the report with group_by[]=model")]
    NoModel(String),
    /// Another value than it should be.
    #[error("{place}: {value:?} is no {wanted}")]
    Value {
        /// Where.
        place: String,
        /// What stands there.
        value: String,
        /// What should.
        wanted: &'static str,
    },
    /// It says nothing.
    #[error("neither quantities nor amounts are in it")]
    Empty,
}

/// What a line of a bill is about. An amount without a model has an empty one.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// `2026-11-21`.
    pub day: String,
    /// The provider.
    pub provider: String,
    /// The model, normalized.
    pub model: String,
}

/// A bill, summed up.
#[derive(Debug, Clone, Default)]
pub struct Bill {
    /// Whose bill it is.
    pub providers: BTreeSet<String>,
    /// How much of what. `None` where the bill says nothing of quantities.
    pub quantities: Option<BTreeMap<(Key, Unit), u64>>,
    /// What it costs. `None` where the bill says nothing of money.
    pub costs: Option<BTreeMap<Key, Money>>,
    /// Lines of other days.
    pub outside: u64,
    /// Tokens of another tier than the standard one.
    pub other_tiers: u64,
}

/// Reads a bill.
///
/// # Errors
/// [`BillError`]: a bill is read whole or not at all.
pub fn read(path: &Path, format: Option<Format>) -> Result<Bill, BillError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(BillError::Large(path.to_owned()));
    }
    let bytes = fs::read(path).map_err(failed)?;

    parse(path, &bytes, format)
}

/// Reads a bill that came from there.
///
/// # Errors
/// [`BillError`]: a bill is read whole or not at all.
pub fn parse(path: &Path, bytes: &[u8], format: Option<Format>) -> Result<Bill, BillError> {
    let named_csv = path.extension().is_some_and(|name| name.eq_ignore_ascii_case("csv"));
    let bill = match format {
        Some(Format::Csv) => table::parse(bytes),
        None if named_csv => table::parse(bytes),
        Some(Format::Anthropic) | None => anthropic::parse(bytes),
    };

    bill.and_then(Bill::whole).map_err(|fault| BillError::Faulty { path: path.to_owned(), fault })
}

impl Bill {
    fn quantity(&mut self, key: Key, unit: Unit, quantity: u64) {
        self.providers.insert(key.provider.clone());
        let sum = self.quantities.get_or_insert_default().entry((key, unit)).or_default();
        *sum = sum.saturating_add(quantity);
    }

    fn cost(&mut self, key: Key, amount: Money) {
        self.providers.insert(key.provider.clone());
        let sum = self.costs.get_or_insert_default().entry(key).or_default();
        *sum = *sum + amount;
    }

    fn whole(self) -> Result<Self, Fault> {
        if self.quantities.is_none() && self.costs.is_none() { Err(Fault::Empty) } else { Ok(self) }
    }

    /// Only the days from the one until before the other.
    #[must_use]
    pub fn within(mut self, from: &str, to: &str) -> Self {
        let inside = |key: &Key| (from..to).contains(&key.day.as_str());
        let mut outside = 0_u64;
        let mut keep = |inside: bool| {
            outside = outside.saturating_add(u64::from(!inside));
            inside
        };
        if let Some(quantities) = &mut self.quantities {
            quantities.retain(|(key, _), _| keep(inside(key)));
        }
        if let Some(costs) = &mut self.costs {
            costs.retain(|key, _| keep(inside(key)));
        }
        self.outside = outside;

        self
    }
}

/// The name a model is compared by; what is no name stays what it is.
fn named(model: &str) -> String {
    model::normalise(model).map_or_else(|_| model.to_owned(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests;
