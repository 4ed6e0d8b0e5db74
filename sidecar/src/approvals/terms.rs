//! Who may approve, and for how long: what the signed policy says, asked of who stands here now.

use crate::sign_in::SignIn;
use crate::store::{StoreError, User};
use contract::audit::CallSource;
use contract::policy::{Approvals as Terms, Policy, Subject, Tier};
use contract::standing::Kind;

/// Why somebody may not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barred {
    /// It is their own request.
    Own,
    /// The policy does not name them.
    NotNamed,
    /// They are disabled, revoked or paused, or may not sign in this way.
    Stopped,
    /// The policy names nobody any more.
    Nobody,
}

impl Barred {
    /// The code of the row.
    pub fn code(self) -> &'static str {
        match self {
            Self::Own => "approval_own",
            Self::NotNamed => "approval_not_named",
            Self::Stopped => "approval_stopped",
            Self::Nobody => "approval_nobody",
        }
    }

    /// What they are told.
    pub fn message(self) -> &'static str {
        match self {
            Self::Own => {
                "You asked for this yourself. Somebody else who may approve has to decide it."
            }
            Self::NotNamed => {
                "The policy of your organization does not name you among those who approve."
            }
            Self::Stopped => {
                "Your access is stopped, or you may not sign in this way. Ask your administrator."
            }
            Self::Nobody => "The policy of your organization names nobody who approves.",
        }
    }
}

/// The policy's terms, if it has any.
pub fn of(policy: &Policy) -> Option<&Terms> {
    policy.approvals()
}

/// Somebody who has just signed in by browser, as rules see them.
fn subject(user: &User) -> Subject<'_> {
    Subject {
        tenant: &user.tenant_id,
        user: &user.user_id,
        groups: &user.groups,
        department: user.department.as_deref(),
        populations: &user.populations,
        roles: &user.roles,
        client: CLIENT,
        agent: None,
        region: user.region.as_deref(),
        source: CallSource::Cowork,
        cost_centre: user.cost_centre.as_deref(),
        tier: Tier::Session,
        over_certificate: false,
    }
}

/// The client that a browser on the page is.
pub const CLIENT: &str = "tollgate-approvals";

/// May they decide what this person asked for? Asked anew for the page and for the decision.
///
/// # Errors
/// [`StoreError`]; in the value, why not.
pub async fn admits(
    sign_in: &SignIn,
    user: &User,
    asker: &str,
    now: u64,
) -> Result<Result<(), Barred>, StoreError> {
    if user.user_id.eq_ignore_ascii_case(asker) || user.sub == asker {
        return Ok(Err(Barred::Own));
    }
    let policy = std::sync::Arc::clone(&sign_in.policy.borrow().policy);
    let Some(terms) = of(&policy) else { return Ok(Err(Barred::Nobody)) };
    let subject = subject(user);
    if !terms.approvers.includes(&subject) {
        return Ok(Err(Barred::NotNamed));
    }
    if user.disabled_at.is_some() || policy.accepts(&subject).is_err() {
        return Ok(Err(Barred::Stopped));
    }
    let on = [(Kind::User, &*user.user_id)];
    let stopped = sign_in.store.stop_at_sign_in(&on, now).await?;

    Ok(if stopped.is_some() { Err(Barred::Stopped) } else { Ok(()) })
}
