//! What stands in a policy of MCP servers that are reached through the gate.

use super::super::Audit;
use super::super::tools::Word;
use super::super::who::Who;
use crate::audit::ContentMode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What of a server can be had through the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// What people read; absent: the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Name of a tool (`*` for any run of characters) → word.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, Word>,
    /// The word for tools that nothing names.
    #[serde(default = "blocked", skip_serializing_if = "is_blocked")]
    pub otherwise: Word,
    /// Address of a resource, or template of addresses (`*` for any run of characters) → `allow`, `ask` or `blocked`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, Word>,
    /// Name of a prompt (`*` for any run of characters) → `allow`, `ask` or `blocked`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prompts: BTreeMap<String, Word>,
    /// What else is open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Also>,
    /// Name of a tool → SHA-256 of its definition in canonical JSON (RFC 8785), lower-case hex. Where any stands here, a
    /// tool that has another definition, or none here, is withheld.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<String, String>,
    /// The largest result that passes, bytes; absent: 4 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_result: Option<u32>,
    /// How a call that is denied is answered.
    #[serde(default, skip_serializing_if = "DeniedAs::is_error")]
    pub denied_as: DeniedAs,
    /// What a row keeps of arguments and results; absent: `redacted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentMode>,
    /// When a call is stored; absent: `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
}

fn blocked() -> Word {
    Word::Blocked
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_blocked(word: &Word) -> bool {
    *word == Word::Blocked
}

impl Default for Gateway {
    /// Nothing is open.
    fn default() -> Self {
        Self {
            title: None,
            tools: BTreeMap::new(),
            otherwise: Word::Blocked,
            resources: BTreeMap::new(),
            prompts: BTreeMap::new(),
            also: Vec::new(),
            pins: BTreeMap::new(),
            largest_result: None,
            denied_as: DeniedAs::Error,
            content: None,
            audit: None,
        }
    }
}

/// What of the protocol is closed unless a server's entry opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Also {
    /// `completion/complete`, for prompts and resources that are open.
    Completion,
    /// The server may have the client's model say something: `sampling/createMessage`.
    Sampling,
    /// The server may ask the person: `elicitation/create`.
    Elicitation,
    /// The server may ask which folders the client works in: `roots/list`.
    Roots,
    /// The server's log: `logging/setLevel`, `notifications/message`.
    Logging,
    /// Calls that go on behind their answer: `tasks/…`.
    Tasks,
}

/// How a call that is denied is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeniedAs {
    /// As if there were no such tool (JSON-RPC error -32602).
    #[default]
    Error,
    /// With a result that says why, for the model to read.
    Result,
}

impl DeniedAs {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    fn is_error(&self) -> bool {
        *self == Self::Error
    }
}

/// Who approves of calls whose word is `approve`, and for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// Who may. Nobody approves of their own.
    pub approvers: Who,
    /// How long the agent that asks is kept waiting, seconds.
    pub wait_seconds: u32,
    /// How long an approval can be used, once, seconds.
    pub valid_seconds: u32,
}
