//! `managed-mcp.json`: the MCP servers that may be used, as clients want them.

use contract::manifest::{ManagedServer, Transport};
use serde_json::{Map, Value, json};

/// The file: `mcpServers` as Claude Code has it in its `managed-mcp.json`, `managedMcpServers` as Claude Desktop has it in its
/// configuration.
pub fn file(servers: &[&ManagedServer]) -> Vec<u8> {
    let code: Map<String, Value> =
        servers.iter().map(|server| (server.id.clone(), code(server))).collect();
    let desktop: Vec<Value> = servers.iter().map(|server| desktop(server)).collect();
    let mut text =
        serde_json::to_vec_pretty(&json!({ "mcpServers": code, "managedMcpServers": desktop }))
            .unwrap_or_default();
    text.push(b'\n');

    text
}

fn word(transport: Transport) -> &'static str {
    match transport {
        Transport::Http => "http",
        Transport::Sse => "sse",
        Transport::Stdio => "stdio",
    }
}

fn code(server: &ManagedServer) -> Value {
    let mut entry = json!({ "type": word(server.transport) });
    reached(server, &mut entry);

    entry
}

fn desktop(server: &ManagedServer) -> Value {
    let policy: Map<String, Value> = server
        .tool_policy
        .iter()
        .map(|(tool, choice)| (tool.clone(), choice.as_str().into()))
        .collect();
    let mut entry = json!({
        "name": server.id, "transport": word(server.transport), "toolPolicy": policy,
    });
    reached(server, &mut entry);

    entry
}

fn reached(server: &ManagedServer, entry: &mut Value) {
    let Some(entry) = entry.as_object_mut() else { return };
    if let Some(url) = &server.url {
        entry.insert("url".into(), url.as_str().into());
    }
    if let Some(command) = &server.command {
        entry.insert("command".into(), command.as_str().into());
        entry.insert("args".into(), server.args.clone().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::clients::Choice;

    #[test]
    fn both_clients_find_the_servers_in_their_own_words() {
        let search = ManagedServer {
            id: "search".into(),
            transport: Transport::Http,
            url: Some("https://gateway.example/mcp/search".into()),
            command: None,
            args: vec![],
            tool_policy: [("*".to_owned(), Choice::Blocked), ("find".to_owned(), Choice::Ask)]
                .into(),
        };
        let local = ManagedServer {
            id: "local".into(),
            transport: Transport::Stdio,
            url: None,
            command: Some("/opt/acme/mcp".into()),
            args: vec!["--quiet".into()],
            tool_policy: [].into(),
        };

        let read: Value = serde_json::from_slice(&file(&[&search, &local])).unwrap();

        assert_eq!(
            read,
            json!({
                "mcpServers": {
                    "search": { "type": "http", "url": "https://gateway.example/mcp/search" },
                    "local": { "type": "stdio", "command": "/opt/acme/mcp", "args": ["--quiet"] },
                },
                "managedMcpServers": [
                    {
                        "name": "search", "transport": "http",
                        "url": "https://gateway.example/mcp/search",
                        "toolPolicy": { "*": "blocked", "find": "ask" },
                    },
                    {
                        "name": "local", "transport": "stdio", "toolPolicy": {},
                        "command": "/opt/acme/mcp", "args": ["--quiet"],
                    },
                ],
            })
        );
    }
}
