//! What clients are configured with, so that they show what the gate allows: made of the policy, for one caller.
//!
//! The gate decides. These documents keep a client from offering what would be refused, and a person from adding a
//! server that does not pass the gate. The words of a client mean less than the policy's, so two things are held,
//! by a test over any policy: no document blocks what the gate would let through; and what the gate never lets
//! through is blocked, unless a [`Warning`] says that this client has no words for it.
//!
//! Written for Claude Desktop and Claude Code as they were documented on 2026-11-21.

mod words;

use crate::policy::{Mcp, Policy, Subject};
use serde_json::{Map, Value, json};
pub use words::{Choice, Words};

/// What a document is made for.
#[derive(Debug, Clone, Copy)]
pub struct Clients<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Whom it is for.
    pub subject: Subject<'a>,
    /// Where clients reach the gateway: `https://gateway.example.com`.
    pub url: &'a str,
    /// The helper that prints a map of headers, an absolute path; none: the person signs in at the client.
    pub helper: Option<&'a str>,
}

/// What a client has no words for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The server.
    pub server: String,
    /// The tools it is about: a pattern.
    pub tools: String,
    /// What becomes of them at the client.
    pub problem: &'static str,
}

/// A document, and what it could not say.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The document.
    pub document: Value,
    /// What it could not say.
    pub warnings: Vec<Warning>,
}

const NOTHING_ELSE: &str = "the policy opens some by a pattern and nothing else, which this client cannot say: it \
blocks none of the others, and the gate does not list them. `pins` would make it exact";
const CODE_NOTHING_ELSE: &str = "the policy opens some and nothing else, which Claude Code cannot say: it blocks \
none of the others, and the gate does not list them";
const EXCEPTION: &str =
    "blocked but for one that is named, which this client cannot say: it blocks none of them";

impl<'a> Clients<'a> {
    /// Claude Desktop's keys (flat, as in `managed-settings.json`). `strict`: also those that close the other ways to
    /// tools: extensions, marketplaces of the person's own, approvals for ever.
    pub fn cowork(&self, strict: bool) -> Made {
        let mut warnings = Vec::new();
        let mut servers = Vec::new();
        for mcp in self.servers() {
            let words = Words::of(&mcp);
            warnings.extend(words.untold(&mcp, NOTHING_ELSE));
            let policy: Map<String, Value> = words
                .tool_policy()
                .into_iter()
                .map(|(name, choice)| (name, choice.as_str().into()))
                .collect();
            let mut server = json!({
                // The id, not the title: tools are called `mcp__NAME__TOOL` by it.
                "name": mcp.id(), "transport": "http", "url": self.address(mcp.id()),
                "toolPolicy": policy,
            });
            self.credential(&mut server, "oauth");
            servers.push(server);
        }
        let mut document = json!({ "managedMcpServers": servers, "isLocalDevMcpEnabled": false });
        if strict {
            put(&mut document, "isDesktopExtensionEnabled", false.into());
            put(&mut document, "isDesktopExtensionSignatureRequired", true.into());
            put(&mut document, "userPluginMarketplacesEnabled", false.into());
            put(&mut document, "mcpPersistentAlwaysAllowEnabled", false.into());
        }

        Made { document, warnings }
    }

    /// Claude Code's `managed-mcp.json`: these servers and no others.
    pub fn claude_code_mcp(&self) -> Made {
        let mut servers = Map::new();
        for mcp in self.servers() {
            let mut server = json!({ "type": "http", "url": self.address(mcp.id()) });
            self.credential(&mut server, "");
            servers.insert(mcp.id().to_owned(), server);
        }

        Made { document: json!({ "mcpServers": servers }), warnings: Vec::new() }
    }

    /// Claude Code's managed settings: which servers, and which of their tools.
    pub fn claude_code_settings(&self) -> Made {
        let mut warnings = Vec::new();
        let (mut allowed, mut lists) = (Vec::new(), [Vec::new(), Vec::new(), Vec::new()]);
        for mcp in self.servers() {
            let words = Words::of(&mcp);
            allowed.push(json!({ "serverUrl": self.address(mcp.id()) }));
            let told = words.permissions();
            warnings.extend(words.untold(&mcp, CODE_NOTHING_ELSE));
            if words.needs_nothing_else() {
                let (server, tools) = (mcp.id().to_owned(), "*".to_owned());
                warnings.push(Warning { server, tools, problem: CODE_NOTHING_ELSE });
            }
            for (list, names) in lists.iter_mut().zip(told) {
                list.extend(names.into_iter().map(|name| format!("mcp__{}__{name}", mcp.id())));
            }
        }
        let [deny, ask, allow] = lists;
        // Beside the gate's own way no other leads there.
        let direct: Vec<Value> = self
            .policy
            .mcp_servers()
            .filter(|server| !server.url.is_empty())
            .map(|server| json!({ "serverUrl": server.url }))
            .collect();
        let document = json!({
            "allowManagedMcpServersOnly": true,
            "allowedMcpServers": allowed, "deniedMcpServers": direct,
            "permissions": { "deny": deny, "ask": ask, "allow": allow },
        });

        Made { document, warnings }
    }

    /// The servers that this caller reaches.
    pub fn servers(&self) -> impl Iterator<Item = Mcp<'a>> {
        let (policy, subject) = (self.policy, self.subject);
        let ids = policy.mcp_servers().map(|server| server.id.as_str());

        ids.chain([crate::policy::APPROVALS]).filter_map(move |id| policy.mcp(&subject, id))
    }

    fn address(&self, id: &str) -> String {
        format!("{}/mcp/{id}", self.url.trim_end_matches('/'))
    }

    /// Headers by the helper; without one the client signs its person in, which some have to be told.
    fn credential(&self, server: &mut Value, else_told: &str) {
        match self.helper {
            Some(helper) => put(server, "headersHelper", helper.into()),
            None if !else_told.is_empty() => put(server, else_told, true.into()),
            None => {}
        }
    }
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests;
