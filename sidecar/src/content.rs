//! What was said, made fit to be kept: secrets masked, and the rest named by its digest, so that it
//! can be erased later while the row stands.

use contract::audit::{Content, ContentMode, Event, MASKED, Text};
use contract::envelope::hex;
use contract::scan::Scanner;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::sync::LazyLock;

/// Most bytes of a word that a cut may have gone through.
const LONGEST_WORD: usize = 512;

/// Everything that looks like a secret, by the dated list of the contract.
static SECRETS: LazyLock<Scanner> = LazyLock::new(Scanner::masking);

/// An event as it may be stored: its secrets are masked. The store takes no other, and only [`seal`]
/// makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Sealed<'a>(Cow<'a, Event<'static>>);

impl Sealed<'_> {
    /// The event.
    pub fn event(&self) -> &Event<'static> {
        &self.0
    }
}

/// Masks what must not be stored, and names the content by its digest.
pub fn seal<'a>(event: &'a Event<'static>) -> Sealed<'a> {
    if event.payload.content.is_none() {
        return Sealed(Cow::Borrowed(event));
    }
    let mut event = event.clone();
    close(&mut event);

    Sealed(Cow::Owned(event))
}

fn close(event: &mut Event<'static>) {
    let Some(mut content) = event.payload.content.take() else { return };
    event.payload.content_sha256 = None;
    if content.mode == ContentMode::None {
        return;
    }
    let flagged = event.payload.flags.iter().any(|flag| flag == MASKED);
    if content.mode == ContentMode::Redacted && redact(&mut content) && !flagged {
        event.payload.flags.push(MASKED.into());
    }
    if let Ok(text) = serde_json::to_vec(&content) {
        event.payload.content_sha256 = Some(hex(&Sha256::digest(&text)).into());
        event.payload.content = Some(content);
    }
}

/// Masks the secrets of a turn and its answer; were there any?
fn redact(content: &mut Content<'static>) -> bool {
    content.texts_mut().fold(false, |found, text| redact_text(text) | found)
}

fn redact_text(text: &mut Text<'static>) -> bool {
    if text.omitted > 0 {
        // The cut may have gone through a secret: what is left of it no pattern would know.
        let kept = without_last_word(&text.text).len();
        let tail = text.tail.as_deref().map(without_first_word).map(ToOwned::to_owned);
        let lost = text.text.len().saturating_sub(kept).saturating_add(
            text.tail
                .as_deref()
                .map_or(0, str::len)
                .saturating_sub(tail.as_deref().map_or(0, str::len)),
        );
        text.omitted = text.omitted.saturating_add(u64::try_from(lost).unwrap_or_default());
        text.text.to_mut().truncate(kept);
        text.tail = tail.map(Cow::Owned);
    }

    text.mask(|text| SECRETS.mask(text))
}

fn without_last_word(text: &str) -> &str {
    let floor = text.len().saturating_sub(LONGEST_WORD);
    let end = text.rfind(char::is_whitespace).filter(|end| *end >= floor);

    text.get(..end.unwrap_or_else(|| text.floor_char_boundary(floor))).unwrap_or_default()
}

fn without_first_word(text: &str) -> &str {
    let start = text.find(char::is_whitespace).filter(|start| *start <= LONGEST_WORD);
    let start = start.unwrap_or_else(|| text.ceil_char_boundary(LONGEST_WORD.min(text.len())));

    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::audit::{Part, Payload};

    fn text(text: &str) -> Part<'static> {
        Part::Text { text: Text { text: text.to_owned().into(), ..Text::default() } }
    }

    fn sealed(mode: ContentMode, input: Vec<Part<'static>>) -> Payload<'static> {
        let content = Content { mode, input, ..Content::default() };
        let mut event = Event::default();
        event.payload.content = Some(content);
        seal(&event).event().payload.clone()
    }

    #[test]
    fn secrets_are_masked_and_what_stands_around_them_is_kept() {
        let long = "0123456789abcdefABCDEF0123456789abcdef";
        for (secret, id) in [
            (format!("sk-ant-api03-{long}"), "anthropic_key"),
            (format!("sk-proj-{long}"), "openai_key"),
            (format!("tgp_{long}"), "tollgate_token"),
            ("AKIAIOSFODNN7EXAMPLE".into(), "aws_access_key"),
            (format!("ghp_{long}"), "github_token"),
            (format!("glpat-{long}"), "gitlab_token"),
            ("xoxb-1234567890-abcdef".into(), "slack_token"),
            (format!("AIza{long}"), "google_key"),
            (format!("AccountKey={long}{long}=="), "azure_storage_key"),
            ("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----".into(), "private_key"),
            ("-----BEGIN RSA PRIVATE KEY-----\\nMIIB".into(), "private_key"),
            (format!("eyJhbGciOiJFZ.eyJzdWIiOiJh.{long}"), "json_web_token"),
            (format!("Bearer {long}"), "authorization"),
            ("postgres://tollgate:hunter22@".into(), "password_in_url"),
            ("password: correct-horse".into(), "assigned_secret"),
            (r#"\"api_key\": \"0123456789"#.into(), "assigned_secret"),
        ] {
            let payload =
                sealed(ContentMode::Redacted, vec![text(&format!("before {secret} after"))]);

            let kept = serde_json::to_string(&payload.content.unwrap()).unwrap();
            assert!(kept.contains(&format!("[{id}]")), "{id}: {kept}");
            assert!(kept.contains("before ") && (kept.contains("after") || id == "private_key"));
            assert!(!kept.contains(long) && !kept.contains("hunter22"), "{kept}");
            assert_eq!(payload.flags, [MASKED]);
        }
    }

    #[test]
    fn plain_words_stay_as_they_are() {
        for plain in [
            "Please write a function that checks a password and returns a token.",
            "The task-queue skipped 12 items; see https://example.com/a:b/c@d",
            "let secret = ask(); // never logged",
        ] {
            let payload = sealed(ContentMode::Redacted, vec![text(plain)]);

            assert_eq!(payload.content.unwrap().input, [text(plain)]);
            assert!(payload.flags.is_empty());
        }
    }

    #[test]
    fn a_secret_that_the_cut_went_through_is_not_left_half() {
        let cut = Text {
            text: "the key is sk-ant-api".into(),
            tail: Some("03-abcdef and so on".into()),
            omitted: 100,
        };

        let payload = sealed(ContentMode::Redacted, vec![Part::Text { text: cut }]);

        let kept = Text {
            text: "the key is".into(),
            tail: Some(" and so on".into()),
            omitted: 100 + 11 + 9,
        };
        assert_eq!(payload.content.unwrap().input, [Part::Text { text: kept }]);
    }

    #[test]
    fn what_the_gate_has_masked_is_flagged_once() {
        let mut event = Event::default();
        event.payload.flags = vec![MASKED.into()];
        let input = vec![text("password: correct-horse")];
        event.payload.content =
            Some(Content { mode: ContentMode::Redacted, input, ..Content::default() });

        assert_eq!(seal(&event).event().payload.flags, [MASKED]);
    }

    #[test]
    fn full_content_is_kept_and_none_is_not_and_both_are_named_by_their_digest() {
        let full = sealed(ContentMode::Full, vec![text("password: correct-horse")]);
        assert_eq!(full.content.as_ref().unwrap().input, [text("password: correct-horse")]);
        let digest = hex(&Sha256::digest(serde_json::to_vec(&full.content).unwrap()));
        assert_eq!(full.content_sha256.as_deref(), Some(&*digest));

        let none = sealed(ContentMode::None, vec![text("a")]);
        assert_eq!((none.content, none.content_sha256), (None, None));
    }
}
