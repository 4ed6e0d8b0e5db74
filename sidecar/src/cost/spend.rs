//! What is asked of the database, and what it answers: sums of rows, by group and period.

use clap::ValueEnum;
use contract::price::Unit;

/// What rows are summed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The tenant.
    Tenant,
    /// Who called.
    User,
    /// Their department.
    Department,
    /// Their cost center.
    #[value(alias = "cost-center")]
    CostCentre,
    /// Who served.
    Provider,
    /// The model.
    Model,
    /// The agent that called.
    Agent,
    /// Whether a price was known: what has none is then a group of its own.
    #[value(skip)]
    Priced,
}

impl By {
    /// The word for it in JSON and in tags.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::User => "user",
            Self::Department => "department",
            Self::CostCentre => "cost_centre",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Agent => "agent",
            Self::Priced => "priced",
        }
    }
}

/// The value of [`By::Priced`] for a group without a price.
pub const UNPRICED: &str = "no";

/// How long a period is. All begin at midnight UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Per {
    /// A day.
    Day,
    /// A week of ISO 8601: from Monday.
    Week,
    /// A month.
    Month,
}

/// Which sums are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// By what, in this order; nothing: all in one.
    pub by: Vec<By>,
    /// Per period; nothing: all in one.
    pub per: Option<Per>,
    /// From then on, Unix microseconds.
    pub from: u64,
    /// Before then.
    pub to: u64,
    /// Only this tenant's.
    pub tenant: Option<String>,
}

/// Tokens by kind, and searches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Input outside any cache.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Written to a cache for five minutes, or for a time that was not said.
    pub cache_write_5m: u64,
    /// Written to a cache for an hour.
    pub cache_write_1h: u64,
    /// Read from a cache.
    pub cache_read: u64,
    /// Searches; no tokens.
    pub web_searches: u64,
}

impl Tokens {
    /// How many of a kind.
    pub fn of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Input => self.input,
            Unit::Output => self.output,
            Unit::CacheWrite5m => self.cache_write_5m,
            Unit::CacheWrite1h => self.cache_write_1h,
            Unit::CacheRead => self.cache_read,
            Unit::WebSearch => self.web_searches,
        }
    }

    /// All tokens, without the searches.
    pub fn all(&self) -> u64 {
        Unit::ALL
            .into_iter()
            .filter(|unit| *unit != Unit::WebSearch)
            .fold(0, |sum, unit| sum.saturating_add(self.of(unit)))
    }

    fn add(&mut self, other: &Self) {
        let Self { input, output, cache_write_5m, cache_write_1h, cache_read, web_searches } = self;
        for (sum, more) in [
            (input, other.input),
            (output, other.output),
            (cache_write_5m, other.cache_write_5m),
            (cache_write_1h, other.cache_write_1h),
            (cache_read, other.cache_read),
            (web_searches, other.web_searches),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// One group of rows. What counts as a row here: calls that were served, and those that a provider
/// may bill although they were not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spend {
    /// The first day of its period.
    pub period: Option<String>,
    /// The values it is grouped by, in the query's order.
    pub keys: Vec<Option<String>>,
    /// Rows.
    pub calls: u64,
    /// What they took, as far as it is known.
    pub tokens: Tokens,
    /// What those with a price cost.
    pub cost_micro: u64,
    /// Rows whose price is not known.
    pub unpriced: u64,
    /// Rows whose usage is not known to the end.
    pub incomplete: u64,
    /// Rows whose usage is not known at all.
    pub unmetered: u64,
}

/// The numbers of a group, in the order the database gives them.
pub const NUMBERS: usize = 11;

impl Spend {
    /// A group as the database gives it: the period, the keys, the numbers in the order of
    /// [`crate::cost::sql`].
    pub fn new(period: Option<String>, keys: Vec<Option<String>>, numbers: [i64; NUMBERS]) -> Self {
        let [
            calls,
            input,
            output,
            cache_write,
            cache_write_1h,
            cache_read,
            web_searches,
            cost_micro,
            unpriced,
            incomplete,
            unmetered,
        ] = numbers.map(|number| u64::try_from(number).unwrap_or_default());

        Self {
            period,
            keys,
            calls,
            tokens: Tokens {
                input,
                output,
                cache_write_5m: cache_write.saturating_sub(cache_write_1h),
                cache_write_1h,
                cache_read,
                web_searches,
            },
            cost_micro,
            unpriced,
            incomplete,
            unmetered,
        }
    }

    /// The value of a key; empty where there is none.
    pub fn key(&self, query: &Query, by: By) -> &str {
        query
            .by
            .iter()
            .zip(&self.keys)
            .find_map(|(key, value)| (*key == by).then_some(value.as_deref()).flatten())
            .unwrap_or_default()
    }

    /// The cost, where any of its rows has one.
    pub fn cost(&self) -> Option<u64> {
        (self.unpriced < self.calls).then_some(self.cost_micro)
    }

    /// Adds another group's numbers.
    pub fn add(&mut self, other: &Self) {
        self.tokens.add(&other.tokens);
        for (sum, more) in [
            (&mut self.calls, other.calls),
            (&mut self.cost_micro, other.cost_micro),
            (&mut self.unpriced, other.unpriced),
            (&mut self.incomplete, other.incomplete),
            (&mut self.unmetered, other.unmetered),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}
