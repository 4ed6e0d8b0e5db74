//! The blocks of an answer → its `tool_use` ids, and the part of [`contract::audit::Content`] that
//! it makes.

use super::clip::{Clip, share, text};
use super::{LONGEST_ID, MOST_PARTS, MOST_TOOLS};
use contract::audit::{Part, ToolUse};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What an answer said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answered {
    /// Its `tool_use` blocks. Those that the provider runs itself are not among them: nobody answers
    /// these.
    pub tool_uses: Vec<ToolUse<'static>>,
    /// Some of them are left out.
    pub tool_uses_cut: bool,
    /// Its parts, if they are kept.
    pub output: Vec<Part<'static>>,
    /// Parts that found no place.
    pub parts_omitted: u32,
}

/// Reads the blocks of an answer as they come.
#[derive(Debug, Default)]
pub struct Blocks {
    /// How many bytes of text are kept; `None` for no parts at all.
    budget: Option<usize>,
    tool_uses: Vec<ToolUse<'static>>,
    cut: bool,
    parts: Vec<Open>,
    omitted: u32,
}

/// A part, and where in the stream its block has its place.
#[derive(Debug)]
struct Open {
    index: Option<u64>,
    block: Block,
}

/// A block of a kind that is kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) kind: Vec<u8>,
    pub(super) id: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) text: Clip,
    /// Of what is not kept, how much it was.
    pub(super) bytes: u64,
}

#[derive(Deserialize)]
struct Start {
    #[serde(default)]
    index: Option<u64>,
    content_block: StartBlock,
}

#[derive(Deserialize)]
struct StartBlock {
    r#type: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    data: Option<String>,
    #[serde(default)]
    input: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    index: Option<u64>,
    delta: DeltaText,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DeltaText {
    text: Option<String>,
    partial_json: Option<String>,
    thinking: Option<String>,
}

/// The kind of a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    ToolUse,
    /// A tool that the provider runs itself.
    ServerToolUse,
    Other,
}

fn kind(word: &[u8]) -> Kind {
    match word {
        b"text" => Kind::Text,
        b"thinking" | b"redacted_thinking" => Kind::Thinking,
        b"tool_use" => Kind::ToolUse,
        b"server_tool_use" | b"mcp_tool_use" => Kind::ServerToolUse,
        _ => Kind::Other,
    }
}

impl Blocks {
    /// Keeps parts too, with so many bytes of text.
    pub fn keep(&mut self, budget: usize) {
        self.budget = Some(budget);
    }

    /// How many bytes of text are kept; `None` for no parts at all.
    pub fn budget(&self) -> Option<usize> {
        self.budget
    }

    /// `content_block_start` of a stream. One that cannot be read is as good as one that found no
    /// place.
    pub fn start(&mut self, data: &[u8], too_large: bool) {
        match serde_json::from_slice::<Start>(data) {
            Ok(Start { index, content_block: start }) if !too_large => {
                let bytes = |text: Option<String>| text.unwrap_or_default().into_bytes();
                let mut block = Block {
                    kind: start.r#type.into_bytes(),
                    id: bytes(start.id),
                    name: bytes(start.name),
                    bytes: size(&bytes(start.data)),
                    ..Block::default()
                };
                if let Some(budget) = self.budget {
                    block.text.push(&bytes(start.text), budget);
                    // Empty, as a rule: the arguments come in deltas.
                    let input = start.input.as_deref().map(RawValue::get).filter(|i| *i != "{}");
                    block.text.push(input.unwrap_or_default().as_bytes(), budget);
                }
                self.add(index, block);
            }
            // The results of a search can be this large, a call of a tool begins small.
            Ok(_) | Err(_) => {
                let word = br#""tool_use""#;
                self.cut |= !too_large || data.windows(word.len()).any(|window| window == word);
                self.omit();
            }
        }
    }

    /// `content_block_delta` of a stream.
    pub fn delta(&mut self, data: &[u8], too_large: bool) {
        let Some(budget) = self.budget else { return };
        let Ok(Delta { index, delta }) = serde_json::from_slice::<Delta>(data) else {
            return self.omit();
        };
        let open = self.parts.iter_mut().rev().find(|open| open.index == index);
        if too_large {
            return self.omit();
        }
        let Some(Open { block, .. }) = open else { return }; // left out as a whole
        let thought = delta.thinking.unwrap_or_default();
        block.bytes = block.bytes.saturating_add(size(thought.as_bytes()));
        for text in [delta.text, delta.partial_json].into_iter().flatten() {
            block.text.push(text.as_bytes(), budget);
        }
        self.make_room();
    }

    /// A block that is whole, or has only begun.
    pub(super) fn add(&mut self, index: Option<u64>, mut block: Block) {
        let kind = kind(&block.kind);
        let fits = (1..=LONGEST_ID).contains(&block.id.len()) && block.name.len() <= LONGEST_ID;
        if kind == Kind::ToolUse {
            if fits && self.tool_uses.len() < MOST_TOOLS {
                let (id, name) = (text(block.id.clone()), text(block.name.clone()));
                self.tool_uses.push(ToolUse {
                    id: id.into(),
                    name: name.into(),
                    input_sha256: None,
                });
            } else {
                self.cut = true;
            }
        }
        if self.budget.is_none() {
            return;
        }
        let named = matches!(kind, Kind::ToolUse | Kind::ServerToolUse);
        if kind == Kind::Other || (named && !fits) || self.parts.len() >= MOST_PARTS {
            return self.omit();
        }
        if !named {
            (block.id, block.name) = (Vec::new(), Vec::new());
        }
        self.parts.push(Open { index, block });
        self.make_room();
    }

    /// A part that finds no place.
    fn omit(&mut self) {
        if self.budget.is_some() {
            self.omitted = self.omitted.saturating_add(1);
        }
    }

    /// Keeps all parts together within a few times of what will be kept of them in the end.
    fn make_room(&mut self) {
        let budget = self.budget.unwrap_or_default();
        let held = self.parts.iter().map(|open| open.block.text.len());
        if held.fold(0, usize::saturating_add) > budget.saturating_mul(4) {
            self.fit(budget);
        }
    }

    fn fit(&mut self, budget: usize) {
        let each = share(self.parts.iter().map(|open| open.block.text.len()).collect(), budget);
        for open in &mut self.parts {
            open.block.text.fit(each);
        }
    }

    /// What was read.
    pub fn finish(mut self) -> Answered {
        let words = self.parts.iter().map(|Open { block, .. }| match kind(&block.kind) {
            Kind::ToolUse | Kind::ServerToolUse => block.id.len().saturating_add(block.name.len()),
            Kind::Text | Kind::Thinking | Kind::Other => 0,
        });
        let words = words.fold(0, usize::saturating_add);
        self.fit(self.budget.unwrap_or_default().saturating_sub(words));

        Answered {
            tool_uses: self.tool_uses,
            tool_uses_cut: self.cut,
            output: self.parts.into_iter().map(|open| open.block.part()).collect(),
            parts_omitted: self.omitted,
        }
    }
}

impl Block {
    fn part(self) -> Part<'static> {
        let Self { kind: word, id, name, text: said, bytes } = self;
        match kind(&word) {
            Kind::Thinking => Part::Thinking { bytes },
            Kind::ToolUse | Kind::ServerToolUse => Part::ToolUse {
                id: text(id).into(),
                name: text(name).into(),
                input: said.into_text(),
            },
            Kind::Text | Kind::Other => Part::Text { text: said.into_text() },
        }
    }
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
