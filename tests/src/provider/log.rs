//! What a stand-in writes down of those who call it, and what it says before it obeys a script.

use super::script::{Fault, Script};
use super::seen::Seen;
use super::{Body, Broken, json, locked};
use futures_util::future;
use http::{Response, StatusCode};
use std::sync::Mutex;

/// What arrived, and what of it should not have.
#[derive(Debug, Default)]
pub(super) struct Log {
    seen: Mutex<Vec<Seen>>,
    violations: Mutex<Vec<String>>,
}

impl Log {
    /// What arrived with this script.
    pub(super) fn seen(&self, script: &Script) -> Vec<Seen> {
        locked(&self.seen).iter().filter(|seen| seen.told(script)).cloned().collect()
    }

    /// Everything that arrived.
    pub(super) fn all(&self) -> Vec<Seen> {
        locked(&self.seen).clone()
    }

    /// What must never have arrived, and did.
    pub(super) fn violations(&self) -> Vec<String> {
        locked(&self.violations).clone()
    }

    /// Forgets violations that a test provoked.
    pub(super) fn forgive(&self) {
        locked(&self.violations).clear();
    }

    /// Writes a call down. What should not have arrived is answered here, and loudly; otherwise the script goes on,
    /// unless it says that there is no answer.
    pub(super) async fn enter(
        &self,
        seen: &Seen,
        script: &Script,
        violations: Vec<String>,
    ) -> Result<Option<Response<Body>>, Broken> {
        let attempts = {
            let mut all = locked(&self.seen);
            all.push(seen.clone());
            all.iter().filter(|seen| seen.told(script)).count()
        };
        if !violations.is_empty() {
            let told = serde_json::json!({ "e2e": violations.join("; ") });
            locked(&self.violations).extend(violations);
            return Ok(Some(json(StatusCode::IM_A_TEAPOT, &told)));
        }
        if script.fail_first > 0 && attempts <= usize::try_from(script.fail_first)? {
            return Err(h2::Error::from(h2::Reason::REFUSED_STREAM).into());
        }
        match script.fault {
            Fault::ResetBeforeHeaders => Err("as the script says".into()),
            Fault::SilentBeforeHeaders => future::pending().await,
            _ => Ok(None),
        }
    }
}
