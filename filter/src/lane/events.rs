//! Where something may be said in a stream of server-sent events.

/// Does this end with a whole event: with a blank line (WHATWG HTML, §9.2.6)?
pub fn ends_whole(bytes: &[u8]) -> bool {
    [&b"\n\n"[..], b"\n\r\n", b"\r\r"].iter().any(|blank| bytes.ends_with(blank))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_event_ends_with_a_blank_line_of_any_form() {
        for (bytes, whole) in [
            (&b""[..], false),
            (b"data: 1\n", false),
            (b"data: 1\n\n", true),
            (b"data: 1\n\ndata: 2", false),
            (b"data: 1\r\n", false),
            (b"data: 1\r\n\r\n", true),
            (b"data: 1\r\r", true),
            (b": comment\n\n", true),
        ] {
            assert_eq!(ends_whole(bytes), whole, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
