//! 4. [`Caller`] and [`Call`] → [`Permit`]: may they?

use super::authenticate::Caller;
use super::parse::Call;
use crate::refusal::Refusal;
use crate::snapshot::Bundle;
use contract::policy::Terms;

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
    let ask = |model: &str| bundle.policy.allows(&claims.tenant_id, &claims.groups, model);
    let mut terms = Terms::default();
    // Every model that the provider may call for it, not only the one that answers.
    for model in &call.beside {
        let Some(grant) = ask(model) else {
            let model = model.clone();
            return Err((Refusal::ModelNotAllowed, Call { model, ..call }));
        };
        terms = terms.and(grant.terms);
    }
    match ask(&call.model) {
        Some(grant) => {
            Ok(Permit { rule_id: grant.rule_id.to_owned(), terms: terms.and(grant.terms), call })
        }
        None => Err((Refusal::ModelNotAllowed, call)),
    }
}
