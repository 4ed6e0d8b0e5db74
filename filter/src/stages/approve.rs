//! Has somebody approved of exactly this call? Only then a [`Recorded`] that was withheld for it comes back.
//!
//! The sidecar knows: 204 to `POST /gate/approval` says that somebody has, and that this was the one time it could be
//! used. Every other answer, and none, is a no.

use super::intend::Recorded;
use crate::host::Host;
use crate::refusal::Refusal;
use contract::approval::APPROVAL;
use serde::Serialize;
use std::time::Duration;

/// Where the sidecar is asked.
const PATH: &str = "/gate/approval";

/// How long its answer is awaited.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the sidecar answers when it is approved of.
const APPROVED: u16 = 204;

/// What the sidecar answers when it is not.
const NOT: u16 = 404;

/// What is asked about.
#[derive(Debug, Serialize)]
pub struct Call<'a> {
    /// The digest of the call.
    pub digest: &'a str,
    /// The caller's tenant.
    pub tenant_id: &'a str,
    /// The caller.
    pub user_id: &'a str,
    /// The server.
    pub server: &'a str,
    /// The tool.
    pub tool: &'a str,
    /// The row that the call will be.
    pub event_id: &'a str,
}

/// A question that is under way.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    token: u32,
    recorded: Recorded,
}

/// Asks. What the call needs to leave is kept here until the answer.
///
/// # Errors
/// [`Refusal::ApprovalRequired`] if nobody can even be asked.
pub fn ask(
    host: &impl Host,
    cluster: &str,
    call: &Call<'_>,
    recorded: Recorded,
) -> Result<Asked, Refusal> {
    let body = serde_json::to_vec(call).unwrap_or_default();
    match host.post(cluster, PATH, &body, PATIENCE) {
        Ok(token) => Ok(Asked { token, recorded }),
        Err(error) => {
            log::error!("{error}: a call that has to be approved of is refused");
            Err(Refusal::ApprovalRequired)
        }
    }
}

impl Asked {
    /// Is this the call that has ended?
    pub fn is(&self, token: u32) -> bool {
        self.token == token
    }

    /// It has ended: was it approved of? Gives the approval's id as well, if the sidecar says it.
    ///
    /// # Errors
    /// [`Refusal::ApprovalRequired`] for every other answer, and for none.
    pub fn granted(self, host: &impl Host) -> Result<(Recorded, Option<String>), Refusal> {
        match host.call_status() {
            // The row can do without the id; the call was approved of.
            Ok(Some(APPROVED)) => Ok((self.recorded, host.call_header(APPROVAL).ok().flatten())),
            Ok(Some(NOT)) => Err(Refusal::ApprovalRequired),
            Ok(status) => {
                log::error!("the sidecar does not say whether a call is approved of: {status:?}");
                Err(Refusal::ApprovalRequired)
            }
            Err(error) => {
                log::error!("{error}: a call that has to be approved of is refused");
                Err(Refusal::ApprovalRequired)
            }
        }
    }
}
