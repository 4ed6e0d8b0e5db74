//! Which change of a key loosens what people or programs may.

use super::keys::{Key, Security, Table, Unset};
use serde::Serialize;
use serde_json::Value;
use std::cmp::Ordering;

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Something is as open as before.
    Changes,
    /// Something is closed that was open.
    Tightens,
    /// Something goes, or is decided, elsewhere.
    Redirects,
    /// Something is open that was closed.
    Loosens,
}

impl Effect {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Tightens => "tightens",
            Self::Redirects => "redirects",
            Self::Loosens => "LOOSENS",
        }
    }
}

/// Does a value loosen by itself? Then why.
pub fn loose(key: &Key, value: &Value) -> Option<String> {
    match key.security.as_ref()? {
        Security::Safe(safe) => {
            let is = value.as_bool()?;
            (is != *safe).then(|| format!("loosens: {safe} is the stricter. {}", key.about))
        }
        Security::Fewer(_) => {
            let star = value.as_array()?.iter().any(|entry| entry.as_str() == Some("*"));
            star.then(|| "loosens: * opens everything".to_owned())
        }
        Security::Permissions => {
            let mode = value.get("defaultMode").and_then(Value::as_str)?;
            (mode == "bypassPermissions").then(|| "loosens: nothing is asked".to_owned())
        }
        Security::More(_) | Security::Order(_) | Security::Lower | Security::Redirects => None,
    }
}

/// What becomes of a key that changes.
pub fn effect(table: &Table, name: &str, before: Option<&Value>, after: Option<&Value>) -> Effect {
    let Some(key) = table.key(name) else { return Effect::Redirects };
    let Some(security) = &key.security else { return Effect::Changes };
    let before = before.or(key.default.as_ref());
    let after = after.or(key.default.as_ref());
    match security {
        Security::Safe(safe) => {
            let loose =
                |value: Option<&Value>| value.and_then(Value::as_bool).map(|is| is != *safe);
            // What is not set and has no known default is taken for the looser before, the looser after.
            match (loose(before), loose(after)) {
                (Some(false), None) | (Some(false) | None, Some(true)) => Effect::Loosens,
                (Some(true) | None, Some(false)) => Effect::Tightens,
                _ => Effect::Changes,
            }
        }
        Security::Fewer(unset) => set(entries(before), entries(after), *unset == Unset::Open),
        Security::More(unset) => {
            // The other way round: what was denied is open afterwards.
            let nothing = (*unset == Unset::Open).then(Vec::new);
            let list = |value: Option<&'_ Value>| entries(value).or_else(|| nothing.clone());
            set(list(after), list(before), false)
        }
        Security::Order(words) => {
            let rank = |value: Option<&Value>| {
                let word = value.and_then(Value::as_str);
                word.and_then(|word| words.iter().position(|one| one == word)).unwrap_or(0)
            };
            way(rank(before).cmp(&rank(after)))
        }
        Security::Lower => {
            let number = |value: Option<&Value>| value.and_then(Value::as_i64).unwrap_or(i64::MAX);
            way(number(before).cmp(&number(after)))
        }
        Security::Redirects => Effect::Redirects,
        Security::Permissions => permissions(before, after),
    }
}

fn way(order: Ordering) -> Effect {
    match order {
        Ordering::Less => Effect::Loosens,
        Ordering::Equal => Effect::Changes,
        Ordering::Greater => Effect::Tightens,
    }
}

fn entries(value: Option<&Value>) -> Option<Vec<Value>> {
    value.map(|value| match value {
        Value::Array(entries) => entries.clone(),
        other => vec![other.clone()],
    })
}

/// Lists of what is open. Nothing where there is none, which opens all or nothing.
fn set(before: Option<Vec<Value>>, after: Option<Vec<Value>>, none_is_open: bool) -> Effect {
    let (before, after) = match (before, after) {
        (None, None) => return Effect::Changes,
        (None, Some(_)) if none_is_open => return Effect::Tightens,
        (Some(_), None) if none_is_open => return Effect::Loosens,
        (before, after) => (before.unwrap_or_default(), after.unwrap_or_default()),
    };
    if after.iter().any(|entry| !before.contains(entry)) {
        Effect::Loosens
    } else if before.iter().any(|entry| !after.contains(entry)) {
        Effect::Tightens
    } else {
        Effect::Changes
    }
}

fn permissions(before: Option<&Value>, after: Option<&Value>) -> Effect {
    let list = |of: Option<&Value>, name: &str| {
        entries(of.and_then(|value| value.get(name))).unwrap_or_default()
    };
    let grown = |from: &[Value], to: &[Value]| to.iter().any(|entry| !from.contains(entry));
    let opens = ["allow", "additionalDirectories"]
        .iter()
        .any(|name| grown(&list(before, name), &list(after, name)));
    let uncloses =
        ["deny", "ask"].iter().any(|name| grown(&list(after, name), &list(before, name)));
    let word = |of: Option<&Value>, name: &str| of.and_then(|value| value.get(name)).cloned();
    let unlocks =
        ["disableBypassPermissionsMode", "disableAutoMode", "blockReadsOutsideWorkingDirectories"]
            .iter()
            .any(|name| word(before, name).is_some() && word(after, name) != word(before, name));
    if opens || uncloses || unlocks {
        return Effect::Loosens;
    }
    let mode = |of: Option<&Value>| rank(word(of, "defaultMode").as_ref());
    match mode(before).cmp(&mode(after)) {
        Ordering::Less => Effect::Loosens,
        Ordering::Equal | Ordering::Greater => Effect::Tightens,
    }
}

/// How much a mode does without asking. One that is not known counts as one that asks nothing.
fn rank(mode: Option<&Value>) -> u8 {
    match mode.map(|mode| mode.as_str().unwrap_or_default()) {
        Some("plan") => 0,
        None | Some("default" | "dontAsk") => 1,
        Some("acceptEdits") => 2,
        Some("auto") => 3,
        Some(_) => 4,
    }
}
