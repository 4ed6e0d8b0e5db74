//! What is written of a server's tools, for whoever has to say the same in other words.

use super::{APPROVALS, Mcp, OURS, arguments, comparable};
use crate::policy::tools::Word;
use serde_json::Value;
use std::collections::BTreeSet;

/// What is written of a server's tools for one caller: the names, and the patterns. What becomes of a name is
/// said by [`Mcp::shows`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// Names of tools, as they are spelled.
    pub names: BTreeSet<String>,
    /// Patterns of names of tools, as they are spelled.
    pub patterns: Vec<Stroke>,
}

/// A pattern and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stroke {
    /// The pattern, without the server's name before it; it has a `*`.
    pub pattern: String,
    /// Its word.
    pub word: Word,
    /// May it open what nothing else does?
    pub opens: bool,
    /// Is whatever matches it at least as strict, unless its own source names it otherwise?
    pub binds: bool,
}

impl Mcp<'_> {
    /// What is written of its tools.
    pub fn outline(&self) -> Outline {
        let mut outline = Outline::default();
        if self.id == APPROVALS {
            outline.names.extend(OURS.map(ToOwned::to_owned));
        }
        for (name, word) in &self.gateway.tools {
            let opens = *word != Word::Blocked;
            outline.add(name, Stroke { pattern: name.clone(), word: *word, opens, binds: true });
        }
        let beginning = format!("mcp__{}__", self.id);
        for tools in &self.rules {
            let rule = &tools.rule;
            let passed = self.glass.is_some_and(|glass| glass.passes(&rule.id));
            for (name, word) in &rule.tools {
                let closes = *word > Word::Ask;
                let stroke = |pattern: &str| Stroke {
                    pattern: pattern.to_owned(),
                    word: *word,
                    opens: *word != Word::Blocked && comparable(name).starts_with(&beginning),
                    binds: !closes || (rule.arguments.is_empty() && !passed),
                };
                for rest in behind(name, &beginning) {
                    outline.add(rest, stroke(rest));
                }
            }
        }

        outline
    }

    /// What each rule over tools that is for this caller says of a name (`mcp__ID__TOOL`, `resource:ID/…`,
    /// `prompt:ID/…`): its id, its word, and whether its conditions hold for these arguments.
    pub fn hears(&self, name: &str, given: Option<&Value>) -> Vec<(&str, Word, bool)> {
        let name = comparable(name);
        let mut all = Vec::new();
        for tools in &self.rules {
            let Some(word) = tools.words.of(&name) else { continue };
            let holds = arguments::speaks(&tools.rule.arguments, given, word);
            all.push((tools.rule.id.as_str(), word, holds));
        }

        all
    }
}

impl Outline {
    fn add(&mut self, name: &str, stroke: Stroke) {
        if name.contains('*') {
            self.patterns.push(stroke);
        } else if !name.is_empty() {
            self.names.insert(name.to_owned());
        }
    }
}

/// What a pattern says of names that begin so: patterns for the rest of the name, of which any may match.
fn behind<'p>(pattern: &'p str, beginning: &str) -> BTreeSet<&'p str> {
    let mut left = BTreeSet::from([pattern]);
    for sign in beginning.chars() {
        let mut next = BTreeSet::new();
        for at in left {
            // A `*` takes the sign and stays, or takes none.
            let mut at = at;
            while let Some(behind) = at.strip_prefix('*') {
                next.insert(at);
                at = behind;
            }
            let mut rest = at.chars();
            if rest.next().is_some_and(|one| one.eq_ignore_ascii_case(&sign)) {
                next.insert(rest.as_str());
            }
        }
        left = next;
    }
    // What only another one's `*` could lead to is in that one already.
    let all = left.clone();
    left.retain(|one| {
        !all.iter().any(|other| {
            other != one && other.starts_with('*') && crate::model::matches(other, one)
        })
    });

    left
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_a_pattern_says_of_one_servers_tools_is_told_without_the_servers_name() {
        for (pattern, rest) in [
            ("mcp__stripe__refund", &["refund"][..]),
            ("MCP__Stripe__Re*", &["Re*"]),
            ("mcp__*__drop_*", &["*__drop_*", "_drop_*", "drop_*"]),
            ("mcp__*", &["*"]),
            ("*", &["*"]),
            ("*delete*", &["*delete*"]),
            ("mcp__str*_x", &["*_x", "x"]),
            ("mcp__strip", &[]),
            ("mcp__other__x", &[]),
            ("Bash", &[]),
        ] {
            let is: Vec<&str> = behind(pattern, "mcp__stripe__").into_iter().collect();
            assert_eq!(is, rest, "{pattern}");
        }
    }
}
