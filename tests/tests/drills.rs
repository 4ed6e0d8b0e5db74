//! The revocation drill: it measures, writes down, and restores however it ends.

use e2e::person::{Person, call, drill, until_everywhere};
use e2e::suite::Suite;
use e2e::world::processes::built;
use e2e::world::setup::Setup;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::time::sleep;

static SUITE: Suite = Suite::new(|| Setup { concurrency: 2, ..Setup::named("drills") });

#[test]
fn the_drill_measures_writes_down_and_restores_and_reaches_no_provider() {
    SUITE.run(async |world| {
        let kim = Person::new(world, "kim");
        let token = kim.token(world).await;

        let told = tokio::task::block_in_place(|| drill(world, &kim.email, &[]));

        let refused = told["refused_after_ms"].as_u64().unwrap();
        assert!(refused < 2_000, "{told}");
        assert!(told["stored_after_ms"].as_u64().unwrap() >= refused, "{told}");
        assert_eq!(
            (&told["restored"], &told["credential_confirmed"]),
            (&true.into(), &true.into())
        );
        assert_eq!(call(world, &token).await.status, 200, "what they hold works again");
        let rows = world.rows().await;
        let event = rows.iter().find(|row| row.text("event_id") == told["event_id"]).unwrap();
        assert_eq!((event.text("outcome"), event.text("user_id")), ("denied", &*kim.email));
        assert_eq!(event.text("credential_id"), told["credential_id"]);
        let trace = event.text("trace_id");
        let probes: Vec<_> = rows.iter().filter(|row| row.text("trace_id") == trace).collect();
        assert!(probes.len() > 1 && probes.iter().all(|row| row.text("outcome") == "denied"));
        let acts: Vec<&str> = rows
            .iter()
            .filter(|row| row.text("kind") == "admin")
            .filter_map(|row| row.payload["target"].as_str())
            .filter(|target| target.contains(&kim.email) && target.contains("drill"))
            .collect();
        assert_eq!(acts.len(), 3, "revoked, restored, measured: {acts:?}");
        assert!(acts.iter().any(|act| act.contains(&format!("refused after {refused} ms"))));
    });
}

#[test]
fn a_drill_waits_for_the_person_s_own_call_and_restores_when_it_is_interrupted() {
    SUITE.run(async |world| {
        let lea = Person::new(world, "lea");
        let token = lea.token(world).await;
        let drilling = || {
            let data = world.place.join("data");
            Command::new(built("tollgate").unwrap())
                .arg("--data")
                .arg(data)
                .args(["--json", "access", "drill", "--user", &lea.email, "--timeout", "20s"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        };

        let (child, begun) = (drilling(), Instant::now());
        while call(world, &token).await.status != 401 {
            assert!(begun.elapsed() < Duration::from_secs(4), "not refused");
            sleep(Duration::from_millis(10)).await;
        }
        let output = tokio::task::block_in_place(|| child.wait_with_output()).unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&told["credential_id"], &told["probed"]), (&lea.pat_id.into(), &false.into()));
        until_everywhere(world, &token, 200, Instant::now()).await;

        let child = drilling();
        sleep(Duration::from_millis(500)).await;
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let output = tokio::task::block_in_place(|| child.wait_with_output()).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("is restored"), "{said}");
        let listed = world.tollgate(&["access", "list"]).unwrap();
        assert!(!listed.contains(&lea.email), "{listed}");
    });
}
