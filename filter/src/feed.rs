//! How policy, keys and standing come into the filter: one VM of an Envoy fetches each of them
//! about once a second, proves it good, and puts it where all VMs see it.

use crate::gate::{Gate, VERSION, wide};
use crate::host::{Host, HostError};
use crate::snapshot::DocumentError;
use thiserror::Error;

/// How often each document is asked for, nanoseconds.
const PERIOD: u64 = 900_000_000; // a little under a second, so that the tick decides

/// How long the fetching VM is waited for before another takes over, nanoseconds.
const LEASE: u64 = 3_000_000_000;

/// Shared data: which VM fetches, and until when.
const HOLDER: &str = "tollgate.fetcher";

/// What is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Document {
    /// The signed policy.
    Policy,
    /// The token keys.
    Keys,
    /// Who was stopped.
    Standing,
}

impl Document {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Policy, Self::Keys, Self::Standing];

    /// Where it is served, on a listener that Envoy's clients cannot reach.
    pub fn path(self) -> &'static str {
        match self {
            Self::Policy => "/gate/policy",
            Self::Keys => "/gate/keys",
            Self::Standing => "/gate/standing",
        }
    }

    /// Where it stands in the shared data.
    pub fn key(self) -> &'static str {
        match self {
            Self::Policy => "tollgate.policy",
            Self::Keys => "tollgate.keys",
            Self::Standing => "tollgate.standing",
        }
    }

    fn place(self) -> usize {
        match self {
            Self::Policy => 0,
            Self::Keys => 1,
            Self::Standing => 2,
        }
    }
}

/// Why an arrived document is not in force.
#[derive(Debug, Error)]
pub enum FeedError {
    /// It is not good.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It could not be shared.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The sidecar answered something else.
    #[error("the sidecar answered with status {0}")]
    Status(u16),
}

/// What came of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It is in force everywhere.
    Taken,
    /// It is the one that is in force.
    Known,
}

/// The fetching side of one VM.
#[derive(Debug, Default)]
pub struct Fetcher {
    last: u64,
    etags: [String; 3],
}

impl Fetcher {
    /// Is it time, and this VM's turn, to fetch?
    ///
    /// # Errors
    /// If the host refuses.
    pub fn due(&mut self, host: &impl Host, vm: u32, now: u64) -> Result<bool, HostError> {
        if now.saturating_sub(self.last) < PERIOD || !holds(host, vm, now)? {
            return Ok(false);
        }
        self.last = now;

        Ok(true)
    }

    /// The tag of the version this VM has; empty for none.
    pub fn etag(&self, document: Document) -> &str {
        self.etags.get(document.place()).map_or("", String::as_str)
    }

    /// Puts a fetched document in force, here and for all VMs.
    ///
    /// # Errors
    /// [`FeedError`]; what was in force stays.
    pub fn arrived(
        &mut self,
        host: &impl Host,
        gate: &Gate,
        document: Document,
        answer: (u16, &str, &[u8]),
    ) -> Result<Arrival, FeedError> {
        let (status, etag, body) = answer;
        match status {
            304 => return Ok(Arrival::Known),
            200 => {}
            other => return Err(FeedError::Status(other)),
        }
        if host.shared(document.key())?.value != body {
            gate.take(document, body)?;
            host.share(document.key(), body, None)?;
            rise(host)?;
        }
        if let Some(known) = self.etags.get_mut(document.place()) {
            etag.clone_into(known);
        }

        Ok(Arrival::Taken)
    }
}

/// Tells all VMs that something changed.
fn rise(host: &impl Host) -> Result<(), HostError> {
    loop {
        let seen = host.shared(VERSION)?;
        let next = wide(&seen.value).unwrap_or_default().saturating_add(1);
        let cas = if seen.cas == 0 { u32::MAX } else { seen.cas };
        if host.share(VERSION, &next.to_le_bytes(), Some(cas))? {
            return Ok(());
        }
    }
}

/// Takes or keeps the lease.
fn holds(host: &impl Host, vm: u32, now: u64) -> Result<bool, HostError> {
    let seen = host.shared(HOLDER)?;
    let holder = seen.value.split_at_checked(4).and_then(|(holder, until)| {
        Some((u32::from_le_bytes(holder.try_into().ok()?), wide(until)?))
    });
    if holder.is_some_and(|(holder, until)| holder != vm && now < until) {
        return Ok(false);
    }
    let mut value = vm.to_le_bytes().to_vec();
    value.extend(now.saturating_add(LEASE).to_le_bytes());
    let cas = if seen.cas == 0 { u32::MAX } else { seen.cas };

    host.share(HOLDER, &value, Some(cas))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::tests::{bundle, gate, keys};
    use crate::host::fake::FakeHost;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn one_vm_fetches_and_another_takes_over_when_it_is_gone() {
        let host = FakeHost::default();
        let (mut one, mut two) = (Fetcher::default(), Fetcher::default());

        assert!(one.due(&host, 1, 10 * SECOND).unwrap());
        assert!(!two.due(&host, 2, 10 * SECOND).unwrap());
        assert!(!one.due(&host, 1, 10 * SECOND).unwrap(), "not twice in a second");
        assert!(one.due(&host, 1, 11 * SECOND).unwrap());

        assert!(two.due(&host, 2, 15 * SECOND).unwrap(), "the first has not come back");
    }

    #[test]
    fn what_one_vm_fetched_is_in_force_in_all() {
        let host = FakeHost::default();
        let (one, two) = (gate(&host), gate(&host));
        let mut fetcher = Fetcher::default();
        for (document, text) in [
            (Document::Policy, bundle("everyone", &["claude-*"])),
            (Document::Keys, keys()),
            (Document::Standing, br#"{"version":1,"revoked":[]}"#.to_vec()),
        ] {
            let answer = (200, "\"1\"", text.as_slice());
            assert_eq!(fetcher.arrived(&host, &one, document, answer).unwrap(), Arrival::Taken);
        }

        two.refresh(&host).unwrap();

        assert!(one.snapshot().is_some() && two.snapshot().is_some());
        assert_eq!(fetcher.etag(Document::Policy), "\"1\"");
    }

    #[test]
    fn a_bad_document_changes_nothing() {
        let host = FakeHost::default();
        let gate = gate(&host);
        let mut fetcher = Fetcher::default();
        let good = bundle("everyone", &["claude-*"]);
        fetcher.arrived(&host, &gate, Document::Policy, (200, "\"1\"", &good)).unwrap();

        let unsigned = br#"{"schema":"tollgate.policy/v1","name":"x","rules":[]}"#;
        let refused = fetcher.arrived(&host, &gate, Document::Policy, (200, "\"2\"", unsigned));
        let away = fetcher.arrived(&host, &gate, Document::Policy, (503, "", b""));

        assert!(matches!(refused, Err(FeedError::Document(_))));
        assert!(matches!(away, Err(FeedError::Status(503))));
        assert_eq!(host.shared(Document::Policy.key()).unwrap().value, good, "the old one stands");
        assert_eq!(fetcher.etag(Document::Policy), "\"1\"", "and is asked for again");
    }
}
