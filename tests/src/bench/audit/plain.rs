//! The plainest way to put rows into a table: what the store's own figures are held against.

use super::BATCH;
use crate::bench::load::per_second;
use anyhow::Result;
use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgConnection, Row as _, SqliteConnection, ValueRef};
use std::path::Path;
use std::time::Instant;

/// Rows of one statement.
const ROWS: usize = 128;

/// A value of `SQLite`.
enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

/// Puts the last rows of a database into another of the same kind by plain `INSERT`s of many rows;
/// how many each second. Nothing is looked up, hashed, signed or linked.
pub async fn sqlite(from: &Path, count: usize) -> Result<f64> {
    let open = |path: &Path| {
        SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .page_size(8_192)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .pragma("cache_size", "-16384")
            .pragma("wal_autocheckpoint", "2048")
    };
    let to = from.with_file_name("plain.db");
    // It grows as the store's own does: what is random in a row costs more the more there are.
    let new = !to.exists();
    let mut source: SqliteConnection = open(from).connect().await?;
    let mut target: SqliteConnection = open(&to).connect().await?;
    let sql = "SELECT sql FROM sqlite_schema WHERE tbl_name = 'audit_events' AND sql IS NOT NULL
        AND type IN ('table', 'index') ORDER BY type DESC";
    let schema: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut source).await?;
    if new {
        sqlx::raw_sql(&schema.join(";")).execute(&mut target).await?;
    }
    let sql = "SELECT * FROM audit_events ORDER BY place DESC LIMIT $1";
    let rows = sqlx::query(sql).bind(i64::try_from(count)?).fetch_all(&mut source).await?;
    let rows: Vec<Vec<Value>> = rows.iter().map(values).collect::<Result<_>>()?;
    let one = format!("({})", vec!["?"; rows.first().map_or(0, Vec::len)].join(", "));
    let sql = format!("INSERT INTO audit_events VALUES {}", vec![&*one; ROWS].join(", "));

    let begun = Instant::now();
    for batch in rows.chunks(BATCH) {
        let mut write = target.begin().await?;
        for chunk in batch.chunks_exact(ROWS) {
            let mut query = sqlx::query(&sql);
            for value in chunk.iter().flatten() {
                query = match value {
                    Value::Null => query.bind(None::<i64>),
                    Value::Int(number) => query.bind(number),
                    Value::Real(number) => query.bind(number),
                    Value::Text(text) => query.bind(&**text),
                    Value::Blob(bytes) => query.bind(&**bytes),
                };
            }
            query.execute(&mut *write).await?;
        }
        write.commit().await?;
    }

    Ok(per_second(rows.len(), begun.elapsed()))
}

fn values(row: &SqliteRow) -> Result<Vec<Value>> {
    (0..row.len())
        .map(|index| {
            let raw = row.try_get_raw(index)?;
            Ok(match raw.type_info().to_string().as_str() {
                _ if raw.is_null() => Value::Null,
                "INTEGER" => Value::Int(row.try_get_unchecked(index)?),
                "REAL" => Value::Real(row.try_get_unchecked(index)?),
                "BLOB" => Value::Blob(row.try_get_unchecked(index)?),
                _ => Value::Text(row.try_get_unchecked(index)?),
            })
        })
        .collect()
}

/// `COPY` of rows from one Postgres into a table of the same kind in another.
pub struct Copies {
    source: PgConnection,
    target: PgConnection,
    lines: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Copies {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Copies")
    }
}

const INTO: &str = "COPY audit_events FROM STDIN";

impl Copies {
    /// Between these two, which the store has made.
    pub async fn new(source: &str, target: &str) -> Result<Self> {
        let mut source = PgConnection::connect(source).await?;
        let mut target = PgConnection::connect(target).await?;
        // The store has made the month's part there when its first rows came; here none have.
        let sql =
            "SELECT to_char(min(occurred_at), 'YYYY_MM'), to_char(min(occurred_at), 'YYYY-MM-01')
            FROM audit_events";
        let (name, from): (String, String) = sqlx::query_as(sql).fetch_one(&mut source).await?;
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS audit_events_{name} PARTITION OF audit_events
             FOR VALUES FROM ('{from}') TO (timestamptz '{from}' + interval '1 month')"
        );
        sqlx::raw_sql(&sql).execute(&mut target).await?;

        Ok(Self { source, target, lines: Vec::new() })
    }

    /// The last rows, one commit for each batch; how many each second.
    pub async fn batched(&mut self, count: usize) -> Result<f64> {
        let sql = format!(
            "COPY (SELECT * FROM audit_events ORDER BY place DESC LIMIT {count}) TO STDOUT"
        );
        let mut lines = Vec::with_capacity(count);
        let mut stream = self.source.copy_out_raw(&sql).await?;
        while let Some(line) = stream.try_next().await? {
            lines.push(line.to_vec()); // Postgres sends each row by itself
        }
        drop(stream);
        anyhow::ensure!(lines.len() == count, "{} rows, not {count}", lines.len());
        let begun = Instant::now();
        for batch in lines.chunks(BATCH) {
            let mut copy = self.target.copy_in_raw(INTO).await?;
            copy.send(batch.concat()).await?;
            copy.finish().await?;
        }
        let rate = per_second(count, begun.elapsed());
        self.lines = lines;

        Ok(rate)
    }

    /// The same rows once more, in one commit.
    pub async fn whole(&mut self) -> Result<f64> {
        // The table refuses to forget, but not to those who own it.
        let sql = "ALTER TABLE audit_events DISABLE TRIGGER USER; TRUNCATE audit_events;
            ALTER TABLE audit_events ENABLE TRIGGER USER";
        sqlx::raw_sql(sql).execute(&mut self.target).await?;
        let begun = Instant::now();
        let mut copy = self.target.copy_in_raw(INTO).await?;
        for batch in self.lines.chunks(BATCH) {
            copy.send(batch.concat()).await?;
        }
        copy.finish().await?;
        let rate = per_second(self.lines.len(), begun.elapsed());
        sqlx::raw_sql(sql).execute(&mut self.target).await?;

        Ok(rate)
    }

    /// What a row takes, indexes and all.
    pub async fn bytes_of_a_row(&mut self) -> Result<f64> {
        let sql = "SELECT (SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits
                WHERE inhparent = 'audit_events'::regclass)::float8
            / (SELECT count(*) FROM audit_events)::float8";

        Ok(sqlx::query_scalar(sql).fetch_one(&mut self.source).await?)
    }
}
