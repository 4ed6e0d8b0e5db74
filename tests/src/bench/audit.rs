//! What the audit table takes: rows a second on either database, beside the plainest way there is
//! to put the same rows into the same table; bytes for each row; and how soon a row can be read.

use super::load::per_second;
use super::report::{Report, median};
use super::side::Side;
use crate::storm::dice::Dice;
use crate::storm::load::{Call, Fate, Load, Shape, TRACE, Target};
use crate::world::World;
use crate::world::processes::repository;
use anyhow::{Context, Result, ensure};
use cluster::{Cluster, DURABLE};
use contract::audit::Event;
use rows::Size;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tollgate::settings::{Data, Postgres};
use tollgate::store::Store;

pub mod before;
pub mod plain;
pub mod rows;

/// Rows of one transaction: what the sidecar stores at once (`sidecar/src/intake.rs`).
pub const BATCH: usize = 1_024;

/// Batches of one measurement.
const BATCHES: usize = 40;

/// Measurements, in turns with the plain way; each figure is their median.
const ROUNDS: usize = 3;

/// Calls of a month: 1,000 developers, 21 days, 50 calls a day.
const MONTH: f64 = 1_000.0 * 21.0 * 50.0;

/// A store on the disk that the repository is on, and where its files are.
struct Bench {
    store: Store,
    data: Data,
    _place: TempDir,
}

impl Bench {
    async fn new(postgres: Option<String>) -> Result<Self> {
        let place = tempfile::tempdir_in(repository().join("target"))?;
        let postgres = postgres.map(|url| Postgres { url, read_url: None });
        let data = Data::new(place.path()).with_postgres(postgres);
        let store = Store::create(&data).await?;

        Ok(Self { store, data, _place: place })
    }

    /// Stores rows as the sidecar does; how many each second.
    async fn append(&self, events: &[Event<'static>]) -> Result<f64> {
        let begun = Instant::now();
        for batch in events.chunks(BATCH) {
            let appended = self.store.append(batch, None).await?;
            ensure!(appended.duplicates == 0, "rows that were there already");
        }

        Ok(per_second(events.len(), begun.elapsed()))
    }
}

/// Rows a second and bytes a row, on both.
pub async fn stores(report: &mut Report) -> Result<()> {
    sqlite(report).await?;

    postgres(report).await
}

async fn sqlite(report: &mut Report) -> Result<()> {
    let bench = Bench::new(None).await?;
    let mut made = rows::Maker::new(Size::Typical);
    bench.append(&made.make(BATCH * 4)).await?; // statements are prepared, the file exists
    let (mut ours, mut ratios, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let rate = bench.append(&made.make(BATCH * BATCHES)).await?;
        let plain = plain::sqlite(&bench.data.database(), BATCH * BATCHES).await?;
        ours.push(rate);
        theirs.push(plain);
        ratios.push(rate / plain);
    }
    let capped = Bench::new(None).await?;
    capped.append(&rows::Maker::new(Size::Capped).make(BATCH * 8)).await?;
    let (typical, most) = (bytes_of_file(&bench).await?, bytes_of_file(&capped).await?);
    report.figure("audit.sqlite.rows_s", median(ours));
    report.figure("audit.sqlite.insert_ratio", median(ratios.clone()));
    report.figure("audit.gb_per_1000_devs_month", typical * MONTH / 1e9);
    report.figure("audit.gb_per_1000_devs_month.capped", most * MONTH / 1e9);
    report.note(format!(
        "SQLite: plain INSERT {:.0} rows/s, ratios {}; {typical:.0} bytes a row, {most:.0} with 8 KiB of content",
        median(theirs),
        super::listed(&ratios)
    ));

    Ok(())
}

/// What a row takes, indexes and all.
async fn bytes_of_file(bench: &Bench) -> Result<f64> {
    let options = SqliteConnectOptions::new().filename(bench.data.database());
    let mut connection: SqliteConnection = options.connect().await?;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_all(&mut connection).await?;
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM audit_events").fetch_one(&mut connection).await?;
    let bytes = std::fs::metadata(bench.data.database())?.len();

    #[expect(clippy::cast_precision_loss, reason = "a file of some hundred megabytes")]
    Ok(bytes as f64 / rows as f64)
}

async fn postgres(report: &mut Report) -> Result<()> {
    let cluster = Cluster::start(DURABLE)?;
    let bench = Bench::new(Some(cluster.database()?)).await?;
    let url = bench.data.postgres().context("no Postgres")?.url.clone();
    let beside = Bench::new(Some(cluster.database()?)).await?;
    let beside_url = beside.data.postgres().context("no Postgres")?.url.clone();
    let mut made = rows::Maker::new(Size::Typical);
    bench.append(&made.make(BATCH * 4)).await?;
    let mut copies = plain::Copies::new(&url, &beside_url).await?;
    copies.batched(BATCH * 4).await?;
    let (mut ours, mut ratios, mut batched, mut whole) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let rate = bench.append(&made.make(BATCH * BATCHES)).await?;
        let copy = copies.batched(BATCH * BATCHES).await?;
        ours.push(rate);
        ratios.push(rate / copy);
        batched.push(copy);
        whole.push(copies.whole().await?);
    }
    let size = copies.bytes_of_a_row().await?;
    let (rate, load) = (median(ours), median(whole));
    report.figure("audit.postgres.rows_s", rate);
    report.figure("audit.postgres.copy_ratio", median(ratios.clone()));
    report.note(format!(
        "Postgres: COPY {:.0} rows/s with a commit for each batch, ratios {}; {load:.0} in one commit, \
         ratio {:.2}; {size:.0} bytes a row",
        median(batched),
        super::listed(&ratios),
        rate / load
    ));

    Ok(())
}

/// From the end of an exchange to its row being readable, at 1,000 calls a second.
pub async fn delay(side: &mut Side, report: &mut Report) -> Result<()> {
    /// So long.
    const CALLING: Duration = Duration::from_secs(5);
    side.sidecar_yields(false)?;
    let world = &side.world;
    let address = side.address();
    let next = Arc::new(AtomicU64::new(1));
    let target = Target { address, token: world.token(), next };
    let shape = Shape { callers: 40, pace: Duration::from_millis(40), only_json: true };
    let load = Load::start(&target, shape, &mut Dice::new(1));
    let begun = Instant::now();
    let mut seen = HashMap::new();
    let mut connection = table(world).await?;
    while begun.elapsed() < CALLING {
        look(&mut connection, &mut seen).await?;
    }
    let (calls, took) = load.stop().await;
    let end = Instant::now() + Duration::from_secs(20);
    while seen.len() < calls.len() && Instant::now() < end {
        look(&mut connection, &mut seen).await?;
    }
    side.sent += u64::try_from(calls.len())?;
    let served = |call: &&Call| call.fate == Fate::Answered(200);
    let mut delays: Vec<f64> = calls
        .iter()
        .filter(served)
        .filter_map(|call| Some(seen.get(&call.id)?.saturating_duration_since(call.over)))
        .map(|delay| delay.as_secs_f64() * 1000.0)
        .collect();
    delays.sort_by(f64::total_cmp);
    let at = |part: usize| delays.get(delays.len() * part / 100).copied().unwrap_or(f64::NAN);
    report.figure("audit.row_delay_p99", at(99));
    report.note(format!(
        "a row can be read {:.0} ms (median) after its exchange, at {:.0} calls/s; {} of {} seen",
        at(50),
        per_second(calls.len(), took),
        seen.len(),
        calls.len()
    ));

    Ok(())
}

async fn table(world: &World) -> Result<SqliteConnection> {
    let file = world.place.join("data/tollgate.db");

    Ok(SqliteConnectOptions::new().filename(file).read_only(true).connect().await?)
}

/// Notes the rows that are new, and when.
async fn look(connection: &mut SqliteConnection, seen: &mut HashMap<u64, Instant>) -> Result<()> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    let sql = format!(
        "SELECT trace_id FROM audit_events WHERE trace_id LIKE '{TRACE}%' AND place >
         (SELECT COALESCE(MAX(place), 0) - 2000 FROM audit_events)"
    );
    let found: Vec<String> = sqlx::query_scalar(&sql).fetch_all(connection).await?;
    let now = Instant::now();
    for trace in found {
        let id = trace.get(TRACE.len()..).and_then(|id| u64::from_str_radix(id, 16).ok());
        seen.entry(id.context("a trace id of ours is none")?).or_insert(now);
    }

    Ok(())
}
