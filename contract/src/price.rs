//! What a call cost, in integer microdollars.
//!
//! Prices are dated data, kept as decimal text and computed in whole nanodollars, so that a row ties
//! to the provider's invoice. What is not known is not guessed: no rate, a service tier or a region
//! without a price, or two lines of which neither is the more specific make the cost unknown, never
//! zero.
//!
//! A card has layers: the list prices that the build ships, and above them what was negotiated and
//! stands in the signed policy. A line above wins, however the line below is written. Within one
//! layer an exact name beats a pattern, and of two patterns the one with more letters of its own.

mod sheet;

pub use self::sheet::{Sheet, SheetLine};

use self::sheet::thousand;
use crate::model;
use crate::policy::Fault;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use thiserror::Error;

/// Regions that cost what no region costs: the provider's words for "anywhere" and "not said".
const ANYWHERE: [&str; 3] = ["global", "not_available", ""];

/// A rate card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateCard {
    as_of: String,
    list: Layer,
    negotiated: Option<Layer>,
}

/// One sheet of prices, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layer {
    lines: Vec<Line>,
    /// Nanodollars a search, by provider.
    searches: BTreeMap<String, u64>,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    provider: String,
    /// In the form names are compared in.
    models: Vec<String>,
    price: Price,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Price {
    Stated(Rates),
    /// Thousandths of the price below.
    Reduced(u64),
}

/// Nanodollars a token, which are thousandths of dollars a million tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rates {
    input: u64,
    output: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    cache_read: u64,
    /// Thousandths of the price, by region.
    regions: BTreeMap<String, u64>,
}

/// What a model costs: the rates, and how many thousandths of each are to be paid.
#[derive(Debug, Clone, Copy)]
struct Priced<'a> {
    rates: &'a Rates,
    share: u64,
}

/// What is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// A token of input outside any cache.
    Input,
    /// A token of output.
    Output,
    /// A token written to a cache for five minutes.
    CacheWrite5m,
    /// A token written to a cache for an hour.
    CacheWrite1h,
    /// A token read from a cache.
    CacheRead,
    /// A search.
    WebSearch,
}

impl Unit {
    /// All of them, in the order people read them.
    pub const ALL: [Self; 6] = [
        Self::Input,
        Self::Output,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::CacheRead,
        Self::WebSearch,
    ];

    /// The word for it in reports and sheets.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::CacheRead => "cache_read",
            Self::WebSearch => "web_search",
        }
    }
}

/// What was used, as the provider counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used<'a> {
    /// Input tokens outside any cache.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Tokens written to a cache, of any lifetime.
    pub cache_write: u64,
    /// Of these, those written for an hour.
    pub cache_write_1h: u64,
    /// Tokens read from a cache.
    pub cache_read: u64,
    /// Searches.
    pub web_searches: u64,
    /// Where it was computed, if the provider says so.
    pub region: Option<&'a str>,
    /// The tier it was served at, if the provider says so.
    pub tier: Option<&'a str>,
}

/// A fault of a card.
#[derive(Debug, Error)]
pub enum RateError {
    /// Not JSON of its form.
    #[error("not a rate card: {0}")]
    Malformed(#[from] serde_json::Error),
    /// What it says is no card.
    #[error("not a rate card: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Faulty(Vec<Fault>),
}

impl RateCard {
    /// The card this build ships.
    ///
    /// # Errors
    /// Only if the shipped file is broken, which a test rules out.
    pub fn shipped() -> Result<Self, RateError> {
        Self::parse(include_bytes!("../data/rates.json"))
    }

    /// Reads a card of list prices.
    ///
    /// # Errors
    /// [`RateError`].
    pub fn parse(text: &[u8]) -> Result<Self, RateError> {
        let sheet: Sheet = serde_json::from_slice(text)?;
        let as_of = sheet.as_of.clone();
        let list = sheet.checked(false).map_err(RateError::Faulty)?;

        Ok(Self { as_of, list, negotiated: None })
    }

    /// The same card with what was negotiated laid over it.
    ///
    /// # Errors
    /// Every fault at once, each with its place in the sheet.
    pub fn with(self, negotiated: Sheet) -> Result<Self, Vec<Fault>> {
        let as_of = negotiated.as_of.clone();

        Ok(Self { as_of, negotiated: Some(negotiated.checked(true)?), ..self })
    }

    /// The day its prices were read; of a card with negotiated prices, the day of those.
    pub fn as_of(&self) -> &str {
        &self.as_of
    }

    /// The price of a call in microdollars, rounded half up; `None` where it is not known. A call is
    /// what it took of each model that ran for it, named by its normalised name; it is rounded once.
    pub fn cost_micro<M: AsRef<str>>(&self, provider: &str, call: &[(M, Used<'_>)]) -> Option<u64> {
        let nanos = call.iter().try_fold(0_u64, |sum, (model, used)| {
            sum.checked_add(self.taken(provider, model.as_ref(), used)?)
        })?;

        thousand(nanos)
    }

    fn taken(&self, provider: &str, model: &str, used: &Used<'_>) -> Option<u64> {
        if !matches!(used.tier, None | Some("standard")) {
            return None;
        }
        let priced = self.priced(provider, model)?;
        let searches = match used.web_searches {
            0 => 0,
            count => self.search(provider)?.checked_mul(count)?,
        };
        let tokens = [
            (used.input, Unit::Input),
            (used.output, Unit::Output),
            (used.cache_write.checked_sub(used.cache_write_1h)?, Unit::CacheWrite5m),
            (used.cache_write_1h, Unit::CacheWrite1h),
            (used.cache_read, Unit::CacheRead),
        ]
        .into_iter()
        .try_fold(0_u64, |sum, (count, unit)| {
            sum.checked_add(count.checked_mul(priced.of(unit)?)?)
        })?;

        priced.rates.in_region(tokens, used.region)?.checked_add(searches)
    }

    /// The price of one unit in nanodollars, without any region's factor; `None` where it is not
    /// known.
    pub fn nanos(&self, provider: &str, model: &str, unit: Unit) -> Option<u64> {
        match unit {
            Unit::WebSearch => self.search(provider),
            _ => self.priced(provider, model)?.of(unit),
        }
    }

    /// Who has prices, as the card names them; one may come several times.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        let layers = self.negotiated.iter().chain(std::iter::once(&self.list));

        layers.flat_map(|layer| &layer.lines).map(|line| line.provider.as_str())
    }

    fn search(&self, provider: &str) -> Option<u64> {
        let negotiated = self.negotiated.as_ref().and_then(|layer| layer.searches.get(provider));

        negotiated.or_else(|| self.list.searches.get(provider)).copied()
    }

    fn priced(&self, provider: &str, model: &str) -> Option<Priced<'_>> {
        let above = match &self.negotiated {
            Some(layer) => layer.find(provider, model),
            None => Found::Nothing,
        };
        let share = match above {
            Found::Line(Line { price: Price::Stated(rates), .. }) => {
                return Some(Priced { rates, share: 1_000 });
            }
            Found::Line(Line { price: Price::Reduced(share), .. }) => *share,
            Found::Nothing => 1_000,
            Found::Many => return None,
        };

        match self.list.find(provider, model) {
            Found::Line(Line { price: Price::Stated(rates), .. }) => Some(Priced { rates, share }),
            _ => None,
        }
    }
}

/// What a layer says of a model.
enum Found<'a> {
    Nothing,
    Line(&'a Line),
    /// Several lines, and none of them is the most specific.
    Many,
}

impl Layer {
    fn find(&self, provider: &str, model: &str) -> Found<'_> {
        let mut best = None;
        let mut found = Found::Nothing;
        for line in self.lines.iter().filter(|line| line.provider == provider) {
            let fits = line.models.iter().filter(|pattern| model::matches(pattern, model));
            let Some(specific) = fits.map(|pattern| specificity(pattern)).max() else { continue };
            match Some(specific).cmp(&best) {
                Ordering::Greater => (best, found) = (Some(specific), Found::Line(line)),
                Ordering::Equal => found = Found::Many,
                Ordering::Less => {}
            }
        }

        found
    }
}

/// Names beat patterns; of patterns the one with more signs of its own is the more specific.
fn specificity(pattern: &str) -> (bool, usize) {
    (!pattern.contains('*'), pattern.bytes().filter(|&byte| byte != b'*').count())
}

impl Priced<'_> {
    /// Nanodollars for one, rounded half up where a part of the price is paid.
    fn of(self, unit: Unit) -> Option<u64> {
        let list = match unit {
            Unit::Input => self.rates.input,
            Unit::Output => self.rates.output,
            Unit::CacheWrite5m => self.rates.cache_write_5m,
            Unit::CacheWrite1h => self.rates.cache_write_1h,
            Unit::CacheRead => self.rates.cache_read,
            Unit::WebSearch => return None, // has a price of its own, by provider
        };

        thousand(list.checked_mul(self.share)?)
    }
}

impl Rates {
    fn in_region(&self, nanos: u64, region: Option<&str>) -> Option<u64> {
        match region.filter(|region| !ANYWHERE.contains(region)) {
            None => Some(nanos),
            Some(region) => thousand(nanos.checked_mul(*self.regions.get(region)?)?),
        }
    }
}

#[cfg(test)]
mod tests;
