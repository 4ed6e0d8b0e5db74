//! The policy document: what people decided, signed, and judged in the filter.
//!
//! ```yaml
//! schema: tollgate.policy/v1
//! name: acme
//! rules:
//!   - id: everyone
//!     models: [claude-haiku-*, claude-sonnet-*]
//!   - id: research
//!     who: { groups: [research] }
//!     models: [claude-opus-*]
//!     content: full
//!     audit: before
//! tools:
//!   - id: no-shell-for-agents
//!     who: { sources: [subagent, job] }
//!     tools: { Bash: blocked, "mcp__*__delete_*": blocked }
//! ```
//!
//! The order of rules never matters but for `residency`, so there is little to get wrong; elsewhere it
//! only decides which of several rules a row names. What no rule over models allows is refused. Members are in [`Document`], the
//! verdict in [`Policy::judge`].
//!
//! All rules that allow a call are heard for what becomes of it:
//!
//! - `content`: what the row keeps of what was said, `none`, `redacted` or `full`. The strictest
//!   that any of them says holds; `redacted` where none says anything.
//! - `audit`: `before` has the call stored before it may leave (503 if that cannot be), `after` is
//!   the rule's word for not asking. One that says `before` is enough; `after` where none does.
//! - `labels`: words that routes can match on, all of them.

mod check;
mod document;
mod judge;
mod mcp;
mod memo;
mod residency;
mod scan;
pub mod servers;
mod sign_in;
mod tools;
mod who;

pub use crate::scan::Severity;
pub use document::{
    Action, Audit, Blocklist, BreakGlass, CustomPattern, Document, Effect, Offered, Rule, SCHEMA,
    SecretRule, ServerRule, StandingTerms, ToolRule,
};
pub use judge::{Asked, Denial, Grant, Note, Why};
pub use mcp::{
    APPROVALS, Also, Approvals, Condition, DeniedAs, Gateway, Listed, Mcp, Outline, Said, Stroke,
};
pub use residency::{Pin, ResidencyRule};
pub use scan::{FindRule, Found, Scanned};
pub use sign_in::{SignInRule, Tier};
pub use tools::{Declared, Place, Selection, Server, Skill, Tool, Word, Words};
pub use who::{Subject, Who, concerns};

use crate::audit::ContentMode;
use crate::price::RateCard;
use std::collections::BTreeSet;
use std::time::Duration;
use thiserror::Error;

/// What the rules that allow a call say of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    content: Option<ContentMode>,
    audit: Audit,
}

impl Terms {
    /// What the row keeps of what was said.
    pub fn content(self) -> ContentMode {
        self.content.unwrap_or_default()
    }

    /// When the call must be known to be stored.
    pub fn audit(self) -> Audit {
        self.audit
    }

    /// These and those: the stricter of each.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            // The lesser content is the stricter; who says nothing does not count.
            content: self.content.into_iter().chain(other.content).min(),
            audit: self.audit.max(other.audit),
        }
    }
}

/// One fault of a document: where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {problem}")]
pub struct Fault {
    /// A path in the document, such as `rules[2].models[0]`.
    pub place: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// A document without faults, ready to be asked.
#[derive(Debug)]
pub struct Policy {
    name: String,
    rules: Vec<Rule>,
    tools: Vec<Tools>,
    servers: Vec<ServerRule>,
    /// Beside each of the servers.
    served: Vec<mcp::Served>,
    sign_in: Vec<SignInRule>,
    residency: Vec<ResidencyRule>,
    approvals: Option<Approvals>,
    /// The rules over secrets and words.
    finds: Vec<FindRule>,
    watch: Option<scan::Watch>,
    memo: memo::Memo,
    /// The document's list, or the build's.
    offered: Vec<Offered>,
    /// The names of the document's list, normalised; empty where it has none.
    names: BTreeSet<String>,
    break_glass: Option<BreakGlass>,
    standing: Option<StandingTerms>,
    rates: Option<RateCard>,
}

/// A rule over tools, ready to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tools {
    words: Words,
    rule: ToolRule,
}

impl Policy {
    /// Reads a signed payload.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn parse(payload: &[u8]) -> Result<Self, Vec<Fault>> {
        match serde_json::from_slice::<Document>(payload) {
            Ok(document) => Self::check(document),
            Err(error) => Err(vec![Fault {
                place: format!("line {}, column {}", error.line(), error.column()),
                problem: error.to_string(),
            }]),
        }
    }

    /// Checks a document.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn check(document: Document) -> Result<Self, Vec<Fault>> {
        check::policy(document)
    }

    /// The name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rate card with the negotiated prices, if the policy has any; else the build's own counts.
    pub fn rates(&self) -> Option<&RateCard> {
        self.rates.as_ref()
    }

    /// The rules over models, their patterns in the form that names are compared in.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules over tools, each with its words ready to be asked.
    pub fn tools(&self) -> impl Iterator<Item = (&ToolRule, &Words)> {
        self.tools.iter().map(|tools| (&tools.rule, &tools.words))
    }

    /// The MCP servers, their addresses in their one spelling.
    pub fn servers(&self) -> &[ServerRule] {
        &self.servers
    }

    /// Who approves of calls, if anybody does.
    pub fn approvals(&self) -> Option<&Approvals> {
        self.approvals.as_ref()
    }

    /// The rules over signing in.
    pub fn sign_in(&self) -> &[SignInRule] {
        &self.sign_in
    }

    /// The rules over secrets, then those over words.
    pub fn finds(&self) -> &[FindRule] {
        &self.finds
    }

    /// Beyond this age of the last news of who is stopped calls are refused; none: never.
    pub fn standing_max_age(&self) -> Option<Duration> {
        self.standing.map(|terms| Duration::from_secs(u64::from(terms.max_age_seconds)))
    }
}

impl Rule {
    fn terms(&self) -> Terms {
        Terms { content: self.content, audit: self.audit.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests;
