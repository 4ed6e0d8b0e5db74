//! Reading the audit table.

use super::{Backend, Db, DbRow, dialect};
use crate::store::row::{self, COLUMNS, Row, Type};
use crate::store::{Called, Cursor, Filter, Step, StoreError};
use contract::audit::Payload;
use serde_json::Value;
use sqlx::{QueryBuilder, Row as _};

/// The columns `tollgate audit find` looks at.
const IDS: [&str; 6] =
    ["event_id", "request_id", "trace_id", "session_id", "credential_id", "user_id"];

impl Backend {
    pub(in crate::store) async fn rows(&self, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        let mut query = QueryBuilder::new("SELECT writer, place, digest, ");
        query.push(selected()).push(" FROM audit_events WHERE TRUE");
        restrict(&mut query, filter);
        let onward = filter.after.is_some();
        query.push(if onward {
            dialect::ONWARD
        } else {
            " ORDER BY audit_events.occurred_at DESC, writer DESC, place DESC"
        });
        query.push(" LIMIT ").push_bind(i64::from(filter.limit));

        let found = query.build().fetch_all(&self.readers).await?;
        let mut rows = found.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if !onward {
            rows.reverse();
        }

        Ok(rows)
    }

    pub(in crate::store) async fn end(&self) -> Result<Cursor, StoreError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT writer, place FROM audit_writers WHERE block > 0")
                .fetch_all(&self.readers)
                .await?;

        Ok(Cursor(rows.into_iter().collect()))
    }

    /// The rows of one writer from a place on, in the order of places.
    pub(in crate::store) async fn rows_of(
        &self,
        writer: &str,
        from: i64,
        to: i64,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError> {
        let sql = format!(
            "SELECT writer, place, digest, {} FROM audit_events
             WHERE writer = $1 AND place >= $2 AND place <= $3 ORDER BY place LIMIT $4",
            selected()
        );
        let found = sqlx::query(&sql)
            .bind(writer)
            .bind(from)
            .bind(to)
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;

        found.iter().map(read).collect()
    }
}

/// The columns as they are read: times as text in both databases.
fn selected() -> String {
    COLUMNS.map(|(name, kind)| dialect::selected(name, kind)).join(", ")
}

/// Only of these tenants; of none, if there is none among them.
pub(super) fn among<'a>(query: &mut QueryBuilder<'a, Db>, tenants: Option<&'a [String]>) {
    let Some(tenants) = tenants else { return };
    query.push(" AND (FALSE");
    for tenant in tenants {
        query.push(" OR tenant_id = ").push_bind(tenant);
    }
    query.push(")");
}

pub(super) fn restrict<'a>(query: &mut QueryBuilder<'a, Db>, filter: &'a Filter) {
    for (column, value) in &filter.equal {
        // Only names from our own list ever become SQL.
        let Some((column, kind)) = COLUMNS.iter().find(|(known, _)| known == column) else {
            continue;
        };
        match kind {
            Type::Bool => query.push(" AND ").push(*column).push(" = ").push_bind(value == "true"),
            Type::Text => query.push(" AND ").push(*column).push(" = ").push_bind(value),
            _ => query.push(" AND CAST(").push(*column).push(" AS TEXT) = ").push_bind(value),
        };
    }
    among(query, filter.tenants.as_deref());
    if let Some(id) = &filter.any_id {
        query.push(" AND (").push(dialect::PROVIDER_REQUEST_ID).push(" = ").push_bind(id);
        for column in IDS {
            query.push(" OR ").push(column).push(" = ").push_bind(id);
        }
        query.push(")");
    }
    if let Some(since) = filter.since {
        query.push(" AND occurred_at >= ");
        dialect::push_time(query, since);
    }
    if let Some(until) = filter.until {
        query.push(" AND occurred_at < ");
        dialect::push_time(query, until);
    }
    if let Some(cursor) = &filter.after {
        dialect::push_after(query, cursor);
    }
}

pub(super) fn read(row: &DbRow) -> Result<Row, StoreError> {
    let mut raw = String::new();
    let mut values = Vec::with_capacity(row::WIDTH);
    for (column, kind) in COLUMNS {
        values.push(match kind {
            Type::Text | Type::Time => {
                row.try_get::<Option<String>, _>(column)?.map_or(Value::Null, Value::from)
            }
            Type::Int => row.try_get::<Option<i64>, _>(column)?.map_or(Value::Null, Value::from),
            Type::Real => row.try_get::<Option<f64>, _>(column)?.map_or(Value::Null, Value::from),
            Type::Bool => Value::Bool(row.try_get(column)?),
            Type::Json => {
                raw = row.try_get(column)?;
                serde_json::from_str(&raw)?
            }
        });
    }

    Ok(Row {
        writer: row.try_get("writer")?,
        place: row.try_get("place")?,
        digest: row.try_get("digest")?,
        raw,
        values,
    })
}

impl Backend {
    /// The steps of a trace, or of all, in the order they occurred.
    pub(in crate::store) async fn lineage(
        &self,
        trace: Option<&str>,
        tenants: Option<&[String]>,
        limit: u32,
    ) -> Result<Vec<Step>, StoreError> {
        let mut query = QueryBuilder::new(
            "SELECT event_id, parent_event_id, trace_id, user_id, session_id, agent_id, kind, model,
                 tokens_in, tokens_out, cost_micro, outcome, rule_id, policy_ver, bundle_ver, ",
        );
        query.push(dialect::selected("occurred_at", Type::Time)).push(", ");
        query.push(dialect::selected("payload", Type::Json)).push(" FROM audit_lineage WHERE TRUE");
        if let Some(trace) = trace {
            // By what the rows themselves have, so that the index is used.
            query.push(" AND trace_id = ").push_bind(trace);
            query.push(" AND own_trace_id IN (SELECT ").push_bind(trace);
            query.push(" UNION SELECT own_trace_id FROM audit_links WHERE trace_id = ");
            query.push_bind(trace).push(")");
        }
        among(&mut query, tenants);
        query.push(" ORDER BY audit_lineage.occurred_at, event_id LIMIT ");
        query.push_bind(i64::from(limit));
        let rows = query.build().fetch_all(&self.readers).await?;

        rows.iter().map(step).collect()
    }
}

fn step(row: &DbRow) -> Result<Step, StoreError> {
    let payload: Payload<'static> = serde_json::from_str(row.try_get("payload")?)?;

    Ok(Step {
        event_id: row.try_get("event_id")?,
        parent_event_id: row.try_get("parent_event_id")?,
        trace_id: row.try_get("trace_id")?,
        occurred_at: row.try_get("occurred_at")?,
        user_id: row.try_get("user_id")?,
        session_id: row.try_get("session_id")?,
        agent_id: row.try_get("agent_id")?,
        kind: row.try_get("kind")?,
        model: row.try_get("model")?,
        tokens_in: row.try_get("tokens_in")?,
        tokens_out: row.try_get("tokens_out")?,
        cost_micro: row.try_get("cost_micro")?,
        outcome: row.try_get("outcome")?,
        rule_id: row.try_get("rule_id")?,
        policy_ver: row.try_get("policy_ver")?,
        bundle_ver: row.try_get("bundle_ver")?,
        called: Called::of(&payload),
        tools: payload.tool_uses.iter().map(|tool| tool.name.to_string()).collect(),
    })
}
