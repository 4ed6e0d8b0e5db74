//! The report as CSV with the columns of FOCUS 1.2, the Open Cost and Usage Specification.
//!
//! One line for each group, not one for each kind of token: a row keeps one price, rounded once and
//! with its region's factor, so a share of it for each kind would be a guess. The counts of each kind
//! stand in columns of our own, which FOCUS wants to begin with `x_`. Calls without a price are lines
//! of their own, without a cost: FOCUS forbids that, and a zero would be a lie.

use super::money::Money;
use super::spend::{By, Per, Query, Spend, UNPRICED};
use crate::clock;
use crate::failure::Failure;
use crate::screen::Screen;
use contract::price::Unit;
use csv::{Terminator, WriterBuilder};
use serde_json::{Map, Value};
use std::io;

/// The columns: the mandatory ones of FOCUS 1.2, some that depend on what is billed, and ours.
const COLUMNS: [&str; 40] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ResourceId",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
    "x_Calls",
    "x_IncompleteCalls",
    "x_UnpricedCalls",
    "x_InputTokens",
    "x_OutputTokens",
    "x_CacheWrite5mTokens",
    "x_CacheWrite1hTokens",
    "x_CacheReadTokens",
    "x_WebSearches",
];

/// What every line is told apart by.
const ALWAYS: [By; 4] = [By::Tenant, By::Provider, By::Model, By::Priced];

/// The query whose answer can be written so.
pub fn query(wanted: Query) -> Query {
    let mut by = ALWAYS.to_vec();
    by.extend(wanted.by.into_iter().filter(|by| !ALWAYS.contains(by)));

    Query { by, per: wanted.per.or(Some(Per::Day)), ..wanted }
}

/// Prints the groups.
///
/// # Errors
/// [`Failure::Output`].
pub fn print(
    query: &Query,
    mut spent: Vec<Spend>,
    account: Option<&str>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    spent.sort_by(|one, other| (&one.period, &one.keys).cmp(&(&other.period, &other.keys)));
    let text = text(query, &spent, account.unwrap_or_default())?;
    screen.print(&text)?;
    let unpriced: u64 = spent.iter().map(|group| group.unpriced).sum();
    if unpriced > 0 {
        screen.say(&format!("Without a price: {unpriced} calls; their lines have no cost."));
    }

    Ok(())
}

fn text(query: &Query, spent: &[Spend], account: &str) -> Result<String, Failure> {
    // RFC 4180: lines end with CR and LF.
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(io::Error::from)?;
    for spend in spent {
        if let Some(line) = line(query, spend, account) {
            writer.write_record(line).map_err(io::Error::from)?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| Failure::Output(error.into_error()))?;

    String::from_utf8(bytes).map_err(|error| Failure::Output(io::Error::other(error)))
}

/// A line, with its values in the order of [`COLUMNS`].
fn line(query: &Query, spend: &Spend, account: &str) -> Option<Vec<String>> {
    let day = spend.period.as_deref()?;
    let (month_from, month_to) = clock::month_of(day)?;
    let (from, to) = match query.per {
        Some(Per::Month) => (month_from, month_to),
        _ => clock::day_of(day)?,
    };
    let time = |micros: u64| clock::readable(micros / 1_000_000);
    let cost = match spend.key(query, By::Priced) {
        UNPRICED => String::new(),
        _ => Money::from_micro(spend.cost_micro).to_string(),
    };
    let provider = safe(spend.key(query, By::Provider));
    let model = safe(spend.key(query, By::Model));
    let tenant = safe(spend.key(query, By::Tenant));
    let doubt = if cost.is_empty() { " whose price is not known" } else { "" };
    let described = format!("Calls of {}{doubt}", spend.key(query, By::Model));
    let tokens = spend.tokens.all().to_string();

    let mut line = vec![
        cost.clone(),
        safe(account),
        String::new(),
        "USD".into(),
        time(month_to),
        time(month_from),
        "Usage".into(),
        String::new(),
        described,
        "Usage-Based".into(),
        // What was asked for may begin or end within it.
        time(to.min(query.to)),
        time(from.max(query.from)),
        tokens.clone(),
        "Tokens".into(),
        cost.clone(),
        cost.clone(),
        provider.clone(),
        cost,
        "Standard".into(),
        tokens,
        "Tokens".into(),
        provider.clone(),
        provider,
        model.clone(),
        "AI and Machine Learning".into(),
        "Messages API".into(),
        "Generative AI".into(),
        model,
        tenant.clone(),
        tenant,
        tags(query, spend),
    ];
    line.extend([spend.calls, spend.incomplete, spend.unpriced].map(|count| count.to_string()));
    line.extend(Unit::ALL.map(|unit| spend.tokens.of(unit).to_string()));

    Some(line)
}

/// A JSON object of what else the line is told apart by.
fn tags(query: &Query, spend: &Spend) -> String {
    let tags: Map<String, Value> = query
        .by
        .iter()
        .zip(&spend.keys)
        .filter(|(by, _)| !ALWAYS.contains(by))
        .filter_map(|(by, key)| Some((by.as_str().to_owned(), Value::from(key.clone()?))))
        .collect();

    Value::Object(tags).to_string()
}

/// A value that no spreadsheet takes for a formula: people choose their names.
fn safe(value: &str) -> String {
    if value.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{value}")
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests;
