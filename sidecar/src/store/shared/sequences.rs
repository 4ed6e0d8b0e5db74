//! Which numbers of the gate's sequences have rows, and what the gate says of itself.

use super::append::Prepared;
use super::{Backend, Connection, DbRow, dialect};
use crate::sequences::{Ranges, Sequence};
use crate::store::{StoreError, signed, unsigned};
use contract::audit::Heartbeat;
use sqlx::Row as _;
use std::collections::BTreeMap;

const ALL: &str = "SELECT boot, vm, stored, highest, open, heard_at FROM audit_sequences";

impl Backend {
    /// Notes what a VM tells of itself.
    pub(in crate::store) async fn heard(
        &self,
        told: &Heartbeat,
        now: u64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO audit_sequences (boot, vm, stored, highest, open, heard_at)
             VALUES ($1, $2, '[]', $3, $4, $5)
             ON CONFLICT (boot, vm) DO UPDATE SET highest = excluded.highest,
                 open = excluded.open, heard_at = excluded.heard_at",
        )
        .bind(signed(told.boot))
        .bind(i64::from(told.vm))
        .bind(signed(told.highest))
        .bind(serde_json::to_string(&told.open)?)
        .bind(signed(now))
        .execute(&self.writers)
        .await?;

        Ok(())
    }

    pub(in crate::store) async fn sequences(&self) -> Result<Vec<Sequence>, StoreError> {
        let rows =
            sqlx::query(&format!("{ALL} ORDER BY boot, vm")).fetch_all(self.current()).await?;

        rows.iter().map(read).collect()
    }
}

/// Notes the numbers of rows just stored.
pub(super) async fn note(write: &mut Connection, rows: &[&Prepared<'_>]) -> Result<(), StoreError> {
    let mut new: BTreeMap<(u64, u32), Vec<u64>> = BTreeMap::new();
    for sequence in rows.iter().filter_map(|row| row.event.payload.sequence) {
        new.entry((sequence.boot, sequence.vm)).or_default().push(sequence.n);
    }
    for ((boot, vm), numbers) in new {
        let sql = format!("{ALL} WHERE boot = $1 AND vm = $2{}", dialect::FOR_UPDATE);
        let known = sqlx::query(&sql)
            .bind(signed(boot))
            .bind(i64::from(vm))
            .fetch_optional(&mut *write)
            .await?;
        let mut stored = known.as_ref().map(read).transpose()?.unwrap_or_default().stored;
        for number in numbers {
            stored.add(number);
        }
        sqlx::query(
            "INSERT INTO audit_sequences (boot, vm, stored, highest, open, heard_at)
             VALUES ($1, $2, $3, 0, '[]', 0)
             ON CONFLICT (boot, vm) DO UPDATE SET stored = excluded.stored",
        )
        .bind(signed(boot))
        .bind(i64::from(vm))
        .bind(serde_json::to_string(&stored)?)
        .execute(&mut *write)
        .await?;
    }

    Ok(())
}

fn read(row: &DbRow) -> Result<Sequence, StoreError> {
    let (boot, vm) = (unsigned(row.try_get("boot")?), row.try_get::<i64, _>("vm")?);
    let vm = u32::try_from(vm).unwrap_or_default();
    let stored: Ranges = serde_json::from_str(row.try_get("stored")?)?;
    let open = serde_json::from_str(row.try_get("open")?)?;
    let told = Heartbeat { boot, vm, highest: unsigned(row.try_get("highest")?), open };

    Ok(Sequence { boot, vm, stored, told, heard_at: unsigned(row.try_get("heard_at")?) })
}
