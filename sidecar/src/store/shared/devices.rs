//! Certificates that have signed in, and workloads.

use super::{Backend, append};
use crate::acts::Act;
use crate::content::seal;
use crate::standing::{LONGEST_TOKEN, SKEW};
use crate::store::directory::Certificate;
use crate::store::{StoreError, User, signed, unsigned};
use sqlx::Row as _;

impl Backend {
    pub(in crate::store) async fn note_certificate(
        &self,
        it: &Certificate,
        now: u64,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO certificates (sha256, issuer, serial, subject, sub, not_after, first_seen, last_seen)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
             ON CONFLICT (sha256) DO UPDATE SET sub = excluded.sub, last_seen = excluded.last_seen",
        )
        .bind(&it.sha256)
        .bind(&it.issuer)
        .bind(&it.serial)
        .bind(&it.subject)
        .bind(&it.sub)
        .bind(signed(it.not_after))
        .bind(signed(now))
        .execute(&mut *write)
        .await?;
        // What is over signs nobody in, and nothing minted from it lives.
        sqlx::query("DELETE FROM certificates WHERE not_after < $1")
            .bind(signed(now.saturating_sub(LONGEST_TOKEN).saturating_sub(SKEW)))
            .execute(&mut *write)
            .await?;
        write.commit().await?;

        Ok(())
    }

    pub(in crate::store) async fn certificates(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Certificate>, StoreError> {
        let rows = sqlx::query(
            "SELECT sha256, issuer, serial, subject, sub, not_after FROM certificates
             WHERE sha256 > $1 ORDER BY sha256 LIMIT $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(self.current())
        .await?;

        rows.iter()
            .map(|row| {
                Ok(Certificate {
                    sha256: row.try_get("sha256")?,
                    issuer: row.try_get("issuer")?,
                    serial: row.try_get("serial")?,
                    subject: row.try_get("subject")?,
                    sub: row.try_get("sub")?,
                    not_after: unsigned(row.try_get("not_after")?),
                })
            })
            .collect()
    }

    pub(in crate::store) async fn exchange_once(
        &self,
        id: &str,
        expires_at: u64,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let done = sqlx::query(
            "INSERT INTO exchanged (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
        )
        .bind(id)
        .bind(signed(expires_at))
        .execute(&mut *write)
        .await?;
        write.commit().await?;

        Ok(done.rows_affected() > 0)
    }

    pub(in crate::store) async fn put_service(
        &self,
        user: &User,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let done = sqlx::query(
            "INSERT INTO users (sub, user_id, name, tenant_id, department, cost_centre, groups,
                 roles, populations, region, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, '[]', $8, $9, $10)
             ON CONFLICT (user_id) DO UPDATE SET name = excluded.name, tenant_id = excluded.tenant_id,
                 department = excluded.department, cost_centre = excluded.cost_centre,
                 groups = excluded.groups, populations = excluded.populations, region = excluded.region",
        )
        .bind(&user.sub)
        .bind(&user.user_id)
        .bind(&user.name)
        .bind(&user.tenant_id)
        .bind(&user.department)
        .bind(&user.cost_centre)
        .bind(serde_json::to_string(&user.groups)?)
        .bind(serde_json::to_string(&user.populations)?)
        .bind(&user.region)
        .bind(signed(user.created_at))
        .execute(&mut *write)
        .await?;
        if done.rows_affected() > 0 {
            append::add(&mut write, &self.writer, &[seal(&act.row(&user.tenant_id))]).await?;
        }
        write.commit().await?;

        Ok(())
    }
}
