//! A standing that nobody confirms any more: it shows, and the policy says what happens.

use e2e::person::{SECONDS, call, until_everywhere};
use e2e::suite::alone;
use e2e::world::World;
use e2e::world::setup::Setup;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::sleep;

async fn age(world: &World) -> u64 {
    let stats = world.admin("/stats?filter=tollgate_standing_age_seconds").await.unwrap();

    stats.trim().rsplit(' ').next().unwrap().parse().unwrap()
}

fn log_lines(world: &World, text: &str) -> usize {
    let log = std::fs::read_to_string(world.place.join("logs/envoy.log")).unwrap();

    log.lines().filter(|line| line.contains(text)).count()
}

#[test]
fn a_standing_that_is_too_old_for_the_policy_refuses_all_and_serves_when_it_is_known_again() {
    let mut setup = Setup { concurrency: 2, ..Setup::named("revokes-stale") };
    setup.policy["standing"] = json!({ "max_age_seconds": 10 });
    alone(setup, async |world| {
        let token = world.token();
        assert_eq!(call(world, &token).await.status, 200);
        assert!(age(world).await <= 2);
        world.kill_sidecar();
        let begun = Instant::now();
        sleep(Duration::from_secs(8)).await;
        assert_eq!(call(world, &token).await.status, 200, "{:?}", begun.elapsed());
        sleep(Duration::from_secs(5)).await;

        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.push(call(world, &token).await);
        }

        for answer in &answers {
            answer.assert_refused(503, "api_error");
            assert_eq!(answer.header("x-tollgate-refusal"), "standing_stale");
        }
        assert!(age(world).await >= 12);
        assert_eq!(log_lines(world, "calls are refused from 10 s on"), 1);
        assert_eq!(world.get("/readyz").send(world).await.status, 200, "it is not Envoy's fault");
        world.start_sidecar().await.unwrap();
        until_everywhere(world, &token, 200, Instant::now()).await;
        assert_eq!(log_lines(world, "the standing is known again"), 1);
        let row = world.row_from(answers[0].source).await;
        assert_eq!((row.text("rule_id"), row.text("outcome")), ("standing_stale", "error"));
        assert_eq!(row.text("credential_id"), "pat_e2e");
    });
}

#[test]
fn unless_the_policy_says_so_an_old_standing_is_shown_and_calls_go_on() {
    alone(Setup { concurrency: 2, ..Setup::named("revokes-old") }, async |world| {
        let token = world.token();
        assert_eq!(call(world, &token).await.status, 200);
        world.kill_sidecar();
        sleep(Duration::from_secs(13)).await;

        for _ in 0..10 {
            assert_eq!(call(world, &token).await.status, 200);
        }

        assert!(age(world).await >= 12);
        assert_eq!(log_lines(world, "calls go on while their tokens last"), 1);
        world.start_sidecar().await.unwrap();
        sleep(SECONDS).await;
        assert!(age(world).await <= 2);
        assert_eq!(log_lines(world, "the standing is known again"), 1);
    });
}
