//! `make bench`: what the gate costs, beside the same Envoy without it.
//!
//! Two gateways run side by side, alike but for the gate's filter: each has an Envoy of one
//! worker, both access logs, and a sidecar. They are loaded in turns, and every figure is the
//! median of the rounds' ratios or differences, so that what else the machine does falls on both.
//! Nothing here passes or fails: it is no test.

mod arguments;
pub mod audit;
pub mod bodies;
mod capabilities;
pub mod fleet;
mod full;
pub mod lanes;
pub mod load;
pub mod machine;
pub mod mcp;
pub mod report;
pub mod revoke;
pub mod side;
pub mod upstream;
pub mod wire;

use crate::world::processes::repository;
use anyhow::{Context, Result};
pub use arguments::Arguments;
use bodies::Size;
use load::{Caller, Streamed};
use report::{Report, median};
use side::Side;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use std::time::{Duration, Instant};

/// Callers at once, where throughput is measured.
const CALLERS: usize = 16;

/// How long the sidecar may take to store what the bench left it.
const DRAIN: Duration = Duration::from_mins(1);

/// The two that are compared.
struct Pair {
    gate: Side,
    bare: Side,
}

impl Pair {
    fn both(&mut self) -> [&mut Side; 2] {
        [&mut self.gate, &mut self.bare]
    }

    /// One result of each, in turns: whose turn is first changes with the round.
    fn each<T>(
        &mut self,
        round: usize,
        mut measure: impl FnMut(&mut Side) -> Result<T>,
    ) -> Result<(T, T)> {
        if round.is_multiple_of(2) {
            let gate = measure(&mut self.gate)?;
            Ok((gate, measure(&mut self.bare)?))
        } else {
            let bare = measure(&mut self.bare)?;
            Ok((measure(&mut self.gate)?, bare))
        }
    }

    /// Envoy on a core of its own; the sidecars write their rows when there is time.
    fn arrange(&self, report: &mut Report) -> Result<()> {
        let envoys = [self.gate.envoy()?, self.bare.envoy()?];
        let sidecars: Vec<u32> =
            [&self.gate, &self.bare].iter().filter_map(|side| side.world.sidecar_pid()).collect();
        let others = [&sidecars[..], &[std::process::id()]].concat();
        let arranged = machine::split(&envoys, &others)
            .and_then(|()| self.gate.sidecar_yields(true))
            .and_then(|()| self.bare.sidecar_yields(true));
        if let Err(error) = arranged {
            report.note(format!("not arranged, figures are noisier: {error:#}"));
        }

        Ok(())
    }
}

/// Measures everything, prints the table, writes `target/bench.json`.
pub async fn run(arguments: Arguments) -> Result<()> {
    let begun = Instant::now();
    let mut report = Report::default();
    report.note(format!(
        "load of the machine before: {}; cores: {}",
        machine::load(),
        std::thread::available_parallelism()?
    ));
    if arguments.is_a_section() {
        return one_section(&arguments, report).await;
    }
    if arguments.against.is_none() {
        audit::stores(&mut report).await?; // before anything is tied to a core
    }
    let address = upstream::start()?;
    let leak = |name: &String| -> &'static str { name.clone().leak() };
    let mut pair = Pair {
        gate: Side::start(Some(leak(&arguments.module)), address).await?,
        bare: Side::start(arguments.against.as_ref().map(leak), address).await?,
    };
    memory(&mut pair, &mut report, &arguments.module).await?;
    pair.arrange(&mut report)?;
    let sizes = arguments.sizes();
    for size in &sizes {
        tokio::task::block_in_place(|| {
            throughput(&mut pair, *size, &arguments, &mut report)?;
            latency(&mut pair, *size, arguments.rounds, "", &mut report)
        })?;
    }
    tokio::task::block_in_place(|| streams(&mut pair, arguments.rounds, &mut report))?;
    tokio::task::block_in_place(|| capabilities::capabilities(&pair.gate, &mut report))?;
    match pair.gate.helper() {
        Ok(time) => report.figure("helper.cached_ms", time),
        Err(error) => report.note(format!("the helper is not measured: {error:#}")),
    }
    if arguments.against.is_none() {
        full::full(&mut pair, &sizes, arguments.rounds, &mut report).await?;
    }
    audited(&pair.gate, &mut report).await?;
    audit::delay(&mut pair.gate, &mut report).await?;
    tokio::task::block_in_place(|| audit::before::before(&mut pair.gate, &mut report))?;
    drop(pair);
    if arguments.against.is_none() {
        lanes::lanes(&arguments, &mut report, address).await?;
        mcp::mcp(&arguments, &mut report, address).await?;
        revoke::revoke(&mut report, address).await?;
        fleet::fleet(&mut report).await?;
    }
    report.note(format!(
        "unless said a small policy (two rules, nothing revoked, no patterns); {:.0} s; load after: {}",
        begun.elapsed().as_secs_f64(),
        machine::load()
    ));
    report.print();
    if arguments.against.is_some() { Ok(()) } else { report.write() }
}

/// The section that was asked for, and no file.
async fn one_section(arguments: &Arguments, mut report: Report) -> Result<()> {
    if arguments.only_audit {
        audit::stores(&mut report).await?;
    }
    let address = upstream::start()?;
    if arguments.only_fleet {
        fleet::fleet(&mut report).await?;
    } else if arguments.only_lanes {
        lanes::lanes(arguments, &mut report, address).await?;
    } else if arguments.only_mcp {
        mcp::mcp(arguments, &mut report, address).await?;
    } else if arguments.only_revoke {
        revoke::revoke(&mut report, address).await?;
    } else {
        let mut gate = Side::start(Some("tollgate_filter"), address).await?;
        audit::delay(&mut gate, &mut report).await?;
        tokio::task::block_in_place(|| audit::before::before(&mut gate, &mut report))?;
    }
    report.print();

    Ok(())
}

/// What the gate's VMs and the sidecar take at rest, and after one very large body.
async fn memory(pair: &mut Pair, report: &mut Report, module: &str) -> Result<()> {
    let file = repository().join("target/wasm").join(format!("{module}.wasm"));
    #[expect(clippy::cast_precision_loss, reason = "a file of some megabytes")]
    report.figure("filter.mb", file.metadata()?.len() as f64 / 1_048_576.0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let machines = pair.gate.machines().await?;
    let resident = |side: &Side| machine::resident(side.envoy()?);
    let (gate, bare) = (resident(&pair.gate)?, resident(&pair.bare)?);
    let each = (gate - bare) / machines;
    report.figure("vm.mb", each);
    let sidecar = pair.gate.world.sidecar_pid().context("no sidecar")?;
    report.figure("sidecar.mb", machine::resident(sidecar)?);
    for side in pair.both() {
        side.send_20_megabytes()?;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (full, plain) = (resident(&pair.gate)?, resident(&pair.bare)?);
    report.figure("vm.after_20m.mb", each + (full - gate) - (plain - bare));
    report.note(format!(
        "memory: Envoy {gate:.1} MB with the gate ({machines} VMs), {bare:.1} without; after 20 MB {full:.1} and {plain:.1}"
    ));
    for side in pair.both() {
        side.start_again().await?;
    }

    Ok(())
}

fn throughput(
    pair: &mut Pair,
    size: Size,
    arguments: &Arguments,
    report: &mut Report,
) -> Result<()> {
    let time = Duration::from_secs_f64(arguments.seconds);
    let measure = |side: &mut Side| -> Result<(f64, f64)> {
        let envoy = side.envoy()?;
        let before = machine::worker_time(envoy)?;
        let rate = load::closed_loop(side.address(), side.request(size), CALLERS, time)?;
        side.sent += rate.count;
        let spent = machine::worker_time(envoy)? - before;
        #[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^52")]
        Ok((rate.per_second, spent / rate.count as f64))
    };
    pair.each(0, measure)?; // V8 compiles what is hot
    let (mut gates, mut bares, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..arguments.rounds {
        let (gate, bare) = pair.each(round, measure)?;
        ratios.push(gate.0 / bare.0);
        gates.push(gate);
        bares.push(bare);
    }
    let middle = |all: &[(f64, f64)]| {
        (median(all.iter().map(|it| it.0).collect()), median(all.iter().map(|it| it.1).collect()))
    };
    let (gate, bare) = (middle(&gates), middle(&bares));
    let name = size.name();
    report.figure(&format!("gate.{name}.rps_ratio"), median(ratios.clone()));
    report.note(format!(
        "{name}: {:.0} of {:.0} requests/s; the worker's time each: {:.1} and {:.1} µs ({:.2}); ratios {}",
        gate.0, bare.0, gate.1, bare.1, bare.1 / gate.1, listed(&ratios)
    ));

    Ok(())
}

fn latency(
    pair: &mut Pair,
    size: Size,
    rounds: usize,
    policy: &str,
    report: &mut Report,
) -> Result<()> {
    /// The sides change after so many calls, so that a disturbance meets both.
    const BLOCK: usize = 20;
    let blocks = match size {
        Size::Small => 40,
        Size::Usual => 15,
        Size::Large => 3,
    };
    let mut gate = Caller::new(pair.gate.address())?;
    let mut bare = Caller::new(pair.bare.address())?;
    let (mut added, mut tails, mut absolute) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut times = (Vec::new(), Vec::new());
        for _ in 0..blocks {
            for (side, caller, times) in [
                (&mut pair.gate, &mut gate, &mut times.0),
                (&mut pair.bare, &mut bare, &mut times.1),
            ] {
                for _ in 0..BLOCK {
                    side.sent += 1;
                    times.push(millis(caller.call(side.request(size))?));
                }
            }
        }
        added.push(median(times.0.clone()) - median(times.1.clone()));
        tails.push(late(times.0.clone()) - late(times.1.clone()));
        absolute.push((median(times.0), median(times.1)));
    }
    let name = size.name();
    report.figure(&format!("gate.{name}.{policy}added_p50"), median(added.clone()));
    report.figure(&format!("gate.{name}.{policy}added_p99"), median(tails));
    report.note(format!(
        "{policy}{name}: one caller waits {:.3} ms, {:.3} without; added {}",
        median(absolute.iter().map(|it| it.0).collect()),
        median(absolute.iter().map(|it| it.1).collect()),
        listed(&added)
    ));

    Ok(())
}

fn streams(pair: &mut Pair, rounds: usize, report: &mut Report) -> Result<()> {
    const EACH: usize = 12;
    let mut gate = Caller::new(pair.gate.address())?;
    let mut bare = Caller::new(pair.bare.address())?;
    let (mut first, mut way, mut slowest) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut seen: (Vec<Streamed>, Vec<Streamed>) = (Vec::new(), Vec::new());
        for _ in 0..EACH {
            seen.0.push(gate.stream(&pair.gate.streamed)?);
            seen.1.push(bare.stream(&pair.bare.streamed)?);
            pair.gate.sent += 1;
            pair.bare.sent += 1;
        }
        let added = |of: fn(&Streamed) -> u64| {
            let middle = |all: &[Streamed]| median(all.iter().map(|it| millis(of(it))).collect());
            middle(&seen.0) - middle(&seen.1)
        };
        first.push(added(|it| it.first));
        way.push(added(|it| it.way));
        slowest.push(added(|it| it.slowest));
    }
    report.figure("stream.first_token_added", median(first));
    report.note(format!(
        "stream: of that, on the way back {:.3} ms; the slowest later event of a stream {:+.3} ms",
        median(way),
        median(slowest)
    ));

    Ok(())
}

/// As many rows as requests? Asked when all had time to be stored.
async fn audited(gate: &Side, report: &mut Report) -> Result<()> {
    gate.sidecar_yields(false)?;
    let options = SqliteConnectOptions::new()
        .filename(gate.world.place.join("data/tollgate.db"))
        .read_only(true);
    let pool = SqlitePool::connect_with(options).await?;
    let begun = Instant::now();
    let sent = i64::try_from(gate.sent)?;
    let mut rows = 0;
    while rows < sent && begun.elapsed() < DRAIN {
        tokio::time::sleep(Duration::from_millis(500)).await;
        rows = sqlx::query_scalar(COUNT).fetch_one(&pool).await?;
    }
    let stored = begun.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_secs(1)).await; // a row too many would come by the other way
    rows = sqlx::query_scalar(COUNT).fetch_one(&pool).await?;
    let different: i64 = sqlx::query_scalar(DIFFERENT).fetch_one(&pool).await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of rows is far below 2^52")]
    {
        report.figure("audit.lost", (sent - different) as f64);
        report.figure("audit.doubled", (rows - different) as f64);
    }
    report.note(format!("audit: {sent} requests, {rows} rows, {stored:.1} s after the last"));

    Ok(())
}

const COUNT: &str = "SELECT count(*) FROM audit_events WHERE kind = 'inference'";

const DIFFERENT: &str = "SELECT count(DISTINCT json_extract(payload, '$.sequence')) \
    FROM audit_events WHERE kind = 'inference'";

fn late(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);

    times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}

fn listed(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.3}")).collect::<Vec<_>>().join(" ")
}

fn millis(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * 1000.0
}
