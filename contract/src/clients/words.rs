//! What a policy says of a server's tools, in the words that clients have.
//!
//! To a client an exact name beats a pattern, and of patterns the strictest counts, `*` among them: nothing can be
//! taken out of a pattern again but by its exact name. In Claude Code not even that: a pattern that blocks, other than
//! `*` in a `toolPolicy`, counts more than a name.

use super::{EXCEPTION, Warning};
use crate::model;
use crate::policy::{Mcp, Outline, Stroke, Word};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A client's word for a tool. The greater is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// It is used.
    Allow,
    /// The person is asked.
    Ask,
    /// It is not there.
    Blocked,
}

impl Choice {
    /// The word for it, in a `toolPolicy`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Blocked => "blocked",
        }
    }
}

impl From<Word> for Choice {
    /// The gate keeps a call that has to be approved; the client lets it through.
    fn from(word: Word) -> Self {
        match word {
            Word::Allow | Word::Approve => Self::Allow,
            Word::Ask => Self::Ask,
            Word::Blocked => Self::Blocked,
        }
    }
}

/// What a client is told of a server's tools.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Each name that the policy or a pin spells.
    names: BTreeMap<String, Choice>,
    /// Patterns of which every match is asked for, or blocked.
    patterns: BTreeMap<String, Choice>,
    /// Patterns that open without a question.
    opened: Vec<String>,
    /// For all that nothing names; none where nothing of that is open.
    others: Option<Choice>,
    /// Is what only patterns open all there is?
    only_opened: bool,
    /// Patterns that are blocked but for a name.
    dropped: Vec<String>,
}

impl Words {
    /// What clients can be told.
    pub fn of(mcp: &Mcp<'_>) -> Self {
        let pins = &mcp.gateway().pins;
        let Outline { names, patterns } = mcp.outline();
        let choose = |name: &String| (name.clone(), Choice::from(mcp.shows(name).word));
        if !pins.is_empty() {
            // What has no pin is withheld, whatever its name.
            return Self { names: pins.keys().map(choose).collect(), ..Self::default() };
        }
        let mut words = Self { names: names.iter().map(choose).collect(), ..Self::default() };
        words.others(&patterns, mcp.gateway().otherwise);
        if words.others.is_none() {
            return words;
        }
        let open: Vec<String> = words
            .names
            .iter()
            .filter(|(_, choice)| **choice != Choice::Blocked)
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        for stroke in patterns.into_iter().filter(|stroke| stroke.binds) {
            let choice = Choice::from(stroke.word);
            let lower = stroke.pattern.to_ascii_lowercase();
            let excepts = open.iter().any(|name| model::matches(&lower, name));
            match choice {
                Choice::Allow => {}
                Choice::Blocked if excepts => words.dropped.push(stroke.pattern),
                Choice::Ask | Choice::Blocked => {
                    let before = words.patterns.entry(stroke.pattern).or_insert(choice);
                    *before = choice.max(*before);
                }
            }
        }

        words
    }

    /// What becomes of tools that no name is about.
    fn others(&mut self, patterns: &[Stroke], otherwise: Word) {
        let blocked: Vec<String> = patterns
            .iter()
            .filter(|stroke| stroke.binds && stroke.word == Word::Blocked)
            .map(|stroke| stroke.pattern.to_ascii_lowercase())
            .collect();
        // A `*` of the narrower is only ever met by a `*` of the wider.
        let covered = |pattern: &str| {
            blocked.iter().any(|wide| model::matches(wide, &pattern.to_ascii_lowercase()))
        };
        if covered("*") {
            return;
        }
        let open: Vec<&Stroke> =
            patterns.iter().filter(|stroke| stroke.opens && !covered(&stroke.pattern)).collect();
        let free = open.iter().filter(|stroke| Choice::from(stroke.word) == Choice::Allow);
        self.opened.extend(free.map(|stroke| stroke.pattern.clone()));
        self.only_opened = otherwise == Word::Blocked;
        self.others = if self.only_opened {
            open.iter().map(|stroke| Choice::from(stroke.word)).min()
        } else {
            Some(otherwise.into())
        };
    }

    /// Claude Desktop's `toolPolicy`. It always ends with `*`: of what it does not name the person would decide.
    pub fn tool_policy(&self) -> BTreeMap<String, Choice> {
        let others = self.others.unwrap_or(Choice::Blocked);
        let mut all: BTreeMap<String, Choice> = self
            .names
            .iter()
            .filter(|(_, choice)| self.others.is_some() || **choice != Choice::Blocked)
            .map(|(name, choice)| (name.clone(), *choice))
            .collect();
        all.extend(self.patterns.iter().map(|(pattern, choice)| (pattern.clone(), *choice)));
        let star = all.entry("*".to_owned()).or_insert(others);
        *star = others.max(*star);

        all
    }

    /// Claude Code's permissions, `deny`, `ask` and `allow`, which it asks in this order: names and patterns of tools.
    pub fn permissions(&self) -> [Vec<String>; 3] {
        if self.is_closed() {
            return [vec!["*".to_owned()], Vec::new(), Vec::new()];
        }
        let of = |choice: Choice| {
            let all = self.names.iter().chain(&self.patterns);
            let mut list: Vec<String> =
                all.filter(|(_, is)| **is == choice).map(|(name, _)| name.clone()).collect();
            if choice != Choice::Blocked && !self.only_opened && self.others == Some(choice) {
                list.push("*".to_owned());
            }
            list
        };
        let mut allow = of(Choice::Allow);
        allow.extend(self.opened.iter().filter(|one| !self.names.contains_key(*one)).cloned());

        [of(Choice::Blocked), of(Choice::Ask), allow]
    }

    fn is_closed(&self) -> bool {
        self.others.is_none() && self.names.values().all(|choice| *choice == Choice::Blocked)
    }

    /// Would only "and nothing else" be exact, which a list of names without `*` cannot say?
    pub(super) fn needs_nothing_else(&self) -> bool {
        self.others.is_none() && !self.is_closed()
    }

    /// What clients have no words for.
    pub(super) fn untold(&self, mcp: &Mcp<'_>, nothing_else: &'static str) -> Vec<Warning> {
        let warning = |tools: &str, problem| Warning {
            server: mcp.id().to_owned(),
            tools: tools.to_owned(),
            problem,
        };
        let mut all: Vec<Warning> =
            self.dropped.iter().map(|pattern| warning(pattern, EXCEPTION)).collect();
        if self.only_opened && self.others.is_some() {
            all.push(warning("*", nothing_else));
        }

        all
    }
}
