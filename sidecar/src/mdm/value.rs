//! What stands behind a key: read from the file's tree, with every fault and its place.

use super::format;
use super::keys::{Key, Kind, is_secret};
use crate::policy::walk::Found;
use crate::policy::yaml::{self, At, Kind as Tree, Node, Type};
use serde_json::{Map, Value};

/// Names this much alike are taken for slips of the pen (Damerau-Levenshtein, normalised).
const ALIKE: f64 = 0.6;

/// What was found on the way.
#[derive(Debug, Default)]
pub struct Said {
    /// What is wrong.
    pub faults: Vec<Found>,
    /// What is hardly meant so.
    pub warnings: Vec<Found>,
}

impl Said {
    /// Something is wrong.
    pub fn fault(&mut self, at: At, place: &str, problem: impl Into<String>) {
        self.faults.push(Found { at, place: place.to_owned(), problem: problem.into() });
    }

    /// Something is hardly meant so.
    pub fn warn(&mut self, at: At, place: &str, problem: impl Into<String>) {
        self.warnings.push(Found { at, place: place.to_owned(), problem: problem.into() });
    }
}

/// Reads what stands behind a key. Nothing, if it is not what belongs there: then that has been said.
pub fn read(node: &Node, key: &Key, place: &str, said: &mut Said) -> Option<Value> {
    match &node.kind {
        Tree::Scalar { text, plain } => scalar(node.at, (text, *plain), key, place, said),
        Tree::List(nodes) => list(node, nodes, key, place, said),
        Tree::Map(pairs) => match key.kind {
            Kind::Object => object(node.at, pairs, key, place, said),
            Kind::Any => Some(any(node, place, said)),
            _ => wrong(node, key, place, said),
        },
    }
}

fn wrong(node: &Node, key: &Key, place: &str, said: &mut Said) -> Option<Value> {
    let is = node.kind.name();
    said.fault(node.at, place, format!("is {is}, and {} here", belongs(key)));

    None
}

fn belongs(key: &Key) -> String {
    match key.kind {
        Kind::Enum => format!("one word belongs here: {}", key.values.join(", ")),
        Kind::Object if key.table.is_none() => {
            let names: Vec<&str> = key.members.iter().map(|member| member.name.as_str()).collect();
            format!("members belong here: {}", names.join(", "))
        }
        Kind::Object => "NAME: VALUE belongs here".to_owned(),
        Kind::Strings | Kind::Objects => "a list belongs here: write […]".to_owned(),
        kind => format!("{} belongs here", kind.belongs()),
    }
}

fn scalar(
    at: At,
    (text, plain): (&str, bool),
    key: &Key,
    place: &str,
    said: &mut Said,
) -> Option<Value> {
    let is = yaml::typed(text, plain);
    let node = || Node { at, kind: Tree::Scalar { text: text.to_owned(), plain } };
    if !matches!(key.kind, Kind::Any) && is == Type::Text && !carried(at, text, place, said) {
        return None;
    }
    match (key.kind, is) {
        (Kind::String, Type::Text) => self::text(at, text, key, place, said),
        (Kind::Objects | Kind::Strings, Type::Text) if key.or_text => Some(text.into()),
        (Kind::Bool, Type::Truth) => Some(text.eq_ignore_ascii_case("true").into()),
        (Kind::Object, Type::Truth) if key.or_bool => {
            Some(text.eq_ignore_ascii_case("true").into())
        }
        (Kind::Integer, Type::Number) => integer(at, text, key, place, said),
        (Kind::Number, Type::Number) => match serde_json::from_str::<Value>(text) {
            Ok(number) if number.is_number() => Some(number),
            _ => wrong(&node(), key, place, said),
        },
        (Kind::Enum, Type::Text) => word(at, text, key, place, said),
        (Kind::Any, _) => Some(any(&node(), place, said)),
        (Kind::String, Type::Truth | Type::Number) if !key.secret => {
            let quoted = format!("is {}, and text belongs here: write \"{text}\"", name(is));
            said.fault(at, place, quoted);
            None
        }
        (Kind::Bool, Type::Text)
            if matches!(text, "yes" | "no" | "on" | "off" | "true" | "false") =>
        {
            let word = if matches!(text, "yes" | "on" | "true") { "true" } else { "false" };
            said.fault(at, place, format!("is text, and true or false belongs here: write {word}"));
            None
        }
        (Kind::Integer, Type::Text) if text.parse::<i64>().is_ok() => {
            said.fault(
                at,
                place,
                format!("is text, and a whole number belongs here: write {text}"),
            );
            None
        }
        _ => wrong(&node(), key, place, said),
    }
}

fn name(is: Type) -> &'static str {
    match is {
        Type::Null => "empty",
        Type::Truth => "a truth value",
        Type::Number => "a number",
        Type::Text => "text",
    }
}

/// Can every format carry it? XML and the registry have no signs that control.
fn carried(at: At, text: &str, place: &str, said: &mut Said) -> bool {
    let odd = |sign: char| {
        (sign.is_control() && sign != '\n' && sign != '\t')
            || matches!(sign, '\u{fffe}' | '\u{ffff}')
    };
    let Some(sign) = text.chars().find(|sign| odd(*sign)) else { return true };
    let code = u32::from(sign);
    said.fault(
        at,
        place,
        format!("has a control character (U+{code:04X}), which no profile can carry"),
    );

    false
}

fn text(at: At, text: &str, key: &Key, place: &str, said: &mut Said) -> Option<Value> {
    if let Some(most) = key.max_length {
        let is = text.chars().count();
        if is > most {
            said.fault(at, place, format!("has {is} characters, and {most} are the most"));
            return None;
        }
    }
    if let Some(format) = key.format
        && let Err(problem) = format::check(format, text)
    {
        said.fault(at, place, problem);
        return None;
    }
    if text.is_empty() {
        said.fault(at, place, "is empty: leave it out, or say something");
        return None;
    }
    if key.secret {
        said.warn(at, place, SECRET);
    }

    Some(text.into())
}

const SECRET: &str = "is a secret, and stands in this file and on every machine that gets the profile: \
                      a helper keeps it off both";

fn integer(at: At, text: &str, key: &Key, place: &str, said: &mut Said) -> Option<Value> {
    let Ok(number) = text.parse::<i64>() else {
        said.fault(at, place, format!("is {text}, and a whole number belongs here"));
        return None;
    };
    if let Some((least, most)) = key.range
        && !(least..=most).contains(&number)
    {
        said.fault(at, place, format!("is {number}, and {least} to {most} belongs here"));
        return None;
    }

    Some(number.into())
}

fn word(at: At, text: &str, key: &Key, place: &str, said: &mut Said) -> Option<Value> {
    if key.values.iter().any(|value| value == text) {
        return Some(text.into());
    }
    let problem = match key.retired_values.get(text) {
        Some(now) => format!("is {text:?}, which is no longer read: write {now}"),
        None => format!(
            "is {text:?}, and one of these belongs here: {}{}",
            key.values.join(", "),
            like(text, key.values.iter().map(String::as_str))
        ),
    };
    said.fault(at, place, problem);

    None
}

/// What was perhaps meant, as the end of a sentence.
pub fn like<'k>(text: &str, known: impl Iterator<Item = &'k str>) -> String {
    let lower = text.to_lowercase();
    let near = known
        .map(|one| (strsim::normalized_damerau_levenshtein(&lower, &one.to_lowercase()), one))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((nearness, one)) if nearness >= ALIKE => format!(". Did you mean {one}?"),
        _ => String::new(),
    }
}

fn list(node: &Node, nodes: &[Node], key: &Key, place: &str, said: &mut Said) -> Option<Value> {
    if key.kind == Kind::Any {
        return Some(any(node, place, said));
    }
    let one = entry(key);
    let texts = key.kind == Kind::Strings || key.or_list;
    if !texts && key.kind != Kind::Objects {
        return wrong(node, key, place, said);
    }
    let mut values = Vec::new();
    let before = said.faults.len();
    for (index, node) in nodes.iter().enumerate() {
        let place = format!("{place}[{index}]");
        let value = match &node.kind {
            Tree::Map(pairs) if key.kind == Kind::Objects => {
                object(node.at, pairs, key, &place, said)
            }
            Tree::Scalar { text, plain: true }
                if key.or_text && yaml::typed(text, true) == Type::Text =>
            {
                carried(node.at, text, &place, said).then(|| Value::from(text.as_str()))
            }
            Tree::Scalar { text, plain: false } if key.or_text => {
                carried(node.at, text, &place, said).then(|| Value::from(text.as_str()))
            }
            _ if texts => read(node, &one, &place, said),
            _ => {
                said.fault(
                    node.at,
                    &place,
                    format!("is {}, and members belong here", node.kind.name()),
                );
                None
            }
        };
        values.extend(value);
    }

    (said.faults.len() == before).then_some(Value::Array(values))
}

/// What one of a list of texts is.
fn entry(key: &Key) -> Key {
    Key {
        name: key.name.clone(),
        kind: if key.values.is_empty() { Kind::String } else { Kind::Enum },
        values: key.values.clone(),
        retired_values: key.retired_values.clone(),
        format: key.format,
        ..Key::default()
    }
}

fn object(
    at: At,
    pairs: &[(yaml::Key, Node)],
    key: &Key,
    place: &str,
    said: &mut Said,
) -> Option<Value> {
    let mut value = Map::new();
    let before = said.faults.len();
    for (name, node) in pairs {
        let inner = format!("{place}.{}", name.text);
        let one;
        let member = if let Some(kind) = key.table {
            if key.name == "env" && !is_variable(&name.text) {
                said.fault(name.at, &inner, "is no name of a variable: letters, digits and _");
                continue;
            }
            if name.text.chars().any(char::is_control) {
                said.fault(name.at, &inner, "has a control character in its name");
                continue;
            }
            one = Key { kind, secret: is_secret(&name.text), format: None, ..entry(key) };
            &one
        } else if let Some(member) = key.members.iter().find(|member| member.name == name.text) {
            member
        } else {
            said.fault(name.at, &inner, no_member(&name.text, key));
            continue;
        };
        if let Some(read) = read(node, member, &inner, said) {
            value.insert(name.text.clone(), read);
        }
    }
    let stands = |name: &str| pairs.iter().any(|(key, _)| key.text == name);
    for member in key.members.iter().filter(|member| member.required && !stands(&member.name)) {
        said.fault(at, &format!("{place}.{}", member.name), "is missing");
    }
    if !key.one_of.is_empty() && key.one_of.iter().filter(|name| stands(name)).count() != 1 {
        said.fault(at, place, format!("has exactly one of {}", key.one_of.join(", ")));
    }

    (said.faults.len() == before).then_some(Value::Object(value))
}

/// A name that a shell takes (POSIX.1-2024, 3.216).
fn is_variable(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';

    name.bytes().all(plain) && name.starts_with(|first: char| !first.is_ascii_digit())
}

fn no_member(name: &str, key: &Key) -> String {
    let names = key.members.iter().map(|member| member.name.as_str());
    let near = like(name, names.clone());

    format!("is no member here: {}{near}", names.collect::<Vec<_>>().join(", "))
}

/// Whatever JSON has.
pub fn any(node: &Node, place: &str, said: &mut Said) -> Value {
    match &node.kind {
        Tree::Map(pairs) => {
            let each = pairs.iter().map(|(key, node)| {
                let place = format!("{place}.{}", key.text);
                (key.text.clone(), any(node, &place, said))
            });
            each.collect()
        }
        Tree::List(nodes) => {
            let each = nodes.iter().enumerate();
            each.map(|(index, node)| any(node, &format!("{place}[{index}]"), said)).collect()
        }
        Tree::Scalar { text, plain } => match yaml::typed(text, *plain) {
            Type::Null => Value::Null,
            Type::Truth => text.eq_ignore_ascii_case("true").into(),
            Type::Number => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
            Type::Text => {
                carried(node.at, text, place, said);
                text.as_str().into()
            }
        },
    }
}
