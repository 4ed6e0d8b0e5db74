//! 4. [`Caller`] and [`Call`] → [`Permit`]: may they?

use super::authenticate::Caller;
use super::parse::Call;
use crate::refusal::Refusal;
use crate::snapshot::Bundle;

/// A call that a rule allows. Only [`permit`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    call: Call,
    rule_id: String,
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
}

/// Asks the policy.
///
/// # Errors
/// [`Refusal::ModelNotAllowed`] with the call, which the row names.
pub fn permit(bundle: &Bundle, caller: &Caller, call: Call) -> Result<Permit, (Refusal, Call)> {
    let claims = &caller.claims;
    let rule = |model: &str| bundle.policy.allows(&claims.tenant_id, &claims.groups, model);
    // Every model that the provider may call for it, not only the one that answers.
    if let Some(model) = call.beside.iter().find(|model| rule(model).is_none()) {
        return Err((Refusal::ModelNotAllowed, Call { model: model.clone(), ..call }));
    }
    match rule(&call.model) {
        Some(rule) => Ok(Permit { rule_id: rule.to_owned(), call }),
        None => Err((Refusal::ModelNotAllowed, call)),
    }
}
