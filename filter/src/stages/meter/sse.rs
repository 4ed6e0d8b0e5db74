//! Server-sent events (WHATWG HTML, §9.2.6), read as they come.
//!
//! Only events that can matter are kept: where no text is kept, an event whose name says it carries
//! some is passed over without a copy. Lines end in LF, CRLF or CR, wherever a chunk is cut.

use super::LARGEST;
use crate::lines;

/// A finished event.
pub(super) struct Event<'a> {
    /// Its `event` field; empty if there was none.
    pub(super) name: &'a str,
    /// Its `data` lines.
    pub(super) data: &'a [u8],
    /// It was larger than is read.
    pub(super) too_large: bool,
}

/// The reader.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The line's field name, until its colon.
    field: Vec<u8>,
    place: Place,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    too_large: bool,
    ends: lines::Lines,
    texts: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Field,
    /// Behind the colon, where one space does not count.
    Colon(Target),
    Value(Target),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Name,
    Data,
    Nothing,
}

const LONGEST_FIELD: usize = 8; // "event", "data", "id", "retry"
const LONGEST_NAME: usize = 64;
/// Events that can matter. An event without a name might be any of them.
const MATTER: [&[u8]; 6] =
    [b"", b"message_start", b"message_delta", b"message_stop", b"error", b"content_block_start"];
/// The one that matters where the text is kept.
const TEXT: &[u8] = b"content_block_delta";

impl Lines {
    /// Keeps events that carry text as well, until an event says otherwise.
    pub(super) fn with_texts(&mut self) {
        self.texts = true;
    }

    fn matters(&self) -> bool {
        let name = self.name.as_slice();

        MATTER.contains(&name) || (self.texts && name == TEXT)
    }

    /// Reads the next bytes and hands over each event that is finished in them. Who gets one says
    /// whether events that carry text are wanted from there on.
    pub(super) fn eat(&mut self, mut chunk: &[u8], found: &mut dyn FnMut(Event<'_>) -> bool) {
        while let Some((text, ends, rest)) = self.ends.next(chunk) {
            chunk = rest;
            self.text(text);
            if ends {
                self.line_ends(found);
            }
        }
    }

    /// Part of a line, without its end.
    fn text(&mut self, mut text: &[u8]) {
        if self.place == Place::Field && !text.is_empty() {
            let colon = text.iter().position(|byte| *byte == b':');
            let (name, rest) = text.split_at(colon.unwrap_or(text.len()));
            let room = LONGEST_FIELD.saturating_sub(self.field.len());
            self.field.extend_from_slice(name.get(..room.min(name.len())).unwrap_or_default());
            if name.len() > room {
                self.field.clear();
                self.field.push(b'?');
            }
            if colon.is_none() {
                return;
            }
            self.place = Place::Colon(self.target());
            text = rest.get(1..).unwrap_or_default();
        }
        if let (Place::Colon(target), Some(first)) = (self.place, text.first()) {
            self.place = Place::Value(target);
            if *first == b' ' {
                text = text.get(1..).unwrap_or_default();
            }
        }
        if let Place::Value(target) = self.place {
            self.value(target, text);
        }
    }

    fn target(&mut self) -> Target {
        match self.field.as_slice() {
            b"event" => {
                self.name.clear();
                Target::Name
            }
            b"data" if self.matters() => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                Target::Data
            }
            _ => Target::Nothing,
        }
    }

    fn value(&mut self, target: Target, text: &[u8]) {
        let (slot, most) = match target {
            Target::Name => (&mut self.name, LONGEST_NAME),
            Target::Data => (&mut self.data, LARGEST),
            Target::Nothing => return,
        };
        let room = most.saturating_sub(slot.len());
        slot.extend_from_slice(text.get(..room.min(text.len())).unwrap_or_default());
        self.too_large |= target == Target::Data && text.len() > room;
    }

    fn line_ends(&mut self, found: &mut dyn FnMut(Event<'_>) -> bool) {
        let blank = self.place == Place::Field && self.field.is_empty();
        self.place = Place::Field;
        self.field.clear();
        if !blank {
            return;
        }
        if self.has_data {
            let name = str::from_utf8(&self.name).unwrap_or_default();
            self.texts = found(Event { name, data: &self.data, too_large: self.too_large });
        }
        self.name.clear();
        self.data.clear();
        self.has_data = false;
        self.too_large = false;
    }
}
