//! The blocks of an answer that comes as one JSON value, read as it passes.

use super::answered::{Block, Blocks};
use super::clip::Clip;
use super::json::Unescape;
use super::{LONGEST_ID, LONGEST_WORD};

/// Reads the list `content`, from its first bracket to its last.
#[derive(Debug, Default)]
pub struct Elements {
    depth: u32,
    in_string: bool,
    escape: Unescape,
    expects_name: bool,
    member: Vec<u8>,
    slot: Slot,
    /// Where the string at hand is the name of a member.
    in_name: bool,
    block: Block,
    input: Clip,
    decoded: Vec<u8>,
}

/// Where the value of the member at hand goes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Slot {
    #[default]
    Nowhere,
    Kind,
    Id,
    Name,
    Text,
    /// Only its size is kept.
    Size,
    Input,
}

const LONGEST_MEMBER: usize = 16; // the longest that is looked at is "thinking"

impl Elements {
    /// The next bytes: one, or a run of the inside of a string that holds neither a quote nor a
    /// backslash. A block that they end is handed over.
    pub fn eat(&mut self, bytes: &[u8], blocks: &mut Blocks) {
        let run = self.in_string && !self.in_name && !self.escape.is_pending();
        match bytes {
            [b'"' | b'\\'] => {}
            _ if run => {
                if self.depth == 2 {
                    self.value(bytes, blocks.budget());
                }
                return self.raw(bytes, blocks);
            }
            _ => {}
        }
        for byte in bytes {
            if self.in_string {
                self.in_string(*byte, blocks);
            } else {
                self.byte(*byte, blocks);
            }
        }
    }

    fn byte(&mut self, byte: u8, blocks: &mut Blocks) {
        match byte {
            b'"' => {
                self.in_string = true;
                self.in_name = self.depth == 2 && self.expects_name;
                if self.in_name {
                    self.member.clear();
                } else {
                    self.raw(&[byte], blocks);
                }
            }
            b'{' | b'[' => {
                self.depth = self.depth.saturating_add(1);
                self.raw(&[byte], blocks);
                self.expects_name = self.depth == 2 && byte == b'{';
            }
            b'}' | b']' => {
                self.raw(&[byte], blocks);
                if self.depth == 2 && byte == b'}' {
                    self.hand_over(blocks);
                }
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if self.depth == 2 && self.expects_name => {
                self.expects_name = false;
                self.slot = slot(&self.member);
            }
            b',' if self.depth == 2 => {
                self.expects_name = true;
                self.slot = Slot::Nowhere;
            }
            _ => self.raw(&[byte], blocks),
        }
    }

    fn in_string(&mut self, byte: u8, blocks: &mut Blocks) {
        if byte == b'"' && !self.escape.is_inside() {
            self.in_string = false;
            self.escape = Unescape::default();
            if !std::mem::take(&mut self.in_name) {
                self.raw(&[byte], blocks);
            }
            return;
        }
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        self.escape.byte(byte, &mut decoded);
        if self.in_name {
            bounded(&mut self.member, &decoded, LONGEST_MEMBER);
        } else if self.depth == 2 {
            self.value(&decoded, blocks.budget());
        }
        self.decoded = decoded;
        if !self.in_name {
            self.raw(&[byte], blocks);
        }
    }

    /// Part of a string that is the member's value.
    fn value(&mut self, text: &[u8], budget: Option<usize>) {
        match (self.slot, budget) {
            (Slot::Kind, _) => bounded(&mut self.block.kind, text, LONGEST_WORD),
            (Slot::Id, _) => bounded(&mut self.block.id, text, LONGEST_ID),
            (Slot::Name, _) => bounded(&mut self.block.name, text, LONGEST_ID),
            (Slot::Text, Some(budget)) => self.block.text.push(text, budget),
            (Slot::Size, _) => {
                let size = u64::try_from(text.len()).unwrap_or(u64::MAX);
                self.block.bytes = self.block.bytes.saturating_add(size);
            }
            (Slot::Text, None) | (Slot::Input | Slot::Nowhere, _) => {}
        }
    }

    /// Bytes as they stand there: arguments are kept as JSON.
    fn raw(&mut self, bytes: &[u8], blocks: &Blocks) {
        if self.slot != Slot::Input || self.depth <= 2 {
            return;
        }
        if let Some(budget) = blocks.budget() {
            self.input.push(bytes, budget);
        }
        if self.block.may_be_of_server() {
            self.block.input.push(bytes);
        }
    }

    #[cfg(test)]
    pub(super) fn into_block(self) -> Block {
        self.block
    }

    fn hand_over(&mut self, blocks: &mut Blocks) {
        let mut block = std::mem::take(&mut self.block);
        let input = std::mem::take(&mut self.input);
        if block.kind.ends_with(b"tool_use") {
            block.text = input;
        }
        self.slot = Slot::Nowhere;
        blocks.whole(block);
    }
}

/// Appends, and one byte more than `most` at most: so that what is too long is known to be.
fn bounded(slot: &mut Vec<u8>, text: &[u8], most: usize) {
    if slot.len() <= most {
        slot.extend_from_slice(text);
    }
}

fn slot(member: &[u8]) -> Slot {
    match member {
        b"type" => Slot::Kind,
        b"id" => Slot::Id,
        b"name" => Slot::Name,
        b"text" => Slot::Text,
        b"thinking" | b"data" => Slot::Size,
        b"input" => Slot::Input,
        _ => Slot::Nowhere,
    }
}
