//! The store in `SQLite`: one file, one writer, many readers.

use super::writer::Writer;
use super::{Claim, StoreError};
use contract::audit::Event;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Connection as _, SqliteConnection, Transaction};
use std::fs::OpenOptions;
use std::future::ready;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[path = "shared/append.rs"]
mod append;
#[path = "shared/approval_messages.rs"]
mod approval_messages;
#[path = "shared/approvals.rs"]
mod approvals;
#[path = "shared/devices.rs"]
mod devices;
mod dialect;
#[path = "shared/envoy.rs"]
mod envoy;
#[path = "shared/events.rs"]
mod events;
#[path = "shared/fleet.rs"]
mod fleet;
#[path = "shared/fleet_reads.rs"]
mod fleet_reads;
#[path = "shared/held.rs"]
mod held;
#[path = "shared/intents.rs"]
mod intents;
#[path = "shared/lineage.rs"]
mod lineage;
#[path = "shared/links.rs"]
mod links;
#[path = "shared/manifests.rs"]
mod manifests;
#[path = "shared/mcp.rs"]
mod mcp;
#[path = "shared/moves.rs"]
mod moves;
#[path = "shared/people.rs"]
mod people;
#[path = "shared/persons.rs"]
mod persons;
#[path = "shared/policies.rs"]
mod policies;
#[path = "shared/scim_groups.rs"]
mod scim_groups;
#[path = "shared/scim_stand.rs"]
mod scim_stand;
#[path = "shared/scim_tokens.rs"]
mod scim_tokens;
#[path = "shared/scim_users.rs"]
mod scim_users;
#[path = "shared/secrets.rs"]
mod secrets;
#[path = "shared/sequences.rs"]
mod sequences;
#[path = "shared/sessions.rs"]
mod sessions;
#[path = "shared/spend.rs"]
mod spend;
#[path = "shared/standing.rs"]
mod standing;
#[path = "shared/verify.rs"]
mod verify;

/// Names that the shared modules know both databases by.
type Backend = Sqlite;
type Db = sqlx::Sqlite;
type DbRow = SqliteRow;
type Connection = SqliteConnection;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Pages kept in memory, as KiB below zero: the indexes of a busy day stay warm.
const CACHE: &str = "-16384"; // 16 MiB

/// Of a new database; one that is there keeps its own. A row with its content is about 3 KB: of these
/// `SQLite`'s default page, 4 KiB, holds one and wastes the rest, a third of the file.
const PAGE: u32 = 8_192;

/// Pages of the log before they go to the database: fewer, larger steps.
const CHECKPOINT: &str = "2048"; // 16 MiB

/// How long one process waits for another's write.
const BUSY: Duration = Duration::from_secs(5);

/// How long a query waits for a connection of the pool.
const PATIENCE: Duration = Duration::from_secs(5);

/// A database file.
#[derive(Debug, Clone)]
pub struct Sqlite {
    /// One connection: `SQLite` has one writer, and waiting here is cheaper than in its lock.
    writers: SqlitePool,
    readers: SqlitePool,
    writer: Arc<Writer>,
}

impl Sqlite {
    pub(super) async fn open(path: &Path, writer: Writer) -> Result<Self, StoreError> {
        // NORMAL with a write-ahead log outlives every crash of ours; a power cut may take the last
        // rows, but then takes the spool's mark back with them.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .page_size(PAGE)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .pragma("cache_size", CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT)
            .busy_timeout(BUSY);
        let failed = |source| StoreError::Open { path: path.to_owned(), source };
        let pool = |most| {
            SqlitePoolOptions::new()
                .max_connections(most)
                .acquire_timeout(PATIENCE)
                .before_acquire(|connection, _| Box::pin(ready(Ok(is_usable(connection)))))
        };
        close_to_others(path).map_err(|error| failed(sqlx::Error::Io(error)))?;
        let writers = pool(1).connect_with(options.clone()).await.map_err(failed)?;
        migrate(&writers, path).await?;
        let readers = pool(4).connect_with(options).await.map_err(failed)?;

        Ok(Self { writers, readers, writer: Arc::new(writer) })
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
        self.writers.close().await;
    }

    /// A transaction that holds the write lock from its start, so that it never has to be repeated.
    async fn write(&self) -> Result<Transaction<'static, Db>, StoreError> {
        Ok(self.writers.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Where what has just been written is read.
    fn current(&self) -> &SqlitePool {
        &self.readers
    }

    /// A transaction that sees one state.
    async fn snapshot(&self) -> Result<Transaction<'static, Db>, StoreError> {
        Ok(self.readers.begin().await?)
    }

    /// A data directory has one sidecar, which its lock sees to: nobody else has the sink.
    #[expect(clippy::unused_async, reason = "the other database asks")]
    pub(super) async fn claim(&self, _sink: &str) -> Result<Option<Claim>, StoreError> {
        Ok(Some(Claim::sole()))
    }

    /// Anything, for tests.
    #[cfg(test)]
    pub(super) async fn raw(&self, sql: &str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sql).execute(&self.writers).await.map(drop)
    }

    /// As [`Self::write`]: the table has no parts here.
    async fn write_for(
        &self,
        _events: &[Event<'static>],
    ) -> Result<Transaction<'static, Db>, StoreError> {
        self.write().await
    }
}

/// A full disk or a failed read may end a transaction inside `SQLite` itself (its manual,
/// `lang_transaction.html`, section 3). The driver's own ROLLBACK then finds none, fails, and the
/// driver goes on believing in a transaction that nobody can end: such a connection is given up.
fn is_usable(connection: &SqliteConnection) -> bool {
    !connection.is_in_transaction()
}

async fn migrate(pool: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    match MIGRATIONS.run(pool).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(version)) => {
            Err(StoreError::Newer { name: path.display().to_string(), version })
        }
        Err(source) => Err(StoreError::Migration { name: path.display().to_string(), source }),
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

#[cfg(test)]
mod tests;
