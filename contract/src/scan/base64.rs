//! A document in base64 (RFC 4648), as its readers take it: either alphabet, white space and padding
//! passed over.

/// The text of a document; `None` if it is none.
pub(super) fn text(raw: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len().saturating_mul(3) / 4);
    let mut bits = 0_u32;
    let mut have = 0_u32;
    let mut rest = raw;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte == b'\\' {
            let (written, after) = escape(rest)?;
            rest = after;
            let Some(written) = written else { continue };
            push(written, &mut bits, &mut have, &mut bytes);
        } else {
            push(*byte, &mut bits, &mut have, &mut bytes);
        }
    }

    Some(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(broken) => String::from_utf8_lossy(broken.as_bytes()).into_owned(),
    })
}

fn push(byte: u8, bits: &mut u32, have: &mut u32, bytes: &mut Vec<u8>) {
    let value = match byte {
        b'A'..=b'Z' => byte.wrapping_sub(b'A'),
        b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
        b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return,
    };
    *bits = *bits << 6 | u32::from(value);
    *have = have.saturating_add(6);
    if *have >= 8 {
        *have = have.saturating_sub(8);
        let [byte, ..] = (*bits >> *have & 0xff).to_le_bytes();
        bytes.push(byte);
        *bits &= 0xff;
    }
}

/// What a JSON escape stands for, as far as base64 knows it, and what follows.
fn escape(rest: &[u8]) -> Option<(Option<u8>, &[u8])> {
    match rest {
        [b'u', digits @ ..] => {
            let (digits, after) = digits.split_first_chunk::<4>()?;
            let digits = std::str::from_utf8(digits).ok()?;
            let code = u32::from_str_radix(digits, 16).ok()?;

            Some((u8::try_from(code).ok(), after))
        }
        [b'/', after @ ..] => Some((Some(b'/'), after)),
        [_, after @ ..] => Some((None, after)),
        [] => None,
    }
}
