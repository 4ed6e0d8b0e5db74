//! The row that every exchange leaves.
//!
//! The filter writes an [`Event`] as JSON into Envoy's filter state; Envoy carries it to the
//! sidecar by gRPC access log and by the spool file; the sidecar adds the event's id (Envoy's
//! stream id, the same on both ways) and stores it in table `audit_events`, whose columns are the
//! event's members. Changing a name here is a migration.

mod content;
mod finding;
mod gate;
mod payload;

pub use self::content::{
    Content, History, LARGEST as LARGEST_CONTENT, Mode as ContentMode, Part, Text,
};
pub use self::finding::Finding;
pub use self::gate::{Acted, Counted, Heartbeat, SignIn};
pub use self::payload::{Attempt, FineUsage, McpCall, Payload, ToolUse};

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What a call was for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A model was asked, or somebody tried to.
    #[default]
    Inference,
    /// Tokens were counted.
    Count,
    /// A tool was called.
    Mcp,
    /// Somebody proved who they are, or failed to.
    Auth,
    /// A manifest changed for somebody.
    Manifest,
    /// An operator acted.
    Admin,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It passed and was served. If the client left meanwhile, the row says so and is not
    /// `complete`.
    Allowed,
    /// The gate said no.
    Denied,
    /// It passed and failed, or failed on its way.
    #[default]
    Error,
}

/// Who set the call off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallSource {
    /// A person at a keyboard.
    #[default]
    Cowork,
    /// An agent on a person's behalf.
    Subagent,
    /// A schedule or a service.
    Job,
}

impl CallSource {
    /// The word for it in headers and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cowork => "cowork",
            Self::Subagent => "subagent",
            Self::Job => "job",
        }
    }
}

macro_rules! words {
    ($($kind:ident: $($variant:ident => $word:literal),+;)+) => {$(
        impl $kind {
            /// The word for it in rows.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    )+};
}

words! {
    Kind: Inference => "inference", Count => "count", Mcp => "mcp", Auth => "auth",
          Manifest => "manifest", Admin => "admin";
    Outcome: Allowed => "allowed", Denied => "denied", Error => "error";
}

/// Where a record stands in its writer's sequence. Holes show what was lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sequence {
    /// When this Envoy's first filter VM started, Unix nanoseconds: names the start of Envoy.
    pub boot: u64,
    /// The VM, numbered from 1 within the boot; a VM made anew after a trap has a new number.
    pub vm: u32,
    /// The exchange, numbered from 1 within the VM.
    pub n: u64,
}

impl std::fmt::Display for Sequence {
    /// `BOOT.VM.N`, as [`crate::headers::EXCHANGE`] has it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.boot, self.vm, self.n)
    }
}

impl std::str::FromStr for Sequence {
    type Err = std::num::ParseIntError;

    /// Reads what [`Display`](std::fmt::Display) wrote.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '.');
        let mut next = || parts.next().unwrap_or_default();

        Ok(Self { boot: next().parse()?, vm: next().parse()?, n: next().parse()? })
    }
}

/// One row of `audit_events`, in the order of its columns. Borrowed in the filter, owned
/// (`Event<'static>`) in the sidecar.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event<'a> {
    /// Envoy's stream id; empty until the sidecar has it from Envoy.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub event_id: Cow<'a, str>,
    /// When the request's headers were here, Unix microseconds.
    pub occurred_at: u64,
    /// The tenant; empty where nobody proved to be of one.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub tenant_id: Cow<'a, str>,
    /// Verified e-mail in lower case, else the token's `sub`; empty for the anonymous.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub user_id: Cow<'a, str>,
    /// Claude Code's session where given, else the token's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Cow<'a, str>>,
    /// What the call belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Cow<'a, str>>,
    /// The client program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Cow<'a, str>>,
    /// The policy version when the token was minted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_ver: Option<Cow<'a, str>>,
    /// The policy version that judged this call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle_ver: Option<Cow<'a, str>>,
    /// Who set the call off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_source: Option<CallSource>,
    /// What it was for.
    pub kind: Kind,
    /// The model, normalised; who served, if the answer says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Cow<'a, str>>,
    /// Who served it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Cow<'a, str>>,
    /// Where it was served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_region: Option<Cow<'a, str>>,
    /// The caller's department.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<Cow<'a, str>>,
    /// The agent that called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<Cow<'a, str>>,
    /// Input tokens that were neither written to nor read from a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_in: Option<u64>,
    /// Output tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_out: Option<u64>,
    /// Tokens written to a cache, of any lifetime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_cache_write: Option<u64>,
    /// Tokens read from a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_cache_read: Option<u64>,
    /// Price in microdollars; null where unknown, never zero for that reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_micro: Option<u64>,
    /// From the request's headers to the last byte, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// The gate's own share of it, milliseconds with three decimals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate_ms: Option<f64>,
    /// To the first byte of the answer's body, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// The status the client was sent; 0 if it left before one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// The rule that decided, or the code of the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_id: Option<Cow<'a, str>>,
    /// The credential that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<Cow<'a, str>>,
    /// The id that the client was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Cow<'a, str>>,
    /// The call that this one continues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_event_id: Option<Cow<'a, str>>,
    /// Was the usage known to the end?
    pub complete: bool,
    /// Everything that is no column.
    pub payload: Payload<'a>,
}

/// Name of the filter state that carries the record; Envoy knows it as `wasm.tollgate`.
pub const PROPERTY: &str = "tollgate";

/// Filter state that marks a reply of the gate, so that Envoy's reply mapping leaves it alone. A
/// header could be forged, filter state cannot.
pub const REPLY_MARK: &str = "tollgate_reply";

/// Filter state that tells the access loggers that this exchange leaves no row of its own.
pub const NO_ROW_MARK: &str = "tollgate_row";

/// Filter state that keeps the event's id: Envoy's stream id, taken before anything changes it.
pub const EVENT_ID_STATE: &str = "tollgate.event_id";

/// As [`PROPERTY`], in Envoy's words.
pub const FILTER_STATE: &str = "wasm.tollgate";

/// Flag of rows in whose content something was masked.
pub const MASKED: &str = "secrets_masked";

/// Flag of the rows of who has broken the glass.
pub const BREAK_GLASS: &str = "break_glass";

/// Largest record, in bytes. One entry of over 4 MB would break the stream for its neighbours.
pub const LARGEST: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_event_reads_back_as_it_was_written() {
        let event = Event {
            occurred_at: 1_763_730_000_000_000,
            tenant_id: "acme".into(),
            user_id: "ann@example.com".into(),
            call_source: Some(CallSource::Cowork),
            kind: Kind::Inference,
            tokens_in: Some(25),
            gate_ms: Some(0.125),
            outcome: Outcome::Allowed,
            payload: Payload {
                flags: vec!["usage_unknown".into()],
                sequence: Some(Sequence { boot: 1, vm: 2, n: 3 }),
                ..Payload::default()
            },
            ..Event::default()
        };

        let wire = serde_json::to_string(&event).unwrap();
        let back: Event<'static> = serde_json::from_str(&wire).unwrap();

        assert_eq!(back, event);
        assert!(!wire.contains("null"), "what is unknown takes no space: {wire}");
    }

    #[test]
    fn a_record_of_a_newer_filter_is_still_read() {
        let wire =
            r#"{"occurred_at":1,"kind":"count","outcome":"denied","complete":true,"later":1}"#;

        let event: Event<'static> = serde_json::from_str(wire).unwrap();

        assert_eq!((event.kind, event.outcome), (Kind::Count, Outcome::Denied));
    }
}
