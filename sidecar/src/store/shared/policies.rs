//! The policies that were published.

use super::{Backend, DbRow, append};
use crate::acts::Act;
use crate::content::seal;
use crate::store::{PolicyVersion, StoreError, Way, signed, unsigned};
use sqlx::Row as _;

const POLICY: &str =
    "number, version, name, key_id, envelope, published_at, published_by, way, ticket, why";

impl Backend {
    pub(in crate::store) async fn policy_number(&self) -> Result<u64, StoreError> {
        let number: i64 =
            sqlx::query_scalar("SELECT COALESCE(MAX(number), 0) FROM policy_versions")
                .fetch_one(self.current())
                .await?;

        Ok(unsigned(number))
    }

    pub(in crate::store) async fn policy_in_force(
        &self,
    ) -> Result<Option<PolicyVersion>, StoreError> {
        Ok(self.policies(1).await?.pop())
    }

    pub(in crate::store) async fn policies(
        &self,
        limit: u32,
    ) -> Result<Vec<PolicyVersion>, StoreError> {
        let sql = format!("SELECT {POLICY} FROM policy_versions ORDER BY number DESC LIMIT $1");
        let rows = sqlx::query(&sql).bind(i64::from(limit)).fetch_all(self.current()).await?;

        rows.iter().map(policy).collect()
    }

    pub(in crate::store) async fn is_policy_known(
        &self,
        version: &str,
        envelope: &[u8],
    ) -> Result<bool, StoreError> {
        let sql = "SELECT number FROM policy_versions WHERE version = $1 AND envelope = $2 LIMIT 1";
        let known: Option<i64> = sqlx::query_scalar(sql)
            .bind(version)
            .bind(envelope)
            .fetch_optional(self.current())
            .await?;

        Ok(known.is_some())
    }

    pub(in crate::store) async fn publish_policy(
        &self,
        new: &PolicyVersion,
        act: Option<&Act>,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let added = sqlx::query(&format!(
            "INSERT INTO policy_versions ({POLICY})
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
             WHERE (SELECT COALESCE(MAX(number), 0) FROM policy_versions) = $1 - 1
             ON CONFLICT (number) DO NOTHING"
        ))
        .bind(signed(new.number))
        .bind(&new.version)
        .bind(&new.name)
        .bind(&new.key_id)
        .bind(&new.envelope)
        .bind(signed(new.published_at))
        .bind(&new.published_by)
        .bind(new.way.as_str())
        .bind(&new.ticket)
        .bind(&new.why)
        .execute(&mut *write)
        .await?;
        if added.rows_affected() == 0 {
            return Ok(false);
        }
        if let Some(act) = act {
            append::add(&mut write, &self.writer, &[seal(&act.row(""))]).await?;
        }
        write.commit().await?;

        Ok(true)
    }
}

fn policy(row: &DbRow) -> Result<PolicyVersion, StoreError> {
    Ok(PolicyVersion {
        number: unsigned(row.try_get("number")?),
        version: row.try_get("version")?,
        name: row.try_get("name")?,
        key_id: row.try_get("key_id")?,
        envelope: row.try_get("envelope")?,
        published_at: unsigned(row.try_get("published_at")?),
        published_by: row.try_get("published_by")?,
        way: Way::of(row.try_get("way")?),
        ticket: row.try_get("ticket")?,
        why: row.try_get("why")?,
    })
}
