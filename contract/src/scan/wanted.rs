//! What the caller wants to be looked for, made into rules and anchors.

use super::catalogue::{Pattern, Use, catalogue};
use super::index::{Anchor, Index, KNOWN_BY};
use super::rule::{Form, Precision, Rule, Words};
use regex_lite::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use thiserror::Error;

/// Longest anchor, word or phrase, in bytes.
pub const LONGEST_WORD: usize = 256;
/// Longest expression of a custom pattern, in bytes.
pub const LONGEST_REGEX: usize = 1024;
/// Most anchors of a custom pattern.
pub const MOST_ANCHORS: usize = 32;
/// Most things a scanner looks for.
pub const MOST_WANTED: usize = 10_000;

/// Most bytes of white space that may stand between two words of a phrase.
const WIDEST_GAP: usize = 128;
/// Bytes that are looked at from an anchor on, where a pattern says nothing.
const AFTER: usize = 256;
/// Bytes before an anchor where a custom pattern does not begin with it, and behind it.
const CUSTOM: (usize, usize) = (128, 512);
/// Largest compiled expression, in bytes of memory.
const LARGEST_REGEX: usize = 256 * 1024;

/// One thing to look for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Wanted {
    /// A shipped pattern, by its id.
    Shipped(String),
    /// A pattern of the customer's own.
    Custom {
        /// What a mask says.
        id: String,
        /// Literals, one of which stands in every match.
        anchors: Vec<String>,
        /// The expression, in the syntax of the crate `regex-lite`.
        regex: String,
    },
    /// A blocked word, or several in a row with any white space between them.
    Word {
        /// The words.
        text: String,
        /// Does the case of ASCII letters count?
        #[serde(default)]
        case: bool,
        /// Is it found within longer words too?
        #[serde(default)]
        part: bool,
    },
}

/// Why something cannot be looked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FaultKind {
    /// No shipped pattern has that id.
    #[error("no shipped pattern is called `{0}`")]
    Unknown(String),
    /// The pattern is too general to judge a call by.
    #[error("`{0}` is for masking only: it finds too much that is no secret")]
    MaskOnly(String),
    /// A custom pattern without anchors, or with too many.
    #[error("a pattern has 1 to {MOST_ANCHORS} anchors")]
    Anchors,
    /// An anchor or word that the sweep cannot know.
    #[error(
        "`{0}` needs {KNOWN_BY} bytes in a row that are no white space, control character, quote, slash or backslash"
    )]
    Short(String),
    /// An anchor or word that is too long.
    #[error("longer than {LONGEST_WORD} bytes")]
    LongWord,
    /// An expression that is too long.
    #[error("an expression has at most {LONGEST_REGEX} bytes")]
    LongRegex,
    /// An expression that is none.
    #[error("not an expression: {0}")]
    Regex(String),
    /// An expression that matches nothing at all everywhere.
    #[error("the expression matches the empty text")]
    Empty,
    /// Too much to look for.
    #[error("more than {MOST_WANTED} patterns and words, or than {} anchors", Index::MOST)]
    Many,
}

/// What is wrong with an element of the caller's list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind}")]
pub struct Fault {
    /// Which element.
    pub wanted: usize,
    /// What is wrong with it.
    pub kind: FaultKind,
}

/// Rules under construction.
#[derive(Default)]
pub(super) struct Builder {
    pub(super) rules: Vec<Rule>,
    anchors: Vec<Anchor>,
    /// In how many phrases of the caller's list each word stands.
    common: HashMap<String, usize>,
}

impl Builder {
    /// For a list of this.
    pub(super) fn of(list: &[Wanted]) -> Self {
        let mut builder = Self::default();
        for what in list {
            if let Wanted::Word { text, .. } = what {
                for word in text.split_whitespace() {
                    let count = builder.common.entry(word.to_ascii_lowercase()).or_default();
                    *count = count.saturating_add(1);
                }
            }
        }

        builder
    }

    /// Adds what an element of the caller's list asks for.
    pub(super) fn add(&mut self, wanted: usize, what: &Wanted) -> Result<(), FaultKind> {
        match what {
            Wanted::Shipped(id) => {
                let pattern = catalogue().get(id).ok_or_else(|| FaultKind::Unknown(id.clone()))?;
                if pattern.purpose == Use::Mask {
                    return Err(FaultKind::MaskOnly(id.clone()));
                }
                self.precise(wanted, pattern)
            }
            Wanted::Custom { id, anchors, regex } => self.custom(wanted, id, anchors, regex),
            Wanted::Word { text, case, part } => self.words(wanted, text, !case, *part),
        }
    }

    /// A shipped pattern in the form that may deny.
    fn precise(&mut self, wanted: usize, pattern: &Pattern) -> Result<(), FaultKind> {
        let precision =
            Precision { strict: true, alone: true, entropy: pattern.entropy.unwrap_or(2.5) };
        let after = pattern.after.unwrap_or(AFTER);
        let rule = Span { wanted, label: &pattern.id, before: pattern.before, after, plain: false };

        self.pattern(&rule, &pattern.anchors, &pattern.regex, pattern.fold, precision)
    }

    /// A shipped pattern in the form that is good enough for masking.
    pub(super) fn loose(&mut self, wanted: usize, pattern: &Pattern) -> Result<(), FaultKind> {
        let label = pattern.label.as_ref().unwrap_or(&pattern.id);
        let loose = pattern.mask.as_ref();
        let anchors = loose.map_or(&pattern.anchors, |loose| &loose.anchors);
        let regex = loose.map_or(&pattern.regex, |loose| &loose.regex);
        let before = if loose.is_some() { 0 } else { pattern.before };
        let after = loose.and_then(|loose| loose.after).or(pattern.after).unwrap_or(8 * 1024);
        let rule = Span { wanted, label, before, after, plain: true };

        // What is masked too often does no harm: a secret in the middle of a word is masked too.
        self.pattern(&rule, anchors, regex, pattern.fold, Precision::default())
    }

    fn custom(
        &mut self,
        wanted: usize,
        id: &str,
        anchors: &[String],
        regex: &str,
    ) -> Result<(), FaultKind> {
        if anchors.is_empty() || anchors.len() > MOST_ANCHORS {
            return Err(FaultKind::Anchors);
        }
        if regex.len() > LONGEST_REGEX {
            return Err(FaultKind::LongRegex);
        }
        if compiled(regex, false)?.is_match("") {
            return Err(FaultKind::Empty);
        }
        let (before, after) = CUSTOM;
        let rule = Span { wanted, label: id, before, after, plain: false };

        self.pattern(&rule, anchors, regex, false, Precision::default())
    }

    fn pattern(
        &mut self,
        span: &Span<'_>,
        anchors: &[String],
        regex: &str,
        fold: bool,
        precision: Precision,
    ) -> Result<(), FaultKind> {
        let form = if span.before == 0 {
            Form::From(compiled(&format!("\\A(?:{regex})"), fold)?, precision)
        } else {
            Form::Around(compiled(regex, fold)?, precision)
        };
        for anchor in anchors {
            if anchor.len() > LONGEST_WORD {
                return Err(FaultKind::LongWord);
            }
            let (bytes, lead) = if span.plain { (&**anchor, 0) } else { piece(anchor) };
            self.anchor(Anchor {
                bytes: bytes.as_bytes().to_owned(),
                lead,
                fold,
                at_word: false,
                ends_word: false,
                neighbours: (None, None),
                rule: self.rules.len(),
            })?;
        }
        self.rules.push(span.rule(form));

        Ok(())
    }

    fn words(
        &mut self,
        wanted: usize,
        text: &str,
        fold: bool,
        part: bool,
    ) -> Result<(), FaultKind> {
        if text.len() > LONGEST_WORD {
            return Err(FaultKind::LongWord);
        }
        let words: Vec<String> = text.split_whitespace().map(ToOwned::to_owned).collect();
        // A word in front tells most: a phrase is soon seen to go on otherwise. But not one that all
        // phrases of a list have in front: each of them would be tried wherever it stands.
        let pieces = || words.iter().enumerate().map(|(index, word)| (index, word, piece(word)));
        let longest = pieces()
            .filter(|(_, word, (bytes, _))| bytes.len() > 4 && bytes.len() == word.len())
            .min_by_key(|(_, word, _)| self.common.get(&word.to_ascii_lowercase()))
            .or_else(|| pieces().max_by_key(|(_, _, (bytes, _))| bytes.len()));
        let Some((index, word, (bytes, lead))) = longest else {
            return Err(FaultKind::Short(text.to_owned()));
        };
        let in_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let begins = !part && lead == 0 && bytes.bytes().next().is_some_and(in_word);
        let whole = !part && bytes.len() == word.len() && bytes.bytes().last().is_some_and(in_word);
        let whole_word = bytes.len() == word.len();
        let neighbour =
            |index: usize| words.get(index).filter(|_| whole_word).map(String::as_bytes);
        let before = index.checked_sub(1).and_then(neighbour).and_then(|word| word.last());
        let behind = index.checked_add(1).and_then(neighbour).and_then(|word| word.first());
        self.anchor(Anchor {
            bytes: bytes.as_bytes().to_owned(),
            lead,
            fold,
            at_word: begins,
            ends_word: begins && whole,
            neighbours: (before.copied(), behind.copied()),
            rule: self.rules.len(),
        })?;
        let gaps = words.len().saturating_mul(WIDEST_GAP);
        let reach = text.len().saturating_add(gaps);
        let before = if index == 0 { 0 } else { reach };
        let span = Span { wanted, label: "blocked", before, after: reach, plain: false };
        let form = Form::Words(Words { all: words, anchor: index, fold, part });
        self.rules.push(span.rule(form));

        Ok(())
    }

    fn anchor(&mut self, anchor: Anchor) -> Result<(), FaultKind> {
        if anchor.bytes.len() < KNOWN_BY {
            let text = String::from_utf8_lossy(&anchor.bytes).into_owned();
            return Err(FaultKind::Short(text));
        }
        if self.anchors.len() >= Index::MOST {
            return Err(FaultKind::Many);
        }
        self.anchors.push(anchor);

        Ok(())
    }

    /// The rules and the index of their anchors.
    pub(super) fn done(self) -> (Vec<Rule>, Index) {
        (self.rules, Index::of(self.anchors))
    }
}

/// Whose rule it is, and how far it reaches.
struct Span<'a> {
    wanted: usize,
    label: &'a str,
    before: usize,
    after: usize,
    /// Only for plain text, where nothing is escaped.
    plain: bool,
}

impl Span<'_> {
    fn rule(&self, form: Form) -> Rule {
        Rule {
            wanted: self.wanted,
            label: self.label.to_owned(),
            before: self.before,
            after: self.after,
            form,
        }
    }
}

/// The longest piece of a literal that stands in JSON as it is, and how many bytes come before it.
fn piece(literal: &str) -> (&str, usize) {
    let escaped = |c: char| c.is_ascii_control() || matches!(c, '"' | '\\' | '/');
    let mut best = ("", 0);
    let mut at = 0_usize;
    for piece in literal.split(escaped) {
        if piece.len() > best.0.len() {
            best = (piece, at);
        }
        // What splits is one byte.
        at = at.saturating_add(piece.len()).saturating_add(1);
    }

    best
}

fn compiled(regex: &str, fold: bool) -> Result<Regex, FaultKind> {
    RegexBuilder::new(regex)
        .case_insensitive(fold)
        .size_limit(LARGEST_REGEX)
        .build()
        .map_err(|error| FaultKind::Regex(error.to_string()))
}
