//! A sink: reads the table behind its cursor, sends, and moves the cursor when it was acknowledged.

use super::answer::{Answer, Trouble};
use super::config::{Place, SinkConfig};
use super::http::Service;
use super::item::Item;
use super::lines::{Grown, Scribe};
use crate::counters::{self, Reason};
use crate::settings::{self, Data};
use crate::store::{Claim, Cursor, Row, Store, StoreError};
use anyhow::Context;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

mod deliver;

/// How often a table without new rows is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Rows read at once. A row may have hundreds of KiB, and is several times as large while it is read.
const PAGE: usize = 32;

/// The first pause after a failure; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The longest pause that a service may ask for: an hour would be a mistake, or ill will.
const LONGEST_ASKED: Duration = Duration::from_mins(5);

/// In the place of a writer: this sink has begun. No writer has an empty name.
const BEGUN: &str = "";

/// A sink at work.
pub struct Sink {
    config: SinkConfig,
    store: Store,
    counts: Arc<counters::Sink>,
    door: Door,
    letters: Letters,
    claim: Option<Claim>,
    cursor: Cursor,
    /// When the oldest row of each writer occurred that was read and is not acknowledged.
    oldest: BTreeMap<String, u64>,
    /// A row that was acknowledged once: what is refused beside it is refused for what it says.
    known: Option<Item>,
    /// Which writer comes first: none waits for ever for another one's rows.
    turn: usize,
}

enum Door {
    Service(Box<Service>),
    Scribe(Scribe),
}

/// Rows that will never be taken.
struct Letters {
    file: Arc<std::sync::Mutex<Grown>>,
}

impl Sink {
    /// A sink, nothing sent yet.
    ///
    /// # Errors
    /// What of its files is not as it must be.
    pub fn new(
        config: SinkConfig,
        data: &Data,
        store: Store,
        counts: Arc<counters::Sink>,
    ) -> anyhow::Result<Self> {
        let context = || format!("the sink {}", config.name);
        let door = match &config.place {
            Place::Http(http) => Door::Service(Box::new(
                Service::new(http.clone(), config.vendor.clone()).with_context(context)?,
            )),
            Place::File(path) => {
                Door::Scribe(Scribe::of_file(path).with_context(|| path.display().to_string())?)
            }
            Place::Stdout => Door::Scribe(Scribe::of_stdout().with_context(context)?),
        };
        let path = data.dead_letters(&config.name);
        if let Some(folder) = path.parent() {
            settings::directory(folder)?;
        }
        let letters = Letters { file: Arc::new(std::sync::Mutex::new(Grown::new(path))) };

        Ok(Self {
            config,
            store,
            counts,
            door,
            letters,
            claim: None,
            cursor: Cursor::default(),
            oldest: BTreeMap::new(),
            known: None,
            turn: 0,
        })
    }

    /// Sends until told to stop, and then stops at once: what was not acknowledged is sent again.
    pub async fn run(mut self, mut draining: watch::Receiver<bool>) {
        tokio::select! {
            _told = draining.wait_for(|draining| *draining) => {}
            () = self.forward() => {}
        }
    }

    async fn forward(&mut self) {
        let mut pause = FIRST_PAUSE;
        let mut failing = None;
        loop {
            match self.round().await {
                Ok(sent) => {
                    if failing.take().is_some() {
                        info!(sink = self.config.name, "The sink takes rows again");
                    }
                    pause = FIRST_PAUSE;
                    if !sent {
                        sleep(LOOK).await;
                    }
                }
                Err(trouble) => {
                    self.counts.failed(trouble.reason);
                    if failing != Some(trouble.reason) {
                        let (sink, why) = (&self.config.name, &trouble.told);
                        let reason = trouble.reason.as_str();
                        error!(sink, reason, error = why, "Rows wait for a sink");
                    }
                    failing = Some(trouble.reason);
                    sleep(wait(pause, trouble.after)).await;
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Sends a batch of every writer that has one; says whether there was any.
    async fn round(&mut self) -> Result<bool, Trouble> {
        if !self.is_ours().await? {
            self.counts.lag_rows.set(0);
            self.counts.oldest.set(0);
            return Ok(false);
        }
        let end = self.store.end().await.map_err(lost)?;
        let mut behind: Vec<(String, i64, i64)> = Vec::new();
        for (writer, place) in end.0 {
            let read = self.cursor.0.get(&writer).copied().unwrap_or_default();
            if read < place {
                behind.push((writer, read, place));
            }
        }
        self.measure(&behind);
        let writers = behind.len().max(1);
        behind.rotate_left(self.turn.checked_rem(writers).unwrap_or_default());
        self.turn = self.turn.wrapping_add(1);
        let mut sent = false;
        for (writer, read, end) in behind {
            let items = self.load(&writer, read, end).await?;
            let Some(last) = items.last().map(|item| item.place) else { continue };
            let taken = self.deliver(&items).await?;
            self.store.move_cursor(&self.config.name, &writer, last).await.map_err(lost)?;
            self.cursor.pass(&writer, last);
            self.oldest.remove(&writer);
            self.counts.rows.add(taken);
            sent = true;
        }
        if !sent {
            self.oldest.clear();
            self.measure(&[]);
        }

        Ok(sent)
    }

    /// Takes the sink for this sidecar, if no other one has it.
    async fn is_ours(&mut self) -> Result<bool, Trouble> {
        if let Some(claim) = &mut self.claim {
            if claim.holds().await {
                return Ok(true);
            }
            self.claim = None;
            warn!(sink = self.config.name, "The sink was lost to the database's end");
        }
        let name = &self.config.name;
        let Some(claim) = self.store.claim(name).await.map_err(lost)? else { return Ok(false) };
        self.cursor = self.store.cursor(name).await.map_err(lost)?;
        self.oldest.clear();
        if self.cursor.0.is_empty() {
            self.begin().await.map_err(lost)?;
        }
        self.known = self.acknowledged().await?;
        self.claim = Some(claim);

        Ok(true)
    }

    /// Nothing was ever sent. That this has begun is noted, or a sink that wants rows from now on
    /// would leave out those that came before its next start.
    async fn begin(&mut self) -> Result<(), StoreError> {
        let name = &self.config.name;
        if self.config.from_now {
            self.cursor = self.store.end().await?;
            for (writer, place) in &self.cursor.0 {
                self.store.move_cursor(name, writer, *place).await?;
            }
        }

        self.store.move_cursor(name, BEGUN, 0).await
    }

    /// The row that was acknowledged last before this start.
    async fn acknowledged(&self) -> Result<Option<Item>, Trouble> {
        for (writer, place) in &self.cursor.0 {
            let rows = self.store.rows_of(writer, *place, *place, 1).await.map_err(lost)?;
            if let Some(row) = rows.into_iter().next() {
                return self.item(row).map(Some);
            }
        }

        Ok(None)
    }

    /// The rows of a writer behind a place, as many as one batch has.
    async fn load(&mut self, writer: &str, read: i64, end: i64) -> Result<Vec<Item>, Trouble> {
        let mut items: Vec<Item> = Vec::new();
        // The brackets of a list.
        let (mut from, mut bytes) = (read.saturating_add(1), 2_usize);
        while items.len() < self.config.rows && from <= end {
            let room = self.config.rows.saturating_sub(items.len()).min(PAGE);
            let page = self.page(writer, from, end, room).await?;
            if page.is_empty() {
                break;
            }
            for item in page {
                from = item.place.saturating_add(1);
                bytes = bytes.saturating_add(item.framed.len()).saturating_add(1);
                if bytes > self.config.bytes && !items.is_empty() {
                    return Ok(self.loaded(writer, items));
                }
                items.push(item);
            }
        }

        Ok(self.loaded(writer, items))
    }

    /// The next rows. If one of them cannot be read it stops nobody: who spoils a row in the
    /// database shall not silence those behind it.
    async fn page(
        &self,
        writer: &str,
        from: i64,
        end: i64,
        room: usize,
    ) -> Result<Vec<Item>, Trouble> {
        let limit = u32::try_from(room).unwrap_or(u32::MAX);
        let rows = match self.store.rows_of(writer, from, end, limit).await {
            Err(StoreError::Corrupt(why)) => {
                return self.past(writer, from, end, &why.to_string()).await;
            }
            read => read.map_err(lost)?,
        };

        rows.into_iter().map(|row| self.item(row)).collect()
    }

    /// The rows before the first that cannot be read, or that one alone.
    async fn past(
        &self,
        writer: &str,
        from: i64,
        end: i64,
        why: &str,
    ) -> Result<Vec<Item>, Trouble> {
        // Reading up to `good` works, up to `bad` does not.
        let (mut good, mut bad) = (from.saturating_sub(1), end);
        while bad.saturating_sub(good) > 1 {
            let middle = good.midpoint(bad);
            match self.store.rows_of(writer, from, middle, 1).await {
                Ok(rows) if rows.is_empty() => good = middle,
                Ok(rows) => return rows.into_iter().map(|row| self.item(row)).collect(),
                Err(StoreError::Corrupt(_)) => bad = middle,
                Err(error) => return Err(lost(error)),
            }
        }

        Ok(vec![Item::unreadable(writer, bad, why)])
    }

    fn item(&self, row: Row) -> Result<Item, Trouble> {
        Item::of(row, &self.config.vendor, self.config.content)
            .map_err(|why| Trouble::new(Reason::Store, why))
    }

    fn loaded(&mut self, writer: &str, items: Vec<Item>) -> Vec<Item> {
        // One that cannot be read has no time.
        if let Some(first) = items.iter().find(|item| item.occurred > 0) {
            self.oldest.insert(writer.to_owned(), first.occurred);
            self.counts.oldest.set(self.oldest.values().min().copied().unwrap_or_default());
        }

        items
    }

    /// Places have no holes but where rows were stored already, so this is at most too much.
    fn measure(&self, behind: &[(String, i64, i64)]) {
        let rows: i64 = behind.iter().map(|(_, read, end)| end.saturating_sub(*read)).sum();
        self.counts.lag_rows.set(u64::try_from(rows).unwrap_or_default());
        self.counts.oldest.set(self.oldest.values().min().copied().unwrap_or_default());
    }
}

fn lost(error: StoreError) -> Trouble {
    Trouble::new(Reason::Store, error)
}

/// Between half the pause and the whole: many who failed at once do not come back at once.
fn wait(pause: Duration, asked: Option<Duration>) -> Duration {
    let mut random = [0; 4];
    let share = match getrandom::fill(&mut random) {
        Ok(()) => f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX),
        // Without randomness there is still a pause.
        Err(_) => 1.0,
    };
    let own = pause.mul_f64(0.5 + share / 2.0);

    own.max(asked.unwrap_or_default().min(LONGEST_ASKED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_may_ask_for_a_longer_pause_and_not_for_any() {
        let pause = Duration::from_secs(2);

        for _ in 0..100 {
            let own = wait(pause, None);
            assert!(own >= pause / 2 && own <= pause, "{own:?}");
        }
        assert_eq!(wait(pause, Some(Duration::from_secs(9))), Duration::from_secs(9));
        assert_eq!(wait(pause, Some(Duration::from_hours(9))), LONGEST_ASKED);
        assert!(wait(pause, Some(Duration::ZERO)) >= pause / 2, "none asks us to hammer");
    }
}
