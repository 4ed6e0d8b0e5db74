//! Sinks that are files, standard output or behind TLS, and what keeps a sidecar from starting.

use crate::receiver::{Act, Receiver, ok};
use crate::siem::{Bench, TOKEN, id, ids, lines_to, seen, until};
use crate::starts::{SERVE, tollgate};
use crate::world::{Fallible, Place};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

fn in_file(path: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let rows = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    rows.filter_map(|row| Some(row.get("event_id")?.as_str()?.to_owned())).collect()
}

#[tokio::test]
async fn a_file_grows_by_a_line_a_row_and_may_be_rotated() -> Fallible {
    let mut bench = Bench::sqlite().await?;
    bench.append(0..40).await?;
    let path = bench.place.directory.path().join("audit.out");
    let sidecar = bench.serve(json!([{ "name": "f", "kind": "file", "path": path }])).await?;
    until(&sidecar, "tollgate_siem_rows_total{sink=\"f\"}", 40).await?;
    let rotated = path.with_extension("out.1");
    fs::rename(&path, &rotated)?;
    bench.append(40..60).await?;
    until(&sidecar, "tollgate_siem_rows_total{sink=\"f\"}", 60).await?;

    assert_eq!(in_file(&rotated), ids(0..40));
    assert_eq!(in_file(&path), ids(40..60));
    assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
    sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn standard_output_gets_the_rows_and_nothing_else() -> Fallible {
    let bench = Bench::sqlite().await?;
    bench.append(0..5).await?;
    let config = bench.place.directory.path().join("siem.json");
    fs::write(&config, json!({ "sinks": [{ "name": "o", "kind": "stdout" }] }).to_string())?;
    let spool = bench.place.spool().display().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(SERVE)
        .args(["--spool", &spool])
        .env("TOLLGATE_DATA", bench.place.data.root())
        .env("TOLLGATE_SIEM", &config)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let out = BufReader::new(child.stdout.take().ok_or("no output")?);

    let rows = out.lines().take(5).map(|line| Ok(serde_json::from_str::<Value>(&line?)?));
    let rows = rows.collect::<Fallible<Vec<_>>>()?;

    for (number, row) in (0..).zip(&rows) {
        assert_eq!(row["event_id"], id(number));
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_no_log_line_tells_a_credential() -> Fallible {
    let elsewhere = Receiver::start(|_| ok()).await?;
    let location = format!("location: {}/{TOKEN}\r\n", elsewhere.url());
    let location: &'static str = Box::leak(location.into_boxed_str());
    let siem = Receiver::start(move |asked| {
        let said = format!("{} {} who?", asked.target, asked.header("authorization"));
        Act::Answer(if asked.target.contains("sumo") { 307 } else { 403 }, location, said)
    })
    .await?;
    let bench = Bench::sqlite().await?;
    bench.append(0..3).await?;
    let url = bench.secret("url", &format!("{}/sumo/{TOKEN}", siem.url()))?;
    let mut lines = lines_to(&siem.url());
    lines["token_file"] = bench.token()?.into();
    let sumo = json!({ "name": "s", "kind": "http", "encoding": "sumo_logic", "url_file": url });
    let config = bench.place.directory.path().join("siem.json");
    fs::write(&config, json!({ "sinks": [lines, sumo] }).to_string())?;
    let log = bench.place.directory.path().join("log");
    let spool = bench.place.spool().display().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(SERVE)
        .args(["--spool", &spool])
        .env("TOLLGATE_DATA", bench.place.data.root())
        .env("TOLLGATE_SIEM", &config)
        .env("RUST_LOG", "trace")
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log)?)
        .spawn()?;

    siem.until(|asked| asked.len() >= 4).await?;

    child.kill()?;
    child.wait()?;
    let told = fs::read_to_string(&log)?;
    assert_eq!(told.matches("Rows wait for a sink").count(), 2, "{told}");
    assert!(told.contains("[secret]") && !told.contains(TOKEN), "{told}");
    assert!(elsewhere.asked().is_empty(), "the credential stays where it was meant to go");
    Ok(())
}

#[test]
fn with_a_faulty_file_it_does_not_start_and_tells_every_fault_but_no_secret() -> Fallible {
    let place = Place::new()?;
    let (config, token) =
        (place.directory.path().join("siem.json"), place.directory.path().join("t"));
    fs::write(&token, TOKEN)?;
    fs::set_permissions(&token, fs::Permissions::from_mode(0o640))?;
    let sinks = json!({ "sinks": [
        { "name": "a", "kind": "http", "encoding": "datadog", "url": "https://x:hunter2@dd.example",
          "token_file": token },
        { "name": "b", "kind": "stdout", "colour": "red" },
    ] });
    fs::write(&config, sinks.to_string())?;
    let config = config.display().to_string();

    let out = tollgate(&place, &[&SERVE[..], &["--siem", &config]].concat())?;

    let told = String::from_utf8(out.stderr)?;
    assert_eq!((out.status.code(), told.lines().count()), (Some(1), 1), "{told}");
    for wanted in ["sinks[0].url: ", "sinks[0].token_file: ", "chmod 600", "sinks[1].colour: "] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    assert!(!told.contains(TOKEN) && !told.contains("hunter2"), "{told}");
    Ok(())
}

#[tokio::test]
async fn only_a_receiver_of_a_believed_authority_gets_rows() -> Fallible {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    let siem = Receiver::listen(Some(Arc::new(tls).into()), |_| ok()).await?;
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let mut bench = Bench::sqlite().await?;
    bench.append(0..3).await?;
    let url = format!("https://localhost:{}", siem.port);
    let (mut good, mut bad) = (lines_to(&url), lines_to(&url));
    good["ca_file"] = bench.secret("ca.pem", &made.cert.pem())?.into();
    bad["ca_file"] = bench.secret("other.pem", &stranger.cert.pem())?.into();
    bad["name"] = "bad".into();
    let sidecar = bench.serve(json!([good, bad])).await?;

    let failed = "tollgate_siem_failures_total{sink=\"bad\",reason=\"unreachable\"}";
    until(&sidecar, failed, 2).await?;
    let asked = siem.until(|asked| seen(asked).len() == 3).await?;

    assert_eq!(asked.len(), 1, "from the one that believes it");
    sidecar.drain().await;
    Ok(())
}
