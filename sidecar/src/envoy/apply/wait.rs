//! Waits until Envoy serves a file: all of it, on every worker.

use super::journal::Journal;
use crate::envoy::admin::{Served, Stats};
use crate::envoy::files::{Set, version};
use crate::envoy::plan::Step;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often Envoy is asked.
const LOOK: Duration = Duration::from_millis(20);

/// Within this time a worker has turned its loop, or the watchdog has counted that it did not: it looks after each
/// 200 ms for who was silent for 200 ms.
const TURN: Duration = Duration::from_millis(500);

/// How long files that are put back may take.
const BACK: Duration = Duration::from_secs(15);

/// What is waited for.
pub(super) struct Waiting<'a> {
    pub(super) admin: SocketAddr,
    /// As it shall be.
    pub(super) after: &'a Set,
    /// Until when; none: for ever.
    pub(super) until: Option<Instant>,
    pub(super) patience: Duration,
}

impl Waiting<'_> {
    /// Takes each step, and waits until all are in force on every worker.
    ///
    /// # Errors
    /// A sentence: what Envoy refused, or did not take in time.
    pub(super) async fn all(
        &self,
        journal: &Journal<'_>,
        steps: &[Step],
        before: &Stats,
    ) -> Result<(), String> {
        let mut last = before.clone();
        for step in steps {
            journal.put(&step.file, &step.bytes)?;
            last = self.served(step, &last).await?;
        }
        self.ready(before).await?;
        self.every_worker().await?;
        // A cluster that came late has read its secrets only now.
        let now = Stats::ask(self.admin).await?;
        let finals: BTreeMap<&str, &Step> =
            steps.iter().map(|step| (step.file.as_str(), step)).collect();
        for step in finals.into_values() {
            if let Some((prefix, served)) = self.other(step, &now) {
                return Err(format!(
                    "Envoy serves version {:?} of {} ({prefix}), and not the new one",
                    served.version, step.file
                ));
            }
        }

        Ok(())
    }

    /// A subscription to the file that serves another version than the step's.
    fn other(&self, step: &Step, stats: &Stats) -> Option<(String, Served)> {
        let all = subscriptions(self.after, &step.file, stats);

        all.into_iter().find(|(_, served)| served.version != step.version)
    }

    async fn served(&self, step: &Step, before: &Stats) -> Result<Stats, String> {
        let was = subscriptions(self.after, &step.file, before);
        loop {
            let now = Stats::ask(self.admin).await?;
            for (prefix, served) in subscriptions(self.after, &step.file, &now) {
                if was.get(&prefix).is_some_and(|was| served.refused > was.refused) {
                    return Err(format!(
                        "Envoy refused {} ({prefix}); its log says why",
                        step.file
                    ));
                }
            }
            // What nobody asks for yet is read by the cluster that will.
            if self.other(step, &now).is_none() {
                return Ok(now);
            }
            self.or_late(|| {
                format!(
                    "Envoy at {} did not take {}: does it run in this directory?",
                    self.admin, step.file
                )
            })
            .await?;
        }
    }

    /// Until new clusters and lanes are ready: the first answer of DNS, a secret.
    async fn ready(&self, before: &Stats) -> Result<(), String> {
        loop {
            let now = Stats::ask(self.admin).await?;
            if now.lanes_failed() > before.lanes_failed() {
                return Err("a worker of Envoy could not take a lane; its log says why".into());
            }
            if now.warming() == 0 {
                return Ok(());
            }
            self.or_late(|| {
                "a cluster or lane does not become ready: its name, its secret?".to_owned()
            })
            .await?;
        }
    }

    async fn every_worker(&self) -> Result<(), String> {
        loop {
            let misses = Stats::ask(self.admin).await?.misses();
            sleep(TURN).await;
            if Stats::ask(self.admin).await?.misses() == misses {
                return Ok(());
            }
            self.or_late(|| "a worker of Envoy is stuck: nobody knows what it serves".to_owned())
                .await?;
        }
    }

    async fn or_late(&self, why: impl FnOnce() -> String) -> Result<(), String> {
        if self.until.is_some_and(|until| Instant::now() > until) {
            return Err(format!("{} (waited {} s)", why(), self.patience.as_secs()));
        }
        sleep(LOOK).await;

        Ok(())
    }
}

fn subscriptions(set: &Set, file: &str, stats: &Stats) -> BTreeMap<String, Served> {
    let mut all = BTreeMap::new();
    for reference in set.references().iter().filter(|it| it.file == file) {
        all.extend(stats.served(reference.what, &reference.resource));
    }

    all
}

/// Puts files back, and waits until Envoy has read them.
///
/// # Errors
/// A sentence.
pub(super) async fn back(
    admin: SocketAddr,
    journal: &Journal<'_>,
    steps: &[Step],
    before: &Set,
) -> Result<(), String> {
    let until = Instant::now().checked_add(BACK);
    let mut first = None;
    for step in steps {
        let was = Stats::ask(admin).await;
        // Every file is put back, whatever Envoy says.
        if let Err(why) = journal.put(&step.file, &step.bytes) {
            first.get_or_insert(why);
            continue;
        }
        if let Err(why) = read_again(admin, step, before, was, until).await {
            first.get_or_insert(why);
        }
    }

    first.map_or(Ok(()), Err)
}

async fn read_again(
    admin: SocketAddr,
    step: &Step,
    before: &Set,
    was: Result<Stats, String>,
    until: Option<Instant>,
) -> Result<(), String> {
    let was = subscriptions(before, &step.file, &was?);
    let union = before.tree(&step.file).map(version) != Some(step.version.as_str());
    loop {
        let now = subscriptions(before, &step.file, &Stats::ask(admin).await?);
        let again = |(prefix, served): (&String, &Served)| {
            was.get(prefix).is_none_or(|was| served.attempts > was.attempts)
        };
        if now.iter().all(again) {
            let same = now.values().all(|served| served.version == step.version);
            if same || union {
                return Ok(());
            }
            return Err(format!("Envoy does not take {} back; its log says why", step.file));
        }
        if until.is_some_and(|until| Instant::now() > until) {
            return Err(format!("Envoy has not read {} again", step.file));
        }
        sleep(LOOK).await;
    }
}
