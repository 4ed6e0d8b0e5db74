//! What it adds to a call that it is stored before it leaves.

use crate::bench::bodies::Size;
use crate::bench::load::Caller;
use crate::bench::report::{Report, median};
use crate::bench::side::Side;
use crate::bench::{listed, millis};
use crate::world;
use anyhow::{Context, Result};
use serde_json::json;
use std::fs;
use std::time::Duration;

/// Rounds; the figure is their median.
const ROUNDS: u32 = 3;

/// Calls of one round, one after the other.
const CALLS: usize = 300;

/// A published policy is in force within two seconds.
const IN_FORCE: Duration = Duration::from_secs(3);

/// Measures the same gate with and without, in turns.
pub fn before(side: &mut Side, report: &mut Report) -> Result<()> {
    side.sidecar_yields(false)?;
    let mut caller = Caller::new(side.address())?;
    let mut added = Vec::new();
    for round in 0..ROUNDS {
        let mut medians = Vec::new();
        for audit in ["after", "before"] {
            publish(side, round, audit)?;
            let mut times = Vec::with_capacity(CALLS);
            for _ in 0..CALLS {
                side.sent += 1;
                times.push(millis(caller.call(side.request(Size::Small))?));
            }
            medians.push(median(times));
        }
        added.push(medians[1] - medians[0]);
    }
    report.figure("audit.before.added_p50", median(added.clone()));
    report.note(format!("stored before it leaves, SQLite: adds {} ms", listed(&added)));

    Ok(())
}

fn publish(side: &Side, round: u32, audit: &str) -> Result<()> {
    let world = &side.world;
    let mut policy = world::policy();
    policy["name"] = json!(format!("{audit}-{round}"));
    for rule in policy["rules"].as_array_mut().context("a policy without rules")? {
        rule["audit"] = json!(audit);
    }
    let (plain, signed) = (world.place.join("before.json"), world.place.join("before.signed.json"));
    fs::write(&plain, policy.to_string())?;
    let (plain, signed) = (plain.display().to_string(), signed.display().to_string());
    world.tollgate(&["policy", "sign", &plain, "--out", &signed])?;
    world.tollgate(&["policy", "publish", &signed])?;
    std::thread::sleep(IN_FORCE);

    Ok(())
}
