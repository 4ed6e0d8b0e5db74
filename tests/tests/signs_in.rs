//! The real helper, as a client starts it: from a personal access token to a call.

use e2e::provider::script::Script;
use e2e::suite::alone;
use e2e::world::World;
use e2e::world::processes::built;
use e2e::world::setup::Setup;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

fn home(world: &World) -> PathBuf {
    world.place.join("laptop")
}

fn helper(world: &World, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(built("tollgate-helper").unwrap())
        .args(arguments)
        .env("TOLLGATE_HELPER_HOME", home(world))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A helper that asks nothing may be gone by now.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));

    child.wait_with_output().unwrap()
}

fn login(world: &World, pat: &str) -> Output {
    let gateway = format!("https://localhost:{}", world.ports.tls.port());
    let ca = world.run().join("tls/ca.pem").display().to_string();

    helper(world, &["login", "--gateway", &gateway, "--pat", "-", "--ca", &ca], pat)
}

/// Its one line.
fn line(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.trim_end().lines().count(), 1, "one line and nothing else: {text:?}");

    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_personal_access_token_becomes_calls_by_the_helper_alone() {
    alone(Setup::named("signs-in"), async |world| {
        let before = helper(world, &[], "");
        assert_eq!(
            (before.status.code(), before.stdout.len()),
            (Some(5), 0),
            "nothing is kept yet"
        );

        let kept = login(world, &world.pat);
        assert!(kept.status.success(), "{}", String::from_utf8_lossy(&kept.stderr));
        let printed = line(&helper(world, &[], ""));

        let headers = printed["headers"].as_object().unwrap();
        assert_eq!(headers.len(), 7, "{printed}");
        assert!(printed["ttl"].as_u64().is_some_and(|ttl| ttl > 3000 && ttl <= 3600), "{printed}");
        let token = printed["token"].as_str().unwrap();
        let mut call = world.anonymous(&Script::new()).bearer(token).streamed();
        for (name, value) in headers {
            call = call.header(name, value.as_str().unwrap());
        }
        let answer = call.send(world).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let row = world.row_from(answer.source).await;
        assert_eq!(row.text("user_id"), "ann@example.com");
        assert!(row.text("credential_id").starts_with("pat_"), "{row:#?}");

        for entry in fs::read_dir(home(world)).unwrap().flatten() {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{:?} is open to others: {mode:o}", entry.path());
        }

        world.stop_envoy().unwrap();
        let begun = Instant::now();
        let cached = line(&helper(world, &[], ""));
        eprintln!("from the cache in {:?}", begun.elapsed());
        assert_eq!(cached["token"], printed["token"], "inside its life no network is needed");
    });
}

#[test]
fn a_wrong_token_is_not_kept_and_standard_output_stays_empty() {
    alone(Setup::named("signs-in-wrong"), async |world| {
        let wrong = format!("{}x", &world.pat[..world.pat.len() - 1]);

        let refused = login(world, &wrong);

        assert_eq!((refused.status.code(), refused.stdout.len()), (Some(5), 0));
        assert!(
            !String::from_utf8_lossy(&refused.stderr).contains(&wrong),
            "a secret is not echoed"
        );
        assert_eq!(helper(world, &[], "").status.code(), Some(5));
        world.stop_envoy().unwrap();
        assert_eq!(login(world, &world.pat).status.code(), Some(3), "unreachable is another thing");
    });
}
