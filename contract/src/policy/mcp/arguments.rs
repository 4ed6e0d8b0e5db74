//! What a rule says of the arguments of a call.

use super::Word;
use crate::mcp::same_name;
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
                let mut fitting = members.iter().filter(|(name, _)| same_name(name, &token));
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
        // What is not there the server fills in, and only it knows how.
        let value = value.filter(|value| !value.is_null()).ok_or(Unknown)?;
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

/// Whole numbers up to here are exact in IEEE 754.
const EXACT: f64 = 9_007_199_254_740_991.0; // 2^53 - 1

/// Is it one of these? A list is, where all of its elements are, and is not, where none is.
fn like(patterns: &[String], value: &Value) -> Result<bool, Unknown> {
    let fits = |text: &str| {
        let text = text.to_lowercase();
        patterns.iter().any(|pattern| model::matches(&pattern.to_lowercase(), &text))
    };
    match value {
        Value::String(text) => Ok(fits(text)),
        // Beyond that two numbers are one here and two at the server.
        Value::Number(number) if number.as_f64().is_none_or(|n| n.abs() > EXACT) => Err(Unknown),
        Value::Number(_) | Value::Bool(_) => Ok(fits(&value.to_string())),
        Value::Array(elements) => {
            let mut elements = elements.iter().map(|element| like(patterns, element));
            let first = elements.next().unwrap_or(Ok(false))?;
            // Of some it holds, of others not.
            let same = elements.all(|other| other == Ok(first));
            same.then_some(first).ok_or(Unknown)
        }
        Value::Null => Ok(false),
        Value::Object(_) => Err(Unknown),
    }
}
