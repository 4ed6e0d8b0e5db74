//! 4. [`Caller`] and [`Request`] → [`Permit`]: may they?

use super::authenticate::{self, Caller};
use super::decode::Head;
use super::parse::{Call, Request};
use crate::refusal::Refusal;
use crate::snapshot::Bundle;
use contract::audit::Finding;
use contract::policy::{Asked, Denial, Grant, Subject, Terms, Why};

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
    /// What was asked for.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The rule that allows it.
    pub fn rule_id(&self) -> &str {
        &self.rule_id
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
    }
}

/// Asks the policy.
///
/// # Errors
/// [`Denied`].
pub fn permit(
    bundle: &Bundle,
    subject: &Subject<'_>,
    request: &Request<'_>,
) -> Result<Permit, Box<Denied>> {
    let Request { call, declared, turn: _ } = request;
    let asked = Asked { model: &call.model, beside: &call.beside, declared };
    match bundle.policy.judge(subject, asked) {
        Ok(grant) => Ok(Permit {
            call: call.clone(),
            rule_id: grant.rule_id.to_owned(),
            terms: grant.terms,
            noted: noted(grant),
        }),
        Err(denial) => Err(Box::new(denied(call, denial))),
    }
}

fn noted(grant: Grant<'_>) -> Noted {
    let Grant { rule_id: _, terms: _, labels, notes, passed } = grant;
    let owned = |words: Vec<&str>| words.into_iter().map(ToOwned::to_owned).collect();
    let findings = notes.into_iter().map(|note| Finding {
        rule_id: note.rule_id.to_owned().into(),
        action: note.word.into(),
        place: note.place.to_string().into(),
        ..Finding::default()
    });

    Noted {
        findings: findings.collect(),
        labels: owned(labels.into_iter().collect()),
        passed: owned(passed.into_iter().collect()),
        cut: false,
    }
}

fn denied(call: &Call, denial: Denial<'_>) -> Denied {
    let Denial { why, rule_id, say, place } = denial;
    let (refusal, word) = match why {
        Why::ModelNotAllowed => (Refusal::ModelNotAllowed, None),
        Why::ModelDenied => (Refusal::ModelDenied, None),
        Why::ModelUnknown => (Refusal::ModelUnknown, None),
        Why::Tool => (Refusal::ToolBlocked, Some("blocked")),
        Why::Approval => (Refusal::ApprovalRequired, Some("approve")),
        Why::Server => (Refusal::ServerNotManaged, Some("blocked")),
        Why::Skill => (Refusal::SkillBlocked, Some("blocked")),
        Why::Secret => (Refusal::SecretFound, Some("deny")),
        Why::Word => (Refusal::WordBlocked, Some("deny")),
    };
    let mut call = call.clone();
    let mut noted = Noted::default();
    match word {
        // The place is what is denied: where in the body, or which of the models.
        Some(word) => noted.findings.push(Finding {
            rule_id: rule_id.unwrap_or_else(|| refusal.code()).to_owned().into(),
            action: word.into(),
            place: place.into(),
            ..Finding::default()
        }),
        None => call.model = place,
    }

    Denied {
        refusal,
        call: Some(call),
        rule_id: rule_id.map(ToOwned::to_owned),
        say: say.map(ToOwned::to_owned),
        noted,
    }
}
