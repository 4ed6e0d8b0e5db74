//! The conversation in a body: where its last messages stand, and what comes before.

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// How many messages are looked at: a turn may be several, since clients put words of their own (of
/// role `system`) behind the user's.
const MOST: usize = 8;

/// One more, which is where the history ends.
const KEPT: usize = MOST + 1;

/// `messages`, borrowed from the body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turn<'a> {
    first: Option<&'a str>,
    /// The last messages, in a ring.
    tail: [Option<&'a str>; KEPT],
    count: usize,
}

impl<'a> Turn<'a> {
    /// The message that is so many before the last one; none beyond what a turn can be.
    pub fn back(&self, steps: usize) -> Option<&'a str> {
        if steps >= MOST {
            return None;
        }

        self.at(steps)
    }

    fn at(&self, steps: usize) -> Option<&'a str> {
        let index = self.count.checked_sub(steps)?.checked_sub(1)?;

        *self.tail.get(index.checked_rem(KEPT)?)?
    }

    fn push(&mut self, message: &'a str) {
        self.first.get_or_insert(message);
        let slot = self.count.checked_rem(KEPT).and_then(|index| self.tail.get_mut(index));
        if let Some(slot) = slot {
            *slot = Some(message);
        }
        self.count = self.count.saturating_add(1);
    }

    /// How many messages come before the last so many.
    pub fn earlier(&self, turn: usize) -> u32 {
        u32::try_from(self.count.saturating_sub(turn)).unwrap_or(u32::MAX)
    }

    /// The bytes of these, from the first's first to the last one's last, where they stand in
    /// `body`.
    pub fn history<'b>(&self, turn: usize, body: &'b [u8]) -> Option<&'b [u8]> {
        if self.count <= turn {
            return None;
        }
        let (first, before) = self.first.zip(self.at(turn))?;
        let origin = body.as_ptr().addr();
        let start = first.as_ptr().addr().checked_sub(origin)?;
        let end = before.as_ptr().addr().checked_sub(origin)?.checked_add(before.len())?;

        body.get(start..end)
    }
}

impl<'de: 'a, 'a> de::Deserialize<'de> for Turn<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Messages)
    }
}

/// Whatever is no list passes: what is wrong with it is the provider's to say.
struct Messages;

impl<'de> Visitor<'de> for Messages {
    type Value = Turn<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Turn<'de>, A::Error> {
        let mut turn = Turn::default();
        while let Some(message) = list.next_element::<&'de RawValue>()? {
            turn.push(message.get());
        }

        Ok(turn)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Turn<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Turn::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Turn<'de>, E> {
        Ok(Turn::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Turn<'de>, E> {
        Ok(Turn::default())
    }

    fn visit_unit<E>(self) -> Result<Turn<'de>, E> {
        Ok(Turn::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Turn<'de>, E> {
        Ok(Turn::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Turn<'de>, E> {
        Ok(Turn::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Turn<'de>, E> {
        Ok(Turn::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_last_message_and_the_bytes_before_it_are_found_where_they_stand() {
        let body = br#"[ {"role":"user"} , {"role":"assistant"},{"role":"user","content":"x"} ]"#;

        let turn: Turn<'_> = serde_json::from_slice(body).unwrap();

        assert_eq!(turn.back(0), Some(r#"{"role":"user","content":"x"}"#));
        assert_eq!(turn.back(2), Some(r#"{"role":"user"}"#));
        assert_eq!(turn.back(3), None);
        assert_eq!((turn.earlier(1), turn.earlier(3)), (2, 0));
        assert_eq!(
            turn.history(1, body),
            Some(&br#"{"role":"user"} , {"role":"assistant"}"#[..]),
            "as the client wrote them"
        );
        assert_eq!(turn.history(1, b"another body"), None);
        assert_eq!(turn.history(3, body), None);
    }

    #[test]
    fn of_a_long_conversation_the_last_messages_are_known_and_how_many_there_were() {
        let messages: Vec<String> = (0..1_000).map(|nth| format!("{{\"n\":{nth}}}")).collect();
        let body = format!("[{}]", messages.join(","));

        let turn: Turn<'_> = serde_json::from_str(&body).unwrap();

        assert_eq!(turn.back(0), Some("{\"n\":999}"));
        assert_eq!(turn.back(MOST - 1), Some("{\"n\":992}"));
        assert_eq!(turn.back(MOST), None);
        assert_eq!(turn.earlier(MOST), 992);
        let history = turn.history(MOST, body.as_bytes()).unwrap();
        assert!(history.ends_with(b"{\"n\":991}"));
    }

    #[test]
    fn a_conversation_of_one_message_or_none_has_no_history() {
        for (text, last) in [("[]", None), ("[1]", Some("1")), ("null", None), ("{\"a\":1}", None)]
        {
            let turn: Turn<'_> = serde_json::from_str(text).unwrap();
            assert_eq!((turn.back(0), turn.history(1, text.as_bytes())), (last, None), "{text}");
        }
    }
}
