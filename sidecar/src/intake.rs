//! Between Envoy's stream and the store: events wait here, a bounded number of them, and are
//! stored in batches. While the database is away they wait; those that find no place are dropped,
//! because the spool has them too.

use crate::counters::Counters;
use crate::glass;
use crate::store::Store;
use contract::audit::Event;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::sleep;
use tracing::{error, info};

/// How many events wait at most.
const WAITING: usize = 20_000;

/// How many bytes of them: records may be large, and clients have a say in that.
const BYTES: usize = 64 * 1024 * 1024; // 64 MiB

/// How many are stored at once: more makes a transaction no cheaper, and keeps the lock longer.
const BATCH: usize = 1_024;

/// The first pause after the database refused; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where events are put.
#[derive(Debug, Clone)]
pub struct Inbox {
    events: mpsc::Sender<Held>,
    room: Arc<Semaphore>,
    counters: Arc<Counters>,
}

/// An event, and the room it takes until it is stored or dropped.
type Held = (Event<'static>, OwnedSemaphorePermit);

/// Where they come out.
#[derive(Debug)]
pub struct Outlet(mpsc::Receiver<Held>);

/// A new pair.
pub fn channel(counters: Arc<Counters>) -> (Inbox, Outlet) {
    let (events, outlet) = mpsc::channel(WAITING);

    let room = Arc::new(Semaphore::new(BYTES));

    (Inbox { events, room, counters }, Outlet(outlet))
}

impl Inbox {
    /// Takes an event that was told in so many bytes, or counts that it could not.
    pub fn offer(&self, event: Event<'static>, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes);
        let taken = room.is_ok_and(|room| self.events.try_send((event, room)).is_ok());
        if !taken {
            self.counters.dropped.one();
        }
    }
}

/// Stores what comes out, until every inbox is gone and nothing is left.
pub async fn store_all(mut outlet: Outlet, store: Store, counters: Arc<Counters>) {
    let mut held = Vec::with_capacity(BATCH);
    while outlet.0.recv_many(&mut held, BATCH).await > 0 {
        let (batch, rooms): (Vec<_>, Vec<_>) = held.drain(..).unzip();
        store_one(&batch, &outlet, &store, &counters).await;
        drop(rooms);
    }
}

async fn store_one(batch: &[Event<'static>], outlet: &Outlet, store: &Store, counters: &Counters) {
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        let kept = store.append(batch, None).await;
        counters.appended(begun.elapsed());
        match kept {
            Ok(appended) => {
                if pause > FIRST_PAUSE {
                    info!("The database takes rows again");
                }
                counters.grpc.stored.add(appended.stored);
                counters.grpc.duplicates.add(appended.duplicates);
                if appended.stored > 0 {
                    glass::tell(batch);
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Data;

    async fn rows(store: &Store) -> i64 {
        store.end().await.unwrap().0.values().sum()
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes_too_and_makes_room_once_stored() {
        let counters = Arc::new(Counters::default());
        let (inbox, outlet) = channel(Arc::clone(&counters));
        let large = BYTES / 2;
        let event = |id: &'static str| Event { event_id: id.into(), ..Event::default() };

        for id in ["a", "b", "c"] {
            inbox.offer(event(id), large);
        }
        assert_eq!(counters.dropped.get(), 1, "the third finds no room");
        let place = tempfile::tempdir().unwrap();
        let store = Store::create(&Data::new(place.path())).await.unwrap();
        let storing = tokio::spawn(store_all(outlet, store.clone(), Arc::clone(&counters)));
        while rows(&store).await < 2 || inbox.room.available_permits() < large {
            sleep(Duration::from_millis(10)).await;
        }
        inbox.offer(event("d"), large);
        drop(inbox);
        storing.await.unwrap();

        assert_eq!((counters.dropped.get(), rows(&store).await), (1, 3));
    }
}
