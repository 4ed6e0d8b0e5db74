//! Text out of JSON strings (RFC 8259, §7), without reading more of them than is kept.

use super::clip::{Clip, ceil, floor, half};
use contract::audit::Text;
use std::borrow::Cow;

/// Undoes the escapes of a string, byte by byte.
#[derive(Debug, Default)]
pub(super) struct Unescape {
    place: Place,
    /// The first half of a pair of surrogates, whose second half is awaited.
    high: Option<u32>,
}

#[derive(Debug, Default, Clone, Copy)]
enum Place {
    #[default]
    Plain,
    Escape,
    /// Behind `\u`: how many digits, and what they say.
    Unicode(u8, u32),
}

impl Unescape {
    /// The next byte; what it completes goes to `out`.
    pub(super) fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.place {
            Place::Plain if byte == b'\\' => self.place = Place::Escape,
            Place::Plain => {
                self.lone(out);
                out.push(byte);
            }
            Place::Escape if byte == b'u' => self.place = Place::Unicode(0, 0),
            Place::Escape => {
                self.place = Place::Plain;
                self.lone(out);
                out.push(match byte {
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => other,
                });
            }
            Place::Unicode(count, value) => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let value = value.wrapping_shl(4) | digit;
                self.place = Place::Unicode(count.saturating_add(1), value);
                if count >= 3 {
                    self.place = Place::Plain;
                    self.unit(value, out);
                }
            }
        }
    }

    /// Is it behind a backslash, where a quote does not end the string?
    pub(super) fn is_inside(&self) -> bool {
        !matches!(self.place, Place::Plain)
    }

    /// Does the next byte mean something else than itself?
    pub(super) fn is_pending(&self) -> bool {
        self.is_inside() || self.high.is_some()
    }

    /// A UTF-16 unit.
    fn unit(&mut self, unit: u32, out: &mut Vec<u8>) {
        if let (Some(high), 0xdc00..=0xdfff) = (self.high, unit) {
            self.high = None;
            let pair = (high & 0x3ff).wrapping_shl(10) | (unit & 0x3ff);
            push(pair.checked_add(0x1_0000), out);
            return;
        }
        self.lone(out);
        if let 0xd800..=0xdbff = unit {
            self.high = Some(unit);
        } else {
            push(Some(unit), out);
        }
    }

    /// Half a pair is no character.
    fn lone(&mut self, out: &mut Vec<u8>) {
        if self.high.take().is_some() {
            push(None, out);
        }
    }
}

fn push(code: Option<u32>, out: &mut Vec<u8>) {
    let character = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// The inside of a string as it stands in the body.
pub(super) fn inside(raw: &str) -> Option<&[u8]> {
    raw.strip_prefix('"')?.strip_suffix('"').map(str::as_bytes)
}

/// A short string, all of it.
pub(super) fn short(raw: &str, longest: usize) -> Option<String> {
    let bytes = inside(raw).filter(|bytes| bytes.len() <= longest)?;

    Some(super::clip::text(decode(bytes)))
}

/// The text of these strings, one line each, as long as `most` allows. `omitted` counts bytes as
/// they stand in the body: what is left out is not read.
pub(super) fn clipped(strings: &[&[u8]], most: usize) -> Text<'static> {
    let length = length(strings);
    if length <= most {
        let lines: Vec<_> = strings.iter().map(|string| decode(string)).collect();
        let mut clip = Clip::default();
        clip.push(&lines.join(&b'\n'), most.max(length));
        return clip.into_text();
    }
    let mut left = half(most);
    let mut heads = Vec::new();
    for string in strings {
        let (head, _) = string.split_at(floor(string, left));
        heads.push(decode(head));
        left = left.saturating_sub(string.len().saturating_add(1));
        if left == 0 {
            break;
        }
    }
    let head = heads.join(&b'\n');
    let mut left = most.saturating_sub(half(most));
    let mut tails = Vec::new();
    for string in strings.iter().rev() {
        let (_, tail) = string.split_at(tail_from(string, string.len().saturating_sub(left)));
        tails.push(decode(tail));
        left = left.saturating_sub(string.len().saturating_add(1));
        if left == 0 {
            break;
        }
    }
    tails.reverse();
    let tail = tails.join(&b'\n');
    let kept = head.len().saturating_add(tail.len());
    let omitted = u64::try_from(length.saturating_sub(kept)).unwrap_or(u64::MAX);

    Text {
        text: Cow::Owned(super::clip::text(head)),
        tail: Some(Cow::Owned(super::clip::text(tail))),
        omitted,
    }
}

/// How long these strings are, one line each.
pub(super) fn length(strings: &[&[u8]]) -> usize {
    let lines = strings.iter().map(|string| string.len().saturating_add(1));

    lines.fold(0, usize::saturating_add).saturating_sub(1)
}

fn decode(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut unescape = Unescape::default();
    for byte in raw {
        unescape.byte(*byte, &mut out);
    }

    out
}

/// The first place from `at` where neither a character nor an escape is cut.
fn tail_from(string: &[u8], at: usize) -> usize {
    // The longest escape is six bytes, so one that reaches over `at` began in the five before it.
    for back in (1..=5).rev() {
        let Some(start) = at.checked_sub(back) else { continue };
        let (before, rest) = string.split_at(start.min(string.len()));
        let slashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        let length = match rest {
            // An odd number before it: this backslash is itself escaped.
            [b'\\', ..] if slashes & 1 == 1 => continue,
            [b'\\', b'u', ..] => 6,
            [b'\\', ..] => 2,
            _ => continue,
        };
        if length > back {
            return start.saturating_add(length).min(string.len());
        }
    }

    ceil(string, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn no_escape_is_cut_in_two() {
        let string = br"0123\u20ac\\\n89";
        for at in 0..=string.len() {
            let from = tail_from(string, at);
            let tail = String::from_utf8(decode(&string[from..])).unwrap();
            assert!("0123€\\\n89".ends_with(&tail), "from {at}: {tail:?}");
        }
        assert_eq!(decode(br"\ud83d\ude00 \ud83d. \ude00"), "😀 \u{fffd}. \u{fffd}".as_bytes());
    }

    #[test]
    fn several_strings_are_lines_of_which_the_first_and_the_last_stay() {
        let strings: [&[u8]; 3] = [b"first", b"in the middle", b"last"];

        assert_eq!(clipped(&strings, 100).text, "first\nin the middle\nlast");
        let cut = clipped(&strings, 12);

        assert_eq!((&*cut.text, cut.tail.as_deref()), ("first", Some("e\nlast")));
        assert_eq!(cut.omitted, 24 - 11);
    }

    proptest! {
        #[test]
        fn a_string_that_is_kept_reads_as_any_reader_reads_it(text in "[\\PC\"\\\\\n\u{0}]{0,40}") {
            let raw = serde_json::to_string(&text).unwrap();
            let read = clipped(&[inside(&raw).unwrap()], 1000);
            prop_assert_eq!(read.text, text);
        }

        #[test]
        fn a_string_that_is_cut_stays_within_its_length(text in "[\\PC\"\\\\\n\u{0}]{0,60}", most in 0usize..90) {
            let raw = serde_json::to_string(&text).unwrap();
            let read = clipped(&[inside(&raw).unwrap()], most);
            let tail = read.tail.as_deref().unwrap_or_default();
            prop_assert!(read.text.len() + tail.len() <= most.max(raw.len() - 2));
            prop_assert!(text.starts_with(&*read.text) && text.ends_with(tail));
            prop_assert!(read.tail.is_none() || read.text.len() + tail.len() <= most);
        }
    }
}
