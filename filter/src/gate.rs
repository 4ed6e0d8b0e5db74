//! What one VM of the gate keeps between exchanges.

use crate::age::Age;
use crate::feed::Document;
use crate::flood::{Burst, Flood};
use crate::guard;
use crate::host::{Host, HostError};
use crate::mcp::session::Key;
use crate::record::Providers;
use crate::settings::Settings;
use crate::snapshot::{self, Bundle, DocumentError, Documents, Snapshot};
use crate::stages::decode::Surface;
use crate::stages::parse::Call;
use crate::tokens::Tokens;
use crate::trail::Trails;
use contract::audit::{Counted, Heartbeat, Kind, Sequence};
use contract::estimate::{Body, Lengths};
use contract::headers::Boundary;
use contract::mcp::Protocol;
use contract::price::RateCard;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

/// Shared data: when this Envoy's first VM started, Unix nanoseconds.
const BOOT: &str = "tollgate.boot";

/// Shared data: rises when any document changes, so that one small read per call tells all
/// workers at once.
pub const VERSION: &str = "tollgate.version";

/// "Only if nobody was faster", for a value that is not there yet: 0 would mean "do not compare".
const NEW: u32 = u32::MAX;

/// One VM's gate.
#[derive(Debug)]
pub struct Gate {
    /// The plugin's configuration.
    pub settings: Settings,
    /// What may leave and what may come back.
    pub boundary: Boundary,
    /// What tokens cost.
    pub rates: RateCard,
    /// Tokens verified before.
    pub tokens: RefCell<Tokens>,
    /// Anonymous refusals.
    pub flood: RefCell<Flood>,
    /// Who serves behind which cluster.
    pub providers: Providers,
    /// What lanes of this worker do for calls of this gate.
    pub trails: Rc<Trails>,
    /// How long models' answers are.
    pub lengths: RefCell<Lengths>,
    /// How old the standing is.
    pub age: Age,
    /// How many VMs were started when this one last looked.
    pub started: Cell<u32>,
    boot: u64,
    vm: u32,
    last: Cell<u64>,
    /// Numbers given out that will still make a row. As many as there are exchanges and counts in
    /// this VM, each of which takes far more memory than its number here.
    open: RefCell<BTreeSet<u64>>,
    version: Cell<u64>,
    taken: [Cell<u32>; 4],
    documents: RefCell<Documents>,
    snapshot: RefCell<Option<Snapshot>>,
    /// What is known of MCP. Where it cannot be read, all of it is closed.
    pub protocol: Protocol,
    /// What sessions of MCP servers are sealed with; none until it is here.
    pub session_key: RefCell<Option<Key>>,
}

impl Gate {
    /// Starts: takes the VM's number and this Envoy's boot time.
    ///
    /// # Errors
    /// If the host refuses; the plugin must then not start.
    pub fn start(
        host: &impl Host,
        settings: Settings,
        boundary: Boundary,
        rates: RateCard,
    ) -> Result<Self, HostError> {
        let now = host.now()?;
        host.share(BOOT, &now.to_le_bytes(), Some(NEW))?;
        let boot = wide(&host.shared(BOOT)?.value).unwrap_or(now);
        let vm = loop {
            let seen = host.shared(guard::STARTED)?;
            let next = guard::number(&seen.value).unwrap_or_default().saturating_add(1);
            let cas = if seen.cas == 0 { NEW } else { seen.cas };
            if host.share(guard::STARTED, &next.to_le_bytes(), Some(cas))? {
                break next;
            }
        };

        Ok(Self {
            settings,
            boundary,
            rates,
            tokens: RefCell::default(),
            flood: RefCell::default(),
            providers: Providers::default(),
            trails: Rc::default(),
            lengths: RefCell::default(),
            age: Age::default(),
            started: Cell::new(vm),
            boot,
            vm,
            last: Cell::new(0),
            open: RefCell::default(),
            version: Cell::new(0),
            taken: [const { Cell::new(0) }; 4],
            documents: RefCell::default(),
            snapshot: RefCell::default(),
            protocol: Protocol::shipped().unwrap_or_default(),
            session_key: RefCell::default(),
        })
    }

    /// With the trails that this VM's lanes write.
    #[must_use]
    pub fn beside(mut self, trails: Rc<Trails>) -> Self {
        self.trails = trails;
        self
    }

    /// Where clients reach this gateway: as it is configured, else as this client says.
    pub fn origin<'a>(&'a self, said: &'a str) -> &'a str {
        self.settings.public_url.as_deref().unwrap_or(said)
    }

    /// The class of what a call is likely to cost, where there are classes.
    pub fn cost_class(
        &self,
        surface: Surface,
        call: &Call,
        size: Body,
        bundle: &Bundle,
    ) -> Option<&str> {
        let costing = self.settings.costing.as_ref()?;
        let rates = bundle.policy.rates().unwrap_or(&self.rates);

        Some(costing.class(surface, call, size, &self.lengths.borrow(), rates))
    }

    /// The next record's place in this VM's sequence. It is open until [`Self::close`].
    pub fn next(&self) -> Sequence {
        let n = self.last.get().saturating_add(1);
        self.last.set(n);
        self.open.borrow_mut().insert(n);

        Sequence { boot: self.boot, vm: self.vm, n }
    }

    /// What this number was given out for has ended: if there is no row, one is missing.
    pub fn close(&self, sequence: Sequence) {
        self.open.borrow_mut().remove(&sequence.n);
    }

    /// How far this VM has come.
    pub fn heartbeat(&self) -> Heartbeat {
        let open = self.open.borrow();
        let listed: Vec<u64> = open.iter().copied().take(Heartbeat::MOST).collect();
        // Of numbers from the first that is not listed on nothing is said.
        let highest = match open.iter().nth(Heartbeat::MOST) {
            Some(first) => first.saturating_sub(1),
            None => self.last.get(),
        };

        Heartbeat { boot: self.boot, vm: self.vm, highest, open: listed }
    }

    /// This VM's name, unlike any other's of this Envoy.
    pub fn name(&self) -> String {
        format!("{}.{}", self.boot, self.vm)
    }

    /// This VM's number.
    pub fn vm(&self) -> u32 {
        self.vm
    }

    /// What calls are judged by, if everything is there.
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.snapshot.borrow().clone()
    }

    /// Takes over what another VM has fetched since.
    ///
    /// # Errors
    /// If the host refuses.
    pub fn refresh(&self, host: &impl Host) -> Result<(), HostError> {
        let version = wide(&host.shared(VERSION)?.value).unwrap_or_default();
        if version == self.version.get() {
            return Ok(());
        }
        for (document, taken) in Document::ALL.into_iter().zip(&self.taken) {
            let shared = host.shared(document.key())?;
            if shared.value.is_empty() || taken.replace(shared.cas) == shared.cas {
                continue;
            }
            if let Err(error) = self.take(document, &shared.value) {
                // The VM that fetched it took it; it is not going to be better here.
                log::error!("a document is refused, the one before stays: {error}");
            }
        }
        self.version.set(version);

        Ok(())
    }

    /// Puts a document in force in this VM.
    ///
    /// # Errors
    /// If it is refused; the one before stays.
    pub fn take(&self, document: Document, text: &[u8]) -> Result<(), DocumentError> {
        let mut documents = self.documents.borrow_mut();
        match document {
            Document::Policy => {
                let bundle = snapshot::bundle(text, &self.settings.policy_keys)?;
                documents.bundle = Some(Rc::new(bundle));
            }
            Document::Keys => {
                documents.keys = Some(Rc::new(snapshot::keys(text)?));
                // A key may be gone: whoever was verified with it proves themselves again.
                self.tokens.borrow_mut().retain(|_| false);
            }
            Document::Standing => documents.board = Some(Rc::new(snapshot::board(text)?)),
            Document::Sessions => {
                self.session_key.replace(Some(snapshot::session_key(text)?));
            }
        }
        self.snapshot.replace(documents.complete());

        Ok(())
    }

    /// What was counted instead of written, as rows to be. Their numbers are open until the sidecar
    /// says that it has them.
    pub fn counted(&self, now: u64) -> Vec<Counted> {
        self.flood
            .borrow_mut()
            .take(now)
            .into_iter()
            .map(|Burst { reason, address, since, count }| Counted {
                since: since.checked_div(1000).unwrap_or_default(),
                source_address: address,
                rule_id: reason.code.to_owned(),
                status: reason.status,
                kind: if reason.sign_in { Kind::Auth } else { Kind::Inference },
                count,
                sequence: self.next(),
            })
            .collect()
    }

    /// The sidecar has these.
    pub fn stored(&self, counted: &[Counted]) {
        for one in counted {
            self.close(one.sequence);
        }
    }
}

/// A wide number as it stands in the shared data.
pub fn wide(value: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(value.try_into().ok()?))
}

#[cfg(test)]
pub(crate) mod tests;
