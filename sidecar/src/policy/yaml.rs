//! YAML as people write policies in: a tree of which every node knows its place.
//!
//! It is YAML 1.2, of which JSON is a part, and less than all of it. What would make a policy say
//! another thing than it seems to say is a fault: a member twice, a tag, a second document, a merge
//! key. Anchors and aliases are for people's convenience and bounded, so that a page of them does not
//! become a gigabyte.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Most nodes of a document, those that aliases stand for included. 10,000 rules have 200,000.
const MOST_NODES: usize = 500_000;

/// Deepest nesting. A policy has six levels; expressions in Envoy's files have over forty.
const DEEPEST: usize = 64;

/// A place in a file. Both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct At {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl At {
    /// The first sign of a file.
    pub const START: Self = Self { line: 1, column: 1 };

    fn of(span: Span) -> Self {
        Self { line: span.start.line().max(1), column: span.start.col().saturating_add(1) }
    }
}

/// A fault of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slip {
    /// Where.
    pub at: At,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it begins.
    pub at: At,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A scalar. `plain`: without quotes, so that it may be more than text.
    Scalar {
        /// As it reads.
        text: String,
        /// Without quotes.
        plain: bool,
    },
    /// `[…]` or lines that begin with `-`.
    List(Vec<Node>),
    /// `{…}` or lines with `:`, in the order they stand.
    Map(Vec<(Key, Node)>),
}

/// What stands before a colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Where it begins.
    pub at: At,
    /// As it reads.
    pub text: String,
}

/// What YAML 1.2's core schema takes a scalar for (chapter 10.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Nothing at all, or `null`.
    Null,
    /// `true` or `false`; `yes`, `no` and `on` are text.
    Truth,
    /// A number.
    Number,
    /// Text.
    Text,
}

impl Kind {
    /// How it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Scalar { text, plain } => match typed(text, *plain) {
                Type::Null => "nothing",
                Type::Truth => "a truth value",
                Type::Number => "a number",
                Type::Text => "text",
            },
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// The type of a scalar.
pub fn typed(text: &str, plain: bool) -> Type {
    if !plain {
        return Type::Text;
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Type::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Type::Truth,
        _ if is_number(text) => Type::Number,
        _ => Type::Text,
    }
}

fn is_number(text: &str) -> bool {
    if let Some(digits) = text.strip_prefix("0x") {
        return !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return !digits.is_empty() && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    }
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(bare, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let begins = bare.strip_prefix('.').unwrap_or(bare);

    begins.starts_with(|sign: char| sign.is_ascii_digit()) && bare.parse::<f64>().is_ok()
}

/// Reads a text.
///
/// # Errors
/// Every slip that can be told from the others: what stands behind broken syntax is not read.
pub fn parse(text: &str) -> Result<Node, Vec<Slip>> {
    let mut loader = Loader { text, ..Loader::default() };
    let root = loader.document();
    match root {
        Some(root) if loader.slips.is_empty() => Ok(root),
        _ if loader.slips.is_empty() => Err(vec![slip(At::START, "there is nothing in it")]),
        _ => {
            loader.slips.sort_by_key(|slip| slip.at);
            Err(loader.slips)
        }
    }
}

fn slip(at: At, problem: impl Into<String>) -> Slip {
    Slip { at, problem: problem.into() }
}

/// A node whose end has not come.
enum Open {
    List {
        at: At,
        anchor: usize,
        nodes: Vec<Node>,
    },
    Map {
        at: At,
        anchor: usize,
        pairs: Vec<(Key, Node)>,
        names: BTreeSet<String>,
        key: Option<Key>,
    },
}

#[derive(Default)]
struct Loader<'t> {
    text: &'t str,
    slips: Vec<Slip>,
    open: Vec<Open>,
    /// Anchored nodes, with how many nodes each is.
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
    documents: usize,
}

impl Loader<'_> {
    fn document(&mut self) -> Option<Node> {
        for event in Parser::new_from_str(self.text) {
            let goes_on = match event {
                Ok((event, span)) => self.event(event, At::of(span)),
                Err(error) => {
                    self.slips.push(syntax(&error));
                    false
                }
            };
            if !goes_on {
                break;
            }
        }

        self.root.take()
    }

    /// False where nothing behind it is worth reading.
    fn event(&mut self, event: Event<'_>, at: At) -> bool {
        match event {
            Event::DocumentStart(_) => {
                self.documents = self.documents.saturating_add(1);
                if self.documents > 1 {
                    self.slips.push(slip(at, "a second document begins: one file is one document"));
                    return false;
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.tag(tag.as_deref(), at);
                let plain = style == ScalarStyle::Plain;
                return self.scalar(text, plain, anchor, at);
            }
            Event::SequenceStart(anchor, tag) => {
                self.tag(tag.as_deref(), at);
                self.open.push(Open::List { at, anchor, nodes: Vec::new() });
                return self.is_bounded(at);
            }
            Event::MappingStart(anchor, tag) => {
                self.tag(tag.as_deref(), at);
                let (pairs, names) = (Vec::new(), BTreeSet::new());
                self.open.push(Open::Map { at, anchor, pairs, names, key: None });
                return self.is_bounded(at);
            }
            Event::SequenceEnd | Event::MappingEnd => return self.close(),
            Event::Alias(anchor) => return self.alias(anchor, at),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }

        true
    }

    fn tag(&mut self, tag: Option<&Tag>, at: At) {
        if tag.is_some() {
            self.slips.push(slip(at, "has a tag (!…): leave it out, and put text in quotes"));
        }
    }

    fn is_bounded(&mut self, at: At) -> bool {
        if self.open.len() <= DEEPEST {
            return true;
        }
        self.slips.push(slip(at, format!("is nested deeper than {DEEPEST} levels")));

        false
    }

    fn scalar(&mut self, text: Cow<'_, str>, plain: bool, anchor: usize, at: At) -> bool {
        let text = text.into_owned();
        if let Some(Open::Map { key: key @ None, names, .. }) = self.open.last_mut() {
            if plain && text == "<<" {
                let problem = "merge keys (<<) are not YAML 1.2: write the members out";
                self.slips.push(slip(at, problem));
            } else if !names.insert(text.clone()) {
                let problem = format!("{text:?} stands here twice: one of the two would not count");
                self.slips.push(slip(at, problem));
            }
            *key = Some(Key { at, text });
            return true;
        }

        self.add(Node { at, kind: Kind::Scalar { text, plain } }, 1, anchor)
    }

    fn alias(&mut self, anchor: usize, at: At) -> bool {
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            self.slips.push(slip(at, "the alias stands inside of what it stands for"));
            return false;
        };
        if matches!(self.open.last(), Some(Open::Map { key: None, .. })) {
            self.slips.push(slip(at, "an alias cannot be a member's name: write it out"));
            return false;
        }

        self.add(node, size, 0)
    }

    fn close(&mut self) -> bool {
        let (at, anchor, kind) = match self.open.pop() {
            Some(Open::List { at, anchor, nodes }) => (at, anchor, Kind::List(nodes)),
            Some(Open::Map { at, anchor, pairs, .. }) => (at, anchor, Kind::Map(pairs)),
            None => return false,
        };
        let size = if anchor == 0 { 1 } else { size(&kind) };

        self.add(Node { at, kind }, size, anchor)
    }

    /// Puts a node where it belongs. `size` counts what is new of it; all of it, where it may come again.
    fn add(&mut self, node: Node, size: usize, anchor: usize) -> bool {
        let at = node.at;
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        self.nodes = self.nodes.saturating_add(size);
        if self.nodes > MOST_NODES {
            self.slips.push(slip(at, format!("with its aliases it has over {MOST_NODES} values")));
            return false;
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { nodes, .. }) => nodes.push(node),
            Some(Open::Map { pairs, key, .. }) => {
                let Some(key) = key.take() else {
                    self.slips.push(slip(at, "a member's name must be text"));
                    return false;
                };
                pairs.push((key, node));
            }
        }

        true
    }
}

fn size(kind: &Kind) -> usize {
    let below = match kind {
        Kind::Scalar { .. } => 0,
        Kind::List(nodes) => nodes.iter().map(|node| size(&node.kind)).sum(),
        Kind::Map(pairs) => pairs.iter().map(|(_, node)| size(&node.kind)).sum::<usize>(),
    };

    below.saturating_add(1)
}

fn syntax(error: &ScanError) -> Slip {
    let marker = error.marker();
    let at = At { line: marker.line().max(1), column: marker.col().saturating_add(1) };

    slip(at, format!("is no YAML: {}", error.info()))
}

#[cfg(test)]
mod tests;
