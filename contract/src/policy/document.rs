//! The policy as it is written and signed: what may stand in it, and nothing else.
//!
//! People write it in YAML, the JSON that is made of it is what is signed and judged.

use super::mcp::{Approvals, Condition, Gateway};
use super::residency::ResidencyRule;
use super::sign_in::SignInRule;
use super::tools::Word;
use super::who::Who;
use crate::audit::ContentMode;
use crate::model;
use crate::price::Sheet;
use crate::scan::Severity;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The value of `schema`.
pub const SCHEMA: &str = "tollgate.policy/v1";

/// A policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// A name for people.
    pub name: String,
    /// What it is for, in a sentence or two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who may use which models. What no rule allows is refused.
    pub rules: Vec<Rule>,
    /// What becomes of tools that a request declares. What no rule speaks of is allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolRule>,
    /// MCP servers: those that a request may name, and those that are reached through the gate. What no rule
    /// allows is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<ServerRule>,
    /// Which ways of signing in are accepted. From whom no rule speaks of, every one is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sign_in: Vec<SignInRule>,
    /// Who may not leave which zone. The first that fits pins; who none fits is free.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub residency: Vec<ResidencyRule>,
    /// Who approves of calls whose word is `approve`; absent: nobody can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Approvals>,
    /// Secrets that are looked for in what is sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretRule>,
    /// Words that are looked for in what is sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocklists: Vec<Blocklist>,
    /// Patterns of secrets that the shipped list does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<CustomPattern>,
    /// The models that are offered; absent: those of the build's list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<Offered>,
    /// Who may pass which rules in an emergency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
    /// What becomes of calls when the news of who is stopped does not come any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<StandingTerms>,
    /// Negotiated prices, laid over the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<Sheet>,
}

/// Who may use which models, or may not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stands in the row of every call it decided.
    pub id: String,
    /// Whom it is for; absent: everyone.
    #[serde(default, skip_serializing_if = "Who::is_everyone")]
    pub who: Who,
    /// Whom of these it is not for; absent: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<Who>,
    /// Models, `*` for any run of characters.
    pub models: Vec<String>,
    /// `allow` unless said.
    #[serde(default, skip_serializing_if = "Effect::is_allow")]
    pub effect: Effect,
    /// What a row keeps of what was said; absent: the rule does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentMode>,
    /// When a call is stored; absent: the rule does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// Words that routes can match on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// What the person is told where it denies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
}

/// What a rule over models does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It allows.
    #[default]
    Allow,
    /// It denies, whatever others allow.
    Deny,
}

impl Effect {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    fn is_allow(&self) -> bool {
        *self == Self::Allow
    }
}

/// When a call must be known to be stored. The greater is the stricter.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Audit {
    /// Once it has ended.
    #[default]
    After,
    /// Before it may leave.
    Before,
}

impl Audit {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::After => "after",
            Self::Before => "before",
        }
    }
}

/// What becomes of tools, by their names. Within a rule an exact name beats a pattern, and of
/// patterns the strictest counts; of several rules the strictest counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolRule {
    /// Stands in the row of every call it decided.
    pub id: String,
    /// Whom it is for; absent: everyone.
    #[serde(default, skip_serializing_if = "Who::is_everyone")]
    pub who: Who,
    /// Whom of these it is not for; absent: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<Who>,
    /// Name (`*` for any run of characters) → word. Tools of MCP servers are `mcp__SERVER__TOOL`,
    /// the provider's own are `web_search`, `web_fetch`, `code_execution` and so on without their
    /// date, skills of a container are `skill:TYPE/ID`.
    pub tools: BTreeMap<String, Word>,
    /// Of which arguments it speaks, by JSON Pointer (RFC 6901): all of these must hold. Only calls that pass the
    /// gate have arguments; a tool that is merely declared has none, and the rule then says nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, Condition>,
    /// Words that routes can match on, where it spoke of a tool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// What the person is told where it blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
}

/// An MCP server: one that may be named in `mcp_servers[]`, by `url`, or that is reached at `/mcp/ID`, by `gateway`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerRule {
    /// Its name here: its tools are judged as `mcp__ID__TOOL`, whatever the request calls it.
    pub id: String,
    /// Whom it is for; absent: everyone.
    #[serde(default, skip_serializing_if = "Who::is_everyone")]
    pub who: Who,
    /// Whom of these it is not for; absent: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<Who>,
    /// `https://HOST[:PORT]/PATH`, exactly; with `/*` at its end, and all below it. Empty: no request may name it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// What of it can be had through the gate; absent: it is not reached there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
}

/// What is done about something that was found. The greater is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It passes, and its row says so.
    Flag,
    /// It is refused.
    Deny,
}

impl Action {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Deny => "deny",
        }
    }
}

/// Secrets that are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretRule {
    /// Stands in the row of every call it decided.
    pub id: String,
    /// Whom it is for; absent: everyone.
    #[serde(default, skip_serializing_if = "Who::is_everyone")]
    pub who: Who,
    /// Whom of these it is not for; absent: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<Who>,
    /// Ids of patterns, of the shipped list and of [`Document::patterns`]; `*` for any run of
    /// characters.
    pub patterns: Vec<String>,
    /// Those of them that are not meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// What is done.
    pub action: Action,
    /// How bad it is.
    #[serde(default)]
    pub severity: Severity,
    /// Words that routes can match on, where something was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// What the person is told where it denies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
}

/// Words that are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blocklist {
    /// Stands in the row of every call it decided.
    pub id: String,
    /// Whom it is for; absent: everyone.
    #[serde(default, skip_serializing_if = "Who::is_everyone")]
    pub who: Who,
    /// Whom of these it is not for; absent: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<Who>,
    /// Words and phrases, whatever their case, as whole words.
    pub words: Vec<String>,
    /// What is done.
    pub action: Action,
    /// How bad it is.
    #[serde(default)]
    pub severity: Severity,
    /// Words that routes can match on, where something was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// What the person is told where it denies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
}

/// A pattern of secrets of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomPattern {
    /// Its name; none of the shipped list's.
    pub id: String,
    /// Letters of which one stands in whatever it matches, three bytes at least.
    pub anchors: Vec<String>,
    /// A regular expression, in the syntax of Rust's `regex-lite`.
    pub pattern: String,
}

/// A model that is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offered {
    /// What clients ask for.
    pub id: String,
    /// What people read; absent: the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// RFC 3339; absent: nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}

/// Who may pass which rules in an emergency. Their rows are flagged and kept longer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// Any of these in the claim `roles` breaks the glass.
    pub roles: Vec<String>,
    /// Ids of rules that then do not deny; `*` for any run of characters. What no rule allows stays
    /// refused.
    pub passes: Vec<String>,
    /// How long the rows are to be kept, days.
    pub keep_days: u32,
}

impl BreakGlass {
    /// Does a rule not deny any more?
    pub fn passes(&self, rule_id: &str) -> bool {
        self.passes.iter().any(|those| model::matches(those, rule_id))
    }
}

/// What becomes of calls when the news of who is stopped does not come any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandingTerms {
    /// Beyond this age of the last news calls are refused, seconds.
    pub max_age_seconds: u32,
}
