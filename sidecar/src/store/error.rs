//! How the store fails.

use crate::keys::KeyError;
use std::path::PathBuf;
use thiserror::Error;

/// Why the store could not do it.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is no database, and this command makes none.
    #[error("no database at {}: `tollgate serve` or `tollgate user add` makes it", .0.display())]
    Missing(PathBuf),
    /// A newer Tollgate has changed it.
    #[error("{name} was made by a newer tollgate (migration {version}): use that one")]
    Newer {
        /// Which database.
        name: String,
        /// The migration this one does not know.
        version: i64,
    },
    /// It cannot be brought up to date.
    #[error("{name} cannot be brought up to date: {source}")]
    Migration {
        /// Which database.
        name: String,
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
    /// It cannot be reached.
    #[error("cannot reach {name}: {source}")]
    Away {
        /// Which database, without its password.
        name: String,
        /// Why not.
        source: sqlx::Error,
    },
    /// The address is none. What it is stays untold: there may be a password in it.
    #[error("the address of the database is none: postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Address,
    /// The key that signs the chain.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It refused.
    #[error("the database refused: {0}")]
    Refused(#[from] sqlx::Error),
    /// Somebody else laid it, in a role that who acts does not have.
    #[error("{0} laid that: only security lifts what others have laid")]
    NotTheirs(String),
    /// Something in it is not what was put there.
    #[error("the database holds what it should not: {0}")]
    Corrupt(#[from] serde_json::Error),
}
