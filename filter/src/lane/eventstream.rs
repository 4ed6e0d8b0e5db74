//! AWS event streams (`application/vnd.amazon.eventstream`): frames of headers and a payload, each
//! with two checksums (Smithy specification, "Amazon Event Stream").
//!
//! A frame is total length (4 bytes), length of the headers (4), CRC-32 of these eight (4), headers,
//! payload, CRC-32 of all before it (4); numbers are big-endian. What does not add up ends the
//! stream: behind a frame that cannot be trusted nobody knows where the next one begins.

mod crc;
mod header;

pub use header::{Header, Headers, Value};

use thiserror::Error;

/// Lengths and their checksum.
const PRELUDE: usize = 12;
/// The checksum behind a frame.
const TRAILER: usize = 4;
/// Largest frame that is awaited, in bytes; the specification's own limit.
pub const LARGEST: usize = 16 * 1024 * 1024;
/// Longest headers of a frame, in bytes; the specification's own limit.
const LONGEST_HEADERS: usize = 128 * 1024;

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Corrupt {
    /// The lengths cannot be those of a frame, or are those of one larger than [`LARGEST`].
    #[error("a frame of an impossible length")]
    Length,
    /// The lengths are not those that were sent.
    #[error("a frame whose lengths do not match their checksum")]
    Prelude,
    /// The frame is not the one that was sent.
    #[error("a frame that does not match its checksum")]
    Message,
    /// A header is cut, of no known type, or no text where it is said to be.
    #[error("a frame whose headers cannot be read")]
    Header,
}

/// One frame, borrowed from the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    headers: &'a [u8],
    /// What it carries.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Its headers, in order.
    pub fn headers(&self) -> Headers<'a> {
        Headers::new(self.headers)
    }

    /// The text of the one header of this name.
    ///
    /// # Errors
    /// If there is a second one: two readers could take two.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, Corrupt> {
        let mut found = None;
        for header in self.headers() {
            match header? {
                Header { name: this, value: Value::Text(text) }
                    if this == name && found.replace(text).is_some() =>
                {
                    return Err(Corrupt::Header);
                }
                _ => {}
            }
        }

        Ok(found)
    }
}

/// Takes a stream in pieces, cut anywhere, and gives its frames.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Up to where frames were given out.
    start: usize,
}

impl Decoder {
    /// Takes the next piece.
    pub fn feed(&mut self, chunk: &[u8]) {
        let read = self.start.min(self.buffer.len());
        self.buffer.drain(..read);
        self.start = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// The next frame that is complete.
    ///
    /// # Errors
    /// If what came is no frame. It stays so: nothing behind it can be read.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, Corrupt> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        // Before the first byte of the rest is waited for, its length is known to be meant.
        let Some((total, headers)) = lengths(rest)? else { return Ok(None) };
        if rest.len() < total {
            return Ok(None);
        }
        let from = self.start;
        self.start = from.saturating_add(total);
        let frame = self.buffer.get(from..self.start).ok_or(Corrupt::Length)?;

        read(frame, headers).map(Some)
    }

    /// Does it stand between two frames?
    pub fn is_between(&self) -> bool {
        self.start >= self.buffer.len()
    }
}

/// The lengths of the frame and its headers, as soon as they are there.
fn lengths(bytes: &[u8]) -> Result<Option<(usize, usize)>, Corrupt> {
    let Some((prelude, _)) = bytes.split_first_chunk::<PRELUDE>() else { return Ok(None) };
    let (both, sum) = prelude.split_last_chunk::<4>().ok_or(Corrupt::Length)?;
    if crc::crc32(both) != u32::from_be_bytes(*sum) {
        return Err(Corrupt::Prelude);
    }
    let (total, headers) = both.split_first_chunk::<4>().ok_or(Corrupt::Length)?;
    let (headers, _) = headers.split_first_chunk::<4>().ok_or(Corrupt::Length)?;
    let number = |bytes: &[u8; 4]| {
        usize::try_from(u32::from_be_bytes(*bytes)).ok().filter(|length| *length <= LARGEST)
    };
    let (total, headers) = number(total).zip(number(headers)).ok_or(Corrupt::Length)?;
    let least = headers.saturating_add(PRELUDE).saturating_add(TRAILER);
    if total < least || headers > LONGEST_HEADERS {
        return Err(Corrupt::Length);
    }

    Ok(Some((total, headers)))
}

/// A whole frame whose lengths are known to be right.
fn read(frame: &[u8], headers: usize) -> Result<Frame<'_>, Corrupt> {
    let (message, sum) = frame.split_last_chunk::<TRAILER>().ok_or(Corrupt::Length)?;
    if crc::crc32(message) != u32::from_be_bytes(*sum) {
        return Err(Corrupt::Message);
    }
    let body = message.get(PRELUDE..).ok_or(Corrupt::Length)?;
    let (headers, payload) = body.split_at_checked(headers).ok_or(Corrupt::Length)?;
    for header in Headers::new(headers) {
        header?;
    }

    Ok(Frame { headers, payload })
}

#[cfg(test)]
pub(in crate::lane) mod tests;
