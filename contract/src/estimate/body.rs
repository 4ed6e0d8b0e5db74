//! The size of a body, images apart: base64 is counted by no tokenizer.

/// How far apart the members of an image's `source` stand at most, its data aside.
const NEAR: usize = 128;

/// What is sent, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Body {
    /// Bytes in all.
    pub bytes: u64,
    /// Images, and pages that are sent as such: a PDF counts as one.
    pub images: u64,
    /// Bytes of their base64.
    pub image_bytes: u64,
}

impl Body {
    /// Measures a body: one pass from quote to quote. Images that it does not see (a name that is escaped, say)
    /// are counted as text, which is more.
    pub fn read(body: &[u8]) -> Self {
        let mut read = Self { bytes: wide(body.len()), ..Self::default() };
        // The last member `data` behind what was counted, and where the word that tells base64 ended.
        let (mut data, mut told) = (None, None);
        let mut at = 0;
        while let Some(quote) = next_quote(body, at) {
            at = quote.saturating_add(1);
            let rest = body.get(at..).unwrap_or_default();
            if rest.starts_with(b"data\"") {
                let Some(value) = value(body, at.saturating_add(5)) else { continue };
                let size = size(body, value);
                (data, at) = (Some((value, size)), value.saturating_add(size).saturating_add(1));
            } else if rest.starts_with(b"base64\"") {
                told = Some(at);
            }
            let (Some((value, size)), Some(word)) = (data, told) else { continue };
            let end = value.saturating_add(size);
            if word.saturating_add(NEAR) >= value && word <= end.saturating_add(NEAR) {
                let before = body.get(value.saturating_sub(NEAR)..value).unwrap_or_default();
                let behind = body.get(end..).unwrap_or_default();
                if pictures(before) || pictures(behind.get(..NEAR).unwrap_or(behind)) {
                    read.images = read.images.saturating_add(1);
                    read.image_bytes = read.image_bytes.saturating_add(wide(size));
                }
                (data, told) = (None, None);
            }
        }

        read
    }
}

fn next_quote(body: &[u8], from: usize) -> Option<usize> {
    from.checked_add(memchr::memchr(b'"', body.get(from..)?)?)
}

/// Where the text of a member begins whose name ended before `from`.
fn value(body: &[u8], from: usize) -> Option<usize> {
    let near = body.get(from..)?.iter().take(8);
    let colon_or_space = near.take_while(|byte| b": \t\r\n".contains(byte)).count();
    let quote = from.checked_add(colon_or_space)?;

    (body.get(quote) == Some(&b'"')).then(|| quote.saturating_add(1))
}

/// How long the text is that begins here. Base64 has no escapes.
fn size(body: &[u8], from: usize) -> usize {
    let rest = body.get(from..).unwrap_or_default();

    memchr::memchr(b'"', rest).unwrap_or(rest.len())
}

/// Is something named here that is counted as a picture?
fn pictures(text: &[u8]) -> bool {
    let kinds: [&[u8]; 2] = [b"image/", b"application/pdf"];

    (0..text.len()).any(|at| {
        let rest = text.get(at..).unwrap_or_default();
        kinds.iter().any(|kind| rest.starts_with(kind))
    })
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn read(body: &str) -> (u64, u64) {
        let Body { bytes, images, image_bytes } = Body::read(body.as_bytes());
        assert_eq!(bytes, wide(body.len()));
        (images, image_bytes)
    }

    #[test]
    fn the_data_of_images_is_told_apart_wherever_it_stands() {
        for body in [
            r#"{"source":{"type":"base64","media_type":"image/png","data":"QUJDRA=="}}"#,
            r#"{"source": {"media_type": "image/jpeg", "type": "base64", "data" : "QUJDRA=="}}"#,
            r#"{"source":{"data":"QUJDRA==","media_type":"image/webp","type":"base64"}}"#,
            r#"{"source":{"type":"base64","data":"QUJDRA==","media_type":"application/pdf"}}"#,
        ] {
            assert_eq!(read(body), (1, 8), "{body}");
        }
        let two = r#"[{"type":"base64","media_type":"image/png","data":"QUJD"},
            {"data":"QUJDREVG","media_type":"image/png","type":"base64"}]"#;
        assert_eq!(read(two), (2, 12));
    }

    #[test]
    fn text_stays_text() {
        for body in [
            r#"{"type":"text","text":"use \"base64\" for \"data\" as image/png"}"#,
            r#"{"source":{"type":"base64","media_type":"text/plain","data":"QUJDRA=="}}"#,
            r#"{"enum":["base64","hex"],"description":"how it is written"}"#,
            r#"{"type":"base64"}"#,
            r#""base64""#,
        ] {
            assert_eq!(read(body), (0, 0), "{body}");
        }
        let cut = r#"{"type":"base64","media_type":"image/png","data":"QUJD"#;
        assert_eq!(read(cut), (1, 4));
    }

    proptest! {
        #[test]
        fn no_body_counts_more_of_images_than_it_has(
            parts in proptest::collection::vec(prop_oneof![
                Just("\"base64\""), Just("\"data\""), Just(":\""), Just("\""), Just("image/"), Just("A,")
            ], 0..60),
        ) {
            let body = parts.concat();
            let read = Body::read(body.as_bytes());
            prop_assert!(read.image_bytes <= read.bytes);
        }
    }
}
