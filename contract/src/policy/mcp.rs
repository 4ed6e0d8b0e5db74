//! MCP servers that are reached through the gate: who may do what with them.
//!
//! Everything of a server is closed until something opens it by the server's name: the server's own entry, or a
//! rule over tools that names it (`mcp__ID__…`, `resource:ID/…`, `prompt:ID/…`). A rule that means more than this
//! server (`*`, `mcp__*`) can only make things stricter. So what a server begins to offer tomorrow is not there
//! until somebody has seen it.

mod arguments;
mod check;
mod document;
mod outline;

pub use arguments::Condition;
pub(super) use check::{
    approvals as check_approvals, arguments as check_arguments, server as check,
};
pub use document::{Also, Approvals, DeniedAs, Gateway};
pub use outline::{Outline, Stroke};

use super::document::{BreakGlass, ServerRule};
use super::tools::{Word, Words, comparable};
use super::who::{Subject, concerns};
use super::{Policy, Terms, Tools};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Longest name of a tool or a prompt, bytes (MCP 2025-11-25, "Tool Names": 1 to 128).
const LONGEST_NAME: usize = 128;

/// Longest address of a resource, bytes.
const LONGEST_URI: usize = 2048;

/// The largest result that passes unless said, bytes.
const LARGEST_RESULT: usize = 4 * 1024 * 1024; // a page of logs, or an image of a screen

/// The server of ours that approvals are asked for at: `/mcp/approvals`.
pub const APPROVALS: &str = "approvals";

/// Its tools.
const OURS: [&str; 2] = ["request_approval", "check_approval"];

/// A server's entry, ready to be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Served {
    tools: Words,
    resources: Words,
    prompts: Words,
}

impl Served {
    /// Of a server; of one that is not reached through the gate, nothing.
    pub(super) fn of(rule: &ServerRule) -> Self {
        rule.gateway.as_ref().map(Self::new).unwrap_or_default()
    }

    fn new(gateway: &Gateway) -> Self {
        Self {
            tools: Words::new(&gateway.tools),
            resources: Words::new(&gateway.resources),
            prompts: Words::new(&gateway.prompts),
        }
    }

    /// Of our own server: its two tools.
    fn approvals() -> Self {
        let mut tools = BTreeMap::new();
        tools.extend(OURS.map(|tool| (tool.to_owned(), Word::Allow)));

        Self { tools: Words::new(&tools), ..Self::default() }
    }
}

/// A server, for one caller.
#[derive(Debug)]
pub struct Mcp<'a> {
    id: &'a str,
    gateway: std::borrow::Cow<'a, Gateway>,
    served: std::borrow::Cow<'a, Served>,
    rules: Vec<&'a Tools>,
    glass: Option<&'a BreakGlass>,
}

/// What the policy says of one thing of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said<'a> {
    /// The word.
    pub word: Word,
    /// The rule, or the server's own entry.
    pub rule_id: &'a str,
    /// What the rule's author has the person told.
    pub say: Option<&'a str>,
    /// Words for routes, sorted.
    pub labels: BTreeSet<&'a str>,
    /// Rules that would have denied, had the caller not broken the glass.
    pub passed: BTreeSet<&'a str>,
}

impl Said<'_> {
    /// May it be seen and used, after whatever the word asks for?
    pub fn is_open(&self) -> bool {
        self.word != Word::Blocked
    }
}

/// What becomes of a tool in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// It is shown.
    Shown,
    /// This caller may not use it.
    Hidden,
    /// Its definition is not the one that was approved of.
    Withheld,
}

impl Policy {
    /// The server at `/mcp/ID`, for a caller who may reach it.
    pub fn mcp(&self, subject: &Subject<'_>, id: &str) -> Option<Mcp<'_>> {
        use std::borrow::Cow;
        let rules = self.tools.iter();
        let rules =
            rules.filter(|tools| concerns(&tools.rule.who, tools.rule.unless.as_ref(), subject));
        let glass = self.breaks(subject);
        if id == APPROVALS {
            self.approvals.as_ref()?;
            let (gateway, served) =
                (Cow::Owned(Gateway::default()), Cow::Owned(Served::approvals()));
            return Some(Mcp { id: APPROVALS, gateway, served, rules: Vec::new(), glass });
        }
        let (entry, words) = self.gateways().find(|(entry, _)| entry.id == id)?;
        let gateway = entry.gateway.as_ref()?;
        if !concerns(&entry.who, entry.unless.as_ref(), subject) {
            return None;
        }
        let served = Cow::Borrowed(words);

        Some(Mcp {
            id: &entry.id,
            gateway: Cow::Borrowed(gateway),
            served,
            rules: rules.collect(),
            glass,
        })
    }

    /// The servers that are reached through the gate, by their ids.
    pub fn mcp_servers(&self) -> impl Iterator<Item = &ServerRule> {
        self.gateways().map(|(server, _)| server)
    }

    fn gateways(&self) -> impl Iterator<Item = (&ServerRule, &Served)> {
        self.servers.iter().zip(&self.served).filter(|(server, _)| server.gateway.is_some())
    }

    /// Is this the name of a tool whose every call passes the gate, as clients name it?
    pub(super) fn passes_gate(&self, name: &str) -> bool {
        let rest = comparable(name).strip_prefix("mcp__").map(ToOwned::to_owned);

        rest.is_some_and(|rest| {
            self.mcp_servers().any(|server| {
                rest.strip_prefix(&*server.id).is_some_and(|tool| tool.starts_with("__"))
            })
        })
    }
}

impl<'a> Mcp<'a> {
    /// Its name.
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// Its entry.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// What becomes of its calls.
    pub fn terms(&self) -> Terms {
        Terms { content: self.gateway.content, audit: self.gateway.audit.unwrap_or_default() }
    }

    /// The largest result that passes, bytes.
    pub fn largest_result(&self) -> usize {
        self.gateway
            .largest_result
            .map_or(LARGEST_RESULT, |most| usize::try_from(most).unwrap_or(usize::MAX))
    }

    /// Is this open?
    pub fn also(&self, also: Also) -> bool {
        self.gateway.also.contains(&also)
    }

    /// May a tool be called with these arguments?
    pub fn calls(&self, name: &str, arguments: &Value) -> Said<'a> {
        // What was withheld from lists was seen by nobody; who calls it has guessed its name.
        let pins = &self.gateway.pins;
        if !pins.is_empty() && !pins.contains_key(name) {
            return self.closed();
        }

        self.tool(name, Some(arguments))
    }

    /// May a tool be called with any arguments at all?
    pub fn shows(&self, name: &str) -> Said<'a> {
        self.tool(name, None)
    }

    /// What becomes of a tool in a list. Its definition is only read where definitions are pinned.
    pub fn lists(&self, name: &str, digest: impl FnOnce() -> Option<String>) -> Listed {
        if !self.shows(name).is_open() {
            return Listed::Hidden;
        }
        let pins = &self.gateway.pins;
        if pins.is_empty()
            || pins.get(name).is_some_and(|pin| digest().is_some_and(|is| is == *pin))
        {
            Listed::Shown
        } else {
            Listed::Withheld
        }
    }

    /// May a resource be read, or a template of addresses be seen?
    pub fn resource(&self, uri: &str) -> Said<'a> {
        if !is_plain_uri(uri) {
            return self.closed();
        }
        let own = self.served.resources.of(&comparable(uri));

        self.judge(own, &format!("resource:{}/", self.id), uri, Word::Blocked, None)
    }

    /// May a prompt be had?
    pub fn prompt(&self, name: &str) -> Said<'a> {
        if name.is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) {
            return self.closed();
        }
        let own = self.served.prompts.of(&comparable(name));

        self.judge(own, &format!("prompt:{}/", self.id), name, Word::Blocked, None)
    }

    fn tool(&self, name: &str, arguments: Option<&Value>) -> Said<'a> {
        // A server may take another spelling for the same name; a rule does not.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(plain) {
            return self.closed();
        }
        let own = self.served.tools.of(&comparable(name));

        self.judge(own, &format!("mcp__{}__", self.id), name, self.gateway.otherwise, arguments)
    }

    fn closed(&self) -> Said<'a> {
        self.said(Word::Blocked, None)
    }

    fn said(&self, word: Word, rule: Option<&'a Tools>) -> Said<'a> {
        Said {
            word,
            rule_id: rule.map_or(self.id, |tools| &tools.rule.id),
            say: rule.and_then(|tools| tools.rule.say.as_deref()),
            labels: BTreeSet::new(),
            passed: BTreeSet::new(),
        }
    }

    /// The strictest of what names the server, else `otherwise`; and then of everything else.
    fn judge(
        &self,
        own: Option<Word>,
        beginning: &str,
        name: &str,
        otherwise: Word,
        arguments: Option<&Value>,
    ) -> Said<'a> {
        let full = comparable(&format!("{beginning}{name}")).into_owned();
        let beginning = comparable(beginning);
        let mut opening = own.map(|word| (word, None));
        let mut closing: Option<(Word, Option<&'a Tools>)> = None;
        let (mut labels, mut passed) = (BTreeSet::new(), BTreeSet::new());
        for tools in &self.rules {
            let Some(word) = tools.words.of(&full) else { continue };
            if !arguments::speaks(&tools.rule.arguments, arguments, word) {
                continue;
            }
            if word > Word::Ask && self.glass.is_some_and(|glass| glass.passes(&tools.rule.id)) {
                passed.insert(tools.rule.id.as_str());
                continue;
            }
            labels.extend(tools.rule.labels.iter().map(String::as_str));
            // A rule that is stricter about some arguments opens nothing for those who may call with none.
            let stricter = word > Word::Ask && !tools.rule.arguments.is_empty();
            let named = !stricter && tools.words.of_naming(&full, &beginning).is_some();
            let side = if named { &mut opening } else { &mut closing };
            if side.is_none_or(|(before, _)| word > before) {
                *side = Some((word, Some(*tools)));
            }
        }
        let (mut word, mut rule) = opening.unwrap_or((otherwise, None));
        if let Some((other, by)) = closing
            && other > word
        {
            (word, rule) = (other, by);
        }

        Said { labels, passed, ..self.said(word, rule) }
    }
}

/// An address that every server reads alike: nothing in it climbs or hides a slash.
fn is_plain_uri(uri: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    let dots = |segment: &str| segment == "." || segment == "..";

    !uri.is_empty()
        && uri.len() <= LONGEST_URI
        && !uri.contains(odd)
        && !uri.split('%').skip(1).any(hides)
        && !uri.split_once("://").map_or(uri, |(_, rest)| rest).contains("//")
        && !uri.split(['/', '?', '#', ';']).any(dots)
}

/// Does what stands behind a `%` hide a character that could have been written as it is, or one that some reader ends
/// a segment at, or no character of UTF-8?
fn hides(escape: &str) -> bool {
    let Some(byte) = escape.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) else {
        return true;
    };

    byte.is_ascii_alphanumeric()
        || b"-._~/\\%".contains(&byte)
        || byte.is_ascii_control()
        || matches!(byte, 0xc0 | 0xc1 | 0xf5..)
}

#[cfg(test)]
mod tests;
