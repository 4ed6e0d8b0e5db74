//! A verdict of the policy, in the words of cases and commands.

use super::cases::Verdict;
use contract::policy::{Asked, Audit, Denial, Grant, Policy, Subject, Why};

/// What a policy says.
pub fn of(policy: &Policy, subject: &Subject<'_>, asked: Asked<'_>, _text: Option<&str>) -> Verdict {
    match policy.judge(subject, asked) {
        Ok(grant) => granted(&grant),
        Err(denial) => denied(&denial),
    }
}

fn granted(grant: &Grant<'_>) -> Verdict {
    let noted = grant.notes.iter();
    Verdict {
        allowed: true,
        rule: Some(grant.rule_id.to_owned()),
        content: Some(grant.terms.content().as_str()),
        audit: Some(match grant.terms.audit() {
            Audit::After => "after",
            Audit::Before => "before",
        }),
        labels: grant.labels.iter().map(|label| (*label).to_owned()).collect(),
        noted: noted.map(|note| (note.rule_id.to_owned(), note.word, note.place.to_owned())).collect(),
        passed: grant.passed.iter().map(|rule| (*rule).to_owned()).collect(),
        ..Verdict::default()
    }
}

fn denied(denial: &Denial<'_>) -> Verdict {
    Verdict {
        allowed: false,
        rule: denial.rule_id.map(ToOwned::to_owned),
        why: Some(word(denial.why)),
        place: Some(denial.place.clone()),
        say: denial.say.map(ToOwned::to_owned),
        ..Verdict::default()
    }
}

/// The word for it in refusals.
pub fn word(why: Why) -> &'static str {
    match why {
        Why::ModelNotAllowed => "model_not_allowed",
        Why::ModelDenied => "model_denied",
        Why::Tool => "tool_blocked",
        Why::Approval => "approval_required",
        Why::Server => "server_not_allowed",
        Why::Skill => "skill_blocked",
    }
}
