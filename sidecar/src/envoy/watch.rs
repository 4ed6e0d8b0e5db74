//! What `serve` does for Envoy's files: looks for drift once a minute, and on SIGHUP puts the staged edit in force.

use super::apply::{self, is_staged};
use super::check::{Candidate, candidate};
use super::files::Set;
use super::place::EnvoyPlace;
use super::record::{self, Told};
use super::status;
use crate::args::ChangeArgs;
use crate::counters::Counters;
use crate::failure::Failure;
use crate::operators::operator::{How, Operator};
use crate::settings::Data;
use crate::store::{EnvoyWay, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

/// How often drift is looked for.
const LOOK: Duration = Duration::from_mins(1);

/// How long an edit may take to be in force.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Who a signal comes from: somebody of this host.
const HOST: &str = "host";

/// Starts looking; without a directory of Envoy's there is nothing to look at.
///
/// # Errors
/// The signal cannot be listened for.
pub fn start(
    data: &Data,
    store: &Store,
    counters: &Arc<Counters>,
    watching: &mut JoinSet<()>,
) -> std::io::Result<()> {
    let hangup = signal(SignalKind::hangup())?;
    let watch = Watch {
        place: data.envoy().cloned(),
        store: store.clone(),
        counters: Arc::clone(counters),
        drifting: None,
        told_failure: String::new(),
    };
    watching.spawn(watch.follow(hangup));

    Ok(())
}

struct Watch {
    place: Option<EnvoyPlace>,
    store: Store,
    counters: Arc<Counters>,
    /// Is there drift? Not known before the history was asked.
    drifting: Option<bool>,
    told_failure: String,
}

impl Watch {
    async fn follow(mut self, mut hangup: Signal) {
        let mut minute = interval(LOOK);
        minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let told = tokio::select! {
                _tick = minute.tick() => false,
                _told = hangup.recv() => true,
            };
            let Some(place) = self.place.clone() else {
                if told {
                    warn!("SIGHUP puts nothing in force: --envoy-dir is not set");
                }
                continue;
            };
            if told && is_staged(&place) {
                self.staged(&place).await;
            }
            let looked = self.look(&place).await.map_err(|error| error.to_string());
            let failure = looked.err().unwrap_or_default();
            if failure != self.told_failure && !failure.is_empty() {
                warn!(error = failure, "Envoy's files cannot be looked at");
            }
            self.told_failure = failure;
        }
    }

    async fn staged(&self, place: &EnvoyPlace) {
        match self.put(place).await {
            Ok(true) => {}
            Ok(false) => info!("SIGHUP: the staged edit of Envoy's files is in force already"),
            Err(error) => {
                error!(error = %error, "The staged edit of Envoy's files is not in force");
            }
        }
    }

    async fn put(&self, place: &EnvoyPlace) -> Result<bool, Failure> {
        let candidate = candidate(Some(&place.staged()), &[])?;
        let prepared = apply::prepare(place, &candidate).await?;
        if let Some(first) = prepared.report.faults.first() {
            let more = prepared.report.faults.len().saturating_sub(1);
            return Err(Failure::Refused(format!("{} (and {more} more faults)", first.line())));
        }
        let host = Operator::new(HOST, Vec::new(), None, How::Owner);
        let change = ChangeArgs::default();
        let done = prepared.put(&self.store, &host, false, PATIENCE, &change).await?;
        if let Some(done) = &done {
            info!(
                changes = prepared.changes.join("; "),
                number = done.number,
                workers = done.workers,
                "The staged edit of Envoy's files is in force"
            );
        }

        Ok(done.is_some())
    }

    async fn look(&mut self, place: &EnvoyPlace) -> Result<(), Failure> {
        // Who puts an edit in force looks for themselves.
        let Ok(lock) = apply::lock(place) else { return Ok(()) };
        let recovered = apply::recover(place)?;
        if !recovered.is_empty() {
            warn!(
                files = recovered.join(", "),
                "An edit that had not come to its end was taken back"
            );
        }
        let live = Set::read(&place.dir, &Candidate::new());
        let status = status::look(place, &live, Some(&self.store)).await?;
        drop(lock);
        let drift = status.drift();
        let was = match self.drifting {
            Some(was) => was && !self.was_applied().await?,
            None => self.is_noted().await?,
        };
        let is = !drift.is_empty();
        // While Envoy is away nobody knows that it serves the files again.
        if was && !is && status.away.is_some() {
            return Ok(());
        }
        self.counters.envoy_drift.set(u64::from(is));
        if was != is {
            self.note(&drift, &live).await?;
        }
        self.drifting = Some(is);

        Ok(())
    }

    async fn is_noted(&self) -> Result<bool, Failure> {
        let last = self.store.envoy_changes(self.store.writer().id(), 1).await?.pop();

        Ok(last.is_some_and(|last| last.way == EnvoyWay::Drift))
    }

    /// An edit since then has said itself how things are.
    async fn was_applied(&self) -> Result<bool, Failure> {
        Ok(!self.is_noted().await?)
    }

    async fn note(&self, drift: &[String], live: &Set) -> Result<(), Failure> {
        let begins = !drift.is_empty();
        if begins {
            error!(drift = drift.join("; "), "Envoy's files are not what was put in force");
        } else {
            info!("Envoy's files are what was put in force again");
        }
        let meant = self.store.envoy_meant(self.store.writer().id()).await?;
        let told = Told {
            way: if begins { EnvoyWay::Drift } else { EnvoyWay::Agrees },
            operator: &Operator::nobody(),
            changes: drift,
            before: meant.map(|meant| meant.files).unwrap_or_default(),
            after: record::digests(live, self.store.writer()),
            change: &ChangeArgs::default(),
        };
        record::write(&self.store, &told).await?;

        Ok(())
    }
}
