//! What `SQLite` says in its own way.

use super::append::Prepared;
use super::{Connection, Db};
use crate::clock;
use crate::cost::sql::Dialect;
use crate::store::row::{Cell, Type, cells, names};
use crate::store::{Cursor, StoreError};
use contract::audit::Event;
use sqlx::{QueryBuilder, Row as _};

/// Rows of one statement: below 32,766 parameters; more makes it no faster.
pub(super) const CHUNK: usize = 128;

/// How sums are asked for.
pub(super) const COST: Dialect = Dialect::Sqlite;

/// Ids of one question.
pub(super) const IDS: usize = 4_096;

/// The transaction has the write lock from its start.
pub(super) const FOR_UPDATE: &str = "";

/// Keeps who is named `u` from being changed in this transaction.
pub(super) const FOR_SHARE_OF_USER: &str = "";

/// The names of the groups that a directory puts `users` in, as JSON.
pub(super) const GROUPS_OF_USER: &str = "COALESCE((SELECT json_group_array(name) FROM
    (SELECT g.name FROM scim_members m JOIN scim_groups g ON g.id = m.group_id
     JOIN scim_users s ON s.id = m.user_id WHERE s.sub = users.sub
         AND g.tenant_id = users.tenant_id ORDER BY g.name)), '[]')";

/// The larger of two.
pub(super) const GREATEST: &str = "MAX";

/// The smaller of two.
pub(super) const LEAST: &str = "MIN";

/// Places rise over all writers: one database has one writer at a time.
pub(super) const ONWARD: &str = " ORDER BY place";

/// A member of the payload.
pub(super) const PROVIDER_REQUEST_ID: &str = "json_extract(payload, '$.provider_request_id')";

/// A column as it is read.
pub(super) fn selected(name: &'static str, _kind: Type) -> String {
    name.to_owned()
}

pub(super) fn push_time(query: &mut QueryBuilder<'_, Db>, micros: u64) {
    query.push_bind(clock::stamp(micros));
}

pub(super) fn push_after(query: &mut QueryBuilder<'_, Db>, cursor: &Cursor) {
    let last = cursor.0.values().max().copied().unwrap_or_default();
    query.push(" AND place > ").push_bind(last);
}

/// Where a writer begins that is new: behind all others.
pub(super) async fn first_place(write: &mut Connection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT COALESCE(MAX(place), 0) FROM audit_events")
        .fetch_one(write)
        .await?)
}

/// Those of the events that have rows, by id and time.
pub(super) async fn known(
    write: &mut Connection,
    events: &[Event<'static>],
) -> Result<Vec<(String, u64)>, StoreError> {
    let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
        "SELECT event_id, occurred_at FROM audit_events WHERE (occurred_at, event_id) IN (",
    );
    query.push_values(events, |mut row, event| {
        row.push_bind(clock::stamp(event.occurred_at)).push_bind(&*event.event_id);
    });
    query.push(")");
    let rows = query.build().persistent(false).fetch_all(write).await?;

    rows.iter()
        .map(|row| {
            let occurred: &str = row.try_get("occurred_at")?;
            Ok((row.try_get("event_id")?, clock::point(occurred).unwrap_or_default()))
        })
        .collect()
}

/// Inserts what is not there; gives the places of what was not.
pub(super) async fn insert(
    write: &mut Connection,
    writer: &str,
    rows: &[Prepared<'_>],
) -> Result<Vec<i64>, StoreError> {
    let mut query: QueryBuilder<'_, Db> =
        QueryBuilder::new("INSERT INTO audit_events (writer, place, digest, ");
    query.push(names()).push(") ");
    query.push_values(rows, |mut values, row| {
        values.push_bind(writer).push_bind(row.place).push_bind(row.digest.as_slice());
        for cell in cells(row.event, &row.stamp, &row.payload, row.link.as_ref()) {
            match cell {
                Cell::Text(text) => values.push_bind(text),
                Cell::Time(text) | Cell::Json(text) => values.push_bind(text),
                Cell::Int(number) => values.push_bind(number),
                Cell::Real(number) => values.push_bind(number),
                Cell::Bool(flag) => values.push_bind(flag),
            };
        }
    });
    query.push(" ON CONFLICT (occurred_at, event_id) DO NOTHING RETURNING place");
    // Whole chunks share one prepared statement; the odd last one is not worth keeping.
    let statement = query.build_query_scalar().persistent(rows.len() == CHUNK);

    Ok(statement.fetch_all(write).await?)
}
