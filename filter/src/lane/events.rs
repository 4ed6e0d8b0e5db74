//! Where a stream of server-sent events may be cut.

/// The length of what ends with a whole event: everything up to the last blank line (WHATWG HTML, §9.2.6).
pub fn whole(bytes: &[u8]) -> usize {
    let mut end = 0;
    let mut blank = false; // is the line so far empty, behind another line's end?
    let mut rest = bytes.iter().enumerate().peekable();
    while let Some((at, byte)) = rest.next() {
        match byte {
            b'\r' | b'\n' => {
                let mut after = at.saturating_add(1);
                if *byte == b'\r' && rest.next_if(|(_, next)| **next == b'\n').is_some() {
                    after = after.saturating_add(1);
                }
                if blank {
                    end = after;
                }
                blank = true;
            }
            _ => blank = false,
        }
    }

    end
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_stream_is_cut_behind_blank_lines_of_any_form() {
        for (bytes, length) in [
            (&b""[..], 0),
            (b"data: 1\n", 0),
            (b"data: 1\n\n", 9),
            (b"data: 1\n\ndata: 2", 9),
            (b"data: 1\r\n\r\ndata", 11),
            (b"data: 1\r\rdata", 9),
            (b"data: 1\n\ndata: 2\n\n", 18),
            (b"data: 1\n\n\n", 10),
            (b": comment\n\n", 11),
        ] {
            assert_eq!(whole(bytes), length, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
