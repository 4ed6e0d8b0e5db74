//! What is laid on people by their address, when they have another.

use super::{Connection, dialect, standing};
use crate::store::{StoreError, signed};

/// Copies what is laid on the old address to the new one. Whatever lies there already stays, or gives way to what
/// is stricter: nobody is let in by a change of address.
pub(super) async fn follow(
    write: &mut Connection,
    old: &str,
    new: &str,
    now: u64,
) -> Result<(), StoreError> {
    // What is over says nothing any more of what is stricter.
    sqlx::query("DELETE FROM standing WHERE kind = 'user' AND id IN ($1, $2) AND ends_at < $3")
        .bind(old)
        .bind(new)
        .bind(signed(now))
        .execute(&mut *write)
        .await?;
    let done = sqlx::query(&merge()).bind(new).bind(old).execute(&mut *write).await?;
    if done.rows_affected() > 0 {
        standing::rise(write).await?;
    }

    Ok(())
}

/// The longer end, the smaller rate, whatever gates must know; and who laid the stricter one. Of two that are
/// equally strict, whose fewer may lift.
fn merge() -> String {
    let (greatest, least) = (dialect::GREATEST, dialect::LEAST);
    let stricter = "(standing.ends_at IS NOT NULL
            AND (excluded.ends_at IS NULL OR excluded.ends_at > standing.ends_at))
        OR (COALESCE(excluded.ends_at, -1) = COALESCE(standing.ends_at, -1)
            AND (excluded.per_minute < standing.per_minute
                OR (excluded.set_as = '' AND standing.set_as <> '')))";
    let theirs = ["set_at", "set_by", "why", "set_as"]
        .map(|it| format!("{it} = CASE WHEN {stricter} THEN excluded.{it} ELSE standing.{it} END"));

    format!(
        "INSERT INTO standing (kind, id, effect, per_minute, ends_at, told, told_until, set_at,
             set_by, why, set_as)
         SELECT kind, $1, effect, per_minute, ends_at, told, told_until, set_at, set_by, why, set_as
         FROM standing WHERE kind = 'user' AND id = $2
         ON CONFLICT (kind, id, effect) DO UPDATE SET
             per_minute = {least}(standing.per_minute, excluded.per_minute),
             ends_at = CASE WHEN standing.ends_at IS NULL OR excluded.ends_at IS NULL THEN NULL
                 ELSE {greatest}(standing.ends_at, excluded.ends_at) END,
             told = standing.told OR excluded.told,
             told_until = {greatest}(standing.told_until, excluded.told_until), {}",
        theirs.join(", ")
    )
}
