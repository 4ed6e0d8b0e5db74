//! Canonical JSON (RFC 8785, JCS): one form for all texts that say the same.
//!
//! What a tool was called with is compared by the digest of this form, so that a client that writes
//! the members in another order, or 1.0 for 1, has still said the same. Strict, because two readers
//! of a loose text may read two things: a member twice is an error, and so is a number that is none
//! of IEEE 754.

use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;

#[cfg(test)]
mod tests;

/// Deepest nesting that is read.
pub const DEEPEST: usize = 64;

/// Most digits before the point that ECMAScript writes without an exponent.
const MOST_WHOLE: i32 = 21;
/// Most zeros behind the point, before the first other digit, that it writes so.
const MOST_ZEROS: i32 = 5;

/// Why a text has no canonical form. Says nothing of what stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// It is not one JSON value in UTF-8, or a string in it is no Unicode.
    #[error("not JSON")]
    NotJson,
    /// An object has a member twice.
    #[error("a member stands twice in an object")]
    Twice,
    /// It is nested deeper than [`DEEPEST`].
    #[error("nested deeper than {DEEPEST}")]
    TooDeep,
    /// A number is beyond what IEEE 754 double precision holds.
    #[error("a number is too large")]
    TooLarge,
}

/// The canonical form of a JSON text.
///
/// # Errors
/// [`CanonicalError`].
pub fn write(json: &[u8]) -> Result<Vec<u8>, CanonicalError> {
    let mut writer = Writer { rest: json, out: Vec::with_capacity(json.len()) };
    writer.value(0)?;
    if writer.next().is_some() {
        return Err(CanonicalError::NotJson);
    }

    Ok(writer.out)
}

/// SHA-256 of the canonical form of a JSON text.
///
/// # Errors
/// [`CanonicalError`].
pub fn digest(json: &[u8]) -> Result<[u8; 32], CanonicalError> {
    write(json).map(|canonical| Sha256::digest(canonical).into())
}

/// Does every number of a JSON text say the same to whoever reads it, as IEEE 754 or as digits? Those of up to fifteen
/// digits do.
pub fn is_exact(json: &[u8]) -> bool {
    let (mut inside, mut escaped, mut digits) = (false, false, 0_u32);
    for byte in json {
        if inside {
            inside = *byte != b'"' || escaped;
            escaped = *byte == b'\\' && !escaped;
            continue;
        }
        inside = *byte == b'"';
        digits = match byte {
            b'0'..=b'9' => digits.saturating_add(1),
            b'.' => digits,
            _ => 0,
        };
        if digits > 15 {
            return false;
        }
    }

    true
}

struct Writer<'j> {
    rest: &'j [u8],
    out: Vec<u8>,
}

/// A member of an object: its name, and where it stands in what was written.
struct Member {
    name: String,
    at: Range<usize>,
}

impl Ord for Member {
    #[inline(never)]
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.encode_utf16().cmp(other.name.encode_utf16())
    }
}

impl PartialOrd for Member {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Member {}

impl<'j> Writer<'j> {
    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }

        self.rest.first().copied()
    }

    fn skip(&mut self, bytes: usize) -> &'j [u8] {
        let (head, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, &[]));
        self.rest = rest;

        head
    }

    fn value(&mut self, depth: usize) -> Result<(), CanonicalError> {
        if depth > DEEPEST {
            return Err(CanonicalError::TooDeep);
        }
        match self.next() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => {
                let text = self.string()?;
                self.text(&text)
            }
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), CanonicalError> {
        self.rest = self.rest.strip_prefix(word).ok_or(CanonicalError::NotJson)?;
        self.out.extend_from_slice(word);

        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<(), CanonicalError> {
        self.skip(1);
        self.out.push(b'[');
        if self.next() == Some(b']') {
            self.skip(1);
        } else {
            loop {
                self.value(depth.saturating_add(1))?;
                if self.ends(b']')? {
                    break;
                }
                self.out.push(b',');
            }
        }
        self.out.push(b']');

        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), CanonicalError> {
        self.skip(1);
        self.out.push(b'{');
        let start = self.out.len();
        let mut members = Vec::new();
        if self.next() == Some(b'}') {
            self.skip(1);
        } else {
            loop {
                members.push(self.member(depth)?);
                if self.ends(b'}')? {
                    break;
                }
                self.out.push(b',');
            }
        }
        self.order(start, members)?;
        self.out.push(b'}');

        Ok(())
    }

    fn member(&mut self, depth: usize) -> Result<Member, CanonicalError> {
        if self.next() != Some(b'"') {
            return Err(CanonicalError::NotJson);
        }
        let name = self.string()?;
        let start = self.out.len();
        self.text(&name)?;
        if self.next() != Some(b':') {
            return Err(CanonicalError::NotJson);
        }
        self.skip(1);
        self.out.push(b':');
        self.value(depth.saturating_add(1))?;

        Ok(Member { name, at: start..self.out.len() })
    }

    /// Behind an element: is it the last? Then its list has ended.
    fn ends(&mut self, with: u8) -> Result<bool, CanonicalError> {
        match self.next() {
            Some(b',') => {
                self.skip(1);
                Ok(false)
            }
            Some(byte) if byte == with => {
                self.skip(1);
                Ok(true)
            }
            _ => Err(CanonicalError::NotJson),
        }
    }

    /// Brings the members that stand from `start` on in their order: by the UTF-16 code units of
    /// their names (RFC 8785, section 3.2.3).
    fn order(&mut self, start: usize, members: Vec<Member>) -> Result<(), CanonicalError> {
        if members.is_sorted_by(|one, other| one < other) {
            return Ok(());
        }
        // A heap: the slices' own sort would be the larger half of this module's code.
        let members = BinaryHeap::from(members).into_sorted_vec();
        if members.windows(2).any(|two| matches!(two, [one, other] if one == other)) {
            return Err(CanonicalError::Twice);
        }
        let mut sorted = Vec::with_capacity(self.out.len().saturating_sub(start));
        for member in members {
            if !sorted.is_empty() {
                sorted.push(b',');
            }
            sorted.extend_from_slice(self.out.get(member.at).unwrap_or_default());
        }
        self.out.truncate(start);
        self.out.append(&mut sorted);

        Ok(())
    }

    /// A string of the text, unescaped.
    fn string(&mut self) -> Result<String, CanonicalError> {
        let mut escaped = false;
        let behind = self.rest.iter().skip(1).position(|byte| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        });
        let length = behind.ok_or(CanonicalError::NotJson)?.saturating_add(2);
        let quoted = self.skip(length);

        // Strict in what RFC 8785, section 3.2.2.2 asks: no control character, no lone surrogate.
        serde_json::from_slice(quoted).ok().ok_or(CanonicalError::NotJson)
    }

    /// Writes a string. `serde_json` escapes as ECMAScript does: what must be, and in the short form.
    fn text(&mut self, text: &str) -> Result<(), CanonicalError> {
        serde_json::to_writer(&mut self.out, text).ok().ok_or(CanonicalError::NotJson)
    }

    fn number(&mut self) -> Result<(), CanonicalError> {
        let length = number(self.rest).ok_or(CanonicalError::NotJson)?;
        let text = str::from_utf8(self.skip(length)).ok().ok_or(CanonicalError::NotJson)?;
        // Not `serde_json`'s: that one may be off by one unit in the last place.
        let number: f64 = text.parse().ok().ok_or(CanonicalError::NotJson)?;
        if !number.is_finite() {
            return Err(CanonicalError::TooLarge);
        }

        ecmascript(number, &mut self.out)
    }
}

/// How many bytes of a text are a number of JSON (RFC 8259, section 6).
fn number(text: &[u8]) -> Option<usize> {
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    rest = match rest {
        [b'0', rest @ ..] => rest,
        _ => digits(rest)?,
    };
    if let [b'.', fraction @ ..] = rest {
        rest = digits(fraction)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        rest = match exponent {
            [b'+' | b'-', exponent @ ..] => digits(exponent)?,
            _ => digits(exponent)?,
        };
    }

    text.len().checked_sub(rest.len())
}

/// What stands behind the digits that a text must begin with.
fn digits(text: &[u8]) -> Option<&[u8]> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();

    text.get(count..).filter(|_| count > 0)
}

/// Writes a number as ECMAScript's `Number::toString` does (RFC 8785, section 3.2.2.3). The shortest
/// digits that name it are those `serde_json` writes; only their layout is another.
fn ecmascript(number: f64, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    let written = serde_json::to_string(&number).ok().ok_or(CanonicalError::NotJson)?;
    let unsigned = written.strip_prefix('-').unwrap_or(&written);
    let (mantissa, exponent) = unsigned.split_once('e').unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i32 = exponent.parse().ok().ok_or(CanonicalError::NotJson)?;
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let zeros = all.iter().take_while(|digit| **digit == b'0').count();
    let digits = all.get(zeros..).unwrap_or_default();
    let last = digits.iter().rposition(|digit| *digit != b'0');
    let Some(digits) = last.and_then(|last| digits.get(..=last)) else {
        out.push(b'0'); // and -0 too
        return Ok(());
    };
    // The number is 0.DIGITS times ten to this.
    let point = exponent.saturating_add(count(whole.len())).saturating_sub(count(zeros));
    if number < 0.0 {
        out.push(b'-');
    }
    lay_out(digits, point, out);

    Ok(())
}

fn lay_out(digits: &[u8], point: i32, out: &mut Vec<u8>) {
    let zeros = |out: &mut Vec<u8>, count: i32| {
        out.extend(std::iter::repeat_n(b'0', usize::try_from(count).unwrap_or_default()));
    };
    let before = usize::try_from(point).unwrap_or_default();
    if (1..=MOST_WHOLE).contains(&point) {
        let (whole, fraction) = digits.split_at_checked(before).unwrap_or((digits, &[]));
        out.extend_from_slice(whole);
        zeros(out, point.saturating_sub(count(whole.len())));
        if !fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
    } else if (0..=MOST_ZEROS).contains(&point.saturating_neg()) {
        out.extend_from_slice(b"0.");
        zeros(out, point.saturating_neg());
        out.extend_from_slice(digits);
    } else {
        let (first, more) = digits.split_at_checked(1).unwrap_or((digits, &[]));
        out.extend_from_slice(first);
        if !more.is_empty() {
            out.push(b'.');
            out.extend_from_slice(more);
        }
        out.extend_from_slice(if point > 0 { b"e+" } else { b"e" });
        out.extend_from_slice(point.saturating_sub(1).to_string().as_bytes());
    }
}

fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
