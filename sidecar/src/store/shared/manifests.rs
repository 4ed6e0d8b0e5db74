//! The manifests that were published.

use super::{Backend, DbRow, append};
use crate::acts::Act;
use crate::content::seal;
use crate::store::manifests::{ManifestDocument, ManifestPut, ManifestVersion, ManifestWay};
use crate::store::{StoreError, signed, unsigned};
use sqlx::Row as _;

const PUBLICATION: &str =
    "number, catalogue, version, issued_at, expires_at, sha256, key_id, envelope, published_at,
    published_by, way, ticket, why";

impl Backend {
    pub(in crate::store) async fn manifest_number(&self) -> Result<u64, StoreError> {
        let number: i64 =
            sqlx::query_scalar("SELECT COALESCE(MAX(number), 0) FROM manifest_publications")
                .fetch_one(self.current())
                .await?;

        Ok(unsigned(number))
    }

    pub(in crate::store) async fn manifests(
        &self,
        limit: u32,
    ) -> Result<Vec<ManifestVersion>, StoreError> {
        let sql = format!(
            "SELECT {PUBLICATION} FROM manifest_publications ORDER BY number DESC LIMIT $1"
        );
        let rows = sqlx::query(&sql).bind(i64::from(limit)).fetch_all(self.current()).await?;

        rows.iter().map(publication).collect()
    }

    pub(in crate::store) async fn manifest_documents(
        &self,
        number: u64,
    ) -> Result<Vec<ManifestDocument>, StoreError> {
        let rows = sqlx::query(
            "SELECT audience, sha256, envelope, marketplace FROM manifest_documents
             WHERE number = $1 ORDER BY audience",
        )
        .bind(signed(number))
        .fetch_all(self.current())
        .await?;

        rows.iter().map(document).collect()
    }

    pub(in crate::store) async fn publish_manifest(
        &self,
        new: &ManifestVersion,
        documents: &[ManifestDocument],
        act: &Act,
    ) -> Result<ManifestPut, StoreError> {
        let mut write = self.write().await?;
        let highest: Option<i64> = sqlx::query_scalar(
            "SELECT MAX(version) FROM manifest_publications WHERE catalogue = $1",
        )
        .bind(&new.catalogue)
        .fetch_one(&mut *write)
        .await?;
        if let Some(highest) = highest.map(unsigned).filter(|highest| *highest >= new.version) {
            return Ok(ManifestPut::Older(highest));
        }
        let added = sqlx::query(&format!(
            "INSERT INTO manifest_publications ({PUBLICATION})
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
             WHERE (SELECT COALESCE(MAX(number), 0) FROM manifest_publications) = $1 - 1
             ON CONFLICT DO NOTHING"
        ))
        .bind(signed(new.number))
        .bind(&new.catalogue)
        .bind(signed(new.version))
        .bind(signed(new.issued_at))
        .bind(signed(new.expires_at))
        .bind(&new.sha256)
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
            return Ok(ManifestPut::Raced);
        }
        for document in documents {
            sqlx::query(
                "INSERT INTO manifest_documents (number, audience, sha256, envelope, marketplace)
                 VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(signed(new.number))
            .bind(&document.audience)
            .bind(&document.sha256)
            .bind(&document.envelope)
            .bind(&document.marketplace)
            .execute(&mut *write)
            .await?;
        }
        append::add(&mut write, &self.writer, &[seal(&act.row(""))]).await?;
        write.commit().await?;

        Ok(ManifestPut::Done)
    }

    pub(in crate::store) async fn archive(&self, sha256: &str) -> Result<Option<u64>, StoreError> {
        let bytes: Option<i64> =
            sqlx::query_scalar("SELECT bytes FROM manifest_archives WHERE sha256 = $1")
                .bind(sha256)
                .fetch_optional(self.current())
                .await?;

        Ok(bytes.map(unsigned))
    }

    pub(in crate::store) async fn archive_part(
        &self,
        sha256: &str,
        part: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT bytes FROM manifest_archive_parts WHERE sha256 = $1 AND part = $2";

        Ok(sqlx::query_scalar(sql)
            .bind(sha256)
            .bind(i64::from(part))
            .fetch_optional(self.current())
            .await?)
    }

    pub(in crate::store) async fn put_archive_part(
        &self,
        sha256: &str,
        part: u32,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO manifest_archive_parts (sha256, part, bytes) VALUES ($1, $2, $3)
             ON CONFLICT (sha256, part) DO NOTHING",
        )
        .bind(sha256)
        .bind(i64::from(part))
        .bind(bytes)
        .execute(&mut *write)
        .await?;
        write.commit().await?;

        Ok(())
    }

    pub(in crate::store) async fn finish_archive(
        &self,
        sha256: &str,
        bytes: u64,
        now: u64,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO manifest_archives (sha256, bytes, added_at) VALUES ($1, $2, $3)
             ON CONFLICT (sha256) DO NOTHING",
        )
        .bind(sha256)
        .bind(signed(bytes))
        .bind(signed(now))
        .execute(&mut *write)
        .await?;
        write.commit().await?;

        Ok(())
    }
}

fn publication(row: &DbRow) -> Result<ManifestVersion, StoreError> {
    Ok(ManifestVersion {
        number: unsigned(row.try_get("number")?),
        catalogue: row.try_get("catalogue")?,
        version: unsigned(row.try_get("version")?),
        issued_at: unsigned(row.try_get("issued_at")?),
        expires_at: unsigned(row.try_get("expires_at")?),
        sha256: row.try_get("sha256")?,
        key_id: row.try_get("key_id")?,
        envelope: row.try_get("envelope")?,
        published_at: unsigned(row.try_get("published_at")?),
        published_by: row.try_get("published_by")?,
        way: ManifestWay::of(row.try_get("way")?),
        ticket: row.try_get("ticket")?,
        why: row.try_get("why")?,
    })
}

fn document(row: &DbRow) -> Result<ManifestDocument, StoreError> {
    Ok(ManifestDocument {
        audience: row.try_get("audience")?,
        sha256: row.try_get("sha256")?,
        envelope: row.try_get("envelope")?,
        marketplace: row.try_get("marketplace")?,
    })
}
