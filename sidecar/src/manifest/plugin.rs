//! What a plugin's folder says of itself, and what is wrong with it.

use super::archive::Packed;
use super::generated::{PLUGIN_JSON, VERSION_JSON};
use contract::manifest::{Installation, ManagedServer, Transport, name_fault};
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

impl Brought {
    /// Is it reached as this one is?
    pub fn is_at(&self, server: &ManagedServer) -> bool {
        match &self.how {
            How::Url(url, _) => {
                let plain = |url: &str| url.trim_end_matches('/').to_owned();
                server.url.as_deref().is_some_and(|own| plain(own) == plain(url))
            }
            How::Command(command, args) => {
                server.command.as_ref() == Some(command) && server.args == *args
            }
        }
    }
}

/// How a plugin's server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// At an address.
    Url(String, Transport),
    /// By a command with arguments.
    Command(String, Vec<String>),
}

/// Paths that mean something to clients, or to what compares plugins with revocations.
const SPECIAL: [&str; 7] =
    [MCP_JSON, PLUGIN_JSON, VERSION_JSON, "SKILL.md", "agents", "hooks", "skills"];

/// Where a plugin says which MCP servers it brings, if not in its own file.
const MCP_JSON: &str = ".mcp.json";

/// The MCP servers of a plugin.
#[derive(Debug, Default)]
pub struct Brings {
    /// Those that it brings.
    pub servers: Vec<Brought>,
    /// What could be read as others.
    pub unclear: Vec<String>,
}

impl Brings {
    /// Reads them from a plugin's files.
    pub fn of(files: &[Packed]) -> Self {
        let mut brings = Self::default();
        for file in files {
            // As a client may look for it.
            if file.path.eq_ignore_ascii_case(MCP_JSON) {
                brings.file(&file.path, files);
            } else if file.path.eq_ignore_ascii_case(PLUGIN_JSON) {
                match object(file) {
                    Ok(own) => brings.own(&own, files),
                    Err(problem) => brings.unclear.push(format!("{PLUGIN_JSON}: {problem}")),
                }
            }
        }

        brings
    }

    fn own(&mut self, own: &Map<String, Value>, files: &[Packed]) {
        match own.get("mcpServers") {
            None => {}
            Some(Value::Array(all)) => {
                for one in all {
                    self.named(one, files);
                }
            }
            Some(Value::Object(servers)) => self.add(PLUGIN_JSON, servers),
            Some(one) => self.named(one, files),
        }
    }

    fn named(&mut self, value: &Value, files: &[Packed]) {
        match value {
            Value::String(path) => self.file(path, files),
            _ => self.unclear.push(format!(
                "{PLUGIN_JSON} has mcpServers that are neither servers by name nor paths of files with them"
            )),
        }
    }

    fn file(&mut self, path: &str, files: &[Packed]) {
        let path = path.trim_start_matches("./");
        match files.iter().find(|it| it.path == path).map(object) {
            Some(Ok(object)) => match object.get("mcpServers") {
                Some(Value::Object(servers)) => self.add(path, servers),
                // A client of old read the servers themselves.
                None => self.add(path, &object),
                Some(_) => self.unclear.push(format!("{path}: mcpServers is no object")),
            },
            Some(Err(problem)) => self.unclear.push(format!("{path}: {problem}")),
            None => {
                self.unclear.push(format!("{PLUGIN_JSON} names {path}, which is not there"));
            }
        }
    }

    fn add(&mut self, path: &str, servers: &Map<String, Value>) {
        for (name, server) in servers {
            match how(server) {
                Ok(how) => self.servers.push(Brought { name: name.clone(), how }),
                Err(problem) => {
                    self.unclear.push(format!("{path}: the MCP server {name:?} {problem}"));
                }
            }
        }
    }
}

fn how(server: &Value) -> Result<How, &'static str> {
    let server = server.as_object().ok_or("is no object")?;
    let words = |value: &Value| {
        let all = value.as_array()?.iter();
        all.map(|it| it.as_str().map(ToOwned::to_owned)).collect::<Option<Vec<_>>>()
    };
    let args = match server.get("args") {
        Some(args) => words(args).ok_or("has args that are no list of texts")?,
        None => Vec::new(),
    };
    match (server.get("url"), server.get("command")) {
        (Some(Value::String(url)), None) => {
            let sse = text(server, "type") == Some("sse");
            Ok(How::Url(url.clone(), if sse { Transport::Sse } else { Transport::Http }))
        }
        (None, Some(Value::String(command))) => Ok(How::Command(command.clone(), args)),
        _ => Err("must have either a url or a command"),
    }
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
        // Told with the servers that it could bring.
        Some(Err(_)) => Map::new(),
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
    about.spellings(files);
    let Brings { servers, unclear } = Brings::of(files);
    about.servers = servers;
    about.problems.extend(unclear);
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
    /// On laptops whose file systems do not tell case apart these are what clients look for.
    fn spellings(&mut self, files: &[Packed]) {
        for path in files.iter().map(|it| &it.path) {
            let other = |special: &&str| {
                let ends = path
                    .get(special.len()..)
                    .is_some_and(|rest| matches!(rest.as_bytes(), [] | [b'/', ..]));
                let begins = path.get(..special.len()).unwrap_or_default();
                ends && begins != *special && begins.eq_ignore_ascii_case(special)
            };
            if let Some(special) = SPECIAL.iter().find(|it| other(it)) {
                self.problems.push(format!(
                    "{path:?} is another spelling of {special}: clients on some laptops read it"
                ));
            }
        }
    }

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
