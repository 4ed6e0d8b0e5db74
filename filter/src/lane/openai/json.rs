//! JSON read by its members and written by hand.
//!
//! Every object is read into names and the text of its values, and a value is looked at only where it matters: what
//! is long, as a prompt, a schema or an answer, is copied as it stands and never unescaped. One type for all objects
//! also keeps the module small, and so does that nothing here is put into its callers: there are a hundred of them.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// An object: names and the text of their values. Where a name stands twice, the last counts. Nobody escapes a name
/// that is known here, and an object with an escaped name is none.
#[derive(Debug, Default)]
pub(super) struct Object<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

impl<'a> Object<'a> {
    /// Reads an object; `None` for anything else.
    #[inline(never)]
    pub(super) fn read(text: &'a str) -> Option<Self> {
        serde_json::from_slice(text.as_bytes()).ok()
    }

    /// Its members in order.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().map(|(name, value)| (*name, value.get()))
    }

    /// A value's text; `None` if it is absent or null.
    #[inline(never)]
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.get()).filter(|value| *value != "null")
    }

    /// A string's text with its quotes, as it stands.
    #[inline(never)]
    pub(super) fn quoted(&self, name: &str) -> Option<&'a str> {
        self.get(name).filter(|value| value.starts_with('"'))
    }

    /// A string as it stands between its quotes, for words that have nothing to escape; empty where there is none.
    #[inline(never)]
    pub(super) fn word(&self, name: &str) -> &'a str {
        self.quoted(name).map_or("", between)
    }

    /// A whole number.
    #[inline(never)]
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// Is it true?
    #[inline(never)]
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// An object.
    #[inline(never)]
    pub(super) fn object(&self, name: &str) -> Option<Object<'a>> {
        self.get(name).and_then(Object::read)
    }

    /// An array of objects.
    #[inline(never)]
    pub(super) fn objects(&self, name: &str) -> Option<Vec<Object<'a>>> {
        self.get(name).and_then(objects)
    }
}

/// An array of objects.
#[inline(never)]
pub(super) fn objects(text: &str) -> Option<Vec<Object<'_>>> {
    serde_json::from_slice(text.as_bytes()).ok()
}

/// How many values an array has.
#[inline(never)]
pub(super) fn count(array: &str) -> usize {
    let (mut commas, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in array.bytes() {
        match byte {
            _ if std::mem::take(&mut escaped) => {}
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b',' if !in_string => commas = commas.saturating_add(1),
            _ => {}
        }
    }
    let is_empty = array.trim_matches(['[', ']']).trim_ascii().is_empty();

    if is_empty { 0 } else { commas.saturating_add(1) }
}

/// A string's characters.
#[inline(never)]
pub(super) fn unquoted(text: &str) -> Option<String> {
    serde_json::from_slice(text.as_bytes()).ok()
}

/// Is it an object, and nothing behind it?
#[inline(never)]
pub(super) fn is_object(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{')
        && serde_json::from_slice::<&RawValue>(text.as_bytes()).is_ok()
}

/// What stands between a string's quotes, escapes and all. Such texts put one behind the other are one such text.
#[inline(never)]
pub(super) fn between(quoted: &str) -> &str {
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default()
}

/// Appends text as it stands.
#[inline(never)]
pub(super) fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Appends a string, in quotes.
#[inline(never)]
pub(super) fn put_string(out: &mut Vec<u8>, text: &str) {
    put(out, "\"");
    put_escaped(out, text);
    put(out, "\"");
}

/// Appends a string's characters, escaped (RFC 8259, §7).
#[inline(never)]
pub(super) fn put_escaped(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in text.bytes() {
        match byte {
            b'"' => put(out, "\\\""),
            b'\\' => put(out, "\\\\"),
            b'\n' => put(out, "\\n"),
            b'\r' => put(out, "\\r"),
            b'\t' => put(out, "\\t"),
            0..0x20 => {
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
                put(out, "\\u00");
                out.extend([digit(byte >> 4), digit(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
}

/// Appends one string of texts that stood between quotes.
#[inline(never)]
pub(super) fn put_joined(out: &mut Vec<u8>, texts: &[&str]) {
    put(out, "\"");
    for text in texts {
        put(out, text);
    }
    put(out, "\"");
}

/// Begins another item of an array.
#[inline(never)]
pub(super) fn item(out: &mut Vec<u8>) -> &mut Vec<u8> {
    if out.last() != Some(&b'[') {
        out.push(b',');
    }
    out
}

/// Writes members of one object, with the commas.
pub(super) struct Members<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Members<'o> {
    /// Begins an object.
    #[inline(never)]
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        put(out, "{");
        Self { out, first: true }
    }

    /// Writes a name; the value is the caller's to write. Names are ours: nothing in them is escaped.
    #[inline(never)]
    pub(super) fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            put(self.out, ",");
        }
        put(self.out, "\"");
        put(self.out, name);
        put(self.out, "\":");
        self.out
    }

    /// Writes a member whose value is JSON as it stands.
    #[inline(never)]
    pub(super) fn raw(&mut self, name: &str, json: &str) {
        put(self.name(name), json);
    }

    /// Writes more of the last member's value.
    pub(super) fn more(&mut self, json: &str) {
        put(self.out, json);
    }

    /// Writes a member whose value is a string.
    #[inline(never)]
    pub(super) fn string(&mut self, name: &str, text: &str) {
        put_string(self.name(name), text);
    }

    /// Writes a number, or null where there is none.
    #[inline(never)]
    pub(super) fn number(&mut self, name: &str, number: Option<u64>) {
        match number {
            Some(number) => self.raw(name, &number.to_string()),
            None => self.raw(name, "null"),
        }
    }

    /// Ends the object; what comes behind it is the caller's.
    #[inline(never)]
    pub(super) fn end(self) -> &'o mut Vec<u8> {
        put(self.out, "}");
        self.out
    }
}
