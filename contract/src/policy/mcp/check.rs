//! Faults of servers that are reached through the gate, of rules over arguments, of approvals.

use super::super::check::Faults;
use super::super::document::{ServerRule, ToolRule};
use super::{APPROVALS, Approvals, Condition, Gateway, Word};
use std::collections::BTreeMap;

/// Longest pattern of a resource's address, bytes.
const LONGEST_PATTERN: usize = 512;

/// The longest that an agent is kept waiting: clients give up on a silent call sooner or later.
const LONGEST_WAIT: u32 = 900; // seconds; Envoy's own patience with a silent stream

/// The longest that an approval can be used.
const LONGEST_VALID: u32 = 7 * 24 * 3600; // seconds

/// The largest that `largest_result` may be, bytes: it is held in the filter's memory.
const LARGEST: u32 = 32 * 1024 * 1024;

pub(in super::super) fn server(faults: &mut Faults, place: &str, rule: &ServerRule) {
    let Some(gateway) = &rule.gateway else { return };
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if !rule.id.bytes().all(fits)
        || rule.id.contains("__")
        || rule.id.starts_with('_')
        || rule.id.ends_with('_')
        || rule.id == APPROVALS
    {
        faults.add(
            format!("{place}.id"),
            format!(
                "{:?} is a part of its address: lower case, digits, - and single _ between them, and not {APPROVALS:?}",
                rule.id
            ),
        );
    }
    let place = format!("{place}.gateway");
    names(faults, &place, gateway);
    for (tool, digest) in &gateway.pins {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if digest.len() != 64 || !digest.bytes().all(hex) {
            faults.add(
                format!("{place}.pins.{tool:?}"),
                "must be a SHA-256: 64 digits of lower-case hex",
            );
        }
    }
    if gateway.largest_result.is_some_and(|most| most == 0 || most > LARGEST) {
        faults.add(format!("{place}.largest_result"), format!("must be 1 to {LARGEST} bytes"));
    }
    if gateway.title.as_ref().is_some_and(|title| {
        title.trim().is_empty() || title.len() > 100 || title.contains(char::is_control)
    }) {
        faults.add(format!("{place}.title"), "must be one line of up to 100 bytes");
    }
}

fn names(faults: &mut Faults, place: &str, gateway: &Gateway) {
    let plain = |name: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:*".contains(&byte);
        !name.is_empty() && name.len() <= super::LONGEST_NAME && name.bytes().all(fits)
    };
    for name in gateway.tools.keys().filter(|name| !plain(name)) {
        faults.add(
            format!("{place}.tools.{name:?}"),
            "no tool has such a name: letters, digits and - _ . / :, and * for any of them",
        );
    }
    let printed = |name: &str| {
        !name.is_empty() && name.len() <= LONGEST_PATTERN && !name.contains(char::is_control)
    };
    for (member, list) in [("resources", &gateway.resources), ("prompts", &gateway.prompts)] {
        for (name, word) in list {
            if !printed(name) {
                faults.add(
                    format!("{place}.{member}.{name:?}"),
                    format!("must be one line of up to {LONGEST_PATTERN} bytes"),
                );
            }
            if *word == Word::Approve {
                faults.add(
                    format!("{place}.{member}.{name:?}"),
                    "only calls of tools can be approved of: allow, ask or blocked",
                );
            }
        }
    }
}

pub(in super::super) fn arguments(faults: &mut Faults, place: &str, rule: &ToolRule) {
    let conditions: &BTreeMap<String, Condition> = &rule.arguments;
    for (pointer, condition) in conditions {
        let place = format!("{place}.arguments.{pointer:?}");
        if !pointer.starts_with('/') || pointer.len() > LONGEST_PATTERN {
            faults.add(place.clone(), "must be a JSON Pointer, such as /amount");
        }
        let Condition { over, under, like, unlike } = condition;
        if over.is_none() && under.is_none() && like.is_empty() && unlike.is_empty() {
            faults.add(place.clone(), "says nothing: over, under, like or unlike");
        }
        if over.zip(*under).is_some_and(|(over, under)| over >= under) {
            faults.add(place, "holds for no number: over is not under under");
        }
    }
    if !conditions.is_empty() && rule.tools.keys().any(|name| name.starts_with("skill:")) {
        faults.add(format!("{place}.arguments"), "are for calls of tools: skills have none");
    }
}

pub(in super::super) fn approvals(faults: &mut Faults, approvals: &Approvals) {
    if approvals.approvers.is_everyone() {
        faults.add("approvals.approvers", "must say who may: everyone is nobody to ask");
    }
    for (member, seconds, most) in [
        ("wait_seconds", approvals.wait_seconds, LONGEST_WAIT),
        ("valid_seconds", approvals.valid_seconds, LONGEST_VALID),
    ] {
        if seconds == 0 || seconds > most {
            faults.add(format!("approvals.{member}"), format!("must be 1 to {most}"));
        }
    }
}
