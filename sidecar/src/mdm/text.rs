//! Values as texts, as preference stores keep them: every value is a string, a list or mapping one JSON document.

use super::keys::{Kind, Table};
use super::settings::Keys;
use serde_json::Value;

/// A value as a text.
pub fn encode(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A text as a value, if the table knows the key.
pub fn decode(table: &Table, name: &str, text: &str) -> Value {
    let Some(key) = table.key(name) else { return text.into() };
    let json = || serde_json::from_str(text).ok();
    let value = match key.kind {
        Kind::Bool => match text {
            "true" | "1" => Some(true.into()),
            "false" | "0" => Some(false.into()),
            _ => None,
        },
        Kind::Integer => text.parse::<i64>().ok().map(Value::from),
        Kind::Number => json().filter(Value::is_number),
        Kind::Strings | Kind::Objects => json().filter(Value::is_array),
        Kind::Object => json().filter(|value| value.is_object() || value.is_boolean()),
        Kind::Any => json(),
        Kind::String | Kind::Enum => None,
    };

    value.unwrap_or_else(|| text.into())
}

/// Texts as values.
pub fn decoded(table: &Table, texts: impl IntoIterator<Item = (String, String)>) -> Keys {
    let value = |(name, text): (String, String)| {
        let value = decode(table, &name, &text);
        (name, value)
    };

    texts.into_iter().map(value).collect()
}

/// The name of a key as a variable's: `CLAUDE_INFERENCE_PROVIDER`.
pub fn variable(key: &str) -> String {
    let mut name = String::from("CLAUDE_");
    let mut before = '_';
    for sign in key.chars() {
        if sign.is_ascii_uppercase() && !before.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(sign.to_ascii_uppercase());
        before = sign;
    }

    name
}

/// Lines that a POSIX shell takes.
pub fn exports<'k>(variables: impl Iterator<Item = (String, &'k Value)>) -> String {
    let line = |(name, value): (String, &Value)| {
        let text = encode(value).replace('\'', r"'\''");
        format!("export {name}='{text}'\n")
    };

    variables.map(line).collect()
}
