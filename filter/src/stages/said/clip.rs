//! A text of which a bounded part is kept: all of it, or its head and its tail.

use contract::audit::Text;
use std::borrow::Cow;

/// A text as it comes, in pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Clip {
    /// All of the text as long as nothing was left out, then its head.
    head: Vec<u8>,
    tail: Vec<u8>,
    omitted: u64,
}

impl Clip {
    /// Takes the next piece. What is held stays under three times `most`, and holds `most` of it.
    pub(super) fn push(&mut self, mut piece: &[u8], most: usize) {
        if piece.is_empty() {
            return;
        }
        if self.is_whole() {
            if self.head.len().saturating_add(piece.len()) <= most {
                self.head.extend_from_slice(piece);
                return;
            }
            self.part(most);
            let room = half(most).saturating_sub(self.head.len());
            if self.tail.is_empty() {
                let (fills, rest) = piece.split_at(floor(piece, room));
                self.head.extend_from_slice(fills);
                piece = rest;
            }
        }
        let over = piece.len().saturating_sub(most);
        if over > 0 {
            let (skipped, kept) = piece.split_at(ceil(piece, over));
            self.leave_out(self.tail.len().saturating_add(skipped.len()));
            self.tail.clear();
            piece = kept;
        }
        self.tail.extend_from_slice(piece);
        if self.tail.len() > most.saturating_mul(2) {
            self.shorten_tail(most);
        }
    }

    /// Bytes held.
    pub(super) fn len(&self) -> usize {
        self.head.len().saturating_add(self.tail.len())
    }

    /// Keeps no more than `most`.
    pub(super) fn fit(&mut self, most: usize) {
        if self.len() > most {
            if self.is_whole() {
                self.part(most);
            }
            let kept = floor(&self.head, half(most));
            self.leave_out(self.head.len().saturating_sub(kept));
            self.head.truncate(kept);
            self.shorten_tail(most.saturating_sub(kept));
        }
        if self.omitted == 0 {
            self.head.append(&mut self.tail);
            return;
        }
        // A character that came in two pieces may have lost its other half.
        let torn = ceil(&self.tail, 0);
        self.tail.drain(..torn);
        let whole = whole(&self.head);
        self.leave_out(self.head.len().saturating_sub(whole).saturating_add(torn));
        self.head.truncate(whole);
    }

    /// As it stands in a row.
    pub(super) fn into_text(self) -> Text<'static> {
        let Self { head, tail, omitted } = self;
        let tail = (omitted > 0 || !tail.is_empty()).then(|| Cow::Owned(text(tail)));

        Text { text: Cow::Owned(text(head)), tail, omitted }
    }

    fn is_whole(&self) -> bool {
        self.omitted == 0 && self.tail.is_empty()
    }

    /// Makes a head and a tail of a whole.
    fn part(&mut self, most: usize) {
        self.tail = self.head.split_off(floor(&self.head, half(most)));
    }

    fn shorten_tail(&mut self, most: usize) {
        let over = ceil(&self.tail, self.tail.len().saturating_sub(most));
        self.tail.drain(..over);
        self.leave_out(over);
    }

    fn leave_out(&mut self, bytes: usize) {
        self.omitted = self.omitted.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

/// How much of so many bytes the head gets.
pub(super) fn half(most: usize) -> usize {
    most.div_ceil(2)
}

/// The longest that each of these may be so that all together are at most `budget` long.
pub(super) fn share(mut lengths: Vec<usize>, budget: usize) -> usize {
    lengths.sort_unstable();
    let (mut left, mut count) = (budget, lengths.len());
    for length in lengths {
        let each = left.checked_div(count).unwrap_or_default();
        if length > each {
            return each;
        }
        left = left.saturating_sub(length);
        count = count.saturating_sub(1);
    }

    budget
}

/// The last place up to `at` where no character is cut.
pub(super) fn floor(bytes: &[u8], at: usize) -> usize {
    let mut at = at.min(bytes.len());
    while at > 0 && bytes.get(at).is_some_and(|byte| is_inner(*byte)) {
        at = at.saturating_sub(1);
    }

    at
}

/// The first place from `at` where no character is cut.
pub(super) fn ceil(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let inner = rest.iter().take_while(|byte| is_inner(**byte)).count();

    at.min(bytes.len()).saturating_add(inner)
}

/// How much of this is whole characters.
fn whole(bytes: &[u8]) -> usize {
    match str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Ok(_) | Err(_) => bytes.len(),
    }
}

fn is_inner(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// Bytes as text. What is no text becomes a mark, which is never longer.
pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        String::from_utf8_lossy(error.as_bytes()).replace(char::REPLACEMENT_CHARACTER, "?")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn clip(pieces: &[&str], most: usize) -> Text<'static> {
        let mut clip = Clip::default();
        for piece in pieces {
            clip.push(piece.as_bytes(), most);
        }
        clip.fit(most);
        clip.into_text()
    }

    #[test]
    fn a_short_text_is_whole_and_a_long_one_keeps_its_head_and_its_tail() {
        assert_eq!(clip(&["hello ", "there"], 11).text, "hello there");
        assert_eq!(clip(&["hello ", "there"], 11).tail, None);

        let cut = clip(&["0123456789", "abcdefghij"], 8);

        assert_eq!((&*cut.text, cut.tail.as_deref(), cut.omitted), ("0123", Some("ghij"), 12));
        let none = clip(&["hello"], 0);
        assert_eq!((&*none.text, none.omitted), ("", 5));
    }

    #[test]
    fn a_budget_goes_to_the_short_first_and_the_rest_is_shared_by_the_long() {
        assert_eq!(share(vec![10, 5000, 4000], 1010), 500);
        assert_eq!(share(vec![10, 20], 100), 100);
        assert_eq!(share(vec![], 100), 100);
        assert_eq!(share(vec![1, 1], 0), 0);
    }

    #[test]
    fn of_a_character_that_does_not_fit_no_half_is_kept() {
        let mut clip = Clip::default();
        for byte in "\u{10462}a".bytes() {
            clip.push(&[byte], 1);
        }
        clip.fit(1);

        let text = clip.into_text();
        assert_eq!((&*text.text, text.tail.as_deref(), text.omitted), ("", Some(""), 5));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_uncounted_however_a_text_comes(
            text in "\\PC{0,60}", cuts in proptest::collection::vec(0usize..200, 0..6), most in 0usize..80,
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|at| floor(text.as_bytes(), at)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(text.get(from..cut).unwrap());
                from = cut;
            }
            pieces.push(text.get(from..).unwrap());

            let kept = clip(&pieces, most);
            let mut bytewise = Clip::default();
            for byte in text.bytes() {
                bytewise.push(&[byte], most);
            }
            bytewise.fit(most);
            prop_assert!(!bytewise.into_text().text.contains('?') || text.contains('?'));

            let tail = kept.tail.as_deref().unwrap_or_default();
            prop_assert!(kept.text.len() + tail.len() <= most);
            prop_assert!(text.starts_with(&*kept.text) && text.ends_with(tail));
            let all = kept.text.len() + tail.len() + usize::try_from(kept.omitted).unwrap();
            prop_assert_eq!(all, text.len());
            prop_assert!(kept.omitted == 0 || kept.text.len() + tail.len() + 8 > most, "room is used");
        }
    }
}
