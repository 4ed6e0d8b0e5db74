//! What the gate tells the sidecar of its records, beside the records themselves.

use super::{Kind, Sequence};
use serde::{Deserialize, Serialize};

/// Refusals of somebody unknown beyond the number per address and second that get rows of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Unix microseconds of the first one.
    pub since: u64,
    /// The address they came from.
    pub source_address: String,
    /// What they were refused for, all of them.
    pub rule_id: String,
    /// What they were answered.
    pub status: u16,
    /// What they were for.
    pub kind: Kind,
    /// How many.
    pub count: u64,
    /// Who counted, so that a count sent twice is stored once.
    pub sequence: Sequence,
}

/// How far a filter VM has come: the number that shows a hole at the end of a sequence, where no
/// later row would. Each VM tells it every few seconds (`POST /gate/heartbeat`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heartbeat {
    /// As in [`Sequence`].
    pub boot: u64,
    /// As in [`Sequence`].
    pub vm: u32,
    /// The highest number given out; 0 for none yet.
    pub highest: u64,
    /// Numbers of exchanges that have not ended. At most [`Heartbeat::MOST`]; where there are more,
    /// `highest` is lowered to what they cover.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<u64>,
}

impl Heartbeat {
    /// Most numbers that `open` holds.
    pub const MOST: usize = 4_096;
}

/// Who acted on one of the sidecar's own surfaces: the sidecar tells the gate, which writes the row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Acted {
    /// As the column.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tenant_id: String,
    /// As the column.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_id: String,
    /// As the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// As the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// As the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// As the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_ver: Option<String>,
    /// As the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<String>,
    /// Why it was refused, a stable code; absent if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_id: Option<String>,
    /// As the payload's member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_sha256: Option<String>,
    /// As the payload's member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignIn>,
}

/// What a sign-in was, and what it made of somebody: the payload's `sign_in`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SignIn {
    /// How: `pat`, `session`, `mtls`, `service`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tier: String,
    /// What was done, where it was no plain minting: `begun`, `refreshed`, `ended`, `exchanged`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub act: String,
    /// The `OpenID` provider, or the workload's issuer, by its name in the configuration.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub provider: String,
    /// The groups that the token names; at most [`SignIn::MOST`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// What a reader should know of it, such as `provider_away`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

impl SignIn {
    /// Most groups that a row tells.
    pub const MOST: usize = 50;
}
