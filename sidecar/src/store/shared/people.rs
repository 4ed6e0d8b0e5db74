//! Users, their tokens, and who is stopped.

use super::{Backend, Connection, DbRow, append, dialect};
use crate::acts::Act;
use crate::content::seal;
use crate::standing::SKEW;
use crate::store::writer::Writer;
use crate::store::{Minted, Pat, StoreError, User, signed, unsigned};
use contract::standing::{Entry, Standing, Stopped};
use sqlx::Row as _;

const USER: &str = "u.sub, u.user_id, u.name, u.tenant_id, u.department, u.cost_centre, u.groups,
    u.roles, u.populations, u.region, u.created_at AS user_created_at, u.disabled_at";

const PAT: &str = "p.id, u.user_id, p.cohort, p.created_at, p.expires_at, p.revoked_at,
    p.last_used_at";

impl Backend {
    pub(in crate::store) async fn add_user(
        &self,
        user: &User,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let added = sqlx::query(
            "INSERT INTO users (sub, user_id, name, tenant_id, department, cost_centre, groups,
                 roles, populations, region, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (user_id) DO NOTHING",
        )
        .bind(&user.sub)
        .bind(&user.user_id)
        .bind(&user.name)
        .bind(&user.tenant_id)
        .bind(&user.department)
        .bind(&user.cost_centre)
        .bind(serde_json::to_string(&user.groups)?)
        .bind(serde_json::to_string(&user.roles)?)
        .bind(serde_json::to_string(&user.populations)?)
        .bind(&user.region)
        .bind(signed(user.created_at))
        .execute(&mut *write)
        .await?;
        if added.rows_affected() == 0 {
            return Ok(false);
        }
        told(&mut write, &self.writer, act, &user.user_id).await?;
        write.commit().await?;

        Ok(true)
    }

    pub(in crate::store) async fn users(&self) -> Result<Vec<User>, StoreError> {
        let sql = format!("SELECT {USER} FROM users u ORDER BY u.user_id");
        let rows = sqlx::query(&sql).fetch_all(self.current()).await?;

        rows.iter().map(user).collect()
    }

    pub(in crate::store) async fn user(&self, id: &str) -> Result<Option<User>, StoreError> {
        let sql = format!("SELECT {USER} FROM users u WHERE u.user_id = $1");
        let row = sqlx::query(&sql).bind(id).fetch_optional(self.current()).await?;

        row.as_ref().map(user).transpose()
    }

    pub(in crate::store) async fn disable_user(
        &self,
        user_id: &str,
        now: u64,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let sub: Option<String> = sqlx::query_scalar(
            "UPDATE users SET disabled_at = COALESCE(disabled_at, $1) WHERE user_id = $2
             RETURNING sub",
        )
        .bind(signed(now))
        .bind(user_id)
        .fetch_optional(&mut *write)
        .await?;
        let Some(sub) = sub else { return Ok(false) };
        let latest: Option<i64> =
            sqlx::query_scalar("SELECT MAX(expires_at) FROM tokens WHERE sub = $1")
                .bind(&sub)
                .fetch_one(&mut *write)
                .await?;
        stop(&mut write, "user", user_id, latest.unwrap_or_default(), now).await?;
        told(&mut write, &self.writer, act, user_id).await?;
        write.commit().await?;

        Ok(true)
    }

    pub(in crate::store) async fn enable_user(
        &self,
        user_id: &str,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let known = sqlx::query("UPDATE users SET disabled_at = NULL WHERE user_id = $1")
            .bind(user_id)
            .execute(&mut *write)
            .await?;
        if known.rows_affected() == 0 {
            return Ok(false);
        }
        let lifted = sqlx::query("DELETE FROM standing WHERE kind = 'user' AND id = $1")
            .bind(user_id)
            .execute(&mut *write)
            .await?;
        if lifted.rows_affected() > 0 {
            rise(&mut write).await?;
        }
        told(&mut write, &self.writer, act, user_id).await?;
        write.commit().await?;

        Ok(true)
    }

    pub(in crate::store) async fn add_pat(
        &self,
        pat: &Pat,
        hash: &str,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO pats (id, hash, sub, cohort, created_at, expires_at)
             SELECT $1, $2, sub, $3, $4, $5 FROM users WHERE user_id = $6",
        )
        .bind(&pat.id)
        .bind(hash)
        .bind(&pat.cohort)
        .bind(signed(pat.created_at))
        .bind(signed(pat.expires_at))
        .bind(&pat.user_id)
        .execute(&mut *write)
        .await?;
        told(&mut write, &self.writer, act, &pat.user_id).await?;
        write.commit().await?;

        Ok(())
    }

    pub(in crate::store) async fn pats(&self) -> Result<Vec<Pat>, StoreError> {
        let sql = format!(
            "SELECT {PAT} FROM pats p JOIN users u USING (sub) ORDER BY p.created_at DESC, p.id"
        );
        let rows = sqlx::query(&sql).fetch_all(self.current()).await?;

        rows.iter().map(pat).collect()
    }

    pub(in crate::store) async fn pat_by_hash(
        &self,
        hash: &str,
    ) -> Result<Option<(Pat, User)>, StoreError> {
        let sql =
            format!("SELECT {PAT}, {USER} FROM pats p JOIN users u USING (sub) WHERE p.hash = $1");
        let row = sqlx::query(&sql).bind(hash).fetch_optional(self.current()).await?;

        row.map(|row| Ok((pat(&row)?, user(&row)?))).transpose()
    }

    pub(in crate::store) async fn revoke_pat(
        &self,
        id: &str,
        now: u64,
        act: &Act,
    ) -> Result<Option<Pat>, StoreError> {
        let mut write = self.write().await?;
        sqlx::query("UPDATE pats SET revoked_at = COALESCE(revoked_at, $1) WHERE id = $2")
            .bind(signed(now))
            .bind(id)
            .execute(&mut *write)
            .await?;
        let latest: Option<i64> =
            sqlx::query_scalar("SELECT MAX(expires_at) FROM tokens WHERE credential_id = $1")
                .bind(id)
                .fetch_one(&mut *write)
                .await?;
        stop(&mut write, "credential", id, latest.unwrap_or_default(), now).await?;
        let sql = format!("SELECT {PAT} FROM pats p JOIN users u USING (sub) WHERE p.id = $1");
        let row = sqlx::query(&sql).bind(id).fetch_optional(&mut *write).await?;
        let Some(revoked) = row.as_ref().map(pat).transpose()? else { return Ok(None) };
        told(&mut write, &self.writer, act, &revoked.user_id).await?;
        write.commit().await?;

        Ok(Some(revoked))
    }

    pub(in crate::store) async fn note_mint(
        &self,
        id: &str,
        minted: &Minted<'_>,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        // Who is being disabled meanwhile waits, or is seen here.
        let user = format!(
            "SELECT u.sub FROM users u JOIN pats p USING (sub) WHERE p.id = $1{} ",
            dialect::FOR_SHARE_OF_USER
        );
        sqlx::query(&user).bind(id).fetch_optional(&mut *write).await?;
        let sub: Option<String> = sqlx::query_scalar(
            "UPDATE pats SET last_used_at = $1 WHERE id = $2 AND revoked_at IS NULL
                 AND sub IN (SELECT sub FROM users WHERE disabled_at IS NULL) RETURNING sub",
        )
        .bind(signed(minted.now))
        .bind(id)
        .fetch_optional(&mut *write)
        .await?;
        let Some(sub) = sub else { return Ok(false) };
        sqlx::query(
            "INSERT INTO tokens (jti, credential_id, sub, expires_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(minted.jti)
        .bind(id)
        .bind(sub)
        .bind(signed(minted.expires_at))
        .execute(&mut *write)
        .await?;
        write.commit().await?;

        Ok(true)
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
        let rows = sqlx::query("SELECT kind, id, until FROM standing ORDER BY kind, id")
            .fetch_all(&mut *read)
            .await?;
        let mut revoked = Vec::with_capacity(rows.len());
        for row in rows {
            revoked.push(Entry {
                kind: stopped(row.try_get("kind")?),
                id: row.try_get("id")?,
                until: unsigned(row.try_get("until")?),
            });
        }

        Ok(Standing { version: unsigned(version), revoked })
    }

    pub(in crate::store) async fn forget_expired(&self, now: u64) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("DELETE FROM tokens WHERE expires_at < $1")
            .bind(signed(now))
            .execute(&mut *write)
            .await?;
        let gone = sqlx::query("DELETE FROM standing WHERE until < $1")
            .bind(signed(now))
            .execute(&mut *write)
            .await?;
        if gone.rows_affected() > 0 {
            rise(&mut write).await?;
        }
        write.commit().await?;

        Ok(())
    }
}

/// The row of an operator's act on somebody.
async fn told(
    write: &mut Connection,
    writer: &Writer,
    act: &Act,
    user_id: &str,
) -> Result<(), StoreError> {
    let tenant: Option<String> =
        sqlx::query_scalar("SELECT tenant_id FROM users WHERE user_id = $1")
            .bind(user_id)
            .fetch_optional(&mut *write)
            .await?;

    append::add(write, writer, &[seal(&act.row(&tenant.unwrap_or_default()))]).await.map(drop)
}

/// An entry of the standing, unless nothing it could stop is still alive, by any gate's clock.
async fn stop(
    write: &mut Connection,
    kind: &str,
    id: &str,
    until: i64,
    now: u64,
) -> Result<(), sqlx::Error> {
    if until < signed(now.saturating_sub(SKEW)) {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO standing (kind, id, until) VALUES ($1, $2, $3)
         ON CONFLICT (kind, id) DO UPDATE SET until = {}(standing.until, excluded.until)",
        dialect::GREATEST
    );
    sqlx::query(&sql).bind(kind).bind(id).bind(until).execute(&mut *write).await?;

    rise(write).await
}

async fn rise(write: &mut Connection) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE standing_version SET version = version + 1").execute(write).await.map(drop)
}

/// Nothing but these words is ever written; what else stands there stops most.
fn stopped(kind: &str) -> Stopped {
    match kind {
        "user" => Stopped::User,
        "session" => Stopped::Session,
        "token" => Stopped::Token,
        _ => Stopped::Credential,
    }
}

fn user(row: &DbRow) -> Result<User, StoreError> {
    Ok(User {
        sub: row.try_get("sub")?,
        user_id: row.try_get("user_id")?,
        name: row.try_get("name")?,
        tenant_id: row.try_get("tenant_id")?,
        department: row.try_get("department")?,
        cost_centre: row.try_get("cost_centre")?,
        groups: serde_json::from_str(row.try_get("groups")?)?,
        roles: serde_json::from_str(row.try_get("roles")?)?,
        populations: serde_json::from_str(row.try_get("populations")?)?,
        region: row.try_get("region")?,
        created_at: unsigned(row.try_get("user_created_at")?),
        disabled_at: row.try_get::<Option<i64>, _>("disabled_at")?.map(unsigned),
    })
}

fn pat(row: &DbRow) -> Result<Pat, StoreError> {
    Ok(Pat {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        cohort: row.try_get("cohort")?,
        created_at: unsigned(row.try_get("created_at")?),
        expires_at: unsigned(row.try_get("expires_at")?),
        revoked_at: row.try_get::<Option<i64>, _>("revoked_at")?.map(unsigned),
        last_used_at: row.try_get::<Option<i64>, _>("last_used_at")?.map(unsigned),
    })
}
