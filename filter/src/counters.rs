//! Every counter, by name. No label comes from a client.

use crate::refusal::Refusal;
use contract::audit::Outcome;

/// Something that is measured, in whole numbers. Envoy shows it beside the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gauge {
    /// For how many seconds the standing has not been confirmed.
    StandingAge,
}

impl Gauge {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::StandingAge];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::StandingAge => "tollgate_standing_age_seconds",
        }
    }
}

/// Something that is counted. Envoy shows it as `wasmcustom.tollgate_…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counter {
    /// An exchange ended.
    Outcome(Outcome),
    /// A refusal.
    Refused(Refusal),
    /// A record could not be written at the end; the provisional one stands.
    RecordLost,
    /// A document was fetched and is in force.
    DocumentTaken,
    /// A document was refused: the old one stays.
    DocumentRefused,
    /// A document could not be fetched.
    FetchFailed,
    /// The sidecar was not told how far this VM has come.
    HeartbeatFailed,
}

impl Counter {
    /// Its name.
    pub fn name(self) -> String {
        match self {
            Self::Outcome(outcome) => format!("tollgate_calls_{}", outcome.as_str()),
            Self::Refused(refusal) => format!("tollgate_refused_{}", refusal.code()),
            Self::RecordLost => "tollgate_record_lost".to_owned(),
            Self::DocumentTaken => "tollgate_document_taken".to_owned(),
            Self::DocumentRefused => "tollgate_document_refused".to_owned(),
            Self::FetchFailed => "tollgate_fetch_failed".to_owned(),
            Self::HeartbeatFailed => "tollgate_heartbeat_failed".to_owned(),
        }
    }

    /// All of them, so that each exists (as 0) from the start.
    pub fn all() -> impl Iterator<Item = Self> {
        [Outcome::Allowed, Outcome::Denied, Outcome::Error]
            .into_iter()
            .map(Self::Outcome)
            .chain(Refusal::ALL.iter().copied().map(Self::Refused))
            .chain([
                Self::RecordLost,
                Self::DocumentTaken,
                Self::DocumentRefused,
                Self::FetchFailed,
                Self::HeartbeatFailed,
            ])
    }
}
