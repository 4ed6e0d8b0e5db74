//! What becomes of people when their directory says so: stopped, let in, renamed, put into groups.

use super::moves::follow;
use super::standing::{self, Named};
use super::{Connection, Db, dialect, held};
use crate::acts::Act;
use crate::standing::SKEW;
use crate::store::directory::Pen;
use crate::store::measures::Measure;
use crate::store::{StoreError, signed, unsigned};
use contract::standing::{Effect, Kind};
use sqlx::QueryBuilder;
use std::collections::BTreeSet;

/// Who lays what a directory ends: a prefix, behind it stands which token.
const DIRECTORY: &str = "scim:";

/// Has their directory ended them? Who was taken out and came back has two rows, of which one lives.
pub(super) async fn is_deprovisioned(
    read: &mut Connection,
    user_id: &str,
) -> Result<bool, StoreError> {
    let rows: Vec<bool> = sqlx::query_scalar(
        "SELECT s.active FROM scim_users s JOIN users u ON u.sub = s.sub
         WHERE (u.user_id = $1 OR u.sub = $1) AND s.tenant_id = u.tenant_id",
    )
    .bind(user_id)
    .fetch_all(read)
    .await?;

    Ok(!rows.is_empty() && !rows.contains(&true))
}

/// Was it a directory that laid this? An operator who lays the like makes it theirs.
pub(super) fn is_directory_s(measure: &Measure) -> bool {
    measure.kind == Kind::User && measure.set_by.starts_with(DIRECTORY)
}

/// Lets in whom the directory had `ended`. What an operator has laid stays as they laid it.
pub(super) async fn let_in(
    write: &mut Connection,
    sub: &str,
    ended: bool,
    pen: Pen<'_>,
) -> Result<(), StoreError> {
    let Some(on) = standing::named(write, Kind::User, sub).await? else { return Ok(()) };
    let laid = held::held(write, Kind::User, &on.id, Some("revoked"), pen.now).await?;
    if laid.iter().any(is_directory_s) {
        return standing::remove(write, Kind::User, &on.id, Some("revoked")).await;
    }
    // Ended under an operator's measure that ends by itself, or has ended. One without an end keeps them disabled
    // until it is lifted.
    if ended && laid.iter().all(|it| it.ends_at.is_some()) {
        sqlx::query("UPDATE users SET disabled_at = NULL WHERE sub = $1")
            .bind(sub)
            .execute(write)
            .await?;
    }

    Ok(())
}

/// Stops whom the directory ends. What an operator has laid stays as they laid it.
pub(super) async fn stop(
    write: &mut Connection,
    sub: &str,
    pen: Pen<'_>,
) -> Result<(), StoreError> {
    let Some(on) = standing::named(write, Kind::User, sub).await? else { return Ok(()) };
    let laid = held::held(write, Kind::User, &on.id, Some("revoked"), pen.now).await?;
    sqlx::query("UPDATE users SET disabled_at = COALESCE(disabled_at, $1) WHERE sub = $2")
        .bind(signed(pen.now))
        .bind(sub)
        .execute(&mut *write)
        .await?;
    if laid.is_empty() {
        standing::lay(write, &ended(pen.now, pen.act, None), &on, pen.act).await?;
    } else if laid.iter().any(|it| it.ends_at.is_some()) {
        end_tokens_of(write, &on, pen.now, pen.act).await?;
    }

    end_sessions_of(write, sub, pen.now).await
}

/// An operator's revocation that ends by itself takes the place of the directory's: who is disabled gets no new
/// token, and those there are are ended one by one.
pub(super) async fn give_way(
    write: &mut Connection,
    on: &Named,
    laid: &[Measure],
    new: &Measure,
    act: &Act,
) -> Result<(), StoreError> {
    if new.ends_at.is_some() && laid.iter().any(is_directory_s) {
        end_tokens_of(write, on, new.set_at, act).await?;
    }

    Ok(())
}

/// Ends what somebody has in use, however long a measure on themselves lasts.
async fn end_tokens_of(
    write: &mut Connection,
    on: &Named,
    now: u64,
    act: &Act,
) -> Result<(), StoreError> {
    let alive: Vec<String> =
        sqlx::query_scalar("SELECT jti FROM tokens WHERE sub = $1 AND expires_at > $2")
            .bind(&on.sub)
            .bind(signed(now.saturating_sub(SKEW)))
            .fetch_all(&mut *write)
            .await?;
    for jti in alive {
        let token = Named { id: jti, sub: on.sub.clone(), ..Named::default() };
        let measure = Measure { kind: Kind::Token, ..ended(now, act, None) };
        standing::lay(write, &measure, &token, act).await?;
    }

    Ok(())
}

/// Ends the sessions of somebody who was ended, so that they do not come back with the person; the provider's
/// refresh tokens are forgotten. What was minted from them the revocation on the person stops.
async fn end_sessions_of(write: &mut Connection, sub: &str, now: u64) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE sessions SET ended_at = $1, ended_why = 'ended by the directory',
             provider_grant = NULL WHERE sub = $2 AND ended_at IS NULL",
    )
    .bind(signed(now))
    .bind(sub)
    .execute(write)
    .await?;

    Ok(())
}

fn ended(now: u64, act: &Act, ends_at: Option<u64>) -> Measure {
    Measure {
        kind: Kind::User,
        id: String::new(), // whatever it is laid on has it
        effect: Effect::Revoked,
        ends_at,
        set_at: now,
        set_by: act.who().to_owned(),
        why: "ended by the directory".to_owned(),
    }
}

/// They sign in by another address from now on. What was laid on the old one goes along; tokens that name it
/// are ended, since nothing would find them by the new one. False for an operator, whom no directory renames.
pub(super) async fn rename(
    write: &mut Connection,
    sub: &str,
    email: &str,
    pen: Pen<'_>,
) -> Result<bool, StoreError> {
    // The directory's own row may be behind: a provider tells of new addresses too.
    let sql = format!("SELECT user_id, roles FROM users WHERE sub = $1{}", dialect::FOR_UPDATE);
    let (old, roles): (String, String) =
        sqlx::query_as(&sql).bind(sub).fetch_one(&mut *write).await?;
    if old == email {
        return Ok(true);
    }
    if has_roles(&roles)? {
        return Ok(false);
    }
    sqlx::query("UPDATE users SET user_id = $1 WHERE sub = $2")
        .bind(email)
        .bind(sub)
        .execute(&mut *write)
        .await?;
    follow(write, &old, email, pen.now).await?;
    sqlx::query("DELETE FROM standing WHERE kind = 'user' AND id = $1")
        .bind(&old)
        .execute(&mut *write)
        .await?;
    let latest: Option<i64> =
        sqlx::query_scalar("SELECT MAX(expires_at) FROM tokens WHERE sub = $1")
            .bind(sub)
            .fetch_one(&mut *write)
            .await?;
    if let Some(latest) = latest.map(unsigned).filter(|latest| *latest > pen.now) {
        let on = Named { id: old, sub: Some(sub.to_owned()), ..Named::default() };
        standing::lay(write, &ended(pen.now, pen.act, Some(latest)), &on, pen.act).await?;
    }

    Ok(true)
}

/// Is that an operator? They are nobody that a directory may take over.
pub(super) fn has_roles(roles: &str) -> Result<bool, StoreError> {
    Ok(!serde_json::from_str::<Vec<String>>(roles)?.is_empty())
}

/// Makes the groups of these people what their directory says.
pub(super) async fn regroup(write: &mut Connection, subs: &[String]) -> Result<(), StoreError> {
    // In one order, so that two changes at once wait for each other and never in a ring.
    let subs: Vec<&String> = subs.iter().collect::<BTreeSet<_>>().into_iter().collect();
    for some in subs.chunks(dialect::IDS) {
        // A statement sees what there was when it began. Who waits in the one that changes would see groups as they
        // were before the change that it waited for: so it is waited for here.
        if !dialect::FOR_UPDATE.is_empty() {
            let mut lock = QueryBuilder::new("SELECT sub FROM users");
            among(&mut lock, some);
            lock.push(" ORDER BY sub").push(dialect::FOR_UPDATE);
            lock.build().persistent(false).fetch_all(&mut *write).await?;
        }
        let mut query = QueryBuilder::new("UPDATE users SET groups = ");
        query.push(dialect::GROUPS_OF_USER);
        among(&mut query, some);
        query.build().persistent(false).execute(&mut *write).await?;
    }

    Ok(())
}

fn among<'a>(query: &mut QueryBuilder<'a, Db>, subs: &[&'a String]) {
    query.push(" WHERE sub IN (");
    let mut list = query.separated(", ");
    for sub in subs {
        list.push_bind(*sub);
    }
    query.push(")");
}
