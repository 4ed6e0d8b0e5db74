//! Takes a few members out of a JSON object as it streams by, without keeping the rest; the blocks
//! of its `content` are read one by one.

use super::LARGEST;
use crate::stages::said::{Blocks, Elements};

/// The members of the outermost object that are taken.
const WANTED: [&str; 4] = ["usage", "input_tokens", "model", "stop_reason"];

/// The reader.
#[expect(clippy::struct_excessive_bools, reason = "a byte-wise reader's state is made of them")]
#[derive(Debug, Default)]
pub(super) struct Pluck {
    depth: u32,
    in_string: bool,
    escaped: bool,
    expects_name: bool,
    name: Vec<u8>,
    in_name: bool,
    value: Option<Vec<u8>>,
    elements: Option<Elements>,
    too_large: bool,
    closed: bool,
}

const LONGEST_NAME: usize = 32;

impl Pluck {
    /// Reads the next bytes and hands over each member that is finished in them.
    pub(super) fn eat(
        &mut self,
        chunk: &[u8],
        blocks: &mut Blocks,
        found: &mut dyn FnMut(&str, &[u8]),
    ) {
        let mut rest = chunk;
        while let Some((byte, behind)) = rest.split_first() {
            // Most of an answer is the inside of strings: it is taken in runs.
            if self.in_string && !self.in_name && !self.escaped {
                let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
                let (run, behind) = rest.split_at(end.unwrap_or(rest.len()));
                if !run.is_empty() {
                    self.keep(run, blocks);
                    rest = behind;
                    continue;
                }
            }
            self.byte(*byte, blocks, found);
            rest = behind;
        }
    }

    /// Was the outermost object read to its end?
    pub(super) fn closed(&self) -> bool {
        self.closed
    }

    /// Was a wanted member too large to be taken?
    pub(super) fn too_large(&self) -> bool {
        self.too_large
    }

    fn byte(&mut self, byte: u8, blocks: &mut Blocks, found: &mut dyn FnMut(&str, &[u8])) {
        if self.in_string {
            self.in_text(byte, blocks);
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                if self.depth == 1 && self.expects_name {
                    self.in_name = true;
                    self.name.clear();
                } else {
                    self.keep(&[byte], blocks);
                }
            }
            b'{' | b'[' => {
                self.keep(&[byte], blocks);
                self.depth = self.depth.saturating_add(1);
                self.expects_name = self.depth == 1 && byte == b'{';
            }
            b'}' | b']' => {
                if self.depth == 1 {
                    self.hand_over(found);
                    self.closed = true;
                } else {
                    self.keep(&[byte], blocks);
                }
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if self.depth == 1 && self.expects_name => {
                self.expects_name = false;
                let wanted = WANTED.iter().any(|name| name.as_bytes() == self.name);
                self.value = wanted.then(Vec::new);
                self.elements = (self.name == b"content").then(Elements::default);
            }
            b',' if self.depth == 1 => {
                self.hand_over(found);
                self.expects_name = true;
            }
            _ => self.keep(&[byte], blocks),
        }
    }

    fn in_text(&mut self, byte: u8, blocks: &mut Blocks) {
        let ends = byte == b'"' && !self.escaped;
        self.escaped = byte == b'\\' && !self.escaped;
        if self.in_name {
            if !ends && self.name.len() < LONGEST_NAME {
                self.name.push(byte);
            }
            self.in_name = !ends;
        } else {
            self.keep(&[byte], blocks);
        }
        self.in_string = !ends;
    }

    fn keep(&mut self, bytes: &[u8], blocks: &mut Blocks) {
        if let Some(elements) = &mut self.elements {
            elements.eat(bytes, blocks);
        }
        if let Some(value) = &mut self.value {
            if value.len().saturating_add(bytes.len()) <= LARGEST {
                value.extend_from_slice(bytes);
            } else {
                self.too_large = true;
                self.value = None;
            }
        }
    }

    fn hand_over(&mut self, found: &mut dyn FnMut(&str, &[u8])) {
        self.elements = None;
        if let (Some(value), Ok(name)) = (self.value.take(), str::from_utf8(&self.name)) {
            found(name, &value);
        }
    }
}
