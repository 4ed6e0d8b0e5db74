//! Taking members out of a JSON object, and putting others in, without writing the rest again.
//!
//! What a client wrote has meanings that a second writer loses: numbers no float can hold, escapes,
//! the order that a provider's cache is keyed by. So the ranges of single members are found in one
//! reading, and the body is copied once around them.

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// An object, and where in it stand the members that were looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object<'a> {
    body: &'a [u8],
    /// Behind its opening brace.
    open: usize,
    members: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    name: &'static str,
    /// Where the one before it ends; its own comma stands behind that.
    from: usize,
    value: Range<usize>,
}

/// What cannot be edited: no object, or a member that was looked for stands there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoObject;

/// What is to be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Edits {
    /// In the order of their places; none over another.
    changes: Vec<(Range<usize>, Vec<u8>)>,
    /// Members that come in front, without their commas.
    added: Vec<Vec<u8>>,
}

impl Edits {
    /// Is nothing to be changed?
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.added.is_empty()
    }

    fn change(&mut self, range: Range<usize>, value: Vec<u8>) {
        let at = self.changes.iter().take_while(|(known, _)| known.start < range.start).count();
        self.changes.insert(at, (range, value));
    }

    /// A member of this name and of this value, which is JSON.
    pub(crate) fn add(&mut self, name: &str, value: &[u8]) {
        self.added.push([b"\"", name.as_bytes(), b"\":", value].concat());
    }
}

impl<'a> Object<'a> {
    /// Reads an object, and notes where these of its members are.
    ///
    /// # Errors
    /// [`NoObject`].
    pub(crate) fn read(body: &'a [u8], names: &[&'static str]) -> Result<Self, NoObject> {
        let open = body.iter().position(|byte| *byte == b'{').ok_or(NoObject)?;
        let open = open.saturating_add(1);
        let search = Search { names, origin: body.as_ptr().addr(), from: open };
        let mut reader = serde_json::Deserializer::from_slice(body);
        let members = reader.deserialize_map(search).or(Err(NoObject))?;
        reader.end().or(Err(NoObject))?;

        Ok(Self { body, open, members })
    }

    /// The value of a member, as it stands there.
    pub(crate) fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.body.get(self.find(name)?.value.clone())
    }

    /// The value of a member that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name).map(|Name(text)| text)
    }

    /// A member that is read.
    pub(crate) fn get<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(self.value(name)?).ok()
    }

    fn find(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Takes a member out, if it is there.
    pub(crate) fn remove(&self, name: &str, edits: &mut Edits) {
        if let Some(member) = self.find(name) {
            edits.change(member.from..member.value.end, Vec::new());
        }
    }

    /// Puts another value into a member, if it is there.
    pub(crate) fn replace(&self, name: &str, value: Vec<u8>, edits: &mut Edits) {
        if let Some(member) = self.find(name) {
            edits.change(member.value.clone(), value);
        }
    }

    /// How long it will be, at most.
    pub(crate) fn length(&self, edits: &Edits) -> usize {
        let gone = edits.changes.iter().map(|(range, _)| range.len());
        let new = edits.changes.iter().map(|(_, value)| value.len());
        let added = edits.added.iter().map(|member| member.len().saturating_add(1));
        let all = new.chain(added).fold(self.body.len(), usize::saturating_add);

        gone.fold(all, usize::saturating_sub)
    }

    /// The object with these changes; every other byte is its own.
    pub(crate) fn apply(&self, edits: Edits) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.length(&edits));
        let part = |range: Range<usize>| self.body.get(range).unwrap_or_default();

        out.extend_from_slice(part(0..self.open));
        let mut at = self.open;
        let mut changes = edits.changes.into_iter().peekable();
        // Where the first members go, the comma in front of the next one goes with them.
        while let Some((range, _)) = changes.next_if(|(range, _)| range.start == at) {
            at = range.end;
        }
        if at > self.open {
            let rest = self.body.get(at..).unwrap_or_default();
            let comma = rest.iter().position(|byte| !byte.is_ascii_whitespace());
            let comma = comma.filter(|place| rest.get(*place) == Some(&b','));
            at = comma.map_or(at, |place| at.saturating_add(place).saturating_add(1));
        }
        let rest = self.body.get(at..).unwrap_or_default();
        let last = rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'}');
        for (nth, member) in edits.added.iter().enumerate() {
            out.extend_from_slice(member);
            if !last || nth.saturating_add(1) < edits.added.len() {
                out.push(b',');
            }
        }
        for (range, value) in changes {
            out.extend_from_slice(part(at..range.start));
            out.extend_from_slice(&value);
            at = range.end;
        }
        out.extend_from_slice(part(at..self.body.len()));

        out
    }
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).unwrap_or_default()
}

/// A text, whichever way it is written.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Search<'n> {
    names: &'n [&'static str],
    origin: usize,
    from: usize,
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = Vec<Member>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Member>, A::Error> {
        let mut members: Vec<Member> = Vec::new();
        let mut from = self.from;
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            let value = map.next_value::<&'de RawValue>()?.get();
            let start = value.as_ptr().addr().saturating_sub(self.origin);
            let value = start..start.saturating_add(value.len());
            let end = value.end;
            if let Some(wanted) = self.names.iter().find(|wanted| **wanted == name) {
                if members.iter().any(|known| known.name == *wanted) {
                    return Err(A::Error::custom("twice"));
                }
                members.push(Member { name: wanted, from, value });
            }
            from = end;
        }

        Ok(members)
    }
}

#[cfg(test)]
mod tests;
