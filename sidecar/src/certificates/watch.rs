//! Keeps the lists of revoked certificates as their files are, and ends what was minted from who is on them.
//!
//! A list names serials; a gate knows fingerprints. The table `certificates` joins them: whatever has signed
//! in stands there. When a list changes, the standing is made to agree: a measure of kind `cert` on each that
//! is listed, laid by [`WHO`], and lifted again when the entry leaves the list.
//!
//! Several sidecars of one database agree: what is laid already is not laid again, what an operator has laid
//! is neither replaced nor lifted, and a sidecar lifts only what it has itself seen listed and then not, and what
//! was laid before it read the list it has now. So one whose files are behind, as they may be right after it has
//! started, takes nothing back that another has laid. What left the list while no sidecar ran stays revoked until
//! an operator lifts it.

use super::revoked::{List, ListError, Lists, files, read};
use crate::acts::Act;
use crate::clock;
use crate::counters::Counters;
use crate::failure::Failure;
use crate::identity::Certificates;
use crate::operators::operator::Operator;
use crate::settings::{self, Fingerprint};
use crate::store::Store;
use crate::store::directory::Certificate;
use crate::store::measures::{Lifted, Measure, Which};
use contract::standing::{Effect, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info};

/// Who lays what a list says.
pub const WHO: &str = "crl";

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How often the standing is compared though no file has changed, in looks: each minute.
const COMPARE: u32 = 120;

/// Certificates of one question.
const PAGE: u32 = 1_000;

/// The lists as their files are.
#[derive(Debug)]
pub struct Watch {
    config: Certificates,
    files: BTreeMap<PathBuf, (Option<Fingerprint>, List)>,
    lists: watch::Sender<Arc<Lists>>,
    store: Store,
    counters: Arc<Counters>,
    /// When the lists in force were read, Unix seconds.
    read_at: u64,
    /// What this sidecar itself has laid.
    laid: BTreeSet<String>,
    /// What this sidecar itself has seen listed: fingerprints.
    seen: BTreeSet<String>,
    expired: u64,
}

impl Watch {
    /// Reads all lists. One that is past its day is used all the same, and said to be: who is on it stays
    /// revoked.
    ///
    /// # Errors
    /// [`ListError`]: one cannot be read. A sidecar that does not know who is revoked signs nobody in.
    pub fn start(
        config: &Certificates,
        store: &Store,
        counters: &Arc<Counters>,
    ) -> Result<(Self, watch::Receiver<Arc<Lists>>), ListError> {
        let mut known = BTreeMap::new();
        for path in files(config) {
            let seen = fingerprint(&path);
            let list = read(&path, config)?;
            known.insert(path, (seen, list));
        }
        let (lists, receiver) = watch::channel(Arc::default());
        let mut watch = Self {
            config: config.clone(),
            files: known,
            lists,
            store: store.clone(),
            counters: Arc::clone(counters),
            read_at: clock::now(),
            laid: BTreeSet::new(),
            seen: BTreeSet::new(),
            expired: 0,
        };
        watch.publish();

        Ok((watch, receiver))
    }

    /// Follows the files until the sidecar ends.
    pub async fn follow(mut self) {
        let mut due = true;
        let mut looks = 0_u32;
        loop {
            due |= self.look() || looks.is_multiple_of(COMPARE);
            looks = looks.wrapping_add(1);
            self.say_expired();
            if due {
                due = match self.compare().await {
                    Ok(()) => false,
                    Err(failure) => {
                        self.counters.store_errors.one();
                        error!(error = %failure, "Revoked certificates were not laid; tried again at once");
                        true
                    }
                };
            }
            sleep(LOOK).await;
        }
    }

    /// Reads what has changed. What cannot be taken leaves the one before in force.
    fn look(&mut self) -> bool {
        let mut changed = false;
        let now = clock::now();
        for (path, (seen, list)) in &mut self.files {
            let current = fingerprint(path);
            if current == *seen {
                continue;
            }
            *seen = current;
            let taken = read(path, &self.config).map_err(|error| error.to_string());
            let taken = taken.and_then(|new| match () {
                () if new.is_expired(now) => Err(format!("{} is past its day", path.display())),
                () if new.is_older_than(list) => {
                    Err(format!("{} is older than the one in force", path.display()))
                }
                () => Ok(new),
            });
            match taken {
                Ok(new) => {
                    info!(file.path = %path.display(), entries = new.len(), "A list of revoked certificates is in force");
                    *list = new;
                    changed = true;
                }
                Err(why) => {
                    self.counters.lists_refused.one();
                    error!(
                        error = why,
                        "A list of revoked certificates was not taken; the one before stays in force: put a good one in its place"
                    );
                }
            }
        }
        if changed {
            self.read_at = now;
            self.publish();
        }

        changed
    }

    fn publish(&mut self) {
        let lists = self.files.values().map(|(_, list)| list.clone()).collect();
        self.lists.send_replace(Arc::new(Lists(lists)));
    }

    fn say_expired(&mut self) {
        let now = clock::now();
        let count = self.files.values().filter(|(_, list)| list.is_expired(now)).count();
        let expired = u64::try_from(count).unwrap_or(u64::MAX);
        self.counters.lists_expired.set(expired);
        if expired > self.expired {
            error!(
                lists = expired,
                "A list of revoked certificates is past its day: it stays in force, but nobody knows who was revoked since"
            );
        }
        self.expired = expired;
    }

    /// Makes the standing agree with the lists.
    async fn compare(&mut self) -> Result<(), Failure> {
        let now = clock::now();
        let laid: BTreeMap<String, Measure> = self
            .store
            .measures(now)
            .await?
            .into_iter()
            .filter(|it| it.kind == Kind::Cert && it.effect == Effect::Revoked)
            .map(|it| (it.id.clone(), it))
            .collect();
        let lists = self.lists.borrow().clone();
        let mut after = String::new();
        loop {
            let known = self.store.certificates(&after, PAGE).await?;
            let Some(last) = known.last() else { return Ok(()) };
            after.clone_from(&last.sha256);
            for certificate in &known {
                let listed = lists.has_known(certificate);
                if listed {
                    self.seen.insert(certificate.sha256.clone());
                }
                match (listed, laid.get(&certificate.sha256)) {
                    (true, None) => self.lay(certificate, now).await?,
                    (false, Some(measure)) if self.may_lift(measure) => {
                        self.lift(certificate, measure, now).await?;
                    }
                    _ => {}
                }
            }
        }
    }

    /// Within one second only what was laid here: of another's nobody can tell which came first.
    fn may_lift(&self, measure: &Measure) -> bool {
        let before = measure.set_at < self.read_at;
        let here = measure.set_at == self.read_at && self.laid.contains(&measure.id);

        measure.set_by == WHO && self.seen.contains(&measure.id) && (before || here)
    }

    async fn lay(&mut self, certificate: &Certificate, now: u64) -> Result<(), Failure> {
        let Certificate { sha256, serial, issuer, .. } = certificate;
        let act = Act::new(
            &Operator::itself(WHO),
            format!("access revoke cert {sha256}: serial {serial} is listed"),
        )?;
        let measure = Measure {
            kind: Kind::Cert,
            id: sha256.clone(),
            effect: Effect::Revoked,
            ends_at: None,
            set_at: now,
            set_by: WHO.to_owned(),
            why: format!("serial {serial} is on the list of {issuer}"),
        };
        self.store.lay(&measure, true, &act.on(sha256)).await?;
        self.laid.insert(sha256.clone());
        info!(certificate.sha256 = sha256, certificate.serial = serial, "Revoked a certificate");

        Ok(())
    }

    async fn lift(
        &mut self,
        certificate: &Certificate,
        measure: &Measure,
        now: u64,
    ) -> Result<(), Failure> {
        let Certificate { sha256, serial, .. } = certificate;
        let act = Act::new(
            &Operator::itself(WHO),
            format!("access restore cert {sha256}: serial {serial} is not listed"),
        )?;
        let act = act.on(sha256);
        let which = Which::This(measure);
        if let Lifted::Done(..) = self.store.lift(Kind::Cert, sha256, which, now, &act).await? {
            self.laid.remove(sha256);
            self.seen.remove(sha256);
            info!(certificate.sha256 = sha256, "A certificate is not revoked any more");
        }

        Ok(())
    }
}

/// A rename shows as another inode; a file that is away, as none.
fn fingerprint(path: &std::path::Path) -> Option<Fingerprint> {
    fs::metadata(path).ok().map(|metadata| settings::fingerprint(&metadata))
}

#[cfg(test)]
mod tests;
