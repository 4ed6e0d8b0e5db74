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
//!     { "id": "research", "groups": ["research"], "models": ["claude-opus-*"],
//!       "content": "full", "audit": "before" }
//!   ]
//! }
//! ```
//!
//! `rates`, a sheet of negotiated prices ([`crate::price::Sheet`]), may stand beside them. It lies over
//! the list prices that the build ships.
//!
//! A rule may also say what becomes of the calls it allows. All rules that allow a call are heard,
//! not only the one that its row names, so here too their order does not matter:
//!
//! - `content`: what the row keeps of what was said, `none`, `redacted` or `full`. The strictest
//!   that any of them says holds; `redacted` where none says anything.
//! - `audit`: `before` has the call stored before it may leave (503 if that cannot be), `after` is
//!   the rule's word for not asking. One that says `before` is enough; `after` where none does.

use crate::audit::ContentMode;
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
    /// What a row keeps of what was said; absent: the rule does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentMode>,
    /// When a call is stored; absent: the rule does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
}

/// When a call must be known to be stored. The greater is the stricter.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Audit {
    /// Once it has ended.
    #[default]
    After,
    /// Before it may leave.
    Before,
}

/// What the rules that allow a call say of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    content: Option<ContentMode>,
    audit: Audit,
}

impl Terms {
    /// What the row keeps of what was said.
    pub fn content(self) -> ContentMode {
        self.content.unwrap_or_default()
    }

    /// When the call must be known to be stored.
    pub fn audit(self) -> Audit {
        self.audit
    }

    /// These and those: the stricter of each.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            // The lesser content is the stricter; who says nothing does not count.
            content: self.content.into_iter().chain(other.content).min(),
            audit: self.audit.max(other.audit),
        }
    }
}

/// A yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant<'a> {
    /// The first rule that allows it.
    pub rule_id: &'a str,
    /// What all rules that allow it say.
    pub terms: Terms,
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

    /// May this caller use this model, given by its normalised name? Rules that say nothing of the
    /// call are asked only until one allows it.
    pub fn allows(&self, tenant: &str, groups: &[String], model: &str) -> Option<Grant<'_>> {
        let mut rules = self.rules.iter();
        let first = rules.find(|rule| rule.allows(tenant, groups, model))?;
        let others = rules.filter(|rule| rule.says() && rule.allows(tenant, groups, model));
        let terms = others.fold(first.terms(), |terms, rule| terms.and(rule.terms()));

        Some(Grant { rule_id: &first.id, terms })
    }
}

impl Rule {
    fn allows(&self, tenant: &str, groups: &[String], model: &str) -> bool {
        let Self { id: _, tenants, groups: wanted, models, content: _, audit: _ } = self;

        (tenants.is_empty() || tenants.iter().any(|name| name == tenant))
            && (wanted.is_empty() || wanted.iter().any(|name| groups.contains(name)))
            && models.iter().any(|pattern| model::matches(pattern, model))
    }

    fn says(&self) -> bool {
        self.content.is_some() || self.audit.is_some()
    }

    fn terms(&self) -> Terms {
        Terms { content: self.content, audit: self.audit.unwrap_or_default() }
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
mod tests;
