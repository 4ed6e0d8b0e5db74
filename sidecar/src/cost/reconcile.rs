//! Our rows beside a provider's bill.
//!
//! Quantities are compared by day, model and kind; amounts by day and model, because a row keeps one
//! price. Differences never cancel each other out: what counts is the sum of their sizes. Each row's
//! price was rounded to a microdollar, so amounts may be half a microdollar a call apart; that much
//! is never held against the bill.

use super::bill::{Bill, Key};
use super::money::Money;
use super::spend::Spend;
use contract::price::{RateCard, Unit};
use std::collections::{BTreeMap, BTreeSet};

mod show;

/// A quantity in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Of what.
    pub key: Key,
    /// Of which kind.
    pub unit: Unit,
    /// The rows' sum.
    pub ours: u64,
    /// The bill's.
    pub theirs: u64,
    /// What the difference costs at our prices; `None` if nobody knows.
    pub worth: Option<Money>,
}

/// An amount in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charged {
    /// For what; without a model where the bill has amounts of that day that name none.
    pub key: Key,
    /// The rows' sum.
    pub ours: Money,
    /// The bill's.
    pub theirs: Money,
    /// How much of the difference can be our rounding.
    pub rounding: Money,
}

/// Rows that may be why the two differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Of which day, provider and model, as far as they are known.
    pub key: Key,
    /// Rows whose usage is not known at all.
    pub unmetered: u64,
    /// Rows whose usage is not known to the end.
    pub incomplete: u64,
    /// Rows without a price.
    pub unpriced: u64,
}

/// The two beside each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// Quantities, if the bill has any.
    pub counted: Option<Vec<Counted>>,
    /// Amounts, if the bill has any.
    pub charged: Option<Vec<Charged>>,
    /// Possible reasons in our rows.
    pub gaps: Vec<Gap>,
    /// Providers that served and are not on this bill.
    pub others: BTreeSet<String>,
    /// Lines of the bill that are of other days.
    pub outside: u64,
    /// Tokens on the bill of another tier than the standard one.
    pub other_tiers: u64,
}

/// What our rows say.
#[derive(Default)]
struct Ours {
    quantities: BTreeMap<(Key, Unit), u64>,
    /// Cost and calls.
    costs: BTreeMap<Key, (u64, u64)>,
}

/// Lays the sums of our rows, by day, provider and model, beside a bill.
pub fn compare(spent: &[Spend], bill: Bill, card: &RateCard) -> Compared {
    let mut compared =
        Compared { outside: bill.outside, other_tiers: bill.other_tiers, ..Compared::default() };
    let mut ours = Ours::default();
    for spend in spent {
        let key = key(spend);
        if spend.unmetered > 0 || spend.incomplete > 0 || spend.unpriced > 0 {
            let Spend { unmetered, incomplete, unpriced, .. } = *spend;
            compared.gaps.push(Gap { key: key.clone(), unmetered, incomplete, unpriced });
        }
        if bill.providers.contains(&key.provider) {
            ours.add(key, spend);
        } else if !key.provider.is_empty() {
            compared.others.insert(key.provider);
        }
    }
    compared.gaps.sort_by(|one, other| one.key.cmp(&other.key));
    compared.counted = bill.quantities.map(|theirs| counted(&ours.quantities, &theirs, card));
    compared.charged = bill.costs.map(|theirs| charged(&ours.costs, theirs));

    compared
}

fn key(spend: &Spend) -> Key {
    let mut names = spend.keys.iter().map(|name| name.clone().unwrap_or_default());
    let provider = names.next().unwrap_or_default();
    let model = names.next().unwrap_or_default();

    Key { day: spend.period.clone().unwrap_or_default(), provider, model }
}

impl Ours {
    fn add(&mut self, key: Key, spend: &Spend) {
        for unit in Unit::ALL {
            let sum = self.quantities.entry((key.clone(), unit)).or_default();
            *sum = sum.saturating_add(spend.tokens.of(unit));
        }
        let (cost, calls) = self.costs.entry(key).or_default();
        *cost = cost.saturating_add(spend.cost_micro);
        *calls = calls.saturating_add(spend.calls);
    }
}

fn counted(
    ours: &BTreeMap<(Key, Unit), u64>,
    theirs: &BTreeMap<(Key, Unit), u64>,
    card: &RateCard,
) -> Vec<Counted> {
    let all: BTreeSet<&(Key, Unit)> = ours.keys().chain(theirs.keys()).collect();

    all.into_iter()
        .map(|place| {
            let of =
                |from: &BTreeMap<(Key, Unit), u64>| from.get(place).copied().unwrap_or_default();
            let (ours, theirs) = (of(ours), of(theirs));
            let (key, unit) = place.clone();
            let worth = match ours.abs_diff(theirs) {
                0 => Some(Money::default()),
                apart => card
                    .nanos(&key.provider, &key.model, unit)
                    .map(|nanos| Money::from_nanos(nanos, apart)),
            };

            Counted { key, unit, ours, theirs, worth }
        })
        .filter(|line| line.ours > 0 || line.theirs > 0)
        .collect()
}

fn charged(ours: &BTreeMap<Key, (u64, u64)>, theirs: BTreeMap<Key, Money>) -> Vec<Charged> {
    // Searches are billed beside the models; our rows have them in their price. Where the bill has
    // such an amount, that day is compared as a whole.
    let whole: BTreeSet<(String, String)> = theirs
        .keys()
        .filter(|key| key.model.is_empty())
        .map(|key| (key.day.clone(), key.provider.clone()))
        .collect();
    let place = |key: &Key| {
        let mut key = key.clone();
        if whole.contains(&(key.day.clone(), key.provider.clone())) {
            key.model.clear();
        }
        key
    };

    let mut lines: BTreeMap<Key, Charged> = BTreeMap::new();
    let none = |key: Key| Charged {
        key,
        ours: Money::default(),
        theirs: Money::default(),
        rounding: Money::default(),
    };
    for (key, (cost, calls)) in ours {
        let key = place(key);
        let line = lines.entry(key.clone()).or_insert_with(|| none(key));
        line.ours = line.ours + Money::from_micro(*cost);
        line.rounding = line.rounding + Money::from_nanos(500, *calls);
    }
    for (key, amount) in theirs {
        let key = place(&key);
        let line = lines.entry(key.clone()).or_insert_with(|| none(key));
        line.theirs = line.theirs + amount;
    }

    lines
        .into_values()
        .filter(|line| line.ours != line.theirs || line.ours != Money::default())
        .collect()
}

impl Charged {
    /// How far apart they are, beyond rounding.
    fn apart(&self) -> Money {
        ((self.ours - self.theirs).abs() - self.rounding).max(Money::default())
    }
}

impl Compared {
    /// What the differences in quantity cost; `None` if one of them has no price.
    pub fn counted_apart(&self) -> Option<Money> {
        self.counted
            .iter()
            .flatten()
            .map(|line| line.worth)
            .try_fold(Money::default(), |sum, worth| Some(sum + worth?))
    }

    /// How far the amounts are apart, beyond rounding.
    pub fn charged_apart(&self) -> Money {
        self.charged.iter().flatten().map(Charged::apart).sum()
    }

    /// Are they no further apart than so many microdollars?
    pub fn agrees(&self, tolerance_micro: u64) -> bool {
        let most = Money::from_micro(tolerance_micro);

        self.counted_apart().is_some_and(|apart| apart <= most) && self.charged_apart() <= most
    }
}

#[cfg(test)]
mod tests;
