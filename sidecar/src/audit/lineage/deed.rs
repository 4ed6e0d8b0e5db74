//! What somebody did, a line for each trace.

use super::{dollars, time};
use crate::store::Row;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// What somebody did, by what it belongs to.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Deed {
    pub(super) trace_id: String,
    pub(super) first: String,
    last: String,
    calls: u64,
    denied: u64,
    failed: u64,
    clients: BTreeSet<String>,
    agents: BTreeSet<String>,
    models: BTreeSet<String>,
    tools: BTreeMap<String, u64>,
    /// What was called at MCP servers: `server/tool`, or the server and its method.
    mcp: BTreeMap<String, u64>,
    tokens_in: i64,
    tokens_out: i64,
    cost_micro: i64,
    unpriced: u64,
}

impl Deed {
    /// Counts a row.
    pub(super) fn add(&mut self, row: &Row) {
        let at = row.text("occurred_at");
        if self.first.is_empty() || at < self.first {
            self.first.clone_from(&at);
        }
        self.last = self.last.clone().max(at);
        self.calls = self.calls.saturating_add(1);
        match &*row.text("outcome") {
            "denied" => self.denied = self.denied.saturating_add(1),
            "error" => self.failed = self.failed.saturating_add(1),
            _ => {}
        }
        for (set, column) in [
            (&mut self.clients, "client_id"),
            (&mut self.agents, "agent_id"),
            (&mut self.models, "model"),
        ] {
            set.extend(Some(row.text(column)).filter(|word| !word.is_empty()));
        }
        self.add_called(row);
        for tool in row
            .get("payload")
            .get("tool_uses")
            .and_then(|tools| tools.as_array())
            .into_iter()
            .flatten()
        {
            if let Some(name) = tool.get("name").and_then(|name| name.as_str()) {
                let count = self.tools.entry(name.to_owned()).or_default();
                *count = count.saturating_add(1);
            }
        }
        let number = |column| row.get(column).as_i64().unwrap_or_default();
        self.tokens_in = self.tokens_in.saturating_add(number("tokens_in"));
        self.tokens_out = self.tokens_out.saturating_add(number("tokens_out"));
        match row.get("cost_micro").as_i64() {
            Some(micro) => self.cost_micro = self.cost_micro.saturating_add(micro),
            None if row.text("kind") == "inference" => {
                self.unpriced = self.unpriced.saturating_add(1);
            }
            None => {}
        }
    }

    fn add_called(&mut self, row: &Row) {
        let payload = row.get("payload");
        let word = |pointer| payload.pointer(pointer).and_then(|word| word.as_str());
        let Some(server) = word("/mcp_server") else { return };
        let what = word("/tool").or_else(|| word("/mcp/method")).unwrap_or_default();
        let count = self.mcp.entry(format!("{server}/{what}")).or_default();
        *count = count.saturating_add(1);
    }
}

/// What the cells are.
pub(super) const HEAD: [&str; 10] =
    ["FROM", "TO", "CALLS", "DENIED", "ERRORS", "MODELS", "TOOLS", "MCP", "COST", "TRACE"];

/// A line of the table.
pub(super) fn cells(deed: &Deed) -> Vec<String> {
    let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
    let unpriced = if deed.unpriced > 0 { format!(" +{}?", deed.unpriced) } else { String::new() };

    vec![
        deed.first.get(..19).unwrap_or(&deed.first).to_owned(),
        time(&deed.last).get(..8).unwrap_or_default().to_owned(),
        deed.calls.to_string(),
        deed.denied.to_string(),
        deed.failed.to_string(),
        list(&deed.models),
        counted(&deed.tools),
        counted(&deed.mcp),
        format!("{}{unpriced}", dollars(deed.cost_micro)),
        deed.trace_id.clone(),
    ]
}

fn counted(counts: &BTreeMap<String, u64>) -> String {
    counts.iter().fold(String::new(), |mut text, (word, count)| {
        let gap = if text.is_empty() { "" } else { " " };
        if write!(text, "{gap}{word}×{count}").is_err() {
            text.clear();
        }
        text
    })
}
