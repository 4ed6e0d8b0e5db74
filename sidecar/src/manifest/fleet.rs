//! `tollgate fleet status` and `fleet progress`: what stands on laptops, as they say, and how fast it gets there.

use super::changes;
use super::publish::MOST;
use crate::args::fleet::{FleetCommand, ProgressArgs, Revocable, StatusArgs};
use crate::clock;
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::settings::Data;
use crate::store::Store;
use crate::store::fleet::{Count, Device, Wanted, Which};
use crate::store::manifests::ManifestVersion;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// How often it is looked again with `--watch`.
const LOOK: Duration = Duration::from_secs(2);

/// What stands on a laptop that has never taken a document.
const NOTHING: &str = "nothing yet";

/// Cells of a bar.
const BAR: usize = 40;

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &FleetCommand,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let store = Store::open(data).await?;
    let Some(now) = store.manifest_in_force().await? else {
        return Err(Failure::NotFound("nothing was ever published here".into()));
    };
    match command {
        FleetCommand::Status(asked) => status(asked, &now, (operator, &store), screen).await,
        FleetCommand::Progress(asked) => progress(asked, &now, (operator, &store), screen).await,
    }
}

async fn status(
    asked: &StatusArgs,
    now: &ManifestVersion,
    (operator, store): (&Operator, &Store),
    screen: &mut Screen,
) -> Result<(), Failure> {
    let wanted = Wanted {
        tenants: operator.tenants(),
        since: clock::now().saturating_sub(asked.seen),
        catalogue: &now.catalogue,
    };
    let which = match asked.version {
        Some(version) => Some(Which::At(version)),
        None if asked.laggards => Some(Which::Behind(now.version)),
        None => asked.failed.then_some(Which::Failed),
    };
    if let Some(which) = which {
        let devices = store.fleet_devices(&wanted, which, asked.limit).await?;
        return listed(&devices, now, screen);
    }
    let counts = store.fleet_counts(&wanted).await?;
    let silent = store.fleet_silent(&wanted).await?;

    summed(&counts, silent, now, screen)
}

fn summed(
    counts: &[Count],
    silent: u64,
    now: &ManifestVersion,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let sum = |of: fn(&Count) -> u64| counts.iter().map(of).fold(0_u64, u64::saturating_add);
    let (devices, failed) = (sum(|it| it.devices), sum(|it| it.failed));
    let current = counts.iter().filter(|it| it.version.is_some_and(|it| it >= now.version));
    let current = current.map(|it| it.devices).fold(0_u64, u64::saturating_add);
    if screen.json() {
        let versions: Vec<Value> = counts
            .iter()
            .map(|it| {
                json!({ "version": it.version, "audience": it.audience, "devices": it.devices,
                    "failed": it.failed })
            })
            .collect();
        return screen.object(&json!({
            "catalogue": now.catalogue, "in_force": now.version,
            "published_at": clock::readable(now.published_at), "devices": devices,
            "current": current, "behind": devices.saturating_sub(current), "failed": failed,
            "people_without_reports": silent, "versions": versions,
        }));
    }
    screen.print(&format!(
        "catalogue  {}\nin force   {}, published {}\nlaptops    {devices}: {current} have it, {} do not, {failed} \
         failed at their last sync\n           {}\n",
        now.catalogue,
        now.version,
        clock::readable(now.published_at),
        devices.saturating_sub(current),
        bar(current, devices)
    ))?;
    if silent > 0 {
        screen.print(&format!(
            "silent     {silent} people were given it, and no laptop of theirs reports\n"
        ))?;
    }
    let rows: Vec<Vec<String>> = counts
        .iter()
        .map(|it| {
            vec![
                it.version.map_or_else(|| NOTHING.to_owned(), |it| it.to_string()),
                it.audience.clone().unwrap_or_default(),
                it.devices.to_string(),
                it.failed.to_string(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    screen.print("\n")?;

    screen.table(&["VERSION", "AUDIENCE", "LAPTOPS", "FAILED"], &rows)
}

fn listed(devices: &[Device], now: &ManifestVersion, screen: &mut Screen) -> Result<(), Failure> {
    let at = clock::now();
    let mut rows = Vec::new();
    for it in devices {
        let (tenant, user, device) = &it.whose;
        let stands = it.stands.as_ref();
        if screen.json() {
            screen.object(&json!({
                "tenant_id": tenant, "user_id": user, "device": device, "client_id": it.client,
                "os": it.os, "helper": it.helper, "version": stands.map(|it| it.version),
                "audience": stands.map(|it| &it.audience), "behind": stands.map(|it| now.version.saturating_sub(it.version)),
                "synced_at": clock::readable(it.synced_at), "age": at.saturating_sub(it.synced_at),
                "reported_at": clock::readable(it.reported_at), "result": it.result,
                "code": it.code,
            }))?;
            continue;
        }
        rows.push(vec![
            tenant.clone(),
            user.clone(),
            device.clone(),
            it.os.clone(),
            stands.map_or_else(|| NOTHING.to_owned(), |it| it.version.to_string()),
            stands.map(|it| it.audience.clone()).unwrap_or_default(),
            format!("{} ago", long(at.saturating_sub(it.synced_at))),
            it.result.clone(),
            it.code.clone().unwrap_or_default(),
        ]);
    }
    if screen.json() {
        return Ok(());
    }
    let head =
        ["TENANT", "USER", "DEVICE", "OS", "VERSION", "AUDIENCE", "SYNCED", "RESULT", "CODE"];

    screen.table(&head, &rows)
}

/// How far something has come.
struct Progress {
    since: u64,
    all: usize,
    /// People who were given a document and have no laptop that reports.
    silent: u64,
    /// Seconds from the publication to each laptop that has it, in order.
    took: Vec<u64>,
}

impl Progress {
    /// Have all of them got it? While nobody has reported nobody knows.
    fn is_done(&self) -> bool {
        self.all > 0 && self.took.len() >= self.all
    }

    /// The time within which so many of a hundred that have it had it; rounded up.
    fn within(&self, percent: usize) -> Option<u64> {
        let place = self.took.len().saturating_mul(percent).div_ceil(100).saturating_sub(1);

        self.took.get(place).copied()
    }

    fn object(&self, what: &str, version: u64) -> Value {
        json!({
            "what": what, "version": version, "published_at": clock::readable(self.since),
            "devices": self.all, "reached": self.took.len(),
            "missing": self.all.saturating_sub(self.took.len()),
            "people_without_reports": self.silent,
            "median_s": self.within(50), "p95_s": self.within(95), "last_s": self.took.last(),
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
            (self.within(50), self.within(95), self.took.last())
        {
            let [median, p95, last] = [median, p95, *last].map(long);
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

async fn progress(
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
        let wanted = Wanted {
            tenants: operator.tenants(),
            since: clock::now().saturating_sub(asked.seen),
            catalogue: &now.catalogue,
        };
        let reached = store.fleet_reached(&wanted, since.version).await?;
        let silent = store.fleet_silent(&wanted).await?;
        let all = reached.len();
        let mut took: Vec<u64> =
            reached.into_iter().flatten().map(|at| at.saturating_sub(since.published_at)).collect();
        took.sort_unstable();
        let progress = Progress { since: since.published_at, all, silent, took };
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

/// `████████····`: how many of how many.
fn bar(some: u64, all: u64) -> String {
    let cells = BAR as u64;
    let full = some.saturating_mul(cells).checked_div(all).unwrap_or_default().min(cells);
    let full = usize::try_from(full).unwrap_or(BAR);

    format!("{}{}", "█".repeat(full), "·".repeat(BAR.saturating_sub(full)))
}

/// A time as people say it.
fn long(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / clock::DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_those_that_have_it_had_it_within_the_median() {
        let of = |took: &[u64]| Progress { since: 0, all: 9, silent: 0, took: took.to_vec() };

        assert_eq!((of(&[]).within(50), of(&[]).within(95)), (None, None));
        assert_eq!((of(&[7]).within(50), of(&[7]).within(95)), (Some(7), Some(7)));
        let all: Vec<u64> = (1..=100).collect();
        assert_eq!((of(&all).within(50), of(&all).within(95)), (Some(50), Some(95)));
    }

    #[test]
    fn while_nobody_reports_nothing_is_done() {
        let of =
            |all, silent, took: &[u64]| Progress { since: 0, all, silent, took: took.to_vec() };

        assert!(!of(0, 0, &[]).is_done() && !of(2, 0, &[3]).is_done());
        assert!(of(2, 0, &[3, 4]).is_done());
        let nobody = of(0, 7, &[]).line("version 3");
        assert!(nobody.contains("no laptop has reported") && nobody.contains("silent: 7 people"));
        assert!(!of(1, 0, &[3]).line("version 3").contains("silent"));
    }

    #[test]
    fn a_bar_is_as_long_however_much_is_there() {
        for (some, all) in [(0, 0), (0, 9), (5, 9), (9, 9), (10, 9), (u64::MAX, 1)] {
            assert_eq!(bar(some, all).chars().count(), BAR, "{some} of {all}");
        }
        assert!(bar(9, 9).ends_with('█') && bar(8, 9).ends_with('·'));
    }
}
