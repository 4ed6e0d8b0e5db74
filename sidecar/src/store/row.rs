//! A row of `audit_events`: its columns, as they are written, as they are read back, and the digest
//! that the chain holds.

use super::chain::Digest;
use contract::audit::{CallSource, Event};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use sha2::Digest as _;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Text.
    Text,
    /// A time: text in `SQLite`, `timestamptz` in Postgres.
    Time,
    /// A whole number.
    Int,
    /// A number.
    Real,
    /// Yes or no.
    Bool,
    /// JSON.
    Json,
}

/// The columns of `audit_events`, in their order. `contract::audit::Event` has the same members.
pub const COLUMNS: [(&str, Type); 32] = [
    ("event_id", Type::Text),
    ("occurred_at", Type::Time),
    ("tenant_id", Type::Text),
    ("user_id", Type::Text),
    ("session_id", Type::Text),
    ("trace_id", Type::Text),
    ("client_id", Type::Text),
    ("policy_ver", Type::Text),
    ("bundle_ver", Type::Text),
    ("call_source", Type::Text),
    ("kind", Type::Text),
    ("model", Type::Text),
    ("provider", Type::Text),
    ("upstream_region", Type::Text),
    ("department", Type::Text),
    ("agent_id", Type::Text),
    ("tokens_in", Type::Int),
    ("tokens_out", Type::Int),
    ("tokens_cache_write", Type::Int),
    ("tokens_cache_read", Type::Int),
    ("cost_micro", Type::Int),
    ("latency_ms", Type::Int),
    ("gate_ms", Type::Real),
    ("first_token_ms", Type::Int),
    ("status", Type::Int),
    ("outcome", Type::Text),
    ("rule_id", Type::Text),
    ("credential_id", Type::Text),
    ("request_id", Type::Text),
    ("parent_event_id", Type::Text),
    ("complete", Type::Bool),
    ("payload", Type::Json),
];

/// How many there are.
pub const WIDTH: usize = COLUMNS.len();

/// Their names, as a statement lists them.
pub fn names() -> String {
    COLUMNS.map(|(name, _)| name).join(", ")
}

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// Text.
    Text(Option<&'a str>),
    /// A time, as [`crate::clock::stamp`] writes it.
    Time(&'a str),
    /// A whole number.
    Int(Option<i64>),
    /// A number.
    Real(Option<f64>),
    /// Yes or no.
    Bool(bool),
    /// JSON.
    Json(&'a str),
}

/// What the store adds to an event before it becomes a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// The call that this one continues.
    pub parent_event_id: String,
    /// What that one belongs to.
    pub trace_id: Option<String>,
    /// The `tool_use` of it that a call of an MCP server takes for its own.
    pub takes: Option<String>,
}

/// The values of an event in the order of [`COLUMNS`].
pub fn cells<'a>(
    event: &'a Event<'static>,
    occurred_at: &'a str,
    payload: &'a str,
    link: Option<&'a Link>,
) -> [Cell<'a>; WIDTH] {
    let number = |number: Option<u64>| Cell::Int(number.map(super::signed));
    let parent = link.map(|link| &*link.parent_event_id).or(event.parent_event_id.as_deref());
    let trace = link.and_then(|link| link.trace_id.as_deref()).or(event.trace_id.as_deref());

    [
        Cell::Text(Some(&event.event_id)),
        Cell::Time(occurred_at),
        Cell::Text(Some(&event.tenant_id)),
        Cell::Text(Some(&event.user_id)),
        Cell::Text(event.session_id.as_deref()),
        Cell::Text(trace),
        Cell::Text(event.client_id.as_deref()),
        Cell::Text(event.policy_ver.as_deref()),
        Cell::Text(event.bundle_ver.as_deref()),
        Cell::Text(event.call_source.map(CallSource::as_str)),
        Cell::Text(Some(event.kind.as_str())),
        Cell::Text(event.model.as_deref()),
        Cell::Text(event.provider.as_deref()),
        Cell::Text(event.upstream_region.as_deref()),
        Cell::Text(event.department.as_deref()),
        Cell::Text(event.agent_id.as_deref()),
        number(event.tokens_in),
        number(event.tokens_out),
        number(event.tokens_cache_write),
        number(event.tokens_cache_read),
        number(event.cost_micro),
        number(event.latency_ms),
        Cell::Real(event.gate_ms),
        number(event.first_token_ms),
        Cell::Int(event.status.map(i64::from)),
        Cell::Text(Some(event.outcome.as_str())),
        Cell::Text(event.rule_id.as_deref()),
        Cell::Text(event.credential_id.as_deref()),
        Cell::Text(event.request_id.as_deref()),
        Cell::Text(parent),
        Cell::Bool(event.complete),
        Cell::Json(payload),
    ]
}

/// What the chain holds of a row: SHA-256 over writer, place and every value, each with its type and
/// length, so that no two rows share it. Of the payload it is what stands before `content`, which
/// names the content's own digest: content can be erased, and nothing else.
pub fn digest<'a>(writer: &str, place: i64, cells: impl IntoIterator<Item = Cell<'a>>) -> Digest {
    let mut hash = sha2::Sha256::new();
    let mut put = |tag: u8, bytes: &[u8]| {
        hash.update([tag]);
        hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(bytes);
    };
    put(b'w', writer.as_bytes());
    put(b'p', &place.to_be_bytes());
    for cell in cells {
        match cell {
            Cell::Text(None) | Cell::Int(None) | Cell::Real(None) => put(b'n', &[]),
            Cell::Text(Some(text)) | Cell::Time(text) => put(b't', text.as_bytes()),
            Cell::Int(Some(number)) => put(b'i', &number.to_be_bytes()),
            Cell::Real(Some(number)) => put(b'r', &number.to_bits().to_be_bytes()),
            Cell::Bool(flag) => put(b'b', &[u8::from(flag)]),
            Cell::Json(text) => put(b'j', parts(text).0.as_bytes()),
        }
    }

    hash.finalize().into()
}

/// A payload before its content, and the content. `content` is its last member, and nothing before
/// it has a member of that name; inside a text the quotes would be escaped.
pub fn parts(payload: &str) -> (&str, Option<&str>) {
    const KEY: &str = ",\"content\":";
    match payload.split_once(KEY) {
        Some((before, content)) => (before, content.strip_suffix('}')),
        None => (payload.strip_suffix('}').unwrap_or(payload), None),
    }
}

/// A row, with the values of [`COLUMNS`] in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Who stored it.
    pub writer: String,
    /// Its place among that writer's rows: rises with each row stored.
    pub place: i64,
    /// Its digest, as it was stored.
    pub digest: Vec<u8>,
    /// The payload as it was stored.
    pub raw: String,
    /// The values.
    pub values: Vec<Value>,
}

impl Row {
    /// The value of a column; null for one that is not there.
    pub fn get(&self, column: &str) -> &Value {
        COLUMNS
            .iter()
            .zip(&self.values)
            .find_map(|((name, _), value)| (*name == column).then_some(value))
            .unwrap_or(&Value::Null)
    }

    /// The value of a column as a person reads it; empty for null.
    pub fn text(&self, column: &str) -> String {
        match self.get(column) {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// Without what was said: for whom that is not.
    #[must_use]
    pub fn without_content(mut self) -> Self {
        for ((name, _), value) in COLUMNS.iter().zip(&mut self.values) {
            if *name == "payload"
                && let Some(payload) = value.as_object_mut()
            {
                payload.remove("content");
            }
        }
        self.raw.clear();

        self
    }

    /// The digest of what it says now.
    pub fn actual_digest(&self) -> Digest {
        let cells = COLUMNS.iter().zip(&self.values).map(|((_, kind), value)| match kind {
            Type::Text => Cell::Text(value.as_str()),
            Type::Time => Cell::Time(value.as_str().unwrap_or_default()),
            Type::Int => Cell::Int(value.as_i64()),
            Type::Real => Cell::Real(value.as_f64()),
            Type::Bool => Cell::Bool(value.as_bool().unwrap_or_default()),
            Type::Json => Cell::Json(&self.raw),
        });

        digest(&self.writer, self.place, cells)
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(COLUMNS.len()))?;
        for ((name, _), value) in COLUMNS.iter().zip(&self.values) {
            map.serialize_entry(name, value)?;
        }

        map.end()
    }
}

#[cfg(test)]
mod tests;
