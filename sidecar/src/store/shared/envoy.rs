//! What happened to Envoy's files.

use super::{Backend, DbRow, append};
use crate::acts::Act;
use crate::content::seal;
use crate::store::{EnvoyChange, EnvoyWay, StoreError, signed, unsigned};
use sqlx::Row as _;

const CHANGE: &str = "gateway, number, changed_at, changed_by, way, ticket, why, changes, files";

impl Backend {
    pub(in crate::store) async fn envoy_changes(
        &self,
        gateway: &str,
        limit: u32,
    ) -> Result<Vec<EnvoyChange>, StoreError> {
        let sql = format!(
            "SELECT {CHANGE} FROM envoy_changes WHERE gateway = $1 ORDER BY number DESC LIMIT $2"
        );
        let query = sqlx::query(&sql).bind(gateway).bind(i64::from(limit));
        let rows = query.fetch_all(self.current()).await?;

        rows.iter().map(change).collect()
    }

    pub(in crate::store) async fn envoy_meant(
        &self,
        gateway: &str,
    ) -> Result<Option<EnvoyChange>, StoreError> {
        let sql = format!(
            "SELECT {CHANGE} FROM envoy_changes WHERE gateway = $1 AND way IN ('apply', 'adopt')
             ORDER BY number DESC LIMIT 1"
        );
        let row = sqlx::query(&sql).bind(gateway).fetch_optional(self.current()).await?;

        row.as_ref().map(change).transpose()
    }

    pub(in crate::store) async fn add_envoy_change(
        &self,
        new: &EnvoyChange,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let added = sqlx::query(&format!(
            "INSERT INTO envoy_changes ({CHANGE})
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
             WHERE (SELECT COALESCE(MAX(number), 0) FROM envoy_changes WHERE gateway = $1) = $2 - 1
             ON CONFLICT (gateway, number) DO NOTHING"
        ))
        .bind(&new.gateway)
        .bind(signed(new.number))
        .bind(signed(new.at))
        .bind(&new.by)
        .bind(new.way.as_str())
        .bind(&new.ticket)
        .bind(&new.why)
        .bind(serde_json::to_string(&new.changes)?)
        .bind(serde_json::to_string(&new.files)?)
        .execute(&mut *write)
        .await?;
        if added.rows_affected() == 0 {
            return Ok(false);
        }
        append::add(&mut write, &self.writer, &[seal(&act.row(""))]).await?;
        write.commit().await?;

        Ok(true)
    }
}

fn change(row: &DbRow) -> Result<EnvoyChange, StoreError> {
    let (changes, files): (String, String) = (row.try_get("changes")?, row.try_get("files")?);

    Ok(EnvoyChange {
        gateway: row.try_get("gateway")?,
        number: unsigned(row.try_get("number")?),
        at: unsigned(row.try_get("changed_at")?),
        by: row.try_get("changed_by")?,
        way: EnvoyWay::of(row.try_get("way")?),
        ticket: row.try_get("ticket")?,
        why: row.try_get("why")?,
        changes: serde_json::from_str(&changes)?,
        files: serde_json::from_str(&files)?,
    })
}
