//! The life of one exchange, callback by callback.
//!
//! ```text
//! request_headers   decode → authenticate → provisional record → wait for the body
//! request_body      (wait)
//! request_complete  parse → authorise → scan → (store the intent) → route → forward
//! call_ended        the intent is stored → route → forward
//! response_headers  withhold what is not the client's, choose the meter
//! response_body     meter
//! finished          the record, exactly once
//! ```
//!
//! Each stage returns the proof that the next one needs. Every failure, ours or the host's, is a
//! [`Refusal`]; only a [`Forwarded`] lets a request go on, and only [`route`] can make one.

mod answer;
mod judge;
mod lanes;
mod mcp;
mod report;
mod stands;

use crate::flood::Reason;
use crate::gate::Gate;
use crate::host::{Host, HostError, Map};
use crate::refusal::Refusal;
use crate::snapshot::{Bundle, Snapshot};
use crate::stages::authenticate::{self, Caller};
use crate::stages::authorise::Noted;
use crate::stages::decode::{self, Head, LARGEST_BODY, Surface};
use crate::stages::parse::Call;
use crate::stages::route::{self, Forwarded};
use crate::stages::said::Asked;
use crate::trail::Trail;
pub use answer::Answer;
use contract::audit::Sequence;
use judge::Waiting;
use std::rc::Rc;

/// Largest message of an MCP client's, bytes: all of it is read into values to be judged.
const LARGEST_MESSAGE: usize = 4 * 1024 * 1024;

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on; everything that had to happen before has happened.
    Forward(Forwarded),
    /// It stays: more is awaited, or it was refused.
    Hold,
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It goes on to the client.
    Pass,
    /// It is held: until it is whole, or for a turn of the proxy's loop so that something can be said behind it.
    Held,
    /// Another answer was sent in its place.
    Replaced,
}

/// How far the request has come.
#[derive(Debug)]
enum Progress {
    /// Nothing is known.
    New,
    /// The caller is known; the body is awaited.
    Authenticated(Rc<Caller>, Snapshot),
    /// It may leave once the sidecar has stored it.
    Waiting(Box<Waiting>),
    /// It was let go on.
    Forwarded(Forwarded),
    /// It was answered here, with no refusal.
    Answered,
    /// It was refused. Nothing undoes that.
    Refused(Refusal),
}

/// One exchange, from its first header to its record.
#[derive(Debug)]
pub struct Exchange {
    gate: Rc<Gate>,
    sequence: Option<Sequence>,
    progress: Progress,
    started: u64,
    spent: u64,
    head: Head,
    caller: Option<Rc<Caller>>,
    bundle: Option<Rc<Bundle>>,
    call: Option<Call>,
    rule_id: Option<String>,
    say: Option<String>,
    noted: Noted,
    asked: Asked,
    held: usize,
    row: bool,
    answer: Answer,
    /// Envoy's number of the stream.
    stream: u32,
    /// What lanes did for it.
    trail: Option<Rc<Trail>>,
    /// Where an MCP server is called.
    mcp: Option<Box<mcp::Mcp>>,
}

impl Exchange {
    /// A new exchange.
    pub fn new(gate: Rc<Gate>) -> Self {
        Self {
            gate,
            sequence: None,
            progress: Progress::New,
            started: 0,
            spent: 0,
            head: Head::default(),
            caller: None,
            bundle: None,
            call: None,
            rule_id: None,
            say: None,
            noted: Noted::default(),
            asked: Asked::default(),
            held: 0,
            row: true,
            answer: Answer::default(),
            stream: 0,
            trail: None,
            mcp: None,
        }
    }

    /// As the proxy numbers its stream.
    #[must_use]
    pub fn of_stream(mut self, stream: u32) -> Self {
        self.stream = stream;
        self
    }

    /// The request's headers are here; `last` says that nothing follows them.
    pub fn request_headers(&mut self, host: &impl Host, last: bool) -> Verdict {
        let judged = self.enter(host, last);
        self.clock(host, self.started);

        self.settle(host, judged)
    }

    /// More of the request's body is here, `held` bytes in all. `last` says that it is whole; with
    /// trailers it never is said here, and [`Self::request_trailers`] follows
    /// (envoy/http/filter.h, `decodeData`).
    pub fn request_body(&mut self, host: &impl Host, held: usize, last: bool) -> Verdict {
        self.held = held;
        match self.progress {
            Progress::Authenticated(..) if self.is_mcp() && held > LARGEST_MESSAGE => {
                self.refuse(host, Refusal::McpMessageTooLarge)
            }
            Progress::Authenticated(..) if held > LARGEST_BODY => {
                self.refuse(host, Refusal::BodyTooLarge)
            }
            Progress::Authenticated(..) if last => self.request_complete(host),
            Progress::Forwarded(proof) => Verdict::Forward(proof),
            Progress::New
            | Progress::Authenticated(..)
            | Progress::Waiting(_)
            | Progress::Answered
            | Progress::Refused(_) => Verdict::Hold,
        }
    }

    /// The request's trailers are here: its body is whole. None of them is on the allow-list.
    pub fn request_trailers(&mut self, host: &impl Host) -> Verdict {
        let cleared = answer::drop_trailers(host, Map::RequestTrailers);
        match (cleared, &self.progress) {
            (Err(error), Progress::Authenticated(..)) => self.refuse(host, error.into()),
            (Ok(()), Progress::Authenticated(..)) => self.request_complete(host),
            (_, Progress::Forwarded(proof)) => Verdict::Forward(*proof),
            (
                _,
                Progress::New | Progress::Waiting(_) | Progress::Answered | Progress::Refused(_),
            ) => Verdict::Hold,
        }
    }

    /// Everything that can be judged is here.
    fn request_complete(&mut self, host: &impl Host) -> Verdict {
        let begun = host.now().unwrap_or(self.started);
        let judged =
            if self.is_mcp() { self.judge_mcp(host, begun) } else { self.judge(host, begun) };
        self.clock(host, begun);

        self.settle(host, judged)
    }

    /// Does a message follow, of an MCP server's client?
    fn posts(&self) -> bool {
        self.head.mcp.as_deref().is_some_and(|head| head.posts)
    }

    /// What is called, who calls, and whether that may be.
    fn enter(&mut self, host: &impl Host, last: bool) -> Result<Verdict, Refusal> {
        self.started = host.now()?;
        let headers = host.headers(Map::Request)?;
        let (head, surface) = decode::head(&headers, &self.gate.boundary);
        self.head = head;
        if self.head.surface.is_some_and(|surface| !surface.leaves_row()) {
            self.no_row(host)?;
        }
        // A refusal, too, is told as MCP has it.
        let read = self.read_mcp(&headers);
        let surface = surface?;
        read?;
        match surface {
            surface @ (Surface::Capabilities
            | Surface::Healthz
            | Surface::Readyz
            | Surface::Hello) => self.answer_here(host, surface),
            Surface::Models => {
                self.authenticate(host)?;
                self.list_models(host)
            }
            Surface::SignIn | Surface::Sidecar | Surface::Jwks => {
                let forwarded = route::sidecar(&self.head).apply(host)?;
                self.progress = Progress::Forwarded(forwarded);
                Ok(Verdict::Forward(forwarded))
            }
            Surface::Manifest => {
                self.authenticate(host)?;
                let forwarded = route::catalogue(&self.head).apply(host)?;
                self.progress = Progress::Forwarded(forwarded);
                Ok(Verdict::Forward(forwarded))
            }
            Surface::ResourceMetadata => self.resource_metadata(host),
            Surface::Mcp if !self.posts() => {
                self.authenticate(host)?;
                if !last {
                    return Err(Refusal::McpMessage); // nobody would judge what follows
                }
                self.judge_mcp(host, self.started)
            }
            Surface::Messages | Surface::CountTokens | Surface::Mcp => {
                self.authenticate(host)?;
                if last { Err(Refusal::BodyMissing) } else { Ok(Verdict::Hold) }
            }
        }
    }

    fn authenticate(&mut self, host: &impl Host) -> Result<(), Refusal> {
        self.gate.refresh(host)?;
        let snapshot = self.gate.snapshot().ok_or(Refusal::NotReady)?;
        self.bundle = Some(Rc::clone(&snapshot.bundle));
        let judged = authenticate::caller(
            &self.head,
            &self.gate.settings,
            &snapshot,
            &mut self.gate.tokens.borrow_mut(),
            seconds(self.started),
        );
        match judged {
            Ok(caller) => {
                self.caller = Some(Rc::clone(&caller));
                self.fresh(host, &snapshot.bundle, self.started)?;
                // Who is slowed down has to lose a plugin that was revoked all the same.
                if self.head.surface != Some(Surface::Manifest) {
                    self.has_room(host, &caller, self.started)?;
                }
                self.head.peer = peer(host, &snapshot.bundle, &caller)?;
                self.progress = Progress::Authenticated(caller, snapshot);
                // If this worker is cut off, whoever called is known all the same.
                let surely = self.head.surface.is_some_and(Surface::surely_leaves_row);
                if self.row && surely { self.write_provisional(host) } else { Ok(()) }
            }
            Err((refusal, caller)) => {
                self.caller = caller;
                Err(refusal)
            }
        }
    }

    fn settle(&mut self, host: &impl Host, judged: Result<Verdict, Refusal>) -> Verdict {
        match judged {
            Ok(verdict) => verdict,
            Err(refusal) => self.refuse(host, refusal),
        }
    }

    /// Says no. Sticky: what was refused is never forwarded, even if nobody could be told.
    fn refuse(&mut self, host: &impl Host, refusal: Refusal) -> Verdict {
        self.progress = Progress::Refused(refusal);
        // Nobody knows who called: beyond a few a second they are counted, or a flood fills the disk.
        let reason = Reason { code: refusal.code(), status: refusal.status(), sign_in: false };
        let counted = self.row && self.caller.is_none() && !self.admitted(host, reason);
        if counted && self.no_row(host).is_err() {
            self.row = true; // counted and written: better twice than not at all
        }
        if let Err(error) = self.reply_refusal(host, refusal) {
            log::error!("{error}: a refusal ({}) was not delivered", refusal.code());
        }

        Verdict::Hold
    }

    /// Does a refusal of somebody unknown get a row of its own? Only here is the address asked for:
    /// for rows Envoy's log brings it along.
    fn admitted(&self, host: &impl Host, reason: Reason) -> bool {
        let address = host.property(&["source", "address"]).ok().and_then(address);
        let address = address.as_deref().unwrap_or(crate::flood::OTHERS);
        let most = self.gate.settings.anonymous_rows;

        self.gate.flood.borrow_mut().admits(reason, address, self.started, most)
    }

    /// This exchange leaves no row of its own.
    fn no_row(&mut self, host: &impl Host) -> Result<(), HostError> {
        host.set_state(contract::audit::NO_ROW_MARK, b"1")?;
        self.row = false;

        Ok(())
    }

    /// The record's number, taken when one is first written: what leaves no row leaves no hole.
    fn number(&mut self) -> Sequence {
        *self.sequence.get_or_insert_with(|| self.gate.next())
    }

    /// Adds what has passed since `begun` to the gate's own share.
    fn clock(&mut self, host: &impl Host, begun: u64) {
        if let (Ok(now), true) = (host.now(), begun > 0) {
            self.spent = self.spent.saturating_add(now.saturating_sub(begun));
        }
    }
}

impl Drop for Exchange {
    /// However it ended, it has: its number is not open any more.
    fn drop(&mut self) {
        if let Some(sequence) = self.sequence {
            self.gate.close(sequence);
            if self.trail.is_some() {
                self.gate.trails.closes(self.stream);
                self.gate.trails.over(sequence);
            }
        }
    }
}

fn seconds(nanos: u64) -> u64 {
    nanos.checked_div(1_000_000_000).unwrap_or_default()
}

/// The certificate that the call comes over, if that counts: SHA-256 of its DER, lower-case hex. Envoy has
/// verified it.
fn peer(host: &impl Host, bundle: &Bundle, caller: &Caller) -> Result<Option<String>, HostError> {
    if caller.claims.cnf.is_none() || !bundle.policy.wants_certificates() {
        return Ok(None);
    }
    let digest = host.property(&["connection", "sha256_peer_certificate_digest"])?;

    Ok(digest.and_then(|digest| String::from_utf8(digest).ok()))
}

/// An address without its port.
fn address(property: Option<Vec<u8>>) -> Option<String> {
    let text = String::from_utf8(property?).ok()?;
    let host = text.rsplit_once(':').map_or(text.as_str(), |(host, _port)| host);

    Some(host.trim_matches(['[', ']']).to_owned())
}

#[cfg(test)]
mod tests;
