//! `tollgate fleet progress`: how far a publication, or a revocation, has come.

use super::{bar, heard_of, long};
use crate::args::fleet::{ProgressArgs, Revocable};
use crate::clock;
use crate::failure::Failure;
use crate::manifest::changes;
use crate::manifest::publish::MOST;
use crate::manifest::serve::REMEMBERED;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::store::Store;
use crate::store::manifests::ManifestVersion;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// How often it is looked again with `--watch`.
const LOOK: Duration = Duration::from_secs(2);

/// How far something has come.
struct Progress {
    since: u64,
    all: usize,
    /// People who were given a document and have no laptop that reports.
    silent: u64,
    /// Seconds from the publication to each laptop that has it, in order.
    took: Vec<u64>,
    /// Was it published so long ago that the times are forgotten?
    is_past: bool,
}

impl Progress {
    /// Have all of them got it? While nobody has reported nobody knows.
    fn is_done(&self) -> bool {
        self.all > 0 && self.took.len() >= self.all
    }

    /// The time within which so many of a hundred that have it had it; rounded up.
    fn within(&self, percent: usize) -> Option<u64> {
        if self.is_past {
            return None;
        }
        let place = self.took.len().saturating_mul(percent).div_ceil(100).saturating_sub(1);

        self.took.get(place).copied()
    }

    fn object(&self, what: &str, version: u64) -> Value {
        json!({
            "what": what, "version": version, "published_at": clock::readable(self.since),
            "devices": self.all, "reached": self.took.len(),
            "missing": self.all.saturating_sub(self.took.len()),
            "people_without_reports": self.silent,
            "median_s": self.within(50), "p95_s": self.within(95), "last_s": self.within(100),
        })
    }

    fn line(&self, what: &str) -> String {
        let (reached, all) = (self.took.len(), self.all);
        let mut text = format!(
            "{} {reached} of {all} laptops: {what}, published {}",
            bar(reached as u64, all as u64),
            clock::readable(self.since)
        );
        if let (Some(median), Some(p95), Some(last)) =
            (self.within(50), self.within(95), self.within(100))
        {
            let [median, p95, last] = [median, p95, last].map(long);
            text =
                format!("{text}; median {median}, 95 of 100 within {p95}, the last after {last}");
        }

        if self.all == 0 {
            text = format!("{text}; no laptop has reported");
        }
        if self.silent > 0 {
            text = format!(
                "{text}; silent: {} people, of whose laptops nothing is known",
                self.silent
            );
        }

        text + "\n"
    }
}

pub(super) async fn run(
    asked: &ProgressArgs,
    now: &ManifestVersion,
    (operator, store): (&Operator, &Store),
    screen: &mut Screen,
) -> Result<(), Failure> {
    if asked.watch && !operator.is_on_host() {
        return Err(Failure::Refused(
            "--watch is for who sits at the host: ask again instead".into(),
        ));
    }
    let (since, what) = match (&asked.revocation, asked.version) {
        (Some(named), _) => revoked(named, now, store).await?,
        (None, version) => {
            let version = version.unwrap_or(now.version);
            let all = store.manifests(MOST).await?;
            let found = all
                .into_iter()
                .find(|it| it.catalogue == now.catalogue && it.version == version)
                .ok_or_else(|| Failure::NotFound(format!("no version {version} was published")))?;
            (found, format!("version {version}"))
        }
    };
    let mut told = None;
    loop {
        let wanted = heard_of(operator, now, asked.seen);
        let reached = store.fleet_reached(&wanted, since.version).await?;
        let silent = store.fleet_silent(&wanted).await?;
        let all = reached.len();
        let mut took: Vec<u64> =
            reached.into_iter().flatten().map(|at| at.saturating_sub(since.published_at)).collect();
        took.sort_unstable();
        let is_past = clock::now().saturating_sub(since.published_at) > REMEMBERED;
        let progress = Progress { since: since.published_at, all, silent, took, is_past };
        let seen = Some((all, silent, progress.took.len()));
        if told != seen {
            told = seen;
            if screen.json() {
                screen.object(&progress.object(&what, since.version))?;
            } else {
                screen.print(&progress.line(&what))?;
            }
        }
        if !asked.watch || progress.is_done() {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}

/// The publication that revoked something, which still is revoked.
async fn revoked(
    named: &str,
    now: &ManifestVersion,
    store: &Store,
) -> Result<(ManifestVersion, String), Failure> {
    let Revocable { kind, id } = named.parse().map_err(Failure::Refused)?;
    let mut found = None;
    for one in store.manifests(MOST).await? {
        if one.catalogue != now.catalogue {
            break;
        }
        let documents = store.manifest_documents(one.number).await?;
        let everywhere = documents
            .iter()
            .all(|it| changes::read(it).is_some_and(|document| document.revokes(kind, &id)));
        if !everywhere {
            break;
        }
        found = Some(one);
    }

    found.map(|one| (one, format!("{} {id} revoked", kind.as_str()))).ok_or_else(|| {
        Failure::NotFound(format!("{} {id} is not revoked for everybody", kind.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_those_that_have_it_had_it_within_the_median() {
        let of = |took: &[u64]| Progress {
            since: 0,
            all: 9,
            silent: 0,
            took: took.to_vec(),
            is_past: false,
        };

        assert_eq!((of(&[]).within(50), of(&[]).within(95)), (None, None));
        assert_eq!((of(&[7]).within(50), of(&[7]).within(95)), (Some(7), Some(7)));
        let all: Vec<u64> = (1..=100).collect();
        assert_eq!((of(&all).within(50), of(&all).within(95)), (Some(50), Some(95)));
        let past = Progress { is_past: true, ..of(&all) };
        assert_eq!((past.within(50), past.took.len()), (None, 100), "counted, and no longer timed");
    }

    #[test]
    fn while_nobody_reports_nothing_is_done() {
        let of = |all, silent, took: &[u64]| Progress {
            since: 0,
            all,
            silent,
            took: took.to_vec(),
            is_past: false,
        };

        assert!(!of(0, 0, &[]).is_done() && !of(2, 0, &[3]).is_done());
        assert!(of(2, 0, &[3, 4]).is_done());
        let nobody = of(0, 7, &[]).line("version 3");
        assert!(nobody.contains("no laptop has reported") && nobody.contains("silent: 7 people"));
        assert!(!of(1, 0, &[3]).line("version 3").contains("silent"));
    }
}
