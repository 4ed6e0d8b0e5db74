//! Numbers of the gate that should have a row and have none.
//!
//! A number is missed when its exchange has ended (its VM says so, or is gone) and it has had no row
//! for a while: records may be on their way, and wait in the spool while the database is away.

use crate::clock;
use crate::counters::Counters;
use crate::intents::SILENCE;
use crate::sequences::{Ranges, Sequence, count};
use crate::store::{Store, StoreError};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tracing::error;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(10);

/// How many looks long a number must be missing.
const LOOKS: usize = 6;

/// How long the way of a record takes at most while nothing is wrong.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// Holes, by boot and VM.
pub type Holes = BTreeMap<(u64, u32), Vec<(u64, u64)>>;

/// Looks for holes and tells of new ones.
pub async fn watch(store: Store, counters: Arc<Counters>) {
    let mut seen = VecDeque::new();
    let mut told = 0;
    loop {
        sleep(LOOK).await;
        // What waits in the spool is not lost.
        if counters.spool_lag.get() > 0 {
            seen.clear();
            continue;
        }
        match look(&store, &mut seen, clock::now_micros()).await {
            Ok(holes) => {
                let all =
                    holes.values().fold(0_u64, |sum, ranges| sum.saturating_add(count(ranges)));
                counters.holes.set(all);
                if all > told {
                    error!(
                        holes = all,
                        first = ?holes.first_key_value(),
                        "Exchanges have no row: see `tollgate audit verify`"
                    );
                }
                told = all;
            }
            Err(error) => {
                counters.store_errors.one();
                error!(error = %error, "Holes were not looked for");
                seen.clear();
            }
        }
    }
}

/// The numbers that have been missing in all of the last looks.
async fn look(store: &Store, seen: &mut VecDeque<Holes>, now: u64) -> Result<Holes, StoreError> {
    let missing = missing(&store.sequences().await?, now);
    seen.push_back(missing.clone());
    if seen.len() <= LOOKS {
        return Ok(Holes::new());
    }
    let first = seen.pop_front().unwrap_or_default();

    Ok(both(&first, &missing))
}

/// The numbers that are missing, and still are a moment later: records of what has just ended are on
/// their way.
///
/// # Errors
/// [`StoreError`].
pub async fn settled(store: &Store) -> Result<Holes, StoreError> {
    let first = missing(&store.sequences().await?, clock::now_micros());
    if first.is_empty() {
        return Ok(first);
    }
    sleep(ON_ITS_WAY).await;

    Ok(both(&first, &missing(&store.sequences().await?, clock::now_micros())))
}

/// What is missing now, as far as one can tell.
fn missing(sequences: &[Sequence], now: u64) -> Holes {
    let newest = sequences.iter().map(|one| one.boot).max().unwrap_or_default();
    let of = |one: &Sequence| {
        // A gate that tells nothing of itself may have calls in flight as long as it runs.
        let alive = one.lives(now, SILENCE) || (one.heard_at == 0 && one.boot == newest);
        let missing = one.missing(alive);

        (!missing.is_empty()).then_some(((one.boot, one.vm), missing))
    };

    sequences.iter().filter_map(of).collect()
}

fn both(first: &Holes, second: &Holes) -> Holes {
    let mut common = Holes::new();
    for (key, ranges) in second {
        let Some(before) = first.get(key) else { continue };
        let mut numbers = Ranges::default();
        for (start, end) in ranges {
            for (from, to) in before {
                numbers.add_range(*start.max(from), *end.min(to));
            }
        }
        let kept = numbers.into_ranges();
        if !kept.is_empty() {
            common.insert(*key, kept);
        }
    }

    common
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Data;
    use contract::audit::{Event, Heartbeat, Sequence as Number};

    #[tokio::test]
    async fn a_number_that_stays_without_a_row_is_a_hole_and_one_that_comes_late_is_none() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::create(&Data::new(place.path())).await.unwrap();
        let row = |n: u64| {
            let mut event =
                Event { event_id: format!("e{n}").into(), occurred_at: n, ..Event::default() };
            event.payload.sequence = Some(Number { boot: 7, vm: 1, n });
            event
        };
        store.append(&[row(1), row(5)], None).await.unwrap();
        let told = Heartbeat { boot: 7, vm: 1, highest: 6, open: vec![6] };
        store.heard(&told, 1).await.unwrap();
        let mut seen = VecDeque::new();

        for _ in 0..LOOKS {
            assert_eq!(look(&store, &mut seen, 1).await.unwrap(), Holes::new());
        }
        store.append(&[row(3)], None).await.unwrap();

        let holes = look(&store, &mut seen, 1).await.unwrap();
        assert_eq!(holes, [((7, 1), vec![(2, 2), (4, 4)])].into());
    }
}
