//! Audiences: what each has with those that it includes, and which nobody can reach.

use super::source::{AudienceSource, Reading};
use crate::policy::walk::closest;
use contract::manifest::name_fault;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What an audience has, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Has {
    pub(crate) plugins: BTreeSet<String>,
    pub(crate) skills: BTreeSet<String>,
    pub(crate) agents: BTreeSet<String>,
    pub(crate) servers: BTreeSet<String>,
}

impl Has {
    fn add(&mut self, audience: &AudienceSource) {
        self.plugins.extend(audience.plugins.iter().cloned());
        self.skills.extend(audience.skills.iter().cloned());
        self.agents.extend(audience.agents.iter().cloned());
        self.servers.extend(audience.mcp_servers.iter().cloned());
    }
}

/// What each audience has, in their order. Names that are not known and rings are faults.
pub(crate) fn resolve(reading: &mut Reading) -> Vec<Has> {
    let audiences = reading.source.audiences.clone();
    let index: BTreeMap<&str, usize> =
        audiences.iter().enumerate().map(|(index, it)| (it.name.as_str(), index)).collect();
    let mut spelt = BTreeSet::new();
    for (at, audience) in audiences.iter().enumerate() {
        let place = format!("audiences[{at}].name");
        if let Some(problem) = name_fault(&audience.name) {
            reading.fault(&place, format!("{:?} {problem}", audience.name));
        }
        if !spelt.insert(audience.name.to_ascii_lowercase()) {
            reading.fault(&place, format!("{:?} is used before", audience.name));
        }
        for (nth, name) in audience.includes.iter().enumerate() {
            if !index.contains_key(name.as_str()) {
                let near = closest(name, index.keys().copied());
                let near = near.map(|it| format!(": did you mean {it}?")).unwrap_or_default();
                let place = format!("audiences[{at}].includes[{nth}]");
                reading.fault(&place, format!("{name:?} is no audience{near}"));
            }
        }
    }
    let mut all = Vec::with_capacity(audiences.len());
    for (at, audience) in audiences.iter().enumerate() {
        let mut has = Has::default();
        let mut seen = BTreeSet::from([at]);
        let mut open = vec![audience];
        while let Some(one) = open.pop() {
            has.add(one);
            for next in one.includes.iter().filter_map(|name| index.get(name.as_str()).copied()) {
                if next == at {
                    let problem = format!("lead back to {:?}: a ring", audience.name);
                    reading.fault(&format!("audiences[{at}].includes"), problem);
                }
                if seen.insert(next) {
                    open.extend(audiences.get(next));
                }
            }
        }
        all.push(has);
    }
    unreachable(&audiences, reading);

    all
}

/// Of whom several fit, the first counts: one behind another that takes all of its people has nobody.
fn unreachable(audiences: &[AudienceSource], reading: &mut Reading) {
    for (at, later) in audiences.iter().enumerate() {
        let Some(earlier) = audiences.iter().take(at).find(|earlier| covers(earlier, later)) else {
            continue;
        };
        let problem = format!(
            "is reached by nobody: {:?} stands before it and takes all of its people",
            earlier.name
        );
        reading.fault(&format!("audiences[{at}]"), problem);
    }
}

/// Is everyone of the one of the other too? Only what is certain counts.
fn covers(earlier: &AudienceSource, later: &AudienceSource) -> bool {
    let lists = |who: &contract::policy::Who| match serde_json::to_value(who) {
        Ok(Value::Object(lists)) => Some(lists),
        _ => None,
    };
    let (Some(wide), Some(narrow)) = (lists(&earlier.who), lists(&later.who)) else { return false };
    let within = |wide: &Value, narrow: Option<&Value>| {
        let words = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let wide = words(wide);
        narrow.is_some_and(|narrow| words(narrow).iter().all(|word| wide.contains(word)))
    };

    (earlier.unless.is_none() || earlier.unless == later.unless)
        && wide.iter().all(|(name, list)| within(list, narrow.get(name)))
}
