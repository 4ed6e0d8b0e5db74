//! Where rows, people and tokens are kept. `SQLite` needs nothing; Postgres is for many sidecars.
//!
//! What both are asked alike stands in `store/shared/`, and is compiled once for each; what they are
//! asked differently stands in their own `dialect.rs`. There is no SQL anywhere else.

use crate::acts::Act;
use crate::cost::spend::{Query, Spend};
use crate::sequences::Sequence;
use crate::settings::Data;
use chain::{Block, Head};
use contract::audit::{Event, Heartbeat};
use writer::Writer;

macro_rules! each {
    ($self:ident, $db:ident => $call:expr) => {
        match $self {
            Self::Sqlite($db) => $call,
            Self::Postgres($db) => $call,
        }
    };
}

mod access;
pub mod approvals;
pub mod chain;
mod claim;
pub mod directory;
mod envoy;
mod error;
pub mod fleet;
mod kinds;
pub mod manifests;
mod policy;
pub mod measures;
mod postgres;
pub mod row;
pub mod sessions;
mod sqlite;
pub mod writer;

pub use self::claim::Claim;
pub use self::envoy::{EnvoyChange, EnvoyWay};
pub use self::error::StoreError;
pub use self::kinds::{
    Appended, Called, Cursor, Filter, Held, Intent, Mark, Minted, Pat, Step, User,
};
pub use self::policy::{PolicyVersion, Way};
pub use self::row::Row;

/// The store. One variant for each database.
#[derive(Debug, Clone)]
pub enum Store {
    /// Embedded.
    Sqlite(sqlite::Sqlite),
    /// Postgres.
    Postgres(postgres::Postgres),
}

impl Store {
    /// Opens the database, making or updating it as needed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create(data: &Data) -> Result<Self, StoreError> {
        let writer = Writer::of(data)?;
        match data.postgres() {
            Some(place) => postgres::Postgres::open(place, writer).await.map(Self::Postgres),
            None => sqlite::Sqlite::open(&data.database(), writer).await.map(Self::Sqlite),
        }
    }

    /// Opens the database if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(data: &Data) -> Result<Self, StoreError> {
        let path = data.database();
        if data.postgres().is_none() && !path.exists() {
            return Err(StoreError::Missing(path));
        }

        Self::create(data).await
    }

    /// Is it there, and can it be written?
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        each!(self, db => db.ping().await)
    }

    /// Closes it.
    pub async fn close(&self) {
        each!(self, db => db.close().await);
    }

    /// Stores events, each once, and how far the spool was read to get them: both or neither.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn append(
        &self,
        events: &[Event<'static>],
        mark: Option<(&str, &Mark)>,
    ) -> Result<Appended, StoreError> {
        each!(self, db => db.append(events, mark).await)
    }

    /// How far a spool has been read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mark(&self, spool: &str) -> Result<Option<Mark>, StoreError> {
        each!(self, db => db.mark(spool).await)
    }

    /// Rows, in the order they occurred; those after a cursor in the order they were stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rows(&self, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        each!(self, db => db.rows(filter).await)
    }

    /// The steps of a trace, or of all, in the order they occurred; of these tenants, or of all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lineage(
        &self,
        trace: Option<&str>,
        tenants: Option<&[String]>,
        limit: u32,
    ) -> Result<Vec<Step>, StoreError> {
        each!(self, db => db.lineage(trace, tenants, limit).await)
    }

    /// Whose chain this store adds to.
    pub fn writer(&self) -> &Writer {
        each!(self, db => db.writer())
    }

    /// Sums over the rows, by group.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn spend(&self, query: &Query) -> Result<Vec<Spend>, StoreError> {
        each!(self, db => db.spend(query).await)
    }

    /// The rows of one writer between two places, both included, in their order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rows_of(
        &self,
        writer: &str,
        from: i64,
        to: i64,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError> {
        each!(self, db => db.rows_of(writer, from, to, limit).await)
    }

    /// Where the table ends now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end(&self) -> Result<Cursor, StoreError> {
        each!(self, db => db.end().await)
    }

    /// How many rows each writer has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rows_in_all(&self) -> Result<Vec<(String, i64)>, StoreError> {
        each!(self, db => db.rows_in_all().await)
    }

    /// Where each writer says that its chain ends.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn heads(&self) -> Result<Vec<(String, Head)>, StoreError> {
        each!(self, db => db.heads().await)
    }

    /// Blocks of a writer behind a number, in their order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn blocks(
        &self,
        writer: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Block>, StoreError> {
        each!(self, db => db.blocks(writer, after, limit).await)
    }

    /// How far a sink of the SIEM was sent the rows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cursor(&self, sink: &str) -> Result<Cursor, StoreError> {
        each!(self, db => db.cursor(sink).await)
    }

    /// Notes how far a sink was sent the rows of one writer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn move_cursor(
        &self,
        sink: &str,
        writer: &str,
        place: i64,
    ) -> Result<(), StoreError> {
        each!(self, db => db.move_cursor(sink, writer, place).await)
    }

    /// Notes what a filter VM tells of itself.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn heard(&self, told: &Heartbeat, now: u64) -> Result<(), StoreError> {
        each!(self, db => db.heard(told, now).await)
    }

    /// What is known of every sequence.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sequences(&self) -> Result<Vec<Sequence>, StoreError> {
        each!(self, db => db.sequences().await)
    }

    /// Stores an intent: a call that leaves only when this has returned.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn intend(&self, event: &Event<'static>, now: u64) -> Result<(), StoreError> {
        each!(self, db => db.intend(event, now).await)
    }

    /// The intents stored before then that have no end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn intents(&self, before: u64) -> Result<Vec<Intent>, StoreError> {
        each!(self, db => db.intents(before).await)
    }

    /// Makes rows of intents without an end; says how many had none after all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn close_intents(&self, events: &[Event<'static>]) -> Result<u64, StoreError> {
        each!(self, db => db.close_intents(events).await)
    }

    /// Forgets what lineage and sequences older than that no longer need.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tidy_audit(&self, before: u64) -> Result<(), StoreError> {
        each!(self, db => db.tidy_audit(before).await)
    }

    /// A secret that all gateways of this installation share; `fresh` if there is none yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn gate_secret(&self, name: &str, fresh: &str) -> Result<String, StoreError> {
        each!(self, db => db.gate_secret(name, fresh).await)
    }

    /// Adds somebody; false if the address is known. This and the other acts of operators leave
    /// their row, or do not happen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_user(&self, user: &User, act: &Act) -> Result<bool, StoreError> {
        each!(self, db => db.add_user(user, act).await)
    }

    /// Everybody, by address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        each!(self, db => db.users().await)
    }

    /// Somebody, by address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn user(&self, user_id: &str) -> Result<Option<User>, StoreError> {
        each!(self, db => db.user(user_id).await)
    }

    /// Stops somebody, and what they hold; false if nobody is known by the address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn disable_user(
        &self,
        user_id: &str,
        now: u64,
        act: &Act,
    ) -> Result<bool, StoreError> {
        each!(self, db => db.disable_user(user_id, now, act).await)
    }

    /// Lets somebody in again, and what they hold; false if nobody is known by the address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enable_user(&self, user_id: &str, act: &Act) -> Result<bool, StoreError> {
        each!(self, db => db.enable_user(user_id, act).await)
    }

    /// Adds a token by its hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_pat(&self, pat: &Pat, hash: &str, act: &Act) -> Result<(), StoreError> {
        each!(self, db => db.add_pat(pat, hash, act).await)
    }

    /// All tokens, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pats(&self) -> Result<Vec<Pat>, StoreError> {
        each!(self, db => db.pats().await)
    }

    /// The token with this hash, and whose it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pat_by_hash(&self, hash: &str) -> Result<Option<(Pat, User)>, StoreError> {
        each!(self, db => db.pat_by_hash(hash).await)
    }

    /// Revokes a token, and what was minted from it; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke_pat(
        &self,
        id: &str,
        now: u64,
        act: &Act,
    ) -> Result<Option<Pat>, StoreError> {
        each!(self, db => db.revoke_pat(id, now, act).await)
    }

    /// Notes a token *before* it is signed. False if what it is minted from or its user was stopped
    /// meanwhile: then nothing may be minted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_mint(&self, minted: &Minted<'_>, held: &Held) -> Result<bool, StoreError> {
        each!(self, db => db.note_mint(minted, held).await)
    }

    /// Takes a sink for this sidecar alone, until the claim is dropped; `None` if another has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim(&self, sink: &str) -> Result<Option<Claim>, StoreError> {
        each!(self, db => db.claim(sink).await)
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
