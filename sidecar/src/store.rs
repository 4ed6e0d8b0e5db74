//! Where rows, people and tokens are kept. The SQL is in the module of its database, and nowhere
//! else; `SQLite` is the one that needs nothing.

use crate::acts::Act;
use contract::audit::Event;
use contract::standing::Standing;
use std::path::{Path, PathBuf};
use thiserror::Error;

mod sqlite;

pub use self::row::Row;

pub mod row;

/// Why the store could not do it.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is no database, and this command makes none.
    #[error("no database at {}: `tollgate serve` or `tollgate user add` makes it", .0.display())]
    Missing(PathBuf),
    /// A newer Tollgate has changed it.
    #[error("{} was made by a newer tollgate (migration {version}): use that one", path.display())]
    Newer {
        /// Which database.
        path: PathBuf,
        /// The migration this one does not know.
        version: i64,
    },
    /// It cannot be brought up to date.
    #[error("{} cannot be brought up to date: {source}", path.display())]
    Migration {
        /// Which database.
        path: PathBuf,
        /// Why not.
        source: sqlx::migrate::MigrateError,
    },
    /// It cannot be opened.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// Which database.
        path: PathBuf,
        /// Why not.
        source: sqlx::Error,
    },
    /// It refused.
    #[error("the database refused: {0}")]
    Refused(#[from] sqlx::Error),
    /// Something in it is not what was put there.
    #[error("the database holds what it should not: {0}")]
    Corrupt(#[from] serde_json::Error),
}

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// Never changes and never comes back.
    pub sub: String,
    /// Verified e-mail, lower case.
    pub user_id: String,
    /// The name shown to people.
    pub name: Option<String>,
    /// The tenant.
    pub tenant_id: String,
    /// For routing and chargeback.
    pub department: Option<String>,
    /// For chargeback.
    pub cost_centre: Option<String>,
    /// Groups of the directory.
    pub groups: Vec<String>,
    /// Operator roles.
    pub roles: Vec<String>,
    /// Regulatory populations.
    pub populations: Vec<String>,
    /// Where their data must stay.
    pub region: Option<String>,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub disabled_at: Option<u64>,
}

/// A personal access token, without the token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pat {
    /// `pat_…`.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// The rollout it belongs to.
    pub cohort: Option<String>,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub expires_at: u64,
    /// Unix seconds.
    pub revoked_at: Option<u64>,
    /// Unix seconds.
    pub last_used_at: Option<u64>,
}

/// A token about to be minted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minted<'a> {
    /// Its id.
    pub jti: &'a str,
    /// Unix seconds.
    pub now: u64,
    /// Unix seconds.
    pub expires_at: u64,
}

/// How far a spool has been read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mark {
    /// Rises when the file is rotated or truncated.
    pub generation: u64,
    /// Device and inode.
    pub file: String,
    /// Bytes.
    pub position: u64,
}

impl Mark {
    /// The start of the file that is read next.
    #[must_use]
    pub fn start_of(&self, file: String) -> Self {
        Self { generation: self.generation.saturating_add(1), file, position: 0 }
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Appended {
    /// New rows.
    pub stored: u64,
    /// Rows that were there.
    pub duplicates: u64,
}

/// Which rows are wanted. Members are joined by and.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Column and value, both exact.
    pub equal: Vec<(&'static str, String)>,
    /// Any id of the row is this one.
    pub any_id: Option<String>,
    /// `occurred_at` from then on.
    pub since: Option<String>,
    /// `occurred_at` before then.
    pub until: Option<String>,
    /// Stored after this row.
    pub after: Option<i64>,
    /// At most so many, the latest.
    pub limit: u32,
}

/// The store. One variant for each database.
#[derive(Debug, Clone)]
pub enum Store {
    /// Embedded.
    Sqlite(sqlite::Sqlite),
}

macro_rules! each {
    ($self:ident, $db:ident => $call:expr) => {
        match $self {
            Self::Sqlite($db) => $call,
        }
    };
}

impl Store {
    /// Opens the database, making or updating it as needed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create(path: &Path) -> Result<Self, StoreError> {
        sqlite::Sqlite::open(path).await.map(Self::Sqlite)
    }

    /// Opens the database if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }

        Self::create(path).await
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

    /// Rows, in the order they occurred; those after a row in the order they were stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rows(&self, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        each!(self, db => db.rows(filter).await)
    }

    /// The row stored last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn last_row(&self) -> Result<i64, StoreError> {
        each!(self, db => db.last_row().await)
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

    /// Notes what is minted from a token, *before* it is signed. False if the token or its user was
    /// stopped meanwhile: then nothing may be minted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_mint(&self, pat: &str, minted: &Minted<'_>) -> Result<bool, StoreError> {
        each!(self, db => db.note_mint(pat, minted).await)
    }

    /// The version of who is stopped: rises with each change.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standing_version(&self) -> Result<u64, StoreError> {
        each!(self, db => db.standing_version().await)
    }

    /// Who is stopped.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standing(&self) -> Result<Standing, StoreError> {
        each!(self, db => db.standing().await)
    }

    /// Forgets minted tokens, and entries of the standing, that have expired.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_expired(&self, now: u64) -> Result<(), StoreError> {
        each!(self, db => db.forget_expired(now).await)
    }
}
