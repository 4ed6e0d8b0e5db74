//! The audit table, read as a compliance officer's tool would: from the database itself.

use anyhow::Result;
use serde_json::{Map, Value};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{Column, Row as _, ValueRef};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// How long a row may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a second row would take at most: it would come by the other way (gRPC, spool).
const SETTLES: Duration = Duration::from_millis(900);

/// One row of `audit_events`.
#[derive(Debug, Clone)]
pub struct Row {
    columns: Map<String, Value>,
    /// The column of that name.
    pub payload: Value,
}

impl Row {
    fn read(row: &SqliteRow) -> Result<Self> {
        let mut columns = Map::new();
        for (index, column) in row.columns().iter().enumerate() {
            let raw = row.try_get_raw(index)?;
            let kind = raw.type_info().to_string();
            let value = match kind.as_str() {
                "BLOB" => continue, // the chain's, and nobody's who reads what happened
                _ if raw.is_null() => Value::Null,
                "INTEGER" => row.try_get::<i64, _>(index)?.into(),
                "REAL" => row.try_get::<f64, _>(index)?.into(),
                _ => row.try_get::<String, _>(index)?.into(),
            };
            columns.insert(column.name().to_owned(), value);
        }
        let payload = columns.remove("payload").unwrap_or_default();
        let payload = serde_json::from_str(payload.as_str().unwrap_or_default())?;

        Ok(Self { columns, payload })
    }

    /// A column of text; empty for null.
    pub fn text(&self, column: &str) -> &str {
        match self.columns.get(column) {
            Some(Value::String(text)) => text,
            Some(Value::Null) => "",
            other => panic!("column {column} is {other:?}, not text"),
        }
    }

    /// A column of a number; `None` for null.
    pub fn number(&self, column: &str) -> Option<i64> {
        match self.columns.get(column) {
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::Null) => None,
            other => panic!("column {column} is {other:?}, not a number"),
        }
    }

    /// Is this flag set?
    pub fn flagged(&self, flag: &str) -> bool {
        let flags = self.payload.get("flags").and_then(Value::as_array);
        flags.is_some_and(|flags| flags.iter().any(|it| it.as_str() == Some(flag)))
    }
}

/// The table.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    pool: OnceCell<SqlitePool>,
}

impl Table {
    /// The table in this database, which need not be there yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), pool: OnceCell::new() }
    }

    async fn pool(&self) -> Result<&SqlitePool> {
        let options = SqliteConnectOptions::new().filename(&self.path).read_only(true);
        let open = || SqlitePoolOptions::new().max_connections(2).connect_with(options);

        Ok(self.pool.get_or_try_init(open).await?)
    }

    /// All rows, oldest first.
    pub async fn all(&self) -> Result<Vec<Row>> {
        let query = sqlx::query("SELECT * FROM audit_events ORDER BY occurred_at");

        query.fetch_all(self.pool().await?).await?.iter().map(Row::read).collect()
    }

    async fn of(&self, address: &str) -> Result<Vec<Row>> {
        let query = sqlx::query(
            "SELECT * FROM audit_events WHERE json_extract(payload, '$.source_address') = ?",
        );
        let rows = query.bind(address).fetch_all(self.pool().await?).await?;

        rows.iter().map(Row::read).collect()
    }

    /// Rows of calls from this address: waits for `count` of them, and then for one too many.
    pub async fn from(&self, address: Ipv4Addr, count: usize) -> Vec<Row> {
        let address = address.to_string();
        let end = Instant::now() + PATIENCE;
        while self.of(&address).await.map_or(0, |rows| rows.len()) < count && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(SETTLES).await;

        self.of(&address).await.unwrap()
    }

    /// The one row of each of these addresses.
    pub async fn of_each(&self, addresses: &[Ipv4Addr]) -> Vec<Row> {
        let end = Instant::now() + PATIENCE;
        for address in addresses.iter().map(ToString::to_string) {
            while self.of(&address).await.map_or(0, |rows| rows.len()) < 1 && Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        tokio::time::sleep(SETTLES).await;
        let mut found = Vec::new();
        for address in addresses {
            let mut rows = self.of(&address.to_string()).await.unwrap();
            assert_eq!(rows.len(), 1, "exactly one row for {address}: {rows:#?}");
            found.append(&mut rows);
        }

        found
    }
}
