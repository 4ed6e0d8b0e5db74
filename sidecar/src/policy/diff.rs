//! What changes from one policy to another, and whether it loosens or tightens.
//!
//! Only what is certain whoever asks is called one or the other.

use contract::policy::Document;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt;

mod judge;
mod mcp;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its section, such as `rules`; empty for members of the document itself.
    pub section: &'static str,
    /// The rule's id, or the member's name.
    pub id: String,
    /// What happened to it.
    pub what: What,
    /// Which way it goes.
    pub way: Way,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Added(Value),
    /// It is gone.
    Removed(Value),
    /// A member says something else.
    Changed {
        /// Which, such as `who.groups`.
        member: String,
        /// What it said.
        from: Value,
        /// What it says.
        to: Value,
    },
}

/// Which way a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// It can only allow more.
    Loosens,
    /// It can only allow less.
    Tightens,
    /// It depends on who asks what.
    Depends,
    /// It changes no verdict.
    Neither,
}

impl Way {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loosens => "loosens",
            Self::Tightens => "tightens",
            Self::Depends => "depends",
            Self::Neither => "neither",
        }
    }

    /// The other way round.
    fn turned(self) -> Self {
        match self {
            Self::Loosens => Self::Tightens,
            Self::Tightens => Self::Loosens,
            other => other,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { section, id, what, way } = self;
        let name = if section.is_empty() { id.clone() } else { format!("{section} {id}") };
        match what {
            What::Added(value) => write!(to, "+ {name} {value}")?,
            What::Removed(value) => write!(to, "- {name} {value}")?,
            What::Changed { member, from, to: now } => {
                let place = if member.is_empty() { String::new() } else { format!(".{member}") };
                write!(to, "~ {name}{place} {} -> {}", said(from), said(now))?;
            }
        }

        if *way == Way::Neither { Ok(()) } else { write!(to, "  ({})", way.as_str()) }
    }
}

fn said(value: &Value) -> String {
    if value.is_null() { "(nothing)".into() } else { value.to_string() }
}

impl Change {
    /// For programs.
    pub fn object(&self) -> Value {
        let (what, member, from, to) = match &self.what {
            What::Added(value) => ("added", None, &Value::Null, value),
            What::Removed(value) => ("removed", None, value, &Value::Null),
            What::Changed { member, from, to } => ("changed", Some(member), from, to),
        };

        json!({ "section": self.section, "id": self.id, "what": what, "member": member,
            "from": from, "to": to, "way": self.way.as_str() })
    }
}

/// Sections whose entries have ids.
const SECTIONS: [&str; 7] =
    ["rules", "tools", "servers", "secrets", "blocklists", "patterns", "models"];

/// All changes, in the order of the document.
pub fn diff(from: &Document, to: &Document) -> Vec<Change> {
    let (from, to) = (members(from), members(to));
    let mut changes = Vec::new();
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    for name in names.into_iter().filter(|name| !SECTIONS.contains(&name.as_str())) {
        let (was, is) = (member(&from, name), member(&to, name));
        document(name, was, is, &mut changes);
    }
    for section in SECTIONS {
        let (was, is) = (entries(&from, section), entries(&to, section));
        for (id, entry) in &was {
            match is.iter().find(|(other, _)| other == id) {
                None => changes.push(Change {
                    section,
                    id: id.clone(),
                    what: What::Removed(entry.clone()),
                    way: judge::added(section, entry).turned(),
                }),
                Some((_, now)) => inside(section, id, entry, now, &mut changes),
            }
        }
        for (id, entry) in is.iter().filter(|(id, _)| !was.iter().any(|(other, _)| other == id)) {
            let way = judge::added(section, entry);
            changes.push(Change { section, id: id.clone(), what: What::Added(entry.clone()), way });
        }
    }

    changes
}

fn members(document: &Document) -> Map<String, Value> {
    match serde_json::to_value(document) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn member<'v>(of: &'v Map<String, Value>, name: &str) -> &'v Value {
    of.get(name).unwrap_or(&Value::Null)
}

fn entries(of: &Map<String, Value>, section: &str) -> Vec<(String, Value)> {
    let list = member(of, section).as_array().cloned().unwrap_or_default();
    list.into_iter()
        .map(|entry| {
            let id = entry.get("id").and_then(Value::as_str).unwrap_or_default();
            (id.to_owned(), entry)
        })
        .collect()
}

/// Members of the document that are no lists of rules, taken apart one level.
fn document(name: &str, was: &Value, is: &Value, changes: &mut Vec<Change>) {
    let (Value::Object(before), Value::Object(after)) = (was, is) else {
        if was != is {
            let way = judge::document(name, "", was, is);
            let what = match (was.is_null(), is.is_null()) {
                (true, _) => What::Added(is.clone()),
                (_, true) => What::Removed(was.clone()),
                _ => What::Changed { member: String::new(), from: was.clone(), to: is.clone() },
            };
            changes.push(Change { section: "", id: name.to_owned(), what, way });
        }
        return;
    };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for inner in names {
        let (from, to) = (member(before, inner).clone(), member(after, inner).clone());
        if from != to {
            let way = judge::document(name, inner, &from, &to);
            let what = What::Changed { member: inner.clone(), from, to };
            changes.push(Change { section: "", id: name.to_owned(), what, way });
        }
    }
}

/// What changed in a rule, member by member; `who`, `unless` and `tools` one level deeper.
fn inside(section: &'static str, id: &str, was: &Value, is: &Value, changes: &mut Vec<Change>) {
    let (Some(before), Some(after)) = (was.as_object(), is.as_object()) else { return };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (from, to) = (member(before, name), member(after, name));
        if from == to {
            continue;
        }
        let deeper =
            matches!(name.as_str(), "who" | "tools") || (name == "unless" && both(from, to));
        let parts = match name.as_str() {
            "gateway" if both(from, to) => mcp::parts(from, to),
            _ if deeper => apart(name, from, to),
            _ => vec![(name.clone(), from, to)],
        };
        for (place, from, to) in parts {
            let way = judge::changed(section, was, is, &place, from, to);
            let what = What::Changed { member: place, from: from.clone(), to: to.clone() };
            changes.push(Change { section, id: id.to_owned(), what, way });
        }
    }
}

fn both(one: &Value, other: &Value) -> bool {
    one.is_object() && other.is_object()
}

/// The members of two mappings that differ; one that is not there has none.
fn apart<'v>(name: &str, from: &'v Value, to: &'v Value) -> Vec<(String, &'v Value, &'v Value)> {
    let keys = |value: &'v Value| value.as_object().into_iter().flat_map(Map::keys);
    let names: BTreeSet<&String> = keys(from).chain(keys(to)).collect();
    let get = |value: &'v Value, inner: &str| value.get(inner).unwrap_or(&Value::Null);
    names
        .into_iter()
        .map(|inner| (format!("{name}.{inner}"), get(from, inner), get(to, inner)))
        .filter(|(_, from, to)| from != to)
        .collect()
}

#[cfg(test)]
mod tests;
