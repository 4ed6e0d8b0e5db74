//! What laptops say of their syncs, and what operators see of it.

use crate::laptops::{Plugins, contents, key, signed};
use crate::office::{Minted, office, row_of, token, told as operate};
use crate::starts::tollgate;
use crate::world::{Answer, Fallible, Place, World};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tollgate::clock;
use tollgate::manifest::archive::{Packed, pack};
use tollgate::store::fleet::{Wanted, Which};

const REPORT: &str = "/v1/cowork/sync-report";

const DEVICE: &str = "0123456789abcdef0123456789abcdef";

async fn says(world: &World, token: &str, report: &Value) -> Fallible<Answer> {
    world.method("POST", token, REPORT, &[], &report.to_string()).await
}

/// A report of a laptop on which a version stands.
fn stands(device: &str, version: u64, at: u64) -> Value {
    json!({
        "fetch": { "at": at, "result": "applied", "version": version },
        "last": {
            "schema": "tollgate.last-sync/v1", "device": device, "helper": "0.1.0", "os": "linux",
            "synced_at": at, "result": "applied",
            "standing": {
                "catalogue": "acme", "audience": "everyone", "version": version,
                "sha256": "a".repeat(64), "key_id": "k", "applied_at": at, "expires_at": at + 9,
                "plugins": [], "skills": 0, "agents": 0, "managed_mcp_servers": 0,
            },
        },
    })
}

fn failed(device: &str, code: &str) -> Value {
    let mut report = stands(device, 7, clock::now());
    if let Some(last) = report.get_mut("last").and_then(Value::as_object_mut) {
        last.extend([("result".into(), "failed".into()), ("code".into(), code.into())]);
    }
    report
}

/// What the command prints, as JSON.
fn told(world: &World, words: &str) -> Fallible<Vec<Value>> {
    let words: Vec<&str> = words.split(' ').chain(["--json"]).collect();
    let output = tollgate(&world.place, &words)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {stderr}");
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?)
}

#[tokio::test]
async fn a_report_is_kept_and_only_a_failure_leaves_a_row() -> Fallible {
    let world = World::start().await?;
    world.release(7, &Plugins::default()).await?;
    let ann = world.laptop("ann", &[]).await?;
    let good = stands(DEVICE, 7, clock::now());
    for _ in 0..3 {
        let answer = says(&world, &ann, &good).await?;
        assert_eq!((answer.status, answer.bytes.len()), (204, 0), "{}", answer.body);
    }
    assert!(world.rows().await?.is_empty());

    let report = failed(DEVICE, "disk_full");
    assert_eq!(says(&world, &ann, &report).await?.status, 204);
    assert_eq!(says(&world, &ann, &report).await?.status, 204, "the same again is not written");

    let rows = world.rows().await?;
    let [row] = rows.as_slice() else { return Err(format!("{} rows", rows.len()).into()) };
    let told = ["kind", "outcome", "rule_id", "user_id", "tenant_id"].map(|name| row.text(name));
    assert_eq!(told, ["manifest", "error", "disk_full", "ann@example.com", "acme"]);
    let payload: Value = serde_json::from_str(&row.text("payload"))?;
    assert_eq!(
        (&payload["after"]["device"], &payload["after"]["version"]),
        (&DEVICE.into(), &7.into())
    );
    Ok(())
}

#[tokio::test]
async fn a_report_that_makes_no_sense_or_comes_too_fast_is_not_taken() -> Fallible {
    let world = World::start().await?;
    let ann = world.laptop("ann", &[]).await?;
    let mut long = stands(DEVICE, 7, 1);
    long["last"]["warnings"] = vec!["x".repeat(1000); 70].into();
    for (body, status, kind) in [
        ("", 400, "invalid_request_error"),
        ("[]", 400, "invalid_request_error"),
        ("{\"fetch\":{\"at\":-1,\"result\":\"applied\"}}", 400, "invalid_request_error"),
        ("{\"fetch\":{\"at\":1,\"result\":\"fine\"}}", 400, "invalid_request_error"),
        (&*stands("../../etc", 7, 1).to_string(), 400, "invalid_request_error"),
        (&*stands(&DEVICE.to_ascii_uppercase(), 7, 1).to_string(), 400, "invalid_request_error"),
        (&*(stands(DEVICE, 7, 1).to_string() + "{}"), 400, "invalid_request_error"),
        (&*long.to_string(), 413, "request_too_large"),
    ] {
        let answer = world.method("POST", &ann, REPORT, &[], body).await?;
        assert_eq!(
            (answer.status, &answer.json()?["error"]["type"]),
            (status, &kind.into()),
            "{body:.80}"
        );
    }
    let mut last = 204;
    for n in 0..40 {
        let answer = says(&world, &ann, &stands(DEVICE, 7, n)).await?;
        last = answer.status;
        if last == 429 {
            assert_eq!(answer.header("retry-after"), "60");
            assert_eq!(answer.json()?["error"]["type"], "rate_limit_error");
            break;
        }
    }
    assert_eq!(last, 429);
    let bob = world.laptop("bob", &[]).await?;
    assert_eq!(
        says(&world, &bob, &stands(DEVICE, 7, 1)).await?.status,
        204,
        "others are not slowed"
    );
    Ok(())
}

#[tokio::test]
async fn what_a_laptop_makes_up_is_cut_to_what_can_be_shown() -> Fallible {
    let world = World::start().await?;
    world.release(7, &Plugins::default()).await?;
    let ann = world.laptop("ann", &[]).await?;
    let mut lie = failed(DEVICE, "\u{1b}[2J rm -rf");
    lie["last"]["os"] = "lin\u{0}ux\u{202e}\n".repeat(99).into();
    lie["last"]["helper"] = "1\r\n".into();
    lie["last"]["problem"] = "\u{1b}]0;x\u{7}no room ".repeat(99).into();
    lie["last"]["warnings"] = vec!["\u{1b}[31mred\n\u{202e}"; 99].into();
    lie["last"]["synced_at"] = u64::MAX.into();
    lie["last"]["standing"]["applied_at"] = u64::MAX.into();
    lie["last"]["standing"]["audience"] = "../x".into();
    assert_eq!(says(&world, &ann, &lie).await?.status, 204);

    let wanted = Wanted { tenants: None, since: 0, catalogue: "acme" };
    let devices = world.store.fleet_devices(&wanted, Which::Any, 9).await?;
    let device = devices.first().ok_or("none")?;
    assert_eq!(
        (&*device.os, &*device.helper, device.code.as_deref()),
        ("linuxlinuxlinuxl", "1", Some("unknown"))
    );
    assert_eq!(
        (device.warnings.len(), device.warnings.first().map(String::as_str)),
        (16, Some("[31mred"))
    );
    assert!(
        device
            .problem
            .as_ref()
            .is_some_and(|it| it.len() == 300 && it.starts_with("]0;xno room ]0;"))
    );
    assert!(device.synced_at <= clock::now());
    assert_eq!(device.stands, None, "an audience that no audience is called");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // commands run beside the sidecar
async fn what_a_laptop_warns_of_is_seen_by_operators_with_all_that_it_said() -> Fallible {
    let world = World::start().await?;
    world.release(7, &Plugins::default()).await?;
    let (ann, bob) = (world.laptop("ann", &[]).await?, world.laptop("bob", &[]).await?);
    let mut report = stands(DEVICE, 7, clock::now());
    report["last"]["warnings"] = json!(["its users can write /opt/claude/org-plugins"]);
    report["last"]["repaired"] = json!(["ledger"]);
    report["last"]["standing"]["plugins"] = json!([
        { "name": "ledger", "version": "1.2.0", "directory_sha256": "b".repeat(64) },
        { "name": "../\u{1b}[2J", "version": "1", "directory_sha256": "b".repeat(64) },
    ]);
    assert_eq!(says(&world, &ann, &report).await?.status, 204);
    assert_eq!(says(&world, &bob, &stands(&"e".repeat(32), 7, clock::now())).await?.status, 204);

    let status = told(&world, "fleet status")?.remove(0);
    assert_eq!((&status["devices"], &status["warned"]), (&2.into(), &1.into()));
    let listed = told(&world, "fleet status --warned")?;
    let warnings = json!([
        "its users can write /opt/claude/org-plugins",
        "was changed there, and is as signed again: ledger",
    ]);
    assert_eq!((listed.len(), &listed[0]["warnings"]), (1, &warnings));
    for name in [DEVICE, "ann@example.com"] {
        let shown = told(&world, &format!("fleet show {name}"))?;
        let plugins =
            json!({ "ledger": { "version": "1.2.0", "directory_sha256": "b".repeat(64) } });
        assert_eq!((shown.len(), &shown[0]["plugins"]), (1, &plugins), "and no name that is none");
    }
    let screen = |words: &str| -> Fallible<String> {
        let output = tollgate(&world.place, &words.split(' ').collect::<Vec<_>>())?;
        Ok(String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?)
    };
    assert!(screen("fleet status")?.contains("1 warn of something"));
    assert!(screen("fleet status --warned")?.contains("its users can write"));
    assert!(
        screen("fleet show ann@example.com")?.contains("plugin     ledger 1.2.0 (bbbbbbbbbbbb)")
    );
    assert!(
        screen("fleet show zoe@example.com")?.contains("no laptop zoe@example.com has reported")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // commands run beside the sidecar
async fn the_commands_publish_take_back_and_withdraw_and_the_fleet_tells_how_far_it_is() -> Fallible
{
    let world = World::start().await?;
    let dir = world.place.directory.path().join("publication");
    let (made, _) = contents(("acme", 7), 86_400, &Plugins::default())?;
    signed(&world.place, made).await?.write(&dir)?;
    let publish = format!("manifest publish {} --ticket SEC-7 --why first", dir.display());
    let first = told(&world, &publish)?.remove(0);
    assert_eq!((&first["version"], &first["from"]), (&7.into(), &Value::Null));
    assert_eq!(first["audiences"], json!(["finance", "everyone"]));
    assert_eq!(first["marketplaces"][0]["changed"], true);
    let again = told(&world, &publish)?.remove(0);
    assert_eq!((&again["version"], &again["from"]), (&7.into(), &7.into()), "already");
    world.until_version(7).await?;

    let now = clock::now();
    let others = "f".repeat(32);
    let (ann, fay) = (world.laptop("ann", &[]).await?, world.laptop("fay", &["finance"]).await?);
    says(&world, &ann, &stands(DEVICE, 7, now)).await?;
    says(&world, &fay, &stands(&others, 7, now)).await?;

    let revoke = "manifest revoke --kind plugin --id ledger --reason leaks --ticket SEC-8";
    let revoked = told(&world, revoke)?.remove(0);
    assert_eq!(revoked["version"], 8);
    let changes = revoked["changes"].as_array().ok_or("no changes")?;
    assert!(
        changes.iter().any(|it| (&it["kind"], &it["id"], &it["what"], &it["audience"])
            == (&"plugin".into(), &"ledger".into(), &"goes".into(), &"finance".into())),
        "{revoked}"
    );
    let pins: Vec<&Value> =
        revoked["marketplaces"].as_array().into_iter().flatten().map(|it| &it["changed"]).collect();
    assert_eq!(pins, [true, false], "the pin of those who lose something is a new one");
    says(&world, &fay, &stands(&others, 8, clock::now())).await?;
    let progress = told(&world, "fleet progress --revocation plugin/ledger")?.remove(0);
    let counted = ["devices", "reached", "missing", "version"].map(|name| progress[name].as_u64());
    assert_eq!(counted, [Some(2), Some(1), Some(1), Some(8)]);
    assert!(progress["median_s"].as_u64().is_some_and(|it| it <= 5), "{progress}");
    let laggards = told(&world, "fleet status --laggards")?;
    assert_eq!((laggards.len(), &laggards[0]["user_id"]), (1, &"ann@example.com".into()));

    let back = told(&world, "manifest rollback 7 --why enough")?.remove(0);
    assert_eq!(back["version"], 9);
    let still = told(&world, "fleet progress --revocation plugin/ledger")?.remove(0);
    assert_eq!(still["version"], 8, "what is revoked stays so, and counts from then");
    let status = told(&world, "fleet status")?.remove(0);
    let counted =
        ["in_force", "devices", "current", "behind", "failed"].map(|name| status[name].as_u64());
    assert_eq!(counted, [Some(9), Some(2), Some(0), Some(2), Some(0)]);
    let ways: Vec<Value> =
        told(&world, "manifest history")?.iter().map(|it| it["way"].clone()).collect();
    assert_eq!(ways, ["rollback", "revoke", "publish"]);
    for table in ["fleet status --version 8", "fleet progress --version 8", "manifest history"] {
        let words: Vec<&str> = table.split(' ').collect();
        let output = tollgate(&world.place, &words)?;
        assert!(output.status.success() && !output.stdout.is_empty(), "{table}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // commands run beside the sidecar
async fn a_build_from_before_a_revocation_is_refused_until_it_names_what_comes_back() -> Fallible {
    let world = World::start().await?;
    world.release(7, &Plugins::default()).await?;
    let (late, _) = contents(("acme", 12), 86_400, &Plugins::default())?;
    let dir = world.place.directory.path().join("late");
    signed(&world.place, late).await?.write(&dir)?;
    let publish = format!("manifest publish {}", dir.display());
    told(&world, "manifest revoke --kind plugin --id ledger")?;

    let output = tollgate(&world.place, &publish.split(' ').collect::<Vec<_>>())?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("plugin/ledger (for everyone, finance)"), "{stderr}");
    let history = told(&world, "manifest history")?;
    assert_eq!(
        (history.len(), &history[0]["version"]),
        (2, &8.into()),
        "nothing is in force of it"
    );

    let allowed = told(&world, &format!("{publish} --unrevoke plugin/ledger"))?.remove(0);
    assert_eq!((&allowed["version"], &allowed["from"]), (&12.into(), &8.into()));
    let row = row_of(&world, "manifest publish 8 -> 12").await?;
    let target = row.get("payload").get("target").cloned().unwrap_or_default();
    assert!(target.to_string().contains("unrevoke plugin/ledger"), "{target}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // commands run beside the sidecar
async fn one_act_while_keys_change_says_who_will_not_believe_it() -> Fallible {
    let world = World::start().await?;
    let next = Place::new()?;
    fs::copy(next.data.manifest_pin(), world.place.data.manifest_keys().join("next.pub"))?;
    let dir = world.place.directory.path().join("publication").display().to_string();
    let (made, _) = contents(("acme", 7), 86_400, &Plugins::default())?;
    signed(&world.place, made).await?.write(Path::new(&dir))?;
    assert!(tollgate(&next, &["manifest", "sign", &dir, "--add"])?.status.success());
    told(&world, &format!("manifest publish {dir}"))?;

    let revoke = |id: &str| -> Fallible<String> {
        let output =
            tollgate(&world.place, &["manifest", "revoke", "--kind", "plugin", "--id", id])?;
        assert!(output.status.success());
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let stderr = revoke("ledger")?;
    let other = key(&next)?.key_id().to_owned();
    assert!(
        stderr.contains(&format!("WARNING: what is in force was signed by {other}, ")),
        "{stderr}"
    );
    let stderr = revoke("notes")?;
    assert!(!stderr.contains("WARNING"), "no more than one signed the last one: {stderr}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // commands run beside the sidecar
async fn where_the_key_is_not_what_is_to_be_signed_is_written_and_nothing_published() -> Fallible {
    let world = World::start().await?;
    let dir = world.place.directory.path().join("publication");
    let (made, _) = contents(("acme", 7), 86_400, &Plugins::default())?;
    signed(&world.place, made).await?.write(&dir)?;
    world.release(7, &Plugins::default()).await?;
    world.release(9, &Plugins::default()).await?;
    let out = world.place.directory.path().join("unsigned");
    let written =
        told(&world, &format!("manifest rollback --previous --out {}", out.display()))?.remove(0);
    assert_eq!((&written["version"], &written["in_force"]), (&10.into(), &false.into()));
    assert!(out.join("index.json").exists() && !out.join("signed").exists());
    fs::remove_file(world.place.data.manifest_key())?;
    let output = tollgate(&world.place, &["manifest", "rollback", "--previous"])?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && stderr.contains("--out"), "{stderr}");
    let output = tollgate(&world.place, &["manifest", "publish", &dir.display().to_string()])?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && stderr.contains("higher than 9"), "{stderr}");
    Ok(())
}

#[tokio::test]
async fn security_publishes_from_elsewhere_and_operators_see_the_laptops_of_their_tenants()
-> Fallible {
    let world = office().await?;
    let (made, _) = contents(("acme", 7), 86_400, &Plugins::default())?;
    let dir = world.place.directory.path().join("publication");
    signed(&world.place, made).await?.write(&dir)?;
    let mut files = Vec::new();
    for folder in ["", "documents", "marketplaces", "archives", "signed", "signed/documents"] {
        for entry in fs::read_dir(dir.join(folder))? {
            let path = entry?.path();
            if path.is_file() {
                let name = path.strip_prefix(&dir)?.to_string_lossy().into_owned();
                files.push(Packed::text(name, fs::read(&path)?));
            }
        }
    }
    let sent = BASE64_STANDARD.encode(pack(&files)?);
    let (token, _) = token(&world, "security", &["security"], Minted::default()).await?;
    let (exit, stdout, stderr) = operate(&world, &token, "manifest publish -", &sent).await?;
    assert_eq!((exit, stdout.trim()), (0, "7"), "{stderr}");
    let row = row_of(&world, "manifest publish nothing -> 7").await?;
    assert_eq!(row.text("user_id"), "security@example.com");
    world.until_version(7).await?;
    let left: Vec<_> = fs::read_dir(world.place.data.root())?.collect::<Result<_, _>>()?;
    assert!(!left.iter().any(|it| it.file_name().to_string_lossy().starts_with("incoming")));

    for (name, tenant) in [("ann", "acme"), ("otto", "other")] {
        let token = world.laptop_of(name, tenant, &[], 300).await?;
        assert_eq!(says(&world, &token, &stands(DEVICE, 6, clock::now())).await?.status, 204);
    }
    let seen = async |name: &str, role: &str| -> Fallible<Vec<String>> {
        let line = "fleet status --laggards --json";
        let (exit, stdout, stderr) = crate::office::says(&world, name, role, line).await?;
        assert_eq!(exit, 0, "{stderr}");
        let lines = stdout.lines().map(serde_json::from_str::<Value>);
        let users = lines.map(|it| Ok(it?["user_id"].as_str().unwrap_or_default().to_owned()));
        users.collect()
    };
    assert_eq!(seen("bob", "soc").await?, ["ann@example.com"]);
    assert_eq!(seen("soc", "soc").await?, ["ann@example.com", "otto@example.com"]);
    let line = "fleet progress --version 7 --watch";
    let (exit, _, stderr) = crate::office::says(&world, "soc", "soc", line).await?;
    assert!(exit == 1 && stderr.contains("--watch"), "it would hold the sidecar: {stderr}");
    Ok(())
}
