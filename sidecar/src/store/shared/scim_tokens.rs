//! What directories call us with.

use super::{Backend, DbRow, append};
use crate::acts::Act;
use crate::content::seal;
use crate::store::directory::ScimToken;
use crate::store::{StoreError, signed, unsigned};
use sqlx::Row as _;

const TOKEN: &str = "id, tenant_id, created_at, created_by, expires_at, revoked_at, last_used_at";

impl Backend {
    pub(in crate::store) async fn add_scim_token(
        &self,
        token: &ScimToken,
        hash: &str,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO scim_tokens (id, hash, tenant_id, created_at, created_by, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&token.id)
        .bind(hash)
        .bind(&token.tenant_id)
        .bind(signed(token.created_at))
        .bind(&token.created_by)
        .bind(signed(token.expires_at))
        .execute(&mut *write)
        .await?;
        append::add(&mut write, &self.writer, &[seal(&act.row(&token.tenant_id))]).await?;
        write.commit().await?;

        Ok(())
    }

    pub(in crate::store) async fn scim_tokens(&self) -> Result<Vec<ScimToken>, StoreError> {
        let sql = format!("SELECT {TOKEN} FROM scim_tokens ORDER BY created_at DESC, id");
        let rows = sqlx::query(&sql).fetch_all(self.current()).await?;

        rows.iter().map(token).collect()
    }

    pub(in crate::store) async fn scim_token(
        &self,
        hash: &str,
    ) -> Result<Option<ScimToken>, StoreError> {
        let sql = format!("SELECT {TOKEN} FROM scim_tokens WHERE hash = $1");
        let row = sqlx::query(&sql).bind(hash).fetch_optional(self.current()).await?;

        row.as_ref().map(token).transpose()
    }

    pub(in crate::store) async fn scim_token_used(
        &self,
        id: &str,
        now: u64,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("UPDATE scim_tokens SET last_used_at = $1 WHERE id = $2")
            .bind(signed(now))
            .bind(id)
            .execute(&mut *write)
            .await?;
        write.commit().await?;

        Ok(())
    }

    pub(in crate::store) async fn revoke_scim_token(
        &self,
        id: &str,
        now: u64,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let tenant: Option<String> = sqlx::query_scalar(
            "UPDATE scim_tokens SET revoked_at = COALESCE(revoked_at, $1) WHERE id = $2
             RETURNING tenant_id",
        )
        .bind(signed(now))
        .bind(id)
        .fetch_optional(&mut *write)
        .await?;
        let Some(tenant) = tenant else { return Ok(false) };
        append::add(&mut write, &self.writer, &[seal(&act.row(&tenant))]).await?;
        write.commit().await?;

        Ok(true)
    }
}

fn token(row: &DbRow) -> Result<ScimToken, StoreError> {
    Ok(ScimToken {
        id: row.try_get("id")?,
        tenant_id: row.try_get("tenant_id")?,
        created_at: unsigned(row.try_get("created_at")?),
        created_by: row.try_get("created_by")?,
        expires_at: unsigned(row.try_get("expires_at")?),
        revoked_at: row.try_get::<Option<i64>, _>("revoked_at")?.map(unsigned),
        last_used_at: row.try_get::<Option<i64>, _>("last_used_at")?.map(unsigned),
    })
}
