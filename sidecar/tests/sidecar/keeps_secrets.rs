//! A personal access token is nowhere but with its owner.

use crate::starts::tollgate;
use crate::world::{Fallible, Place, World, ask};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// Every file under a directory, as bytes.
fn everything(directory: &Path, found: &mut Vec<u8>) -> Fallible {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            everything(&path, found)?;
        } else {
            found.extend(fs::read(path)?);
        }
    }
    Ok(())
}

/// The address a log line names.
fn address(line: &str, name: &str) -> Fallible<SocketAddr> {
    let value: serde_json::Value = serde_json::from_str(line)?;
    let address = value.get(name).and_then(serde_json::Value::as_str);
    Ok(address.ok_or_else(|| format!("no {name} in {line}"))?.parse()?)
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().map_err(|_poisoned| std::io::ErrorKind::Other)?.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn who_tries_often_does_not_fill_the_log() -> Fallible {
    let log = Log::default();
    let lines = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || lines.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let world = World::start().await?;
    let (revoked, id) = world.pat(60).await?;
    world
        .store
        .revoke_pat(
            &id,
            1,
            &tollgate::acts::Act::new(&tollgate::operators::operator::Operator::owner(), "test")?,
        )
        .await?;

    for pat in ["", "tgp_unknown", &revoked] {
        assert_eq!(world.sign_in(pat).await?.status, 401);
    }

    let (good, _) = world.pat(60).await?;
    world.sql("ALTER TABLE pats RENAME TO away").await?;
    for _ in 0..3 {
        assert_eq!(world.sign_in(&good).await?.status, 503);
    }
    world.sql("ALTER TABLE away RENAME TO pats").await?;
    assert_eq!(world.sign_in(&good).await?.status, 200);

    let logged = String::from_utf8(log.0.lock().unwrap().clone())?;
    assert_eq!(logged.matches("Nobody can sign in").count(), 1, "a fault is told once: {logged}");
    assert_eq!(logged.matches("possible again").count(), 1, "and its end");
    assert_eq!(logged.matches("Refused a token").count(), 1, "{logged}");
    assert!(logged.contains("pat_revoked") && logged.contains(&id), "the known one is named");
    assert_eq!(world.metric("tollgate_auth_refusals_total{code=\"pat_unknown\"}").await?, 1);
    Ok(())
}

#[tokio::test]
async fn no_log_file_metric_or_answer_holds_the_token() -> Fallible {
    let place = Place::new()?;
    tollgate(&place, &["user", "add", "ann@example.com", "--tenant", "acme"])?;
    let issued = tollgate(&place, &["pat", "issue", "ann@example.com"])?;
    let pat = String::from_utf8(issued.stdout)?.trim().to_owned();
    let secret = pat.rsplit_once('_').map_or(&*pat, |_| pat.get(17..).unwrap_or_default());
    let spool = place.spool().display().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["serve", "--public", "127.0.0.1:0", "--gate", "127.0.0.1:0"])
        .args(["--operators", "127.0.0.1:0", "--spool", &spool])
        .env("TOLLGATE_DATA", place.data.root())
        .env("RUST_LOG", "trace")
        .stderr(Stdio::piped())
        .spawn()?;
    let mut log = BufReader::new(child.stderr.take().ok_or("no log")?);
    let mut logged = String::new();
    let serving = loop {
        let mut line = String::new();
        log.read_line(&mut line)?;
        assert!(!line.is_empty(), "it did not start: {logged}");
        logged += &line;
        if line.contains("sidecar serves") {
            break line;
        }
    };
    let rest = std::thread::spawn(move || {
        let mut rest = String::new();
        log.read_to_string(&mut rest).map(|_| rest)
    });

    let public = address(&serving, "listener.public")?;
    let operators = address(&serving, "listener.operators")?;
    let path = "/v1/auth/cowork/pat";
    let good = format!("Bearer {pat}");
    let bad = format!("Bearer {pat}x");
    let minted = ask(public, "POST", path, &[("authorization", &good)], "").await?;
    let refused = ask(public, "POST", path, &[("authorization", &bad)], "").await?;
    let metrics = ask(operators, "GET", "/metrics", &[], "").await?;
    let stopped = Command::new("sh").args(["-c", &format!("kill {}", child.id())]).status()?;
    let ended = child.wait()?;
    logged += &rest.join().unwrap()?;

    assert_eq!((minted.status, refused.status), (200, 401));
    assert!(stopped.success() && ended.success(), "{ended}: {logged}");
    let mut kept = Vec::new();
    everything(place.directory.path(), &mut kept)?;
    let kept = String::from_utf8_lossy(&kept);
    assert!(secret.len() >= 43 && kept.contains("ann@example.com"), "the search itself works");
    assert!(logged.contains("Minted a token"), "{logged}");
    for (where_, text) in [
        ("a file", &*kept),
        ("the log", &logged),
        ("a metric", &metrics.body),
        ("an answer", &minted.body),
        ("a refusal", &refused.body),
        ("the gate's header", minted.header("x-tollgate-caller")),
    ] {
        assert!(!text.contains(secret), "{where_} holds the token");
    }
    let jwt = minted.json()?["token"].as_str().ok_or("no token")?.to_owned();
    assert!(!kept.contains(&jwt) && !logged.contains(&jwt), "nor what was minted from it");
    Ok(())
}
