//! Takes a few members out of a JSON object as it streams by, without keeping the rest.

use super::LARGEST;

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
    too_large: bool,
    closed: bool,
}

const LONGEST_NAME: usize = 32;

impl Pluck {
    /// Reads the next bytes and hands over each member that is finished in them.
    pub(super) fn eat(&mut self, chunk: &[u8], found: &mut dyn FnMut(&str, &[u8])) {
        for byte in chunk {
            self.byte(*byte, found);
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

    fn byte(&mut self, byte: u8, found: &mut dyn FnMut(&str, &[u8])) {
        if self.in_string {
            self.in_text(byte);
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                if self.depth == 1 && self.expects_name {
                    self.in_name = true;
                    self.name.clear();
                } else {
                    self.keep(byte);
                }
            }
            b'{' | b'[' => {
                self.keep(byte);
                self.depth = self.depth.saturating_add(1);
                self.expects_name = self.depth == 1 && byte == b'{';
            }
            b'}' | b']' => {
                if self.depth == 1 {
                    self.hand_over(found);
                    self.closed = true;
                } else {
                    self.keep(byte);
                }
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if self.depth == 1 && self.expects_name => {
                self.expects_name = false;
                let wanted = WANTED.iter().any(|name| name.as_bytes() == self.name);
                self.value = wanted.then(Vec::new);
            }
            b',' if self.depth == 1 => {
                self.hand_over(found);
                self.expects_name = true;
            }
            _ => self.keep(byte),
        }
    }

    fn in_text(&mut self, byte: u8) {
        let ends = byte == b'"' && !self.escaped;
        self.escaped = byte == b'\\' && !self.escaped;
        if self.in_name {
            if !ends && self.name.len() < LONGEST_NAME {
                self.name.push(byte);
            }
            self.in_name = !ends;
        } else {
            self.keep(byte);
        }
        self.in_string = !ends;
    }

    fn keep(&mut self, byte: u8) {
        if let Some(value) = &mut self.value {
            if value.len() < LARGEST {
                value.push(byte);
            } else {
                self.too_large = true;
                self.value = None;
            }
        }
    }

    fn hand_over(&mut self, found: &mut dyn FnMut(&str, &[u8])) {
        if let (Some(value), Ok(name)) = (self.value.take(), str::from_utf8(&self.name)) {
            found(name, &value);
        }
    }
}
