//! How policy, keys and standing come into the filter: one VM of an Envoy fetches each of them
//! about once a second, proves it good, and puts it where all VMs see it.

use crate::gate::{Gate, VERSION, wide};
use crate::host::{Host, HostError};
use crate::snapshot::DocumentError;
use contract::standing::Board;
use std::borrow::Cow;
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
    /// What sessions of MCP servers are sealed with.
    Sessions,
}

impl Document {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Policy, Self::Keys, Self::Standing, Self::Sessions];

    /// Where it is served, on a listener that Envoy's clients cannot reach.
    pub fn path(self) -> &'static str {
        match self {
            Self::Policy => "/gate/policy",
            Self::Keys => "/gate/keys",
            Self::Standing => "/gate/standing",
            Self::Sessions => "/gate/sessions",
        }
    }

    /// Where it stands in the shared data.
    pub fn key(self) -> &'static str {
        match self {
            Self::Policy => "tollgate.policy",
            Self::Keys => "tollgate.keys",
            Self::Standing => "tollgate.standing",
            Self::Sessions => "tollgate.sessions",
        }
    }

    /// Where its tag stands: with the document and not with a VM, or a VM that has not fetched for a
    /// while would be told "as you have it" of something else than all have.
    fn tag_key(self) -> &'static str {
        match self {
            Self::Policy => "tollgate.policy.etag",
            Self::Keys => "tollgate.keys.etag",
            Self::Standing => "tollgate.standing.etag",
            Self::Sessions => "tollgate.sessions.etag",
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
}

impl Fetcher {
    /// Is it time, and this VM's turn, to fetch?
    ///
    /// # Errors
    /// If the host refuses.
    pub fn due(&mut self, host: &impl Host, vm: u32, now: u64) -> Result<bool, HostError> {
        // A clock that was set back must not stop the fetching until it has caught up.
        let early = now >= self.last && now.saturating_sub(self.last) < PERIOD;
        if early || !holds(host, vm, now)? {
            return Ok(false);
        }
        self.last = now;

        Ok(true)
    }

    /// The tag of the version in force; empty for none.
    ///
    /// # Errors
    /// If the host refuses.
    pub fn etag(host: &impl Host, document: Document) -> Result<String, HostError> {
        let tag = host.shared(document.tag_key())?.value;

        Ok(String::from_utf8(tag).unwrap_or_default())
    }

    /// Puts a fetched document in force, here and for all VMs.
    ///
    /// # Errors
    /// [`FeedError`]; what was in force stays.
    pub fn arrived(
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
        let before = host.shared(document.key())?.value;
        let body = match document {
            Document::Standing => after(&before, body)?,
            Document::Policy | Document::Keys | Document::Sessions => Cow::Borrowed(body),
        };
        // The tag comes last: where it is missing, not everything was done the last time.
        if before == *body && Self::etag(host, document)? == etag {
            return Ok(Arrival::Known);
        }
        gate.take(document, &body)?;
        host.share(document.key(), &body, None)?;
        rise(host)?;
        host.share(document.tag_key(), etag.as_bytes(), None)?;

        Ok(Arrival::Taken)
    }
}

/// The standing that is in force when this one comes after that one.
fn after<'a>(before: &[u8], body: &'a [u8]) -> Result<Cow<'a, [u8]>, DocumentError> {
    let new = Board::read(body.to_vec())?;
    match Board::read(before.to_vec()) {
        Ok(old) if new.version() < old.version() => {
            log::error!("the standing fell from version {} to {}", old.version(), new.version());
            Ok(Cow::Owned(new.after(&old).bytes().to_vec()))
        }
        Ok(_) | Err(_) => Ok(Cow::Borrowed(body)),
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
    // A lease that ends later than any can is of a clock that was set back since.
    let live = |until: u64| now < until && until <= now.saturating_add(LEASE);
    if holder.is_some_and(|(holder, until)| holder != vm && live(until)) {
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
    use crate::gate::tests::{bundle, gate, keys, ready};
    use crate::gate::tests::{marks, standing};
    use crate::host::fake::FakeHost;
    use serde_json::json;
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
        assert!(one.due(&host, 1, 2 * SECOND).unwrap(), "a clock set back stops nothing");
    }

    #[test]
    fn a_standing_whose_version_fell_takes_nothing_away_in_any_vm() {
        let host = FakeHost::default();
        let (one, two) = (ready(&host, &json!([])), gate(&host));
        for (document, text) in
            [(Document::Policy, bundle("everyone", &["*"])), (Document::Keys, keys())]
        {
            Fetcher::arrived(&host, &one, document, (200, "\"1\"", &text)).unwrap();
        }
        let revoked = |id| json!([{"kind": "user", "id": id, "effect": "revoked"}]);
        let (high, low) = (standing(9, &revoked("ann")), standing(2, &revoked("bob")));

        Fetcher::arrived(&host, &one, Document::Standing, (200, "\"9\"", &high)).unwrap();
        Fetcher::arrived(&host, &one, Document::Standing, (200, "\"2\"", &low)).unwrap();
        let again = Fetcher::arrived(&host, &one, Document::Standing, (200, "\"2\"", &low));
        one.refresh(&host).unwrap();
        two.refresh(&host).unwrap();

        assert_eq!(again.unwrap(), Arrival::Known, "nor is it told again and again");
        for gate in [&one, &two] {
            let board = gate.snapshot().unwrap().board;
            let stopped = |user: &str| board.stops(&marks(user), 0).is_some();
            assert!(stopped("ann") && stopped("bob") && !stopped("cleo"));
        }
    }

    #[test]
    fn what_one_vm_fetched_is_in_force_in_all() {
        let host = FakeHost::default();
        let (one, two) = (gate(&host), gate(&host));
        for (document, text) in [
            (Document::Policy, bundle("everyone", &["claude-*"])),
            (Document::Keys, keys()),
            (Document::Standing, standing(1, &json!([]))),
        ] {
            let answer = (200, "\"1\"", text.as_slice());
            assert_eq!(Fetcher::arrived(&host, &one, document, answer).unwrap(), Arrival::Taken);
        }

        two.refresh(&host).unwrap();

        assert!(one.snapshot().is_some() && two.snapshot().is_some());
        assert_eq!(Fetcher::etag(&host, Document::Policy).unwrap(), "\"1\"");
    }

    #[test]
    fn a_bad_document_changes_nothing() {
        let host = FakeHost::default();
        let gate = gate(&host);
        let good = bundle("everyone", &["claude-*"]);
        Fetcher::arrived(&host, &gate, Document::Policy, (200, "\"1\"", &good)).unwrap();

        let unsigned = br#"{"schema":"tollgate.policy/v1","name":"x","rules":[]}"#;
        let refused = Fetcher::arrived(&host, &gate, Document::Policy, (200, "\"2\"", unsigned));
        let away = Fetcher::arrived(&host, &gate, Document::Policy, (503, "", b""));

        assert!(matches!(refused, Err(FeedError::Document(_))));
        assert!(matches!(away, Err(FeedError::Status(503))));
        assert_eq!(host.shared(Document::Policy.key()).unwrap().value, good, "the old one stands");
        assert_eq!(
            Fetcher::etag(&host, Document::Policy).unwrap(),
            "\"1\"",
            "and is asked for again"
        );
    }
}
