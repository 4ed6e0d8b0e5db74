//! Every exchange is one row, whichever way it came, and whatever dies.

use crate::world::{Fallible, World, message, told};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::time::Duration;
use tokio::time::sleep;

fn spool(world: &World, lines: &str) -> Fallible {
    let mut file = File::options().create(true).append(true).open(world.place.spool())?;
    Ok(file.write_all(lines.as_bytes())?)
}

#[tokio::test]
async fn told_both_ways_it_is_one_row() -> Fallible {
    let world = World::start().await?;
    let mut entries = Vec::new();
    let mut lines = String::new();
    for number in 0..500 {
        let (entry, line) = told(&format!("event-{number}"), number);
        entries.push(entry);
        lines += &line;
    }
    let halves: Vec<_> = entries.chunks(50).map(|chunk| message(chunk.to_vec())).collect();

    spool(&world, &lines)?;
    world.envoy().await?.stream_access_logs(futures_util::stream::iter(halves)).await?;

    world.until_rows(500).await?;
    sleep(Duration::from_millis(500)).await;
    let rows = world.rows().await?;
    let ids: BTreeSet<_> = rows.iter().map(|row| row.text("event_id")).collect();
    assert_eq!((rows.len(), ids.len()), (500, 500), "none doubled, none lost");
    let count = |name: &str| {
        let world = &world;
        let name = format!("tollgate_audit_{name}");
        async move { world.metric(&name).await }
    };
    let stored =
        count("rows_total{way=\"grpc\"}").await? + count("rows_total{way=\"spool\"}").await?;
    let doubled = count("duplicates_total{way=\"grpc\"}").await?
        + count("duplicates_total{way=\"spool\"}").await?;
    assert_eq!((stored, doubled), (500, 500));
    Ok(())
}

#[tokio::test]
async fn either_way_alone_is_enough() -> Fallible {
    let world = World::start().await?;
    let (quick, _) = told("quick", 1);
    let (_, sure) = told("sure", 2);

    spool(&world, &sure)?;
    world
        .envoy()
        .await?
        .stream_access_logs(futures_util::stream::iter([message(vec![quick])]))
        .await?;

    let rows = world.until_rows(2).await?;
    let ids: BTreeSet<_> = rows.iter().map(|row| row.text("event_id")).collect();
    assert_eq!(ids, ["quick".to_owned(), "sure".to_owned()].into());
    Ok(())
}

#[tokio::test]
async fn what_has_no_id_is_taken_from_the_spool_alone() -> Fallible {
    let world = World::start().await?;
    let (entry, line) = told("", 1);

    world
        .envoy()
        .await?
        .stream_access_logs(futures_util::stream::iter([message(vec![entry])]))
        .await?;
    spool(&world, &line)?;

    let rows = world.until_rows(1).await?;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(world.rows().await?.len(), 1);
    assert_eq!(rows[0].text("event_id"), "spool-1-0");
    assert_eq!(world.metric("tollgate_audit_grpc_nameless_total").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_message_of_many_megabytes_is_taken() -> Fallible {
    let world = World::start().await?;
    let (mut entry, _) = told("large", 1);
    entry.request.get_or_insert_default().user_agent = "x".repeat(20 * 1024 * 1024);

    world
        .envoy()
        .await?
        .stream_access_logs(futures_util::stream::iter([message(vec![entry])]))
        .await?;

    world.until_rows(1).await?;
    Ok(())
}

#[tokio::test]
async fn while_the_database_is_away_rows_wait_and_then_all_are_there() -> Fallible {
    let world = World::start().await?;
    let mut client = world.envoy().await?;
    world.sql("ALTER TABLE audit_events RENAME TO away").await?;
    let mut lines = String::new();
    let mut entries = Vec::new();
    for number in 0..40 {
        let (entry, line) = told(&format!("event-{number}"), number);
        // Half of them by one way alone.
        if number < 20 {
            entries.push(entry);
        }
        lines += &line;
    }

    client.stream_access_logs(futures_util::stream::iter([message(entries)])).await?;
    spool(&world, &lines)?;
    sleep(Duration::from_millis(700)).await;
    assert!(world.metric("tollgate_store_errors_total").await? > 0);
    assert_eq!(world.metric("tollgate_spool_offset_bytes").await?, 0, "nothing is skipped");
    assert_eq!(world.gate("/gate/policy").await?.status, 200, "the gate is still fed");
    world.sql("ALTER TABLE away RENAME TO audit_events").await?;

    world.until_rows(40).await?;
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(world.rows().await?.len(), 40, "none lost, none doubled");
    Ok(())
}

#[tokio::test]
async fn a_sidecar_that_is_stopped_stores_what_it_was_told_and_goes_on_after() -> Fallible {
    let world = World::start().await?;
    let (sender, receiver) = futures_channel();
    let mut client = world.envoy().await?;
    let stream = tokio::spawn(async move { client.stream_access_logs(receiver).await });
    let (entry, _) = told("quick", 1);
    sender.send(message(vec![entry])).await?;
    let (_, line) = told("sure", 2);
    spool(&world, &line)?;
    world.until_rows(2).await?;
    let (_, late) = told("late", 3);
    spool(&world, &late)?;

    let start = std::time::Instant::now();
    let World { place, sidecar, .. } = world;
    sidecar.drain().await;
    assert!(start.elapsed() < Duration::from_secs(4), "an open stream holds nothing up");
    assert!(stream.await?.is_ok(), "Envoy is told properly");

    let (_, away) = told("while away", 4);
    let mut file = File::options().append(true).open(place.spool())?;
    file.write_all(away.as_bytes())?;
    let again = World::start_in(place).await?;
    let rows = again.until_rows(4).await?;
    let ids: Vec<_> = rows.iter().map(|row| row.text("event_id")).collect();
    assert_eq!(ids, ["quick", "sure", "late", "while away"]);
    assert_eq!(again.metric("tollgate_audit_duplicates_total{way=\"spool\"}").await?, 0);
    Ok(())
}

type Messages = envoy_types::pb::envoy::service::accesslog::v3::StreamAccessLogsMessage;

fn futures_channel() -> (
    tokio::sync::mpsc::Sender<Messages>,
    impl futures_util::Stream<Item = Messages> + Send + 'static,
) {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(8);
    (sender, futures_util::stream::poll_fn(move |context| receiver.poll_recv(context)))
}
