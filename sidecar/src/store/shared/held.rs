//! What holds of somebody, and who may lift it.

use super::standing::{MEASURE, measure, named};
use super::{Backend, Connection, DbRow};
use crate::acts::Act;
use crate::clock;
use crate::store::measures::{Measure, word};
use crate::store::{StoreError, signed};
use contract::standing::{Effect, Kind};
use sqlx::Row as _;

impl Backend {
    /// The tenant of what has this id; `None` if nothing has.
    pub(in crate::store) async fn tenant_of(
        &self,
        kind: Kind,
        id: &str,
    ) -> Result<Option<String>, StoreError> {
        let mut write = self.write().await?;

        Ok(named(&mut write, kind, id).await?.map(|named| named.tenant_id))
    }
}

/// What holds of it.
pub(super) async fn held(
    write: &mut Connection,
    kind: Kind,
    id: &str,
    only: Option<&str>,
    now: u64,
) -> Result<Vec<Measure>, StoreError> {
    held_rows(write, kind, id, only, now).await?.iter().map(measure).collect()
}

async fn held_rows(
    write: &mut Connection,
    kind: Kind,
    id: &str,
    only: Option<&str>,
    now: u64,
) -> Result<Vec<DbRow>, sqlx::Error> {
    let sql = format!(
        "SELECT {MEASURE} FROM standing WHERE kind = $1 AND id = $2
             AND ($3 = '' OR effect = $3) AND (ends_at IS NULL OR ends_at > $4) ORDER BY effect"
    );

    sqlx::query(&sql)
        .bind(kind.as_str())
        .bind(id)
        .bind(only.unwrap_or_default())
        .bind(signed(now))
        .fetch_all(&mut *write)
        .await
}

pub(super) async fn is_ended(write: &mut Connection, pat: &str) -> Result<bool, StoreError> {
    let sql = "SELECT revoked_at FROM pats WHERE id = $1 AND revoked_at IS NOT NULL";

    Ok(sqlx::query(sql).bind(pat).fetch_optional(&mut *write).await?.is_some())
}

/// What holds of it that others laid, whose measures this act may not lift, and in which roles.
pub(super) async fn others(
    write: &mut Connection,
    kind: Kind,
    id: &str,
    only: Option<&str>,
    now: u64,
    act: &Act,
) -> Result<Vec<(Measure, String)>, StoreError> {
    let rows = held_rows(write, kind, id, only, now).await?;
    let mut others = Vec::new();
    for row in &rows {
        let laid_as: String = row.try_get("set_as")?;
        if !act.lifts(&laid_as) {
            others.push((measure(row)?, laid_as));
        }
    }

    Ok(others)
}

/// May this act lift what holds of it? A person who is disabled is held by a measure like any other.
pub(super) async fn may_lift(
    write: &mut Connection,
    kind: Kind,
    id: &str,
    only: Option<&str>,
    act: &Act,
) -> Result<(), StoreError> {
    let now = clock::now();
    if let Some((measure, _)) = others(write, kind, id, only, now, act).await?.into_iter().next() {
        return Err(StoreError::NotTheirs(measure.set_by));
    }
    let revoked = Some(word(Effect::Revoked));
    if kind == Kind::User
        && !act.lifts("")
        && held(write, kind, id, revoked, now).await?.is_empty()
        && is_disabled(write, id).await?
    {
        return Err(StoreError::NotTheirs("somebody else".to_owned()));
    }

    Ok(())
}

async fn is_disabled(write: &mut Connection, user_id: &str) -> Result<bool, sqlx::Error> {
    let sql = "SELECT user_id FROM users WHERE user_id = $1 AND disabled_at IS NOT NULL";

    Ok(sqlx::query(sql).bind(user_id).fetch_optional(&mut *write).await?.is_some())
}
