//! Storing events: each once, in the chain, with everything that follows from them, in one
//! transaction.

use super::{Backend, Connection, Db, dialect};
use crate::clock;
use crate::content::{Sealed, seal};
use crate::store::chain::{Digest, Head};
use crate::store::row::{self, Link, cells};
use crate::store::writer::Writer;
use crate::store::{Appended, Mark, StoreError, signed, unsigned};
use contract::audit::Event;
use sqlx::{QueryBuilder, Row as _};
use std::collections::HashSet;

/// Rows of one statement: below `SQLite`'s 32,766 parameters; more makes it no faster.
const CHUNK: usize = dialect::CHUNK;

/// An event on its way to become a row.
pub(super) struct Prepared<'a> {
    pub(super) event: &'a Event<'static>,
    pub(super) stamp: String,
    pub(super) payload: String,
    pub(super) link: Option<Link>,
    pub(super) place: i64,
    pub(super) digest: Digest,
}

impl Backend {
    pub(in crate::store) async fn append(
        &self,
        events: &[Event<'static>],
        mark: Option<(&str, &Mark)>,
    ) -> Result<Appended, StoreError> {
        // The spool tells again what the stream has told: that is found out before work is done. All
        // that can be is done before the write lock is taken.
        let new: Vec<&Event<'static>> = match mark {
            Some(_) => unknown(&mut *self.current().acquire().await?, events).await?,
            None => events.iter().collect(),
        };
        let sealed: Vec<Sealed<'_>> = new.into_iter().map(seal).collect();
        let mut write = self.write_for(events).await?;
        let stored = add(&mut write, &self.writer, &sealed).await?;
        if let Some((spool, mark)) = mark {
            put_mark(&mut write, spool, mark).await?;
        }
        write.commit().await?;

        let all = u64::try_from(events.len()).unwrap_or(u64::MAX);
        Ok(Appended { stored, duplicates: all.saturating_sub(stored) })
    }

    pub(in crate::store) async fn mark(&self, spool: &str) -> Result<Option<Mark>, StoreError> {
        let row = sqlx::query("SELECT generation, file, position FROM spool_marks WHERE path = $1")
            .bind(spool)
            .fetch_optional(self.current())
            .await?;
        let Some(row) = row else { return Ok(None) };

        Ok(Some(Mark {
            generation: unsigned(row.try_get("generation")?),
            file: row.try_get("file")?,
            position: unsigned(row.try_get("position")?),
        }))
    }
}

async fn put_mark(write: &mut Connection, spool: &str, mark: &Mark) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO spool_marks (path, generation, file, position) VALUES ($1, $2, $3, $4)
         ON CONFLICT (path) DO UPDATE SET generation = excluded.generation,
             file = excluded.file, position = excluded.position",
    )
    .bind(spool)
    .bind(signed(mark.generation))
    .bind(&mark.file)
    .bind(signed(mark.position))
    .execute(write)
    .await?;

    Ok(())
}

/// The events that have no row yet. An id and a time name one; the ids nearly always do alone.
async fn unknown<'a>(
    write: &mut Connection,
    events: &'a [Event<'static>],
) -> Result<Vec<&'a Event<'static>>, StoreError> {
    let mut known = HashSet::new();
    for chunk in events.chunks(dialect::IDS) {
        known.extend(dialect::known(write, chunk).await?);
    }

    let key = |event: &Event<'static>| (event.event_id.to_string(), event.occurred_at);
    Ok(events.iter().filter(|event| !known.contains(&key(event))).collect())
}

/// Stores events that are perhaps there; says how many were not.
pub(super) async fn add(
    write: &mut Connection,
    writer: &Writer,
    sealed: &[Sealed<'_>],
) -> Result<u64, StoreError> {
    if sealed.is_empty() {
        return Ok(0);
    }
    let events: Vec<&Event<'static>> = sealed.iter().map(Sealed::event).collect();
    let before = head(write, writer).await?;
    let mut links = super::lineage::resolve(write, &events).await?;
    let mut place = before.place;
    let mut prepared = Vec::with_capacity(events.len());
    for (event, link) in events.into_iter().zip(links.drain(..)) {
        place = place.saturating_add(1);
        prepared.push(prepare(event, link, writer, place)?);
    }
    let mut stored = Vec::with_capacity(prepared.len());
    for chunk in prepared.chunks(CHUNK) {
        stored.extend(dialect::insert(write, writer.id(), chunk).await?);
    }
    stored.sort_unstable();
    let new: Vec<&Prepared<'_>> =
        prepared.iter().filter(|row| stored.binary_search(&row.place).is_ok()).collect();
    chain(write, writer, &before, &new).await?;
    super::links::remember(write, &new).await?;
    super::sequences::note(write, &new).await?;
    super::intents::settle(write, &new).await?;

    Ok(u64::try_from(new.len()).unwrap_or(u64::MAX))
}

fn prepare<'a>(
    event: &'a Event<'static>,
    link: Option<Link>,
    writer: &Writer,
    place: i64,
) -> Result<Prepared<'a>, StoreError> {
    let payload = serde_json::to_string(&event.payload)?;
    let stamp = clock::stamp(event.occurred_at);
    let digest = row::digest(writer.id(), place, cells(event, &stamp, &payload, link.as_ref()));

    Ok(Prepared { event, stamp, payload, link, place, digest })
}

/// The end of the writer's chain, held until the transaction ends.
pub(super) async fn head(write: &mut Connection, writer: &Writer) -> Result<Head, StoreError> {
    let sql = format!(
        "SELECT place, block, rows, hash FROM audit_writers WHERE writer = $1{}",
        dialect::FOR_UPDATE
    );
    if let Some(row) = sqlx::query(&sql).bind(writer.id()).fetch_optional(&mut *write).await? {
        return Ok(Head {
            place: row.try_get("place")?,
            block: row.try_get("block")?,
            hash: row.try_get("hash")?,
            rows: row.try_get("rows")?,
        });
    }
    let first = dialect::first_place(write).await?;
    sqlx::query(
        "INSERT INTO audit_writers (writer, place, block, rows, hash) VALUES ($1, $2, 0, 0, $3)
         ON CONFLICT (writer) DO NOTHING",
    )
    .bind(writer.id())
    .bind(first)
    .bind(Vec::<u8>::new())
    .execute(&mut *write)
    .await?;

    Box::pin(head(write, writer)).await
}

/// Puts the rows into a block behind the chain.
async fn chain(
    write: &mut Connection,
    writer: &Writer,
    before: &Head,
    rows: &[&Prepared<'_>],
) -> Result<(), StoreError> {
    let rows: Vec<(i64, Digest)> = rows.iter().map(|row| (row.place, row.digest)).collect();
    let Some((block, head)) = before.extend(writer, &rows) else { return Ok(()) };
    let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
        "INSERT INTO audit_blocks (writer, number, first, last, rows, hash, signature) ",
    );
    query.push_values([block], |mut row, block| {
        row.push_bind(block.writer)
            .push_bind(block.number)
            .push_bind(block.first)
            .push_bind(block.last)
            .push_bind(block.rows)
            .push_bind(block.hash)
            .push_bind(block.signature);
    });
    query.build().execute(&mut *write).await?;
    sqlx::query(
        "UPDATE audit_writers SET place = $1, block = $2, rows = $3, hash = $4 WHERE writer = $5",
    )
    .bind(head.place)
    .bind(head.block)
    .bind(head.rows)
    .bind(head.hash)
    .bind(writer.id())
    .execute(&mut *write)
    .await?;

    Ok(())
}
