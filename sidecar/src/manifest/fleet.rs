//! `tollgate fleet`: what stands on laptops, as they say, and how fast it gets there.

mod laptops;
mod progress;

use crate::args::fleet::{FleetCommand, StatusArgs};
use crate::clock;
use crate::failure::Failure;
use crate::manifest::published;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use crate::settings::Data;
use crate::store::Store;
use crate::store::fleet::{Count, Wanted, Which};
use crate::store::manifests::ManifestVersion;
use serde_json::{Value, json};

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
        return Err(Failure::NotFound(published::NOTHING.into()));
    };
    match command {
        FleetCommand::Status(asked) => status(asked, &now, (operator, &store), screen).await,
        FleetCommand::Show(asked) => laptops::show(asked, &now, (operator, &store), screen).await,
        FleetCommand::Progress(asked) => {
            progress::run(asked, &now, (operator, &store), screen).await
        }
    }
}

/// The laptops that this operator may see and that were heard of within this time, in seconds.
fn heard_of<'a>(operator: &'a Operator, now: &'a ManifestVersion, seen: u64) -> Wanted<'a> {
    let since = clock::now().saturating_sub(seen);

    Wanted { tenants: operator.tenants(), since, catalogue: &now.catalogue }
}

async fn status(
    asked: &StatusArgs,
    now: &ManifestVersion,
    (operator, store): (&Operator, &Store),
    screen: &mut Screen,
) -> Result<(), Failure> {
    let wanted = heard_of(operator, now, asked.seen);
    let which = match asked.version {
        Some(version) => Some(Which::At(version)),
        None if asked.laggards => Some(Which::Behind(now.version)),
        None if asked.failed => Some(Which::Failed),
        None => asked.warned.then_some(Which::Warned),
    };
    if let Some(which) = which {
        let devices = store.fleet_devices(&wanted, which, asked.limit).await?;
        return laptops::list(&devices, now, screen);
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
    let warned = sum(|it| it.warned);
    let current = counts.iter().filter(|it| it.version.is_some_and(|it| it >= now.version));
    let current = current.map(|it| it.devices).fold(0_u64, u64::saturating_add);
    if screen.json() {
        let versions: Vec<Value> = counts
            .iter()
            .map(|it| {
                json!({ "version": it.version, "audience": it.audience, "devices": it.devices,
                    "failed": it.failed, "warned": it.warned })
            })
            .collect();
        return screen.object(&json!({
            "catalogue": now.catalogue, "in_force": now.version,
            "published_at": clock::readable(now.published_at), "devices": devices,
            "current": current, "behind": devices.saturating_sub(current), "failed": failed, "warned": warned,
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
    if warned > 0 {
        let said = format!("{warned} warn of something: `tollgate fleet status --warned`\n");
        screen.print(&format!("warnings   {said}"))?;
    }
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
                it.warned.to_string(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    screen.print("\n")?;

    screen.table(&["VERSION", "AUDIENCE", "LAPTOPS", "FAILED", "WARNED"], &rows)
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
    fn a_bar_is_as_long_however_much_is_there() {
        for (some, all) in [(0, 0), (0, 9), (5, 9), (9, 9), (10, 9), (u64::MAX, 1)] {
            assert_eq!(bar(some, all).chars().count(), BAR, "{some} of {all}");
        }
        assert!(bar(9, 9).ends_with('█') && bar(8, 9).ends_with('·'));
    }
}
