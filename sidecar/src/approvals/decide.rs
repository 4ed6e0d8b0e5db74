//! A decision, from wherever it comes: one step in the database, with the row that says who was asked and what they
//! said. The row follows from the row of the call that asked, on the same trace.

use crate::acts::Act;
use crate::clock;
use crate::counters::Counters;
use crate::keys::KeyError;
use crate::operators::operator::Operator;
use crate::store::approvals::{Approval, Decided, State};
use crate::store::{Store, StoreError};
use contract::audit::Event;
use serde_json::{Value, json};
use thiserror::Error;

/// Longest note, in characters.
pub const NOTE: usize = 500;

/// Why nothing was decided.
#[derive(Debug, Error)]
pub enum DecideError {
    /// The row needs an id.
    #[error(transparent)]
    Random(#[from] KeyError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Decides. The request as it is then; `None` if it was not open any more. That the operator may was looked at before.
///
/// # Errors
/// [`DecideError`].
pub async fn decide(
    store: &Store,
    operator: &Operator,
    approval: &Approval,
    (approved, note): (bool, &str),
) -> Result<Option<Approval>, DecideError> {
    let now = clock::now();
    let decided = Decided {
        id: &approval.id,
        approved,
        by: operator.name(),
        note,
        now,
        until: now.saturating_add(approval.valid_seconds),
    };
    let row = row(operator, approval, &decided)?;

    Ok(store.decide_approval(&decided, &row).await?)
}

/// Counts one.
pub fn count(counters: &Counters, approved: bool) {
    let counters = &counters.approvals;
    if approved { counters.approved.one() } else { counters.denied.one() }
}

fn row(
    operator: &Operator,
    approval: &Approval,
    decided: &Decided<'_>,
) -> Result<Event<'static>, KeyError> {
    let verb = if decided.approved { "approve" } else { "deny" };
    let state = if decided.approved { State::Approved } else { State::Denied };
    let act = Act::new(operator, format!("approval {verb} {}", approval.id))?
        .from(object(approval, State::Open, None))
        .to(object(approval, state, Some(decided)));
    let mut row = act.row(&approval.tenant_id);
    row.parent_event_id = Some(approval.requested_event_id.clone().into());
    row.trace_id = approval.trace_id.clone().map(Into::into);
    row.payload.mcp_server = Some(approval.server.clone().into());
    row.payload.tool = Some(approval.tool.clone().into());

    Ok(row)
}

/// What the row says of the request. Not the arguments, for which their digest stands, nor the reason: what an agent says
/// is kept in `approvals`, and in rows only as far as the policy lets it.
fn object(approval: &Approval, state: State, decided: Option<&Decided<'_>>) -> Value {
    let mut object = json!({
        "approval_id": approval.id, "state": state.as_str(), "digest": approval.digest,
        "server": approval.server, "tool": approval.tool, "asked_by": approval.user_id,
        "session_id": approval.session_id,
        "requested_event_id": approval.requested_event_id,
    });
    if let (Some(decided), Some(object)) = (decided, object.as_object_mut()) {
        object.insert("valid_until".to_owned(), clock::readable(decided.until).into());
        if !decided.note.is_empty() {
            object.insert("note".to_owned(), decided.note.into());
        }
    }

    object
}
