//! Jobs without a secret: a workload's own token becomes one of the gate's, on the real Envoy.

use e2e::client::Call;
use e2e::client::answer::Answer;
use e2e::identity::workload::{Algorithm, WorkloadIssuer};
use e2e::person::{SECONDS, call, claim};
use e2e::provider::script::Script;
use e2e::suite::{alone, bare};
use e2e::world::World;
use e2e::world::setup::Setup;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

const AUDIENCE: &str = "https://gateway.example.com";
const MAIN: &str = "refs/heads/main";

fn setup(name: &'static str, issuer: &WorkloadIssuer) -> Setup {
    let identity = format!(
        "schema: tollgate.identity/v1\nworkloads:\n  - id: deploy\n    issuer: {issuer}\n    audience: {AUDIENCE}\n    \
         subjects: ['repo:acme/deploy:ref:refs/heads/*']\n    claims: {{ /repository_owner: acme }}\n    once: true\n    \
         tenant: acme\n    department: platform\n    groups: [robots]\n",
        issuer = issuer.issuer
    );

    Setup { identity: Some(identity), ..Setup::named(name) }
}

fn exchange(world: &World, token: &str) -> Call {
    let form = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={token}\
         &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt"
    );
    let call = world.anonymous(&Script::new()).path("/oauth/token").body(form);

    call.without("content-type").header("content-type", "application/x-www-form-urlencoded")
}

async fn refused(world: &World, token: &str) -> Answer {
    let answer = exchange(world, token).send(world).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.json()["error"].is_string(), "{}", answer.text());
    let row = world.row_from(answer.source).await;
    assert_eq!((row.text("kind"), row.text("outcome")), ("auth", "denied"), "{row:?}");
    answer
}

#[test]
fn a_job_gets_a_token_by_who_it_is_calls_as_a_job_and_is_stopped_like_anybody() {
    let issuer = bare(WorkloadIssuer::start(Algorithm::Rs256)).unwrap();
    alone(setup("services", &issuer), async |world| {
        let mine = issuer.mint(&issuer.github("acme/deploy", MAIN, AUDIENCE));

        let answer = exchange(world, &mine).send(world).await;

        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("cache-control"), "no-store");
        let told = answer.json();
        assert_eq!(told["token_type"], "Bearer");
        let token = told["access_token"].as_str().unwrap();
        assert_eq!((&*claim(token, "amr"), &*claim(token, "department")), ("service", "platform"));
        let called =
            world.anonymous(&Script::new()).bearer(token).header("x-call-source", "cowork");
        let called = called.send(world).await;
        assert_eq!(called.status, 200, "{}", called.text());
        let row = world.row_from(called.source).await;
        assert_eq!((row.text("call_source"), row.text("user_id")), ("job", "service:deploy"));

        let again = refused(world, &mine).await;
        assert_eq!(again.header("x-tollgate-refusal"), "subject_reused");
        for (repository, reference, audience) in [
            ("acme/other", MAIN, AUDIENCE),
            ("evil/deploy", MAIN, AUDIENCE),
            ("acme/deploy", "refs/heads/a/b", AUDIENCE),
            ("acme/deploy", "refs/tags/v1", AUDIENCE),
            ("acme/deploy", MAIN, "https://elsewhere.example.com"),
        ] {
            refused(world, &issuer.mint(&issuer.github(repository, reference, audience))).await;
        }
        let changed = |member: &str, value: Value| {
            let mut claims = issuer.github("acme/deploy", MAIN, AUDIENCE);
            claims[member] = value;
            issuer.mint(&claims)
        };
        for bad in [
            changed("repository_owner", json!("evil")),
            changed("exp", json!(1)),
            changed("iss", json!("https://elsewhere.example.com")),
            issuer.forge(&issuer.github("acme/deploy", MAIN, AUDIENCE)),
        ] {
            refused(world, &bad).await;
        }

        world
            .tollgate(&[
                "access",
                "pause",
                "user",
                "service:deploy",
                "--for",
                "10m",
                "--why",
                "runs away",
            ])
            .unwrap();
        let begun = Instant::now();
        while call(world, token).await.status != 403 {
            assert!(begun.elapsed() < SECONDS, "a runaway job is stopped");
            sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn a_platform_that_rotates_its_key_or_is_away_stops_nobody_who_has_a_token() {
    let issuer = bare(WorkloadIssuer::start(Algorithm::Es256)).unwrap();
    alone(setup("services-away", &issuer), async |world| {
        let mint = || issuer.mint(&issuer.github("acme/deploy", MAIN, AUDIENCE));
        let first = exchange(world, &mint()).send(world).await;
        assert_eq!(first.status, 200, "{}", first.text());
        issuer.rotate(Algorithm::Rs256, false).unwrap();

        let second = exchange(world, &mint()).send(world).await;
        issuer.go_away().await;

        assert_eq!(second.status, 200, "{}", second.text());
        let token = second.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(call(world, &token).await.status, 200);
    });
}
