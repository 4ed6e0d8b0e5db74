//! What a plugin's folder says of itself, and what is wrong with it.

use super::archive::Packed;
use super::generated::{PLUGIN_JSON, VERSION_JSON};
use contract::manifest::{Installation, Transport, name_fault};
use contract::scan::{Scanner, Severity, Wanted, catalogue};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What a folder says.
#[derive(Debug, Default)]
pub struct About {
    /// What it is for.
    pub description: String,
    /// Its version.
    pub version: String,
    /// How it wants to be offered.
    pub installation: Option<Installation>,
    /// The MCP servers it brings.
    pub servers: Vec<Brought>,
    /// What is wrong.
    pub problems: Vec<String>,
    /// What somebody should look at.
    pub notes: Vec<String>,
}

/// An MCP server that a plugin brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// Its name there.
    pub name: String,
    /// Where it is, or what is started.
    pub how: How,
}

/// How a plugin's server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// At an address.
    Url(String, Transport),
    /// By a command with arguments.
    Command(String, Vec<String>),
}

/// Reads a plugin of this folder's name.
pub fn about(name: &str, files: &[Packed]) -> About {
    let mut about = About::default();
    if let Some(problem) = name_fault(name) {
        about.problems.push(format!("the folder's name {problem}"));
    }
    let json = |path: &str| files.iter().find(|it| it.path == path).map(object);
    let mut told = true;
    let own = match json(PLUGIN_JSON) {
        Some(Ok(own)) => {
            told = false;
            own
        }
        Some(Err(problem)) => {
            about.problems.push(format!("{PLUGIN_JSON}: {problem}"));
            Map::new()
        }
        None if files.iter().any(|it| it.path == "SKILL.md") => {
            told = false;
            Map::new()
        }
        None => {
            about.problems.push(format!("has neither {PLUGIN_JSON} nor a SKILL.md"));
            Map::new()
        }
    };
    about.named(name, &own);
    // What follows from a missing or broken file is not told again.
    if told {
        "0".clone_into(&mut about.version);
    } else {
        about.versioned(&own, json(VERSION_JSON));
    }
    about.servers(&own, files);
    about.runs(&own, files);
    about.secrets(files);

    about
}

fn object(file: &Packed) -> Result<Map<String, Value>, String> {
    serde_json::from_slice(&file.bytes).map_err(|error| format!("is no JSON object: {error}"))
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

impl About {
    fn named(&mut self, name: &str, own: &Map<String, Value>) {
        match own.get("name") {
            Some(Value::String(own)) if own == name => {}
            Some(own) => self.problems.push(format!(
                "{PLUGIN_JSON} calls it {own}, and its folder {name:?}: they must be the same"
            )),
            None if own.is_empty() => {}
            None => {
                self.problems.push(format!("{PLUGIN_JSON} has no name: {name:?} belongs there"));
            }
        }
        text(own, "description").unwrap_or_default().clone_into(&mut self.description);
        match text(own, "installationPreference") {
            None => {}
            Some("available") => self.installation = Some(Installation::Available),
            Some("auto_install") => self.installation = Some(Installation::AutoInstall),
            Some("required") => self.installation = Some(Installation::Required),
            Some(other) => self.problems.push(format!(
                "{PLUGIN_JSON} has installationPreference {other:?}; there are available, auto_install, required"
            )),
        }
    }

    fn versioned(
        &mut self,
        own: &Map<String, Value>,
        beside: Option<Result<Map<String, Value>, String>>,
    ) {
        let beside = match beside {
            Some(Err(problem)) => {
                return self.problems.push(format!("{VERSION_JSON}: {problem}"));
            }
            Some(Ok(beside)) => text(&beside, "version").map(ToOwned::to_owned),
            None => None,
        };
        match (text(own, "version"), beside) {
            (Some(own), Some(beside)) if own != beside => {
                self.problems.push(format!(
                    "{PLUGIN_JSON} has version {own:?}, and {VERSION_JSON} {beside:?}: clients see the second"
                ));
                self.version = beside;
            }
            (Some(version), _) => version.clone_into(&mut self.version),
            (None, Some(version)) => self.version = version,
            (None, None) => {
                // Something harmless, so that it is told once.
                "0".clone_into(&mut self.version);
                self.problems.push(format!("has no version: {PLUGIN_JSON} says it"));
            }
        }
    }

    fn servers(&mut self, own: &Map<String, Value>, files: &[Packed]) {
        let read = |path: &str, this: &mut Self| {
            let path = path.trim_start_matches("./");
            match files.iter().find(|it| it.path == path).map(object) {
                Some(Ok(mut object)) => match object.remove("mcpServers") {
                    Some(Value::Object(servers)) => this.brought(path, &servers),
                    // A client of old read the servers themselves.
                    _ => this.brought(path, &object),
                },
                Some(Err(problem)) => this.problems.push(format!("{path}: {problem}")),
                None if path == ".mcp.json" => {}
                None => {
                    this.problems.push(format!("{PLUGIN_JSON} names {path}, which is not there"));
                }
            }
        };
        read(".mcp.json", self);
        match own.get("mcpServers") {
            Some(Value::Object(servers)) => self.brought(PLUGIN_JSON, servers),
            Some(Value::String(path)) => read(path, self),
            Some(Value::Array(paths)) => {
                for path in paths.iter().filter_map(Value::as_str) {
                    read(path, self);
                }
            }
            _ => {}
        }
    }

    fn brought(&mut self, path: &str, servers: &Map<String, Value>) {
        for (name, server) in servers {
            let Some(server) = server.as_object() else {
                self.problems.push(format!("{path}: the MCP server {name:?} is no object"));
                continue;
            };
            let args = server.get("args").and_then(Value::as_array);
            let args = args.into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned);
            let how = match (text(server, "url"), text(server, "command")) {
                (Some(url), None) => {
                    let sse = text(server, "type") == Some("sse");
                    How::Url(url.to_owned(), if sse { Transport::Sse } else { Transport::Http })
                }
                (None, Some(command)) => How::Command(command.to_owned(), args.collect()),
                _ => {
                    let problem = "must have either a url or a command";
                    self.problems.push(format!("{path}: the MCP server {name:?} {problem}"));
                    continue;
                }
            };
            self.servers.push(Brought { name: name.clone(), how });
        }
    }

    /// What of it runs by itself on laptops.
    fn runs(&mut self, own: &Map<String, Value>, files: &[Packed]) {
        let hooks = files.iter().filter(|it| it.path.starts_with("hooks/")).count();
        let programs = files.iter().filter(|it| it.executable).count();
        let scripts = files.iter().filter(|it| it.bytes.starts_with(b"#!") && !it.executable);
        let scripts = scripts.count();
        if own.contains_key("hooks") || hooks > 0 {
            self.notes.push(format!("has hooks, which run by themselves: {hooks} files in hooks/"));
        }
        if programs > 0 || scripts > 0 {
            self.notes.push(format!(
                "has programs: {programs} executable files, {scripts} scripts that are not"
            ));
        }
    }

    fn secrets(&mut self, files: &[Packed]) {
        let precise: Vec<_> = catalogue().precise().collect();
        let wanted: Vec<_> = precise.iter().map(|it| Wanted::Shipped(it.id.clone())).collect();
        // Each of them can be looked for: a test of the catalogue sees to it.
        let Ok(scanner) = Scanner::new(&wanted) else { return };
        for file in files {
            let hits = scanner.scan_text(&String::from_utf8_lossy(&file.bytes));
            let found: BTreeSet<usize> = hits.list.iter().map(|hit| hit.wanted).collect();
            for pattern in found.into_iter().filter_map(|index| precise.get(index)) {
                let words = format!(
                    "{} has what looks like a secret ({}): everyone of its audiences could read it",
                    file.path, pattern.id
                );
                if pattern.severity >= Severity::High {
                    self.problems.push(words);
                } else {
                    self.notes.push(words);
                }
            }
        }
    }
}
