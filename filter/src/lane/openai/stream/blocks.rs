//! The blocks of a message that is being streamed: one after the other, each begun and ended once.
//!
//! Chat completions may stream several calls of tools at the same time. The one that is open goes out as it comes;
//! the others are kept until it is whole, within a bound.

use super::{Broken, broken};
use crate::lane::openai::answer::{Call, Ids};
use crate::lane::openai::json::{Members, between, put, put_escaped, put_joined, unquoted};

/// What may wait for its turn, bytes.
const MOST_HELD: usize = 4 * 1024 * 1024;

/// Most calls of one answer.
const MOST_CALLS: usize = 256;

/// What is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    /// The call at this place.
    Call(usize),
}

/// The blocks.
#[derive(Debug)]
pub(super) struct Blocks {
    open: Option<Open>,
    /// The open block's index; without one the next block's.
    index: u64,
    calls: Vec<Told>,
    /// How many calls have had their turn.
    begun: usize,
    /// Text that came among the pieces of calls.
    late: Vec<u8>,
    held: usize,
    ids: Ids,
}

/// A call, as far as it was told.
#[derive(Debug)]
struct Told {
    index: Option<u64>,
    /// Empty where there is none.
    id: String,
    /// Between its quotes.
    name: String,
    /// Arguments that wait, as they stand between their quotes.
    held: Vec<u8>,
    balance: Balance,
}

impl Blocks {
    /// Of the message with this id.
    pub(super) fn new(message: &str) -> Self {
        Self {
            open: None,
            index: 0,
            calls: Vec::new(),
            begun: 0,
            late: Vec::new(),
            held: 0,
            ids: Ids::new(message),
        }
    }

    /// Did it call a tool?
    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// More text.
    pub(super) fn text(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), Broken> {
        if self.is_calling() {
            self.hold(text.len())?;
            self.late.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        self.turn_to(Open::Text, out);
        delta(out, self.index, "text_delta", "text", text.as_bytes());

        Ok(())
    }

    /// More thinking. What is thought amid a call is no block of its own any more.
    pub(super) fn thought(&mut self, quoted: &str, out: &mut Vec<u8>) {
        if self.is_calling() {
            return;
        }
        self.turn_to(Open::Thinking, out);
        delta(out, self.index, "thinking_delta", "thinking", between(quoted).as_bytes());
    }

    /// A call, or more of one.
    pub(super) fn call(&mut self, call: &Call<'_>, out: &mut Vec<u8>) -> Result<(), Broken> {
        let function = call.function.as_ref();
        let name = function.and_then(|function| function.quoted("name")).map_or("", between);
        let place = self.place(call, !name.is_empty())?;
        let given = function.and_then(|function| function.get("arguments")).unwrap_or("\"\"");
        let mut escaped = Vec::new();
        let piece = if given.starts_with('"') {
            between(given).as_bytes()
        } else {
            put_escaped(&mut escaped, given);
            &escaped
        };
        let decoded = unquoted(given).unwrap_or_else(|| given.to_owned());
        let (is_open, is_past) = (self.open == Some(Open::Call(place)), place < self.begun);
        if is_past && !is_open && !decoded.trim().is_empty() {
            return Err(broken("the provider goes on with a tool call that it had ended"));
        }
        if !is_past {
            self.hold(piece.len().saturating_add(name.len()))?;
        }
        let Some(told) = self.calls.get_mut(place) else { return Ok(()) };
        if told.name.is_empty() {
            name.clone_into(&mut told.name);
        }
        told.balance.feed(&decoded);
        if is_open && !piece.is_empty() {
            delta(out, self.index, "input_json_delta", "partial_json", piece);
        } else if !is_past {
            told.held.extend_from_slice(piece);
        }
        self.advance(out);

        Ok(())
    }

    /// Ends what is open and says what waits.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        while self.begun < self.calls.len() {
            self.close(out);
            if !self.begin_call(out) {
                return Err(broken("the provider calls a tool without a name"));
            }
        }
        self.close(out);
        if !self.late.is_empty() {
            let late = std::mem::take(&mut self.late);
            self.turn_to(Open::Text, out);
            delta(out, self.index, "text_delta", "text", &late);
            self.close(out);
        }

        Ok(())
    }

    /// The call that is meant. Some providers number calls, some only name them, and some number all of them 0.
    fn place(&mut self, call: &Call<'_>, named: bool) -> Result<usize, Broken> {
        let with = |is: &dyn Fn(&Told) -> bool| self.calls.iter().rposition(is);
        let known = match (call.index, call.id) {
            (Some(index), id) => with(&|told| told.index == Some(index)).filter(|place| {
                let same = self.calls.get(*place).is_some_and(|told| told.id == id);
                same || id.is_empty() || !named
            }),
            (None, "") if named => None,
            (None, "") => self.calls.len().checked_sub(1),
            (None, id) => with(&|told| told.id == id),
        };
        if let Some(place) = known {
            return Ok(place);
        }
        if self.calls.len() >= MOST_CALLS {
            return Err(broken("the provider calls too many tools"));
        }
        self.calls.push(Told {
            index: call.index,
            id: call.id.to_owned(),
            name: String::new(),
            held: Vec::new(),
            balance: Balance::default(),
        });

        Ok(self.calls.len().saturating_sub(1))
    }

    /// Is a call open that is not whole, or does one wait?
    fn is_calling(&self) -> bool {
        let open = match self.open {
            Some(Open::Call(place)) => self.calls.get(place),
            _ => None,
        };

        self.begun < self.calls.len() || open.is_some_and(|told| !told.balance.is_whole())
    }

    fn hold(&mut self, more: usize) -> Result<(), Broken> {
        self.held = self.held.saturating_add(more);
        if self.held > MOST_HELD {
            return Err(broken("the provider's tool calls are too large at the same time"));
        }

        Ok(())
    }

    /// Calls that wait have their turn, as far as the open one is whole.
    fn advance(&mut self, out: &mut Vec<u8>) {
        while self.begun < self.calls.len() {
            if let Some(Open::Call(place)) = self.open {
                let whole = self.calls.get(place).is_none_or(|told| told.balance.is_whole());
                if !whole {
                    return;
                }
            }
            if !self.begin_call(out) {
                return;
            }
        }
    }

    /// Begins the next call's block; `false` if its name is not known.
    #[inline(never)]
    fn begin_call(&mut self, out: &mut Vec<u8>) -> bool {
        let place = self.begun;
        if self.calls.get(place).is_none_or(|told| told.name.is_empty()) {
            return false;
        }
        self.close(out);
        let Some(told) = self.calls.get_mut(place) else { return false };
        let mut event = event(out, "content_block_start");
        event.number("index", Some(self.index));
        let mut block = Members::begin(event.name("content_block"));
        block.raw("type", "\"tool_use\"");
        block.string("id", &self.ids.next(&told.id));
        put_joined(block.name("name"), &[&told.name]);
        block.raw("input", "{}");
        block.end();
        close(event);
        let held = std::mem::take(&mut told.held);
        if !held.is_empty() {
            delta(out, self.index, "input_json_delta", "partial_json", &held);
        }
        self.held = self.held.saturating_sub(held.len().saturating_add(told.name.len()));
        self.open = Some(Open::Call(place));
        self.begun = self.begun.saturating_add(1);

        true
    }

    /// Has a block of text or thinking open.
    #[inline(never)]
    fn turn_to(&mut self, kind: Open, out: &mut Vec<u8>) {
        if self.open == Some(kind) {
            return;
        }
        self.close(out);
        let mut event = event(out, "content_block_start");
        event.number("index", Some(self.index));
        let block = match kind {
            Open::Thinking => r#"{"type":"thinking","thinking":"","signature":""}"#,
            _ => r#"{"type":"text","text":""}"#,
        };
        event.raw("content_block", block);
        close(event);
        self.open = Some(kind);
    }

    #[inline(never)]
    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            let mut event = event(out, "content_block_stop");
            event.number("index", Some(self.index));
            close(event);
            self.index = self.index.saturating_add(1);
        }
    }
}

/// Is a JSON value whole?
#[derive(Debug, Default)]
struct Balance {
    depth: u32,
    in_string: bool,
    escaped: bool,
    begun: bool,
}

impl Balance {
    fn feed(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if std::mem::take(&mut self.escaped) => {}
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => {
                    self.depth = self.depth.saturating_add(1);
                    self.begun = true;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.begun && self.depth == 0 && !self.in_string
    }
}

/// Begins an event; [`close`] ends it.
#[inline(never)]
pub(super) fn event<'o>(out: &'o mut Vec<u8>, kind: &str) -> Members<'o> {
    put(out, "event: ");
    put(out, kind);
    put(out, "\ndata: ");
    let mut members = Members::begin(out);
    members.string("type", kind);

    members
}

/// Ends an event.
#[inline(never)]
pub(super) fn close(event: Members<'_>) {
    put(event.end(), "\n\n");
}

/// More of the open block. `text` stands as it does between quotes.
#[inline(never)]
fn delta(out: &mut Vec<u8>, index: u64, kind: &str, member: &str, text: &[u8]) {
    let mut event = event(out, "content_block_delta");
    event.number("index", Some(index));
    let mut inner = Members::begin(event.name("delta"));
    inner.string("type", kind);
    let value = inner.name(member);
    put(value, "\"");
    value.extend_from_slice(text);
    put(value, "\"");
    inner.end();
    close(event);
}
