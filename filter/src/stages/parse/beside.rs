//! Models that the provider is asked to call beside the first one: `tools[].model` (an advisor),
//! `fallbacks[].model`, and whatever comes next in their form.
//!
//! A `model` of an element counts, in any member of the body. What is deeper (a tool's schema, a
//! message's text) is data and is passed over.

use super::{Found, Text, Value};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// How many models a body may name.
const MOST: usize = 32;

/// Searches one member of the body. A member that holds nothing is not looked into: whatever it is,
/// it passes.
///
/// # Errors
/// If something that should name a model does not, or its place cannot be read.
pub(super) fn search<'de>(
    found: &mut Found<'de>,
    of_models: bool,
    declares: bool,
    member: &'de str,
) -> Result<(), serde_json::Error> {
    let holds = member.starts_with(['[', '{']) || (of_models && member.starts_with('"'));
    if !holds {
        return Ok(());
    }
    let mut reader = serde_json::Deserializer::from_slice(member.as_bytes());

    Search { found, of_models, declares, inside: false }.deserialize(&mut reader)
}

/// Members that a declaration is judged by.
const JUDGED: [&str; 8] = [
    "name",
    "type",
    "url",
    "mcp_server_name",
    "default_config",
    "configs",
    "tool_configuration",
    "skills",
];

/// Is it one of these in another case?
fn is_variant(name: &str) -> bool {
    JUDGED.iter().any(|ours| name.eq_ignore_ascii_case(ours) && name != *ours)
}

struct Search<'a, 'de> {
    found: &'a mut Found<'de>,
    /// The member is a list of models: a bare string in it is one too.
    of_models: bool,
    /// The member declares something: a name of ours in another case is a second one to some servers.
    declares: bool,
    /// In the member itself, or already in one of its elements?
    inside: bool,
}

impl<'de> Search<'_, 'de> {
    fn names<E: de::Error>(&mut self, value: Value<'de>) -> Result<(), E> {
        match value {
            Value::Null => return Ok(()),
            Value::Text(name) if self.found.beside.len() < MOST => self.found.beside.push(name),
            Value::Text(_) | Value::Bool(_) | Value::Other => {
                return Err(E::custom("a model that is no name, or too many of them"));
            }
        }

        Ok(())
    }

    fn text<E: de::Error>(mut self, text: Cow<'de, str>) -> Result<(), E> {
        if self.of_models { self.names(Value::Text(text)) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Search<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut seen = false;
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            if name.eq_ignore_ascii_case("model") {
                self.found.twice |= std::mem::replace(&mut seen, true);
                let value = map.next_value()?;
                self.names(value)?;
            } else {
                self.found.twice |= self.declares && is_variant(&name);
                map.next_value::<IgnoredAny>()?;
            }
        }

        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { found, of_models, declares, inside } = self;
        if inside {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while list
            .next_element_seed(Search { found: &mut *found, of_models, declares, inside: true })?
            .is_some()
        {}

        Ok(())
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<(), E> {
        self.text(Cow::Borrowed(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.text(Cow::Owned(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
}
