//! What is asked of laptops and of what they said.

use super::{Backend, Db, DbRow};
use crate::store::fleet::{Count, Device, StandsThere, Wanted, Which};
use crate::store::{StoreError, signed, unsigned};
use sqlx::{QueryBuilder, Row as _};

impl Backend {
    pub(in crate::store) async fn fleet_counts(
        &self,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Count>, StoreError> {
        let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
            "SELECT version, audience, COUNT(*) AS devices,
                 SUM(CASE WHEN result = 'failed' THEN 1 ELSE 0 END) AS failed,
                 COUNT(warnings) AS warned FROM (
                 SELECT result, warnings, CASE WHEN catalogue = ",
        );
        query.push_bind(wanted.catalogue);
        query.push(" THEN version END AS version, CASE WHEN catalogue = ");
        query
            .push_bind(wanted.catalogue)
            .push(" THEN audience END AS audience FROM fleet_devices d");
        among(&mut query, wanted);
        query.push(") AS each_of_them GROUP BY version, audience ORDER BY version DESC, audience");
        let rows = query.build().persistent(false).fetch_all(self.current()).await?;

        rows.iter()
            .map(|row| {
                Ok(Count {
                    version: row.try_get::<Option<i64>, _>("version")?.map(unsigned),
                    audience: row.try_get("audience")?,
                    devices: unsigned(row.try_get("devices")?),
                    failed: unsigned(row.try_get("failed")?),
                    warned: unsigned(row.try_get("warned")?),
                })
            })
            .collect()
    }

    pub(in crate::store) async fn fleet_devices(
        &self,
        wanted: &Wanted<'_>,
        which: Which,
        limit: u32,
    ) -> Result<Vec<Device>, StoreError> {
        let mut query: QueryBuilder<'_, Db> =
            QueryBuilder::new(format!("SELECT {DEVICE} FROM fleet_devices d"));
        among(&mut query, wanted);
        match which {
            Which::Any => {}
            Which::Behind(version) => {
                query.push(" AND (d.version IS NULL OR d.catalogue <> ");
                query.push_bind(wanted.catalogue);
                query.push(" OR d.version < ").push_bind(signed(version)).push(")");
            }
            Which::At(version) => {
                query.push(" AND d.catalogue = ").push_bind(wanted.catalogue);
                query.push(" AND d.version = ").push_bind(signed(version));
            }
            Which::Failed => {
                query.push(" AND d.result = 'failed'");
            }
            Which::Warned => {
                query.push(" AND d.warnings IS NOT NULL");
            }
        }
        query.push(" ORDER BY d.synced_at, d.tenant_id, d.user_id, d.device LIMIT ");
        query.push_bind(i64::from(limit));
        let rows = query.build().persistent(false).fetch_all(self.current()).await?;

        rows.iter().map(device).collect()
    }

    pub(in crate::store) async fn fleet_reached(
        &self,
        wanted: &Wanted<'_>,
        version: u64,
    ) -> Result<Vec<Option<u64>>, StoreError> {
        let mut query: QueryBuilder<'_, Db> = QueryBuilder::new("SELECT CASE WHEN d.catalogue = ");
        query.push_bind(wanted.catalogue).push(" AND d.version >= ").push_bind(signed(version));
        query.push(
            " THEN COALESCE((SELECT MIN(r.applied_at) FROM fleet_reached r
                 WHERE r.tenant_id = d.tenant_id AND r.user_id = d.user_id AND r.device = d.device
                     AND r.catalogue = d.catalogue AND r.version >= ",
        );
        query.push_bind(signed(version));
        query.push("), d.applied_at) END AS since FROM fleet_devices d");
        among(&mut query, wanted);
        let all: Vec<Option<i64>> =
            query.build_query_scalar().persistent(false).fetch_all(self.current()).await?;

        Ok(all.into_iter().map(|since| since.map(unsigned)).collect())
    }

    pub(in crate::store) async fn fleet_silent(
        &self,
        wanted: &Wanted<'_>,
    ) -> Result<u64, StoreError> {
        let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
            "SELECT COUNT(*) FROM (SELECT DISTINCT d.tenant_id, d.user_id FROM fleet_served d
             WHERE NOT EXISTS (SELECT 1 FROM fleet_devices h
                 WHERE h.tenant_id = d.tenant_id AND h.user_id = d.user_id)",
        );
        of_tenants(&mut query, wanted);
        query.push(" AND d.served_at >= ").push_bind(signed(wanted.since)).push(") AS silent");
        let count: i64 =
            query.build_query_scalar().persistent(false).fetch_one(self.current()).await?;

        Ok(unsigned(count))
    }

    pub(in crate::store) async fn fleet_reports(
        &self,
        wanted: &Wanted<'_>,
        name: &str,
        limit: u32,
    ) -> Result<Vec<(Device, String)>, StoreError> {
        let mut query: QueryBuilder<'_, Db> =
            QueryBuilder::new(format!("SELECT {DEVICE}, d.report FROM fleet_devices d"));
        among(&mut query, wanted);
        query.push(" AND (d.device = ").push_bind(name).push(" OR d.user_id = ").push_bind(name);
        query.push(") ORDER BY d.reported_at DESC, d.tenant_id, d.user_id, d.device LIMIT ");
        query.push_bind(i64::from(limit));
        let rows = query.build().persistent(false).fetch_all(self.current()).await?;

        rows.iter().map(|row| Ok((device(row)?, row.try_get("report")?))).collect()
    }
}

const DEVICE: &str =
    "d.tenant_id, d.user_id, d.device, d.client_id, d.os, d.helper, d.result, d.code, d.problem,
    d.warnings, d.catalogue, d.audience, d.version, d.sha256, d.applied_at, d.synced_at, d.reported_at";

fn among<'a>(query: &mut QueryBuilder<'a, Db>, wanted: &Wanted<'a>) {
    query.push(" WHERE d.reported_at >= ").push_bind(signed(wanted.since));
    of_tenants(query, wanted);
}

fn of_tenants<'a>(query: &mut QueryBuilder<'a, Db>, wanted: &Wanted<'a>) {
    if let Some(tenants) = wanted.tenants {
        query.push(" AND d.tenant_id IN (''");
        for tenant in tenants {
            query.push(", ").push_bind(tenant);
        }
        query.push(")");
    }
}

fn device(row: &DbRow) -> Result<Device, StoreError> {
    let version: Option<i64> = row.try_get("version")?;
    let warnings: Option<String> = row.try_get("warnings")?;
    let stands = match version {
        Some(version) => Some(StandsThere {
            catalogue: row.try_get::<Option<_>, _>("catalogue")?.unwrap_or_default(),
            audience: row.try_get::<Option<_>, _>("audience")?.unwrap_or_default(),
            version: unsigned(version),
            sha256: row.try_get::<Option<_>, _>("sha256")?.unwrap_or_default(),
            applied_at: unsigned(row.try_get::<Option<_>, _>("applied_at")?.unwrap_or_default()),
        }),
        None => None,
    };

    Ok(Device {
        whose: (row.try_get("tenant_id")?, row.try_get("user_id")?, row.try_get("device")?),
        client: row.try_get("client_id")?,
        os: row.try_get("os")?,
        helper: row.try_get("helper")?,
        result: row.try_get("result")?,
        code: row.try_get("code")?,
        problem: row.try_get("problem")?,
        warnings: warnings
            .and_then(|it| serde_json::from_slice(it.as_bytes()).ok())
            .unwrap_or_default(),
        stands,
        synced_at: unsigned(row.try_get("synced_at")?),
        reported_at: unsigned(row.try_get("reported_at")?),
    })
}
