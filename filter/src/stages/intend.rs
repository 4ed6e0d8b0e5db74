//! 6. [`Cleared`] → [`Recorded`]: is the call written down as far as the policy asks before it leaves?
//!
//! Where a rule says `audit: before`, the sidecar is told of the call and must say that it has stored
//! it: 204 to `POST /gate/intent`, and nothing else, makes a [`Recorded`] then. Without one nothing
//! leaves, so whatever fails on this way fails closed.

use super::mcp;
use super::scan::Cleared;
use crate::host::Host;
use crate::refusal::Refusal;
use contract::policy::{Audit, Terms};
use std::time::Duration;

/// Where the sidecar is told.
const PATH: &str = "/gate/intent";

/// How long its answer is awaited. It takes a millisecond; a person waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the sidecar answers when it has stored an intent.
const STORED: u16 = 204;

/// The call is written down as far as the policy asks. Only this module makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Recorded(());

/// What has to happen before the call may leave.
#[derive(Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing: its row at the end is enough.
    Open(Recorded),
    /// It has to be stored.
    First(Intent),
}

/// A call that has to be stored first.
#[derive(Debug, PartialEq, Eq)]
pub struct Intent(());

/// An intent that is under way to the sidecar.
#[derive(Debug, PartialEq, Eq)]
pub struct Sent {
    token: u32,
}

/// What does the policy ask?
pub fn way(cleared: &Cleared) -> Way {
    of(cleared.permit().terms())
}

/// The same of a call of an MCP server.
pub fn way_of_mcp(cleared: &mcp::Cleared) -> Way {
    of(cleared.terms())
}

fn of(terms: Terms) -> Way {
    match terms.audit() {
        Audit::After => Way::Open(Recorded(())),
        Audit::Before => Way::First(Intent(())),
    }
}

impl Intent {
    /// Tells the sidecar.
    ///
    /// # Errors
    /// [`Refusal::AuditUnavailable`] if it cannot even be told.
    pub fn send(self, host: &impl Host, cluster: &str, record: &[u8]) -> Result<Sent, Refusal> {
        match host.post(cluster, PATH, record, PATIENCE) {
            Ok(token) => Ok(Sent { token }),
            Err(error) => {
                log::error!("{error}: a call that has to be stored first is refused");
                Err(Refusal::AuditUnavailable)
            }
        }
    }
}

impl Sent {
    /// Is this the call that has ended?
    pub fn is(&self, token: u32) -> bool {
        self.token == token
    }

    /// It has ended: is the intent stored?
    ///
    /// # Errors
    /// [`Refusal::AuditUnavailable`] for every other answer, and for none.
    pub fn stored(self, host: &impl Host) -> Result<Recorded, Refusal> {
        match host.call_status() {
            Ok(Some(STORED)) => Ok(Recorded(())),
            Ok(_) => Err(Refusal::AuditUnavailable),
            Err(error) => {
                log::error!("{error}: a call that has to be stored first is refused");
                Err(Refusal::AuditUnavailable)
            }
        }
    }
}
