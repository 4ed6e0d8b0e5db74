//! What happens to Envoy itself under load. What is changed under it, or what stops it in order,
//! costs no row. Killed, it loses what it had not written yet, and no more than that.

use e2e::on_both;
use e2e::storm::base::Which;
use e2e::storm::load::{Call, Fate};
use e2e::storm::{Storm, storm_under};
use e2e::world::{World, policy, ports};
use serde_json::json;
use std::fs;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// What may be unwritten when Envoy is killed: it flushes each 100 ms (`--file-flush-interval-msec`).
/// The rest is for a machine that is busy.
const UNWRITTEN: Duration = Duration::from_millis(400);

on_both! {
    fn what_is_changed_under_load_costs_no_call_and_no_row("module, policy, listener changed") changed;
    fn an_envoy_stopped_in_order_under_load_loses_no_row("Envoy stopped in order") stopped;
    fn an_envoy_killed_under_load_loses_what_it_had_not_written_and_no_more("Envoy killed") killed;
}

/// A new module: the same code, and a section in it that nobody reads.
fn change_module(world: &World, nth: u64) {
    let run = world.run();
    let mut module = fs::read(run.join("tollgate_filter.wasm")).unwrap();
    module.extend([0, 10, 1, b's']); // a custom section: its size, the size of its name, its name
    module.extend(nth.to_le_bytes());
    let name = format!("tollgate_filter-{nth:016x}.wasm");
    fs::write(run.join(&name), module).unwrap();
    let gate = fs::read_to_string(run.join("gate.yaml")).unwrap();
    let lines = gate.lines().map(|line| match line.split_once("{local: {filename: ") {
        Some((before, _)) => format!("{before}{{local: {{filename: ./{name}}}}}\n"),
        None => format!("{line}\n"),
    });
    world.rename_into_place("gate.yaml", &lines.collect::<String>()).unwrap();
}

fn change_policy(world: &World, nth: u64) {
    let mut changed = policy();
    changed["name"] = json!(format!("storm-{nth}"));
    let (plain, signed) = (world.place.join("new.json"), world.place.join("new.signed.json"));
    fs::write(&plain, changed.to_string()).unwrap();
    let (plain, signed) = (plain.display().to_string(), signed.display().to_string());
    world.tollgate(&["policy", "sign", &plain, "--out", &signed]).unwrap();
    world.tollgate(&["policy", "publish", &signed]).unwrap();
}

/// A listener comes, as a lane would.
fn change_listeners(world: &World, nth: u64) {
    let port = ports::port().unwrap().port();
    let text = format!(
        "resources:\n\
         - \"@type\": type.googleapis.com/envoy.config.listener.v3.Listener\n  \
           name: lane\n  \
           address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}\n  \
           filter_chains:\n  \
           - filters:\n    \
             - name: envoy.filters.network.echo\n      \
               typed_config: {{\"@type\": type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}\n  \
           metadata: {{filter_metadata: {{storm: {{nth: \"{nth:x}\"}}}}}}\n"
    );
    world.rename_into_place("lanes.yaml", &text).unwrap();
}

async fn count(world: &World, name: &str) -> u64 {
    let stats = world.admin(&format!("/stats?filter={name}$")).await.unwrap();

    stats.lines().filter_map(|line| line.rsplit(' ').next()?.trim().parse::<u64>().ok()).sum()
}

/// Waits until a count is higher than that.
async fn risen(world: &World, name: &str, than: u64) {
    let end = Instant::now() + Duration::from_secs(10);
    while count(world, name).await <= than {
        assert!(Instant::now() < end, "{name} does not rise above {than}");
        sleep(Duration::from_millis(50)).await;
    }
}

const ADDED: &str = "listener_manager.listener_added";

/// Each at a moment of its own; the listener goes again at the end.
async fn changed(storm: &mut Storm<'_>) {
    storm
        .rounds(async |storm| {
            let nth = storm.dice.roll();
            change_module(storm.world, nth);
            sleep(storm.dice.between(100, 1500)).await;
            tokio::task::block_in_place(|| change_policy(storm.world, nth));
            sleep(storm.dice.between(100, 1500)).await;
            let before = count(storm.world, ADDED).await;
            change_listeners(storm.world, nth);
            // Envoy reads the file when it has time: then it must still be there.
            risen(storm.world, ADDED, before).await;
            sleep(storm.dice.between(100, 600)).await;
            storm.world.rename_into_place("lanes.yaml", "resources: []\n").unwrap();
        })
        .await;

    let rounds = u64::from(e2e::storm::rounds());
    risen(storm.world, "extension_config_discovery.http_filter.gate.config_reload", rounds).await;
    risen(storm.world, "listener_manager.listener_removed", rounds - 1).await;
    let books = storm.books().await;
    books.assert_all_served();
    books.assert_whole();
}

/// SIGTERM: whatever it has begun gets its row, `error` where it was cut.
async fn stopped(storm: &mut Storm<'_>) {
    storm
        .rounds(async |storm| {
            storm
                .without_envoy(async |world| {
                    tokio::task::block_in_place(|| world.stop_envoy()).unwrap();
                    world.start_envoy().await.unwrap();
                })
                .await;
        })
        .await;

    let books = storm.books().await;
    books.assert_whole();
    let (least, most) = books.refused;
    let told = books.told;
    let words = "refusals of a gate that is not ready yet are told, each or counted";
    assert!((least..=most).contains(&told), "{words}: {told}, not {least} to {most}");
}

/// SIGKILL, in each round.
async fn kills(storm: &mut Storm<'_>) {
    storm
        .rounds(async |storm| {
            storm
                .without_envoy(async |world| {
                    world.kill_envoy();
                    world.start_envoy().await.unwrap();
                })
                .await;
        })
        .await;
}

async fn killed(storm: &mut Storm<'_>) {
    kills(storm).await;

    let kills: Vec<Instant> = storm.stopped.iter().map(|(from, _)| *from).collect();
    let books = storm.books().await;
    books.assert_no_more();
    let age = |call: &Call| {
        let before = kills.iter().filter(|kill| call.sent <= **kill + UNWRITTEN);
        before.map(|kill| kill.saturating_duration_since(call.over)).min().unwrap_or(Duration::MAX)
    };
    let oldest = books.lost.iter().map(age).max().unwrap_or_default();
    let in_flight = books.lost.iter().filter(|call| call.fate == Fate::Broken).count();
    eprintln!(
        "lost: {in_flight} in flight, {} that had ended, the oldest {oldest:?} before",
        books.lost.len() - in_flight
    );
    assert!(oldest < UNWRITTEN, "a row that had been written is lost: {:#?}", books.lost);
    let lost = u64::try_from(books.lost.len()).unwrap();
    let holes = books.holes();
    assert!(holes <= lost, "{holes} holes for {lost} lost calls: {:?}", books.sequences);
}

/// As `killed`, where the policy has each call stored before it may leave.
mod an_envoy_killed_where_calls_are_stored_before_they_leave_loses_no_call_that_left {
    use super::*;

    #[test]
    fn sqlite() {
        storm_under(stored_before(), "Envoy killed, audit: before", Which::Sqlite, killed_before);
    }

    #[test]
    fn postgres() {
        storm_under(stored_before(), "Envoy killed, audit: before", Which::Postgres, killed_before);
    }
}

fn stored_before() -> serde_json::Value {
    let mut before = policy();
    before["rules"][0]["audit"] = json!("before");
    before
}

/// What left has a row: its own, or an `error` row made of what was stored before. That one comes
/// when the VM has been silent for 30 s and the record's way is surely over (15 s).
async fn killed_before(storm: &mut Storm<'_>) {
    kills(storm).await;

    let books = storm.books_after(Duration::from_mins(1)).await;
    books.assert_no_more();
    assert!(
        books.lost.is_empty(),
        "{} calls left and have no row: {:#?}",
        books.lost.len(),
        books.lost
    );
}
