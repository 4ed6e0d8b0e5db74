//! The provider's events (WHATWG HTML, §9.2.6): their data alone, however they are cut.

use crate::lines;

/// Largest event that is read, bytes: some providers send a tool's whole input in one.
const LARGEST: usize = 4 * 1024 * 1024;

/// The event is larger than is read.
pub(super) struct TooLarge;

/// The reader.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The line that has begun.
    line: Vec<u8>,
    /// The data of the event that has begun.
    data: Vec<u8>,
    has_data: bool,
    ends: lines::Lines,
}

impl Lines {
    /// Takes bytes up to the end of the next event. What is left of `chunk`, and the event's data if one ended.
    pub(super) fn next<'c>(
        &mut self,
        mut chunk: &'c [u8],
    ) -> Result<(&'c [u8], Option<Vec<u8>>), TooLarge> {
        while let Some((text, ends, rest)) = self.ends.next(chunk) {
            let size = self.line.len().saturating_add(self.data.len()).saturating_add(text.len());
            if size > LARGEST {
                return Err(TooLarge);
            }
            self.line.extend_from_slice(text);
            chunk = rest;
            if ends && let Some(data) = self.line_ends() {
                return Ok((chunk, Some(data)));
            }
        }

        Ok((chunk, None))
    }

    /// The bytes have ended, perhaps without the empty line that ends an event.
    pub(super) fn end(&mut self) -> Option<Vec<u8>> {
        if !self.line.is_empty() {
            self.line_ends();
        }

        self.line_ends()
    }

    fn line_ends(&mut self) -> Option<Vec<u8>> {
        if self.line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return std::mem::take(&mut self.has_data).then_some(data);
        }
        if let Some(value) = self.line.strip_prefix(b"data:") {
            if std::mem::replace(&mut self.has_data, true) {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
        }
        self.line.clear();

        None
    }
}
