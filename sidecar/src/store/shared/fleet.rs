//! What laptops were given, and what they say of themselves.

use super::{Backend, Connection, Db, append};
use crate::content::{Sealed, seal};
use crate::store::fleet::{Heard, Served, StandsThere, Whose};
use crate::store::{StoreError, signed};
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
            // The last one stays: it says since when a laptop has what it has.
            "DELETE FROM fleet_reached WHERE applied_at < $1 AND EXISTS (SELECT 1
             FROM fleet_reached later WHERE later.tenant_id = fleet_reached.tenant_id
                 AND later.user_id = fleet_reached.user_id AND later.device = fleet_reached.device
                 AND later.catalogue = fleet_reached.catalogue
                 AND later.version > fleet_reached.version)",
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
             problem, warnings, catalogue, audience, version, sha256, applied_at, synced_at, reported_at, report) ",
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
            .push_bind(&device.problem)
            .push_bind(texts(&device.warnings))
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
             code = excluded.code, problem = excluded.problem, warnings = excluded.warnings,
             catalogue = excluded.catalogue, audience = excluded.audience,
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

/// Null where there is nothing to say: that is what is counted.
fn texts(all: &[String]) -> Option<String> {
    if all.is_empty() { None } else { serde_json::to_string(all).ok() }
}
