//! Calls that were told before they left (`audit: before`), and never came to an end: each becomes
//! an `error` row, so that what a provider may have done is known even if Envoy was killed.
//!
//! An intent has no end when its VM says that the exchange is over, or is itself gone, and the spool
//! has been read to its end and knows of none. Each sidecar judges what it was told itself.

use crate::clock;
use crate::counters::Counters;
use crate::sequences::Sequence;
use crate::store::{Intent, Store};
use contract::audit::{Event, Outcome};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tracing::{error, warn};

/// How often they are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// How long the way of a record may take, Unix microseconds: Envoy's flush, the spool, the store.
const ON_ITS_WAY: u64 = 15_000_000;

/// How long a VM may be silent before it counts as gone, microseconds: some heartbeats.
pub const SILENCE: u64 = 30_000_000;

/// Flag of a row made of an intent.
const NO_END: &str = "intent_without_end";

/// Flag of a record that was written before its exchange had ended.
const PROVISIONAL: &str = "provisional";

/// Makes rows of intents that have no end.
pub async fn watch(store: Store, counters: Arc<Counters>) {
    let started = clock::now_micros();
    loop {
        sleep(LOOK).await;
        if let Err(error) = sweep(&store, &counters, started, clock::now_micros()).await {
            counters.store_errors.one();
            error!(error = %error, "Intents were not looked at; they will be");
        }
    }
}

async fn sweep(
    store: &Store,
    counters: &Counters,
    started: u64,
    now: u64,
) -> Result<(), crate::store::StoreError> {
    // While the spool is behind, an end may stand in it.
    if counters.spool_lag.get() > 0 {
        return Ok(());
    }
    let intents = store.intents(now.saturating_sub(ON_ITS_WAY)).await?;
    counters.intents_open.set(u64::try_from(intents.len()).unwrap_or(u64::MAX));
    if intents.is_empty() {
        return Ok(());
    }
    let sequences = store.sequences().await?;
    let lost: Vec<Event<'static>> = intents
        .into_iter()
        .filter(|intent| has_no_end(intent, &sequences, started, now))
        .map(|intent| without_end(intent.event))
        .collect();
    if !lost.is_empty() {
        let stored = store.close_intents(&lost).await?;
        counters.intents_lost.add(stored);
        warn!(rows = stored, "Calls that were told before they left have no end: error rows stand");
    }

    Ok(())
}

fn has_no_end(intent: &Intent, sequences: &[Sequence], started: u64, now: u64) -> bool {
    let of = |one: &&Sequence| (one.boot, one.vm) == (intent.sequence.boot, intent.sequence.vm);
    let vm = sequences.iter().find(of);
    if let Some(vm) = vm.filter(|vm| vm.lives(now, SILENCE)) {
        // It has told of itself since, for long enough, and knows nothing of the call any more.
        return vm.heard_at > intent.stored_at.saturating_add(ON_ITS_WAY)
            && vm.told.highest >= intent.sequence.n
            && !vm.told.open.contains(&intent.sequence.n);
    }
    // Nobody could tell us anything while we were not there ourselves.
    let since = intent.stored_at.max(started).max(vm.map_or(0, |vm| vm.heard_at));

    now > since.saturating_add(SILENCE)
}

fn without_end(mut event: Event<'static>) -> Event<'static> {
    event.outcome = Outcome::Error;
    event.complete = false;
    event.payload.flags.retain(|flag| flag != PROVISIONAL);
    event.payload.flags.push(NO_END.into());

    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Data;
    use contract::audit::{Heartbeat, Sequence as Number};

    const SECOND: u64 = 1_000_000;

    fn intent(n: u64) -> Event<'static> {
        let mut event =
            Event { event_id: format!("e{n}").into(), occurred_at: n, ..Event::default() };
        event.payload.sequence = Some(Number { boot: 1, vm: 1, n });
        event.payload.flags = vec![PROVISIONAL.into()];
        event
    }

    async fn open(store: &Store) -> usize {
        store.intents(u64::MAX).await.unwrap().len()
    }

    #[tokio::test]
    async fn an_intent_becomes_an_error_row_once_its_call_is_surely_over() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::create(&Data::new(place.path())).await.unwrap();
        let counters = Counters::default();
        for n in [1, 2] {
            store.intend(&intent(n), SECOND).await.unwrap();
        }
        let told = |open: Vec<u64>| Heartbeat { boot: 1, vm: 1, highest: 2, open };
        let sweep = async |now: u64| sweep(&store, &counters, 0, now * SECOND).await.unwrap();

        store.heard(&told(vec![1]), 10 * SECOND).await.unwrap();
        sweep(20).await;
        assert_eq!(open(&store).await, 2, "its record may be on its way");
        store.heard(&told(vec![1]), 20 * SECOND).await.unwrap();
        counters.spool_lag.set(1);
        sweep(20).await;
        assert_eq!(open(&store).await, 2, "its record may be in the spool");
        counters.spool_lag.set(0);
        sweep(20).await;
        assert_eq!(open(&store).await, 1, "the other one is still open");
        sweep(49).await;
        assert_eq!(open(&store).await, 1);
        sweep(51).await;
        assert_eq!(open(&store).await, 0, "its VM is gone, and it with it");

        let rows = store.rows(&crate::store::Filter { limit: 9, ..Default::default() }).await;
        let rows = rows.unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(
            (rows[0].text("outcome"), rows[0].get("complete")),
            ("error".into(), &false.into())
        );
        assert_eq!(rows[0].get("payload")["flags"][0], NO_END);
        assert_eq!(counters.intents_lost.get(), 2);
    }

    #[tokio::test]
    async fn a_sidecar_that_was_away_itself_first_listens() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::create(&Data::new(place.path())).await.unwrap();
        let counters = Counters::default();
        store.intend(&intent(1), SECOND).await.unwrap();

        sweep(&store, &counters, 1_000 * SECOND, 1_020 * SECOND).await.unwrap();
        assert_eq!(open(&store).await, 1);
        sweep(&store, &counters, 1_000 * SECOND, 1_031 * SECOND).await.unwrap();
        assert_eq!(open(&store).await, 0);
    }
}
