//! The query as SQL, for the databases we know. Pure: the store runs it.
//!
//! A statement's columns are the period (text, `2026-11-16`), the keys (text) and the
//! [`NUMBERS`](super::spend::NUMBERS) numbers (64 bits, never null). All parameters are text.

use super::spend::{By, NUMBERS, Per, Query, UNPRICED};
use crate::clock;
use std::fmt::Write;

/// Whose SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `occurred_at` is RFC 3339 text, `payload` JSON text.
    Sqlite,
    /// `occurred_at` is `timestamptz`, `payload` is `json`.
    Postgres,
}

/// A query, and what is bound to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The SQL.
    pub text: String,
    /// Its parameters, in order.
    pub parameters: Vec<String>,
    /// How many keys stand between the period and the numbers.
    pub keys: usize,
}

/// Calls that were served, and those that failed and may be billed all the same: what was not
/// answered to the end, or told its usage before it failed. What the gate refused is never billed.
const BILLABLE: &str = "kind = 'inference' AND (outcome = 'allowed' OR (outcome = 'error' AND \
     (CAST(complete AS INTEGER) = 0 OR tokens_in IS NOT NULL OR tokens_out IS NOT NULL)))";

/// The statement for a query.
pub fn statement(query: &Query, dialect: Dialect) -> Statement {
    let mut text = format!("SELECT {}", period(query.per, dialect));
    for by in &query.by {
        text.push_str(", ");
        text.push_str(key(*by, dialect));
    }
    for number in numbers(dialect) {
        // Postgres sums bigint to numeric.
        // Writing to a String cannot fail.
        let _infallible = write!(text, ", CAST(COALESCE({number}, 0) AS BIGINT)");
    }
    let from = parameter(1, dialect);
    let to = parameter(2, dialect);
    let _infallible = write!(
        text,
        " FROM audit_events WHERE occurred_at >= {from} AND occurred_at < {to} AND {BILLABLE}"
    );
    let mut parameters = vec![clock::stamp(query.from), clock::stamp(query.to)];
    if let Some(tenant) = &query.tenant {
        text.push_str(match dialect {
            Dialect::Sqlite => " AND tenant_id = ?3",
            Dialect::Postgres => " AND tenant_id = CAST($3 AS TEXT)",
        });
        parameters.push(tenant.clone());
    }
    text.push_str(" GROUP BY 1");
    for place in 2..query.by.len().saturating_add(2) {
        let _infallible = write!(text, ", {place}");
    }

    Statement { text, parameters, keys: query.by.len() }
}

/// A point in time.
fn parameter(number: usize, dialect: Dialect) -> String {
    match dialect {
        Dialect::Sqlite => format!("?{number}"),
        Dialect::Postgres => format!("CAST(CAST(${number} AS TEXT) AS TIMESTAMPTZ)"),
    }
}

/// The first day of the period.
fn period(per: Option<Per>, dialect: Dialect) -> &'static str {
    match (dialect, per) {
        (_, None) => "CAST(NULL AS TEXT)",
        (Dialect::Sqlite, Some(Per::Day)) => "substr(occurred_at, 1, 10)",
        // The Monday on or before: the first Monday from six days earlier on.
        (Dialect::Sqlite, Some(Per::Week)) => {
            "date(substr(occurred_at, 1, 10), '-6 days', 'weekday 1')"
        }
        (Dialect::Sqlite, Some(Per::Month)) => "substr(occurred_at, 1, 7) || '-01'",
        (Dialect::Postgres, Some(Per::Day)) => {
            "to_char(date_trunc('day', occurred_at AT TIME ZONE 'UTC'), 'YYYY-MM-DD')"
        }
        (Dialect::Postgres, Some(Per::Week)) => {
            "to_char(date_trunc('week', occurred_at AT TIME ZONE 'UTC'), 'YYYY-MM-DD')"
        }
        (Dialect::Postgres, Some(Per::Month)) => {
            "to_char(date_trunc('month', occurred_at AT TIME ZONE 'UTC'), 'YYYY-MM-DD')"
        }
    }
}

fn key(by: By, dialect: Dialect) -> &'static str {
    match (by, dialect) {
        (By::Tenant, _) => "tenant_id",
        (By::User, _) => "user_id",
        (By::Department, _) => "department",
        (By::Provider, _) => "provider",
        (By::Model, _) => "model",
        (By::Agent, _) => "agent_id",
        (By::Priced, _) => "CASE WHEN cost_micro IS NULL THEN 'no' ELSE 'yes' END",
        (By::CostCentre, Dialect::Sqlite) => "json_extract(payload, '$.cost_centre')",
        (By::CostCentre, Dialect::Postgres) => "payload ->> 'cost_centre'",
    }
}

const _: () = assert!(UNPRICED.len() == 2, "the word in `key`");

fn numbers(dialect: Dialect) -> [&'static str; NUMBERS] {
    let (for_an_hour, searches) = match dialect {
        Dialect::Sqlite => (
            "SUM(json_extract(payload, '$.usage.cache_write_1h'))",
            "SUM(json_extract(payload, '$.usage.web_searches'))",
        ),
        Dialect::Postgres => (
            "SUM(CAST(payload #>> '{usage,cache_write_1h}' AS BIGINT))",
            "SUM(CAST(payload #>> '{usage,web_searches}' AS BIGINT))",
        ),
    };

    [
        "COUNT(*)",
        "SUM(tokens_in)",
        "SUM(tokens_out)",
        "SUM(tokens_cache_write)",
        for_an_hour,
        "SUM(tokens_cache_read)",
        searches,
        "SUM(cost_micro)",
        "SUM(CASE WHEN cost_micro IS NULL THEN 1 ELSE 0 END)",
        "SUM(CASE WHEN CAST(complete AS INTEGER) = 0 THEN 1 ELSE 0 END)",
        "SUM(CASE WHEN tokens_in IS NULL AND tokens_out IS NULL THEN 1 ELSE 0 END)",
    ]
}

#[cfg(test)]
pub(in crate::cost) mod tests;
