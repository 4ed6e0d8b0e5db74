//! Keys that belong together, and keys that exclude each other.

use super::keys::{Rule, Table};
use super::value::Said;
use crate::policy::yaml::At;
use serde_json::Value;
use std::collections::BTreeMap;

/// Checks what one client is given, by the table's rules.
pub fn check(
    of: &BTreeMap<String, (At, Value)>,
    table: &Table,
    (at, place): (At, &str),
    said: &mut Said,
) {
    for rule in &table.rules {
        if !rule.when.iter().all(|(name, wanted)| holds(of, name, wanted)) {
            continue;
        }
        let first = rule.when.keys().next().map_or("", String::as_str);
        let at = of.get(top(first)).map_or(at, |(at, _)| *at);
        for (name, problem) in broken(of, rule) {
            let place = format!("{place}.{name}");
            if rule.warns {
                said.warn(at, &place, problem);
            } else {
                said.fault(at, &place, problem);
            }
        }
    }
    marketplaces(of, place, said);
}

fn top(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

fn find<'v>(of: &'v BTreeMap<String, (At, Value)>, name: &str) -> Option<&'v Value> {
    let mut parts = name.split('.');
    let (_, first) = of.get(parts.next()?)?;

    parts.try_fold(first, |value, part| value.get(part))
}

fn holds(of: &BTreeMap<String, (At, Value)>, name: &str, wanted: &Value) -> bool {
    find(of, name).is_some_and(|value| wanted.as_str() == Some("*") || value == wanted)
}

fn broken<'r>(of: &BTreeMap<String, (At, Value)>, rule: &'r Rule) -> Vec<(&'r str, String)> {
    let said = |(name, wanted): (&String, &Value)| match wanted.as_str() {
        Some("*") => name.clone(),
        Some(word) => format!("{name}: {word}"),
        None => format!("{name}: {wanted}"),
    };
    let when = rule.when.iter().map(said).collect::<Vec<_>>().join(" and ");
    let says = &rule.says;
    let missing = rule.requires.iter().filter(|name| find(of, name).is_none());
    let mut broken: Vec<(&str, String)> = missing
        .map(|name| (name.as_str(), format!("is missing, and {when} needs it: {says}")))
        .collect();
    if let Some(first) = rule.requires_one.first()
        && rule.requires_one.iter().all(|name| find(of, name).is_none())
    {
        let names = rule.requires_one.join(" or ");
        broken.push((first, format!("is missing, and {when} needs {names}: {says}")));
    }
    for name in rule.excludes.iter().filter(|name| find(of, name).is_some()) {
        broken.push((name, format!("does not go with {when}: {says}")));
    }

    broken
}

/// A hosted list of plugins that installs by itself is pinned (the vendor's rule).
fn marketplaces(of: &BTreeMap<String, (At, Value)>, place: &str, said: &mut Said) {
    let Some((at, list)) = of.get("allowedPluginMarketplaces") else { return };
    for (index, entry) in list.as_array().into_iter().flatten().enumerate() {
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        let place = format!("{place}.allowedPluginMarketplaces[{index}]");
        let by_itself = matches!(text("installationPreference"), Some("auto_install" | "required"));
        if text("source") != Some("url") {
            if text("repo").is_none() && text("url").is_none() {
                said.fault(*at, &place, "names neither repo nor url");
            }
            continue;
        }
        if text("url").is_none() {
            said.fault(*at, &place, "has source: url and no url");
        }
        if by_itself && text("manifestSha256").is_none() {
            let problem = "installs by itself and has no manifestSha256: publishing prints it";
            said.fault(*at, &place, problem);
        }
    }
}
