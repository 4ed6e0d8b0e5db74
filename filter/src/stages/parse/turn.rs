//! The conversation in a body: where its last message stands, and what comes before.

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// `messages`, borrowed from the body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turn<'a> {
    first: Option<&'a str>,
    before: Option<&'a str>,
    last: Option<&'a str>,
    earlier: u32,
}

impl<'a> Turn<'a> {
    /// The last message.
    pub fn last(&self) -> Option<&'a str> {
        self.last
    }

    /// How many messages come before it.
    pub fn earlier(&self) -> u32 {
        self.earlier
    }

    /// The bytes of these, from the first's first to the last one's last, where they stand in
    /// `body`.
    pub fn history<'b>(&self, body: &'b [u8]) -> Option<&'b [u8]> {
        let (first, before) = self.first.zip(self.before)?;
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
            if let Some(before) = turn.last.replace(message.get()) {
                turn.first.get_or_insert(before);
                turn.before = Some(before);
                turn.earlier = turn.earlier.saturating_add(1);
            }
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

        assert_eq!(turn.last(), Some(r#"{"role":"user","content":"x"}"#));
        assert_eq!(turn.earlier(), 2);
        assert_eq!(
            turn.history(body),
            Some(&br#"{"role":"user"} , {"role":"assistant"}"#[..]),
            "as the client wrote them"
        );
        assert_eq!(turn.history(b"another body"), None);
    }

    #[test]
    fn a_conversation_of_one_message_or_none_has_no_history() {
        for (text, last) in [("[]", None), ("[1]", Some("1")), ("null", None), ("{\"a\":1}", None)]
        {
            let turn: Turn<'_> = serde_json::from_str(text).unwrap();
            assert_eq!((turn.last(), turn.history(text.as_bytes())), (last, None), "{text}");
        }
    }
}
