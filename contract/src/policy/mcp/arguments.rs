//! What a rule says of the arguments of a call.

use super::Word;
use crate::model;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What an argument must be for a rule to speak. All that is said must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// A number over this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<i64>,
    /// A number under this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<i64>,
    /// One of these, whatever its case; `*` for any run of characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub like: Vec<String>,
    /// None of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlike: Vec<String>,
}

/// Does a rule with these conditions and this word speak of a call? In a list there are no arguments: a rule that
/// opens speaks then, because some arguments are open, and one that closes does not. Where it cannot be told whether
/// a condition holds, a rule that closes speaks and one that opens does not.
pub(super) fn speaks(
    conditions: &BTreeMap<String, Condition>,
    arguments: Option<&Value>,
    word: Word,
) -> bool {
    let opens = word <= Word::Ask;
    if conditions.is_empty() {
        return true;
    }
    let Some(arguments) = arguments else { return opens };
    let mut unknown = false;
    for (pointer, condition) in conditions {
        match find(arguments, pointer).and_then(|found| condition.holds(found)) {
            Ok(true) => {}
            Ok(false) => return false,
            Err(Unknown) => unknown = true,
        }
    }

    !unknown || !opens
}

/// It cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unknown;

/// The value at a JSON Pointer (RFC 6901). Names are compared whatever their case, because servers exist that
/// do; where two fit, nobody knows which one the server takes.
fn find<'v>(value: &'v Value, pointer: &str) -> Result<Option<&'v Value>, Unknown> {
    let mut at = value;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        match at {
            Value::Object(members) => {
                let mut fitting =
                    members.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&token));
                match (fitting.next(), fitting.next()) {
                    (Some((_, member)), None) => at = member,
                    (None, _) => return Ok(None),
                    (Some(_), Some(_)) => return Err(Unknown),
                }
            }
            Value::Array(elements) => {
                let index = token.parse::<usize>().or(Err(Unknown))?;
                match elements.get(index) {
                    Some(element) => at = element,
                    None => return Ok(None),
                }
            }
            // Where an object is awaited stands something else: the server may read it in some way.
            Value::Null => return Ok(None),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(Unknown),
        }
    }

    Ok(Some(at))
}

impl Condition {
    fn holds(&self, value: Option<&Value>) -> Result<bool, Unknown> {
        let Some(value) = value.filter(|value| !value.is_null()) else {
            // What is not there is over and under nothing, and like nothing.
            return Ok(self.over.is_none() && self.under.is_none() && self.like.is_empty());
        };
        let mut all = true;
        if let Some(bound) = self.over {
            all &= number(value)? > wide(bound);
        }
        if let Some(bound) = self.under {
            all &= number(value)? < wide(bound);
        }
        if !self.like.is_empty() {
            all &= like(&self.like, value)?;
        }
        if !self.unlike.is_empty() {
            all &= !like(&self.unlike, value)?;
        }

        Ok(all)
    }
}

/// A number, also one that is written as text.
fn number(value: &Value) -> Result<f64, Unknown> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };

    number.filter(|number| number.is_finite()).ok_or(Unknown)
}

#[expect(clippy::cast_precision_loss, reason = "bounds of people are far below 2^53")]
fn wide(bound: i64) -> f64 {
    bound as f64
}

/// Is it one of these? A list is, where one of its elements is.
fn like(patterns: &[String], value: &Value) -> Result<bool, Unknown> {
    let fits = |text: &str| {
        let text = text.to_lowercase();
        patterns.iter().any(|pattern| model::matches(&pattern.to_lowercase(), &text))
    };
    match value {
        Value::String(text) => Ok(fits(text)),
        Value::Number(_) | Value::Bool(_) => Ok(fits(&value.to_string())),
        Value::Array(elements) => {
            let mut any = false;
            for element in elements {
                any |= like(patterns, element)?;
            }
            Ok(any)
        }
        Value::Null => Ok(false),
        Value::Object(_) => Err(Unknown),
    }
}
