//! What is kept of a body is bounded, and counted while it is read: a module's memory never shrinks.

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

/// Most elements of a list or members of a map. Clients with many MCP servers declare some hundreds.
const MOST: usize = 4096;

/// Longest name, bytes; the Messages API's own limit for tools is 128.
const LONGEST: usize = 256;

/// A name that is not longer than names are.
#[derive(Default)]
pub(super) struct Name(pub(super) String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        if name.len() > LONGEST {
            return Err(D::Error::custom("a name that is too long"));
        }

        Ok(Self(name))
    }
}

/// A list of a bounded length; empty for null.
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Elements(PhantomData))
    }
}

struct Elements<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
    type Value = List<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(one) = from.next_element()? {
            if list.len() >= MOST {
                return Err(A::Error::custom("too many"));
            }
            list.push(one);
        }

        Ok(List(list))
    }
}

/// A map of a bounded size, each name once; empty for null.
pub(super) struct Configs<T>(pub(super) BTreeMap<String, T>);

impl<T> Default for Configs<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Configs<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Members(PhantomData))
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = Configs<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Configs<T>, E> {
        Ok(Configs::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Configs<T>, A::Error> {
        let mut configs = BTreeMap::new();
        while let Some(Name(name)) = from.next_key()? {
            if configs.len() >= MOST {
                return Err(A::Error::custom("too many"));
            }
            match configs.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(from.next_value()?);
                }
                Entry::Occupied(_) => return Err(A::Error::custom("a name twice")),
            }
        }

        Ok(Configs(configs))
    }
}
