//! One JSON-RPC 2.0 message, read as strictly as the loosest reader behind us needs it.
//!
//! A member on which we decide may stand there once, in one spelling: there are servers that take the first of two, and
//! such that do not look at the case. A list of messages is refused (not allowed since 2025-06-18).

use contract::mcp::same_name;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Longest id of a request, bytes as written.
const LONGEST_ID: usize = 256;

/// Longest method.
const LONGEST_METHOD: usize = 128;

/// A text that is no message, or could be read as two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not JSON, or not an object where one must be.
    Malformed,
    /// A list of messages.
    Batch,
    /// A member stands there twice, or in two spellings.
    Twice,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something is asked for.
    Request,
    /// Something is told.
    Notification,
    /// Something is answered, with a result.
    Result,
    /// Something is answered, with an error.
    Error,
}

/// A message, borrowed.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// What it is.
    pub kind: Kind,
    /// The id, as it is written.
    pub id: Option<&'a str>,
    /// The method; empty of an answer.
    pub method: Cow<'a, str>,
    /// `params`, `result` or `error`, as it is written.
    pub content: Option<&'a str>,
}

/// Reads a message.
///
/// # Errors
/// [`Fault`].
pub fn read(text: &str) -> Result<Message<'_>, Fault> {
    if text.trim_start().starts_with('[') {
        return Err(Fault::Batch);
    }
    let [version, id, method, params, result, error] =
        members(text, ["jsonrpc", "id", "method", "params", "result", "error"])?;
    if version != Some("\"2.0\"") {
        return Err(Fault::Malformed);
    }
    let id = id.filter(|id| *id != "null");
    if id.is_some_and(|id| !is_id(id)) {
        return Err(Fault::Malformed);
    }
    let (kind, content) = match (method, result, error) {
        (Some(_), None, None) if id.is_some() => (Kind::Request, params),
        (Some(_), None, None) => (Kind::Notification, params),
        (None, Some(_), None) if id.is_some() => (Kind::Result, result),
        (None, None, Some(_)) => (Kind::Error, error),
        _ => return Err(Fault::Malformed),
    };
    let method = match method {
        Some(method) => {
            word(method).filter(|text| text.len() <= LONGEST_METHOD).ok_or(Fault::Malformed)?
        }
        None => Cow::Borrowed(""),
    };
    if content.is_some_and(|content| !content.starts_with('{')) {
        return Err(Fault::Malformed);
    }

    Ok(Message { kind, id, method, content })
}

/// An id is a text or a whole number (MCP, "Requests").
fn is_id(raw: &str) -> bool {
    let number = raw.strip_prefix('-').unwrap_or(raw);
    let whole = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());

    raw.len() <= LONGEST_ID && (raw.starts_with('"') || whole)
}

/// A text out of JSON.
pub fn word(raw: &str) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    serde_json::from_slice::<Text<'_>>(raw.as_bytes()).ok().map(|Text(text)| text)
}

/// The members of an object that have these names, as they are written.
///
/// # Errors
/// [`Fault::Malformed`] if it is no object, [`Fault::Twice`] if one of them is there twice or in another case.
pub fn members<'a, const N: usize>(
    json: &'a str,
    names: [&'static str; N],
) -> Result<[Option<&'a str>; N], Fault> {
    let mut found = [None; N];
    match search(json, &names, &mut found) {
        Ok(false) => Ok(found),
        Ok(true) => Err(Fault::Twice),
        Err(_) => Err(Fault::Malformed),
    }
}

/// Is one of these members of an object there twice, or in another spelling?
pub fn is_twice(json: &str, names: &[&'static str]) -> bool {
    let mut found = vec![None; names.len()];

    search(json, names, &mut found).is_ok_and(|twice| twice)
}

/// Has an object these members and no others?
pub fn only(json: &str, names: &[&str]) -> bool {
    type All<'a> = std::collections::BTreeMap<Cow<'a, str>, &'a RawValue>;

    serde_json::from_slice::<All<'_>>(json.as_bytes())
        .is_ok_and(|all| all.keys().all(|name| names.contains(&&**name)))
}

fn search<'a>(
    json: &'a str,
    names: &[&'static str],
    found: &mut [Option<&'a str>],
) -> Result<bool, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json.as_bytes());
    let twice = Search { names, found }.deserialize(&mut reader)?;
    reader.end()?;

    Ok(twice)
}

struct Search<'s, 'a> {
    names: &'s [&'static str],
    found: &'s mut [Option<&'a str>],
}

impl<'de> DeserializeSeed<'de> for Search<'_, 'de> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Search<'_, 'de> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    /// Is one of them there twice?
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        #[derive(serde::Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
        let mut twice = false;
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            let value = map.next_value::<&'de RawValue>()?.get();
            let Some(at) = self.names.iter().position(|ours| same_name(&name, ours)) else {
                continue;
            };
            let (Some(slot), Some(ours)) = (self.found.get_mut(at), self.names.get(at)) else {
                return Err(A::Error::custom("no place"));
            };
            twice |= slot.replace(value).is_some() || name != *ours;
        }

        Ok(twice)
    }
}
