//! A bill as a table, for providers without a report of their own that we know.
//!
//! Columns by name, in any order: `day`, `provider`, `model`, `kind`, `quantity`, `cost_usd`. A line
//! has a quantity of a kind, an amount, or both.

use super::{Bill, Fault, Key, named};
use crate::clock;
use crate::cost::money::Money;
use contract::price::Unit;
use csv::{ReaderBuilder, Trim};
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    day: String,
    provider: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    quantity: String,
    #[serde(default)]
    cost_usd: String,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Bill, Fault> {
    let mut bill = Bill::default();
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(bytes);
    for (index, line) in reader.deserialize::<Line>().enumerate() {
        let line = line?;
        // The head is line 1.
        let number = index.saturating_add(2);
        let wrong = |column: &str, value: &str, wanted| Fault::Value {
            place: format!("line {number}, {column}"),
            value: value.into(),
            wanted,
        };
        if clock::day_of(&line.day).is_none() {
            return Err(wrong("day", &line.day, "day such as 2026-11-21"));
        }
        if line.provider.is_empty() {
            return Err(wrong("provider", &line.provider, "provider"));
        }
        if line.quantity.is_empty() && line.cost_usd.is_empty() {
            return Err(wrong("quantity", "", "quantity, nor is there a cost_usd"));
        }
        let key = Key { day: line.day, provider: line.provider, model: named_or_none(&line.model) };
        if !line.quantity.is_empty() {
            let unit = Unit::ALL.into_iter().find(|unit| unit.as_str() == line.kind);
            let unit = unit.ok_or_else(|| wrong("kind", &line.kind, "kind that we know"))?;
            let quantity = line
                .quantity
                .parse()
                .ok()
                .ok_or_else(|| wrong("quantity", &line.quantity, "count"))?;
            if key.model.is_empty() {
                return Err(wrong("model", "", "model"));
            }
            bill.quantity(key.clone(), unit, quantity);
        }
        if !line.cost_usd.is_empty() {
            let amount = Money::from_dollars(&line.cost_usd)
                .ok_or_else(|| wrong("cost_usd", &line.cost_usd, "amount of dollars"))?;
            bill.cost(key, amount);
        }
    }

    Ok(bill)
}

fn named_or_none(model: &str) -> String {
    if model.is_empty() { String::new() } else { named(model) }
}
