//! Which way a change goes. What is not certain whoever asks is [`Way::Depends`].

use super::Way::{Depends, Loosens, Neither, Tightens};
use super::{Way, mcp};
use serde_json::Value;

/// A new rule. One that goes is the same the other way round.
pub(super) fn added(section: &str, entry: &Value) -> Way {
    let has = |name: &str| entry.get(name).is_some();
    match section {
        "rules" if denies(entry) => Tightens,
        // Terms hold for calls that others allow already.
        "rules" if has("content") || has("audit") => Depends,
        "rules" | "servers" => Loosens,
        "tools" => mcp::rule(entry),
        "sign_in" => Tightens,
        "secrets" | "blocklists" if entry.get("action").is_some_and(|action| action == "deny") => {
            Tightens
        }
        "secrets" | "blocklists" => Neither,
        _ => Depends,
    }
}

fn denies(rule: &Value) -> bool {
    rule.get("effect").is_some_and(|effect| effect == "deny")
}

/// A member of a rule.
pub(super) fn changed(
    section: &str,
    was: &Value,
    is: &Value,
    member: &str,
    from: &Value,
    to: &Value,
) -> Way {
    let place = member.split_once('.').map_or(member, |(first, _)| first);
    // What a wider rule does.
    let wider = match (added(section, was), added(section, is)) {
        (one, other) if one == other => one,
        _ => Depends,
    };
    match (section, place) {
        (_, "who") => turn(wider, audience(from, to)),
        (_, "unless") if member.contains('.') => turn(wider, audience(from, to).map(|wide| !wide)),
        (_, "unless") => turn(wider, sides(from, to).map(|added| !added)),
        ("rules", "models") | ("secrets", "patterns") | ("blocklists", "words") => {
            turn(wider, superset(from, to))
        }
        ("rules", "effect") | ("secrets" | "blocklists", "action") => {
            turn(Tightens, Some(to == "deny"))
        }
        ("rules", "audit") if from == "before" || to == "before" => {
            turn(Tightens, Some(to == "before"))
        }
        (_, "audit" | "labels" | "say" | "severity" | "display_name" | "created_at") => Neither,
        ("rules", "content") => content(from, to),
        ("tools", "tools") if mcp::names(member.split_once('.').map_or("", |(_, name)| name)) => {
            mcp::word(from, to)
        }
        ("tools", "tools") => word(member, from, to),
        ("servers", "gateway") => mcp::gateway((was, is), member, from, to),
        ("sign_in", "tiers") => turn(Loosens, superset(from, to)),
        ("sign_in", "bound") => turn(Tightens, Some(to == true)),
        ("secrets", "except") => turn(wider, superset_or_none(from, to).map(|more| !more)),
        _ => Depends,
    }
}

/// What `wider` means if a rule gets wider, narrower, or neither of the two.
pub(super) fn turn(wider: Way, gets: Option<bool>) -> Way {
    match gets {
        Some(true) => wider,
        Some(false) => wider.turned(),
        None => Depends,
    }
}

/// Is a list of an audience wider than before? None at all is everyone.
fn audience(from: &Value, to: &Value) -> Option<bool> {
    match (from.is_null(), to.is_null()) {
        (_, true) => Some(true),
        (true, _) => Some(false),
        _ => superset(from, to),
    }
}

/// Something is there that was not (true), or is gone (false).
fn sides(from: &Value, to: &Value) -> Option<bool> {
    match (from.is_null(), to.is_null()) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    }
}

/// Has a list all that it had, and more (true); or only some of it (false)?
pub(super) fn superset(from: &Value, to: &Value) -> Option<bool> {
    let (from, to) = (from.as_array()?, to.as_array()?);
    let more = from.iter().all(|one| to.contains(one));
    let less = to.iter().all(|one| from.contains(one));

    (more != less).then_some(more)
}

fn superset_or_none(from: &Value, to: &Value) -> Option<bool> {
    sides(from, to).or_else(|| superset(from, to))
}

pub(super) fn rank(words: &[&str], value: &Value) -> Option<usize> {
    words.iter().position(|word| value == word)
}

/// Of rows that keep less, less can be read.
pub(super) fn content(from: &Value, to: &Value) -> Way {
    let rank = |value: &Value| rank(&["none", "redacted", "full"], value);
    match (rank(from), rank(to)) {
        (Some(from), Some(to)) if to < from => Tightens,
        (Some(_), Some(_)) => Loosens,
        _ => Depends,
    }
}

/// The word for a tool, or for a pattern of tools.
fn word(member: &str, from: &Value, to: &Value) -> Way {
    let words = &["allow", "ask", "approve", "blocked"];
    // Of patterns the strictest counts, and what nobody speaks of is allowed.
    let only_tightens = |word: &Value| member.contains('*') || word == "blocked";
    match (rank(words, from), rank(words, to)) {
        (Some(from), Some(to)) => turn(Tightens, Some(to > from)),
        (None, _) if only_tightens(to) => Tightens,
        (_, None) if only_tightens(from) => Loosens,
        // An exact name beats a pattern.
        (None, Some(0)) => Loosens,
        (Some(0), None) => Tightens,
        _ => Depends,
    }
}

/// A member of the document, or of one of its members.
pub(super) fn document(name: &str, inner: &str, from: &Value, to: &Value) -> Way {
    match (name, inner) {
        ("name" | "description" | "schema" | "rates", _) | ("break_glass", "keep_days") => Neither,
        ("break_glass", "") => turn(Loosens, Some(from.is_null())),
        ("break_glass", _) => turn(Loosens, superset(from, to)),
        ("approvals", inner) => mcp::approvals(inner, from, to),
        ("standing", "") => turn(Tightens, Some(from.is_null())),
        ("standing", _) => turn(Tightens, Some(to.as_u64() < from.as_u64())),
        _ => Depends,
    }
}
