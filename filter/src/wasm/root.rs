//! The plugin: configuration, ticks, and a new exchange for each stream.

use super::envoy::{self, Envoy};
use super::ffi;
use super::stream::Stream;
use crate::age::Watch;
use crate::counters::{Counter, Gauge};
use crate::exchange::Exchange;
use crate::feed::{Arrival, Document, Fetcher};
use crate::gate::Gate;
use crate::guard;
use crate::host::{Host, HostError};
use crate::lane::{self, Lane};
use crate::settings::{Plugin, Settings};
use crate::trail::Trails;
use contract::audit::Counted;
use contract::headers::Boundary;
use contract::price::RateCard;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

/// How often this VM looks around. A quarter of a second, so that a revocation is in force in all
/// workers well within the second it was fetched in.
const TICK: u32 = 250;

/// How often what was counted is handed over, nanoseconds: each time it becomes a row for a reason
/// and an address.
const PERIOD: u64 = 1_000_000_000;

/// How often the sidecar is told how far this VM has come, nanoseconds: a hole at the end of its
/// sequence is known that late.
const HEARTBEAT: u64 = 5_000_000_000;

/// How long a stream of a lane may be silent before a `ping` is said in it, nanoseconds: clients give up after 300 s
/// of silence (Claude Code's gateway contract), load balancers after 60.
const SILENCE: u64 = 15_000_000_000;

/// What is said in a silence (Messages API, "Streaming", ping events).
const PING: &[u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

thread_local! {
    /// A VM has one thread, and all plugins of it share this: what lanes tell the gate.
    static TRAILS: Rc<Trails> = Rc::default();
}

/// How long an answer of the sidecar is awaited.
const PATIENCE: Duration = Duration::from_secs(2);

/// Largest document that is fetched: 10,000 revocations are under 1 MB.
const LARGEST: usize = contract::envelope::LARGEST;

/// A call to the sidecar that is under way.
enum Pending {
    Fetch(Document),
    Counted,
    Heartbeat,
}

/// One plugin in one VM.
#[derive(Default)]
pub(super) struct Root {
    envoy: Envoy,
    context: u32,
    gate: Option<Rc<Gate>>,
    lane: Option<Rc<Lane>>,
    releases: Option<u32>,
    fetcher: Fetcher,
    watch: Watch,
    pending: HashMap<u32, Pending>,
    failing: bool,
    /// Counted and not known to be stored.
    counted: Vec<Counted>,
    handing_over: bool,
    handed_over: u64,
    told: u64,
}

impl Root {
    /// The plugin of this context.
    pub(super) fn of(context: u32) -> Self {
        Self { context, ..Self::default() }
    }

    fn configure(&mut self, size: usize) -> Result<(), String> {
        let text = ffi::buffer(envoy::PLUGIN_CONFIGURATION, size).map_err(|e| e.to_string())?;
        let plugin = Plugin::parse(&text).map_err(|error| error.to_string())?;
        let boundary = Boundary::shipped().map_err(|error| error.to_string())?;
        self.envoy = Envoy::with_counters().map_err(|error| error.to_string())?.of(self.context);
        match plugin {
            Plugin::Gate(settings) => self.configure_gate(*settings, boundary),
            Plugin::Lane(settings) => {
                let lane = Lane::start(*settings, boundary, TRAILS.with(Rc::clone));
                self.lane = Some(Rc::new(lane));
                Ok(())
            }
        }
    }

    fn configure_gate(&mut self, settings: Settings, boundary: Boundary) -> Result<(), String> {
        let rates = RateCard::shipped().map_err(|error| error.to_string())?;
        let gate =
            Gate::start(&self.envoy, settings, boundary, rates).map_err(|e| e.to_string())?;
        let gate = gate.beside(TRAILS.with(Rc::clone));
        gate.refresh(&self.envoy).map_err(|error| error.to_string())?;
        gate.age.refresh(&self.envoy).map_err(|error| error.to_string())?;
        let queue = self.envoy.open_releases(&gate.name()).map_err(|error| error.to_string())?;
        self.releases = Some(queue);
        self.gate = Some(Rc::new(gate));
        ffi::tick_every(TICK).map_err(|error| error.to_string())
    }

    /// Says something in streams that have been silent for long, so that nobody takes them for dead.
    fn speak_in_silences(&self, gate: &Gate, now: u64) {
        for stream in gate.trails.silent(now, SILENCE) {
            if let Err(error) = self.envoy.speak(stream, PING) {
                log::warn!("{error}: a silent stream is not told that it lives");
            }
        }
    }

    fn tick(&mut self, gate: &Gate) -> Result<(), HostError> {
        let now = self.envoy.now()?;
        gate.refresh(&self.envoy)?;
        self.look_at_age(gate, now)?;
        self.speak_in_silences(gate, now);
        gate.providers.borrow_mut().clear();
        let started = self.envoy.shared(guard::STARTED)?;
        gate.started.set(guard::number(&started.value).unwrap_or_default());
        if self.fetcher.due(&self.envoy, gate.vm(), now)? {
            self.tell_age(gate, now);
            for document in Document::ALL {
                self.fetch(gate, document);
            }
        }
        self.hand_over(gate, now);
        self.tell(gate, now);

        Ok(())
    }

    /// Every VM shows it: if one stands still, the others say so.
    fn look_at_age(&self, gate: &Gate, now: u64) -> Result<(), HostError> {
        gate.age.refresh(&self.envoy)?;
        if gate.snapshot().is_none() {
            return Ok(()); // there is none yet
        }

        self.envoy.gauge(Gauge::StandingAge, gate.age.now(now).as_secs())
    }

    /// One line in the log, of the VM that fetches.
    fn tell_age(&self, gate: &Gate, now: u64) {
        if let Some(latest) = gate.snapshot() {
            self.watch.look(gate.age.now(now), latest.bundle.policy.standing_max_age());
        }
    }

    fn fetch(&mut self, gate: &Gate, document: Document) {
        let mut headers =
            vec![(":method", "GET"), (":path", document.path()), (":authority", "tollgate")];
        let etag = Fetcher::etag(&self.envoy, document).unwrap_or_default();
        if !etag.is_empty() {
            headers.push(("if-none-match", &etag));
        }
        let cluster = gate.settings.gate_cluster.clone();
        match hostcalls::dispatch_http_call(&cluster, headers, None, vec![], PATIENCE) {
            Ok(token) => drop(self.pending.insert(token, Pending::Fetch(document))),
            Err(status) => self.fetch_failed(document, &format!("{status:?}")),
        }
    }

    /// Told once, until it works again: it is asked for each second.
    fn fetch_failed(&mut self, document: Document, why: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            log::warn!("{} could not be fetched ({why}); what is in force stays", document.path());
        }
        self.counts(Counter::FetchFailed);
    }

    fn counts(&self, counter: Counter) {
        if let Err(error) = self.envoy.count(counter) {
            log::warn!("{error}: an event is not counted");
        }
    }

    /// Did the sidecar say that it has stored what it was sent?
    fn call_stored(&self) -> bool {
        self.envoy.call_status().is_ok_and(|status| status == Some(204))
    }

    fn arrived(&mut self, document: Document, size: usize) {
        let Some(gate) = self.gate.clone() else { return };
        let answer = envoy::call_headers().and_then(|headers| {
            let body = if size > LARGEST { Vec::new() } else { envoy::call_body(size)? };
            Ok((headers, body))
        });
        let Ok((headers, body)) = answer else {
            return self.fetch_failed(document, "no answer");
        };
        // No status: the cluster is away, or was too slow.
        let status = headers.text(":status").and_then(|status| status.parse().ok()).unwrap_or(0);
        let etag = headers.text("etag").unwrap_or_default();
        if status != 200 && status != 304 {
            return self.fetch_failed(document, &format!("status {status}"));
        }
        self.failing = false;
        let arrival = Fetcher::arrived(&self.envoy, &gate, document, (status, etag, &body));
        if arrival.is_ok() && document == Document::Standing {
            self.confirmed(&gate, headers.text("age"));
        }
        match arrival {
            Ok(Arrival::Taken) => {
                log::info!("{} is in force ({etag})", document.path());
                self.counts(Counter::DocumentTaken);
            }
            Ok(Arrival::Known) => {}
            Err(error) => {
                log::error!("{} is refused, what is in force stays: {error}", document.path());
                self.counts(Counter::DocumentRefused);
            }
        }
    }

    /// The standing is as we have it, or was that many seconds ago.
    fn confirmed(&self, gate: &Gate, age: Option<&str>) {
        let age = age.and_then(|age| age.trim().parse().ok()).unwrap_or_default();
        let told = self.envoy.now().and_then(|now| gate.age.confirm(&self.envoy, now, age));
        if let Err(error) = told {
            log::warn!("{error}: the standing seems older than it is");
        }
    }

    /// Hands over what was counted instead of written. What could not be handed over is sent again
    /// as it was, so that the sidecar knows it; meanwhile the flood's own table goes on counting.
    fn hand_over(&mut self, gate: &Gate, now: u64) {
        if self.handing_over {
            return;
        }
        if self.counted.is_empty() && now.abs_diff(self.handed_over) >= PERIOD {
            self.handed_over = now;
            self.counted = gate.counted(now);
        }
        if self.counted.is_empty() {
            return;
        }
        let body = serde_json::to_vec(&self.counted).unwrap_or_default();
        // If it cannot even be sent, the next tick tries again.
        if let Ok(token) =
            self.envoy.post(&gate.settings.gate_cluster, "/gate/counted", &body, PATIENCE)
        {
            self.handing_over = true;
            self.pending.insert(token, Pending::Counted);
        }
    }

    /// Tells how far this VM has come. Nothing waits for it, and the next one says it all again.
    fn tell(&mut self, gate: &Gate, now: u64) {
        if now.abs_diff(self.told) < HEARTBEAT {
            return;
        }
        self.told = now;
        let body = serde_json::to_vec(&gate.heartbeat()).unwrap_or_default();
        match self.envoy.post(&gate.settings.gate_cluster, "/gate/heartbeat", &body, PATIENCE) {
            Ok(token) => drop(self.pending.insert(token, Pending::Heartbeat)),
            Err(_) => self.counts(Counter::HeartbeatFailed),
        }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _: usize, size: usize, _: usize) {
        match self.pending.remove(&token) {
            Some(Pending::Fetch(document)) => self.arrived(document, size),
            Some(Pending::Counted) => {
                self.handing_over = false;
                if self.call_stored()
                    && let Some(gate) = &self.gate
                {
                    gate.stored(&self.counted);
                    self.counted.clear();
                }
            }
            Some(Pending::Heartbeat) if !self.call_stored() => {
                self.counts(Counter::HeartbeatFailed);
            }
            Some(Pending::Heartbeat) | None => {}
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match self.configure(size) {
            Ok(()) => true,
            Err(faults) => {
                log::error!("this plugin does not start: {faults}");
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let Some(gate) = self.gate.clone() else { return };
        if let Err(error) = self.tick(&gate) {
            log::error!("{error}: this tick did nothing");
        }
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        let envoy = self.envoy.of(context);
        if let Some(lane) = &self.lane {
            let exchange = lane::exchange::Exchange::new(Rc::clone(lane));
            return Some(Box::new(super::lane::Stream::new(envoy, exchange)));
        }
        let exchange =
            self.gate.as_ref().map(|gate| Exchange::new(Rc::clone(gate)).of_stream(context));
        Some(Box::new(Stream::new(envoy, exchange)))
    }

    /// Answers that were held for a turn of the loop leave.
    fn on_queue_ready(&mut self, queue: u32) {
        let Some(gate) = self.gate.clone() else { return };
        while let Ok(Some(stream)) = ffi::dequeue(queue) {
            let Ok(stream) = stream.as_slice().try_into().map(u32::from_le_bytes) else { continue };
            // It may have ended meanwhile.
            if gate.trails.released(stream)
                && let Err(error) = self.envoy.speak(stream, b"")
            {
                log::error!("{error}: an answer is held longer than it should");
            }
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
