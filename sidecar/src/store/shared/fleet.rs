//! What laptops were given, and what they say of themselves.

use super::{Backend, Connection, Db, DbRow, append};
use crate::content::{Sealed, seal};
use crate::store::fleet::{Count, Device, Heard, Served, StandsThere, Wanted, Which, Whose};
use crate::store::{StoreError, signed, unsigned};
use contract::audit::Event;
use serde_json::json;
use sqlx::{QueryBuilder, Row as _};
use std::collections::BTreeMap;

/// Rows of one statement: below 32,766 parameters.
const CHUNK: usize = 512;

/// Most devices that somebody has here: whoever reports for ever new ones fills no disk.
const MOST_DEVICES: i64 = 50;

/// Devices of somebody who has more, but for those that were heard of last.
const BEYOND: &str = "SELECT tenant_id, user_id, device FROM (
    SELECT tenant_id, user_id, device, ROW_NUMBER() OVER (
        PARTITION BY tenant_id, user_id ORDER BY reported_at DESC, device) AS place
    FROM fleet_devices) AS ranked WHERE place > ";

impl Backend {
    pub(in crate::store) async fn note_fleet(
        &self,
        served: &[Served],
        heard: &[Heard],
    ) -> Result<(), StoreError> {
        // One of each key for a statement, and always in one order: two sidecars that note the same people do not wait
        // for each other in a circle.
        let served: BTreeMap<&Whose, &Served> = served.iter().map(|it| (&it.whose, it)).collect();
        let said: BTreeMap<&Whose, &Heard> =
            heard.iter().map(|it| (&it.device.whose, it)).collect();
        let served: Vec<&Served> = served.into_values().collect();
        let said: Vec<&Heard> = said.into_values().collect();

        let mut write = self.write().await?;
        let mut rows: Vec<Event<'static>> = heard.iter().filter_map(|it| it.row.clone()).collect();
        for chunk in served.chunks(CHUNK) {
            rows.extend(put_served(&mut write, chunk).await?);
        }
        for chunk in said.chunks(CHUNK) {
            put_devices(&mut write, chunk).await?;
            drop_nameless(&mut write, chunk).await?;
            put_reached(&mut write, chunk).await?;
        }
        let sealed: Vec<Sealed<'_>> = rows.iter().map(seal).collect();
        append::add(&mut write, &self.writer, &sealed).await?;
        write.commit().await?;

        Ok(())
    }

    pub(in crate::store) async fn fleet_counts(
        &self,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Count>, StoreError> {
        let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
            "SELECT version, audience, COUNT(*) AS devices,
                 SUM(CASE WHEN result = 'failed' THEN 1 ELSE 0 END) AS failed FROM (
                 SELECT result, CASE WHEN catalogue = ",
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

    pub(in crate::store) async fn forget_devices(&self, before: u64) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        for table in ["fleet_reached", "fleet_devices"] {
            let sql = format!(
                "DELETE FROM {table} WHERE (tenant_id, user_id, device) IN ({BEYOND}{MOST_DEVICES})"
            );
            sqlx::query(&sql).execute(&mut *write).await?;
        }
        sqlx::query(
            "DELETE FROM fleet_reached WHERE NOT EXISTS (SELECT 1 FROM manifest_publications p
             WHERE p.catalogue = fleet_reached.catalogue AND p.version = fleet_reached.version)",
        )
        .execute(&mut *write)
        .await?;
        for sql in [
            "DELETE FROM fleet_reached WHERE EXISTS (SELECT 1 FROM fleet_devices d
             WHERE d.tenant_id = fleet_reached.tenant_id AND d.user_id = fleet_reached.user_id
                 AND d.device = fleet_reached.device AND d.reported_at < $1)",
            "DELETE FROM fleet_devices WHERE reported_at < $1",
            "DELETE FROM fleet_served WHERE served_at < $1 AND NOT EXISTS (SELECT 1
             FROM fleet_devices d WHERE d.tenant_id = fleet_served.tenant_id
                 AND d.user_id = fleet_served.user_id)",
        ] {
            sqlx::query(sql).bind(signed(before)).execute(&mut *write).await?;
        }
        write.commit().await?;

        Ok(())
    }
}

const DEVICE: &str =
    "d.tenant_id, d.user_id, d.device, d.client_id, d.os, d.helper, d.result, d.code, d.catalogue,
    d.audience, d.version, d.sha256, d.applied_at, d.synced_at, d.reported_at";

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

/// Notes what was served; the rows of those who had something else, with what that was.
async fn put_served(
    write: &mut Connection,
    all: &[&Served],
) -> Result<Vec<Event<'static>>, StoreError> {
    let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
        "INSERT INTO fleet_served
             (tenant_id, user_id, client_id, catalogue, audience, version, sha256, served_at) ",
    );
    query.push_values(all, |mut row, it| {
        let (tenant, user, client) = &it.whose;
        row.push_bind(tenant)
            .push_bind(user)
            .push_bind(client)
            .push_bind(&it.catalogue)
            .push_bind(&it.audience)
            .push_bind(signed(it.version))
            .push_bind(&it.sha256)
            .push_bind(signed(it.at));
    });
    query.push(
        " ON CONFLICT (tenant_id, user_id, client_id) DO UPDATE SET catalogue = excluded.catalogue,
             audience = excluded.audience, version = excluded.version, sha256 = excluded.sha256,
             served_at = excluded.served_at, was_audience = fleet_served.audience,
             was_version = fleet_served.version
         WHERE fleet_served.sha256 <> excluded.sha256
         RETURNING tenant_id, user_id, client_id, was_audience, was_version",
    );
    let changed = query.build().persistent(all.len() == CHUNK).fetch_all(write).await?;
    let by_whose: BTreeMap<&Whose, &Served> = all.iter().map(|it| (&it.whose, *it)).collect();
    let mut rows = Vec::with_capacity(changed.len());
    for row in changed {
        let whose: Whose =
            (row.try_get("tenant_id")?, row.try_get("user_id")?, row.try_get("client_id")?);
        let Some(served) = by_whose.get(&whose) else { continue };
        let mut event = served.row.clone();
        let was: (Option<String>, Option<i64>) =
            (row.try_get("was_audience")?, row.try_get("was_version")?);
        if let (Some(audience), Some(version)) = was {
            event.payload.before = Some(json!({ "audience": audience, "version": version }));
        }
        rows.push(event);
    }

    Ok(rows)
}

async fn put_devices(write: &mut Connection, all: &[&Heard]) -> Result<(), StoreError> {
    let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
        "INSERT INTO fleet_devices (tenant_id, user_id, device, client_id, os, helper, result, code,
             catalogue, audience, version, sha256, applied_at, synced_at, reported_at, report) ",
    );
    query.push_values(all, |mut row, Heard { device, report, row: _ }| {
        let (tenant, user, id) = &device.whose;
        let stands = device.stands.as_ref();
        row.push_bind(tenant)
            .push_bind(user)
            .push_bind(id)
            .push_bind(&device.client)
            .push_bind(&device.os)
            .push_bind(&device.helper)
            .push_bind(&device.result)
            .push_bind(&device.code)
            .push_bind(stands.map(|it| &*it.catalogue))
            .push_bind(stands.map(|it| &*it.audience))
            .push_bind(stands.map(|it| signed(it.version)))
            .push_bind(stands.map(|it| &*it.sha256))
            .push_bind(stands.map(|it| signed(it.applied_at)))
            .push_bind(signed(device.synced_at))
            .push_bind(signed(device.reported_at))
            .push_bind(report);
    });
    // Of two reports that arrive the wrong way round, the later one counts.
    query.push(
        " ON CONFLICT (tenant_id, user_id, device) DO UPDATE SET client_id = excluded.client_id,
             os = excluded.os, helper = excluded.helper, result = excluded.result,
             code = excluded.code, catalogue = excluded.catalogue, audience = excluded.audience,
             version = excluded.version, sha256 = excluded.sha256,
             applied_at = excluded.applied_at, synced_at = excluded.synced_at,
             reported_at = excluded.reported_at, report = excluded.report
         WHERE fleet_devices.reported_at <= excluded.reported_at",
    );
    query.build().persistent(all.len() == CHUNK).execute(write).await?;

    Ok(())
}

/// A laptop that reports before its system half has run has no name yet. Once it has one, it is not two.
async fn drop_nameless(write: &mut Connection, all: &[&Heard]) -> Result<(), StoreError> {
    let named: Vec<&Whose> =
        all.iter().map(|it| &it.device.whose).filter(|whose| !whose.2.is_empty()).collect();
    if named.is_empty() {
        return Ok(());
    }
    let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
        "DELETE FROM fleet_devices WHERE device = '' AND (tenant_id, user_id) IN ",
    );
    query.push_tuples(named, |mut row, (tenant, user, _)| {
        row.push_bind(tenant).push_bind(user);
    });
    query.build().persistent(false).execute(write).await?;

    Ok(())
}

async fn put_reached(write: &mut Connection, all: &[&Heard]) -> Result<(), StoreError> {
    let stand: Vec<(&Whose, &StandsThere)> =
        all.iter().filter_map(|it| Some((&it.device.whose, it.device.stands.as_ref()?))).collect();
    if stand.is_empty() {
        return Ok(());
    }
    let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
        "INSERT INTO fleet_reached (tenant_id, user_id, device, catalogue, version, applied_at) ",
    );
    query.push_values(stand, |mut row, ((tenant, user, device), it)| {
        row.push_bind(tenant)
            .push_bind(user)
            .push_bind(device)
            .push_bind(&it.catalogue)
            .push_bind(signed(it.version))
            .push_bind(signed(it.applied_at));
    });
    query.push(" ON CONFLICT DO NOTHING");
    query.build().persistent(false).execute(write).await?;

    Ok(())
}

fn device(row: &DbRow) -> Result<Device, StoreError> {
    let version: Option<i64> = row.try_get("version")?;
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
        stands,
        synced_at: unsigned(row.try_get("synced_at")?),
        reported_at: unsigned(row.try_get("reported_at")?),
    })
}
