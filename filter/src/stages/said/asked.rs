//! The turn of a request that is new → the part of [`Content`] that it makes, and the tools it answers.
//!
//! The turn is what stands behind the last answer: mostly one message of the user's, but clients may
//! put words of their own, of role `system`, behind it.

use super::clip::share;
use super::{LARGEST_TURN, LONGEST_ID, LONGEST_WORD, MOST_PARTS, MOST_TOOLS, json};
use crate::stages::parse::Turn;
use contract::audit::{Content, ContentMode, History, LARGEST_CONTENT, Part};
use contract::envelope;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::fmt;
use xxhash_rust::xxh3::xxh3_128;

/// What a request says that its row keeps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// The `tool_use` blocks that it answers.
    pub answers: Vec<String>,
    /// Some of these are left out.
    pub answers_cut: bool,
    /// The turn, if the policy has it kept.
    pub content: Option<Content<'static>>,
    /// The last message is no message, or two readers could read it in two ways.
    pub unreadable: bool,
    /// How much of the row's text is left for the answer.
    pub left: usize,
}

/// Reads the turn that is new.
pub fn asked(turn: &Turn<'_>, body: &[u8], mode: ContentMode) -> Asked {
    let mut asked = Asked { left: LARGEST_CONTENT, ..Asked::default() };
    let mut reader = Reader { keeps: mode != ContentMode::None, ..Reader::default() };
    let messages = messages(turn);
    for message in messages.iter().rev() {
        let read = message.as_ref().and_then(|message| reader.message(message));
        asked.unreadable |= read.is_none();
    }
    asked.answers = std::mem::take(&mut reader.answers);
    asked.answers_cut = reader.answers_cut;
    if reader.keeps {
        let (count, bytes) = (messages.len(), turn.history(messages.len(), body));
        let history = bytes.map(|bytes| history(turn.earlier(count), bytes));
        let parts_omitted = reader.omitted;
        let (input, taken) = reader.parts();
        asked.left = LARGEST_CONTENT.saturating_sub(taken);
        asked.content = Some(Content { mode, input, history, parts_omitted, ..Content::default() });
    }

    asked
}

/// The messages of the turn, the last one first; none in the place of one that is no message.
fn messages<'a>(turn: &Turn<'a>) -> Vec<Option<Message<'a>>> {
    let mut messages = Vec::new();
    while let Some(raw) = turn.back(messages.len()) {
        let message: Option<Message<'a>> = serde_json::from_slice(raw.as_bytes()).ok();
        let role = message.as_ref().and_then(|message| message.role).and_then(word);
        // An answer that stands last is what the client has the model begin with.
        if !messages.is_empty() && !matches!(role.as_deref(), Some("user" | "system")) {
            break;
        }
        messages.push(message);
    }

    messages
}

fn history(messages: u32, bytes: &[u8]) -> History {
    History {
        messages,
        bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        xxh3: format!("{:032x}", xxh3_128(bytes)),
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    role: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// A content block, as far as it is looked at. A member that is there twice makes it unreadable.
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_use_id: Option<&'a RawValue>,
    #[serde(default)]
    is_error: Option<bool>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    source: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow, default)]
    media_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// A part whose texts still stand in the body.
enum Draft<'a> {
    Text(&'a [u8]),
    ToolResult { tool_use_id: String, is_error: bool, texts: Vec<&'a [u8]> },
    Blob(Part<'static>, usize),
}

#[derive(Default)]
struct Reader<'a> {
    keeps: bool,
    drafts: Vec<Draft<'a>>,
    omitted: u32,
    answers: Vec<String>,
    answers_cut: bool,
}

impl<'a> Reader<'a> {
    fn message(&mut self, message: &Message<'a>) -> Option<()> {
        let Message { role, content } = message;
        let from_user = role.is_some_and(|role| word(role).as_deref() == Some("user"));
        let content = (*content)?.get();
        if let Some(text) = json::inside(content) {
            self.draft(Draft::Text(text));
            return Some(());
        }
        // Without anything to keep and anybody to be answered there is nothing to be read.
        if !self.keeps && !from_user {
            return Some(());
        }

        each(content, |raw| self.block(raw, from_user))
    }

    fn block(&mut self, raw: &'a str, from_user: bool) -> Option<()> {
        let block: Block<'a> = serde_json::from_slice(raw.as_bytes()).ok()?;
        match word(block.kind?)?.as_str() {
            "text" => self.draft(Draft::Text(json::inside(block.text?.get())?)),
            // The answer that it stands in has its row.
            "tool_use" => {}
            "tool_result" => self.tool_result(&block, from_user)?,
            kind => self.blob(kind, raw, block.source)?,
        }

        Some(())
    }

    fn tool_result(&mut self, block: &Block<'a>, from_user: bool) -> Option<()> {
        let id = json::short(block.tool_use_id?.get(), LONGEST_ID);
        if from_user {
            match &id {
                Some(id) if self.answers.len() < MOST_TOOLS => self.answers.push(id.clone()),
                Some(_) | None => self.answers_cut = true,
            }
        }
        if !self.keeps {
            return Some(());
        }
        let content = block.content.map(RawValue::get).unwrap_or_default();
        let is_error = block.is_error.unwrap_or_default();
        let tool_use_id = id.unwrap_or_default();
        let place = self.drafts.len();
        self.draft(Draft::ToolResult { tool_use_id, is_error, texts: Vec::new() });
        if let Some(text) = json::inside(content) {
            self.result_text(place, text);
        } else if !content.is_empty() && content != "null" {
            each(content, |raw| {
                let inner: Block<'a> = serde_json::from_slice(raw.as_bytes()).ok()?;
                match word(inner.kind?)?.as_str() {
                    "text" => self.result_text(place, json::inside(inner.text?.get())?),
                    kind => self.blob(kind, raw, inner.source)?,
                }
                Some(())
            })?;
        }

        Some(())
    }

    /// A text of the tool result that stands at this place.
    fn result_text(&mut self, place: usize, text: &'a [u8]) {
        match self.drafts.get_mut(place) {
            Some(Draft::ToolResult { texts, .. }) if texts.len() < MOST_PARTS => texts.push(text),
            _ => self.omitted = self.omitted.saturating_add(1),
        }
    }

    /// A block of which only size and digest are kept: of its data where it brings some, else of all
    /// of it.
    fn blob(&mut self, kind: &str, raw: &str, source: Option<&'a RawValue>) -> Option<()> {
        if !self.has_room() {
            return Some(());
        }
        // Of results of a search it is an address.
        let source = source.map(RawValue::get).filter(|source| source.starts_with('{'));
        let source = source
            .map(|raw| serde_json::from_slice::<Source<'a>>(raw.as_bytes()))
            .transpose()
            .ok()?;
        let media_type = source.as_ref().and_then(|source| source.media_type).and_then(word);
        let data = source.and_then(|source| json::inside(source.data?.get()));
        let bytes = data.unwrap_or(raw.as_bytes());
        let words = kind.len().saturating_add(media_type.as_ref().map_or(0, String::len));
        let part = Part::Blob {
            kind: kind.to_owned().into(),
            media_type: media_type.map(Into::into),
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            sha256: envelope::hex(&Sha256::digest(bytes)),
        };
        self.draft(Draft::Blob(part, words));

        Some(())
    }

    fn draft(&mut self, draft: Draft<'a>) {
        if self.has_room() {
            self.drafts.push(draft);
        }
    }

    /// Is one more part kept?
    fn has_room(&mut self) -> bool {
        let room = self.drafts.len() < MOST_PARTS;
        if self.keeps && !room {
            self.omitted = self.omitted.saturating_add(1);
        }

        self.keeps && room
    }

    /// The parts, and how many bytes of the row's text they take.
    fn parts(self) -> (Vec<Part<'static>>, usize) {
        let words = self.drafts.iter().map(Draft::words).fold(0, usize::saturating_add);
        let budget = LARGEST_TURN.saturating_sub(words);
        let each = share(self.drafts.iter().map(Draft::length).collect(), budget);
        let parts: Vec<_> = self.drafts.into_iter().map(|draft| draft.part(each)).collect();
        // Escapes make a text longer where it stands than it is.
        let taken = parts.iter().map(length).fold(words, usize::saturating_add);

        (parts, taken)
    }
}

fn length(part: &Part<'_>) -> usize {
    match part {
        Part::Text { text } | Part::ToolResult { text, .. } => {
            text.text.len().saturating_add(text.tail.as_deref().map_or(0, str::len))
        }
        Part::ToolUse { .. } | Part::Thinking { .. } | Part::Blob { .. } | Part::Unknown => 0,
    }
}

impl Draft<'_> {
    fn length(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::ToolResult { texts, .. } => json::length(texts),
            Self::Blob(..) => 0,
        }
    }

    fn words(&self) -> usize {
        match self {
            Self::Text(_) => 0,
            Self::ToolResult { tool_use_id, .. } => tool_use_id.len(),
            Self::Blob(_, words) => *words,
        }
    }

    fn part(self, most: usize) -> Part<'static> {
        match self {
            Self::Text(text) => Part::Text { text: json::clipped(&[text], most) },
            Self::ToolResult { tool_use_id, is_error, texts } => Part::ToolResult {
                tool_use_id: tool_use_id.into(),
                is_error,
                text: json::clipped(&texts, most),
            },
            Self::Blob(part, _) => part,
        }
    }
}

/// A word of the Messages API; a long one is none.
fn word(raw: &RawValue) -> Option<String> {
    json::short(raw.get(), LONGEST_WORD)
}

/// Goes through a list, one element at a time: a body may hold millions.
fn each<'a>(list: &'a str, mut take: impl FnMut(&'a str) -> Option<()>) -> Option<()> {
    struct Each<F>(F);
    impl<'de, F: FnMut(&'de str) -> Option<()>> Visitor<'de> for Each<F> {
        type Value = ();

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
            while let Some(raw) = list.next_element::<&'de RawValue>()? {
                (self.0)(raw.get()).ok_or_else(|| A::Error::custom("unreadable"))?;
            }
            Ok(())
        }
    }

    serde_json::Deserializer::from_slice(list.as_bytes()).deserialize_seq(Each(&mut take)).ok()
}
