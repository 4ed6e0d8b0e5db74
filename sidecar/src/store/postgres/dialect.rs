//! What Postgres says in its own way.

use super::append::Prepared;
use super::{Connection, Db};
use crate::cost::sql::Dialect;
use crate::store::row::{COLUMNS, Cell, Type, WIDTH, cells, names};
use crate::store::{Cursor, StoreError, signed, unsigned};
use contract::audit::Event;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use sqlx::{QueryBuilder, Row as _};
use std::sync::LazyLock;

/// Rows of one statement: each column is one parameter, however many rows.
pub(super) const CHUNK: usize = 1_024;

/// How sums are asked for.
pub(super) const COST: Dialect = Dialect::Postgres;

/// Ids of one question.
pub(super) const IDS: usize = 4_096;

/// Holds a row for this transaction.
pub(super) const FOR_UPDATE: &str = " FOR UPDATE";

/// Keeps who is named `u` from being changed in this transaction.
pub(super) const FOR_SHARE_OF_USER: &str = " FOR SHARE OF u";

/// The names of the groups that a directory puts `users` in, as JSON.
pub(super) const GROUPS_OF_USER: &str = "COALESCE((SELECT json_agg(g.name ORDER BY g.name)
    FROM scim_members m JOIN scim_groups g ON g.id = m.group_id
    JOIN scim_users s ON s.id = m.user_id WHERE s.sub = users.sub
        AND g.tenant_id = users.tenant_id)::text, '[]')";

/// The larger of two.
pub(super) const GREATEST: &str = "GREATEST";

/// The smaller of two.
pub(super) const LEAST: &str = "LEAST";

/// Each writer's rows in their order.
pub(super) const ONWARD: &str = " ORDER BY writer, place";

/// A member of the payload.
pub(super) const PROVIDER_REQUEST_ID: &str = "payload ->> 'provider_request_id'";

/// Microseconds as a time, without a detour over floating point.
const TIME: &str = "timestamptz 'epoch' + interval '1 microsecond' * ";

/// A column as it is read.
pub(super) fn selected(name: &'static str, kind: Type) -> String {
    match kind {
        Type::Time => format!(
            "to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS {name}"
        ),
        Type::Json => format!("{name}::text AS {name}"),
        _ => name.to_owned(),
    }
}

pub(super) fn push_time(query: &mut QueryBuilder<'_, Db>, micros: u64) {
    query.push("(").push(TIME).push_bind(signed(micros)).push(")");
}

/// Rows behind the cursor, of writers that it knows and of others.
pub(super) fn push_after(query: &mut QueryBuilder<'_, Db>, cursor: &Cursor) {
    let (writers, places): (Vec<String>, Vec<i64>) = cursor.0.clone().into_iter().unzip();
    query.push(" AND place > COALESCE((SELECT read.place FROM UNNEST(");
    query.push_bind(writers.clone()).push("::text[], ").push_bind(places);
    query.push("::bigint[]) AS read(writer, place) WHERE read.writer = audit_events.writer), 0)");
}

/// Where a writer begins that is new: each counts for itself.
#[expect(clippy::unused_async, reason = "the other database asks")]
pub(super) async fn first_place(_write: &mut Connection) -> Result<i64, StoreError> {
    Ok(0)
}

/// Those of the events that have rows, by id and time.
pub(super) async fn known(
    write: &mut Connection,
    events: &[Event<'static>],
) -> Result<Vec<(String, u64)>, StoreError> {
    let ids: Vec<&str> = events.iter().map(|event| &*event.event_id).collect();
    let times: Vec<i64> = events.iter().map(|event| signed(event.occurred_at)).collect();
    let sql = format!(
        "SELECT asked.event_id, asked.micros
         FROM UNNEST($1::text[], $2::bigint[]) AS asked (event_id, micros)
         JOIN audit_events e
             ON e.occurred_at = {TIME}asked.micros AND e.event_id = asked.event_id"
    );
    let rows = sqlx::query(&sql).bind(ids).bind(times).fetch_all(write).await?;

    rows.iter()
        .map(|row| Ok((row.try_get("event_id")?, unsigned(row.try_get("micros")?))))
        .collect()
}

/// One statement for any number of rows: a column of them is one array.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let names = names();
    let values = COLUMNS.map(|(name, kind)| match kind {
        Type::Time => format!("{TIME}{name}"),
        Type::Json => format!("{name}::json"),
        _ => name.to_owned(),
    });
    let arrays: Vec<String> = COLUMNS
        .iter()
        .zip(4_u32..)
        .map(|((_, kind), number)| match kind {
            Type::Text | Type::Json => format!("${number}::text[]"),
            Type::Time | Type::Int => format!("${number}::bigint[]"),
            Type::Real => format!("${number}::double precision[]"),
            Type::Bool => format!("${number}::boolean[]"),
        })
        .collect();

    format!(
        "INSERT INTO audit_events (writer, place, digest, {names})
         SELECT $1, place, digest, {} FROM UNNEST($2::bigint[], $3::bytea[], {})
             AS new (place, digest, {names})
         ON CONFLICT (occurred_at, event_id) DO NOTHING RETURNING place",
        values.join(", "),
        arrays.join(", ")
    )
});

/// Inserts what is not there; gives the places of what was not.
pub(super) async fn insert(
    write: &mut Connection,
    writer: &str,
    rows: &[Prepared<'_>],
) -> Result<Vec<i64>, StoreError> {
    let places: Vec<i64> = rows.iter().map(|row| row.place).collect();
    let digests: Vec<&[u8]> = rows.iter().map(|row| row.digest.as_slice()).collect();
    let all: Vec<[Cell<'_>; WIDTH]> = rows
        .iter()
        .map(|row| cells(row.event, &row.stamp, &row.payload, row.link.as_ref()))
        .collect();
    let times: Vec<i64> = rows.iter().map(|row| signed(row.event.occurred_at)).collect();
    let mut query = sqlx::query_scalar(&INSERT).bind(writer).bind(places).bind(digests);
    for (index, (_, kind)) in COLUMNS.iter().enumerate() {
        query = match kind {
            Type::Time => query.bind(times.clone()),
            _ => column(query, &all, index, *kind),
        };
    }

    Ok(query.fetch_all(write).await?)
}

type Statement<'q> = QueryScalar<'q, Db, i64, PgArguments>;

/// Binds a column of all rows as one array.
fn column<'q>(
    query: Statement<'q>,
    rows: &[[Cell<'q>; WIDTH]],
    index: usize,
    kind: Type,
) -> Statement<'q> {
    let cells = rows.iter().filter_map(|row| row.get(index));
    match kind {
        Type::Text | Type::Time | Type::Json => {
            let texts: Vec<Option<&str>> = cells
                .map(|cell| match *cell {
                    Cell::Text(text) => text,
                    Cell::Time(text) | Cell::Json(text) => Some(text),
                    Cell::Int(_) | Cell::Real(_) | Cell::Bool(_) => None,
                })
                .collect();
            query.bind(texts)
        }
        Type::Int => query.bind(
            cells
                .map(|cell| if let Cell::Int(number) = cell { *number } else { None })
                .collect::<Vec<Option<i64>>>(),
        ),
        Type::Real => query.bind(
            cells
                .map(|cell| if let Cell::Real(number) = cell { *number } else { None })
                .collect::<Vec<Option<f64>>>(),
        ),
        Type::Bool => {
            query.bind(cells.map(|cell| matches!(cell, Cell::Bool(true))).collect::<Vec<bool>>())
        }
    }
}
