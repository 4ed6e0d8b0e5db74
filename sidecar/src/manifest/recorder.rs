//! What is written down of the fleet: who was given another document, and what laptops say. Many at once become one
//! transaction: ten thousand laptops that come within a minute are a few hundred of those, and each is answered when its
//! own is stored.
//!
//! A database that is away keeps nobody from a document: it is waited for a moment, and what is to be written waits here.

use crate::counters::Counters;
use crate::store::Store;
use crate::store::fleet::{Heard, Served, Whose};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tracing::{error, info};

/// Most that waits.
const WAITING: usize = 32_768;

/// Most that is stored at once.
const BATCH: usize = 512;

/// How long is waited for the database before the answer goes out without it.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long until it is asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// How often a batch is tried that a database does not take, though it is there.
const TRIES: u32 = 3;

/// Of how many callers it is remembered what they have: those need not be asked for.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(32_767);

/// What is to be written.
#[derive(Debug, Clone)]
pub enum Note {
    /// Somebody is given a document.
    Served(Box<Served>),
    /// A laptop has said something.
    Heard(Box<Heard>),
}

#[derive(Debug)]
struct Item {
    note: Note,
    stored: oneshot::Sender<()>,
}

/// Takes what is to be written.
#[derive(Debug, Clone)]
pub struct Recorder {
    inbox: mpsc::Sender<Item>,
    counters: Arc<Counters>,
    has: Arc<Mutex<LruCache<Whose, String>>>,
}

/// What is left to be written.
#[derive(Debug)]
pub struct Outlet(mpsc::Receiver<Item>);

/// Both ends.
pub fn channel(counters: &Arc<Counters>) -> (Recorder, Outlet) {
    let (inbox, outlet) = mpsc::channel(WAITING);
    let has = Arc::new(Mutex::new(LruCache::new(REMEMBERED)));

    (Recorder { inbox, counters: Arc::clone(counters), has }, Outlet(outlet))
}

impl Recorder {
    /// Is it known to be written that they have this?
    pub fn has(&self, whose: &Whose, sha256: &str) -> bool {
        let mut has = self.has.lock().unwrap_or_else(PoisonError::into_inner);

        has.get(whose).is_some_and(|known| known == sha256)
    }

    /// Writes that somebody is given a document, unless that is written. The answer is theirs in any case.
    pub async fn served(&self, served: Served) {
        let (whose, sha256) = (served.whose.clone(), served.sha256.clone());
        if self.note(Note::Served(Box::new(served))).await {
            let mut has = self.has.lock().unwrap_or_else(PoisonError::into_inner);
            has.put(whose, sha256);
        }
    }

    /// Writes something down; false if it is not stored yet, or will never be.
    pub async fn note(&self, note: Note) -> bool {
        let (stored, done) = oneshot::channel();
        if self.inbox.try_send(Item { note, stored }).is_err() {
            self.counters.manifests.unrecorded.one();
            return false;
        }

        matches!(timeout(PATIENCE, done).await, Ok(Ok(())))
    }
}

/// Stores what comes until nothing more can.
pub async fn store_all(mut outlet: Outlet, store: Store, counters: Arc<Counters>) {
    let mut batch = Vec::with_capacity(BATCH);
    while outlet.0.recv_many(&mut batch, BATCH).await > 0 {
        let items = std::mem::take(&mut batch);
        if put(&store, &items, &counters).await {
            told(items);
            continue;
        }
        // One that no database takes does not take the others with it.
        for item in items {
            let one = [item];
            if put(&store, &one, &counters).await {
                told(one);
            } else {
                counters.manifests.unrecorded.one();
            }
        }
    }
}

/// Nobody waits any more for some of them.
fn told(items: impl IntoIterator<Item = Item>) {
    for item in items {
        let _nobody_waits = item.stored.send(());
    }
}

/// Stores them; false if the database is there and does not take them.
async fn put(store: &Store, items: &[Item], counters: &Counters) -> bool {
    let (mut served, mut heard) = (Vec::new(), Vec::new());
    for item in items {
        match &item.note {
            Note::Served(one) => served.push(Served::clone(one)),
            Note::Heard(one) => heard.push(Heard::clone(one)),
        }
    }
    let mut tries = 0;
    let mut away = false;
    loop {
        let Err(error) = store.note_fleet(&served, &heard).await else {
            if away {
                info!("What is to be written of the fleet is stored again");
            }
            return true;
        };
        counters.store_errors.one();
        if !away {
            error!(error = %error, "What laptops were given, and say, cannot be stored: it waits");
        }
        away = true;
        if store.ping().await.is_ok() {
            tries += 1;
        }
        if tries >= TRIES {
            return false;
        }
        sleep(AGAIN).await;
    }
}
