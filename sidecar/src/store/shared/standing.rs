//! Who is revoked, paused or throttled.

use super::held::{held, is_ended, may_lift, others};
use super::scim_stand::{give_way, is_deprovisioned, is_directory_s};
use super::{Backend, Connection, Db, DbRow, append, dialect, sessions};
use crate::acts::Act;
use crate::content::seal;
use crate::standing::{LONGEST_TOKEN, SKEW};
use crate::store::measures::{Laid, Lifted, Measure, Reach, Which, word};
use crate::store::writer::Writer;
use crate::store::{StoreError, signed, unsigned};
use contract::standing::{Effect, Entry, Kind, Standing};
use sqlx::Row as _;

pub(super) const MEASURE: &str =
    "kind, id, effect, per_minute, ends_at, set_at, set_by, why, set_as";

/// What a measure is laid on, as far as the store knows it.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) sub: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) tenant_id: String,
}

impl Backend {
    pub(in crate::store) async fn lay(
        &self,
        measure: &Measure,
        unknown_too: bool,
        act: &Act,
    ) -> Result<Laid, StoreError> {
        let mut write = self.write().await?;
        let named = match named(&mut write, measure.kind, &measure.id).await? {
            Some(named) => named,
            None if unknown_too => Named { id: measure.id.clone(), ..Named::default() },
            None => return Ok(Laid::Unknown),
        };
        let now = measure.set_at;
        let only = Some(word(measure.effect));
        let before = held(&mut write, measure.kind, &named.id, only, now).await?;
        let stricter = before.iter().find(|it| !is_directory_s(it) && it.is_stricter_than(measure));
        if let Some(before) = stricter {
            return Ok(Laid::Stricter(before.clone()));
        }
        give_way(&mut write, &named, &before, measure, act).await?;
        let reach = lay(&mut write, measure, &named, act).await?;
        let after = Measure { id: named.id.clone(), ..measure.clone() }.object();
        let before = before.first().map(Measure::object).unwrap_or_default();
        told(&mut write, &self.writer, &act.clone().from(before).to(after), &named).await?;
        write.commit().await?;

        Ok(Laid::Done(reach))
    }

    pub(in crate::store) async fn lift(
        &self,
        kind: Kind,
        id: &str,
        which: Which<'_>,
        now: u64,
        act: &Act,
    ) -> Result<Lifted, StoreError> {
        let mut write = self.write().await?;
        let named = named(&mut write, kind, id).await?;
        let named = named.unwrap_or_else(|| Named { id: id.to_owned(), ..Named::default() });
        let mut lifted = held(&mut write, kind, &named.id, which.effect(), now).await?;
        lifted.retain(|measure| which.is(measure));
        if kind == Kind::Credential && is_ended(&mut write, &named.id).await? {
            return Ok(Lifted::Final);
        }
        if kind == Kind::User
            && !lifted.is_empty()
            && which.effect().is_none_or(|only| only == word(Effect::Revoked))
            && is_deprovisioned(&mut write, &named.id).await?
        {
            return Ok(Lifted::Directory);
        }
        if lifted.is_empty() {
            return Ok(Lifted::None);
        }
        may_lift(&mut write, kind, &named.id, which.effect(), act).await?;
        remove(&mut write, kind, &named.id, which.effect()).await?;
        let (tokens, _) = live(&mut write, kind, &named, now).await?;
        told(&mut write, &self.writer, &act.clone().undoing(&lifted), &named).await?;
        write.commit().await?;

        Ok(Lifted::Done(Reach { id: named.id, user_id: named.user_id, tokens }, lifted))
    }

    pub(in crate::store) async fn measures(&self, now: u64) -> Result<Vec<Measure>, StoreError> {
        let sql = format!(
            "SELECT {MEASURE} FROM standing WHERE ends_at IS NULL OR ends_at > $1
             ORDER BY set_at DESC, kind, id, effect"
        );
        let rows = sqlx::query(&sql).bind(signed(now)).fetch_all(self.current()).await?;

        rows.iter().map(measure).collect()
    }

    pub(in crate::store) async fn stop_at_sign_in(
        &self,
        on: &[(Kind, &str)],
        now: u64,
    ) -> Result<Option<Measure>, StoreError> {
        let sql = stops_sql(on);
        let row = bound(&sql, on, now).fetch_optional(self.current()).await?;

        row.as_ref().map(measure).transpose()
    }

    pub(in crate::store) async fn standing_version(&self) -> Result<u64, StoreError> {
        let version = sqlx::query_scalar("SELECT version FROM standing_version")
            .fetch_one(self.current())
            .await?;

        Ok(unsigned(version))
    }

    pub(in crate::store) async fn standing(&self) -> Result<Standing, StoreError> {
        let mut read = self.snapshot().await?;
        let version: i64 = sqlx::query_scalar("SELECT version FROM standing_version")
            .fetch_one(&mut *read)
            .await?;
        let sql = format!("SELECT {MEASURE} FROM standing WHERE told ORDER BY kind, id, effect");
        let rows = sqlx::query(&sql).fetch_all(&mut *read).await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            let Measure { kind, id, effect, ends_at: until, .. } = measure(row)?;
            entries.push(Entry { kind, id, effect, until });
        }

        Ok(Standing { version: unsigned(version), entries })
    }

    pub(in crate::store) async fn forget_expired(&self, now: u64) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let mut untold = 0;
        for (sql, tells) in [
            ("DELETE FROM tokens WHERE expires_at < $1", false),
            ("DELETE FROM exchanged WHERE expires_at < $1", false),
            ("DELETE FROM standing WHERE ends_at < $1", true),
            ("UPDATE standing SET told = FALSE WHERE told AND told_until < $1", true),
            // A token is over for good, and so is what `pat revoke` ended.
            (
                "DELETE FROM standing WHERE NOT told AND told_until < $1 AND (kind = 'token' OR
                     (kind = 'credential' AND id IN
                         (SELECT id FROM pats WHERE revoked_at IS NOT NULL)))",
                false,
            ),
        ] {
            let done = sqlx::query(sql).bind(signed(now)).execute(&mut *write).await?;
            untold += if tells { done.rows_affected() } else { 0 };
        }
        sessions::tidy(&mut write, now).await?;
        if untold > 0 {
            rise(&mut write).await?;
        }
        write.commit().await?;

        Ok(())
    }
}

/// Is any of these stopped?
pub(super) async fn is_stopped(
    write: &mut Connection,
    on: &[(Kind, &str)],
    now: u64,
) -> Result<bool, sqlx::Error> {
    let sql = stops_sql(on);

    Ok(bound(&sql, on, now).fetch_optional(write).await?.is_some())
}

/// The gravest measure that keeps any of these from signing in.
fn stops_sql(on: &[(Kind, &str)]) -> String {
    let name = |nth: usize| {
        let first = nth.saturating_mul(2).saturating_add(2);
        format!("(kind = ${first} AND id = ${})", first.saturating_add(1))
    };
    let names = (0..on.len()).map(name).collect::<Vec<_>>().join(" OR ");

    format!(
        "SELECT {MEASURE} FROM standing WHERE effect <> 'throttled'
             AND (ends_at IS NULL OR ends_at > $1) AND ({names}) ORDER BY effect DESC LIMIT 1"
    )
}

fn bound<'q>(
    sql: &'q str,
    on: &'q [(Kind, &'q str)],
    now: u64,
) -> sqlx::query::Query<'q, Db, <Db as sqlx::Database>::Arguments<'q>> {
    let query = sqlx::query(sql).bind(signed(now));

    on.iter().fold(query, |query, (kind, id)| query.bind(kind.as_str()).bind(*id))
}

/// Lays a measure on what is known of it, and lets gates know if there is anything to stop.
pub(super) async fn lay(
    write: &mut Connection,
    measure: &Measure,
    on: &Named,
    act: &Act,
) -> Result<Reach, StoreError> {
    let now = measure.set_at;
    // Who tightens what others have laid does not make it theirs to lift.
    let only = Some(word(measure.effect));
    let others = others(write, measure.kind, &on.id, only, now, act).await?;
    let (laid_by, laid_as) = match others.iter().find(|(it, _)| !is_directory_s(it)) {
        Some((others, laid_as)) => (others, laid_as.clone()),
        None => (measure, act.lays_as()),
    };
    let (tokens, latest) = live(write, measure.kind, on, now).await?;
    let end = measure.ends_at.map_or(i64::MAX, signed);
    let told_until = match (measure.effect, latest) {
        // Who is throttled goes on signing in.
        (Effect::Throttled { .. }, _) => end,
        // Minted by nobody this store knows of, or beside this act; nothing minted today outlives tomorrow.
        (_, latest) if on.sub.is_none() || matches!(measure.kind, Kind::Session | Kind::Cert) => {
            latest.unwrap_or(0).max(signed(now.saturating_add(LONGEST_TOKEN))).min(end)
        }
        (_, latest) => latest.unwrap_or(0).min(end),
    };
    let per_minute = match measure.effect {
        Effect::Throttled { per_minute } => Some(i64::from(per_minute)),
        Effect::Revoked | Effect::Paused => None,
    };
    // By a clock that is behind, what has just expired is alive.
    let told = told_until >= signed(now.saturating_sub(SKEW));
    let sql = format!(
        "INSERT INTO standing ({MEASURE}, told, told_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (kind, id, effect) DO UPDATE SET per_minute = excluded.per_minute,
             ends_at = excluded.ends_at, set_at = excluded.set_at, set_by = excluded.set_by,
             why = excluded.why, set_as = excluded.set_as, told = excluded.told OR standing.told,
             told_until = {}(standing.told_until, excluded.told_until)",
        dialect::GREATEST
    );
    sqlx::query(&sql)
        .bind(measure.kind.as_str())
        .bind(&on.id)
        .bind(word(measure.effect))
        .bind(per_minute)
        .bind(measure.ends_at.map(signed))
        .bind(signed(laid_by.set_at))
        .bind(&laid_by.set_by)
        .bind(&laid_by.why)
        .bind(laid_as)
        .bind(told)
        .bind(told_until)
        .execute(&mut *write)
        .await?;
    rise(write).await?;

    Ok(Reach { id: on.id.clone(), user_id: on.user_id.clone(), tokens })
}

/// Takes measures away; a person who was disabled is enabled with their revocation.
pub(super) async fn remove(
    write: &mut Connection,
    kind: Kind,
    id: &str,
    only: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM standing WHERE kind = $1 AND id = $2 AND ($3 = '' OR effect = $3)")
        .bind(kind.as_str())
        .bind(id)
        .bind(only.unwrap_or_default())
        .execute(&mut *write)
        .await?;
    if kind == Kind::User && only.is_none_or(|only| only == word(Effect::Revoked)) {
        sqlx::query("UPDATE users SET disabled_at = NULL WHERE user_id = $1")
            .bind(id)
            .execute(&mut *write)
            .await?;
    }

    Ok(rise(write).await?)
}

/// The row of an operator's act on somebody.
pub(super) async fn told(
    write: &mut Connection,
    writer: &Writer,
    act: &Act,
    on: &Named,
) -> Result<(), StoreError> {
    append::add(write, writer, &[seal(&act.row(&on.tenant_id))]).await.map(drop)
}

/// Who or what is meant. A person and a token that are named stay as they are until the end of the
/// transaction: what is being minted meanwhile is seen, or waits.
pub(super) async fn named(
    write: &mut Connection,
    kind: Kind,
    id: &str,
) -> Result<Option<Named>, StoreError> {
    let sub: Option<String> = match kind {
        Kind::User => {
            let sql = format!(
                "SELECT sub FROM users WHERE user_id = $1 OR sub = $1{}",
                dialect::FOR_UPDATE
            );
            sqlx::query_scalar(&sql).bind(id).fetch_optional(&mut *write).await?
        }
        Kind::Credential => {
            let sql = format!("SELECT sub FROM pats WHERE id = $1{}", dialect::FOR_UPDATE);
            sqlx::query_scalar(&sql).bind(id).fetch_optional(&mut *write).await?
        }
        Kind::Session => {
            // A personal access token's sessions are known by their tokens alone.
            let sql = "SELECT sub FROM sessions WHERE id = $1
                 UNION SELECT sub FROM tokens WHERE sid = $1 LIMIT 1";
            sqlx::query_scalar(sql).bind(id).fetch_optional(&mut *write).await?
        }
        Kind::Token | Kind::Cert => {
            let sql = format!("SELECT sub FROM tokens WHERE {} = $1 LIMIT 1", column(kind));
            sqlx::query_scalar(&sql).bind(id).fetch_optional(&mut *write).await?
        }
    };
    let Some(sub) = sub else { return Ok(None) };
    let row = sqlx::query("SELECT user_id, tenant_id FROM users WHERE sub = $1")
        .bind(&sub)
        .fetch_optional(&mut *write)
        .await?;
    let mut named = Named { id: id.to_owned(), sub: Some(sub), ..Named::default() };
    if let Some(row) = row {
        let user_id: String = row.try_get("user_id")?;
        if kind == Kind::User {
            named.id.clone_from(&user_id);
        }
        named.user_id = Some(user_id);
        named.tenant_id = row.try_get("tenant_id")?;
    }

    Ok(Some(named))
}

/// How many tokens of it are alive, and until when the last one of them is or was.
async fn live(
    write: &mut Connection,
    kind: Kind,
    on: &Named,
    now: u64,
) -> Result<(u64, Option<i64>), StoreError> {
    let id = if kind == Kind::User { on.sub.as_deref().unwrap_or_default() } else { &on.id };
    let sql = format!(
        "SELECT COALESCE(SUM(CASE WHEN expires_at > $1 THEN 1 ELSE 0 END), 0) AS alive,
             MAX(expires_at) AS latest FROM tokens WHERE {} = $2",
        column(kind)
    );
    let row = sqlx::query(&sql).bind(signed(now)).bind(id).fetch_one(&mut *write).await?;

    Ok((unsigned(row.try_get("alive")?), row.try_get("latest")?))
}

pub(super) async fn rise(write: &mut Connection) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE standing_version SET version = version + 1").execute(write).await.map(drop)
}

/// Which column of the tokens has such ids.
fn column(kind: Kind) -> &'static str {
    match kind {
        Kind::User => "sub",
        Kind::Session => "sid",
        Kind::Token => "jti",
        Kind::Credential => "credential_id",
        Kind::Cert => "cert",
    }
}

/// Nothing but these words is ever written; what else stands there stops most.
pub(super) fn measure(row: &DbRow) -> Result<Measure, StoreError> {
    let per_minute = row.try_get::<Option<i64>, _>("per_minute")?.unwrap_or_default();
    let effect = match row.try_get("effect")? {
        "paused" => Effect::Paused,
        "throttled" => {
            Effect::Throttled { per_minute: u32::try_from(per_minute).unwrap_or_default() }
        }
        _ => Effect::Revoked,
    };

    Ok(Measure {
        kind: Kind::parse(row.try_get("kind")?).unwrap_or(Kind::Credential),
        id: row.try_get("id")?,
        effect,
        ends_at: row.try_get::<Option<i64>, _>("ends_at")?.map(unsigned),
        set_at: unsigned(row.try_get("set_at")?),
        set_by: row.try_get("set_by")?,
        why: row.try_get("why")?,
    })
}
