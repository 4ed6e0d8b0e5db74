//! The store's side of the standing: who is revoked, paused or throttled.

use super::measures::{Laid, Lifted, Measure, Which};
use super::{Minted, Store, StoreError};
use crate::acts::Act;
use contract::standing::{Kind, Standing};

impl Store {
    /// Notes a token that a drill minted, which must be stopped like any other.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_drill(&self, minted: &Minted<'_>) -> Result<(), StoreError> {
        each!(self, db => db.note_drill(minted).await)
    }

    /// Lays a measure on whom or what it names. What the store does not know is refused, unless it
    /// may be unknown.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lay(
        &self,
        measure: &Measure,
        unknown_too: bool,
        act: &Act,
    ) -> Result<Laid, StoreError> {
        each!(self, db => db.lay(measure, unknown_too, act).await)
    }

    /// Lifts measures from somebody or something.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lift(
        &self,
        kind: Kind,
        id: &str,
        which: Which<'_>,
        now: u64,
        act: &Act,
    ) -> Result<Lifted, StoreError> {
        each!(self, db => db.lift(kind, id, which, now, act).await)
    }

    /// The tenant of what has this id; `None` if the store knows nothing that has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tenant_of(&self, kind: Kind, id: &str) -> Result<Option<String>, StoreError> {
        each!(self, db => db.tenant_of(kind, id).await)
    }

    /// All measures that hold, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn measures(&self, now: u64) -> Result<Vec<Measure>, StoreError> {
        each!(self, db => db.measures(now).await)
    }

    /// What keeps somebody from signing in with what has these ids, if anything does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stop_at_sign_in(
        &self,
        on: &[(Kind, &str)],
        now: u64,
    ) -> Result<Option<Measure>, StoreError> {
        each!(self, db => db.stop_at_sign_in(on, now).await)
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
