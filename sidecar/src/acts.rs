//! What operators do: every act of theirs leaves a row, in the transaction that does it where there
//! is one. The row says who, what it was before, and what it is now.

use crate::clock;
use crate::keys::{self, KeyError};
use crate::operators::operator::{How, Operator};
use crate::store::measures::{Measure, word};
use contract::audit::{Event, Kind, Outcome, Payload, SignIn};
use contract::envelope::hex;
use serde_json::Value;

/// The client that operators' acts come from.
const CLIENT: &str = "tollgate";

/// The code of an act that the operator may not do.
pub const DENIED: &str = "operator_denied";

/// One act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    id: String,
    at: u64,
    operator: Operator,
    what: String,
    credential_id: Option<String>,
    before: Option<Value>,
    after: Option<Value>,
    denied: bool,
}

impl Act {
    /// An act of somebody: what is done, in the words of the command line.
    ///
    /// # Errors
    /// [`KeyError::Random`]: the row needs an id.
    pub fn new(operator: &Operator, what: impl Into<String>) -> Result<Self, KeyError> {
        Ok(Self {
            id: format!("admin-{}", hex(&keys::random::<12>()?)),
            at: clock::now_micros(),
            operator: operator.clone(),
            what: what.into(),
            credential_id: None,
            before: None,
            after: None,
            denied: false,
        })
    }

    /// On this credential.
    #[must_use]
    pub fn on(self, credential_id: &str) -> Self {
        Self { credential_id: Some(credential_id.to_owned()), ..self }
    }

    /// With what it was before. Never a secret.
    #[must_use]
    pub fn from(self, before: Value) -> Self {
        Self { before: Some(before).filter(|value| !value.is_null()), ..self }
    }

    /// With what it is now. Never a secret.
    #[must_use]
    pub fn to(self, after: Value) -> Self {
        Self { after: Some(after).filter(|value| !value.is_null()), ..self }
    }

    /// That was not done: they may not.
    #[must_use]
    pub fn denied(self) -> Self {
        Self { denied: true, ..self }
    }

    /// Who acts.
    pub fn who(&self) -> &str {
        self.operator.name()
    }

    /// The roles that what is laid is laid in; empty where only who lifts everything may lift it.
    pub fn lays_as(&self) -> String {
        if self.operator.lifts_all() { String::new() } else { self.operator.role_words() }
    }

    /// May what was laid in these roles be lifted by this act?
    pub fn lifts(&self, laid_as: &str) -> bool {
        let mine = self.operator.roles();

        self.operator.lifts_all()
            || laid_as.split(' ').any(|role| mine.iter().any(|mine| mine.as_str() == role))
    }

    /// With what it undoes.
    #[must_use]
    pub fn undoing(self, lifted: &[Measure]) -> Self {
        let undone: Vec<String> = lifted
            .iter()
            .map(|it| {
                let (effect, since) = (word(it.effect), clock::readable(it.set_at));
                format!("{effect} by {} since {since}: {}", it.set_by, it.why)
            })
            .collect();
        let before = lifted.iter().map(Measure::object).collect();
        let what = format!("{} (was {})", self.what, undone.join("; "));

        Self { what, ..self }.from(before).to(Value::Array(Vec::new()))
    }

    /// Its row, in the tenant of whom it concerns; none where it concerns all.
    pub fn row(&self, tenant_id: &str) -> Event<'static> {
        let (way, session_id) = match self.operator.how() {
            How::Owner | How::Itself => (None, None),
            How::Browser(_) => (Some("session"), None),
            How::Socket(_) => (Some("socket"), None),
            How::Token(session) => (Some("session"), Some(session.clone().into())),
        };
        let came = way.map(|way| SignIn {
            tier: way.to_owned(),
            act: "operates".to_owned(),
            provider: match self.operator.how() {
                How::Browser(provider) => provider.clone(),
                _ => String::new(),
            },
            groups: self.operator.roles().iter().map(|role| role.as_str().to_owned()).collect(),
            ..SignIn::default()
        });

        Event {
            event_id: self.id.clone().into(),
            occurred_at: self.at,
            tenant_id: tenant_id.to_owned().into(),
            user_id: self.who().to_owned().into(),
            session_id,
            client_id: Some(CLIENT.into()),
            kind: Kind::Admin,
            outcome: if self.denied { Outcome::Denied } else { Outcome::Allowed },
            rule_id: self.denied.then(|| DENIED.into()),
            credential_id: self.credential_id.clone().map(Into::into),
            complete: true,
            payload: Payload {
                target: Some(self.what.clone().into()),
                sign_in: came,
                before: self.before.clone(),
                after: self.after.clone(),
                ..Payload::default()
            },
            ..Event::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::operator::Role;
    use serde_json::json;

    #[test]
    fn an_act_s_row_says_who_did_what_to_which_credential() {
        let owner = Operator::owner();
        let act = Act::new(&owner, "pat revoke pat_1").unwrap().on("pat_1");
        let row = act.from(json!({ "state": "active" })).to(json!({ "state": "revoked" }));
        let row = row.row("acme");

        assert_eq!((row.kind, row.outcome, row.complete), (Kind::Admin, Outcome::Allowed, true));
        assert_eq!((&*row.tenant_id, row.credential_id.as_deref()), ("acme", Some("pat_1")));
        assert_eq!(row.payload.target.as_deref(), Some("pat revoke pat_1"));
        assert_eq!(row.payload.before, Some(json!({ "state": "active" })));
        assert_eq!(row.payload.after, Some(json!({ "state": "revoked" })));
        assert_ne!(row.event_id, Act::new(&owner, "").unwrap().row("").event_id);
    }

    #[test]
    fn who_came_by_a_session_is_told_with_it_and_what_was_denied_has_its_code() {
        let how = How::Token("ses_1".into());
        let bob = Operator::new("bob@example.com", vec![Role::Platform], None, how);
        let row = Act::new(&bob, "policy publish").unwrap().denied().row("");

        assert_eq!((row.outcome, row.rule_id.as_deref()), (Outcome::Denied, Some(DENIED)));
        assert_eq!((&*row.user_id, row.session_id.as_deref()), ("bob@example.com", Some("ses_1")));
        assert_eq!(row.payload.sign_in.map(|came| came.tier), Some("session".into()));
    }

    #[test]
    fn what_security_lays_nobody_of_another_role_lifts() {
        let of = |role| Operator::new("bob", vec![role], None, How::Socket(1));
        let act = |operator: &Operator| Act::new(operator, "x").unwrap();

        assert!(act(&of(Role::Platform)).lifts("platform"));
        assert!(!act(&of(Role::Platform)).lifts("endpoint"));
        assert_eq!(act(&Operator::owner()).lays_as(), "");
        assert!(!act(&of(Role::Platform)).lifts(""), "security's, or laid before there were roles");
        assert!(act(&Operator::owner()).lifts("platform"));
    }
}
