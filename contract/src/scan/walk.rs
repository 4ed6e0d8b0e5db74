//! Where in a JSON document we are, from one string to the next. Not recursive; what is no JSON at
//! all is walked as if it were.

use super::unescape::unescape;
use std::fmt::Write;
use std::ops::Range;

/// Deepest nesting of which places are told.
const DEEPEST: usize = 192;
/// Longest name of a member that is looked at, in bytes of the document.
const LONGEST_NAME: usize = 64;

/// Names of members that may be told: those of the Messages API. Any other may itself be what was
/// found, or tell of it.
const NAMES: [&str; 40] = [
    "arguments",
    "citations",
    "cited_text",
    "code",
    "content",
    "context",
    "context_management",
    "data",
    "default",
    "description",
    "document_title",
    "encrypted_content",
    "enum",
    "examples",
    "file_id",
    "id",
    "input",
    "input_schema",
    "items",
    "mcp_servers",
    "media_type",
    "messages",
    "metadata",
    "model",
    "name",
    "properties",
    "required",
    "role",
    "signature",
    "source",
    "stop_sequences",
    "system",
    "text",
    "thinking",
    "title",
    "tool_use_id",
    "tools",
    "type",
    "url",
    "user_id",
];

/// A document walked from string to string.
pub(super) struct Walker<'b> {
    body: &'b [u8],
    levels: Vec<Level>,
    /// Levels beyond [`DEEPEST`].
    beyond: usize,
    /// Documents whose object has ended.
    pub(super) documents: Vec<Document>,
}

/// A base64 document that is text, or may be.
pub(super) struct Document {
    /// Its data, as it stands in the body.
    pub(super) data: Range<usize>,
    /// Where it stands.
    pub(super) place: String,
}

/// A text block that another may follow.
struct Tail {
    index: u32,
    end: End,
}

/// The end of a text block.
pub(super) enum End {
    /// It is that of this string of the body.
    Raw(Range<usize>),
    /// It is this text.
    Text(String),
}

#[derive(Default)]
struct Level {
    list: bool,
    /// Of a list: the element.
    index: u32,
    /// Of a list: the last text among its elements.
    tail: Option<Tail>,
    /// Of an object: is a member's name next?
    name_next: bool,
    /// Of an object: the member.
    name: Range<usize>,
    key: Key,
    source: Source,
}

/// What an object says of its data.
#[derive(Default)]
struct Source {
    base64: bool,
    binary: bool,
    textual: bool,
    data: Option<Range<usize>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Key {
    Text,
    Type,
    Data,
    MediaType,
    #[default]
    Other,
}

/// What a string turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The text of an element of a list.
    Text,
    /// Anything else.
    Other,
}

impl<'b> Walker<'b> {
    pub(super) fn new(body: &'b [u8]) -> Self {
        Self { body, levels: Vec::new(), beyond: 0, documents: Vec::new() }
    }

    /// Walks what stands between two strings.
    #[inline]
    pub(super) fn between(&mut self, range: Range<usize>) {
        let bytes = self.body.get(range).unwrap_or_default();
        // What stands between most strings.
        match (bytes, self.levels.last_mut()) {
            (b":" | b": ", Some(level)) if self.beyond == 0 => level.name_next = false,
            (b"," | b", ", Some(level)) if self.beyond == 0 && !level.list => {
                level.name_next = true;
            }
            _ => self.each_between(bytes),
        }
    }

    fn each_between(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'{' | b'[' if self.levels.len() >= DEEPEST => {
                    self.beyond = self.beyond.saturating_add(1);
                }
                b'}' | b']' if self.beyond > 0 => self.beyond = self.beyond.saturating_sub(1),
                b'{' => self.levels.push(Level { name_next: true, ..Level::default() }),
                b'[' => self.levels.push(Level { list: true, ..Level::default() }),
                b'}' | b']' => self.close(),
                b',' if self.beyond == 0 => {
                    if let Some(level) = self.levels.last_mut() {
                        level.index = level.index.saturating_add(u32::from(level.list));
                        level.name_next = !level.list;
                    }
                }
                b':' if self.beyond == 0 => {
                    if let Some(level) = self.levels.last_mut() {
                        level.name_next = false;
                    }
                }
                _ => {}
            }
        }
    }

    fn close(&mut self) {
        let document = match self.levels.last_mut() {
            Some(Level { source, .. }) if source.base64 && (source.textual || !source.binary) => {
                source.data.take()
            }
            _ => None,
        };
        self.levels.pop();
        if let Some(data) = document {
            let mut place = self.place();
            place.push_str(".data");
            self.documents.push(Document { data, place });
        }
    }

    /// Walks over a string.
    pub(super) fn string(&mut self, range: Range<usize>) -> Role {
        if self.beyond > 0 {
            return Role::Other;
        }
        let in_list = self.levels.iter().rev().nth(1).is_some_and(|level| level.list);
        let Some(level) = self.levels.last_mut().filter(|level| !level.list) else {
            return Role::Other;
        };
        let raw = self.body.get(range.clone()).unwrap_or_default();
        if level.name_next {
            level.key = key(raw);
            level.name = range;
            return Role::Other;
        }
        match level.key {
            Key::Text if in_list => return Role::Text,
            Key::Type => level.source.base64 |= short(raw).eq_ignore_ascii_case("base64"),
            Key::Data => level.source.data = Some(range),
            Key::MediaType => {
                let media = short(raw).to_ascii_lowercase();
                let binary = ["image/", "audio/", "video/", "font/", "application/pdf"]
                    .iter()
                    .any(|kind| media.starts_with(kind));
                level.source.binary |= binary;
                level.source.textual |= !binary;
            }
            Key::Text | Key::Other => {}
        }

        Role::Other
    }

    /// The text of the neighbour before this text block, if that is one too; `end` becomes the next
    /// one's.
    pub(super) fn neighbour(&mut self, end: End) -> Option<End> {
        let list = self.levels.iter_mut().nth_back(1).filter(|level| level.list)?;
        let index = list.index;
        let before = list.tail.replace(Tail { index, end })?;

        (before.index == index || before.index.checked_add(1) == Some(index)).then_some(before.end)
    }

    /// Puts the end of a text block in the place of what was put before.
    pub(super) fn lengthen(&mut self, end: &str) {
        if let Some(tail) = self.levels.iter_mut().nth_back(1).and_then(|level| level.tail.as_mut())
        {
            tail.end = End::Text(end.to_owned());
        }
    }

    /// Where we are: `messages[3].content[0].text`. Names that are not the API's are `*`.
    pub(super) fn place(&self) -> String {
        let mut place = String::new();
        for level in &self.levels {
            if level.list {
                // Writing into a string cannot fail.
                write!(place, "[{}]", level.index).unwrap_or_default();
                continue;
            }
            if !place.is_empty() {
                place.push('.');
            }
            let name = if level.name_next { None } else { self.name(&level.name) };
            place.push_str(name.unwrap_or("*"));
        }
        if self.beyond > 0 {
            place.push('…');
        }

        place
    }

    fn name(&self, name: &Range<usize>) -> Option<&'static str> {
        let name = short(self.body.get(name.clone())?);

        NAMES.iter().find(|known| **known == name).copied()
    }
}

fn key(raw: &[u8]) -> Key {
    match raw {
        b"text" => Key::Text,
        b"type" => Key::Type,
        b"data" => Key::Data,
        b"media_type" => Key::MediaType,
        plain if !plain.contains(&b'\\') || plain.len() > LONGEST_NAME => Key::Other,
        // Undone, nothing is left to undo: a backslash makes it no name of ours.
        escaped => key(short(escaped).replace('\\', "").as_bytes()),
    }
}

/// The text of a short string.
fn short(raw: &[u8]) -> String {
    unescape(raw.get(..LONGEST_NAME).unwrap_or(raw), LONGEST_NAME)
}
