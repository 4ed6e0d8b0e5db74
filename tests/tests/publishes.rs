//! A policy that is published, rolled back, refused or signed by a new key: in force on every worker
//! within two seconds, and it costs no call.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use contract::envelope::{self, POLICY_TYPE};
use e2e::provider::script::Script;
use e2e::suite::alone;
use e2e::world::processes::built;
use e2e::world::rows::Row;
use e2e::world::setup::Setup;
use e2e::world::{World, policy};
use ed25519_compact::{KeyPair, Seed};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

/// Within this time a policy is in force on every worker.
const IN_FORCE: Duration = Duration::from_secs(2);

/// Calls that run at the same time.
const AT_ONCE: usize = 12;

/// What only one of the two policies allows.
const MODEL: &str = "claude-opus-4-8";

/// The policy that lets everybody use everything.
fn lax() -> String {
    let mut lax = policy();
    lax["name"] = "lax".into();
    lax["rules"] = json!([{ "id": "anything", "models": ["*"] }]);

    lax.to_string()
}

/// A call, as it went.
struct Went {
    begun: Instant,
    ended: Instant,
    status: u16,
    refusal: String,
    source: Ipv4Addr,
}

/// A policy in force: from when on, its version, and whether it allows [`MODEL`].
struct Change {
    at: Instant,
    version: String,
    allows: bool,
}

fn file(world: &World, name: &str) -> String {
    world.place.join(name).display().to_string()
}

/// Signs a text; gives the signed file and the version.
fn signed(world: &World, name: &str, text: &str) -> (String, String) {
    let (plain, out) = (file(world, &format!("{name}.yaml")), file(world, &format!("{name}.json")));
    fs::write(&plain, text).unwrap();
    let version = world.tollgate(&["policy", "sign", &plain, "--out", &out]).unwrap();

    (out, version.trim().to_owned())
}

/// Calls, one after the other until told to stop. Every other call sends its body slowly, so that
/// policies change between its headers and its end.
async fn calls(world: &World, which: usize, stop: &Cell<bool>, went: &RefCell<Vec<Went>>) {
    let token = world.token();
    while !stop.get() {
        let call = world.anonymous(&Script::new()).bearer(&token).member("model", json!(MODEL));
        let call =
            if which.is_multiple_of(2) { call } else { call.pieces(60, Duration::from_millis(60)) };
        let begun = Instant::now();
        let answer = call.send(world).await;
        let refusal = answer.header("x-tollgate-refusal").to_owned();
        let (status, source) = (answer.status, answer.source);
        went.borrow_mut().push(Went { begun, ended: Instant::now(), status, refusal, source });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The rows of these calls by their addresses.
async fn rows(world: &World, went: &[Went]) -> BTreeMap<String, Row> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let mut by_address = BTreeMap::new();
        for row in world.rows().await {
            let address = row.payload["source_address"].as_str().unwrap_or_default().to_owned();
            if went.iter().any(|one| one.source.to_string() == address) {
                assert!(by_address.insert(address, row).is_none(), "a call has one row");
            }
        }
        if by_address.len() == went.len() {
            return by_address;
        }
        assert!(Instant::now() < end, "{} rows of {} calls", by_address.len(), went.len());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What must hold of each call.
fn judged(went: &[Went], changes: &[Change], rows: &BTreeMap<String, Row>) -> (usize, usize) {
    let (mut settled, mut across) = (0, 0);
    for one in went {
        let told = (one.status, one.refusal.as_str());
        assert!(matches!(told, (200, "") | (400, "model_not_allowed")), "a call failed: {told:?}");
        let row = &rows[&one.source.to_string()];
        let version = row.text("bundle_ver");
        let change = changes.iter().find(|change| change.version == version);
        let allows = change.unwrap_or_else(|| panic!("{version} was never in force")).allows;
        assert_eq!(one.status == 200, allows, "the verdict is {version}'s: {row:?}");
        let rule = if allows { "anything" } else { "model_not_allowed" };
        assert_eq!(row.text("rule_id"), rule, "{row:?}");
        // Whoever began two seconds after a change, and before the next, has it.
        let Some(last) = changes.iter().rposition(|change| change.at <= one.begun) else {
            continue;
        };
        let next = changes.get(last + 1).map(|change| change.at);
        if one.begun >= changes[last].at + IN_FORCE {
            assert_eq!(version, changes[last].version, "two seconds are over on every worker");
            settled += 1;
        }
        across += usize::from(next.is_some_and(|next| next < one.ended));
    }

    (settled, across)
}

#[test]
fn a_policy_is_in_force_on_every_worker_in_two_seconds_and_each_call_sees_one() {
    alone(Setup { concurrency: 3, ..Setup::named("publishes") }, async |world| {
        let strict = world.tollgate(&["policy", "show", "--json"]).unwrap();
        let strict: Value = serde_json::from_str(&strict).unwrap();
        let strict = strict["version"].as_str().unwrap().to_owned();
        let (out, lax) = signed(world, "lax", &lax());
        let (stop, went) = (Cell::new(false), RefCell::new(Vec::new()));
        let changes = RefCell::new(Vec::new());
        let change = |arguments: &[&str], version: &str, allows| {
            world.tollgate(arguments).unwrap();
            let version = version.to_owned();
            changes.borrow_mut().push(Change { at: Instant::now(), version, allows });
        };

        let work = async {
            changes.borrow_mut().push(Change {
                at: Instant::now(),
                version: strict.clone(),
                allows: false,
            });
            tokio::time::sleep(Duration::from_secs(1)).await;
            for _ in 0..3 {
                change(&["policy", "publish", &out], &lax, true);
                tokio::time::sleep(IN_FORCE + Duration::from_millis(700)).await;
                change(&["policy", "rollback", "--previous", "--why", "a trial"], &strict, false);
                tokio::time::sleep(IN_FORCE + Duration::from_millis(700)).await;
            }
            stop.set(true);
        };
        let load = (0..AT_ONCE).map(|which| calls(world, which, &stop, &went));
        tokio::join!(work, join_all(load));

        let (went, changes) = (went.into_inner(), changes.into_inner());
        let rows = rows(world, &went).await;
        let (settled, across) = judged(&went, &changes, &rows);
        assert!(settled > 100 && across > 5, "{} calls, {settled}, {across}", went.len());
        let history = world.tollgate(&["policy", "history", "--json"]).unwrap();
        assert_eq!(history.lines().filter(|line| line.contains("\"rollback\"")).count(), 3);
    });
}

async fn code(world: &World) -> String {
    let call = world.call(&Script::new()).member("model", json!(MODEL));

    call.send(world).await.header("x-tollgate-refusal").to_owned()
}

/// Waits until the model is allowed, or is not.
async fn until(world: &World, refusal: &str) {
    let begun = Instant::now();
    while code(world).await != refusal {
        assert!(begun.elapsed() < IN_FORCE, "not {refusal:?} after {IN_FORCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn a_bad_policy_changes_nothing_and_is_heard_of() {
    alone(Setup::named("publishes-bad"), async |world| {
        let (good, _) = signed(world, "lax", &lax());
        let foreign = KeyPair::from_seed(Seed::new([9; 32]));
        let forged = envelope::seal(POLICY_TYPE, lax().as_bytes(), "policy-0", &foreign);
        let cut = fs::read_to_string(&good).unwrap().replacen("\"sig\": \"", "\"sig\": \"AAAA", 1);
        let live = world.place.join("data/policy.dsse.json");
        let kept = fs::read(&live).unwrap();
        for (name, text) in [
            ("unsigned", lax()),
            ("foreign", serde_json::to_string(&forged).unwrap()),
            ("broken", cut),
        ] {
            let bad = file(world, name);
            fs::write(&bad, &text).unwrap();
            assert!(world.tollgate(&["policy", "publish", &bad]).is_err(), "{name}");
            // And past the command, by the file itself.
            fs::copy(&bad, live.with_extension("new")).unwrap();
            fs::rename(live.with_extension("new"), &live).unwrap();
            tokio::time::sleep(IN_FORCE).await;
            assert_eq!(code(world).await, "model_not_allowed", "{name}");
        }

        let denied = world.tollgate(&["audit", "query", "--outcome", "denied", "--json"]).unwrap();
        let heard = denied.lines().filter(|line| line.contains("policy_refused")).count();
        assert_eq!(heard, 3, "{denied}");
        assert!(world.logs().contains("was refused; the old one stays"));
        fs::write(&live, kept).unwrap();
        // What is good is taken by the same way.
        fs::copy(&good, live.with_extension("new")).unwrap();
        fs::rename(live.with_extension("new"), &live).unwrap();
        until(world, "").await;
    });
}

#[test]
fn while_the_key_changes_both_sign_and_afterwards_the_old_one_does_not() {
    alone(Setup::named("publishes-key"), async |world| {
        // The security team's new key, made elsewhere.
        let elsewhere = world.place.join("elsewhere");
        let tollgate = built("tollgate").unwrap();
        let made = Command::new(tollgate).args(["keys", "init", "--data"]).arg(&elsewhere).status();
        assert!(made.unwrap().success());
        let (key, public) = (elsewhere.join("keys/policy.key"), elsewhere.join("keys/policy.pub"));
        let pin: Value = serde_json::from_slice(&fs::read(&public).unwrap()).unwrap();
        assert_eq!(BASE64_STANDARD.decode(pin["public_key"].as_str().unwrap()).unwrap().len(), 32);
        let gate = fs::read_to_string(world.run().join("gate.yaml")).unwrap();
        let (before, after) = gate.split_once("\"policy_keys\": [").unwrap();
        let (old, after) = after.split_once(']').unwrap();
        let keys = |keys: &str| format!("{before}\"policy_keys\": [{keys}]{after}");

        // 2. Both are pinned, in the sidecar and in the gate.
        fs::copy(&public, world.place.join("data/keys/policy-2027.pub")).unwrap();
        world.rename_into_place("gate.yaml", &keys(&format!("{old}, {pin}"))).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(code(world).await, "model_not_allowed", "what is in force stays");

        // 3. and 4. Either signs.
        let (both, new) = (file(world, "both.json"), key.display().to_string());
        let (one, version) = signed(world, "strict", &policy().to_string());
        let added =
            world.tollgate(&["policy", "sign", &one, "--add", "--key", &new, "--out", &both]);
        assert_eq!(added.unwrap().trim(), version);
        world.tollgate(&["policy", "publish", &both]).unwrap();
        let (plain, out) = (file(world, "lax.yaml"), file(world, "lax.json"));
        fs::write(&plain, lax()).unwrap();
        world.tollgate(&["policy", "sign", &plain, "--key", &new, "--out", &out]).unwrap();
        world.tollgate(&["policy", "publish", &out]).unwrap();
        until(world, "").await;

        // 5. The old one is taken out: what only it signed is refused, what both signed is not.
        world.rename_into_place("gate.yaml", &keys(&pin.to_string())).unwrap();
        fs::remove_file(world.place.join("data/keys/policy.pub")).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(code(world).await, "", "and what is in force stays");
        assert!(world.tollgate(&["policy", "publish", &one]).is_err());
        world.tollgate(&["policy", "rollback", &version]).unwrap();
        until(world, "model_not_allowed").await;
    });
}
