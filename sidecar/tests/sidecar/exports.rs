//! `tollgate mcp`: what operators get out of a policy for clients, and into one from servers.

use crate::starts::tollgate;
use crate::world::{Fallible, Place};
use serde_json::{Value, json};
use std::fs;

const POLICY: &str = "
schema: tollgate.policy/v1
name: n
rules:
  - { id: all, models: ['*'] }
tools:
  - { id: refunds, who: { groups: [payments] }, tools: { mcp__stripe__refund: approve } }
servers:
  - { id: stripe, who: { tenants: [acme] }, gateway: { tools: { list: allow }, also: [logging] } }
  - { id: wiki, gateway: { tools: { 'get_*': allow } } }
approvals: { approvers: { groups: [leads] }, wait: 1m, valid: 5m }
";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn clients_documents_are_json_on_standard_output_and_what_they_cannot_say_is_told_beside()
-> Fallible {
    let place = Place::new()?;
    let file = place.directory.path().join("n.yaml");
    fs::write(&file, POLICY)?;
    let file = file.display().to_string();
    let export = |of: &str, more: &[&str]| -> Fallible<(Value, String)> {
        let words = ["mcp", "export", "--for", of, "--url", "https://gate.example", &file];
        let output = tollgate(&place, &[&words[..], more].concat())?;
        assert!(output.status.success(), "{}", text(&output.stderr));
        Ok((serde_json::from_slice(&output.stdout)?, text(&output.stderr)))
    };

    let (cowork, told) = export("cowork", &["--tenant", "acme", "--group", "payments"])?;
    let names = cowork["managedMcpServers"].as_array().ok_or("no list")?;
    let names: Vec<&Value> = names.iter().map(|server| &server["name"]).collect();
    assert_eq!(names, ["stripe", "wiki", "approvals"]);
    let open = json!({"list": "allow", "refund": "allow", "*": "blocked"});
    assert_eq!(cowork["managedMcpServers"][0]["toolPolicy"], open);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("wiki: *: "), "{told}");

    let (cowork, _) = export("cowork", &["--tenant", "acme", "--helper", "/opt/h-headers"])?;
    let stripe = &cowork["managedMcpServers"][0];
    assert_eq!(stripe["toolPolicy"], json!({"list": "allow", "*": "blocked"}), "not of payments");
    assert_eq!(stripe["headersHelper"], "/opt/h-headers");
    let (code, _) = export("claude-code-mcp", &["--tenant", "elsewhere"])?;
    assert!(code["mcpServers"].get("stripe").is_none() && code["mcpServers"].get("wiki").is_some());
    let (whole, _) = export("claude-code-settings", &["--json"])?;
    assert_eq!(whole["document"]["allowManagedMcpServersOnly"], true);
    assert_eq!(whole["warnings"][0]["server"], "wiki");

    let words = ["mcp", "export", "--for", "cowork", "--url", "http://gate.example", &file];
    assert_eq!(tollgate(&place, &words)?.status.code(), Some(1));
    Ok(())
}

#[test]
fn servers_are_listed_and_what_they_list_is_pinned() -> Fallible {
    let place = Place::new()?;
    let file = place.directory.path().join("n.yaml");
    fs::write(&file, POLICY)?;
    let listed = tollgate(&place, &["mcp", "list", &file.display().to_string(), "--json"])?;
    let first: Value = serde_json::from_str(text(&listed.stdout).lines().next().unwrap_or(""))?;
    assert_eq!((&first["id"], &first["path"]), (&json!("stripe"), &json!("/mcp/stripe")));
    assert_eq!(first["rules"], json!(["refunds"]));

    let tools = place.directory.path().join("tools.json");
    fs::write(&tools, r#"{"result": {"tools": [{"name": "list", "inputSchema": {}}]}}"#)?;
    let pins = tollgate(&place, &["mcp", "pins", &tools.display().to_string()])?;
    let block = text(&pins.stdout);
    // What is printed stands in a policy as it is.
    let indented = format!("      {}\n", block.trim_end().replace('\n', "\n      "));
    let pinned = POLICY.replace(
        "gateway: { tools: { 'get_*': allow } } }",
        "gateway: { tools: { list: allow } } }",
    );
    let pinned = pinned.replace(
        "  - { id: wiki, gateway: { tools: { list: allow } } }\n",
        &format!("  - id: wiki\n    gateway:\n      tools: {{ list: allow }}\n{indented}"),
    );
    assert!(pinned.contains("pins:"), "{pinned}");
    fs::write(&file, pinned)?;
    let checked = tollgate(&place, &["policy", "check", &file.display().to_string()])?;
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    Ok(())
}
