//! JSON's escapes, undone (RFC 8259, section 7). What is no escape stays as it stands; a half of a
//! surrogate pair becomes U+FFFD.

use memchr::memchr2;

/// The text of a JSON string's bytes, until it has `most` bytes or the string ends. A quote that is
/// not escaped ends it.
pub(super) fn unescape(raw: &[u8], most: usize) -> String {
    let mut bytes = Vec::with_capacity(raw.len().min(most));
    let mut rest = raw;
    while bytes.len() < most {
        match rest {
            [] | [b'"', ..] => break,
            [b'\\'] => {
                bytes.push(b'\\');
                break;
            }
            [b'\\', b'u', after @ ..] => rest = unicode(after, &mut bytes),
            [b'\\', letter, after @ ..] => {
                match letter {
                    b'n' => bytes.push(b'\n'),
                    b't' => bytes.push(b'\t'),
                    b'r' => bytes.push(b'\r'),
                    b'b' => bytes.push(8),
                    b'f' => bytes.push(12),
                    other => bytes.push(*other),
                }
                rest = after;
            }
            plain => {
                // No more than is still wanted: the rest of a body may be long.
                let wanted = most.saturating_sub(bytes.len()).min(plain.len());
                let near = plain.get(..wanted).unwrap_or(plain);
                let length = memchr2(b'\\', b'"', near).unwrap_or(near.len());
                let (run, after) = plain.split_at_checked(length).unwrap_or((plain, &[]));
                bytes.extend_from_slice(run);
                rest = after;
            }
        }
    }
    bytes.truncate(most);

    String::from_utf8(bytes)
        .unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned())
}

/// The last `most` bytes or a little more of what stands before `end`, and no further back than
/// `start`. A `\uXXXX` that the beginning cuts through leaves its digits.
pub(super) fn unescape_before(body: &[u8], start: usize, end: usize, most: usize) -> String {
    // A character takes two bytes where it is escaped.
    let mut from = end.saturating_sub(most.saturating_mul(2).saturating_add(6)).max(start);
    let before = body.get(start..from).unwrap_or_default();
    let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
    if backslashes % 2 == 1 {
        from = from.saturating_sub(1);
    }
    while from > start && body.get(from).is_some_and(|byte| byte & 0xc0 == 0x80) {
        from = from.saturating_sub(1);
    }

    unescape(body.get(from..end).unwrap_or_default(), usize::MAX)
}

fn unicode<'a>(after: &'a [u8], bytes: &mut Vec<u8>) -> &'a [u8] {
    let Some((first, rest)) = hex4(after) else {
        bytes.extend_from_slice(b"\\u");
        return after;
    };
    let mut rest = rest;
    let mut code = first;
    if (0xd800..0xdc00).contains(&first)
        && let [b'\\', b'u', low @ ..] = rest
        && let Some((second @ 0xdc00..=0xdfff, later)) = hex4(low)
    {
        let high = (first & 0x3ff) << 10;
        code = 0x1_0000_u32.saturating_add(high | (second & 0x3ff));
        rest = later;
    }
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());

    rest
}

fn hex4(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = bytes.split_first_chunk::<4>()?;
    let mut code = 0;
    for digit in digits {
        code = code << 4 | char::from(*digit).to_digit(16)?;
    }

    Some((code, rest))
}
