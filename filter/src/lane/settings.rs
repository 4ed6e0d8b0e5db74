//! A lane's plugin configuration, checked: what an operator writes in `lanes.yaml`.

use super::family::{Family, Terms};
use crate::settings::{SettingsError, read};
use crate::trail::Facts;
use contract::headers;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::rc::Rc;

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[expect(dead_code, reason = "it was read to come here")]
    role: String,
    name: String,
    provider: String,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    zones: Vec<String>,
    #[serde(default)]
    models: BTreeMap<String, String>,
    #[serde(default)]
    params: BTreeMap<String, String>,
    #[serde(default)]
    attribution: Vec<String>,
    #[serde(default)]
    insecure_attribution_to_others: bool,
}

/// As it is used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who serves behind it: rows tell it.
    pub facts: Rc<Facts>,
    /// The zones it may serve callers of who are pinned to one.
    pub zones: Vec<String>,
    /// How it speaks.
    pub family: Family,
    /// Headers in which the lane's routes tell it who calls. None but for a next hop of one's own.
    pub attribution: Vec<String>,
}

impl Settings {
    /// Reads the configuration (JSON text).
    ///
    /// # Errors
    /// Every fault at once.
    pub fn parse(configuration: &[u8]) -> Result<Self, SettingsError> {
        let raw: Raw = read(configuration)?;
        let mut faults = Vec::new();
        let word = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
        };
        for (key, value) in [("name", Some(&raw.name)), ("region", raw.region.as_ref())] {
            if value.is_some_and(|value| !word(value)) {
                faults.push(format!("{key}: 1 to 64 of a-z, 0-9, - _ ."));
            }
        }
        for (index, zone) in raw.zones.iter().enumerate() {
            if !word(zone) || zone == headers::ABSENT {
                faults.push(format!("zones[{index}]: 1 to 64 of a-z, 0-9, - _ ., and not none"));
            }
        }
        let terms = Terms { models: raw.models, params: raw.params };
        let family = Family::of(&raw.provider, terms).map_err(|more| faults.extend(more)).ok();
        let own = family.as_ref().is_some_and(Family::is_ones_own);
        if !raw.attribution.is_empty() && !own && !raw.insecure_attribution_to_others {
            faults.push(format!(
                "attribution: {} is not the enterprise's own; who calls stays inside \
                 (insecure_attribution_to_others: true has it told all the same)",
                raw.provider
            ));
        }
        attribution(&raw.attribution, &mut faults);
        match family {
            Some(family) if faults.is_empty() => Ok(Self {
                facts: Rc::new(Facts {
                    lane: raw.name,
                    provider: raw.provider,
                    region: raw.region,
                }),
                zones: raw.zones,
                family,
                attribution: raw.attribution,
            }),
            _ => Err(SettingsError(faults)),
        }
    }
}

fn attribution(told: &[String], faults: &mut Vec<String>) {
    for (index, header) in told.iter().enumerate() {
        let named = header.len() <= 64
            && header.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && header.starts_with("x-")
            && !header.starts_with(headers::RESERVED_PREFIX);
        if !named {
            faults.push(format!(
                "attribution[{index}]: a header in lower case that begins with x-, and none of ours"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn faults(configuration: &str) -> Vec<String> {
        let SettingsError(faults) = Settings::parse(configuration.as_bytes()).unwrap_err();
        faults
    }

    #[test]
    fn every_fault_is_named() {
        let faults = faults(
            r#"{"role":"lane","name":"A b","provider":"anthropic","region":"","zones":["none"],
                "attribution":["X-User","x-tollgate-a","x-pay"],
                "insecure_attribution_to_others":true}"#,
        );

        let keys: Vec<_> = faults.iter().map(|fault| fault.split(':').next().unwrap()).collect();
        assert_eq!(keys, ["name", "region", "zones[0]", "attribution[0]", "attribution[1]"]);
    }

    #[test]
    fn who_calls_is_told_to_nobody_elses_provider_unless_somebody_says_so_in_as_many_words() {
        let told = r#"{"role":"lane","name":"a","provider":"anthropic","attribution":["x-user"]}"#;
        assert!(faults(told)[0].starts_with("attribution: anthropic is not the enterprise's own"));

        let insecure = told.replace("]}", r#"],"insecure_attribution_to_others":true}"#);
        let settings = Settings::parse(insecure.as_bytes()).unwrap();
        assert_eq!(settings.attribution, ["x-user"]);
    }

    #[test]
    fn a_provider_that_nobody_knows_is_a_fault() {
        let faults = faults(r#"{"role":"lane","name":"a","provider":"nobody"}"#);

        assert!(faults[0].starts_with("provider: nobody is none of"), "{faults:?}");
    }
}
