//! The audit table and the spool's mark.

use super::{Sqlite, signed, unsigned};
use crate::clock;
use crate::store::row::{COLUMNS, Row};
use crate::store::{Appended, Filter, Mark, StoreError};
use contract::audit::Event;
use serde_json::Value;
use sqlx::query_builder::Separated;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite as Db, SqliteConnection};

/// Rows of one statement. Below `SQLite`'s 32,766 parameters; more makes it no faster.
const CHUNK: usize = 128;

/// The columns `tollgate audit find` looks at.
const IDS: [&str; 6] =
    ["event_id", "request_id", "trace_id", "session_id", "credential_id", "user_id"];

impl Sqlite {
    pub(in crate::store) async fn append(
        &self,
        events: &[Event<'static>],
        mark: Option<(&str, &Mark)>,
    ) -> Result<Appended, StoreError> {
        let mut write = self.write().await?;
        let mut appended = Appended::default();
        for chunk in events.chunks(CHUNK) {
            let stored = insert(&mut write, chunk).await?;
            let all = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            appended.stored = appended.stored.saturating_add(stored);
            appended.duplicates = appended.duplicates.saturating_add(all.saturating_sub(stored));
        }
        if let Some((spool, mark)) = mark {
            sqlx::query(
                "INSERT INTO spool_marks (path, generation, file, position) VALUES (?, ?, ?, ?)
                 ON CONFLICT (path) DO UPDATE SET generation = excluded.generation,
                     file = excluded.file, position = excluded.position",
            )
            .bind(spool)
            .bind(signed(mark.generation))
            .bind(&mark.file)
            .bind(signed(mark.position))
            .execute(&mut *write)
            .await?;
        }
        write.commit().await?;

        Ok(appended)
    }

    pub(in crate::store) async fn mark(&self, spool: &str) -> Result<Option<Mark>, StoreError> {
        let row = sqlx::query("SELECT generation, file, position FROM spool_marks WHERE path = ?")
            .bind(spool)
            .fetch_optional(&self.readers)
            .await?;
        let Some(row) = row else { return Ok(None) };

        Ok(Some(Mark {
            generation: unsigned(row.try_get("generation")?),
            file: row.try_get("file")?,
            position: unsigned(row.try_get("position")?),
        }))
    }

    pub(in crate::store) async fn rows(&self, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        let mut query = QueryBuilder::new("SELECT rowid AS place, ");
        query.push(COLUMNS.join(", ")).push(" FROM audit_events WHERE TRUE");
        select(&mut query, filter);
        let by_place = filter.after.is_some();
        query.push(if by_place {
            " ORDER BY rowid"
        } else {
            " ORDER BY occurred_at DESC, rowid DESC"
        });
        query.push(" LIMIT ").push_bind(i64::from(filter.limit));

        let found = query.build().fetch_all(&self.readers).await?;
        let mut rows = found.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if !by_place {
            rows.reverse();
        }

        Ok(rows)
    }

    pub(in crate::store) async fn last_row(&self) -> Result<i64, StoreError> {
        let place = sqlx::query_scalar("SELECT COALESCE(MAX(rowid), 0) FROM audit_events")
            .fetch_one(&self.readers)
            .await?;

        Ok(place)
    }
}

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    events: &[Event<'static>],
) -> Result<u64, StoreError> {
    let mut payloads = Vec::with_capacity(events.len());
    for event in events {
        payloads.push(serde_json::to_string(&event.payload)?);
    }
    let mut query: QueryBuilder<'_, Db> = QueryBuilder::new("INSERT INTO audit_events (");
    query.push(COLUMNS.join(", ")).push(") ");
    query.push_values(events.iter().zip(payloads), |mut row, (event, payload)| {
        bind(&mut row, event, payload);
    });
    query.push(" ON CONFLICT DO NOTHING");
    // Whole chunks share one prepared statement; the odd last one is not worth keeping.
    let statement = query.build().persistent(events.len() == CHUNK);

    Ok(statement.execute(connection).await?.rows_affected())
}

/// The values in the order of [`COLUMNS`].
fn bind<'a>(
    row: &mut Separated<'_, 'a, Db, &'static str>,
    event: &'a Event<'static>,
    payload: String,
) {
    let number = |number: Option<u64>| number.map(signed);
    row.push_bind(&*event.event_id)
        .push_bind(clock::stamp(event.occurred_at))
        .push_bind(&*event.tenant_id)
        .push_bind(&*event.user_id)
        .push_bind(event.session_id.as_deref())
        .push_bind(event.trace_id.as_deref())
        .push_bind(event.client_id.as_deref())
        .push_bind(event.policy_ver.as_deref())
        .push_bind(event.bundle_ver.as_deref())
        .push_bind(event.call_source.map(contract::audit::CallSource::as_str))
        .push_bind(event.kind.as_str())
        .push_bind(event.model.as_deref())
        .push_bind(event.provider.as_deref())
        .push_bind(event.upstream_region.as_deref())
        .push_bind(event.department.as_deref())
        .push_bind(event.agent_id.as_deref())
        .push_bind(number(event.tokens_in))
        .push_bind(number(event.tokens_out))
        .push_bind(number(event.tokens_cache_write))
        .push_bind(number(event.tokens_cache_read))
        .push_bind(number(event.cost_micro))
        .push_bind(number(event.latency_ms))
        .push_bind(event.gate_ms)
        .push_bind(number(event.first_token_ms))
        .push_bind(event.status)
        .push_bind(event.outcome.as_str())
        .push_bind(event.rule_id.as_deref())
        .push_bind(event.credential_id.as_deref())
        .push_bind(event.request_id.as_deref())
        .push_bind(event.parent_event_id.as_deref())
        .push_bind(event.complete)
        .push_bind(payload);
}

fn select<'a>(query: &mut QueryBuilder<'a, Db>, filter: &'a Filter) {
    for (column, value) in &filter.equal {
        // Only names from our own list ever become SQL.
        if let Some(column) = COLUMNS.iter().find(|known| *known == column) {
            query.push(" AND CAST(").push(*column).push(" AS TEXT) = ").push_bind(value);
        }
    }
    if let Some(id) = &filter.any_id {
        query.push(" AND (json_extract(payload, '$.provider_request_id') = ").push_bind(id);
        for column in IDS {
            query.push(" OR ").push(column).push(" = ").push_bind(id);
        }
        query.push(")");
    }
    if let Some(since) = &filter.since {
        query.push(" AND occurred_at >= ").push_bind(since);
    }
    if let Some(until) = &filter.until {
        query.push(" AND occurred_at < ").push_bind(until);
    }
    if let Some(place) = filter.after {
        query.push(" AND rowid > ").push_bind(place);
    }
}

fn read(row: &SqliteRow) -> Result<Row, StoreError> {
    let mut values = Vec::with_capacity(COLUMNS.len());
    for column in COLUMNS {
        values.push(match column {
            "gate_ms" => row.try_get::<Option<f64>, _>(column)?.map_or(Value::Null, Value::from),
            "complete" => Value::Bool(row.try_get(column)?),
            "payload" => serde_json::from_str(row.try_get(column)?)?,
            "tokens_in" | "tokens_out" | "tokens_cache_write" | "tokens_cache_read"
            | "cost_micro" | "latency_ms" | "first_token_ms" | "status" => {
                row.try_get::<Option<i64>, _>(column)?.map_or(Value::Null, Value::from)
            }
            _ => row.try_get::<Option<String>, _>(column)?.map_or(Value::Null, Value::from),
        });
    }

    Ok(Row { place: row.try_get("place")?, values })
}
