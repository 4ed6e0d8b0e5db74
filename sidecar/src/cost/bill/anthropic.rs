//! The Admin API's reports: `usage_report/messages` and `cost_report`.
//!
//! Pages as they came: one JSON after the other, one on each line, or in an array. What a page does
//! not know (new members, new kinds of cost) is passed over, but `data` must be there: an error's
//! answer is not a bill of nothing.

use super::{Bill, Fault, Key, named};
use crate::clock;
use crate::cost::money::Money;
use contract::price::Unit;
use serde::Deserialize;
use serde_json::Deserializer;
use serde_json::value::RawValue;

const PROVIDER: &str = "anthropic";

#[derive(Deserialize)]
struct Page {
    data: Vec<Bucket>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct Bucket {
    starting_at: String,
    results: Vec<Line>,
}

/// A line of either report: an amount, or counts.
#[derive(Deserialize)]
struct Line {
    model: Option<String>,
    service_tier: Option<String>,
    /// Cents, as decimal text.
    amount: Option<String>,
    currency: Option<String>,
    uncached_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    server_tool_use: Option<ServerToolUse>,
}

#[derive(Deserialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct ServerToolUse {
    web_search_requests: Option<u64>,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Bill, Fault> {
    let mut bill = Bill::default();
    let mut more = false;
    for value in Deserializer::from_slice(bytes).into_iter::<&RawValue>() {
        let value = value?.get();
        let pages: Vec<Page> = if value.starts_with('[') {
            serde_json::from_str(value)?
        } else {
            vec![serde_json::from_str(value)?]
        };
        for page in pages {
            more = page.has_more;
            bill.providers.insert(PROVIDER.into());
            for bucket in page.data {
                take(&mut bill, bucket)?;
            }
        }
    }
    if more {
        return Err(Fault::More);
    }
    if !bill.providers.is_empty() && bill.costs.is_none() {
        bill.quantities.get_or_insert_default(); // days without any usage are a bill of nothing
    }

    Ok(bill)
}

fn take(bill: &mut Bill, bucket: Bucket) -> Result<(), Fault> {
    let day: String = match clock::point(&bucket.starting_at) {
        Ok(start) => clock::stamp(start).chars().take(10).collect(),
        Err(_) => return Err(wrong("starting_at", &bucket.starting_at, "time")),
    };
    for line in bucket.results {
        let key = Key {
            day: day.clone(),
            provider: PROVIDER.into(),
            model: line.model.as_deref().map(named).unwrap_or_default(),
        };
        if let Some(amount) = &line.amount {
            if line.currency.as_deref().is_some_and(|currency| currency != "USD") {
                return Err(wrong("currency", &line.currency.unwrap_or_default(), "US dollars"));
            }
            let amount = Money::from_cents(amount)
                .ok_or_else(|| wrong("amount", amount, "amount of cents"))?;
            bill.cost(key, amount);
        } else {
            used(bill, &key, &line)?;
        }
    }

    Ok(())
}

fn used(bill: &mut Bill, key: &Key, line: &Line) -> Result<(), Fault> {
    let created = line.cache_creation.as_ref();
    let tools = line.server_tool_use.as_ref();
    let counts = [
        (Unit::Input, line.uncached_input_tokens),
        (Unit::Output, line.output_tokens),
        (Unit::CacheWrite5m, created.and_then(|created| created.ephemeral_5m_input_tokens)),
        (Unit::CacheWrite1h, created.and_then(|created| created.ephemeral_1h_input_tokens)),
        (Unit::CacheRead, line.cache_read_input_tokens),
        (Unit::WebSearch, tools.and_then(|tools| tools.web_search_requests)),
    ];
    if key.model.is_empty() && counts.iter().any(|(_, count)| count.is_some_and(|n| n > 0)) {
        return Err(Fault::NoModel(key.day.clone()));
    }
    let standard = matches!(line.service_tier.as_deref(), None | Some("standard"));
    for (unit, count) in counts {
        let count = count.unwrap_or_default();
        if !standard && unit != Unit::WebSearch {
            bill.other_tiers = bill.other_tiers.saturating_add(count);
        }
        bill.quantity(key.clone(), unit, count);
    }

    Ok(())
}

fn wrong(place: &str, value: &str, wanted: &'static str) -> Fault {
    Fault::Value { place: place.into(), value: value.into(), wanted }
}
