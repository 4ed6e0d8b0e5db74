//! What operators lay on people holds within two seconds, on all workers and all gateways, and ends
//! when they say so.

use e2e::client::answer::Answer;
use e2e::person::{MANY, Person, SECONDS, call, claim, denied, drill, until_everywhere};
use e2e::provider::script::Script;
use e2e::storm::base::{Base, Which};
use e2e::suite::{Suite, alone};
use e2e::world::World;
use e2e::world::setup::{Setup, Twin};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use std::time::{Duration, Instant};
use tokio::time::sleep;

static SUITE: Suite = Suite::new(|| Setup { concurrency: 4, ..Setup::named("revokes") });

/// Revokes it, sees it refused everywhere, restores it, sees it served everywhere.
async fn revoked_and_restored(
    world: &World,
    (what, id): (&str, &str),
    further: &[&str],
    token: &str,
    (user, credential): (&str, &str),
) {
    assert_eq!(call(world, token).await.status, 200);
    let begun = Instant::now();
    let command = ["access", "revoke", what, id, "--why", "test"];
    world.tollgate(&[&command[..], further].concat()).unwrap();

    let answers = until_everywhere(world, token, 401, begun).await;
    denied(world, &answers, "token_revoked", user, credential).await;

    let begun = Instant::now();
    world.tollgate(&["access", "restore", what, id]).unwrap();
    until_everywhere(world, token, 200, begun).await;
}

#[test]
fn a_person_is_refused_everywhere_and_nobody_signs_in_until_they_are_restored() {
    SUITE.run(async |world| {
        let cleo = Person::new(world, "cleo");
        let token = cleo.token(world).await;

        let begun = Instant::now();
        world.tollgate(&["access", "revoke", "user", &cleo.email, "--why", "left"]).unwrap();

        let again = cleo.sign_in(world).await;
        assert_eq!(again.status, 401, "at once");
        until_everywhere(world, &token, 401, begun).await;
        let row = world.row_from(again.source).await;
        let said = (row.text("kind"), row.text("outcome"), row.text("rule_id"));
        assert_eq!(said, ("auth", "denied", "access_revoked"), "{row:#?}");
        let who = (row.text("user_id"), row.text("credential_id"));
        assert_eq!(who, (&*cleo.email, &*cleo.pat_id));
        world.tollgate(&["access", "restore", "user", &cleo.email]).unwrap();
        assert_eq!(cleo.sign_in(world).await.status, 200);
        until_everywhere(world, &token, 200, Instant::now()).await;
        revoked_and_restored(
            world,
            ("user", &cleo.email),
            &[],
            &token,
            (&cleo.email, &cleo.pat_id),
        )
        .await;
    });
}

#[test]
fn a_personal_access_token_takes_what_was_minted_from_it_along() {
    SUITE.run(async |world| {
        let dan = Person::new(world, "dan");
        let token = dan.token(world).await;

        revoked_and_restored(world, ("pat", &dan.pat_id), &[], &token, (&dan.email, &dan.pat_id))
            .await;
    });
}

#[test]
fn a_session_is_stopped_and_another_of_the_same_person_is_not() {
    SUITE.run(async |world| {
        let eve = Person::new(world, "eve");
        let (token, other) = (eve.token(world).await, eve.token(world).await);
        let id = claim(&token, "sid");
        world.tollgate(&["access", "revoke", "session", &id, "--why", "test"]).unwrap();
        until_everywhere(world, &token, 401, Instant::now()).await;
        assert_eq!(call(world, &other).await.status, 200);
        world.tollgate(&["access", "restore", "session", &id]).unwrap();
        until_everywhere(world, &token, 200, Instant::now()).await;

        revoked_and_restored(world, ("session", &id), &[], &token, (&eve.email, &eve.pat_id)).await;
    });
}

#[test]
fn one_token_is_stopped() {
    SUITE.run(async |world| {
        let fay = Person::new(world, "fay");
        let token = fay.token(world).await;
        let id = claim(&token, "jti");

        revoked_and_restored(world, ("token", &id), &[], &token, (&fay.email, &fay.pat_id)).await;
    });
}

#[test]
fn a_certificate_is_stopped_also_one_that_the_store_has_never_heard_of() {
    SUITE.run(async |world| {
        let print = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
        let token = world.token_with(|_, claims| {
            claims["cnf"] = json!({ "x5t#S256": print });
            claims["email"] = json!("gil@example.com");
            claims["credential_id"] = json!("cert_gil");
        });
        let on = ("cert", print);

        revoked_and_restored(
            world,
            on,
            &["--unknown-too"],
            &token,
            ("gil@example.com", "cert_gil"),
        )
        .await;
    });
}

#[test]
fn a_stream_that_runs_when_its_caller_is_revoked_goes_on_to_its_end() {
    SUITE.run(async |world| {
        let hal = Person::new(world, "hal");
        let token = hal.token(world).await;
        let script = Script { words: 100, pause: 40, ..Script::new() };
        let stream = world.anonymous(&script).bearer(&token).streamed().open(world).await.unwrap();

        let begun = Instant::now();
        world.tollgate(&["access", "revoke", "user", &hal.email, "--why", "test"]).unwrap();
        until_everywhere(world, &token, 401, begun).await;
        let answer = stream.read().await;

        assert!(answer.text().contains("message_stop"), "{}", answer.text());
        let row = world.row_from(answer.source).await;
        assert_eq!((row.text("outcome"), row.number("complete")), ("allowed", Some(1)));
    });
}

#[test]
fn a_pause_says_how_long_is_refused_everywhere_and_ends_by_itself() {
    SUITE.run(async |world| {
        let ida = Person::new(world, "ida");
        let token = ida.token(world).await;
        let begun = Instant::now();
        let pause = ["access", "pause", "user", &ida.email, "--for", "8s", "--why", "forensics"];
        world.tollgate(&pause).unwrap();

        let answers = until_everywhere(world, &token, 403, begun).await;

        let first = &answers[0];
        first.assert_refused(403, "permission_error");
        assert_eq!(first.header("x-tollgate-refusal"), "access_paused");
        assert!(first.text().contains("It ends within a minute."), "{}", first.text());
        assert_eq!(ida.sign_in(world).await.status, 403);
        denied(world, &answers, "access_paused", &ida.email, &ida.pat_id).await;
        while call(world, &token).await.status == 403 {
            assert!(begun.elapsed() < Duration::from_secs(10), "it does not end");
            sleep(Duration::from_millis(50)).await;
        }
        assert!(begun.elapsed() > Duration::from_secs(7), "{:?}", begun.elapsed());
        for _ in 0..MANY {
            assert_eq!(call(world, &token).await.status, 200);
        }
        assert_eq!(ida.sign_in(world).await.status, 200);
    });
}

#[test]
fn a_throttle_lets_exactly_so_many_calls_through_whatever_worker_they_meet() {
    SUITE.run(async |world| {
        let jan = Person::new(world, "jan");
        let token = jan.token(world).await;
        let throttle =
            ["access", "throttle", "user", &jan.email, "--per-minute", "7", "--for", "1d"];
        world.tollgate(&[&throttle[..], &["--why", "loops"]].concat()).unwrap();
        sleep(SECONDS).await;
        // What is refused for another reason does not count.
        for _ in 0..10 {
            let odd = world.anonymous(&Script::new()).bearer(&token).json(&json!({}));
            assert_eq!(odd.send(world).await.status, 400);
        }

        let calls = (0..MANY).map(|_| call(world, &token));
        let answers = futures_util::future::join_all(calls).await;

        let (served, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(served.len(), 7);
        for answer in &refused {
            answer.assert_refused(429, "rate_limit_error");
            let after: u64 = answer.header("retry-after").parse().unwrap();
            assert!((50..=61).contains(&after), "{after}");
        }
        denied(world, &refused, "throttled", &jan.email, &jan.pat_id).await;
        world.tollgate(&["access", "restore", "user", &jan.email, "--only", "throttle"]).unwrap();
        until_everywhere(world, &token, 200, Instant::now()).await;
    });
}

#[test]
fn among_ten_thousand_others_one_more_is_stopped_as_fast() {
    alone(Setup { concurrency: 2, ..Setup::named("revokes-many") }, async |world| {
        let options = SqliteConnectOptions::new().filename(world.place.join("data/tollgate.db"));
        let mut other: SqliteConnection = options.connect().await.unwrap();
        let sql = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)
             INSERT INTO standing (kind, id, effect, told, told_until, set_at, set_by, why)
             SELECT 'user', 'person' || n || '@example.com', 'revoked', TRUE, 4000000000, 0, '', ''
             FROM n;
             UPDATE standing_version SET version = version + 1";
        sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
        other.close().await.unwrap();
        let listed = world.token_with(|_, claims| claims["email"] = json!("person7@example.com"));
        until_everywhere(world, &listed, 401, Instant::now()).await;
        let mia = Person::new(world, "mia");
        let token = mia.token(world).await;

        revoked_and_restored(world, ("user", &mia.email), &[], &token, (&mia.email, &mia.pat_id))
            .await;
        assert_eq!(call(world, &listed).await.status, 401, "the others still are");
    });
}

/// One database, two gateways.
#[test]
fn what_one_gateway_s_operator_does_holds_on_both_within_two_seconds() {
    let base = Base::start(Which::Postgres).unwrap();
    let setup = Setup { concurrency: 2, database: base.url.clone(), ..Setup::named("revokes-one") };
    alone(setup.clone(), async |one| {
        let beside = Some(Twin::of(one));
        let two = World::start(Setup { name: "revokes-two", beside, ..setup }).await.unwrap();
        let both = [one, &two];
        let ned = Person::new(one, "ned");
        let token = ned.token(&two).await;
        for world in both {
            assert_eq!(call(world, &token).await.status, 200, "a token of either is good at both");
        }
        for (by, effect) in [(one, 401), (&two, 403)] {
            let begun = Instant::now();
            let on = ["user", &ned.email, "--why", "test"];
            let command: &[&str] = match effect {
                401 => &["access", "revoke"],
                _ => &["access", "pause", "--for", "1h"],
            };
            by.tollgate(&[command, &on].concat()).unwrap();
            let (first, second) = tokio::join!(
                until_everywhere(one, &token, effect, begun),
                until_everywhere(&two, &token, effect, begun),
            );
            assert_eq!(ned.sign_in(one).await.status, effect);
            assert_eq!(ned.sign_in(&two).await.status, effect);
            denied_in_postgres(one, &ned, &[first, second].concat()).await;
            let begun = Instant::now();
            one.tollgate(&["access", "restore", "user", &ned.email]).unwrap();
            tokio::join!(
                until_everywhere(one, &token, 200, begun),
                until_everywhere(&two, &token, 200, begun),
            );
        }
        let told = tokio::task::block_in_place(|| drill(&two, &ned.email, &[]));
        assert_eq!(told["credential_confirmed"], true, "{told}");
        assert!(two.provider.violations().is_empty());
    });
}

/// Each refused call has its row, with the credential, whichever sidecar stored it.
async fn denied_in_postgres(world: &World, person: &Person, answers: &[Answer]) {
    sleep(Duration::from_secs(1)).await;
    let asked = ["audit", "query", "--outcome", "denied", "--user", &person.email, "--json"];
    let out = world.tollgate(&[&asked[..], &["--limit", "1000"]].concat()).unwrap();
    let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for answer in answers {
        let id = answer.header("x-request-id");
        let row = rows.iter().find(|row| row["request_id"] == id);
        let row = row.unwrap_or_else(|| panic!("no row of {id}"));
        assert_eq!(row["credential_id"], person.pat_id, "{row}");
    }
}
