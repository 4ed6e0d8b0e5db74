//! The store in `SQLite`: one file, one writer, many readers.

use super::StoreError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite as Db, Transaction};
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

mod events;
mod people;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Pages kept in memory, as KiB below zero: the indexes of a busy day stay warm.
const CACHE: &str = "-16384"; // 16 MiB

/// Pages of the log before they go to the database: fewer, larger steps.
const CHECKPOINT: &str = "4096"; // 16 MiB

/// How long one process waits for another's write.
const BUSY: Duration = Duration::from_secs(5);

/// How long a query waits for a connection of the pool.
const PATIENCE: Duration = Duration::from_secs(5);

/// A database file.
#[derive(Debug, Clone)]
pub struct Sqlite {
    /// One connection: `SQLite` has one writer, and waiting here is cheaper than in its lock.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Sqlite {
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        // NORMAL with a write-ahead log outlives every crash of ours; a power cut may take the last
        // rows, but then takes the spool's mark back with them.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .pragma("cache_size", CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT)
            .busy_timeout(BUSY);
        let failed = |source| StoreError::Open { path: path.to_owned(), source };
        let pool = |most| SqlitePoolOptions::new().max_connections(most).acquire_timeout(PATIENCE);
        close_to_others(path).map_err(|error| failed(sqlx::Error::Io(error)))?;
        let writer = pool(1).connect_with(options.clone()).await.map_err(failed)?;
        migrate(&writer, path).await?;
        let readers = pool(4).connect_with(options).await.map_err(failed)?;

        Ok(Self { writer, readers })
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        for table in ["audit_events", "pats"] {
            sqlx::query(&format!("SELECT 1 FROM {table} LIMIT 1"))
                .fetch_optional(&mut *write)
                .await?;
        }
        write.rollback().await?;

        Ok(())
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// A transaction that holds the write lock from its start, so that it never has to be repeated.
    async fn write(&self) -> Result<Transaction<'static, Db>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }
}

async fn migrate(pool: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    match MIGRATIONS.run(pool).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(version)) => {
            Err(StoreError::Newer { path: path.to_owned(), version })
        }
        Err(source) => Err(StoreError::Migration { path: path.to_owned(), source }),
    }
}

/// Makes the file, readable by its owner alone, before `SQLite` would make it readable by all.
///
/// A file that is there is not touched: closing it would drop every POSIX lock that this process
/// holds on it, and another process would then delete the write-ahead log as the last user
/// (sqlite.org/howtocorrupt.html, 2.2).
fn close_to_others(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;

    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests;
