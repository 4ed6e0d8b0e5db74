//! Tools: by which names a request's declarations are judged, and what the policy says of a name.

use crate::model;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// What becomes of a tool. The greater is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// It may be declared.
    Allow,
    /// It may be declared; the client asks its person before it is used. The row notes it.
    Ask,
    /// Somebody else has to approve of it first.
    Approve,
    /// It may not be declared.
    Blocked,
}

impl Word {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Approve => "approve",
            Self::Blocked => "blocked",
        }
    }
}

/// Where something is declared; written as `tools[3]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// `tools[N]`.
    Tool(usize),
    /// `mcp_servers[N]`.
    Server(usize),
    /// `container.skills[N]`.
    Skill(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool(index) => write!(to, "tools[{index}]"),
            Self::Server(index) => write!(to, "mcp_servers[{index}]"),
            Self::Skill(index) => write!(to, "container.skills[{index}]"),
        }
    }
}

/// A tool as `tools[]` declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// `name`; empty where there is none.
    pub name: String,
    /// `type`, of the provider's own tools.
    pub kind: Option<String>,
    /// Where it stands.
    pub place: Place,
}

/// A remote MCP server as `mcp_servers[]` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// What the request calls it.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Which of its tools are to be had: by an `mcp_toolset`, or by its own `tool_configuration`.
    pub tools: Selection,
    /// Where it stands.
    pub place: Place,
}

/// Which tools of a server are to be had.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those not named are, too.
    pub others: bool,
    /// Name → to be had?
    pub named: BTreeMap<String, bool>,
}

impl Selection {
    /// All there are.
    pub fn all() -> Self {
        Self { others: true, named: BTreeMap::new() }
    }

    /// What either of two makes available.
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        let all = self.named.keys().chain(other.named.keys()).cloned();
        // Extended, not collected: that would sort first, which is 7 KiB of code in the filter.
        let mut named = BTreeMap::new();
        named.extend(all.map(|name| {
            let has = |of: &Self| of.named.get(&name).copied().unwrap_or(of.others);
            let either = has(&self) || has(other);
            (name, either)
        }));
        self.others |= other.others;
        self.named = named;

        self
    }
}

impl Server {
    /// What a rule says of its tools, where the server is known by this id: of each that is to be had by
    /// its name, and of all others together, as `mcp__ID__*`.
    pub fn said(&self, id: &str, words: &Words) -> Vec<(String, Word)> {
        let beginning = of_server(id, "");
        let on = self.tools.named.iter().filter(|(_, to_be_had)| **to_be_had);
        let mut said: Vec<(String, Word)> = on
            .map(|(tool, _)| format!("{beginning}{tool}"))
            .filter_map(|name| words.of(&comparable(&name)).map(|word| (name, word)))
            .collect();
        if self.tools.others {
            let named = |name: &str| {
                name.strip_prefix(&beginning)
                    .is_some_and(|tool| self.tools.named.contains_key(tool))
            };
            let others = words.of_any(&comparable(&beginning), &named);
            said.extend(others.map(|word| (format!("{beginning}*"), word)));
        }

        said
    }
}

/// A skill as `container.skills[]` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skill {
    /// `type`: `anthropic` or `custom`.
    pub kind: String,
    /// `skill_id`.
    pub id: String,
    /// Where it stands.
    pub place: Place,
}

/// Everything a request declares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// `tools[]` without the toolsets.
    pub tools: Vec<Tool>,
    /// `mcp_servers[]`, each with what its toolsets select.
    pub servers: Vec<Server>,
    /// `container.skills[]`.
    pub skills: Vec<Skill>,
}

impl Tool {
    /// The names it is judged by; the strictest word of them counts. A typed tool has its family's,
    /// which is its type without the date.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let family = self.kind.as_deref().filter(|kind| *kind != "custom").map(family);
        // One without either is judged too: a pattern may mean all there are.
        let named = (!self.name.is_empty() || family.is_none()).then_some(self.name.as_str());

        named.into_iter().chain(family.filter(|family| named != Some(family)))
    }
}

impl Skill {
    /// The name it is judged by.
    pub fn name(&self) -> String {
        format!("skill:{}/{}", self.kind, self.id)
    }
}

/// `web_search_20250305` → `web_search`.
fn family(kind: &str) -> &str {
    match kind.rsplit_once('_') {
        Some((family, date)) if date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()) => {
            family
        }
        _ => kind,
    }
}

/// The name of a server's tool.
fn of_server(server: &str, tool: &str) -> String {
    format!("mcp__{server}__{tool}")
}

/// Names are compared whatever their case: `bash` is no way round `Bash`.
pub(super) fn comparable(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// What is said of a name, and how the rule spells it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exact {
    word: Word,
    spellings: Vec<String>,
}

/// The names and patterns of one rule, ready to be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    exact: BTreeMap<String, Exact>,
    patterns: Vec<(String, Word)>,
}

impl Words {
    /// The names and patterns of a rule, in the form they are compared in. Where two differ by their
    /// case alone, the stricter word counts.
    pub fn new(tools: &BTreeMap<String, Word>) -> Self {
        let mut words = Self::default();
        for (name, word) in tools {
            let spelling = name;
            let name = comparable(name).into_owned();
            if name.contains('*') {
                words.patterns.push((name, *word));
            } else {
                let new = || Exact { word: *word, spellings: Vec::new() };
                let stands = words.exact.entry(name).or_insert_with(new);
                stands.word = stands.word.max(*word);
                stands.spellings.push(spelling.clone());
            }
        }

        words
    }

    /// What is said of a name, given by its [`comparable`] form.
    pub fn of(&self, name: &str) -> Option<Word> {
        self.exact
            .get(name)
            .map(|exact| exact.word)
            .or_else(|| self.by_pattern(|p| model::matches(p, name)))
    }

    /// What is said of a name by whatever begins like this itself, name or pattern.
    pub fn of_naming(&self, name: &str, beginning: &str) -> Option<Word> {
        let exact = self.exact.get(name).filter(|_| name.starts_with(beginning));
        let by_pattern =
            || self.by_pattern(|p| p.starts_with(beginning) && model::matches(p, name));

        exact.map(|exact| exact.word).or_else(by_pattern)
    }

    /// The strictest that is said of any name that begins so, but of those that are spelled like
    /// these: names are told apart by their case where they are, so another spelling is another tool.
    pub fn of_any(&self, beginning: &str, but: &dyn Fn(&str) -> bool) -> Option<Word> {
        let exact = self.exact.range(beginning.to_owned()..);
        let exact = exact
            .take_while(|(name, _)| name.starts_with(beginning))
            .filter(|(_, exact)| !exact.spellings.iter().all(|spelling| but(spelling)))
            .map(|(_, exact)| exact.word);
        let could = |pattern: &str| {
            let literal = pattern.split('*').next().unwrap_or_default();
            literal.starts_with(beginning) || beginning.starts_with(literal)
        };

        exact.max().max(self.by_pattern(could))
    }

    fn by_pattern(&self, fits: impl Fn(&str) -> bool) -> Option<Word> {
        self.patterns.iter().filter(|(pattern, _)| fits(pattern)).map(|(_, word)| *word).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Word::{Allow, Approve, Ask, Blocked};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn words(list: &[(&str, Word)]) -> Words {
        Words::new(&list.iter().map(|(name, word)| ((*name).to_owned(), *word)).collect())
    }

    #[test]
    fn an_exact_name_beats_a_pattern_and_of_patterns_the_strictest_counts() {
        for (rule, name, word) in [
            (&[("*", Blocked), ("Read", Allow)][..], "read", Some(Allow)),
            (&[("*", Blocked), ("Read", Allow)], "write", Some(Blocked)),
            (&[("*", Allow), ("Bash", Blocked)], "bash", Some(Blocked)),
            (&[("mcp__*", Allow), ("mcp__github__*", Ask)], "mcp__github__list", Some(Ask)),
            (&[("mcp__*", Ask), ("mcp__github__*", Allow)], "mcp__github__list", Some(Ask)),
            (&[("*delete*", Approve), ("mcp__*", Blocked)], "mcp__a__delete", Some(Blocked)),
            (&[("*delete*", Approve), ("mcp__*", Allow)], "mcp__a__delete_all", Some(Approve)),
            (&[("Bash", Allow), ("bash", Blocked)], "bash", Some(Blocked)),
            (&[("Bash", Blocked)], "bash_output", None),
            (&[("Bash*", Blocked)], "bash_output", Some(Blocked)),
            (&[("Bash*", Blocked)], "rebash", None),
        ] {
            assert_eq!(words(rule).of(name), word, "{name} by {rule:?}");
        }
    }

    #[test]
    fn a_server_s_tools_that_nobody_names_have_the_strictest_word_that_could_be_theirs() {
        let none: &dyn Fn(&str) -> bool = &|_| false;
        for (rule, word) in [
            (&[("*", Allow)][..], Some(Allow)),
            (&[("*", Allow), ("*delete*", Blocked)], Some(Blocked)),
            (&[("mcp__a__*", Ask)], Some(Ask)),
            (&[("mcp__a__drop", Blocked)], Some(Blocked)),
            (&[("mcp__b__*", Blocked)], None),
            (&[("mcp__ab__x", Blocked)], None),
        ] {
            assert_eq!(words(rule).of_any("mcp__a__", none), word, "{rule:?}");
        }
        let but: &dyn Fn(&str) -> bool = &|name| name == "mcp__a__drop";
        assert_eq!(words(&[("mcp__a__drop", Blocked)]).of_any("mcp__a__", but), None);
    }

    #[test]
    fn a_typed_tool_is_judged_by_its_name_and_by_its_family() {
        let names = |name: &str, kind: Option<&str>| -> Vec<String> {
            let tool =
                Tool { name: name.into(), kind: kind.map(Into::into), place: Place::Tool(0) };
            tool.names().map(ToOwned::to_owned).collect()
        };

        assert_eq!(names("Bash", None), ["Bash"]);
        assert_eq!(names("Bash", Some("custom")), ["Bash"]);
        assert_eq!(names("web_search", Some("web_search_20250305")), ["web_search"]);
        assert_eq!(
            names("harmless", Some("code_execution_20250825")),
            ["harmless", "code_execution"]
        );
        assert_eq!(names("", Some("brand_new")), ["brand_new"]);
    }

    #[test]
    fn what_two_toolsets_select_is_what_either_does() {
        let of = |others, named: &[(&str, bool)]| Selection {
            others,
            named: named.iter().map(|(name, on)| ((*name).to_owned(), *on)).collect(),
        };

        let both = of(false, &[("a", true), ("b", false)]).or(&of(false, &[("b", true)]));
        assert_eq!(both, of(false, &[("a", true), ("b", true)]));
        let both = of(true, &[("a", false)]).or(&of(false, &[("b", true)]));
        assert_eq!(both, of(true, &[("a", false), ("b", true)]));
        let both = of(true, &[("a", false)]).or(&of(true, &[]));
        assert_eq!(both, of(true, &[("a", true)]));
    }
}
