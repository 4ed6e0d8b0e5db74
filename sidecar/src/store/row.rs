//! A row of `audit_events` as it is read back.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

/// The columns of `audit_events`, in their order. `contract::audit::Event` has the same members.
pub const COLUMNS: [&str; 32] = [
    "event_id",
    "occurred_at",
    "tenant_id",
    "user_id",
    "session_id",
    "trace_id",
    "client_id",
    "policy_ver",
    "bundle_ver",
    "call_source",
    "kind",
    "model",
    "provider",
    "upstream_region",
    "department",
    "agent_id",
    "tokens_in",
    "tokens_out",
    "tokens_cache_write",
    "tokens_cache_read",
    "cost_micro",
    "latency_ms",
    "gate_ms",
    "first_token_ms",
    "status",
    "outcome",
    "rule_id",
    "credential_id",
    "request_id",
    "parent_event_id",
    "complete",
    "payload",
];

/// A row, with the values of [`COLUMNS`] in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its place in the table: rises with each row stored.
    pub place: i64,
    /// The values.
    pub values: Vec<Value>,
}

impl Row {
    /// The value of a column; null for one that is not there.
    pub fn get(&self, column: &str) -> &Value {
        COLUMNS
            .iter()
            .zip(&self.values)
            .find_map(|(name, value)| (*name == column).then_some(value))
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
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(COLUMNS.len()))?;
        for (name, value) in COLUMNS.iter().zip(&self.values) {
            map.serialize_entry(name, value)?;
        }

        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::audit::{CallSource, Event};

    #[test]
    fn the_columns_are_the_event_s_members_in_their_order() {
        let full = Event {
            event_id: "e".into(),
            occurred_at: 1,
            tenant_id: "t".into(),
            user_id: "u".into(),
            session_id: Some("s".into()),
            trace_id: Some("t".into()),
            client_id: Some("c".into()),
            policy_ver: Some("p".into()),
            bundle_ver: Some("b".into()),
            call_source: Some(CallSource::Job),
            model: Some("m".into()),
            provider: Some("p".into()),
            upstream_region: Some("r".into()),
            department: Some("d".into()),
            agent_id: Some("a".into()),
            tokens_in: Some(1),
            tokens_out: Some(1),
            tokens_cache_write: Some(1),
            tokens_cache_read: Some(1),
            cost_micro: Some(1),
            latency_ms: Some(1),
            gate_ms: Some(1.0),
            first_token_ms: Some(1),
            status: Some(200),
            rule_id: Some("r".into()),
            credential_id: Some("c".into()),
            request_id: Some("r".into()),
            parent_event_id: Some("p".into()),
            ..Event::default()
        };

        let wire = serde_json::to_string(&full).unwrap();
        let mut rest = wire.as_str();
        for column in COLUMNS {
            let key = format!("\"{column}\":");
            let at = rest.find(&key).unwrap_or_else(|| panic!("{column} is missing or misplaced"));
            rest = rest.get(at + key.len()..).unwrap();
        }
    }
}
