//! What is counted of approvals.

use super::{Counter, head, line};

/// Counts.
#[derive(Debug, Default)]
pub struct Approvals {
    /// Requests.
    pub asked: Counter,
    /// Approved at this sidecar.
    pub approved: Counter,
    /// Denied at this sidecar.
    pub denied: Counter,
    /// Calls that an approval let through.
    pub used: Counter,
    /// Calls that asked for one in vain.
    pub refused: Counter,
    /// Messages that a channel took.
    pub told: Counter,
    /// Attempts that failed.
    pub not_told: Counter,
    /// Messages that were given up.
    pub given_up: Counter,
}

impl Approvals {
    pub(super) fn prometheus(&self, text: &mut String) {
        let name = "tollgate_approvals_total";
        head(text, name, "counter", "Requests for approval, decisions on pages, and their use.");
        for (act, counter) in [
            ("asked", &self.asked),
            ("approved", &self.approved),
            ("denied", &self.denied),
            ("used", &self.used),
            ("refused", &self.refused),
        ] {
            line(text, name, Some(("act", act)), counter.get());
        }
        let name = "tollgate_approval_messages_total";
        head(text, name, "counter", "What became of telling channels of approvals, by attempt.");
        for (result, counter) in
            [("told", &self.told), ("failed", &self.not_told), ("given_up", &self.given_up)]
        {
            line(text, name, Some(("result", result)), counter.get());
        }
    }
}
