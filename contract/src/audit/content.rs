//! What was said: the turn that is new and the answer to it, as far as the policy lets them be kept.
//!
//! A conversation is sent anew with every call, so a row keeps what was not there before; the rest
//! is named by a digest. What is kept is bounded ([`LARGEST`]): a long text keeps its head and its
//! tail. Images and documents are never kept, only their size and digest.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Most bytes of text that one row keeps, the turn and the answer together.
pub const LARGEST: usize = 8 * 1024; // 8 KiB

/// What a row may keep of what was said. The lesser is the stricter.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing.
    None,
    /// Texts, with every secret in them masked.
    #[default]
    Redacted,
    /// Texts as they are.
    Full,
}

impl Mode {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Redacted => "redacted",
            Self::Full => "full",
        }
    }
}

/// The turn that is new, and the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Content<'a> {
    /// How it is kept. With [`Mode::Redacted`] the sidecar masks the secrets before it stores.
    pub mode: Mode,
    /// What the client said last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<Part<'a>>,
    /// What it was answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<Part<'a>>,
    /// What came before, which earlier rows have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// Parts that found no place.
    #[serde(skip_serializing_if = "is_zero")]
    pub parts_omitted: u32,
}

/// The messages before the last one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// How many.
    pub messages: u32,
    /// Their bytes, as the client wrote them.
    pub bytes: u64,
    /// XXH3-128 of these bytes, hex. Tells one history from another; it is no proof against
    /// somebody who makes two on purpose, the chain of rows is.
    pub xxh3: String,
}

impl<'a> Content<'a> {
    /// All texts that are kept.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut Text<'a>> {
        self.input.iter_mut().chain(&mut self.output).filter_map(|part| match part {
            Part::Text { text }
            | Part::ToolResult { text, .. }
            | Part::ToolUse { input: text, .. } => Some(text),
            Part::Thinking { .. } | Part::Blob { .. } | Part::Unknown => None,
        })
    }
}

impl Text<'_> {
    /// Masks it, head and tail; was there anything to be masked?
    pub fn mask(&mut self, mask: impl for<'t> Fn(&'t str) -> Cow<'t, str>) -> bool {
        let mut found = false;
        for piece in [Some(&mut self.text), self.tail.as_mut()].into_iter().flatten() {
            if let Cow::Owned(masked) = mask(piece) {
                *piece = Cow::Owned(masked);
                found = true;
            }
        }

        found
    }
}

/// A part of a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part<'a> {
    /// Text.
    Text {
        /// It.
        #[serde(flatten)]
        text: Text<'a>,
    },
    /// What the model thought: only that it did, and how much.
    Thinking {
        /// Bytes.
        bytes: u64,
    },
    /// The model calls a tool.
    ToolUse {
        /// The block's id.
        id: Cow<'a, str>,
        /// The tool.
        name: Cow<'a, str>,
        /// Its arguments, JSON as text.
        #[serde(flatten)]
        input: Text<'a>,
    },
    /// A tool answered.
    ToolResult {
        /// The block that it answers.
        tool_use_id: Cow<'a, str>,
        /// Did it fail?
        #[serde(default, skip_serializing_if = "is_false")]
        is_error: bool,
        /// What it said, where that is text.
        #[serde(flatten)]
        text: Text<'a>,
    },
    /// An image, a document or another block that is not kept.
    Blob {
        /// The block's type, such as `image`.
        kind: Cow<'a, str>,
        /// Its media type, where given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_type: Option<Cow<'a, str>>,
        /// Bytes, as sent.
        bytes: u64,
        /// SHA-256 of what was sent (of the base64 text, where it was that), hex.
        sha256: String,
    },
    /// A block of a newer kind.
    #[serde(other)]
    Unknown,
}

/// A text, or its head and its tail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Text<'a> {
    /// The text; its head, where it was cut.
    pub text: Cow<'a, str>,
    /// Its tail, where it was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail: Option<Cow<'a, str>>,
    /// Bytes left out between the two.
    #[serde(skip_serializing_if = "is_none_left")]
    pub omitted: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(super) fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg_attr(
    target_pointer_width = "64",
    expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")
)]
fn is_none_left(bytes: &u64) -> bool {
    *bytes == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(super) fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn content_reads_back_as_it_was_written_and_what_is_absent_takes_no_space() {
        let content = Content {
            mode: Mode::Redacted,
            input: vec![
                Part::Text { text: Text { text: "hello".into(), ..Text::default() } },
                Part::ToolResult {
                    tool_use_id: "toolu_1".into(),
                    is_error: false,
                    text: Text { text: "a".into(), tail: Some("z".into()), omitted: 9 },
                },
                Part::Blob {
                    kind: "image".into(),
                    media_type: Some("image/png".into()),
                    bytes: 3,
                    sha256: "00".into(),
                },
            ],
            output: vec![Part::ToolUse {
                id: "toolu_2".into(),
                name: "Bash".into(),
                input: Text { text: r#"{"command":"ls"}"#.into(), ..Text::default() },
            }],
            ..Content::default()
        };

        let wire = serde_json::to_string(&content).unwrap();

        assert_eq!(serde_json::from_str::<Content<'static>>(&wire).unwrap(), content);
        assert!(wire.starts_with(
            r#"{"mode":"redacted","input":[{"type":"text","text":"hello"},{"type":"tool_result","#
        ));
        assert!(!wire.contains("history") && !wire.contains("is_error"), "{wire}");
        let newer = r#"{"mode":"full","output":[{"type":"hologram","depth":3}]}"#;
        let read: Content<'static> = serde_json::from_str(newer).unwrap();
        assert_eq!(read.output, [Part::Unknown]);
    }
}
