//! Clients by the SDKs of others. Each takes steps and says of each what came of it: `tests/mcp/README.md`.

use crate::world::processes::{prepared, repository};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Longest a client may take for all of its steps.
const PATIENCE: Duration = Duration::from_mins(2);

/// Which SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// `mcp` from `PyPI`, 2.x: both eras.
    Python,
    /// `@modelcontextprotocol/client` from npm, 2.x: both eras.
    TypeScript,
    /// `@modelcontextprotocol/sdk` from npm, 1.x: the era of sessions only.
    TypeScript1,
}

/// Which era a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// Sessions, until 2025-11-25.
    Legacy,
    /// 2026-07-28 and nothing else.
    Modern,
    /// What the server offers: `server/discover` first, then `initialize`.
    Auto,
}

impl Era {
    fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
            Self::Auto => "auto",
        }
    }
}

/// One client's run.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its SDK.
    pub sdk: Sdk,
    /// The era that it speaks.
    pub era: Era,
    /// The server's address.
    pub url: String,
    /// Its bearer token.
    pub token: Option<String>,
    /// The certificate authority that it trusts.
    pub ca: Option<PathBuf>,
}

/// What a client said, line for line: `do`, and `ok` or `error`.
#[derive(Debug, Clone)]
pub struct Said {
    /// The lines: the connection, each step, the end.
    pub lines: Vec<Value>,
}

impl Client {
    /// One without a token.
    pub fn new(sdk: Sdk, era: Era, url: &str) -> Self {
        Self { sdk, era, url: url.to_owned(), token: None, ca: None }
    }

    /// With a token.
    pub fn token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// That trusts this authority.
    pub fn trusting(self, ca: PathBuf) -> Self {
        Self { ca: Some(ca), ..self }
    }

    /// Takes these steps.
    pub async fn run(&self, steps: &[Value]) -> Result<Said> {
        let folder = repository().join("tests/mcp");
        let mut command = if self.sdk == Sdk::Python {
            let mut command = Command::new(prepared("--mcp-python")?);
            command.args(["-W", "ignore"]).arg(folder.join("client.py"));
            command
        } else {
            let mut command = Command::new(prepared("--node-folder")?.join("node"));
            let sdk = if self.sdk == Sdk::TypeScript { "client" } else { "sdk" };
            command.arg(folder.join("client.mjs")).env("SDK", sdk);
            command.env("MODULES", prepared("--mcp-modules")?);
            command
        };
        command
            .arg(Value::from(steps).to_string())
            .env("URL", &self.url)
            .env("ERA", self.era.name());
        if let Some(token) = &self.token {
            command.env("TOKEN", token);
        }
        if let Some(ca) = &self.ca {
            command.env("CA", ca).env("NODE_EXTRA_CA_CERTS", ca);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.with_context(|| format!("{:?} took too long", self.sdk))??;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout)?;
        let lines = text.lines().map(|line| serde_json::from_str(line).context(line.to_owned()));

        Ok(Said { lines: lines.collect::<Result<_>>()? })
    }
}

impl Said {
    fn line(&self, step: &str, nth: usize) -> &Value {
        let found = self.lines.iter().filter(|line| line["do"] == step).nth(nth);

        found.unwrap_or_else(|| panic!("no step {nth} of {step}: {:#?}", self.lines))
    }

    /// What the first step of this name got.
    pub fn ok(&self, step: &str) -> &Value {
        self.nth_ok(step, 0)
    }

    /// What the step of this name got that so many of them came before.
    pub fn nth_ok(&self, step: &str, nth: usize) -> &Value {
        let line = self.line(step, nth);
        assert!(line["error"].is_null(), "{line:#}");

        &line["ok"]
    }

    /// What went wrong with the first step of this name.
    pub fn error(&self, step: &str) -> &Value {
        self.nth_error(step, 0)
    }

    /// What went wrong with the step of this name that so many of them came before.
    pub fn nth_error(&self, step: &str, nth: usize) -> &Value {
        let line = self.line(step, nth);
        assert!(line["error"].is_object(), "{line:#}");

        &line["error"]
    }

    /// The names of the tools that were listed.
    pub fn tools(&self) -> Vec<&str> {
        names(&self.ok("list_tools")["tools"])
    }

    /// The exchanges: `method`, `rpc`, `status`, `type`, `session`, `version`, `last`, `challenge`.
    pub fn wire(&self) -> Vec<Value> {
        let last = self.lines.last().unwrap_or(&Value::Null);
        let wire = if last["wire"].is_array() { &last["wire"] } else { &last["ok"] };

        wire.as_array().cloned().unwrap_or_default()
    }
}

/// The names of listed things.
pub fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect()
}

/// Lists tools, to the last page.
pub fn list_tools() -> Value {
    json!({ "do": "list_tools" })
}

/// Calls a tool.
#[expect(clippy::needless_pass_by_value, reason = "arguments are written where they are passed")]
pub fn call(name: &str, arguments: Value) -> Value {
    json!({ "do": "call", "name": name, "arguments": arguments })
}

/// A step without anything more: `list_resources`, `list_prompts`, `ping`, `asked`, `told`, `wire`.
pub fn step(name: &str) -> Value {
    json!({ "do": name })
}
