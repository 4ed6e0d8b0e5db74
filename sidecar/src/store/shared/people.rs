//! Users and their tokens.

use super::scim_stand::is_deprovisioned;
use super::{Backend, Connection, DbRow, append, dialect, held, standing};
use crate::acts::Act;
use crate::content::seal;
use crate::store::measures::Measure;
use crate::store::writer::Writer;
use crate::store::{Held, Minted, Pat, StoreError, User, signed, unsigned};
use contract::standing::{Effect, Kind};
use sqlx::Row as _;

pub(super) const USER: &str =
    "u.sub, u.user_id, u.name, u.tenant_id, u.department, u.cost_centre, u.groups,
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
        let Some(on) = standing::named(&mut write, Kind::User, user_id).await? else {
            return Ok(false);
        };
        sqlx::query("UPDATE users SET disabled_at = COALESCE(disabled_at, $1) WHERE user_id = $2")
            .bind(signed(now))
            .bind(&on.id)
            .execute(&mut *write)
            .await?;
        standing::lay(&mut write, &ended(Kind::User, "user disable", now, act), &on, act).await?;
        standing::told(&mut write, &self.writer, act, &on).await?;
        write.commit().await?;

        Ok(true)
    }

    pub(in crate::store) async fn enable_user(
        &self,
        user_id: &str,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let Some(on) = standing::named(&mut write, Kind::User, user_id).await? else {
            return Ok(false);
        };
        held::may_lift(&mut write, Kind::User, &on.id, Some("revoked"), act).await?;
        if is_deprovisioned(&mut write, &on.id).await? {
            return Ok(false);
        }
        standing::remove(&mut write, Kind::User, &on.id, Some("revoked")).await?;
        standing::told(&mut write, &self.writer, act, &on).await?;
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
        let Some(on) = standing::named(&mut write, Kind::Credential, id).await? else {
            return Ok(None);
        };
        sqlx::query("UPDATE pats SET revoked_at = COALESCE(revoked_at, $1) WHERE id = $2")
            .bind(signed(now))
            .bind(id)
            .execute(&mut *write)
            .await?;
        standing::lay(&mut write, &ended(Kind::Credential, "pat revoke", now, act), &on, act)
            .await?;
        let sql = format!("SELECT {PAT} FROM pats p JOIN users u USING (sub) WHERE p.id = $1");
        let row = sqlx::query(&sql).bind(id).fetch_optional(&mut *write).await?;
        let Some(revoked) = row.as_ref().map(pat).transpose()? else { return Ok(None) };
        standing::told(&mut write, &self.writer, act, &on).await?;
        write.commit().await?;

        Ok(Some(revoked))
    }

    pub(in crate::store) async fn note_mint(
        &self,
        minted: &Minted<'_>,
        held: &Held,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        // Who is being disabled meanwhile waits, or is seen here.
        let user = format!(
            "SELECT u.sub FROM users u WHERE u.sub = $1 AND u.disabled_at IS NULL{} ",
            dialect::FOR_SHARE_OF_USER
        );
        let user = sqlx::query(&user).bind(&minted.user.sub).fetch_optional(&mut *write).await?;
        let on = [
            (Kind::User, &*minted.user.user_id),
            (Kind::Credential, minted.credential_id),
            (Kind::Session, minted.sid),
            (Kind::Cert, minted.cert),
        ];
        if user.is_none()
            || standing::is_stopped(&mut write, &on, minted.now).await?
            || !use_up(&mut write, minted, held).await?
        {
            return Ok(false);
        }
        note(&mut write, minted).await?;
        write.commit().await?;

        Ok(true)
    }

    pub(in crate::store) async fn note_drill(&self, minted: &Minted<'_>) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        note(&mut write, minted).await?;
        write.commit().await?;

        Ok(())
    }
}

/// Marks what a token is minted from as used; false if it is over.
async fn use_up(
    write: &mut Connection,
    minted: &Minted<'_>,
    held: &Held,
) -> Result<bool, sqlx::Error> {
    let sql = match held {
        Held::Nothing => return Ok(true),
        Held::Pat => "UPDATE pats SET last_used_at = $1 WHERE id = $2 AND revoked_at IS NULL",
        Held::Session => {
            "UPDATE sessions SET used_at = $1 WHERE id = $2 AND ended_at IS NULL AND expires_at > $1"
        }
    };
    let query = sqlx::query(sql).bind(signed(minted.now)).bind(minted.credential_id);

    Ok(query.execute(write).await?.rows_affected() > 0)
}

/// Notes a token, so that it is known how long it could have to be stopped.
async fn note(write: &mut Connection, minted: &Minted<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO tokens (jti, credential_id, sub, expires_at, sid, cert)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(minted.jti)
    .bind(minted.credential_id)
    .bind(&minted.user.sub)
    .bind(signed(minted.expires_at))
    .bind(minted.sid)
    .bind(minted.cert)
    .execute(write)
    .await
    .map(drop)
}

/// What the older commands end, they end until somebody says otherwise.
fn ended(kind: Kind, why: &str, now: u64, act: &Act) -> Measure {
    Measure {
        kind,
        id: String::new(), // whatever it is laid on has it
        effect: Effect::Revoked,
        ends_at: None,
        set_at: now,
        set_by: act.who().to_owned(),
        why: why.to_owned(),
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

pub(super) fn user(row: &DbRow) -> Result<User, StoreError> {
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
