//! Between Envoy's stream and the store: events wait here, a bounded number of them, and are
//! stored in batches. While the database is away they wait; those that find no place are dropped,
//! because the spool has them too.

use crate::counters::Counters;
use crate::store::Store;
use contract::audit::Event;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{error, info};

/// How many events wait at most: at 2 KB each, some 40 MB.
const WAITING: usize = 20_000;

/// How many are stored at once: more makes a transaction no cheaper, and keeps the lock longer.
const BATCH: usize = 1_024;

/// The first pause after the database refused; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where events are put.
#[derive(Debug, Clone)]
pub struct Inbox {
    events: mpsc::Sender<Event<'static>>,
    counters: Arc<Counters>,
}

/// Where they come out.
#[derive(Debug)]
pub struct Outlet(mpsc::Receiver<Event<'static>>);

/// A new pair.
pub fn channel(counters: Arc<Counters>) -> (Inbox, Outlet) {
    let (events, outlet) = mpsc::channel(WAITING);

    (Inbox { events, counters }, Outlet(outlet))
}

impl Inbox {
    /// Takes an event, or counts that it could not.
    pub fn offer(&self, event: Event<'static>) {
        if self.events.try_send(event).is_err() {
            self.counters.dropped.one();
        }
    }
}

/// Stores what comes out, until every inbox is gone and nothing is left.
pub async fn store_all(mut outlet: Outlet, store: Store, counters: Arc<Counters>) {
    let mut batch = Vec::with_capacity(BATCH);
    while outlet.0.recv_many(&mut batch, BATCH).await > 0 {
        store_one(&batch, &outlet, &store, &counters).await;
        batch.clear();
    }
}

async fn store_one(batch: &[Event<'static>], outlet: &Outlet, store: &Store, counters: &Counters) {
    let mut pause = FIRST_PAUSE;
    loop {
        match store.append(batch, None).await {
            Ok(appended) => {
                if pause > FIRST_PAUSE {
                    info!("The database takes rows again");
                }
                counters.grpc.stored.add(appended.stored);
                counters.grpc.duplicates.add(appended.duplicates);
                return;
            }
            Err(error) => {
                counters.store_errors.one();
                if pause == FIRST_PAUSE {
                    error!(error = %error, "Rows wait: the database refused them");
                }
            }
        }
        if outlet.0.is_closed() {
            // The sidecar is leaving. What it could not store it reads from the spool next time.
            counters.dropped.add(u64::try_from(batch.len()).unwrap_or(u64::MAX));
            return;
        }
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}
