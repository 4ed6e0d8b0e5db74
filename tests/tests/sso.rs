//! The organization's own sign-in, whole: the real helper, a real browser, a real `OpenID` provider, the real Envoy.

use e2e::client::answer::Answer;
use e2e::identity::browser::Browser;
use e2e::identity::laptop::{Laptop, line};
use e2e::identity::pki::public_key_hash;
use e2e::identity::provider::lies::{Endpoint, Fault};
use e2e::identity::provider::{CLIENT, OidcProvider, SECRET};
use e2e::person::{Person, SECONDS, call, claim};
use e2e::provider::script::Script;
use e2e::suite::{alone, bare};
use e2e::world::World;
use e2e::world::setup::Setup;
use serde_json::{Value, json};
use std::fs;
use std::time::Instant;

/// Where browsers are sent back to is known once the world is there.
const NOT_YET: &str = "https://localhost/oauth/callback";

/// A world whose people sign in at this provider.
fn world_of(name: &'static str, provider: &OidcProvider) -> Setup {
    let identity = format!(
        "schema: tollgate.identity/v1\npublic_url: GATEWAY\nproviders:\n  - id: corp\n    issuer: {}\n    \
         client_id: {CLIENT}\n    client_secret: {{ file: client.secret }}\n    tenant: acme\n    \
         domains: [example.com]\n    claims: {{ department: [/department], roles: {{ oncall: platform }} }}\n",
        provider.issuer
    );

    Setup { identity: Some(identity), ..Setup::named(name) }
        .file("client.secret", SECRET.to_owned())
}

async fn let_back(world: &World, provider: &OidcProvider) {
    let callback = format!("https://localhost:{}/oauth/callback", world.ports.tls.port());

    provider.allow_redirect(&callback).await;
}

async fn browser_for(world: &World) -> Browser {
    let key = fs::read_to_string(world.run().join("tls/key.pem")).unwrap();

    Browser::start(&[public_key_hash(&key).unwrap()]).await.unwrap()
}

fn token(printed: &Value) -> String {
    printed["token"].as_str().unwrap().to_owned()
}

/// As if the last token had run out.
fn forget_token(laptop: &Laptop) {
    fs::remove_file(laptop.file("cache.json")).unwrap();
}

async fn good(world: &World, token: &str) -> Answer {
    let answer = call(world, token).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

#[test]
fn a_person_signs_in_in_the_browser_and_calls_until_the_directory_says_no() {
    let provider = bare(OidcProvider::start(&[NOT_YET])).unwrap();
    alone(world_of("sso", &provider), async |world| {
        let_back(world, &provider).await;
        let browser = browser_for(world).await;
        let laptop = Laptop::new(world, "laptop");

        let output = laptop.login_in(&browser, "ann").await.unwrap();

        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let first = token(&line(&laptop.run(&[], "").unwrap()));
        assert_eq!((&*claim(&first, "amr"), &*claim(&first, "email")), ("sso", "ann@example.com"));
        assert_eq!(claim(&first, "sid"), claim(&first, "credential_id"));
        let answer = good(world, &first).await;
        let row = world.row_from(answer.source).await;
        assert_eq!(
            (row.text("user_id"), row.text("department")),
            ("ann@example.com", "engineering")
        );
        let rows = world.rows().await;
        let auth: Vec<_> = rows.iter().filter(|row| row.text("kind") == "auth").collect();
        assert!(auth.iter().any(|row| row.payload["sign_in"]["tier"] == "session"), "{auth:#?}");
        let all = format!("{rows:?}");
        assert!(!all.contains(SECRET) && !all.contains("tgs_"), "no secret in a row");

        forget_token(&laptop);
        let second = token(&line(&laptop.run(&[], "").unwrap()));
        assert_ne!(first, second);
        assert_eq!(claim(&first, "sid"), claim(&second, "sid"), "one session");

        provider.disable("ann").await;
        good(world, &second).await;
        forget_token(&laptop);
        let refused = laptop.run(&[], "").unwrap();
        assert_eq!(
            (refused.status.code(), refused.stdout.len()),
            (Some(5), 0),
            "out at the next refresh"
        );
        assert_eq!(world.row_by_rule("provider_refused").await.text("user_id"), "ann@example.com");
    });
}

#[test]
fn two_terminals_get_tokens_of_one_session_and_a_provider_that_is_away_stops_nobody() {
    let provider = bare(OidcProvider::start(&[NOT_YET])).unwrap();
    alone(world_of("sso-away", &provider), async |world| {
        let_back(world, &provider).await;
        let browser = browser_for(world).await;
        let laptop = Laptop::new(world, "laptop");
        laptop.login_in(&browser, "bob").await.unwrap();
        for _ in 0..3 {
            forget_token(&laptop);
            let children: Vec<_> = (0..4).map(|_| laptop.start(&[]).unwrap()).collect();
            let mut sessions: Vec<String> = children
                .into_iter()
                .map(|child| claim(&token(&line(&child.wait_with_output().unwrap())), "sid"))
                .collect();
            sessions.dedup();
            assert_eq!(sessions.len(), 1, "{sessions:?}");
        }

        provider.go_away().await;
        let held = token(&line(&laptop.run(&[], "").unwrap()));
        good(world, &held).await;
        forget_token(&laptop);
        let printed = line(&laptop.run(&[], "").unwrap());
        good(world, &token(&printed)).await;
        assert!(printed["ttl"].as_u64().unwrap() <= 300, "asked again soon: {printed}");
        provider.come_back().await;
        provider.fail(Endpoint::Token, Fault::Status(500)).await;
        forget_token(&laptop);
        line(&laptop.run(&[], "").unwrap());
        provider.heal(Endpoint::Token).await;
        forget_token(&laptop);
        assert!(line(&laptop.run(&[], "").unwrap())["ttl"].as_u64().unwrap() > 300);
    });
}

#[test]
fn a_sidecar_whose_provider_is_not_there_does_not_start() {
    let provider = bare(OidcProvider::start(&[NOT_YET])).unwrap();
    bare(provider.go_away());

    let started = bare(World::start(world_of("sso-nobody", &provider)));

    let error = format!("{:#}", started.err().unwrap());
    assert!(error.contains("corp"), "the provider is named: {error}");
}

#[test]
fn an_operator_signs_in_like_anybody_stops_somebody_and_may_nothing_more() {
    let provider = bare(OidcProvider::start(&[NOT_YET])).unwrap();
    alone(world_of("sso-operator", &provider), async |world| {
        let_back(world, &provider).await;
        provider.change("bob", json!({"groups": ["oncall"]})).await;
        let browser = browser_for(world).await;
        let laptop = Laptop::new(world, "laptop");
        laptop.login_in(&browser, "bob").await.unwrap();
        let printed = laptop.run(&["token", "--audience", "operator"], "").unwrap();
        let operator = String::from_utf8(printed.stdout).unwrap().trim().to_owned();
        assert_eq!(call(world, &operator).await.status, 401, "it opens no model");
        let operates = async |token: &str, words: &str| {
            let args: Vec<&str> = words.split(' ').collect();
            let asked = world.anonymous(&Script::new()).path("/v1/operator").bearer(token);
            asked.json(&json!({"args": args})).send(world).await
        };
        let ann = Person::new(world, "zoe");
        let held = ann.token(world).await;
        good(world, &held).await;

        let begun = Instant::now();
        let done = operates(&operator, "access revoke user zoe@example.com --why leaves").await;

        assert_eq!((done.status, &done.json()["exit"]), (200, &json!(0)), "{}", done.text());
        while call(world, &held).await.status != 401 {
            assert!(begun.elapsed() < SECONDS, "stopped from elsewhere");
        }
        let denied = operates(&operator, "user enable zoe@example.com").await;
        assert_eq!(denied.json()["exit"], 6, "{}", denied.text());
        let row = world.row_by_rule("operator_denied").await;
        assert_eq!((row.text("user_id"), row.text("kind")), ("bob@example.com", "admin"));
        for nobody in [held.as_str(), &token(&line(&laptop.run(&[], "").unwrap())), "x"] {
            assert_eq!(operates(nobody, "user list").await.status, 401, "not for operating");
        }
        let admin: Vec<_> = world.rows().await;
        let act = admin
            .iter()
            .find(|row| row.payload["target"] == "access revoke user zoe@example.com: leaves");
        assert!(
            act.unwrap().payload["after"].is_object() || act.unwrap().payload["after"].is_array()
        );
    });
}
