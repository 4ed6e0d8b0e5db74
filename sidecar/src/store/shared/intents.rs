//! Calls that were told before they left (`audit: before`): whichever has no end becomes a row too.

use super::append::{self, Prepared};
use super::{Backend, Connection, Db};
use crate::content::seal;
use crate::store::{Intent, StoreError, signed, unsigned};
use contract::audit::{Event, Sequence};
use sqlx::{QueryBuilder, Row as _};

impl Backend {
    /// Stores an intent. What is acknowledged is stored.
    pub(in crate::store) async fn intend(
        &self,
        event: &Event<'static>,
        now: u64,
    ) -> Result<(), StoreError> {
        let sequence = event.payload.sequence.unwrap_or_default();
        sqlx::query(
            "INSERT INTO audit_intents (event_id, stored_at, boot, vm, n, event, writer)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (event_id) DO NOTHING",
        )
        .bind(&*event.event_id)
        .bind(signed(now))
        .bind(signed(sequence.boot))
        .bind(i64::from(sequence.vm))
        .bind(signed(sequence.n))
        .bind(serde_json::to_string(event)?)
        .bind(self.writer.id())
        .execute(&self.writers)
        .await?;

        Ok(())
    }

    /// The intents told to this sidecar before then that have no end: another one's Envoy is
    /// another one's to judge.
    pub(in crate::store) async fn intents(&self, before: u64) -> Result<Vec<Intent>, StoreError> {
        let rows = sqlx::query(
            "SELECT stored_at, boot, vm, n, event FROM audit_intents
             WHERE stored_at < $1 AND writer = $2 ORDER BY stored_at LIMIT 10000",
        )
        .bind(signed(before))
        .bind(self.writer.id())
        .fetch_all(self.current())
        .await?;

        rows.iter()
            .map(|row| {
                let vm = u32::try_from(row.try_get::<i64, _>("vm")?).unwrap_or_default();
                Ok(Intent {
                    stored_at: unsigned(row.try_get("stored_at")?),
                    sequence: Sequence {
                        boot: unsigned(row.try_get("boot")?),
                        vm,
                        n: unsigned(row.try_get("n")?),
                    },
                    event: serde_json::from_str(row.try_get("event")?)?,
                })
            })
            .collect()
    }

    /// Makes rows of intents without an end; how many had none after all.
    pub(in crate::store) async fn close_intents(
        &self,
        events: &[Event<'static>],
    ) -> Result<u64, StoreError> {
        let mut write = self.write_for(events).await?;
        let stored =
            append::add(&mut write, &self.writer, &events.iter().map(seal).collect::<Vec<_>>())
                .await?;
        let ids: Vec<&str> = events.iter().map(|event| &*event.event_id).collect();
        forget(&mut write, &ids).await?;
        write.commit().await?;

        Ok(stored)
    }
}

/// The exchange has ended: its row stands.
pub(super) async fn settle(
    write: &mut Connection,
    rows: &[&Prepared<'_>],
) -> Result<(), StoreError> {
    // Only where intents are told at all is anything looked for.
    let any: bool = sqlx::query_scalar("SELECT EXISTS (SELECT * FROM audit_intents)")
        .fetch_one(&mut *write)
        .await?;
    if !any {
        return Ok(());
    }
    let ids: Vec<&str> = rows.iter().map(|row| &*row.event.event_id).collect();

    forget(write, &ids).await
}

async fn forget(write: &mut Connection, ids: &[&str]) -> Result<(), StoreError> {
    for chunk in ids.chunks(2_000) {
        let mut query: QueryBuilder<'_, Db> =
            QueryBuilder::new("DELETE FROM audit_intents WHERE event_id IN (");
        let mut list = query.separated(", ");
        for id in chunk {
            list.push_bind(*id);
        }
        query.push(")");
        query.build().persistent(false).execute(&mut *write).await?;
    }

    Ok(())
}
