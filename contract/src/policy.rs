//! The policy document: what people decided, signed, and judged in the filter.
//!
//! First form. A rule names whom it is for and which models they may use; what no rule allows is
//! refused. The order of rules never matters, so there is none to get wrong: adding a rule can
//! only allow more, removing one only less.
//!
//! ```json
//! {
//!   "schema": "tollgate.policy/v1",
//!   "name": "acme",
//!   "rules": [
//!     { "id": "everyone", "models": ["claude-haiku-*", "claude-sonnet-*"] },
//!     { "id": "research", "groups": ["research"], "models": ["claude-opus-*"] }
//!   ]
//! }
//! ```
//!
//! `rates`, a sheet of negotiated prices ([`crate::price::Sheet`]), may stand beside them. It lies over
//! the list prices that the build ships.

use crate::model;
use crate::price::{RateCard, Sheet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use thiserror::Error;

/// The value of `schema`.
pub const SCHEMA: &str = "tollgate.policy/v1";

/// A policy as it is written and signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// A name for people.
    pub name: String,
    /// What is allowed.
    pub rules: Vec<Rule>,
    /// Negotiated prices, laid over the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<Sheet>,
}

/// Who may use which models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stands in the row of every call it allowed.
    pub id: String,
    /// Tenants it is for; absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<String>,
    /// Groups it is for, any of them; absent: everyone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Models, `*` for any run of characters.
    pub models: Vec<String>,
}

/// One fault of a document: where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {problem}")]
pub struct Fault {
    /// A path in the document, such as `rules[2].models[0]`.
    pub place: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// A document without faults, ready to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    name: String,
    rules: Vec<Rule>,
    rates: Option<RateCard>,
}

impl Policy {
    /// Reads a signed payload.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn parse(payload: &[u8]) -> Result<Self, Vec<Fault>> {
        match serde_json::from_slice::<Document>(payload) {
            Ok(document) => Self::check(document),
            Err(error) => Err(vec![Fault {
                place: format!("line {}, column {}", error.line(), error.column()),
                problem: error.to_string(),
            }]),
        }
    }

    /// Checks a document.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn check(document: Document) -> Result<Self, Vec<Fault>> {
        let Document { schema, name, rules, rates } = document;
        let mut faults = Vec::new();
        if schema != SCHEMA {
            faults.push(fault("schema", format!("is {schema:?}, and must be {SCHEMA:?}")));
        }
        if rules.is_empty() {
            faults.push(fault("rules", "are empty: nobody could call anything"));
        }
        let mut seen = BTreeSet::new();
        let rules: Vec<Rule> = rules
            .into_iter()
            .enumerate()
            .map(|(index, rule)| checked(rule, index, &mut seen, &mut faults))
            .collect();
        let rates = rates.and_then(|sheet| laid_over(sheet, &mut faults));

        if faults.is_empty() { Ok(Self { name, rules, rates }) } else { Err(faults) }
    }

    /// The name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rate card with the negotiated prices, if the policy has any; else the build's own counts.
    pub fn rates(&self) -> Option<&RateCard> {
        self.rates.as_ref()
    }

    /// The first rule that lets this caller use this model, given by its normalised name.
    pub fn allows(&self, tenant: &str, groups: &[String], model: &str) -> Option<&str> {
        self.rules.iter().find(|rule| rule.allows(tenant, groups, model)).map(|rule| &*rule.id)
    }
}

impl Rule {
    fn allows(&self, tenant: &str, groups: &[String], model: &str) -> bool {
        let Self { id: _, tenants, groups: wanted, models } = self;

        (tenants.is_empty() || tenants.iter().any(|name| name == tenant))
            && (wanted.is_empty() || wanted.iter().any(|name| groups.contains(name)))
            && models.iter().any(|pattern| model::matches(pattern, model))
    }
}

fn fault(place: impl Into<String>, problem: impl Into<String>) -> Fault {
    Fault { place: place.into(), problem: problem.into() }
}

/// The card in force under a policy with negotiated prices.
fn laid_over(sheet: Sheet, faults: &mut Vec<Fault>) -> Option<RateCard> {
    let shipped = RateCard::shipped().map_err(|error| vec![fault("as_of", error.to_string())]);
    match shipped.and_then(|list| list.with(sheet)) {
        Ok(card) => Some(card),
        Err(found) => {
            let placed = |Fault { place, problem }| fault(format!("rates.{place}"), problem);
            faults.extend(found.into_iter().map(placed));
            None
        }
    }
}

/// The rule with its patterns in the form names are compared in.
fn checked(
    mut rule: Rule,
    index: usize,
    seen: &mut BTreeSet<String>,
    faults: &mut Vec<Fault>,
) -> Rule {
    if rule.id.is_empty() {
        faults.push(fault(format!("rules[{index}].id"), "is empty: a row could not name it"));
    } else if !seen.insert(rule.id.clone()) {
        faults.push(fault(
            format!("rules[{index}].id"),
            format!("{:?} is used before: a row could not tell the two apart", rule.id),
        ));
    }
    if rule.models.is_empty() {
        faults.push(fault(format!("rules[{index}].models"), "are empty: the rule allows nothing"));
    }
    for (position, pattern) in rule.models.iter_mut().enumerate() {
        match model::normalise_pattern(pattern) {
            Ok(normal) => *pattern = normal,
            Err(error) => faults.push(fault(
                format!("rules[{index}].models[{position}]"),
                format!("{pattern:?}: {error}"),
            )),
        }
    }

    rule
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const ACME: &str = r#"{"schema":"tollgate.policy/v1","name":"acme","rules":[
        {"id":"everyone","models":["claude-haiku-*","Claude-Sonnet-4-5-20250929"]},
        {"id":"research","groups":["research"],"models":["claude-opus-*"]},
        {"id":"agency","tenants":["agency"],"models":["*"]}]}"#;

    #[test]
    fn the_rule_that_allows_is_named() {
        let policy = Policy::parse(ACME.as_bytes()).unwrap();
        let research = ["research".to_owned()];

        assert_eq!(policy.allows("acme", &[], "claude-haiku-4-5"), Some("everyone"));
        assert_eq!(policy.allows("acme", &[], "claude-sonnet-4-5"), Some("everyone"));
        assert_eq!(policy.allows("acme", &research, "claude-opus-4-8"), Some("research"));
        assert_eq!(policy.allows("acme", &[], "claude-opus-4-8"), None);
        assert_eq!(policy.allows("agency", &[], "llama-3.3-70b"), Some("agency"));
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let broken = r#"{"schema":"x","name":"n","rules":[
            {"id":"a","models":["gut er"]},{"id":"a","models":[]}]}"#;

        let faults = Policy::parse(broken.as_bytes()).unwrap_err();

        let places: Vec<_> = faults.iter().map(|fault| fault.place.as_str()).collect();
        assert_eq!(places, ["schema", "rules[0].models[0]", "rules[1].id", "rules[1].models"]);
    }

    #[test]
    fn negotiated_prices_stand_in_the_policy() {
        let with = |rates: &str| {
            Policy::parse(
                format!(
                    r#"{{"schema":"tollgate.policy/v1","name":"n",
                    "rules":[{{"id":"a","models":["*"]}}],"rates":{rates}}}"#
                )
                .as_bytes(),
            )
        };
        let good = r#"{"as_of":"2026-11-01","source":"order form 4711","rates":[
            {"provider":"anthropic","models":["claude-*"],"discount":"0.2"}]}"#;
        let half = r#"{"as_of":"2026-11-01","source":"","rates":[
            {"provider":"anthropic","models":["claude-*"],"discount":"20%"}]}"#;

        let policy = with(good).unwrap();
        let input = |card: &RateCard| {
            card.nanos("anthropic", "claude-haiku-4-5", crate::price::Unit::Input)
        };
        assert_eq!(policy.rates().and_then(input), Some(800));
        assert!(Policy::parse(ACME.as_bytes()).unwrap().rates().is_none(), "the list counts");
        let places: Vec<_> = with(half).unwrap_err().into_iter().map(|fault| fault.place).collect();
        assert_eq!(places, ["rates.source", "rates.rates[0].discount"]);
    }

    #[test]
    fn a_word_this_version_does_not_know_is_a_fault_and_not_ignored() {
        let newer = r#"{"schema":"tollgate.policy/v1","name":"n","rules":[
            {"id":"a","models":["*"],"deny_tools":["bash"]}]}"#;

        assert!(Policy::parse(newer.as_bytes()).is_err(), "half a policy is no policy");
    }
}
