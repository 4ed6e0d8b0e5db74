//! `tollgate mdm egress`, and what `export` fills in from a policy.

use crate::starts::{text, tollgate};
use crate::world::{Fallible, Place};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;

fn settings(place: &Place, desktop: &str, code: &str) -> Fallible<String> {
    let file = place.directory.path().join("settings.yaml");
    let whole = format!(
        "schema: tollgate.mdm/v1\norganization: O\nidentifier: com.example.t\nprofiles:\n  p:\n    \
         claude_desktop: {{ {desktop} }}\n    claude_code: {{ {code} }}\n"
    );
    fs::write(&file, whole)?;
    Ok(file.display().to_string())
}

const CLOSED: &str = "disableAutoUpdates: true, disableEssentialTelemetry: true, \
                      disableNonessentialTelemetry: true, disableNonessentialServices: true";

#[test]
fn hosts_are_tried_and_one_that_does_not_answer_makes_it_fail() -> Fallible {
    let place = Place::new()?;
    let here = TcpListener::bind("127.0.0.1:0")?;
    let there = here.local_addr()?.port();
    let gone = TcpListener::bind("127.0.0.1:0")?;
    let closed = gone.local_addr()?.port();
    drop(gone);
    // What every client reaches is on the internet, where tests do not go: so this is Claude Code alone.
    let code = |port: u16| {
        format!("env: {{ ANTHROPIC_BASE_URL: 'http://127.0.0.1:{port}' }}, apiKeyHelper: h")
    };

    let file = settings(&place, "", &code(there))?;
    let out = tollgate(&place, &["mdm", "egress", "--test", "--json", &file])?;
    let row: Value = serde_json::from_slice(&out.stdout)?;
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert_eq!((&row["host"], &row["port"]), (&json!("127.0.0.1"), &json!(there)));
    assert_eq!(row["result"], "reached");
    assert!(text(&out.stderr).contains("1/1 127.0.0.1"), "progress: {}", text(&out.stderr));

    let file = settings(&place, "", &code(closed))?;
    let out = tollgate(&place, &["mdm", "egress", "--test", &file])?;
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stdout));
    assert!(text(&out.stdout).contains("refused"), "{}", text(&out.stdout));
    Ok(())
}

#[test]
fn a_port_that_speaks_no_tls_is_not_reached() -> Fallible {
    let place = Place::new()?;
    let here = TcpListener::bind("127.0.0.1:0")?;
    let port = here.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in here.incoming() {
            drop(stream);
        }
    });
    let code =
        format!("env: {{ ANTHROPIC_BASE_URL: 'https://127.0.0.1:{port}' }}, apiKeyHelper: h");
    let file = settings(&place, "", &code)?;
    let out = tollgate(&place, &["mdm", "egress", "--test", &file])?;
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stdout).contains("TLS: "), "{}", text(&out.stdout));
    Ok(())
}

#[test]
fn a_firewalls_list_has_each_host_once() -> Fallible {
    let place = Place::new()?;
    let desktop = format!(
        "inferenceProvider: gateway, inferenceGatewayBaseUrl: 'https://g.example', {CLOSED}"
    );
    let code = "env: { ANTHROPIC_BASE_URL: 'https://g.example' }, apiKeyHelper: h";
    let file = settings(&place, &desktop, code)?;
    let out = tollgate(&place, &["mdm", "egress", "--txt", &file])?;
    assert_eq!(text(&out.stdout), "downloads.claude.ai\ng.example\n");
    Ok(())
}

const POLICY: &str = "
schema: tollgate.policy/v1
name: n
rules:
  - { id: all, models: ['*'] }
servers:
  - { id: wiki, gateway: { tools: { get: allow } } }
approvals: { approvers: { groups: [leads] }, wait: 1m, valid: 5m }
";

#[test]
fn what_a_policy_opens_is_filled_in_and_contradicted_by_nothing() -> Fallible {
    let place = Place::new()?;
    let policy = place.directory.path().join("policy.yaml");
    fs::write(&policy, POLICY)?;
    let policy = policy.display().to_string();
    let desktop = "inferenceProvider: gateway, inferenceGatewayBaseUrl: 'https://g.example'";
    let code = "env: { ANTHROPIC_BASE_URL: 'https://g.example' }, apiKeyHelper: h, permissions: { deny: [Read] }";
    let file = settings(&place, desktop, code)?;
    let export = |client: &str, file: &str| {
        let words =
            ["mdm", "export", "--format", "linux-json", "--for", client, "--policy", &policy, file];
        tollgate(&place, &words)
    };

    let said: Value = serde_json::from_slice(&export("desktop", &file)?.stdout)?;
    assert_eq!(said["managedMcpServers"][0]["url"], "https://g.example/mcp/wiki");
    assert_eq!(said["isLocalDevMcpEnabled"], false);
    assert_eq!(said["inferenceProvider"], "gateway");
    let said: Value = serde_json::from_slice(&export("code", &file)?.stdout)?;
    assert_eq!(said["allowManagedMcpServersOnly"], true);
    let deny = said["permissions"]["deny"].as_array().ok_or("no list")?;
    assert!(deny.contains(&json!("Read")), "its own too: {deny:?}");

    let file = settings(&place, &format!("{desktop}, isLocalDevMcpEnabled: true"), code)?;
    let out = export("desktop", &file)?;
    assert_eq!(out.status.code(), Some(1));
    assert!(
        text(&out.stderr).contains("says isLocalDevMcpEnabled itself"),
        "{}",
        text(&out.stderr)
    );
    Ok(())
}
