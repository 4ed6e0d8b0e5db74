//! 4. [`Caller`] and [`Call`] → [`Permit`]: may they?

use super::authenticate::{self, Caller};
use super::decode::Head;
use super::parse::Call;
use crate::refusal::Refusal;
use crate::snapshot::Bundle;
use contract::audit::Finding;
use contract::policy::{Asked, Declared, Denial, Grant, Subject, Terms, Why};
use std::collections::BTreeSet;

/// A call that the rules over models, tools, servers and skills allow. Only [`permit`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    call: Call,
    rule_id: String,
    terms: Terms,
    noted: Noted,
}

/// What the row tells of the policy's verdict, whatever it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Noted {
    /// What was found.
    pub findings: Vec<Finding<'static>>,
    /// Words for routes, sorted.
    pub labels: Vec<String>,
    /// Rules that would have denied, had the caller not broken the glass.
    pub passed: Vec<String>,
    /// More was found than is told.
    pub cut: bool,
}

/// A no of the policy, and what was known by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Its code.
    pub refusal: Refusal,
    /// What was asked for; the model is the one that is denied, if one is.
    pub call: Option<Call>,
    /// The rule that says so.
    pub rule_id: Option<String>,
    /// What its author has the person told.
    pub say: Option<String>,
    /// What the row tells.
    pub noted: Noted,
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, call: None, rule_id: None, say: None, noted: Noted::default() }
    }
}

impl Permit {
    /// It is denied after all: what was known by then stays known.
    pub(super) fn denied(self, denial: &Denial<'_>) -> Denied {
        let Denial { why, rule_id, say, place: _ } = *denial;

        Denied {
            refusal: why.into(),
            call: Some(self.call),
            rule_id: rule_id.map(ToOwned::to_owned),
            say: say.map(ToOwned::to_owned),
            // A call that goes nowhere has no route to match labels on.
            noted: Noted { labels: Vec::new(), ..self.noted },
        }
    }

    /// What the exchange keeps of it: what was asked for, the rule that allows it, what the row tells.
    pub(super) fn into_parts(self) -> (Call, String, Noted) {
        (self.call, self.rule_id, self.noted)
    }

    /// What was asked for.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// What the rules that allow it say of it.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// What the row tells of it.
    pub fn noted(&self) -> &Noted {
        &self.noted
    }

    /// What the row tells of it, to be added to.
    pub(super) fn noted_mut(&mut self) -> &mut Noted {
        &mut self.noted
    }
}

/// Who asks, in the policy's words.
pub fn subject<'a>(head: &'a Head, caller: &'a Caller) -> Subject<'a> {
    let claims = &caller.claims;

    Subject {
        tenant: &claims.tenant_id,
        user: &caller.user_id,
        groups: &claims.groups,
        department: claims.department.as_deref(),
        populations: &claims.populations,
        roles: &claims.roles,
        client: &claims.client_id,
        agent: head.agent_id.as_deref(),
        region: claims.region.as_deref(),
        source: authenticate::source(head, caller),
        cost_centre: claims.cost_centre.as_deref(),
        tier: claims.amr.into(),
        over_certificate: caller.over_certificate(head),
    }
}

/// Asks the policy.
///
/// # Errors
/// [`Denied`].
pub fn permit(
    bundle: &Bundle,
    subject: &Subject<'_>,
    call: Call,
    declared: &Declared,
) -> Result<Permit, Box<Denied>> {
    let asked = Asked { model: &call.model, beside: &call.beside, declared };
    let judged = match bundle.policy.judge(subject, asked) {
        Ok(grant) => Ok((grant.rule_id.to_owned(), grant.terms, noted(grant))),
        Err(denial) => Err(told(&denial)),
    };
    match judged {
        Ok((rule_id, terms, noted)) => Ok(Permit { call, rule_id, terms, noted }),
        Err((mut denied, model)) => {
            let model = model.unwrap_or_else(|| call.model.clone());
            denied.call = Some(Call { model, ..call });
            Err(denied)
        }
    }
}

fn noted(grant: Grant<'_>) -> Noted {
    let Grant { rule_id: _, terms: _, labels, notes, passed } = grant;
    let owned = |words: BTreeSet<&str>| words.into_iter().map(ToOwned::to_owned).collect();
    let findings = notes.into_iter().map(|note| Finding {
        rule_id: note.rule_id.to_owned().into(),
        action: note.word.into(),
        place: note.place.to_string().into(),
        ..Finding::default()
    });

    Noted { findings: findings.collect(), labels: owned(labels), passed: owned(passed), cut: false }
}

/// A no without the call, and the model that is denied, if one is.
fn told(denial: &Denial<'_>) -> (Box<Denied>, Option<String>) {
    let Denial { why, rule_id, say, place } = denial;
    let mut denied = Box::new(Denied::from(Refusal::from(*why)));
    denied.rule_id = rule_id.map(ToOwned::to_owned);
    denied.say = say.map(ToOwned::to_owned);
    let action = match why {
        Why::ModelNotAllowed | Why::ModelDenied | Why::ModelUnknown => {
            return (denied, Some(place.clone()));
        }
        // How they signed in stands in no place of the body.
        Why::Tier | Why::Unbound => return (denied, None),
        Why::Approval => "approve",
        Why::Tool | Why::Server | Why::Skill | Why::Secret | Why::Word => "blocked",
    };
    denied.noted.findings.push(Finding {
        rule_id: rule_id.unwrap_or_else(|| why.code()).to_owned().into(),
        action: action.into(),
        place: place.clone().into(),
        ..Finding::default()
    });

    (denied, None)
}
