//! 5. [`Permit`] → [`Cleared`]: is there nothing in the body that may not leave?
//!
//! One sweep over the body as it came, whatever the rules look for. What is found is told by rule,
//! place and digest; its text goes nowhere.

use super::authorise::{Denied, Noted, Permit};
use super::parse::Call;
use crate::snapshot::Bundle;
use contract::audit::Finding;
use contract::policy::{Found, Scanned, Subject};

/// A call that may leave as far as its words go. Only [`clear`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Cleared(Permit);

impl Cleared {
    /// What the rules say of it, with what was found.
    pub fn permit(&self) -> &Permit {
        &self.0
    }

    /// What the exchange keeps of it: what was asked for, the rule that allows it, what the row tells.
    pub fn into_parts(self) -> (Call, String, Noted) {
        self.0.into_parts()
    }
}

/// Looks.
///
/// # Errors
/// [`Denied`] by the gravest find.
pub fn clear(
    bundle: &Bundle,
    subject: &Subject<'_>,
    mut permit: Permit,
    body: &[u8],
) -> Result<Cleared, Box<Denied>> {
    let Scanned { found, cut, labels, passed, denial } = bundle.policy.scan(subject, body);
    let noted = permit.noted_mut();
    noted.cut |= cut;
    noted.findings.extend(found.into_iter().map(finding));
    add(&mut noted.labels, labels);
    add(&mut noted.passed, passed);

    match denial {
        None => Ok(Cleared(permit)),
        Some(denial) => Err(Box::new(permit.denied(&denial))),
    }
}

/// Enters more words, each once, in a list that is sorted and stays so.
pub(super) fn add<'a>(list: &mut Vec<String>, more: impl IntoIterator<Item = &'a str>) {
    for word in more {
        let at = list.partition_point(|known| known.as_str() < word);
        if list.get(at).is_none_or(|known| known != word) {
            list.insert(at, word.to_owned());
        }
    }
}

/// A find as a row tells it.
pub(crate) fn finding(found: Found<'_>) -> Finding<'static> {
    let Found { rule_id, action, severity, what, place, digest } = found;

    Finding {
        rule_id: rule_id.to_owned().into(),
        action: action.as_str().into(),
        what: Some(what.to_owned().into()),
        place: place.into(),
        severity: Some(severity.as_str().into()),
        digest: Some(digest.into()),
    }
}
