//! A verdict of the policy, in the words of cases and commands.

use contract::policy::{Asked, Denial, Grant, Policy, Scanned, Subject};

/// What a policy says, in the words of `expects`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Is it allowed?
    pub allowed: bool,
    /// The rule that decides.
    pub rule: Option<String>,
    /// Why it is denied.
    pub why: Option<&'static str>,
    /// What is denied.
    pub place: Option<String>,
    /// What the person is told.
    pub say: Option<String>,
    /// What the row keeps.
    pub content: Option<&'static str>,
    /// When the call is stored.
    pub audit: Option<&'static str>,
    /// Words for routes.
    pub labels: Vec<String>,
    /// Rules that have something noted, with their words and places.
    pub noted: Vec<(String, &'static str, String)>,
    /// Rules that were passed.
    pub passed: Vec<String>,
    /// Rules over secrets and words that found something.
    pub findings: Vec<String>,
    /// Rules that applied to a call that is allowed; filled where that is asked for.
    pub heard: Vec<String>,
}

/// What a policy says: first of what is asked for, then of what is said, as in the gate.
pub fn of(policy: &Policy, subject: &Subject<'_>, asked: Asked<'_>, text: Option<&str>) -> Verdict {
    let grant = match policy.judge(subject, asked) {
        Ok(grant) => grant,
        Err(denial) => return refused(&denial),
    };
    let scanned = text.map(|text| policy.scan_text(subject, text)).unwrap_or_default();
    let verdict = match &scanned.denial {
        Some(denial) => refused(denial),
        None => granted(&grant, &scanned),
    };
    let mut findings: Vec<String> =
        scanned.found.iter().map(|found| found.rule_id.to_owned()).collect();
    findings.dedup();

    Verdict { findings, ..verdict }
}

fn granted(grant: &Grant<'_>, scanned: &Scanned<'_>) -> Verdict {
    let noted = grant.notes.iter();
    let owned = |words: Vec<&&str>| words.into_iter().map(|word| (*word).to_owned()).collect();
    Verdict {
        allowed: true,
        rule: Some(grant.rule_id.to_owned()),
        content: Some(grant.terms.content().as_str()),
        audit: Some(grant.terms.audit().as_str()),
        labels: owned(grant.labels.union(&scanned.labels).collect()),
        noted: noted
            .map(|note| (note.rule_id.to_owned(), note.word, note.place.to_string()))
            .collect(),
        passed: owned(grant.passed.union(&scanned.passed).collect()),
        ..Verdict::default()
    }
}

pub(super) fn refused(denial: &Denial<'_>) -> Verdict {
    Verdict {
        allowed: false,
        rule: denial.rule_id.map(ToOwned::to_owned),
        why: Some(denial.why.code()),
        place: Some(denial.place.clone()).filter(|place| !place.is_empty()),
        say: denial.say.map(ToOwned::to_owned),
        ..Verdict::default()
    }
}
