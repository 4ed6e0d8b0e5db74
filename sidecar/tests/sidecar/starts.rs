//! The binary: it starts or says in one line why not, and its commands tell scripts what happened.

use crate::world::{Fallible, Place};
use contract::audit::Event;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Output, Stdio};
use tollgate::store::Store;

pub(crate) fn tollgate(place: &Place, args: &[&str]) -> Fallible<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(args).env_clear().env("TOLLGATE_DATA", place.data.root());
    if let Some(postgres) = place.data.postgres() {
        command.env("TOLLGATE_DATABASE", &postgres.url);
    }

    Ok(command.output()?)
}

pub(crate) const SERVE: [&str; 9] = [
    "serve",
    "--public",
    "127.0.0.1:0",
    "--gate",
    "127.0.0.1:0",
    "--operators",
    "127.0.0.1:0",
    "--log",
    "text",
];

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// It did not start, and said why in one line.
fn refused(place: &Place, args: &[&str], why: &str) -> Fallible {
    let out = tollgate(place, args)?;
    let told = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{told}");
    assert_eq!(told.lines().count(), 1, "one line: {told}");
    assert!(told.starts_with("tollgate: cannot serve: ") && told.contains(why), "{told}");
    assert!(out.stdout.is_empty());
    Ok(())
}

/// A lock lost in this way made a sidecar read a deleted log, and tell old news for ever.
#[tokio::test]
async fn a_database_opened_twice_keeps_its_log_when_a_command_ends() -> Fallible {
    let place = Place::new()?;
    let first = Store::create(&place.data).await?;
    let second = Store::open(&place.data).await?;
    let log = place.data.database().with_extension("db-wal");
    let before = fs::metadata(&log)?.ino();

    for _ in 0..20 {
        assert!(tollgate(&place, &["user", "list"])?.status.success());
    }

    assert_eq!(fs::metadata(&log)?.ino(), before, "the command was not the last user of it");
    first.close().await;
    second.close().await;
    Ok(())
}

#[test]
fn without_keys_or_with_open_or_broken_ones_it_does_not_start() -> Fallible {
    let place = Place::new()?;
    let key = fs::read_dir(place.data.signing())?.next().ok_or("no key")??.path();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644))?;
    refused(&place, &SERVE, "chmod 600")?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    fs::write(&key, "no key")?;
    refused(&place, &SERVE, "no Ed25519 private key")?;
    fs::remove_file(&key)?;
    refused(&place, &SERVE, "tollgate keys init")
}

#[test]
fn without_a_policy_or_with_a_forged_one_it_does_not_start() -> Fallible {
    let place = Place::new()?;
    let policy = fs::read_to_string(place.data.policy())?;
    fs::write(place.data.policy(), policy.replace("\"sig\":\"", "\"sig\":\"A"))?;
    refused(&place, &SERVE, "policy.dsse.json")?;
    fs::remove_file(place.data.policy())?;
    refused(&place, &SERVE, "tollgate policy publish")
}

#[test]
fn a_taken_port_is_named() -> Fallible {
    let place = Place::new()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let mut args = SERVE;
    args[4] = &address;

    refused(&place, &args, &format!("{address} is not free for the gate listener"))
}

#[test]
fn a_directory_that_cannot_be_made_is_named() -> Fallible {
    let place = Place::new()?;
    let file = place.directory.path().join("file");
    fs::write(&file, "")?;
    let inside = file.join("data").display().to_string();
    let mut args = vec!["--data", &inside];
    args.extend(SERVE);

    refused(&place, &args, &inside)
}

#[test]
fn a_database_of_the_future_or_a_broken_one_is_refused() -> Fallible {
    let place = Place::new()?;
    fs::write(place.data.database(), "this is no database, and never was one".repeat(100))?;
    refused(&place, &SERVE, "tollgate.db")
}

#[test]
fn commands_answer_on_stdout_and_their_exit_code_says_how_it_went() -> Fallible {
    let place = Place::new()?;
    let run = |args: &[&str]| tollgate(&place, args);
    let code = |args: &[&str]| -> Fallible<Option<i32>> { Ok(run(args)?.status.code()) };

    assert_eq!(code(&["pat", "list"])?, Some(1), "no database yet");
    assert_eq!(code(&["user", "add", "ann@example.com", "--tenant", "acme"])?, Some(0));
    assert_eq!(code(&["user", "add", "Ann@example.com", "--tenant", "acme"])?, Some(1));
    assert_eq!(code(&["pat", "issue", "bob@example.com"])?, Some(3));
    assert_eq!(code(&["pat", "revoke", "pat_000000000000"])?, Some(3));
    assert_eq!(code(&["user", "disable", "bob@example.com"])?, Some(3));
    assert_eq!(code(&["user", "enable", "bob@example.com"])?, Some(3));
    assert_eq!(code(&["audit", "find", "nothing"])?, Some(3));
    assert_eq!(code(&["audit", "query", "--outcome", "maybe"])?, Some(2));
    assert_eq!(code(&["keys", "init"])?, Some(1), "keys are never overwritten");

    let issued = run(&["pat", "issue", "ann@example.com", "--cohort", "pilot"])?;
    let pat = text(&issued.stdout);
    assert!(pat.starts_with("tgp_") && pat.ends_with('\n') && pat.lines().count() == 1, "{pat}");
    assert!(!text(&issued.stderr).contains(pat.trim()), "once");
    let listed: Value = serde_json::from_slice(&run(&["pat", "list", "--json"])?.stdout)?;
    assert_eq!((&listed["cohort"], &listed["state"]), (&"pilot".into(), &"active".into()));
    let id = listed["id"].as_str().ok_or("no id")?;
    assert_eq!(code(&["pat", "revoke", id])?, Some(0));
    assert!(text(&run(&["pat", "list"])?.stdout).contains("revoked"));
    let keys: Value = serde_json::from_slice(&run(&["keys", "show", "--json"])?.stdout)?;
    assert!(keys["policy"]["key_id"].is_string() && keys["policy"]["public_key"].is_string());
    assert!(keys["signing"]["kid"].is_string(), "{keys}");
    Ok(())
}

#[test]
fn a_policy_is_checked_signed_published_and_shown() -> Fallible {
    let place = Place::new()?;
    let policy = place.directory.path().join("policy.json").display().to_string();
    let signed = place.directory.path().join("signed.json").display().to_string();
    fs::write(&policy, r#"{"schema":"x","name":"n","rules":[]}"#)?;
    let faulty = tollgate(&place, &["policy", "check", &policy])?;
    assert_eq!(faulty.status.code(), Some(1));
    assert!(text(&faulty.stderr).contains("schema") && text(&faulty.stderr).contains("rules"));
    let told = tollgate(&place, &["policy", "check", &policy, "--json"])?;
    assert_eq!(told.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&told.stdout)?;
    assert_eq!((&told["version"], &told["faults"][0]["place"]), (&Value::Null, &"schema".into()));

    fs::write(&policy, crate::world::POLICY)?;
    for args in [
        &["policy", "check", &policy][..],
        &["policy", "sign", &policy, "--out", &signed],
        &["policy", "publish", &signed],
    ] {
        let out = tollgate(&place, args)?;
        assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    }
    let shown: Value =
        serde_json::from_slice(&tollgate(&place, &["policy", "show", "--json"])?.stdout)?;
    assert_eq!(shown["version"], contract::envelope::version(crate::world::POLICY));
    assert_eq!(shown["policy"]["rules"][0]["id"], "all");
    Ok(())
}

#[test]
fn every_act_of_an_operator_leaves_a_row() -> Fallible {
    let place = Place::new()?;
    let run = |args: &[&str]| tollgate(&place, args);
    run(&["user", "add", "ann@example.com", "--tenant", "acme"])?;
    let issued: Value =
        serde_json::from_slice(&run(&["pat", "issue", "ann@example.com", "--json"])?.stdout)?;
    let id = issued["id"].as_str().ok_or("no id")?;
    run(&["pat", "revoke", id])?;
    run(&["user", "disable", "ann@example.com"])?;
    run(&["user", "enable", "ann@example.com"])?;
    let signed = place.directory.path().join("signed.json").display().to_string();
    run(&["policy", "publish", &signed])?;
    let kid = text(&run(&["keys", "rotate"])?.stdout);
    run(&["pat", "revoke", "pat_000000000000"])?;

    let out = text(&run(&["audit", "query", "--kind", "admin", "--json"])?.stdout);
    let rows = out.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let targets: Vec<_> = rows.iter().map(|row| &row["payload"]["target"]).collect();
    let version = contract::envelope::version(crate::world::POLICY);
    let key = tollgate::keys::pin(&place.data.policy_pin())?.key_id;
    assert_eq!(
        targets,
        [
            "user add ann@example.com",
            &format!("pat issue {id} for ann@example.com"),
            &format!("pat revoke {id}"),
            "user disable ann@example.com",
            "user enable ann@example.com",
            &format!("policy publish nothing -> {version} (acme, {key})"),
            &format!("keys rotate {}", kid.trim()),
        ]
    );
    let whoami = text(&Command::new("id").arg("-un").output()?.stdout);
    assert!(rows.iter().all(|row| row["user_id"] == whoami.trim()), "{out}");
    assert_eq!((&rows[2]["tenant_id"], &rows[2]["credential_id"]), (&"acme".into(), &id.into()));
    Ok(())
}

#[tokio::test]
async fn a_tail_that_follows_shows_each_row_once() -> Fallible {
    let place = Place::new()?;
    let store = Store::create(&place.data).await?;
    let event = |number: u64| Event {
        event_id: number.to_string().into(),
        occurred_at: number,
        ..Event::default()
    };
    store.append(&[event(1)], None).await?;
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["audit", "tail", "--follow", "--json", "--lines", "1"])
        .env("TOLLGATE_DATA", place.data.root())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut out = BufReader::new(child.stdout.take().ok_or("no output")?);
    // Rows come while it starts, and for a while after.
    let last = 3_000;
    for number in 2..=last {
        store.append(&[event(number)], None).await?;
    }

    let mut shown = Vec::new();
    while shown.last() != Some(&last) {
        let mut line = String::new();
        out.read_line(&mut line)?;
        let row: Value = serde_json::from_str(&line)?;
        shown.push(row["event_id"].as_str().ok_or("no id")?.parse()?);
    }
    child.kill()?;
    child.wait()?;
    let first = shown[0];
    assert_eq!(shown, (first..=last).collect::<Vec<u64>>(), "none twice, none left out");
    Ok(())
}

#[tokio::test]
async fn two_sidecars_do_not_serve_from_one_place() -> Fallible {
    let world = crate::world::World::start().await?;

    refused(&world.place, &SERVE, "another sidecar serves from")
}
