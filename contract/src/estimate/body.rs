//! The size of a body, images apart: base64 is counted by no tokenizer.

use memchr::memmem;

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
    /// Measures a body: one look for the word `"base64"`, whatever else is in it. Images that it does not see
    /// (a name that is escaped, say) are counted as text, which is more.
    pub fn read(body: &[u8]) -> Self {
        let mut read = Self { bytes: wide(body.len()), ..Self::default() };
        // Everything before was looked at, so however often the word stands there, this is linear.
        let mut done = 0;
        for at in memmem::find_iter(body, b"\"base64\"") {
            if at < done {
                continue;
            }
            let behind = at.saturating_add(8);
            let start = data(body, behind, behind.saturating_add(NEAR), false)
                .or_else(|| data(body, done, at, true));
            done = behind;
            let Some(start) = start else { continue };
            let rest = body.get(start..).unwrap_or_default();
            let size = memchr::memchr(b'"', rest).unwrap_or(rest.len());
            let end = start.saturating_add(size);
            done = done.max(end);
            let near = |from: usize, to: usize| {
                let text = body.get(from..to.min(body.len())).unwrap_or_default();
                ["image/", "application/pdf"].iter().any(|kind| has(text, kind.as_bytes()))
            };
            if near(start.saturating_sub(NEAR), start) || near(end, end.saturating_add(NEAR)) {
                read.images = read.images.saturating_add(1);
                read.image_bytes = read.image_bytes.saturating_add(wide(size));
            }
        }

        read
    }
}

/// Where the text of a member `data` begins that stands between these two; the last one or the first one.
fn data(body: &[u8], from: usize, to: usize, last: bool) -> Option<usize> {
    const NAME: &[u8] = b"\"data\"";
    let text = body.get(from..to.min(body.len()))?;
    let at = if last { memmem::rfind(text, NAME) } else { memmem::find(text, NAME) }?;
    let value = from.checked_add(at)?.checked_add(NAME.len())?;
    let plain = body.get(value..)?.iter().take(8).position(|byte| *byte == b'"')?;

    value.checked_add(plain)?.checked_add(1)
}

fn has(text: &[u8], word: &[u8]) -> bool {
    memmem::find(text, word).is_some()
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
