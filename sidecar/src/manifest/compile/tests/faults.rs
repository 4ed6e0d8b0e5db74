use super::*;
use std::os::unix::fs::symlink;

#[test]
fn every_fault_of_the_folders_is_told() {
    let ledger = "plugins/ledger/.claude-plugin/plugin.json";
    has(
        &fault(|it| it.edit("catalogue.yaml", "plugins/ledger", "../ledger")),
        &["17: plugins[1].path", "leads out"],
    );
    let gone = |it: &Place| fs::remove_dir_all(it.0.path().join("plugins/ledger")).unwrap();
    has(&fault(gone), &["plugins[1].path", "is not there"]);
    has(
        &fault(|it| it.edit(ledger, "\"ledger\"", "\"books\"")),
        &["\"books\"", "must be the same"],
    );
    has(&fault(|it| it.edit(ledger, "  \"version\": \"2.0.1\",\n", "")), &["has no version"]);
    has(
        &fault(|it| it.write("plugins/ledger/version.json", "{\"version\":\"3\"}")),
        &["2.0.1", "\"3\""],
    );
    has(&fault(|it| it.write(ledger, "{")), &["is no JSON object"]);
    has(&fault(|it| fs::remove_file(it.0.path().join(ledger)).unwrap()), &["neither", "SKILL.md"]);
    has(&fault(|it| it.edit(ledger, "required", "available")), &["installation", "available"]);
    has(
        &fault(|it| symlink("/etc/passwd", it.0.path().join("plugins/ledger/x")).unwrap()),
        &["is a link to /etc/passwd"],
    );
    has(
        &fault(|it| symlink("commands/close.md", it.0.path().join("plugins/ledger/x.md")).unwrap()),
        &["is a link"],
    );
    let linked = |it: &Place| {
        let skill = it.0.path().join("skills/triage/SKILL.md");
        fs::remove_file(&skill).unwrap();
        symlink("/etc/passwd", skill).unwrap();
    };
    has(&fault(linked), &["skills[0].path", "is a link"]);
    has(&fault(|it| it.write("plugins/ledger/nul.txt", "")), &["nul.txt", "device"]);
    has(&fault(|it| it.write("plugins/ledger/\u{e9}.md", "")), &["printable ASCII"]);
    has(
        &fault(|it| it.write("plugins/ledger/Commands/x.md", "")),
        &["plugins[1]", "another spelling"],
    );
    let huge = |it: &Place| {
        let file = fs::File::create(it.0.path().join("plugins/ledger/huge")).unwrap();
        file.set_len(300 * 1024 * 1024).unwrap();
    };
    has(&fault(huge), &["has over 209715200 bytes, with huge"]);
    let token = format!("key ghp_{}\n", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    let told = fault(|it| it.write("plugins/ledger/notes.md", &token));
    has(&told, &["notes.md", "secret"]);
    assert!(!told.contains("ghp_"), "{told}");
}

#[test]
fn a_plugin_brings_no_mcp_server_that_the_allowlist_does_not_have() {
    let mcp = "plugins/ledger/.mcp.json";
    let other = fault(|it| it.edit(mcp, "gateway.example.com/mcp/books", "evil.example.net/mcp"));
    has(
        &other,
        &["plugins[1].path", "\"books\" (https://evil.example.net/mcp)", "none of mcp_servers"],
    );
    let command = r#"{"mcpServers":{"x":{"command":"npx","args":["-y","x"]}}}"#;
    has(&fault(|it| it.write(mcp, command)), &["\"x\" (npx)"]);
    let plugin = "plugins/ledger/.claude-plugin/plugin.json";
    let inline = "\"name\": \"ledger\", \"mcpServers\": {\"x\": {\"url\": \"https://e.example\"}},";
    has(&fault(|it| it.edit(plugin, "\"name\": \"ledger\",", inline)), &["https://e.example"]);
    let less = fault(|it| {
        it.edit("catalogue.yaml", "    mcp_servers: [books]\n", "    mcp_servers: []\n");
    });
    has(&less, &["audiences[0].plugins", "this audience does not have \"books\""]);
}

#[test]
fn what_a_client_could_read_as_an_mcp_server_is_understood_or_refused() {
    let mcp = "plugins/ledger/.mcp.json";
    for (text, told) in [
        (r#"{"mcpServers":[{"x":{"url":"https://e.example"}}]}"#, "mcpServers is no object"),
        (r#"{"mcpServers":{"x":"https://e.example"}}"#, "\"x\" is no object"),
        (r#"{"mcpServers":{"x":{"command":"npx","args":"-y x"}}}"#, "no list of texts"),
        (r#"{"mcpServers":{"x":{"command":"npx","args":["-y",1]}}}"#, "no list of texts"),
        (r#"{"mcpServers":{"x":{"command":"npx","url":7}}}"#, "either a url or a command"),
    ] {
        has(&fault(|it| it.write(mcp, text)), &["plugins[1].path", told]);
    }
    let plugin = "plugins/ledger/.claude-plugin/plugin.json";
    for servers in [r#"[{"x":{"url":"https://e.example"}}]"#, "null", "7", "[[]]"] {
        let own = format!("\"name\": \"ledger\", \"mcpServers\": {servers},");
        let told = fault(|it| it.edit(plugin, "\"name\": \"ledger\",", &own));
        has(&told, &["neither servers by name nor paths"]);
    }
    for path in ["version.Json", "Hooks/hooks.json", "Agents", "SKILLS/x/SKILL.md"] {
        let told = fault(|it| it.write(&format!("plugins/ledger/{path}"), "x"));
        has(&told, &["another spelling of"]);
    }
    let place = Place::new();
    place.write("plugins/deploy-review/.Mcp.json", r#"{"x":{"url":"https://e.example"}}"#);
    let told = format!("{:?}", place.faults());
    has(&told, &["another spelling of .mcp.json", "https://e.example"]);
}

#[test]
fn a_tool_is_a_tool_and_nothing_else_of_the_front_matter() {
    let with = |tool: &str| {
        let tools = format!("tools: [Read, {}]", serde_json::Value::from(tool));
        move |it: &Place| it.edit("catalogue.yaml", "tools: [Read, Grep]", &tools)
    };
    for tool in [
        "Read\nhooks: x",
        "a: b",
        "x:",
        "Read #",
        "[x]",
        "*",
        "&a",
        "x, y",
        "true",
        "",
        "\u{85}",
        "a\"b",
    ] {
        has(&fault(with(tool)), &["agents[0].tools", "a tool begins with a letter"]);
    }
    for tool in ["mcp__books", "mcp__tickets2", "MCP__books__read", "mcp__*", "mcp__tick"] {
        has(&fault(with(tool)), &["agents[0].tools", "no such server"]);
    }
    for tool in ["Bash(git diff:*)", "mcp__tickets__search", "mcp__tickets"] {
        let place = Place::new();
        with(tool)(&place);
        file(&place.file(), None).unwrap();
    }
}

#[test]
fn a_name_that_yaml_reads_as_something_else_is_quoted() {
    for name in ["true", "1.0", "No", "2026-11-22"] {
        let place = Place::new();
        let catalogue = place.file();
        let text = fs::read_to_string(&catalogue).unwrap();
        fs::write(&catalogue, text.replace("plain-answers", &format!("\"{name}\""))).unwrap();
        let compiled = file(&catalogue, None).unwrap();
        let skills = compiled.documents.iter().flat_map(|it| &it.skills);
        let skill = skills.into_iter().find(|it| it.id == name).unwrap();
        has(&skill.instructions, &[&format!("---\nname: \"{name}\"\n")]);
        let agents = compiled.documents.iter().flat_map(|it| &it.agents);
        has(&agents.into_iter().next().unwrap().instructions, &[&format!("  - \"{name}\"\n")]);
    }
}

#[test]
fn every_fault_of_the_catalogue_is_told() {
    let edit = |from: &str, to: &str| fault(|it| it.edit("catalogue.yaml", from, to));
    has(&edit("valid_for: 14d", "valid_for: 10m"), &["11: valid_for", "1h"]);
    has(
        &edit("plugins: [ledger]", "plugins: [ledgre]"),
        &["50: audiences[0].plugins[0]", "did you mean ledger?"],
    );
    has(
        &edit(
            "skills: [triage, plain-answers]\n    mcp_servers: [tickets]\n    tools",
            "skills: [triaje]\n    mcp_servers: [tickets]\n    tools",
        ),
        &["agents[0].skills[0]", "did you mean triage?"],
    );
    has(&edit("on_expiry: keep", "on_expiri: keep"), &["did you mean on_expiry?"]);
    has(&edit("comment: ask", "comment: asks"), &["did you mean ask?"]);
    has(&edit("id: quick-export", "id: ledger"), &["revocations[0]", "listed too"]);
    has(
        &edit(
            "  - id: plain-answers\n",
            "  - id: Triage\n    description: x\n    instructions: x\n  - id: plain-answers\n",
        ),
        &["used before"],
    );
    has(&edit("path: agents/desk.md", "path: agents/desk.txt"), &["agents[0].path", "not there"]);
    has(
        &edit(
            "includes: [everyone]\n    plugins: [ledger]",
            "includes: [every]\n    plugins: [ledger]",
        ),
        &["audiences[0].includes[0]", "did you mean everyone?"],
    );
    has(
        &edit("  - name: everyone\n", "  - name: everyone\n    includes: [everyone]\n"),
        &["a ring"],
    );
    has(
        &edit("  - id: tickets\n", "  - id: tickets\n    transport: stdio\n"),
        &["mcp_servers[0]", "command"],
    );
    has(
        &edit("name: acme\n", "name: acme\nbundle: { name: ledger }\n"),
        &["the name of the bundle"],
    );
    let needs = edit(
        "    agents: [desk]\n",
        "    agents: [desk]\n  - name: robots\n    who: { groups: [x] }\n    agents: [desk]\n    skills: [triage, plain-answers]\n",
    );
    has(&needs, &["agents[0].mcp_servers", "robots"]);
}

#[test]
fn a_gateway_is_an_origin() {
    for gateway in
        ["http://gateway.example.com", "https://gateway.example.com/x", "https://a@b.example"]
    {
        let place = Place::new();
        place.edit(
            "catalogue.yaml",
            "gateway: https://gateway.example.com",
            &format!("gateway: {gateway}"),
        );
        let found = place.faults();
        assert_eq!((found[0].place.as_str(), found[0].at.line), ("gateway", 10), "{found:?}");
    }
}

#[test]
fn an_audience_that_nobody_reaches_is_a_fault() {
    let add = |text: &str| {
        let from = "  - name: everyone\n";
        fault(|it| it.edit("catalogue.yaml", from, &format!("{text}{from}")))
    };
    let nobody = "is reached by nobody";
    has(
        &add("  - name: late\n    who: { groups: [finance], regions: [eu] }\n"),
        &["audiences[2]", nobody],
    );
    has(
        &add(
            "  - name: sre\n    who: { groups: [sre] }\n    unless: { populations: [contractor] }\n",
        ),
        &[nobody],
    );
    let behind = fault(|it| {
        it.edit(
            "catalogue.yaml",
            "\nrevocations:",
            "  - name: last\n    who: { groups: [x] }\n\nrevocations:",
        );
    });
    has(&behind, &["audiences[3]", nobody]);
    // Contractors of platform, and finance or others: somebody is left.
    let place = Place::new();
    let more = "  - name: sre\n    who: { groups: [sre] }\n  - name: f\n    who: { groups: [finance, x] }\n  - name: everyone\n";
    place.edit("catalogue.yaml", "  - name: everyone\n", more);
    file(&place.file(), None).unwrap();
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_lines() {
    let place = Place::new();
    place.edit("catalogue.yaml", "valid_for: 14d", "valid_for: soon");
    place.edit("catalogue.yaml", "plugins: [ledger]", "plugins: [ledgre]");
    place.write("plugins/deploy-review/aux.md", "");

    let lines: Vec<usize> = place.faults().iter().map(|found| found.at.line).collect();

    assert_eq!(lines, [11, 15, 50]);
}
