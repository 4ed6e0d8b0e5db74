//! What operators lay on people holds within two seconds, on all workers and all gateways, and ends
//! when they say so.

use e2e::client::answer::Answer;
use e2e::provider::script::Script;
use e2e::storm::base::{Base, Which};
use e2e::suite::{Suite, alone};
use e2e::world::World;
use e2e::world::processes::built;
use e2e::world::setup::{Setup, Twin};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// In force everywhere by then.
const SECONDS: Duration = Duration::from_secs(2);

/// Calls that are sure to meet all workers: each has a connection of its own.
const MANY: usize = 40;

static SUITE: Suite = Suite::new(|| Setup { concurrency: 4, ..Setup::named("revokes") });

/// Somebody of whom nobody else knows.
struct Person {
    email: String,
    pat: String,
    pat_id: String,
}

impl Person {
    fn new(world: &World, name: &str) -> Self {
        let email = format!("{name}@example.com");
        world
            .tollgate(&["user", "add", &email, "--tenant", "acme", "--group", "engineering"])
            .unwrap();
        let issued = world.tollgate(&["pat", "issue", &email, "--json"]).unwrap();
        let issued: Value = serde_json::from_str(&issued).unwrap();
        let text = |name: &str| issued[name].as_str().unwrap().to_owned();

        Self { email, pat: text("token"), pat_id: text("id") }
    }

    async fn sign_in(&self, world: &World) -> Answer {
        let trade = world.anonymous(&Script::new()).path("/v1/auth/cowork/pat").json(&json!({}));

        trade.bearer(&self.pat).send(world).await
    }

    async fn token(&self, world: &World) -> String {
        self.sign_in(world).await.json()["token"].as_str().unwrap().to_owned()
    }
}

/// A claim of a token.
fn claim(token: &str, name: &str) -> String {
    use base64::Engine;
    let body = token.split('.').nth(1).unwrap();
    let body = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(body).unwrap();
    let claims: Value = serde_json::from_slice(&body).unwrap();

    claims[name].as_str().unwrap().to_owned()
}

async fn call(world: &World, token: &str) -> Answer {
    world.anonymous(&Script::new()).bearer(token).send(world).await
}

/// Calls until one is answered with this status; then, by the end of two seconds, all must be.
async fn until_everywhere(world: &World, token: &str, status: u16, begun: Instant) -> Vec<Answer> {
    while call(world, token).await.status != status {
        assert!(begun.elapsed() < SECONDS, "not one {status} after {:?}", begun.elapsed());
        sleep(Duration::from_millis(10)).await;
    }
    eprintln!("the first {status} after {:?}", begun.elapsed());
    sleep(SECONDS.saturating_sub(begun.elapsed())).await;
    let mut answers = Vec::new();
    for _ in 0..MANY {
        let answer = call(world, token).await;
        assert_eq!(answer.status, status, "{:?} {}", begun.elapsed(), answer.text());
        answers.push(answer);
    }

    answers
}

/// The rows of refused calls: whose, of which credential, by how many workers.
async fn denied(world: &World, answers: &[Answer], code: &str, user: &str, credential: &str) {
    let sources: Vec<_> = answers.iter().map(|answer| answer.source).collect();
    let mut workers = BTreeSet::new();
    for row in world.row_of_each(&sources).await {
        let said = (row.text("outcome"), row.text("rule_id"), row.text("user_id"));
        assert_eq!(said, ("denied", code, user), "{row:#?}");
        assert_eq!(row.text("credential_id"), credential, "{row:#?}");
        workers.insert(row.payload["sequence"]["vm"].to_string());
    }
    assert!(workers.len() > 1, "the calls met one worker only: {workers:?}");
}

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

/// Runs the drill, and what it printed.
fn drill(world: &World, user: &str, further: &[&str]) -> Value {
    let gateway = format!("http://127.0.0.1:{}", world.ports.plain.port());
    let command = ["access", "drill", "--user", user, "--probe", &gateway, "--json"];

    serde_json::from_str(&world.tollgate(&[&command[..], further].concat()).unwrap()).unwrap()
}

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
