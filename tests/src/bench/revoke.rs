//! How soon a revocation is in force, and what a long standing costs those who are not in it.

use super::load::{Caller, closed_loop};
use super::report::{Report, median};
use super::side::Side;
use super::{listed, machine, millis};
use crate::storm::dice::Dice;
use crate::world::ANN;
use crate::world::World;
use crate::world::setup::Setup;
use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Drills.
const RUNS: usize = 50;

/// Rounds of each length of the standing.
const ROUNDS: usize = 7;

/// Lengths of the standing.
const LENGTHS: [u32; 3] = [0, 10_000, 100_000];

/// When a change is in force for sure.
const SETTLES: Duration = Duration::from_millis(1_600);

/// Everything here.
pub async fn revoke(report: &mut Report, upstream: SocketAddr) -> Result<()> {
    drills(report).await?;

    lengths(report, upstream).await
}

/// The operator's own drill, with its own calls, against a gateway of two workers.
async fn drills(report: &mut Report) -> Result<()> {
    let world = World::start(Setup { concurrency: 2, ..Setup::named("bench-revoke") }).await?;
    let gateway = format!("http://{}", world.ports.plain);
    let mut dice = Dice::new(1);
    let (mut refused, mut stored, mut back) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        // A run ends when the gate has just fetched: the next must not begin there.
        tokio::time::sleep(dice.between(0, 1_000)).await;
        let told = tokio::task::block_in_place(|| {
            world.tollgate(&["access", "drill", "--user", ANN, "--probe", &gateway, "--json"])
        })?;
        let told: Value = serde_json::from_str(&told)?;
        let seconds = |name: &str| -> Result<f64> {
            Ok(told[name].as_f64().context("the drill printed no time")? / 1_000.0)
        };
        refused.push(seconds("refused_after_ms")?);
        stored.push(seconds("stored_after_ms")?);
        back.push(seconds("let_in_again_after_ms")?);
    }
    let worst = |all: &[f64]| all.iter().copied().fold(f64::NAN, f64::max);
    report.figure("revoke.median_s", median(refused.clone()));
    report.figure("revoke.worst_s", worst(&refused));
    report.note(format!(
        "revoke: {RUNS} drills; the row could be read after {:.2} s (median) and {:.2} s (worst); \
         restored, a call was let in after {:.2} s and {:.2} s",
        median(stored.clone()),
        worst(&stored),
        median(back.clone()),
        worst(&back)
    ));

    Ok(())
}

/// The same calls with nobody listed, with 10,000 and with 100,000, in turns; and while one entry of
/// 10,000 changes each second.
async fn lengths(report: &mut Report, upstream: SocketAddr) -> Result<()> {
    let mut side = Side::start(Some("tollgate_filter"), upstream).await?;
    let mut times = LENGTHS.map(|_| Vec::new());
    for round in 0..=ROUNDS {
        for (length, times) in LENGTHS.into_iter().zip(&mut times) {
            list(&side.world, length).await?;
            tokio::time::sleep(SETTLES).await;
            let spent = tokio::task::block_in_place(|| spent(&mut side))?;
            if round > 0 {
                times.push(spent); // V8 compiles what is hot
            }
        }
    }
    // The least of the rounds: what else the machine does only ever adds.
    let [none, many, most] =
        times.each_ref().map(|times| times.iter().copied().fold(f64::INFINITY, f64::min));
    report.figure("standing.10k.added_us", many - none);
    report.note(format!(
        "standing: the worker's time for a call with nobody listed {none:.1} µs; 10,000 entries add {:.2} µs, \
         100,000 add {:.2} µs; rounds with nobody {}",
        many - none,
        most - none,
        listed(&times[0])
    ));
    list(&side.world, 10_000).await?;
    tokio::time::sleep(SETTLES).await;
    let still = tokio::task::block_in_place(|| slowest(&mut side))?;
    let stop = Arc::new(AtomicBool::new(false));
    let (file, stopped) = (side.world.place.join("data/tollgate.db"), Arc::clone(&stop));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let changing = std::thread::spawn(move || runtime.block_on(keep_changing(&file, &stopped)));
    let changed = tokio::task::block_in_place(|| slowest(&mut side))?;
    stop.store(true, Ordering::Relaxed);
    changing.join().map_err(|_| anyhow!("nothing changed"))??;
    report.note(format!(
        "standing: the slowest 20 of one caller's calls in 6 s, median {still:.2} ms; while one entry of \
         10,000 changes each second {changed:.2} ms"
    ));

    Ok(())
}

/// One entry more, again and again.
async fn keep_changing(file: &Path, stop: &AtomicBool) -> Result<()> {
    let mut other: SqliteConnection = SqliteConnectOptions::new().filename(file).connect().await?;
    while !stop.load(Ordering::Relaxed) {
        sqlx::raw_sql(ONE_MORE).execute(&mut other).await?;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }

    Ok(())
}

/// The worker's time for one call, microseconds.
fn spent(side: &mut Side) -> Result<f64> {
    let envoy = side.envoy()?;
    let before = machine::worker_time(envoy)?;
    let request = side.request(super::bodies::Size::Small).clone();
    let rate = closed_loop(side.address(), &request, 16, Duration::from_secs(1))?;
    side.sent += rate.count;
    let spent = machine::worker_time(envoy)? - before;

    #[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^52")]
    Ok(spent / rate.count as f64)
}

/// The median of the 20 slowest calls of six seconds, milliseconds.
fn slowest(side: &mut Side) -> Result<f64> {
    let mut caller = Caller::new(side.address())?;
    let begun = Instant::now();
    let mut times = Vec::new();
    while begun.elapsed() < Duration::from_secs(6) {
        side.sent += 1;
        times.push(millis(caller.call(side.request(super::bodies::Size::Small))?));
    }
    times.sort_by(|one, other| other.total_cmp(one));
    times.truncate(20);

    Ok(median(times))
}

/// So many people who have nothing to do with it.
async fn list(world: &World, length: u32) -> Result<()> {
    let file = world.place.join("data/tollgate.db");
    let mut other: SqliteConnection = SqliteConnectOptions::new().filename(file).connect().await?;
    let sql = format!(
        "DELETE FROM standing;
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {length})
         INSERT INTO standing (kind, id, effect, told, told_until, set_at, set_by, why)
         SELECT 'user', 'person' || n || '@example.com', 'revoked', TRUE, 4000000000, 0, '', ''
         FROM n WHERE {length} > 0;
         UPDATE standing_version SET version = version + 1"
    );
    sqlx::raw_sql(&sql).execute(&mut other).await?;

    Ok(other.close().await?)
}

const ONE_MORE: &str =
    "INSERT INTO standing (kind, id, effect, told, told_until, set_at, set_by, why)
     SELECT 'user', 'one' || version || '@example.com', 'revoked', TRUE, 4000000000, 0, '', ''
     FROM standing_version;
     UPDATE standing_version SET version = version + 1";
