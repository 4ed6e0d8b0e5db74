//! Sessions.

use super::people::{USER, user};
use super::standing::{self, Named};
use super::{Backend, Connection, DbRow, dialect};
use crate::acts::Act;
use crate::clock::DAY;
use crate::operators::operator::Operator;
use crate::store::measures::Measure;
use crate::store::sessions::{Asked, Found, Owned, Renewal, Session, Trade, Traded};
use crate::store::{StoreError, signed, unsigned};
use contract::standing::{Effect, Kind};
use sqlx::Row as _;

const SESSION: &str = "s.id, u.user_id, s.provider, s.subject, s.provider_grant, s.created_at,
    s.confirmed_at, s.signed_in_at, s.used_at, s.expires_at, s.ended_at, s.ended_why";

impl Backend {
    pub(in crate::store) async fn ask_session(&self, asked: &Asked<'_>) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO sessions (id, sub, provider, subject, redirect_uri, challenge,
                 provider_grant, created_at, confirmed_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)",
        )
        .bind(asked.id)
        .bind(asked.sub)
        .bind(asked.provider)
        .bind(asked.subject)
        .bind(asked.redirect_uri)
        .bind(asked.challenge)
        .bind(asked.grant)
        .bind(signed(asked.now))
        .bind(signed(asked.expires_at))
        .execute(&mut *write)
        .await?;
        write.commit().await?;

        Ok(())
    }

    pub(in crate::store) async fn approve_session(
        &self,
        id: &str,
        code_hash: &str,
        now: u64,
        until: u64,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let done = sqlx::query(
            "UPDATE sessions SET code_hash = $1, code_until = $2
             WHERE id = $3 AND code_hash IS NULL AND ended_at IS NULL AND expires_at > $4",
        )
        .bind(code_hash)
        .bind(signed(until))
        .bind(id)
        .bind(signed(now))
        .execute(&mut *write)
        .await?;
        write.commit().await?;

        Ok(done.rows_affected() > 0)
    }

    pub(in crate::store) async fn trade_code(
        &self,
        trade: &Trade<'_>,
    ) -> Result<Traded, StoreError> {
        let mut write = self.write().await?;
        let sql = format!(
            "SELECT id, redirect_uri, challenge, code_until, code_used_at, ended_at, provider_grant
             FROM sessions WHERE code_hash = $1{}",
            dialect::FOR_UPDATE
        );
        let row = sqlx::query(&sql).bind(trade.code_hash).fetch_optional(&mut *write).await?;
        let Some(row) = row else { return Ok(Traded::Unknown) };
        let id: String = row.try_get("id")?;
        let used: Option<i64> = row.try_get("code_used_at")?;
        let ended: Option<i64> = row.try_get("ended_at")?;
        let until: Option<i64> = row.try_get("code_until")?;
        let redirect_uri: &str = row.try_get("redirect_uri")?;
        let challenge: &str = row.try_get("challenge")?;
        let is_theirs = redirect_uri == trade.redirect_uri && challenge == trade.challenge;
        let is_over = ended.is_some() || until.is_none_or(|until| until <= signed(trade.now));

        let becomes: fn(Box<Owned>) -> Traded = if used.is_some() {
            end(&mut write, &id, "code_replayed", trade.now, None).await?;
            Traded::Replayed
        } else if is_over {
            return Ok(Traded::Unknown);
        } else if !is_theirs {
            end(&mut write, &id, "code_mismatch", trade.now, None).await?;
            Traded::Mismatch
        } else {
            let grant: Option<&str> = row.try_get("provider_grant")?;
            let unasked = grant.is_none();
            let expires_at = if unasked { trade.expires_at_unasked } else { trade.expires_at };
            begin(&mut write, &id, expires_at, trade).await?;
            Traded::Session
        };
        let whole = whole(&mut write, &id).await?;
        write.commit().await?;

        Ok(whole.map_or(Traded::Unknown, |whole| becomes(Box::new(whole))))
    }

    pub(in crate::store) async fn session_by_secret(
        &self,
        hash: &str,
    ) -> Result<Option<Found>, StoreError> {
        let sql = format!(
            "SELECT {SESSION}, {USER}, k.replaced_at FROM session_secrets k
             JOIN sessions s ON s.id = k.session_id JOIN users u ON u.sub = s.sub WHERE k.hash = $1"
        );
        let row = sqlx::query(&sql).bind(hash).fetch_optional(self.current()).await?;

        row.map(|row| {
            Ok(Found {
                session: session(&row)?,
                user: user(&row)?,
                replaced_at: time(&row, "replaced_at")?,
            })
        })
        .transpose()
    }

    pub(in crate::store) async fn session(&self, id: &str) -> Result<Option<Owned>, StoreError> {
        let mut read = self.snapshot().await?;

        whole(&mut read, id).await
    }

    pub(in crate::store) async fn sessions(&self) -> Result<Vec<Session>, StoreError> {
        let sql = format!(
            "SELECT {SESSION} FROM sessions s JOIN users u ON u.sub = s.sub
             WHERE s.signed_in_at IS NOT NULL ORDER BY s.created_at DESC, s.id"
        );
        let rows = sqlx::query(&sql).fetch_all(self.current()).await?;

        rows.iter().map(session).collect()
    }

    pub(in crate::store) async fn take_session(
        &self,
        id: &str,
        holder: &str,
        now: u64,
        until: u64,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let done = sqlx::query(
            "UPDATE sessions SET busy_by = $1, busy_until = $2
             WHERE id = $3 AND (busy_by IS NULL OR busy_until <= $4)",
        )
        .bind(holder)
        .bind(signed(until))
        .bind(id)
        .bind(signed(now))
        .execute(&mut *write)
        .await?;
        write.commit().await?;

        Ok(done.rows_affected() > 0)
    }

    pub(in crate::store) async fn give_session_back(
        &self,
        id: &str,
        holder: &str,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("UPDATE sessions SET busy_by = NULL WHERE id = $1 AND busy_by = $2")
            .bind(id)
            .bind(holder)
            .execute(&mut *write)
            .await?;
        write.commit().await?;

        Ok(())
    }

    pub(in crate::store) async fn renew_session(
        &self,
        renewal: &Renewal<'_>,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "UPDATE sessions SET confirmed_at = COALESCE($1, confirmed_at),
                 provider_grant = COALESCE($2, provider_grant)
             WHERE id = $3 AND ended_at IS NULL",
        )
        .bind(renewal.confirmed_at.map(signed))
        .bind(renewal.grant)
        .bind(renewal.id)
        .execute(&mut *write)
        .await?;
        let mut replaced = true;
        if let Some((old, new)) = renewal.secret {
            let done = sqlx::query(
                "UPDATE session_secrets SET replaced_at = $1 WHERE hash = $2 AND replaced_at IS NULL",
            )
            .bind(signed(renewal.now))
            .bind(old)
            .execute(&mut *write)
            .await?;
            replaced = done.rows_affected() > 0;
            if replaced {
                add_secret(&mut write, renewal.id, new, renewal.now).await?;
            }
        }
        write.commit().await?;

        Ok(replaced)
    }

    pub(in crate::store) async fn end_session(
        &self,
        id: &str,
        why: &str,
        now: u64,
        act: Option<&Act>,
    ) -> Result<Option<Session>, StoreError> {
        let mut write = self.write().await?;
        let Some(on) = end(&mut write, id, why, now, act).await? else { return Ok(None) };
        let ended = whole(&mut write, id).await?;
        if let Some(act) = act {
            standing::told(&mut write, &self.writer, act, &on).await?;
        }
        write.commit().await?;

        Ok(ended.map(|(session, _)| session))
    }
}

/// The code is traded: the session begins.
async fn begin(
    write: &mut Connection,
    id: &str,
    expires_at: u64,
    trade: &Trade<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE sessions SET code_used_at = $1, signed_in_at = $1, used_at = $1, expires_at = $2
         WHERE id = $3",
    )
    .bind(signed(trade.now))
    .bind(signed(expires_at))
    .bind(id)
    .execute(&mut *write)
    .await?;

    add_secret(write, id, trade.secret_hash, trade.now).await
}

async fn add_secret(
    write: &mut Connection,
    id: &str,
    hash: &str,
    now: u64,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO session_secrets (hash, session_id, created_at) VALUES ($1, $2, $3)")
        .bind(hash)
        .bind(id)
        .bind(signed(now))
        .execute(write)
        .await?;

    Ok(())
}

/// Ends a session, and stops what was minted from it. The provider's refresh token is forgotten.
async fn end(
    write: &mut Connection,
    id: &str,
    why: &str,
    now: u64,
    act: Option<&Act>,
) -> Result<Option<Named>, StoreError> {
    let done = sqlx::query(
        "UPDATE sessions SET ended_at = COALESCE(ended_at, $1), ended_why = COALESCE(ended_why, $2),
             provider_grant = NULL WHERE id = $3",
    )
    .bind(signed(now))
    .bind(why)
    .bind(id)
    .execute(&mut *write)
    .await?;
    let on = standing::named(write, Kind::Session, id).await?;
    let Some(on) = on.filter(|_| done.rows_affected() > 0) else { return Ok(None) };
    let own = Act::new(&Operator::nobody(), why)?;
    let act = act.unwrap_or(&own);
    let measure = Measure {
        kind: Kind::Session,
        id: id.to_owned(),
        effect: Effect::Revoked,
        ends_at: None,
        set_at: now,
        set_by: act.who().to_owned(),
        why: why.to_owned(),
    };
    standing::lay(write, &measure, &on, act).await?;

    Ok(Some(on))
}

/// Forgets sessions that were over a day ago, and what was laid on those that are.
pub(super) async fn tidy(write: &mut Connection, now: u64) -> Result<(), sqlx::Error> {
    let long_ago = signed(now.saturating_sub(DAY));
    for (sql, before) in [
        (
            "DELETE FROM standing WHERE NOT told AND told_until < $1 AND kind = 'session' AND id IN
                 (SELECT id FROM sessions WHERE ended_at IS NOT NULL)",
            signed(now),
        ),
        (
            "DELETE FROM session_secrets WHERE session_id IN
                 (SELECT id FROM sessions WHERE expires_at < $1)",
            long_ago,
        ),
        ("DELETE FROM sessions WHERE expires_at < $1", long_ago),
    ] {
        sqlx::query(sql).bind(before).execute(&mut *write).await?;
    }

    Ok(())
}

async fn whole(connection: &mut Connection, id: &str) -> Result<Option<Owned>, StoreError> {
    let sql = format!(
        "SELECT {SESSION}, {USER} FROM sessions s JOIN users u ON u.sub = s.sub WHERE s.id = $1"
    );
    let row = sqlx::query(&sql).bind(id).fetch_optional(connection).await?;

    row.map(|row| Ok((session(&row)?, user(&row)?))).transpose()
}

fn time(row: &DbRow, name: &str) -> Result<Option<u64>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(name)?.map(unsigned))
}

fn session(row: &DbRow) -> Result<Session, StoreError> {
    Ok(Session {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        provider: row.try_get("provider")?,
        subject: row.try_get("subject")?,
        grant: row.try_get("provider_grant")?,
        created_at: unsigned(row.try_get("created_at")?),
        confirmed_at: unsigned(row.try_get("confirmed_at")?),
        signed_in_at: time(row, "signed_in_at")?,
        used_at: time(row, "used_at")?,
        expires_at: unsigned(row.try_get("expires_at")?),
        ended_at: time(row, "ended_at")?,
        ended_why: row.try_get("ended_why")?,
    })
}
