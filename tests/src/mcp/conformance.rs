//! The protocol's own conformance tests (`@modelcontextprotocol/conformance`), against any address.

use crate::world::processes::{prepared, repository};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::process::Command;

/// Longest they may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// Passed and failed checks of each scenario, and what was printed.
#[derive(Debug)]
pub struct Verdict {
    /// By the scenario's name.
    pub scenarios: BTreeMap<String, (u32, u32)>,
    /// All that was printed.
    pub text: String,
}

impl Verdict {
    /// The scenarios in which a check failed.
    pub fn failed(&self) -> Vec<&str> {
        let failed = self.scenarios.iter().filter(|(_, (_, failed))| *failed > 0);

        failed.map(|(name, _)| name.as_str()).collect()
    }
}

/// Runs those for servers that speak the era of sessions; there are none for the stateless one yet.
pub async fn servers(url: &str, token: Option<&str>, ca: Option<PathBuf>) -> Result<Verdict> {
    let node = prepared("--node-folder")?.join("node");
    let modules = prepared("--mcp-modules")?;
    let program = modules.join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    let mut command = Command::new(node);
    // They know no option for a header.
    command.arg("--import").arg(repository().join("tests/mcp/bearer.mjs"));
    command.arg(program).args(["server", "--url", url, "--suite", "all"]);
    command.env("MODULES", modules).env("TOKEN", token.unwrap_or_default());
    if let Some(ca) = ca {
        command.env("NODE_EXTRA_CA_CERTS", ca);
    }
    command.kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.context("the conformance tests took too long")??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, summary) = text.split_once("=== SUMMARY ===").with_context(|| {
        format!("no summary:\n{text}\n{}", String::from_utf8_lossy(&output.stderr))
    })?;
    let scenarios: BTreeMap<_, _> = summary.lines().filter_map(scenario).collect();
    ensure!(!scenarios.is_empty(), "no scenarios: {summary}");

    Ok(Verdict { scenarios, text })
}

/// `✓ ping: 1 passed, 0 failed`.
fn scenario(line: &str) -> Option<(String, (u32, u32))> {
    let (name, counts) = line.strip_prefix(['✓', '✗'])?.trim().split_once(": ")?;
    let mut counts = counts.split(", ").filter_map(|part| part.split(' ').next()?.parse().ok());

    Some((name.to_owned(), (counts.next()?, counts.next()?)))
}
