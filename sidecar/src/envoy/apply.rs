//! Puts an edit in force: rename by rename, each waited for, and all taken back if Envoy refuses one.

mod journal;
mod wait;

use self::journal::Journal;
use self::wait::Waiting;
use super::admin::Stats;
use super::check::{Candidate, Report, check};
use super::diff;
use super::files::{Set, Use};
use super::place::EnvoyPlace;
use super::plan::{Step, plan};
use super::record::{self, Digests, Told};
use super::status::{self, DATA};
use crate::args::ChangeArgs;
use crate::failure::Failure;
use crate::keys;
use crate::operators::operator::Operator;
use crate::store::{EnvoyWay, Store};
use contract::envelope::hex;
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Held while files change: two edits at once would be a third that nobody wrote.
const LOCK: &str = ".tollgate-apply.lock";

/// An edit that was looked at, and can be put in force.
#[derive(Debug)]
pub struct Prepared {
    place: EnvoyPlace,
    before: Set,
    after: Set,
    /// What was found.
    pub report: Report,
    /// A line for each resource that changes.
    pub changes: Vec<String>,
    /// As text, without secrets.
    pub diff: String,
    /// An edit that had not come to its end was taken back first: these files.
    pub recovered: Vec<String>,
    _lock: File,
}

/// An edit in force.
#[derive(Debug, Clone)]
pub struct Done {
    /// Its number in the history.
    pub number: u64,
    /// The files that were put there.
    pub files: Vec<String>,
    /// How long it took.
    pub took: Duration,
    /// How many workers serve it.
    pub workers: u64,
}

/// Takes the lock.
///
/// # Errors
/// [`Failure::Refused`], if another edit is under way.
pub fn lock(place: &EnvoyPlace) -> Result<File, Failure> {
    let path = place.dir.join(LOCK);
    let cannot = |error: std::io::Error| {
        Failure::Refused(format!("{} cannot be written: {error}", place.dir.display()))
    };
    let file = File::create(&path).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::Refused("another edit is being put in force: wait for it".into()))
        }
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// Takes back an edit whose process was killed before its end; the files. Under the lock.
///
/// # Errors
/// [`Failure`].
pub fn recover(place: &EnvoyPlace) -> Result<Vec<String>, Failure> {
    Journal::recover(&place.dir)
}

/// Looks at an edit.
///
/// # Errors
/// [`Failure`].
pub async fn prepare(place: &EnvoyPlace, candidate: &Candidate) -> Result<Prepared, Failure> {
    swapped_by_link(place)?;
    let lock = lock(place)?;
    let recovered = recover(place)?;
    let before = Set::read(&place.dir, &Candidate::new());
    let after = Set::read(&place.dir, candidate);
    let report = check(&after, Some(&before), place).await?;
    let (changes, diff) = if report.faults.is_empty() {
        (diff::changes(&before, &after), diff::unified(&before, &after))
    } else {
        (Vec::new(), String::new())
    };

    Ok(Prepared {
        place: place.clone(),
        before,
        after,
        report,
        changes,
        diff,
        recovered,
        _lock: lock,
    })
}

/// In a volume of Kubernetes a rename would break the link that its next version comes by.
fn swapped_by_link(place: &EnvoyPlace) -> Result<(), Failure> {
    let live = Set::read(&place.dir, &Candidate::new());
    for name in live.files().keys() {
        let path = place.dir.join(name);
        let mut above = path.ancestors().take_while(|it| *it != place.dir);
        let beside =
            path.parent().is_some_and(|parent| parent.join(DATA).symlink_metadata().is_ok());
        if beside || above.any(|it| it.symlink_metadata().is_ok_and(|it| it.is_symlink())) {
            return Err(Failure::Refused(format!(
                "{name} is a link, as Kubernetes puts it there: a rename would cut it off from its ConfigMap. \
                 Check with `tollgate envoy check`, and change the ConfigMap"
            )));
        }
    }

    Ok(())
}

impl Prepared {
    /// Does it change a file of this kind?
    pub fn touches(&self, what: Use) -> bool {
        diff::files(&self.before, &self.after).iter().any(|it| self.after.use_of(it) == Some(what))
    }

    /// Puts it in force. Nothing has changed where this fails, unless it says so.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn put(
        &self,
        store: &Store,
        operator: &Operator,
        over_drift: bool,
        patience: Duration,
        change: &ChangeArgs,
    ) -> Result<Option<Done>, Failure> {
        let start = Instant::now();
        let digests = record::digests(&self.before, store.writer());
        let drifted = self.drifted(store, &digests).await?;
        if !drifted.is_empty() && !over_drift {
            return Err(Failure::Refused(format!(
                "{} changed since the last apply, and not by one: look with `tollgate envoy status`, and take it as it is \
                 with --over-drift",
                drifted.join(", ")
            )));
        }
        if self.changes.is_empty() {
            return self.adopt(store, operator, (&drifted, digests), change, start).await;
        }
        let admin = self.place.admin_of(&self.before).map_err(Failure::Refused)?;
        let stats = Stats::ask(admin).await.map_err(Failure::Refused)?;
        let stamp = format!("tollgate-{}", hex(&keys::random::<8>()?));
        let steps = plan(&self.before, &self.after, Some(&stamp));
        let journal = Journal::begin(&self.place.dir, &self.before, &steps)?;
        let waiting =
            Waiting { admin, after: &self.after, until: start.checked_add(patience), patience };
        if let Err(why) = waiting.all(&journal, &steps, &stats).await {
            return Err(self.take_back(admin, &journal, (store, operator, change), why).await);
        }
        journal.end();
        let live = Set::read(&self.place.dir, &Candidate::new());
        let told = Told {
            way: EnvoyWay::Apply,
            operator,
            changes: &self.changes,
            before: digests,
            after: record::digests(&live, store.writer()),
            change,
        };
        let done = || format!("in force: {}", self.changes.join("; "));
        let number = record::write(store, &told)
            .await
            .map_err(|why| Failure::Untold { done: done(), why })?;
        let files: BTreeSet<String> = steps.into_iter().map(|step| step.file).collect();

        Ok(Some(Done {
            number,
            files: files.into_iter().collect(),
            took: start.elapsed(),
            workers: stats.workers(),
        }))
    }

    async fn drifted(&self, store: &Store, now: &Digests) -> Result<Vec<String>, Failure> {
        let meant = store.envoy_meant(store.writer().id()).await?;

        Ok(meant.map(|meant| status::changed_outside(&meant, now)).unwrap_or_default())
    }

    /// What was changed by another way is taken as it is.
    async fn adopt(
        &self,
        store: &Store,
        operator: &Operator,
        (drifted, digests): (&[String], Digests),
        change: &ChangeArgs,
        start: Instant,
    ) -> Result<Option<Done>, Failure> {
        if drifted.is_empty() {
            return Ok(None);
        }
        let changes: Vec<String> = drifted.iter().map(|name| format!("as it is: {name}")).collect();
        let meant = store.envoy_meant(store.writer().id()).await?;
        let told = Told {
            way: EnvoyWay::Adopt,
            operator,
            changes: &changes,
            before: meant.map(|meant| meant.files).unwrap_or_default(),
            after: digests,
            change,
        };
        let number = record::write(store, &told).await?;

        Ok(Some(Done { number, files: drifted.to_vec(), took: start.elapsed(), workers: 0 }))
    }

    /// Puts the files back as they were, in the opposite order, and says what Envoy said.
    async fn take_back(
        &self,
        admin: SocketAddr,
        journal: &Journal<'_>,
        (store, operator, change): (&Store, &Operator, &ChangeArgs),
        why: String,
    ) -> Failure {
        let mut said = why;
        // Envoy's statistics say that it refused, its log says why; so does a second look.
        if let Ok(again) = check(&self.after, Some(&self.before), &self.place).await
            && let Some(fault) = again.faults.first()
        {
            said = format!("{said}; looked at once more: {}", fault.line());
        }
        let steps: Vec<Step> = plan(&self.after, &self.before, None);
        let back = wait::back(admin, journal, &steps, &self.before).await;
        let end = match &back {
            Ok(()) => {
                journal.remove_new();
                journal.end();
                "everything is as it was".to_owned()
            }
            Err(why) => format!("and taking it back failed: {why}"),
        };
        let told = record::refused(store, operator, &self.changes, &said, change).await;
        let untold =
            told.err().map(|error| format!(" (no row says so: {error})")).unwrap_or_default();

        Failure::Refused(format!("{said}; {end}{untold}"))
    }
}

/// Is there something at the place where nobody has to name it?
pub fn is_staged(place: &EnvoyPlace) -> bool {
    fs::metadata(place.staged()).is_ok_and(|it| it.is_dir())
}
