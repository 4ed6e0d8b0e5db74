//! What operators lay on people holds: for the gate, at sign-in, and in the rows.

use crate::feeds_the_gate::{board, changed, stopped};
use crate::starts::{text, tollgate};
use crate::world::{Answer, Fallible, World, ask};
use contract::audit::Acted;
use contract::standing::Stop;
use serde_json::Value;
use std::process::Output;
use std::time::Duration;
use tokio::time::sleep;

const ANN: &str = "ann@example.com";

fn access(world: &World, args: &[&str]) -> Fallible<Output> {
    tollgate(&world.place, &[&["access"], args].concat())
}

fn code(answer: &Answer) -> Fallible<String> {
    let acted: Acted = serde_json::from_str(answer.header("x-tollgate-caller"))?;
    Ok(acted.rule_id.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // commands run beside the sidecar
async fn who_is_revoked_and_signs_in_again_gets_nothing_until_restored() -> Fallible {
    let world = World::start().await?;
    let (pat, id) = world.pat(600).await?;
    for (what, it) in [("user", ANN), ("pat", &*id), ("user", "usr_1")] {
        assert_eq!(world.sign_in(&pat).await?.status, 200, "{what} {it}");
        let before = world.gate("/gate/standing").await?;

        let done = access(&world, &["revoke", what, it, "--why", "laptop stolen", "--json"])?;

        let told: Value = serde_json::from_slice(&done.stdout)?;
        assert_eq!((&told["user_id"], &told["state"]), (&ANN.into(), &"revoked".into()));
        assert!(told["live_tokens"].as_u64() > Some(0), "{told}");
        let refused = world.sign_in(&pat).await?;
        assert_eq!((refused.status, &*code(&refused)?), (401, "access_revoked"));
        assert_eq!(refused.json()?["error"]["type"], "authentication_error");
        assert!(changed(&world, "/gate/standing", &before.body).await?);
        let listed = world.gate("/gate/standing").await?;
        assert_eq!(stopped(&listed, &id)?, Some(Stop::Revoked));

        let done = access(&world, &["restore", what, it])?;
        assert!(done.status.success(), "{}", text(&done.stderr));
        assert!(changed(&world, "/gate/standing", &listed.body).await?);
        assert_eq!(stopped(&world.gate("/gate/standing").await?, &id)?, None);
    }
    assert_eq!(world.sign_in(&pat).await?.status, 200);
    assert_eq!(world.metric("tollgate_auth_refusals_total{code=\"access_revoked\"}").await?, 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // commands run beside the sidecar
async fn who_is_paused_cannot_sign_in_and_can_when_it_is_over() -> Fallible {
    let world = World::start().await?;
    let (pat, _) = world.pat(600).await?;
    access(&world, &["pause", "user", ANN, "--for", "2s", "--why", "forensics"])?;

    let refused = world.sign_in(&pat).await?;
    assert_eq!((refused.status, &*code(&refused)?), (403, "access_paused"));
    assert_eq!(refused.json()?["error"]["type"], "permission_error");
    sleep(Duration::from_secs(3)).await;

    assert_eq!(world.sign_in(&pat).await?.status, 200);
    assert_eq!(text(&access(&world, &["list", "--json"])?.stdout), "", "it is not listed any more");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // commands run beside the sidecar
async fn who_is_throttled_signs_in_and_gates_are_told() -> Fallible {
    let world = World::start().await?;
    let (pat, _) = world.pat(600).await?;
    let before = world.gate("/gate/standing").await?;

    let args = ["throttle", "user", ANN, "--per-minute", "10", "--for", "1d", "--why", "loops"];
    assert!(access(&world, &args)?.status.success());

    assert_eq!(world.sign_in(&pat).await?.status, 200);
    assert!(changed(&world, "/gate/standing", &before.body).await?);
    assert_eq!(board(&world.gate("/gate/standing").await?)?.len(), 1);
    let looser = access(
        &world,
        &["throttle", "user", ANN, "--per-minute", "20", "--for", "1d", "--why", "please"],
    )?;
    assert_eq!(looser.status.code(), Some(1));
    assert!(text(&looser.stderr).contains("stricter"), "{}", text(&looser.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // commands run beside the sidecar
async fn every_act_is_listed_with_who_and_why_and_leaves_a_row_that_says_what_it_undid() -> Fallible
{
    let world = World::start().await?;
    let (_, id) = world.pat(600).await?;
    access(&world, &["revoke", "pat", &id, "--why", "left in a repository"])?;
    access(&world, &["pause", "user", ANN, "--for", "2h", "--why", "looks odd"])?;

    let listed = text(&access(&world, &["list", "--json"])?.stdout);
    let listed = listed.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let table = text(&access(&world, &["list"])?.stdout);
    access(&world, &["restore", "pat", &id, "--why", "rotated"])?;

    assert_eq!(listed.len(), 2);
    let of = |kind: &str| listed.iter().find(|it| it["kind"] == kind).ok_or("not listed");
    assert_eq!(
        (&of("pat")?["why"], &of("pat")?["until"]),
        (&"left in a repository".into(), &Value::Null)
    );
    assert!(of("user")?["until"].is_string() && of("user")?["by"].is_string());
    assert!(table.contains("left in a repository") && table.lines().count() == 3, "{table}");
    let out =
        text(&tollgate(&world.place, &["audit", "query", "--kind", "admin", "--json"])?.stdout);
    let rows = out.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let target =
        |n: usize| rows.iter().rev().nth(n).map(|row| row["payload"]["target"].to_string());
    let [restored, paused, revoked] = [0, 1, 2].map(|n| target(n).unwrap_or_default());
    assert!(
        revoked.contains(&format!("access revoke pat {id}: left in a repository")),
        "{revoked}"
    );
    assert!(paused.contains("access pause until 20") && paused.contains(ANN), "{paused}");
    assert!(restored.contains(": rotated (was revoked by "), "{restored}");
    let last = rows.last().ok_or("no rows")?;
    assert_eq!((&last["credential_id"], &last["tenant_id"]), (&id.into(), &"acme".into()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // commands run beside the sidecar
async fn what_is_not_there_is_not_found_unless_it_may_be_unknown() -> Fallible {
    let world = World::start().await?;
    let (_, id) = world.pat(600).await?;
    let status = |args: &[&str]| -> Fallible<Option<i32>> {
        Ok(access(&world, &[args, &["--why", "test"]].concat())?.status.code())
    };
    for (what, it) in [
        ("user", "bob@example.com"),
        ("user", "usr_9"),
        ("pat", "pat_000000000000"),
        ("session", "ses_9"),
        ("token", "jti_9"),
        ("cert", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"),
    ] {
        assert_eq!(status(&["revoke", what, it])?, Some(3), "{what}");
        assert_eq!(status(&["restore", what, it])?, Some(3), "{what}");
        let unknown = status(&["revoke", what, it, "--unknown-too"])?;
        let expected = if matches!(what, "user" | "pat") { 3 } else { 0 };
        assert_eq!(unknown, Some(expected), "{what}");
    }
    assert_eq!(status(&["revoke", "cert", "not a fingerprint"])?, Some(1));
    assert_eq!(status(&["pause", "user", ANN])?, Some(2), "for how long?");
    tollgate(&world.place, &["pat", "revoke", &id])?;
    assert_eq!(status(&["restore", "pat", &id])?, Some(1), "that was for good");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // commands run beside the sidecar
async fn while_the_database_is_away_the_standing_says_how_old_it_is() -> Fallible {
    let world = World::start().await?;
    world.sql("ALTER TABLE standing_version RENAME TO away").await?;
    sleep(Duration::from_millis(2_500)).await;

    let first = world.gate("/gate/standing").await?;
    let tag = [("if-none-match", first.header("etag"))];
    let again = ask(world.at.gate, "GET", "/gate/standing", &tag, "").await?;
    let age: u64 = again.header("age").parse()?;
    assert!((1..=5).contains(&age), "{age}");
    assert_eq!((first.status, again.status), (200, 304), "the last one known holds");
    assert!(world.metric("tollgate_standing_age_seconds").await? >= 1);
    world.sql("ALTER TABLE away RENAME TO standing_version").await?;
    sleep(Duration::from_millis(600)).await;
    assert_eq!(world.gate("/gate/standing").await?.header("age"), "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // commands run beside the sidecar
async fn a_drill_that_sees_nobody_restores_them_and_one_of_somebody_stopped_is_none() -> Fallible {
    let world = World::start().await?;
    let (pat, _) = world.pat(600).await?;

    let done = access(&world, &["drill", "--user", ANN, "--timeout", "1s"])?;

    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done.stderr).contains("they are restored"), "{}", text(&done.stderr));
    assert_eq!(world.sign_in(&pat).await?.status, 200);
    assert_eq!(text(&access(&world, &["list", "--json"])?.stdout), "");
    access(&world, &["revoke", "user", ANN, "--why", "for real"])?;
    let done = access(&world, &["drill", "--user", ANN, "--timeout", "1s"])?;
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&access(&world, &["list"])?.stdout).contains("for real"), "and stays revoked");
    let none = access(&world, &["drill", "--user", "bob@example.com"])?;
    assert_eq!(none.status.code(), Some(3));
    Ok(())
}
