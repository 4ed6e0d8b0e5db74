//! People whom operators stop and let in again.

use crate::client::answer::Answer;
use crate::provider::script::Script;
use crate::world::World;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// What operators do is in force everywhere by then.
pub const SECONDS: Duration = Duration::from_secs(2);

/// Calls that are sure to meet all workers: each has a connection of its own.
pub const MANY: usize = 40;

/// Somebody of whom nobody else knows.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their address.
    pub email: String,
    /// Their personal access token.
    pub pat: String,
    /// Its id.
    pub pat_id: String,
}

impl Person {
    /// Adds them.
    pub fn new(world: &World, name: &str) -> Self {
        let email = format!("{name}@example.com");
        world
            .tollgate(&["user", "add", &email, "--tenant", "acme", "--group", "engineering"])
            .unwrap();
        let issued = world.tollgate(&["pat", "issue", &email, "--json"]).unwrap();
        let issued: Value = serde_json::from_str(&issued).unwrap();
        let text = |name: &str| issued[name].as_str().unwrap().to_owned();

        Self { email, pat: text("token"), pat_id: text("id") }
    }

    /// Trades their token for one of the gate's.
    pub async fn sign_in(&self, world: &World) -> Answer {
        let trade = world.anonymous(&Script::new()).path("/v1/auth/cowork/pat").json(&json!({}));

        trade.bearer(&self.pat).send(world).await
    }

    /// One of the gate's for them.
    pub async fn token(&self, world: &World) -> String {
        self.sign_in(world).await.json()["token"].as_str().unwrap().to_owned()
    }
}

/// A claim of a token.
pub fn claim(token: &str, name: &str) -> String {
    let body = token.split('.').nth(1).unwrap();
    let body = BASE64_URL_SAFE_NO_PAD.decode(body).unwrap();
    let claims: Value = serde_json::from_slice(&body).unwrap();

    claims[name].as_str().unwrap().to_owned()
}

/// A good call with this token.
pub async fn call(world: &World, token: &str) -> Answer {
    world.anonymous(&Script::new()).bearer(token).send(world).await
}

/// Calls until one is answered with this status; then, by the end of two seconds, all must be.
pub async fn until_everywhere(
    world: &World,
    token: &str,
    status: u16,
    begun: Instant,
) -> Vec<Answer> {
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
pub async fn denied(world: &World, answers: &[Answer], code: &str, user: &str, credential: &str) {
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

/// Runs the drill, and what it printed.
pub fn drill(world: &World, user: &str, further: &[&str]) -> Value {
    let gateway = format!("http://127.0.0.1:{}", world.ports.plain.port());
    let command = ["access", "drill", "--user", user, "--probe", &gateway, "--json"];

    serde_json::from_str(&world.tollgate(&[&command[..], further].concat()).unwrap()).unwrap()
}
