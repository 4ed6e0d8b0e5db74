//! 4. [`Caller`] and [`Call`] → [`Permit`]: may they?

use super::authenticate::Caller;
use super::parse::Call;
use crate::refusal::Refusal;
use crate::snapshot::Bundle;
use contract::policy::{Asked, Declared, Subject, Terms};

/// A call that a rule allows. Only [`permit`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    call: Call,
    rule_id: String,
    terms: Terms,
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
}

/// Asks the policy.
///
/// # Errors
/// [`Refusal::ModelNotAllowed`] with the call, which the row names.
pub fn permit(bundle: &Bundle, caller: &Caller, call: Call) -> Result<Permit, (Refusal, Call)> {
    let claims = &caller.claims;
    let subject =
        Subject { tenant: &claims.tenant_id, groups: &claims.groups, ..Subject::default() };
    let declared = Declared::default();
    let asked = Asked { model: &call.model, beside: &call.beside, declared: &declared };
    match bundle.policy.judge(&subject, asked) {
        Ok(grant) => {
            Ok(Permit { rule_id: grant.rule_id.to_owned(), terms: grant.terms, call: call.clone() })
        }
        Err(denial) => {
            let model = denial.place;
            Err((Refusal::ModelNotAllowed, Call { model, ..call.clone() }))
        }
    }
}
