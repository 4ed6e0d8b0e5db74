//! Who is stopped, as the gate fetches it each second.

use crate::clock;
use crate::counters::Counters;
use crate::document::Document;
use crate::store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

/// How often the store is asked. Gates ask each second: this adds a tenth of a second at most.
const LOOK: Duration = Duration::from_millis(100);

/// How often what has expired is forgotten.
const TIDY: u32 = 600; // looks: each minute

/// How long an entry outlives the last token it could stop: gates' clocks may be behind.
pub const SKEW: u64 = 300;

/// The longest life of a token, seconds: what `serve --token-ttl` takes at most.
pub const LONGEST_TOKEN: u64 = clock::DAY;

/// How long a `tool_use` may wait for its answer and be linked to it, microseconds.
const LINEAGE: u64 = 7 * clock::DAY * 1_000_000;

/// The standing as it is now.
///
/// # Errors
/// [`StoreError`].
pub async fn current(store: &Store) -> Result<Document, StoreError> {
    let standing = store.standing().await?;

    Ok(Document::of("application/octet-stream", standing.encode()))
}

/// The standing and its version, if that is not `known`: thousands of entries are not read ten
/// times a second for nothing.
async fn news(store: &Store, known: u64) -> Result<Option<(u64, Document)>, StoreError> {
    let version = store.standing_version().await?;
    if version == known {
        return Ok(None);
    }

    Ok(Some((version, current(store).await?)))
}

/// Keeps the standing as the store has it. While the store is away, the last one known holds.
pub async fn watch(store: Store, live: watch::Sender<Document>, counters: Arc<Counters>) {
    let mut away = false;
    let mut looks = 0_u32;
    let mut known = 0; // versions begin with 1
    loop {
        sleep(LOOK).await;
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(TIDY) {
            tidy(&store, &counters).await;
        }
        let was_away = away;
        away = match news(&store, known).await {
            Ok(None) => {
                confirmed(&counters);
                false
            }
            Ok(Some((version, standing))) => {
                known = version;
                confirmed(&counters);
                live.send_if_modified(|live| {
                    let changed = *live != standing;
                    *live = standing;
                    changed
                });
                false
            }
            Err(error) => {
                counters.store_errors.one();
                told_once(was_away, &error);
                true
            }
        };
        if was_away && !away {
            info!("The standing is known again");
        }
    }
}

/// The store has just said how it stands.
pub fn confirmed(counters: &Counters) {
    counters.standing_confirmed.set(clock::now_micros());
}

fn told_once(before: bool, error: &StoreError) {
    if !before {
        error!(error = %error, "The standing is not known; the last one holds");
    }
}

async fn tidy(store: &Store, counters: &Counters) {
    if let Err(error) = store.forget_expired(clock::now().saturating_sub(SKEW)).await {
        counters.store_errors.one();
        warn!(error = %error, "What has expired could not be forgotten; it will be later");
    }
    if let Err(error) = store.tidy_audit(clock::now_micros().saturating_sub(LINEAGE)).await {
        counters.store_errors.one();
        warn!(error = %error, "What lineage needs no more could not be forgotten; it will be later");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Data;

    #[tokio::test]
    async fn what_has_not_changed_is_not_read_again() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::create(&Data::new(place.path())).await.unwrap();

        let (version, first) = news(&store, 0).await.unwrap().unwrap();

        assert_eq!(first, current(&store).await.unwrap());
        assert_eq!(news(&store, version).await.unwrap(), None);
        assert!(news(&store, version + 1).await.unwrap().is_some(), "a database put back is read");
    }
}
