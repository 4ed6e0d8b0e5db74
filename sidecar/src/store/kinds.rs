//! What the store takes and gives.

use contract::audit::{self, Event};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// Never changes and never comes back.
    pub sub: String,
    /// Verified e-mail, lower case.
    pub user_id: String,
    /// The name shown to people.
    pub name: Option<String>,
    /// The tenant.
    pub tenant_id: String,
    /// For routing and chargeback.
    pub department: Option<String>,
    /// For chargeback.
    pub cost_centre: Option<String>,
    /// Groups of the directory.
    pub groups: Vec<String>,
    /// Operator roles.
    pub roles: Vec<String>,
    /// Regulatory populations.
    pub populations: Vec<String>,
    /// Where their data must stay.
    pub region: Option<String>,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub disabled_at: Option<u64>,
}

/// A personal access token, without the token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pat {
    /// `pat_…`.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// The rollout it belongs to.
    pub cohort: Option<String>,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub expires_at: u64,
    /// Unix seconds.
    pub revoked_at: Option<u64>,
    /// Unix seconds.
    pub last_used_at: Option<u64>,
}

/// What of somebody's is marked as used when a token is minted; if it is over, none is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// A personal access token.
    Pat,
    /// A session.
    Session,
    /// Nothing that the store keeps.
    Nothing,
}

/// A token about to be minted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minted<'a> {
    /// Its id.
    pub jti: &'a str,
    /// Its session.
    pub sid: &'a str,
    /// What it is minted from.
    pub credential_id: &'a str,
    /// For whom.
    pub user: &'a User,
    /// The certificate that it is bound to, as `cnf.x5t#S256` has it; empty for none.
    pub cert: &'a str,
    /// Unix seconds.
    pub now: u64,
    /// Unix seconds.
    pub expires_at: u64,
}

/// How far a spool has been read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mark {
    /// Rises when the file is rotated or truncated.
    pub generation: u64,
    /// Device and inode.
    pub file: String,
    /// Bytes.
    pub position: u64,
}

impl Mark {
    /// The start of the file that is read next.
    #[must_use]
    pub fn start_of(&self, file: String) -> Self {
        Self { generation: self.generation.saturating_add(1), file, position: 0 }
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Appended {
    /// New rows.
    pub stored: u64,
    /// Rows that were there.
    pub duplicates: u64,
}

/// How far somebody has read the table: for each writer the place of its last row that was read.
/// Rows of one writer are stored in the order of their places; between writers there is no order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor(pub BTreeMap<String, i64>);

impl Cursor {
    /// Has this row been read?
    pub fn covers(&self, writer: &str, place: i64) -> bool {
        self.0.get(writer).is_some_and(|read| *read >= place)
    }

    /// This row has been read.
    pub fn pass(&mut self, writer: &str, place: i64) {
        let read = self.0.entry(writer.to_owned()).or_insert(place);
        *read = place.max(*read);
    }
}

/// Which rows are wanted. Members are joined by and.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Column and value, both exact.
    pub equal: Vec<(&'static str, String)>,
    /// Only of these tenants; `None` for all.
    pub tenants: Option<Vec<String>>,
    /// Any id of the row is this one.
    pub any_id: Option<String>,
    /// `occurred_at` from then on, Unix microseconds.
    pub since: Option<u64>,
    /// `occurred_at` before then, Unix microseconds.
    pub until: Option<u64>,
    /// Stored after these; the rows then come in the order of writer and place.
    pub after: Option<Cursor>,
    /// At most so many: the latest, or the first after a cursor.
    pub limit: u32,
}

/// A step of a lineage: a row of the view `audit_lineage`, as far as the tree shows it.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct Step {
    /// Its row.
    pub event_id: String,
    /// The step it follows from, whenever that was found.
    pub parent_event_id: Option<String>,
    /// As the column; inherited where the parent was found later.
    pub trace_id: Option<String>,
    /// As the column.
    pub occurred_at: String,
    /// As the column.
    pub user_id: String,
    /// As the column.
    pub session_id: Option<String>,
    /// As the column.
    pub agent_id: Option<String>,
    /// As the column.
    pub kind: String,
    /// As the column.
    pub model: Option<String>,
    /// As the column.
    pub tokens_in: Option<i64>,
    /// As the column.
    pub tokens_out: Option<i64>,
    /// As the column.
    pub cost_micro: Option<i64>,
    /// As the column.
    pub outcome: String,
    /// As the column.
    pub rule_id: Option<String>,
    /// As the column.
    pub policy_ver: Option<String>,
    /// As the column.
    pub bundle_ver: Option<String>,
    /// The tools that its answer called.
    pub tools: Vec<String>,
    /// What it called, where it is a call of an MCP server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called: Option<Called>,
}

/// What a call of an MCP server called.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Called {
    /// The server, by its id in the policy.
    pub server: String,
    /// JSON-RPC's method.
    pub method: String,
    /// The tool, the resource or the prompt; empty where the method has none.
    pub name: String,
    /// The tool's own word that it failed.
    pub failed: bool,
    /// Entries that were taken out of a list.
    pub hidden: u32,
    /// Tools that were kept from the client, because their pinned description has changed.
    pub withheld: Vec<String>,
}

impl Called {
    /// What a payload says of it; none if the row is of no such call.
    pub fn of(payload: &audit::Payload<'_>) -> Option<Self> {
        let text = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or_default().to_owned();
        if payload.mcp.is_none() && payload.mcp_server.is_none() {
            return None;
        }
        let mcp = payload.mcp.clone().unwrap_or_default();
        let name = payload.tool.as_ref().or(mcp.name.as_ref());

        Some(Self {
            server: text(&payload.mcp_server),
            method: text(&mcp.method),
            name: name.map(ToString::to_string).unwrap_or_default(),
            failed: mcp.is_error,
            hidden: mcp.hidden,
            withheld: mcp.withheld.iter().map(ToString::to_string).collect(),
        })
    }
}

/// A call that was told before it left, and has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// Unix microseconds.
    pub stored_at: u64,
    /// Its number.
    pub sequence: audit::Sequence,
    /// Its record as it was then.
    pub event: Event<'static>,
}
