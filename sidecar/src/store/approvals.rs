//! What a person was asked to approve, as the store keeps it.

use super::{Store, StoreError};
use contract::audit::Event;

/// A call that somebody's agent asked a person to approve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approval {
    /// `apr_…`.
    pub id: String,
    /// SHA-256 of what is approved, lower-case hex ([`contract::approval`]).
    pub digest: String,
    /// The asker's tenant.
    pub tenant_id: String,
    /// Who asks.
    pub user_id: String,
    /// `sid` of their token.
    pub session_id: String,
    /// The MCP server.
    pub server: String,
    /// Its tool.
    pub tool: String,
    /// The call's arguments, canonical JSON (RFC 8785).
    pub arguments: String,
    /// Why, in the agent's words.
    pub reason: String,
    /// What the call belongs to.
    pub trace_id: Option<String>,
    /// The row of the call that asked.
    pub requested_event_id: String,
    /// Unix seconds.
    pub asked_at: u64,
    /// How long a decision holds, seconds.
    pub valid_seconds: u64,
    /// Where it stands, as the row says; [`Self::standing`] also looks at the clock.
    pub state: State,
    /// Until when that state holds, Unix seconds.
    pub until: u64,
    /// Unix seconds.
    pub decided_at: Option<u64>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// What they said about it.
    pub note: Option<String>,
    /// Unix seconds.
    pub used_at: Option<u64>,
    /// The row of the call that it let through.
    pub used_event_id: Option<String>,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// Nobody has decided.
    #[default]
    Open,
    /// The call may be made, once.
    Approved,
    /// It may not.
    Denied,
    /// It was made.
    Used,
    /// Its time is over.
    Lapsed,
}

impl State {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Used => "used",
            Self::Lapsed => "lapsed",
        }
    }

    pub(super) fn of(word: &str) -> Self {
        match word {
            "open" => Self::Open,
            "approved" => Self::Approved,
            "denied" => Self::Denied,
            "used" => Self::Used,
            _ => Self::Lapsed,
        }
    }
}

impl Approval {
    /// Where it stands at this time.
    pub fn standing(&self, now: u64) -> State {
        match self.state {
            State::Open | State::Approved if self.until <= now => State::Lapsed,
            state => state,
        }
    }
}

/// How much one person's agents may ask.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Most requests that wait at once.
    pub open: i64,
    /// Most new ones in a minute.
    pub per_minute: i64,
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It is new.
    New(Approval),
    /// The same was asked before, and stands.
    Known(Approval),
    /// Too many of theirs wait.
    TooMany,
    /// They ask too fast.
    TooFast,
}

/// A decision.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// Of which request.
    pub id: &'a str,
    /// Approved, or denied?
    pub approved: bool,
    /// By whom.
    pub by: &'a str,
    /// What they say about it.
    pub note: &'a str,
    /// Unix seconds.
    pub now: u64,
    /// Until when it holds, Unix seconds.
    pub until: u64,
}

/// A call that must have been approved.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// SHA-256 of the call, lower-case hex.
    pub digest: String,
    /// The caller's tenant.
    pub tenant_id: String,
    /// Who calls.
    pub user_id: String,
    /// The MCP server.
    pub server: String,
    /// Its tool.
    pub tool: String,
    /// The call's row.
    pub event_id: String,
}

/// What a channel is to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Of which request.
    pub approval_id: String,
    /// The webhook, by its name.
    pub webhook: String,
    /// That it was asked (`asked`), or decided (`decided`).
    pub what: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, Unix seconds; none where it was told or given up.
    pub next_at: Option<u64>,
    /// When it was told, Unix seconds.
    pub told_at: Option<u64>,
    /// Why the last attempt failed.
    pub problem: Option<String>,
}

impl Store {
    /// Asks, or finds what was asked: one call has one live request. `webhooks` are told of a new one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ask_approval(
        &self,
        new: &Approval,
        bounds: Bounds,
        webhooks: &[String],
    ) -> Result<Asked, StoreError> {
        each!(self, db => db.ask_approval(new, bounds, webhooks).await)
    }

    /// A request.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn approval(&self, id: &str) -> Result<Option<Approval>, StoreError> {
        each!(self, db => db.approval(id).await)
    }

    /// The latest requests of these tenants, or of all; `open`: only what waits for a decision at this time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn approvals(
        &self,
        tenants: Option<&[String]>,
        open: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Approval>, StoreError> {
        each!(self, db => db.approvals(tenants, open, limit).await)
    }

    /// Decides an open request, with the row that says so: both or neither. The request as it is now; `None` if it
    /// was not open any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn decide_approval(
        &self,
        decided: &Decided<'_>,
        row: &Event<'static>,
    ) -> Result<Option<Approval>, StoreError> {
        each!(self, db => db.decide_approval(decided, row).await)
    }

    /// Uses an approval up: its id. `None` if this call is not approved now, or was let through once already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn use_approval(
        &self,
        wanted: &Wanted,
        now: u64,
    ) -> Result<Option<String>, StoreError> {
        each!(self, db => db.use_approval(wanted, now).await)
    }

    /// What channels were and are to be told of a request.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn approval_messages(&self, id: &str) -> Result<Vec<Message>, StoreError> {
        each!(self, db => db.approval_messages(id).await)
    }

    /// What this channel is to be told by now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_messages(&self, webhook: &str, now: u64) -> Result<Vec<Message>, StoreError> {
        each!(self, db => db.due_messages(webhook, now).await)
    }

    /// Takes a message to tell it; it comes up again at `next_at` unless its end is noted. False if another sidecar
    /// has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_message(&self, message: &Message, next_at: u64) -> Result<bool, StoreError> {
        each!(self, db => db.take_message(message, next_at).await)
    }

    /// Notes what came of telling it: its `next_at`, `told_at` and `problem`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_message(&self, message: &Message) -> Result<(), StoreError> {
        each!(self, db => db.note_message(message).await)
    }
}
