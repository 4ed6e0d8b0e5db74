//! The store in Postgres, 14 or later: many sidecars write to one database.

use super::claim;
use super::writer::Writer;
use super::{Claim, StoreError};
use crate::clock;
use crate::settings::Postgres as Place;
use contract::audit::Event;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::{PgConnection, Transaction};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
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
mod readers;
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
type Backend = Postgres;
type Db = sqlx::Postgres;
type DbRow = PgRow;
type Connection = PgConnection;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a query waits for a connection of the pool.
const PATIENCE: Duration = Duration::from_secs(5);

/// Held while a part of the table is made, by all who make one.
const PARTS_LOCK: i64 = 0x746f_6c6c_6761_7465; // "tollgate"

/// A database.
#[derive(Debug, Clone)]
pub struct Postgres {
    writers: PgPool,
    readers: PgPool,
    writer: Arc<Writer>,
    /// Months that have their part of the table.
    parts: Arc<Mutex<BTreeSet<String>>>,
}

impl Postgres {
    pub(super) async fn open(place: &Place, writer: Writer) -> Result<Self, StoreError> {
        let write = options(&place.url)?;
        let read = place.read_url.as_deref().map_or_else(|| Ok(write.clone()), options)?;
        let name = named(&write);
        let failed = |source| StoreError::Away { name: name.clone(), source };
        let pool = |most| PgPoolOptions::new().max_connections(most).acquire_timeout(PATIENCE);
        let writers = pool(4).connect_with(write).await.map_err(failed)?;
        match MIGRATIONS.run(&writers).await {
            Ok(()) => {}
            Err(MigrateError::VersionMissing(version)) => {
                return Err(StoreError::Newer { name, version });
            }
            Err(source) => return Err(StoreError::Migration { name, source }),
        }
        let readers = pool(4).connect_with(read).await.map_err(failed)?;

        Ok(Self { writers, readers, writer: Arc::new(writer), parts: Arc::default() })
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        // A server that only reads (a replica, a full disk's precaution) is no database to us.
        sqlx::query("UPDATE standing_version SET version = version").execute(&mut *write).await?;
        write.rollback().await?;

        Ok(())
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }

    /// A transaction that may store rows of now.
    async fn write(&self) -> Result<Transaction<'static, Db>, StoreError> {
        self.ensure([clock::now_micros()]).await?;

        Ok(self.writers.begin().await?)
    }

    /// A transaction that may store these.
    async fn write_for(
        &self,
        events: &[Event<'static>],
    ) -> Result<Transaction<'static, Db>, StoreError> {
        self.ensure(events.iter().map(|event| event.occurred_at)).await?;

        Ok(self.writers.begin().await?)
    }

    /// Where what has just been written is read: a replica may be behind.
    fn current(&self) -> &PgPool {
        &self.writers
    }

    /// A transaction that sees one state.
    async fn snapshot(&self) -> Result<Transaction<'static, Db>, StoreError> {
        Ok(self.writers.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
    }

    /// A lock that ends with its connection, so with the sidecar, however that ends.
    pub(super) async fn claim(&self, sink: &str) -> Result<Option<Claim>, StoreError> {
        let mut connection = self.writers.acquire().await?;
        let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(claim::number(sink))
            .fetch_one(&mut *connection)
            .await?;

        Ok(taken.then(|| Claim::held_by(connection.detach())))
    }

    /// Anything, for tests.
    #[cfg(test)]
    pub(super) async fn raw(&self, sql: &str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sql).execute(&self.writers).await.map(drop)
    }

    /// Makes the parts of the table that rows of these times need.
    async fn ensure(&self, times: impl IntoIterator<Item = u64>) -> Result<(), StoreError> {
        let wanted: BTreeSet<String> = times.into_iter().map(clock::month).collect();
        let missing: Vec<String> = {
            let known = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.into_iter().filter(|month| !known.contains(month)).collect()
        };
        for month in missing {
            self.make_part(&month).await?;
            self.parts.lock().unwrap_or_else(PoisonError::into_inner).insert(month);
        }

        Ok(())
    }

    /// Made beside the table and then attached: that does not wait for those who read it.
    async fn make_part(&self, month: &str) -> Result<(), StoreError> {
        let name = format!("audit_events_{}", month.replace('-', "_"));
        let mut write = self.writers.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(PARTS_LOCK)
            .execute(&mut *write)
            .await?;
        let there: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
             WHERE inhparent = 'audit_events'::regclass AND relname = $1)",
        )
        .bind(&name)
        .fetch_one(&mut *write)
        .await?;
        if !there {
            // The name is made of digits: nothing from outside is in it.
            let from = format!("{month}-01T00:00:00Z");
            for sql in [
                format!(
                    "CREATE TABLE {name} (LIKE audit_events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
                ),
                format!(
                    "ALTER TABLE audit_events ATTACH PARTITION {name} FOR VALUES FROM ('{from}')
                     TO (timestamptz '{from}' + interval '1 month')"
                ),
            ] {
                sqlx::query(&sql).execute(&mut *write).await?;
            }
        }
        write.commit().await?;

        Ok(())
    }
}

/// The database's name for people: without user and password.
fn named(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_default();

    format!("the Postgres database {database:?} at {}:{}", options.get_host(), options.get_port())
}

fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    // The error may repeat the address, and that has a password.
    let options: PgConnectOptions = url.parse().or(Err(StoreError::Address))?;

    Ok(options.application_name("tollgate").options([("timezone", "UTC")]))
}
