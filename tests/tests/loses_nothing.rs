//! What fails around Envoy under load costs no row: whatever happens to the sidecar, the database,
//! the disk or the line between them, each exchange that Envoy finished is one row. What happens to
//! Envoy itself stands in `loses_little.rs`. The table in `docs/failures.md` has each of these tests.

use e2e::on_both;
use e2e::storm::Storm;
use e2e::storm::base::{self, Base, Which};
use e2e::storm::disk::{Disk, inside};
use e2e::world::World;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use std::process::Command;
use std::time::Duration;
use tokio::time::sleep;

on_both! {
    fn a_sidecar_killed_under_load_loses_no_row("sidecar killed") sidecar_killed;
    fn a_sidecar_that_stands_still_loses_no_row("sidecar stands still") sidecar_stands_still;
    fn a_line_to_the_sidecar_that_is_cut_loses_no_row("line to the sidecar cut") line_cut;
    fn a_database_that_is_away_loses_no_row("database away") database_away;
    fn a_full_disk_under_the_database_loses_no_row("database's disk full", super::inside) database_full;
    fn a_full_disk_under_the_spool_loses_no_row("spool's disk full", super::inside) spool_full;
    /// The one case where rows of finished exchanges are lost: nobody can write. They are counted.
    fn with_a_full_spool_and_no_sidecar_every_lost_row_is_a_hole(
        "spool's disk full, sidecar killed", super::inside) both_ways_full;
}

/// Killed as by a crash, away for a moment, started again.
async fn sidecar_killed(storm: &mut Storm<'_>) {
    storm
        .rounds(async |storm| {
            storm.world.kill_sidecar();
            sleep(storm.dice.between(100, 1000)).await;
            storm.world.start_sidecar().await.unwrap();
        })
        .await;

    let books = storm.books().await;
    books.assert_whole();
    books.assert_all_served();
}

fn signal(world: &World, name: &str) {
    let pid = world.sidecar_pid().unwrap().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// Neither dead nor alive: connections stay open and nobody reads, until Envoy's buffer is full.
async fn sidecar_stands_still(storm: &mut Storm<'_>) {
    storm
        .rounds(async |storm| {
            signal(storm.world, "-STOP");
            sleep(storm.dice.between(1000, 3000)).await;
            signal(storm.world, "-CONT");
        })
        .await;

    let books = storm.books().await;
    books.assert_whole();
    books.assert_all_served();
}

/// Cut in the middle of whatever is sent, several times, and for a moment at last.
async fn line_cut(storm: &mut Storm<'_>) {
    storm
        .rounds(async |storm| {
            for _ in 0..5 {
                storm.cable.cut();
                storm.cable.mend();
                sleep(storm.dice.between(20, 200)).await;
            }
            storm.cable.cut();
            sleep(storm.dice.between(100, 1000)).await;
            storm.cable.mend();
        })
        .await;

    let books = storm.books().await;
    books.assert_whole();
    books.assert_all_served();
}

/// Postgres crashes and comes back. `SQLite` has no server: what it meets is another program that
/// holds its lock (a backup, somebody's shell), here for 2 to 7 s. The sidecar's patience is 5 s.
async fn database_away(storm: &mut Storm<'_>) {
    storm
        .rounds(async |storm| match storm.base.which {
            Which::Postgres => {
                blocking(storm.base, |base| base.server().unwrap().stop().unwrap());
                sleep(storm.dice.between(300, 2000)).await;
                blocking(storm.base, |base| base.server().unwrap().resume().unwrap());
            }
            Which::Sqlite => {
                let options = SqliteConnectOptions::new()
                    .filename(base::file(storm.world))
                    .busy_timeout(Duration::from_secs(10));
                let mut other: SqliteConnection = options.connect().await.unwrap();
                sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
                sleep(storm.dice.between(2000, 7000)).await;
                sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
                other.close().await.unwrap();
            }
        })
        .await;

    let books = storm.books().await;
    books.assert_whole();
    books.assert_all_served();
}

fn blocking<T>(base: &Base, act: impl FnOnce(&Base) -> T) -> T {
    tokio::task::block_in_place(|| act(base))
}

/// The database cannot grow by a byte, and then it can.
async fn database_full(storm: &mut Storm<'_>) {
    let disk = match storm.base.which {
        Which::Sqlite => {
            storm.world.kill_sidecar();
            let disk = Disk::over(&storm.world.place.join("data")).unwrap();
            storm.world.start_sidecar().await.unwrap();
            disk
        }
        Which::Postgres => {
            let server = storm.base.server().unwrap();
            server.stop().unwrap();
            let disk = Disk::over(&storm.base.server_files().unwrap()).unwrap();
            server.resume().unwrap();
            disk
        }
    };
    storm
        .rounds(async |storm| {
            disk.fill().unwrap();
            sleep(storm.dice.between(1000, 3000)).await;
            disk.free().unwrap();
            if let Some(server) = &storm.base.cluster
                && server.sql("postgres", "SELECT 1").is_err()
            {
                // It had not even room for its log, and went down: an operator starts it again.
                blocking(storm.base, |base| {
                    drop(base.server().unwrap().stop());
                    base.server().unwrap().resume().unwrap();
                });
            }
        })
        .await;

    let books = storm.books().await;
    books.assert_whole();
    books.assert_all_served();
}

/// A disk under the spool. Envoy has its file open, so it is started anew.
async fn spool_disk(storm: &mut Storm<'_>) -> Disk {
    tokio::task::block_in_place(|| storm.world.stop_envoy()).unwrap();
    storm.world.kill_sidecar();
    let disk = Disk::over(&storm.world.run().join("spool")).unwrap();
    storm.world.start_sidecar().await.unwrap();
    storm.world.start_envoy().await.unwrap();
    disk
}

/// How many writes of its files Envoy says have failed.
async fn write_failed(world: &World) -> u64 {
    let stats = world.admin("/stats?filter=filesystem.write_failed").await.unwrap();
    let number = stats.trim().rsplit(' ').next().unwrap_or_default();

    number.parse().unwrap_or_default()
}

/// What Envoy cannot write to the file is gone from there. By gRPC it comes nevertheless.
async fn spool_full(storm: &mut Storm<'_>) {
    let disk = spool_disk(storm).await;
    storm
        .rounds(async |storm| {
            disk.fill().unwrap();
            sleep(storm.dice.between(1000, 3000)).await;
            disk.free().unwrap();
        })
        .await;

    assert!(write_failed(storm.world).await > 0, "the disk was not full");
    let books = storm.books().await;
    books.assert_whole();
    books.assert_all_served();
}

async fn both_ways_full(storm: &mut Storm<'_>) {
    let disk = spool_disk(storm).await;
    storm
        .rounds(async |storm| {
            disk.fill().unwrap();
            storm.world.kill_sidecar();
            sleep(storm.dice.between(300, 1000)).await;
            disk.free().unwrap();
            storm.world.start_sidecar().await.unwrap();
        })
        .await;

    assert!(write_failed(storm.world).await > 0, "the disk was not full");
    let books = storm.books().await;
    books.assert_no_more();
    books.assert_all_served();
    let lost = u64::try_from(books.lost.len()).unwrap();
    assert!(lost > 0, "nobody could write");
    assert_eq!(books.holes(), lost, "what is lost is seen: {:?}", books.sequences);
}
