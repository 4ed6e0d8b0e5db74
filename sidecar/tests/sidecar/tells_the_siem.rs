//! Every row reaches a sink at least once and in order, whatever the sink, the sidecar or the
//! database does meanwhile; and nobody waits for a sink.

use crate::receiver::{Act, Receiver, ok, status};
use crate::siem::{Bench, TOKEN, ids, lines_to, metric, seen, until};
use crate::starts::SERVE;
use crate::world::{Fallible, Place};
use serde_json::json;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tollgate::settings::Data;

async fn a_bad_day(mut bench: Bench) -> Fallible {
    let mut acts = vec![
        Act::Answer(429, "retry-after: 2\r\n", String::new()),
        ok(),
        status(500),
        Act::Hang,
        Act::Break,
        ok(),
        status(503),
    ]
    .into_iter();
    let times = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&times);
    let siem = Receiver::start(move |_| {
        notes.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        acts.next().unwrap_or_else(ok)
    })
    .await?;
    bench.append(0..35).await?;
    let sidecar = bench.serve(json!([lines_to(&siem.url())])).await?;

    let asked = siem.until(|asked| seen(asked).len() == 35).await?;

    assert_eq!(seen(&asked), ids(0..35), "all, in the order of their writer");
    let times = times.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let [first, second, ..] = times[..] else { return Err("no two".into()) };
    assert!(second - first >= Duration::from_secs(2), "it asked for two seconds");
    until(&sidecar, "tollgate_siem_rows_total{sink=\"a\"}", 35).await?;
    for reason in ["busy", "server", "timeout", "unreachable"] {
        let name = format!("tollgate_siem_failures_total{{sink=\"a\",reason=\"{reason}\"}}");
        assert!(metric(&sidecar, &name).await? >= 1, "{reason}");
    }
    sleep(Duration::from_millis(800)).await;
    assert_eq!(metric(&sidecar, "tollgate_siem_lag_rows{sink=\"a\"}").await?, 0);
    assert_eq!(metric(&sidecar, "tollgate_siem_lag_seconds{sink=\"a\"}").await?, 0);
    assert!(bench.dead_letters("a").is_empty(), "none was given up");
    sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn a_sink_that_is_busy_fails_hangs_or_breaks_off_gets_every_row() -> Fallible {
    a_bad_day(Bench::sqlite().await?).await
}

#[tokio::test]
async fn the_same_with_the_table_in_postgres() -> Fallible {
    a_bad_day(Bench::postgres().await?).await
}

async fn restarts(mut bench: Bench) -> Fallible {
    // It takes ten rows, and is away until the sidecar was started again.
    let back = Arc::new(AtomicBool::new(false));
    let (is_back, mut first) = (Arc::clone(&back), true);
    let siem = Receiver::start(move |_| {
        if std::mem::take(&mut first) || is_back.load(Ordering::Relaxed) { ok() } else { Act::Hang }
    })
    .await?;
    bench.append(0..25).await?;
    let sidecar = bench.serve(json!([lines_to(&siem.url())])).await?;
    siem.until(|asked| asked.len() >= 2).await?;
    until(&sidecar, "tollgate_siem_rows_total{sink=\"a\"}", 10).await?;
    assert_eq!(metric(&sidecar, "tollgate_siem_lag_rows{sink=\"a\"}").await?, 15);
    assert!(metric(&sidecar, "tollgate_siem_lag_seconds{sink=\"a\"}").await? > 1_000_000);

    let start = Instant::now();
    sidecar.drain().await;
    assert!(start.elapsed() < Duration::from_secs(3), "one that hangs holds nothing up");
    bench.append(25..40).await?;
    let before = siem.asked().len();
    back.store(true, Ordering::Relaxed);
    let sidecar = bench.again().await?;

    let asked = siem.until(|asked| seen(asked).len() == 40).await?;
    assert_eq!(seen(&asked), ids(0..40));
    assert_eq!(
        seen(asked.iter().skip(before)),
        ids(10..40),
        "what was acknowledged is not sent again"
    );
    sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn none_is_lost_over_a_restart_and_none_that_was_acknowledged_is_sent_again() -> Fallible {
    restarts(Bench::sqlite().await?).await
}

#[tokio::test]
async fn none_is_lost_over_a_restart_with_the_table_in_postgres() -> Fallible {
    restarts(Bench::postgres().await?).await
}

#[tokio::test]
async fn of_two_sidecars_one_sends_and_the_other_goes_on_after_it() -> Fallible {
    let siem = Receiver::start(|_| ok()).await?;
    let mut first = Bench::postgres().await?;
    let mut other = Place::new()?;
    other.data = other.data.with_postgres(first.place.data.postgres().cloned());
    // One installation: both believe the same policies.
    for file in [Data::policy_pin, Data::policy] {
        fs::copy(file(&first.place.data), file(&other.data))?;
    }
    first.append(0..20).await?;
    let one = first.serve(json!([lines_to(&siem.url())])).await?;
    siem.until(|asked| seen(asked).len() == 20).await?;
    other.siem.clone_from(&first.place.siem);
    let two = tollgate::run::Sidecar::start(other.settings()).await?;
    let more = tollgate::store::Store::create(&other.data).await?;
    first.append(20..40).await?;

    siem.until(|asked| seen(asked).len() == 40).await?;
    sleep(Duration::from_secs(1)).await;
    let rows: usize = siem.asked().iter().map(|asked| asked.lines().len()).sum();
    assert_eq!(rows, 40, "each was sent by one of them");
    assert_eq!(metric(&two, "tollgate_siem_rows_total{sink=\"a\"}").await?, 0);

    one.drain().await;
    let late = contract::audit::Event { event_id: "event-40".into(), ..Default::default() };
    more.append(&[late], None).await?;
    siem.until(|asked| seen(asked).len() == 41).await?;
    assert_eq!(metric(&two, "tollgate_siem_rows_total{sink=\"a\"}").await?, 1);
    two.drain().await;
    Ok(())
}

#[tokio::test]
async fn a_row_that_is_refused_alone_is_a_dead_letter_and_the_rest_flows() -> Fallible {
    let siem =
        Receiver::start(
            |asked| {
                if asked.body.contains("\"event-13\"") { status(400) } else { ok() }
            },
        )
        .await?;
    let mut bench = Bench::sqlite().await?;
    bench.append(0..30).await?;
    let sidecar = bench.serve(json!([lines_to(&siem.url())])).await?;

    until(&sidecar, "tollgate_siem_rows_total{sink=\"a\"}", 29).await?;

    let letters = bench.dead_letters("a");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["event_id"], "event-13");
    assert_eq!(metric(&sidecar, "tollgate_siem_dead_letters_total{sink=\"a\"}").await?, 1);
    sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn the_only_row_there_is_can_be_a_dead_letter_too() -> Fallible {
    let siem = Receiver::start(
        |asked| {
            if asked.body.contains("\"event-5\"") { status(400) } else { ok() }
        },
    )
    .await?;
    let mut bench = Bench::sqlite().await?;
    bench.append(0..5).await?;
    let sidecar = bench.serve(json!([lines_to(&siem.url())])).await?;
    until(&sidecar, "tollgate_siem_rows_total{sink=\"a\"}", 5).await?;
    sidecar.drain().await;

    bench.append(5..6).await?;
    let sidecar = bench.again().await?;

    until(&sidecar, "tollgate_siem_dead_letters_total{sink=\"a\"}", 1).await?;
    assert_eq!(bench.dead_letters("a")[0]["event_id"], "event-5");
    sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn a_sink_that_refuses_everything_costs_no_row() -> Fallible {
    for refusal in [400, 401, 302] {
        let right = Arc::new(AtomicBool::new(false));
        let is_right = Arc::clone(&right);
        let siem = Receiver::start(move |asked| {
            let known = refusal != 401 || asked.header("authorization") == "Bearer another-token";
            if is_right.load(Ordering::Relaxed) && known {
                return ok();
            }
            let location = "location: http://127.0.0.1:1/elsewhere\r\n";
            Act::Answer(refusal, location, format!("who is {TOKEN}?"))
        })
        .await?;
        let mut bench = Bench::sqlite().await?;
        bench.append(0..12).await?;
        let mut sink = lines_to(&siem.url());
        sink["token_file"] = bench.token()?.into();
        let sidecar = bench.serve(json!([sink])).await?;
        siem.until(|asked| asked.len() >= 3).await?;

        assert!(bench.dead_letters("a").is_empty(), "{refusal}");
        assert_eq!(metric(&sidecar, "tollgate_siem_rows_total{sink=\"a\"}").await?, 0);
        // A credential that was refused is read anew.
        bench.secret("token", "another-token")?;
        right.store(true, Ordering::Relaxed);
        until(&sidecar, "tollgate_siem_rows_total{sink=\"a\"}", 12).await?;
        assert_eq!(seen(&siem.asked()), ids(0..12));
        sidecar.drain().await;
    }
    Ok(())
}

#[tokio::test]
async fn one_sink_that_hangs_slows_neither_the_others_nor_the_table() -> Fallible {
    let hanging = Receiver::start(|_| Act::Hang).await?;
    let good = Receiver::start(|_| ok()).await?;
    let mut bench = Bench::sqlite().await?;
    let mut stuck = lines_to(&hanging.url());
    stuck["name"] = "stuck".into();
    let sidecar = bench.serve(json!([stuck, lines_to(&good.url())])).await?;

    let start = Instant::now();
    for chunk in 0..50 {
        bench.append(chunk * 20..(chunk + 1) * 20).await?;
    }
    let appended = start.elapsed();

    let asked = good.until(|asked| seen(asked).len() == 1_000).await?;
    assert_eq!(seen(&asked), ids(0..1_000));
    assert!(appended < Duration::from_secs(10), "1,000 rows took {appended:?} to store");
    assert_eq!(metric(&sidecar, "tollgate_siem_rows_total{sink=\"stuck\"}").await?, 0);
    sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn a_sink_from_now_on_begins_at_its_first_start_and_not_at_each() -> Fallible {
    let siem = Receiver::start(|_| ok()).await?;
    let mut bench = Bench::sqlite().await?;
    bench.append(0..5).await?;
    let mut sink = lines_to(&siem.url());
    sink["from"] = "now".into();
    let sidecar = bench.serve(json!([sink])).await?;
    sleep(Duration::from_millis(1_500)).await;
    sidecar.drain().await;
    bench.append(5..8).await?;
    let sidecar = bench.again().await?;

    let asked = siem.until(|asked| seen(asked).len() >= 3).await?;
    assert_eq!(seen(&asked), ids(5..8));
    sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn a_row_that_was_spoiled_in_the_database_silences_none_behind_it() -> Fallible {
    let siem = Receiver::start(|_| ok()).await?;
    let mut bench = Bench::sqlite().await?;
    bench.append(0..40).await?;
    let url = format!("sqlite://{}", bench.place.data.database().display());
    let mut raw = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await?;
    let spoil = "DROP TRIGGER audit_events_no_update;
                 UPDATE audit_events SET payload = 'no json' WHERE event_id = 'event-17'";
    sqlx::raw_sql(spoil).execute(&mut raw).await?;
    let sidecar = bench.serve(json!([lines_to(&siem.url())])).await?;

    until(&sidecar, "tollgate_siem_rows_total{sink=\"a\"}", 39).await?;

    assert_eq!(seen(&siem.asked()).len(), 39);
    let letters = bench.dead_letters("a");
    assert_eq!((letters.len(), &letters[0]["place"]), (1, &18.into()), "{letters:?}");
    sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn no_row_is_passed_over_before_its_dead_letter_is_kept() -> Fallible {
    let siem = Receiver::start(
        |asked| {
            if asked.body.contains("\"event-3\"") { status(400) } else { ok() }
        },
    )
    .await?;
    let mut bench = Bench::sqlite().await?;
    bench.append(0..8).await?;
    let letters = bench.place.data.dead_letters("a");
    fs::create_dir_all(&letters)?;
    let sidecar = bench.serve(json!([lines_to(&siem.url())])).await?;

    let failed = "tollgate_siem_failures_total{sink=\"a\",reason=\"file\"}";
    until(&sidecar, failed, 2).await?;
    assert_eq!(metric(&sidecar, "tollgate_siem_lag_rows{sink=\"a\"}").await?, 8);
    fs::remove_dir(&letters)?;

    until(&sidecar, "tollgate_siem_rows_total{sink=\"a\"}", 7).await?;
    assert_eq!(bench.dead_letters("a")[0]["event_id"], "event-3");
    sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn a_sidecar_that_is_killed_in_the_middle_leaves_no_row_out() -> Fallible {
    let siem = Receiver::start(|_| {
        std::thread::sleep(Duration::from_millis(30));
        ok()
    })
    .await?;
    let mut bench = Bench::sqlite().await?;
    bench.append(0..300).await?;
    let config = bench.place.directory.path().join("siem.json");
    fs::write(&config, json!({ "sinks": [lines_to(&siem.url())] }).to_string())?;
    bench.place.siem = Some(config.clone());
    for round in 1..4 {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(SERVE)
            .arg("--spool")
            .arg(bench.place.spool())
            .arg("--siem")
            .arg(&config)
            .env("TOLLGATE_DATA", bench.place.data.root())
            .stderr(std::process::Stdio::null())
            .spawn()?;
        siem.until(|asked| asked.len() >= round * 5).await?;
        child.kill()?;
        child.wait()?;
    }
    let sidecar = bench.again().await?;

    let asked = siem.until(|asked| seen(asked).len() == 300).await?;

    assert_eq!(seen(&asked), ids(0..300));
    let rows: usize = asked.iter().map(|asked| asked.lines().len()).sum();
    assert!(rows <= 330, "of each start at most one batch came twice: {rows}");
    sidecar.drain().await;
    Ok(())
}
