//! Roles that may read the rows of their tenants, and nothing else.

use super::{Postgres, append};
use crate::acts::Act;
use crate::content::seal;
use crate::store::StoreError;

impl Postgres {
    /// Lets a role read the rows of these tenants, beside those it reads already; made if it is not
    /// there, without a way to log in.
    ///
    /// # Errors
    /// [`StoreError`]; making a role takes the right to.
    pub async fn add_reader(
        &self,
        role: &str,
        tenants: &[String],
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let quoted: String =
            sqlx::query_scalar("SELECT quote_ident($1)").bind(role).fetch_one(&mut *write).await?;
        let there: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
                .bind(role)
                .fetch_one(&mut *write)
                .await?;
        if !there {
            sqlx::query(&format!("CREATE ROLE {quoted}")).execute(&mut *write).await?;
        }
        sqlx::query(&format!(
            "GRANT SELECT ON audit_events, audit_lineage, audit_readers TO {quoted}"
        ))
        .execute(&mut *write)
        .await?;
        for tenant in tenants {
            sqlx::query(
                "INSERT INTO audit_readers (role, tenant_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            )
            .bind(role)
            .bind(tenant)
            .execute(&mut *write)
            .await?;
        }
        append::add(&mut write, &self.writer, &[seal(&act.row(""))]).await?;
        write.commit().await?;

        Ok(())
    }

    /// Takes from a role what it could read; false if it could read nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_reader(&self, role: &str, act: &Act) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let removed = sqlx::query("DELETE FROM audit_readers WHERE role = $1")
            .bind(role)
            .execute(&mut *write)
            .await?;
        if removed.rows_affected() == 0 {
            return Ok(false);
        }
        let quoted: String =
            sqlx::query_scalar("SELECT quote_ident($1)").bind(role).fetch_one(&mut *write).await?;
        sqlx::query(&format!(
            "REVOKE SELECT ON audit_events, audit_lineage, audit_readers FROM {quoted}"
        ))
        .execute(&mut *write)
        .await?;
        append::add(&mut write, &self.writer, &[seal(&act.row(""))]).await?;
        write.commit().await?;

        Ok(true)
    }

    /// Who may read which tenant's rows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn readers(&self) -> Result<Vec<(String, String)>, StoreError> {
        Ok(sqlx::query_as("SELECT role, tenant_id FROM audit_readers ORDER BY role, tenant_id")
            .fetch_all(self.current())
            .await?)
    }
}
