//! What holds now: the files, what Envoy serves of them, and what was last put in force.

use super::admin::Stats;
use super::files::{BOOTSTRAP, File, Set, Use, version};
use super::place::EnvoyPlace;
use super::record::{self, Digests};
use crate::failure::Failure;
use crate::store::{EnvoyChange, Store};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How much older than a file what Envoy serves may be: clocks of files are coarse.
const SLACK: u64 = 1_000; // milliseconds

/// Whether Envoy serves a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InForce {
    /// It does.
    Yes,
    /// It serves something else.
    No,
    /// Nothing of Envoy's asks for it.
    Unused,
    /// Envoy does not say.
    Unknown,
}

impl InForce {
    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "in force",
            Self::No => "not in force",
            Self::Unused => "nobody asks for it",
            Self::Unknown => "unknown",
        }
    }
}

/// One file.
#[derive(Debug, Clone)]
pub struct FileState {
    /// Its name.
    pub name: String,
    /// Its digest; none where it is gone.
    pub digest: Option<String>,
    /// Does Envoy serve it?
    pub in_force: InForce,
    /// What is not as it was meant; empty where all agrees.
    pub drift: Option<String>,
}

/// All.
#[derive(Debug, Clone)]
pub struct Status {
    /// Each file.
    pub files: Vec<FileState>,
    /// Why Envoy does not say what it serves.
    pub away: Option<String>,
    /// How many workers it has.
    pub workers: u64,
    /// What was last meant to be in force.
    pub meant: Option<EnvoyChange>,
}

impl Status {
    /// What is not as it was meant, a line for each file.
    pub fn drift(&self) -> Vec<String> {
        self.files
            .iter()
            .filter_map(|it| Some(format!("{}: {}", it.name, it.drift.as_ref()?)))
            .collect()
    }

    /// As JSON.
    pub fn object(&self) -> Value {
        let files: Vec<Value> = self
            .files
            .iter()
            .map(|it| {
                json!({ "file": it.name, "digest": it.digest, "drift": it.drift,
                    "in_force": it.in_force.as_str() })
            })
            .collect();

        json!({ "files": files, "envoy": self.away.as_deref().unwrap_or("answers"), "workers": self.workers,
            "applied": self.meant.as_ref().map(|it| it.number), "drift": !self.drift().is_empty() })
    }
}

/// Looks.
///
/// # Errors
/// [`Failure`] of the store.
pub async fn look(
    place: &EnvoyPlace,
    live: &Set,
    store: Option<&Store>,
) -> Result<Status, Failure> {
    let stats = match place.admin_of(live) {
        Ok(admin) => Stats::ask(admin).await,
        Err(why) => Err(why),
    };
    let mut digests = Digests::new();
    let mut meant = None;
    if let Some(store) = store {
        digests = record::digests(live, store.writer());
        meant = store.envoy_meant(store.writer().id()).await?;
    }
    let mut files = Vec::new();
    for (name, file) in live.files().iter().filter(|(name, _)| *name != BOOTSTRAP) {
        let serves =
            stats.as_ref().map_or(InForce::Unknown, |stats| serves(place, live, name, file, stats));
        let digest = digests.get(name).cloned();
        let known = meant.as_ref().map(|meant: &EnvoyChange| meant.files.get(name));
        let drift = match (known, serves) {
            (Some(Some(known)), _) if Some(known) != digest.as_ref() => Some(CHANGED),
            (Some(None), _) => Some("is new, and was not put there by `tollgate envoy apply`"),
            (_, InForce::No) => Some(STALE),
            _ => None,
        };
        let drift = drift.map(ToOwned::to_owned);
        files.push(FileState { name: name.clone(), digest, in_force: serves, drift });
    }
    let gone = meant.iter().flat_map(|meant| meant.files.keys());
    for name in gone.filter(|name| !live.files().contains_key(*name)) {
        files.push(FileState {
            name: name.clone(),
            digest: None,
            in_force: InForce::Unknown,
            drift: Some("is gone, or nothing names it any more".into()),
        });
    }
    let workers = stats.as_ref().map(Stats::workers).unwrap_or_default();

    Ok(Status { files, away: stats.err(), workers, meant })
}

const CHANGED: &str = "was changed, and not by `tollgate envoy apply`";
const STALE: &str = "is not what Envoy serves: Envoy has refused it, or has not seen it";

/// Files that an apply has not put there, compared with what it has.
pub fn changed_outside(meant: &EnvoyChange, now: &Digests) -> Vec<String> {
    let changed = now.iter().filter(|(name, digest)| meant.files.get(*name) != Some(*digest));
    let gone = meant.files.keys().filter(|name| !now.contains_key(*name));

    changed.map(|(name, _)| name).chain(gone).cloned().collect()
}

fn serves(place: &EnvoyPlace, live: &Set, name: &str, file: &File, stats: &Stats) -> InForce {
    let mut all = InForce::Unused;
    let own = file.tree.as_ref().map(version);
    for reference in live.references().iter().filter(|it| it.file == name) {
        for served in stats.served(reference.what, &reference.resource).values() {
            // Without a version of its own only its time tells whether Envoy has read it since.
            let old = || changed_at(&place.dir, name) > served.taken_at.saturating_add(SLACK);
            let told = own == Some(served.version.as_str());
            let is_old = own.is_none_or(str::is_empty) && old();
            if !told || is_old {
                return InForce::No;
            }
            all = InForce::Yes;
        }
    }
    // A secret of a cluster that is not there yet.
    if all == InForce::Unused && live.use_of(name) != Some(Use::Secrets) {
        return InForce::No;
    }

    all
}

/// When a file was put there, Unix milliseconds: it, the link that it is, and the directory that links are swapped by.
fn changed_at(dir: &Path, name: &str) -> u64 {
    let path = dir.join(name);
    let swapped = path.parent().map(|parent| parent.join(DATA)).unwrap_or_default();
    let all = [fs::metadata(&path), fs::symlink_metadata(&path), fs::symlink_metadata(swapped)];
    let times = all.into_iter().flatten().map(|it| {
        let (seconds, nanos) = (it.ctime(), it.ctime_nsec());
        seconds
            .saturating_mul(1_000)
            .saturating_add(nanos.checked_div(1_000_000).unwrap_or_default())
    });

    times.max().and_then(|time| u64::try_from(time).ok()).unwrap_or_default()
}

/// What Kubernetes swaps, in a volume of a `ConfigMap` or of a secret.
pub const DATA: &str = "..data";
