//! What operators do: every act of theirs leaves a row, in the transaction that does it where there
//! is one.

use crate::clock;
use crate::keys::{self, KeyError};
use crate::store::measures::{Measure, word};
use contract::audit::{Event, Kind, Outcome, Payload};
use contract::envelope::hex;
use serde_json::Value;
use std::fs;

/// The client that operators' acts come from.
const CLIENT: &str = "tollgate";

/// Where the names of this machine's users are.
const NAMES: &str = "/etc/passwd";

/// One act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    id: String,
    at: u64,
    who: String,
    what: String,
    credential_id: Option<String>,
    before: Option<Value>,
    after: Option<Value>,
}

impl Act {
    /// An act of whoever runs this command: what is done, in the words of the command line.
    ///
    /// # Errors
    /// [`KeyError::Random`]: the row needs an id.
    pub fn new(what: impl Into<String>) -> Result<Self, KeyError> {
        Ok(Self {
            id: format!("admin-{}", hex(&keys::random::<12>()?)),
            at: clock::now_micros(),
            who: operator(),
            what: what.into(),
            credential_id: None,
            before: None,
            after: None,
        })
    }

    /// On this credential.
    #[must_use]
    pub fn on(self, credential_id: &str) -> Self {
        Self { credential_id: Some(credential_id.to_owned()), ..self }
    }

    /// By somebody else: a directory, a list of revoked certificates.
    #[must_use]
    pub fn by(self, who: &str) -> Self {
        Self { who: who.to_owned(), ..self }
    }

    /// With what it changed, before and after.
    #[must_use]
    pub fn changing(self, before: Option<Value>, after: Option<Value>) -> Self {
        Self { before, after, ..self }
    }

    /// Who acts.
    pub fn who(&self) -> &str {
        &self.who
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

        Self { what: format!("{} (was {})", self.what, undone.join("; ")), ..self }
    }

    /// Its row, in the tenant of whom it concerns; none where it concerns all.
    pub fn row(&self, tenant_id: &str) -> Event<'static> {
        Event {
            event_id: self.id.clone().into(),
            occurred_at: self.at,
            tenant_id: tenant_id.to_owned().into(),
            user_id: self.who.clone().into(),
            client_id: Some(CLIENT.into()),
            kind: Kind::Admin,
            outcome: Outcome::Allowed,
            credential_id: self.credential_id.clone().map(Into::into),
            complete: true,
            payload: Payload {
                target: Some(self.what.clone().into()),
                before: self.before.clone(),
                after: self.after.clone(),
                ..Payload::default()
            },
            ..Event::default()
        }
    }
}

/// Who runs this command, as the system knows them: the environment could say anybody.
fn operator() -> String {
    let uid = rustix::process::getuid().as_raw();
    let names = fs::read_to_string(NAMES).unwrap_or_default();

    name(&names, uid).map_or_else(|| format!("uid:{uid}"), ToOwned::to_owned)
}

/// `name:password:uid:…`, one a line.
fn name(names: &str, uid: u32) -> Option<&str> {
    names.lines().find_map(|line| {
        let mut members = line.split(':');
        let (name, _, number) = (members.next()?, members.next()?, members.next()?);

        (number.parse() == Ok(uid) && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_acts_has_the_name_the_system_knows_or_a_number() {
        let names = "root:x:0:0::/root:/bin/sh\nrubbish\nann:x:1000:1000::/home/ann:/bin/sh\n";

        assert_eq!(name(names, 1000), Some("ann"));
        assert_eq!(name(names, 100), None);
        assert!(!operator().is_empty());
    }

    #[test]
    fn an_act_s_row_says_who_did_what_to_which_credential() {
        let row = Act::new("pat revoke pat_1").unwrap().on("pat_1").row("acme");

        assert_eq!((row.kind, row.outcome, row.complete), (Kind::Admin, Outcome::Allowed, true));
        assert_eq!((&*row.tenant_id, row.credential_id.as_deref()), ("acme", Some("pat_1")));
        assert_eq!(row.payload.target.as_deref(), Some("pat revoke pat_1"));
        assert_ne!(row.event_id, Act::new("").unwrap().row("").event_id);
    }
}
