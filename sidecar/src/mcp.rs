//! `tollgate mcp`: servers that are reached through the gate, and what clients are told of them.

mod pins;

use crate::args::{ClientDocument, ExportArgs, McpCommand};
use crate::failure::Failure;
use crate::policy::command::ask;
use crate::screen::{STDIN, Screen};
use crate::settings::{Data, FileError};
use contract::clients::Clients;
use contract::policy::{Policy, ServerRule, Who, Word};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(command: &McpCommand, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    match command {
        McpCommand::List { file } => list(file.as_deref(), data, screen).await,
        McpCommand::Export(wanted) => export(wanted, data, screen).await,
        McpCommand::Pins { file } => pin(file, screen),
    }
}

async fn list(file: Option<&Path>, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    let (policy, version) = ask::meant(file, data, screen).await?;
    let mut rows = Vec::new();
    for server in policy.mcp_servers() {
        let Some(gateway) = &server.gateway else { continue };
        let rules = naming(&policy, server);
        if screen.json() {
            screen.object(&json!({
                "id": server.id, "who": server.who, "unless": server.unless, "gateway": gateway,
                "path": format!("/mcp/{}", server.id), "rules": rules, "version": version,
            }))?;
        }
        let also: Vec<String> = gateway
            .also
            .iter()
            .filter_map(|also| Some(serde_json::to_value(also).ok()?.as_str()?.to_owned()))
            .collect();
        rows.push(vec![
            server.id.clone(),
            gateway.title.clone().unwrap_or_default(),
            audience(server)?,
            words(&gateway.tools),
            gateway.otherwise.as_str().to_owned(),
            words(&gateway.resources),
            words(&gateway.prompts),
            also.join(" "),
            gateway.pins.len().to_string(),
            rules.join(" "),
        ]);
    }
    if screen.json() {
        return Ok(());
    }
    let head = [
        "SERVER",
        "TITLE",
        "WHO",
        "TOOLS",
        "OTHERWISE",
        "RESOURCES",
        "PROMPTS",
        "ALSO",
        "PINS",
        "RULES",
    ];

    screen.table(&head, &rows)
}

/// Rules over tools that name a server.
fn naming<'p>(policy: &'p Policy, server: &ServerRule) -> Vec<&'p str> {
    let id = &server.id;
    let beginnings = [format!("mcp__{id}__"), format!("resource:{id}/"), format!("prompt:{id}/")];
    let names = |name: &String| {
        let name = name.to_ascii_lowercase();
        beginnings.iter().any(|beginning| name.starts_with(beginning))
    };

    policy
        .tools()
        .filter(|(rule, _)| rule.tools.keys().any(names))
        .map(|(rule, _)| rule.id.as_str())
        .collect()
}

fn audience(server: &ServerRule) -> Result<String, Failure> {
    let said = |who: &Who| -> Result<String, Failure> {
        if who.is_everyone() {
            return Ok("everyone".to_owned());
        }
        let members = serde_json::to_value(who)?;
        let members = members.as_object().into_iter().flatten();
        let each = members.map(|(name, list)| format!("{name} {}", texts(list)));

        Ok(each.collect::<Vec<_>>().join(", "))
    };
    let who = said(&server.who)?;

    match &server.unless {
        Some(unless) => Ok(format!("{who}; not {}", said(unless)?)),
        None => Ok(who),
    }
}

fn texts(list: &Value) -> String {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);

    texts.collect::<Vec<_>>().join("|")
}

fn words(of: &BTreeMap<String, Word>) -> String {
    let each = of.iter().map(|(name, word)| format!("{name}={}", word.as_str()));

    each.collect::<Vec<_>>().join(" ")
}

async fn export(wanted: &ExportArgs, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    address(&wanted.url)?;
    if let Some(helper) = &wanted.helper {
        absolute(helper)?;
    }
    let (policy, version) = ask::meant(wanted.file.as_deref(), data, screen).await?;
    let (somebody, known) = ask::somebody(&wanted.caller, data).await?;
    if wanted.caller.user.is_some() && !known {
        screen.say("Nobody is known here by that address: only what you said of them counts.");
    }
    let clients = Clients {
        policy: &policy,
        subject: somebody.subject(),
        url: &wanted.url,
        helper: wanted.helper.as_deref(),
    };
    let made = match wanted.document {
        ClientDocument::Cowork => clients.cowork(wanted.strict),
        ClientDocument::ClaudeCodeMcp => clients.claude_code_mcp(),
        ClientDocument::ClaudeCodeSettings => clients.claude_code_settings(),
    };
    for warning in &made.warnings {
        screen.say(&format!("{}: {}: {}", warning.server, warning.tools, warning.problem));
    }
    if screen.json() {
        let warnings: Vec<Value> = made
            .warnings
            .iter()
            .map(|one| json!({ "server": one.server, "tools": one.tools, "problem": one.problem }))
            .collect();
        return screen.object(
            &json!({ "document": made.document, "warnings": warnings, "version": version }),
        );
    }
    let mut text = serde_json::to_string_pretty(&made.document)?;
    text.push('\n');

    screen.print(&text)
}

/// Clients take https, and this machine itself without; and no path stands before `/mcp/ID`.
fn address(url: &str) -> Result<(), Failure> {
    let rest = url.strip_prefix("https://").or_else(|| {
        let rest = url.strip_prefix("http://")?;
        let here = ["localhost", "127.0.0.1", "[::1]"];
        here.iter().any(|host| rest.starts_with(host)).then_some(rest)
    });
    let host = rest.map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let plain = |host: &str| {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "/?#@\\\"".contains(c);
        !host.is_empty() && !host.contains(odd)
    };
    if host.is_some_and(plain) {
        return Ok(());
    }

    Err(Failure::Refused(format!(
        "--url is {url:?}, and https://HOST or https://HOST:PORT belongs there"
    )))
}

fn absolute(helper: &str) -> Result<(), Failure> {
    let drive = |path: &str| matches!(path.as_bytes(), [_, b':', b'\\' | b'/', ..]);
    if helper.starts_with('/') || drive(helper) {
        return Ok(());
    }

    Err(Failure::Refused(format!("--helper is {helper:?}, and clients want an absolute path")))
}

fn pin(file: &Path, screen: &mut Screen) -> Result<(), Failure> {
    let bytes = if file.as_os_str() == STDIN {
        screen.stdin()?
    } else {
        std::fs::read(file).map_err(|source| FileError::Read { path: file.to_owned(), source })?
    };
    let refused = |why: String| Failure::Refused(format!("{}: {why}", file.display()));
    let pins = pins::of(&bytes).map_err(refused)?;
    if screen.json() {
        return screen.object(&json!({ "pins": pins }));
    }

    screen.print(&pins::block(&pins))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_pointed_at_an_origin_and_helped_by_an_absolute_path() {
        for url in ["https://g.example", "https://g.example:8443/", "http://127.0.0.1:8080"] {
            assert!(address(url).is_ok(), "{url}");
        }
        for url in
            ["http://g.example", "https://", "https://g.example/x", "https://a@g.example", "g"]
        {
            assert!(address(url).is_err(), "{url}");
        }
        assert!(absolute("/usr/local/bin/h").is_ok() && absolute("C:\\Tools\\h.exe").is_ok());
        assert!(absolute("h").is_err());
    }
}
