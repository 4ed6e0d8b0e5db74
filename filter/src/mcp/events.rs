//! Server-sent events (WHATWG HTML §9.2.6) of an MCP server, taken apart and written anew.
//!
//! No byte of the server's reaches a client as it came: readers differ (some end lines at U+2028, some do not look
//! for a mark at the stream's beginning), and what one reader takes for a comment another one takes for a message.
//! An event leaves when it is whole, and what is held meanwhile is bounded.

use crate::lines::Lines;

/// An event that is whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// `event`; empty where there was none.
    pub name: Vec<u8>,
    /// `id`, which a client names when it comes back.
    pub id: Option<Vec<u8>>,
    /// `retry`.
    pub retry: Option<Vec<u8>>,
    /// `data`, its lines joined by line feeds; none where there was no such line.
    pub data: Option<Vec<u8>>,
    /// It was larger than is held; its data is gone.
    pub too_large: bool,
}

/// The reader.
#[derive(Debug, Default)]
pub struct Events {
    event: Event,
    line: Vec<u8>,
    /// How much of the event is held.
    held: usize,
    /// Is there anything in it but comments?
    any: bool,
    begun: bool,
    ends: Lines,
}

/// The longest line of another field than `data`.
const LONGEST_FIELD: usize = 1024;

impl Events {
    /// Reads the next bytes and hands over each event that they end, none of them of more than `most` bytes.
    pub fn eat(&mut self, mut chunk: &[u8], most: usize, each: &mut dyn FnMut(Event)) {
        while let Some((text, ends, rest)) = self.ends.next(chunk) {
            chunk = rest;
            self.hold(text, most);
            if ends {
                self.line_ends(each);
            }
        }
    }

    fn hold(&mut self, text: &[u8], most: usize) {
        self.held = self.held.saturating_add(text.len());
        if self.held > most {
            self.event.too_large = true;
            self.event.data = None;
            // The line's beginning says what it is.
            self.line.truncate(LONGEST_FIELD);
            let room = LONGEST_FIELD.saturating_sub(self.line.len());
            self.line.extend_from_slice(text.get(..room.min(text.len())).unwrap_or_default());
        } else {
            self.line.extend_from_slice(text);
        }
    }

    fn line_ends(&mut self, each: &mut dyn FnMut(Event)) {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            self.held = 0;
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.any) {
                each(event);
            }
            return;
        }
        self.any = true;
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"event" => self.event.name = short(value),
            b"id" => self.event.id = Some(short(value)),
            b"retry" => self.event.retry = Some(short(value)),
            b"data" if !self.event.too_large => match &mut self.event.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.event.data = Some(value.to_vec()),
            },
            _ => {}
        }
    }
}

/// Printable ASCII of a field: nothing that any reader could end a line at.
fn short(value: &[u8]) -> Vec<u8> {
    let fits = |byte: &&u8| (b' '..=b'~').contains(*byte);

    value.iter().take(LONGEST_FIELD).filter(fits).copied().collect()
}

/// Writes an event.
pub fn write(event: &Event, out: &mut Vec<u8>) {
    let Event { name, id, retry, data, too_large: _ } = event;
    let fields = [
        (&b"event"[..], (!name.is_empty()).then_some(name)),
        (b"id", id.as_ref()),
        (b"retry", retry.as_ref()),
    ];
    let mut any = false;
    for (field, value) in fields {
        if let Some(value) = value {
            any = true;
            for piece in [field, b": ", value, b"\n"] {
                out.extend_from_slice(piece);
            }
        }
    }
    if let Some(data) = data {
        any = true;
        out.extend_from_slice(b"data: ");
        text(data, out);
        out.push(b'\n');
    }
    // Comments keep a connection alive; what they say is nobody's business.
    out.extend_from_slice(if any { b"\n" } else { b":\n\n" });
}

/// JSON on one line: what some readers end lines at is escaped, or white space anyway.
fn text(json: &[u8], out: &mut Vec<u8>) {
    let mut rest = json;
    while let Some((first, after)) = rest.split_first() {
        let (piece, skip): (&[u8], usize) = match rest {
            [0xe2, 0x80, 0xa8, ..] => (b"\\u2028", 3),
            [0xe2, 0x80, 0xa9, ..] => (b"\\u2029", 3),
            [0xc2, 0x85, ..] => (b"\\u0085", 2),
            [b'\n' | b'\r', ..] => (b" ", 1),
            _ => {
                out.push(*first);
                rest = after;
                continue;
            }
        };
        out.extend_from_slice(piece);
        rest = rest.get(skip..).unwrap_or_default();
    }
}
