//! Changes to a resource (RFC 7644 §3.5.2), in the forms that directories really send: operations with capital
//! letters, dotted names as members of a value without a path, truth values as text.

use super::Fault;
use super::resource::ENTERPRISE;
use axum::http::StatusCode;
use serde_json::{Map, Value};

/// Most operations of a request.
const MOST: usize = 1_000;

/// Longest path.
const LONGEST: usize = 512;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Adds, or replaces what has one value.
    Add,
    /// Replaces.
    Replace,
    /// Takes away.
    Remove,
}

/// Where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Path {
    /// Of the extension for enterprises?
    pub enterprise: bool,
    /// The attribute; empty for the extension itself.
    pub attribute: String,
    /// Of its values those that have this.
    pub filter: Option<(String, Value)>,
    /// Of that, this part.
    pub sub: Option<String>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// What.
    pub verb: Verb,
    /// Where.
    pub path: Path,
    /// With what.
    pub value: Value,
}

impl Operation {
    /// Would it leave unsaid whether somebody is active?
    pub fn is_active_nulled(&self) -> bool {
        let active = !self.path.enterprise && self.path.attribute.eq_ignore_ascii_case("active");

        active && self.verb != Verb::Remove && self.value.is_null()
    }
}

/// Reads a request. An operation without a path becomes one for each member of its value.
///
/// # Errors
/// [`Fault`].
pub fn read(body: &Value) -> Result<Vec<Operation>, Fault> {
    let operations = member(body, "operations").and_then(Value::as_array);
    let operations = operations.ok_or_else(|| Fault::syntax("Operations is missing"))?;
    if operations.len() > MOST {
        return Err(Fault::syntax(format!("more than {MOST} operations")));
    }
    let mut read = Vec::with_capacity(operations.len());
    for operation in operations {
        let verb = member(operation, "op").and_then(Value::as_str).unwrap_or_default();
        let verb = match &*verb.to_ascii_lowercase() {
            "add" => Verb::Add,
            "replace" => Verb::Replace,
            "remove" => Verb::Remove,
            _ => return Err(Fault::syntax("op is add, replace or remove")),
        };
        let value = member(operation, "value").cloned().unwrap_or_default();
        match member(operation, "path").and_then(Value::as_str) {
            Some(text) => read.push(Operation { verb, path: path(text)?, value }),
            None if verb == Verb::Remove => {
                let status = StatusCode::BAD_REQUEST;
                return Err(Fault::new(status, "noTarget", "remove needs a path"));
            }
            None => {
                let Value::Object(members) = value else {
                    return Err(Fault::syntax("without a path the value is an object"));
                };
                for (name, value) in members {
                    read.push(Operation { verb, path: path(&name)?, value });
                }
            }
        }
    }
    if read.len() > MOST {
        return Err(Fault::syntax(format!("more than {MOST} operations")));
    }

    Ok(read)
}

/// Reads a path: `attribute`, `attribute.sub`, `attribute[sub eq value].sub`, each behind its schema or not.
///
/// # Errors
/// [`Fault`]: `invalidPath`.
pub fn path(text: &str) -> Result<Path, Fault> {
    let wrong = || Fault::path(format!("{text} is no path"));
    let mut rest = text.trim();
    if rest.is_empty() || rest.len() > LONGEST {
        return Err(wrong());
    }
    let mut path = Path::default();
    if let Some(behind) = after(rest, ENTERPRISE) {
        path.enterprise = true;
        let Some(behind) = behind.strip_prefix(':') else {
            return if behind.is_empty() { Ok(path) } else { Err(wrong()) };
        };
        rest = behind;
    } else if let Some(behind) = after(rest, "urn:ietf:params:scim:schemas:core:2.0:") {
        let (_, attribute) = behind.split_once(':').ok_or_else(wrong)?;
        rest = attribute;
    }
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (attribute, mut rest) = rest.split_at_checked(end).ok_or_else(wrong)?;
    attribute.clone_into(&mut path.attribute);
    if let Some(inner) = rest.strip_prefix('[') {
        let (filter, behind) = inner.split_once(']').ok_or_else(wrong)?;
        path.filter = Some(condition(filter).ok_or_else(wrong)?);
        rest = behind;
    }
    if let Some(sub) = rest.strip_prefix('.') {
        path.sub = Some(sub.to_owned());
        rest = "";
    }
    let plain = |name: &str| {
        let fits = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-' | '$');
        !name.is_empty() && name.chars().all(fits)
    };
    let subs = path.sub.as_deref().is_none_or(plain);

    if rest.is_empty() && plain(&path.attribute) && subs { Ok(path) } else { Err(wrong()) }
}

/// `sub eq value`.
fn condition(text: &str) -> Option<(String, Value)> {
    let (sub, rest) = text.trim().split_once(char::is_whitespace)?;
    let (operator, value) = rest.trim_start().split_once(char::is_whitespace)?;
    let value = serde_json::from_str(value.trim()).ok()?;

    operator.eq_ignore_ascii_case("eq").then(|| (sub.to_owned(), value))
}

fn after<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(before.len())?;

    head.eq_ignore_ascii_case(before).then_some(rest)
}

/// A member, without regard to case (RFC 7643 §2.1).
pub fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let object = value.as_object()?;

    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Does it to a resource.
pub fn apply(resource: &mut Map<String, Value>, operation: Operation) {
    let Operation { verb, path, value } = operation;
    let place = if path.enterprise { object(entry(resource, ENTERPRISE)) } else { Some(resource) };
    let Some(place) = place else { return };
    if path.attribute.is_empty() {
        match (verb, value) {
            (Verb::Remove, _) => place.clear(),
            (_, Value::Object(members)) => merge(place, members),
            _ => {}
        }
        return;
    }
    match (path.filter, path.sub) {
        (Some(filter), sub) => {
            some(entry(place, &path.attribute), verb, &filter, sub.as_deref(), &value);
        }
        (None, Some(sub)) => {
            if let Some(place) = object(entry(place, &path.attribute)) {
                set(place, verb, &sub, value);
            }
        }
        (None, None) => set(place, verb, &path.attribute, value),
    }
}

/// Of an attribute with many values those that are meant; where none is, one is made.
fn some(
    values: &mut Value,
    verb: Verb,
    (name, wanted): &(String, Value),
    sub: Option<&str>,
    value: &Value,
) {
    if !values.is_array() {
        *values = Value::Array(Vec::new());
    }
    let Some(values) = values.as_array_mut() else { return };
    let is = |one: &Value| member(one, name).is_some_and(|said| same(said, wanted));
    if verb == Verb::Remove && sub.is_none() {
        values.retain(|one| !is(one));
        return;
    }
    if verb != Verb::Remove && !values.iter().any(is) {
        values.push(Value::Object([(name.clone(), wanted.clone())].into_iter().collect()));
    }
    for one in values.iter_mut().filter(|one| is(one)) {
        let Some(one) = object(one) else { continue };
        match (sub, value) {
            (Some(sub), value) => set(one, verb, sub, value.clone()),
            (None, Value::Object(members)) => merge(one, members.clone()),
            (None, _) => {}
        }
    }
}

/// Truth values come as text, and types of addresses in any case.
fn same(said: &Value, wanted: &Value) -> bool {
    let plain = |value: &Value| match value {
        Value::String(text) => text.to_lowercase(),
        other => other.to_string(),
    };

    plain(said) == plain(wanted)
}

fn set(place: &mut Map<String, Value>, verb: Verb, name: &str, value: Value) {
    if verb == Verb::Remove || value.is_null() {
        place.retain(|key, _| !key.eq_ignore_ascii_case(name));
        return;
    }
    let current = entry(place, name);
    match (verb, current, value) {
        (Verb::Add, Value::Array(values), Value::Array(more)) => {
            for one in more {
                if !values.contains(&one) {
                    values.push(one);
                }
            }
        }
        (Verb::Add, Value::Array(values), one) => {
            if !values.contains(&one) {
                values.push(one);
            }
        }
        (_, Value::Object(members), Value::Object(more)) => merge(members, more),
        (_, current, value) => *current = value,
    }
}

fn merge(place: &mut Map<String, Value>, members: Map<String, Value>) {
    for (name, value) in members {
        if value.is_null() {
            place.retain(|key, _| !key.eq_ignore_ascii_case(&name));
        } else {
            *entry(place, &name) = value;
        }
    }
}

/// The member of this name, whatever its case; made where it is not there.
fn entry<'a>(place: &'a mut Map<String, Value>, name: &str) -> &'a mut Value {
    let known = place.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();

    place.entry(known.unwrap_or_else(|| name.to_owned())).or_insert(Value::Null)
}

/// As an object; what was there instead is gone.
fn object(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }

    value.as_object_mut()
}

#[cfg(test)]
mod tests;
