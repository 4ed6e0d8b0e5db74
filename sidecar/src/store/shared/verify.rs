//! The chain as it is read back, and cursors over it.

use super::{Backend, DbRow};
use crate::store::chain::{Block, Head};
use crate::store::writer::Writer;
use crate::store::{Cursor, StoreError, signed};
use sqlx::Row as _;

impl Backend {
    pub(in crate::store) fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Where each writer says that its chain ends. Asked of the readers' database, as blocks and rows
    /// are: a replica is behind, and agrees with itself.
    pub(in crate::store) async fn heads(&self) -> Result<Vec<(String, Head)>, StoreError> {
        let rows = sqlx::query(
            "SELECT writer, place, block, rows, hash FROM audit_writers ORDER BY writer",
        )
        .fetch_all(&self.readers)
        .await?;

        rows.iter()
            .map(|row| {
                let head = Head {
                    place: row.try_get("place")?,
                    block: row.try_get("block")?,
                    hash: row.try_get("hash")?,
                    rows: row.try_get("rows")?,
                };
                Ok((row.try_get("writer")?, head))
            })
            .collect()
    }

    /// Blocks of a writer behind a number, in their order.
    pub(in crate::store) async fn blocks(
        &self,
        writer: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Block>, StoreError> {
        let rows = sqlx::query(
            "SELECT writer, number, first, last, rows, hash, signature FROM audit_blocks
             WHERE writer = $1 AND number > $2 ORDER BY number LIMIT $3",
        )
        .bind(writer)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;

        rows.iter().map(block).collect()
    }

    /// How many rows there are outside all of these writers.
    pub(in crate::store) async fn rows_in_all(&self) -> Result<Vec<(String, i64)>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT writer, COUNT(*) FROM audit_events GROUP BY writer ORDER BY writer",
        )
        .fetch_all(&self.readers)
        .await?)
    }

    /// How far a sink was sent the rows.
    pub(in crate::store) async fn cursor(&self, sink: &str) -> Result<Cursor, StoreError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT writer, place FROM siem_cursors WHERE sink = $1")
                .bind(sink)
                .fetch_all(self.current())
                .await?;

        Ok(Cursor(rows.into_iter().collect()))
    }

    /// Notes how far a sink was sent the rows of one writer.
    pub(in crate::store) async fn move_cursor(
        &self,
        sink: &str,
        writer: &str,
        place: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO siem_cursors (sink, writer, place) VALUES ($1, $2, $3)
             ON CONFLICT (sink, writer) DO UPDATE SET place = excluded.place",
        )
        .bind(sink)
        .bind(writer)
        .bind(place)
        .execute(&self.writers)
        .await?;

        Ok(())
    }

    /// Forgets what lineage and sequences no longer need, and links what could not be linked before.
    pub(in crate::store) async fn tidy_audit(&self, before: u64) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        super::links::relink_all(&mut write).await?;
        super::links::forget(&mut write, before).await?;
        sqlx::query("DELETE FROM audit_sequences WHERE heard_at < $1 AND boot < $2")
            .bind(signed(before))
            .bind(signed(before.saturating_mul(1_000)))
            .execute(&mut *write)
            .await?;
        write.commit().await?;

        Ok(())
    }
}

fn block(row: &DbRow) -> Result<Block, StoreError> {
    Ok(Block {
        writer: row.try_get("writer")?,
        number: row.try_get("number")?,
        first: row.try_get("first")?,
        last: row.try_get("last")?,
        rows: row.try_get("rows")?,
        hash: row.try_get("hash")?,
        signature: row.try_get("signature")?,
    })
}
