//! The policy in force, as a running sidecar follows it.
//!
//! The store says what is in force; the file in the data directory is its copy. A signed policy that
//! somebody puts there as a file is published like any other. What cannot be believed, in either
//! place, changes nothing and is heard of: a log line, a metric, a row.

use super::{PolicyError, Published, fingerprint, history};
use crate::acts::Act;
use crate::counters::Counters;
use crate::keys;
use crate::operators::operator::Operator;
use crate::settings::{Data, Fingerprint};
use crate::store::{PolicyVersion, Store, StoreError, Way};
use contract::audit::{Event, Outcome};
use contract::envelope::PinnedKey;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

/// How often store and file are looked at. Gates ask each second.
const LOOK: Duration = Duration::from_millis(250);

/// Follows what is in force.
#[derive(Debug)]
pub struct Follower {
    data: Data,
    store: Store,
    live: watch::Sender<Arc<Published>>,
    counters: Arc<Counters>,
    /// The number of the store's that was looked at last.
    number: u64,
    /// How the file was before it was read: what was put there since is not overlooked.
    file: Option<Fingerprint>,
    /// Whose policies were believed then.
    pins: Vec<PinnedKey>,
    /// A file that is in force here, and of which the store knows nothing yet.
    unrecorded: bool,
    away: bool,
}

impl Follower {
    /// Finds what is in force: the store's, or the file where the store has none that is believed.
    ///
    /// # Errors
    /// [`PolicyError`], if there is none.
    pub async fn start(
        data: &Data,
        store: &Store,
        counters: &Arc<Counters>,
    ) -> Result<Self, PolicyError> {
        let (file, pins) = (fingerprint(data), keys::pins(data)?);
        let kept = Published::current(data);
        let stored = store.policy_in_force().await.unwrap_or_else(|error| {
            error!(error = %error, "Which policy is in force is not known; the file counts");
            None
        });
        let number = stored.as_ref().map_or(0, |stored| stored.number);
        let (published, refused) = chosen(stored, kept, &pins)?;
        let (live, _now) = watch::channel(Arc::new(published));
        let follower = Self {
            data: data.clone(),
            store: store.clone(),
            live,
            counters: Arc::clone(counters),
            number,
            file,
            pins,
            unrecorded: number == 0,
            away: false,
        };
        if let Some(refused) = refused {
            follower.heard(&refused).await;
        }
        if number > 0 {
            follower.keep();
        }

        Ok(follower)
    }

    /// What is in force, now and later.
    pub fn now(&self) -> watch::Receiver<Arc<Published>> {
        self.live.subscribe()
    }

    /// Keeps the policy as store and file are.
    pub async fn follow(mut self) {
        loop {
            let looked = self.look().await;
            if let Err(error) = &looked
                && !self.away
            {
                self.counters.store_errors.one();
                error!(error = %error, "Which policy is in force is not known; the last one holds");
            }
            self.away = looked.is_err();
            sleep(LOOK).await;
        }
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        // The store first: whoever publishes writes there first, and the file is then no news.
        let stored = self.by_number().await;
        // While the store is away, a file is how a policy is changed.
        let file = fingerprint(&self.data);
        if file != self.file {
            self.file = file;
            self.by_file().await;
        }
        stored?;
        if self.unrecorded {
            self.record().await?;
        }

        Ok(())
    }

    async fn by_number(&mut self) -> Result<(), StoreError> {
        // A key that was pinned since may be the one that an earlier policy waits for.
        let pins = keys::pins(&self.data).unwrap_or_else(|_| self.pins.clone());
        let number = self.store.policy_number().await?;
        if number != self.number || pins != self.pins {
            self.pins = pins;
            self.by_store().await?;
        }

        Ok(())
    }

    async fn by_store(&mut self) -> Result<(), StoreError> {
        let Some(stored) = self.store.policy_in_force().await? else {
            self.number = 0;
            return Ok(());
        };
        self.number = stored.number;
        self.unrecorded = false;
        match opened(stored, &self.pins) {
            Ok(published) if published.is(&self.live.borrow()) => self.keep(),
            Ok(published) => {
                self.take(published);
                self.keep();
            }
            Err(error) => self.heard(&error).await,
        }

        Ok(())
    }

    async fn by_file(&mut self) {
        match Published::current(&self.data) {
            Ok(published) if published.is(&self.live.borrow()) => {}
            Ok(published) => {
                let known = self
                    .store
                    .is_policy_known(&published.version, published.envelope.body())
                    .await
                    .unwrap_or(false);
                if known {
                    warn!(
                        policy.version = published.version,
                        "A policy of earlier was put back as a file, and is not in force: \
                         `tollgate policy rollback` puts it in force"
                    );
                    self.keep();
                } else {
                    self.take(published);
                    self.unrecorded = true;
                }
            }
            Err(error) => self.heard(&error).await,
        }
    }

    /// Has the store know what a file put in force.
    async fn record(&mut self) -> Result<(), StoreError> {
        let published = Arc::clone(&self.live.borrow());
        // While the store was away nobody could say that it was in force before.
        if self.store.is_policy_known(&published.version, published.envelope.body()).await? {
            warn!(
                policy.version = published.version,
                "A policy of earlier was put back as a file, and is not in force any more"
            );
            return self.by_store().await;
        }
        let Some(number) = history::record_file(&self.store, &published, self.number).await? else {
            warn!(
                policy.version = published.version,
                "A policy came as a file while another was published, which is the one in force"
            );
            return self.by_store().await;
        };
        self.number = number;
        self.unrecorded = false;

        Ok(())
    }

    fn take(&self, published: Published) {
        info!(
            policy.version = published.version,
            policy.name = published.name,
            policy.key = published.key_id,
            "A policy was published"
        );
        self.live.send_replace(Arc::new(published));
    }

    /// The copy in the data directory.
    fn keep(&self) {
        let live = Arc::clone(&self.live.borrow());
        let same = Published::current(&self.data).is_ok_and(|kept| kept.is(&live));
        if !same && let Err(error) = live.keep(&self.data) {
            warn!(error = %error, "The policy in force is not kept as a file");
        }
    }

    /// A policy was refused: somebody has to know.
    async fn heard(&self, refused: &PolicyError) {
        self.counters.policy_refused.one();
        error!(error = %refused, "The policy changed and was refused; the old one stays");
        if let Err(error) = told(&self.store, refused).await {
            self.counters.store_errors.one();
            warn!(error = %error, "That a policy was refused is not written down");
        }
    }
}

/// Longest reason that a row has, in characters: a document may have thousands of faults.
const LONGEST: usize = 500;

async fn told(store: &Store, refused: &PolicyError) -> Result<(), StoreError> {
    let why: String = refused.to_string().chars().take(LONGEST).collect();
    let act = Act::new(&Operator::owner(), format!("policy refused: {why}"))?;
    let row =
        Event { outcome: Outcome::Denied, rule_id: Some("policy_refused".into()), ..act.row("") };

    store.append(&[row], None).await.map(drop)
}

/// What to start with, and what was refused on the way to it.
fn chosen(
    stored: Option<PolicyVersion>,
    kept: Result<Published, PolicyError>,
    pins: &[PinnedKey],
) -> Result<(Published, Option<PolicyError>), PolicyError> {
    let Some(stored) = stored else { return Ok((kept?, None)) };
    match (opened(stored, pins), kept) {
        (Ok(published), Ok(_) | Err(PolicyError::None(_))) => Ok((published, None)),
        (Ok(published), Err(refused)) => Ok((published, Some(refused))),
        (Err(refused), Ok(kept)) => Ok((kept, Some(refused))),
        (Err(refused), Err(_)) => Err(refused),
    }
}

/// A policy of the store's, believed no more than a file.
///
/// # Errors
/// [`PolicyError`].
pub fn opened(stored: PolicyVersion, pins: &[PinnedKey]) -> Result<Published, PolicyError> {
    let from = format!("version {} of the history", stored.version);

    Published::open(stored.envelope, Path::new(&from), pins)
}

/// How a policy came to be in force here.
pub(super) const BY_FILE: Way = Way::File;

#[cfg(test)]
mod tests;
