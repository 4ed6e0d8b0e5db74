//! A call of an MCP server: from its message to the way out, and what comes back.

mod reply;

use super::judge::{Step, Waiting};
use super::{Exchange, Passage, Progress, Verdict};
use crate::guard;
use crate::host::{Body, Headers, Host, HostError, Map};
use crate::mcp::answer::{Told, View};
use crate::mcp::relay::{Chunk, Relay};
use crate::refusal::Refusal;
use crate::stages::authenticate::Caller;
use crate::stages::authorise;
use crate::stages::decode::Surface;
use crate::stages::intend::{self, Way};
use crate::stages::mcp::{self, Called, Denied};
use crate::stages::route::{self, Facts};
use contract::headers;
use contract::mcp::Era;
use std::rc::Rc;

/// Shared data: which tools of a server have another definition than the one that was approved of.
const WITHHELD: &str = "tollgate.mcp.withheld.";

/// What an exchange keeps of a call of an MCP server.
#[derive(Debug, Default)]
pub(super) struct Mcp {
    /// What was called.
    pub(super) called: Called,
    /// What comes back.
    pub(super) relay: Option<Relay>,
    /// Bytes of the answer that are held.
    kept: usize,
    /// Its body could not be read; it did not pass.
    failed: bool,
}

impl Exchange {
    /// The straight line from a caller and a message to the way out.
    pub(super) fn judge_mcp(&mut self, host: &impl Host, now: u64) -> Result<Verdict, Refusal> {
        let Progress::Authenticated(caller, snapshot) = &self.progress else {
            return Err(Refusal::GateFailed);
        };
        let (caller, bundle) = (Rc::clone(caller), Rc::clone(&snapshot.bundle));
        self.still_stands(host, &caller, now)?;
        let head = self.head.mcp.take().ok_or(Refusal::GateFailed)?;
        let judged = self.cleared(host, &head, &caller);
        let session = self.session(&head, &caller);
        self.head.mcp = Some(head);
        let cleared = judged?;
        let session = session?;
        let head = self.head.mcp.as_deref().ok_or(Refusal::GateFailed)?;

        let subject = authorise::subject(&self.head, &caller);
        let facts = Facts {
            cost: None,
            further: &self.gate.settings.route_claims,
            pin: bundle.policy.pin(&subject),
        };
        let governed = route::mcp(&self.head, head, session, &caller, &cleared, &facts);
        let way = intend::way_of_mcp(&cleared);
        let (what, rule_id, noted, approval, instead) = cleared.into_parts();
        self.withheld(host, &what)?;
        if let Some(body) = instead {
            host.set_body(Body::Request, self.held, &body)?;
            host.set_header(Map::Request, "content-length", &body.len().to_string())?;
        }
        (self.rule_id, self.noted) = (rule_id, noted);
        let row = what.row;
        self.mcp = Some(Box::new(Mcp { called: what, ..Mcp::default() }));
        if row {
            self.write_provisional(host)?;
        } else {
            self.no_row(host)?;
        }
        self.take_room(host, &caller, now)?;
        match way {
            Way::Open(recorded) => self.behind_record(host, caller, governed, approval, recorded),
            Way::First(intent) => {
                let record = self.intent(host)?;
                let sent = intent.send(host, &self.gate.settings.gate_cluster, &record)?;
                let step = Step::Stored(sent, approval);
                self.progress = Progress::Waiting(Box::new(Waiting { step, governed, caller }));
                Ok(Verdict::Hold)
            }
        }
    }

    /// Everything that looks into the message, in one piece: a trap in it is the message's.
    fn cleared(
        &mut self,
        host: &impl Host,
        head: &crate::mcp::head::Head,
        caller: &Rc<Caller>,
    ) -> Result<mcp::Cleared, Refusal> {
        let bundle = self.bundle.clone().ok_or(Refusal::GateFailed)?;
        let gate = Rc::clone(&self.gate);
        let judged = if head.posts {
            let body = host.body(Body::Request, self.held)?;
            let attempt = guard::enter(host, gate.started.get(), &caller.user_id, &body)?
                .ok_or(Refusal::Quarantined)?;
            let subject = authorise::subject(&self.head, caller);
            let judged = mcp::clear(&gate.protocol, &bundle, &subject, caller, head, &body);
            attempt.leave(host)?;
            judged
        } else {
            let subject = authorise::subject(&self.head, caller);
            let method = self.head.target.split(' ').next().unwrap_or_default().to_owned();
            mcp::stream(&gate.protocol, &bundle, &subject, caller, head, &method)
        };

        judged.map_err(|denied| {
            let Denied { refusal, called, rule_id, say, noted } = *denied;
            (self.rule_id, self.say, self.noted) = (rule_id, say, noted);
            self.mcp = Some(Box::new(Mcp { called, ..Mcp::default() }));
            refusal
        })
    }

    /// The server's id of the session, if the client names one.
    fn session(
        &self,
        head: &crate::mcp::head::Head,
        caller: &Caller,
    ) -> Result<Option<String>, Refusal> {
        let Some(sealed) = &head.session else {
            // An event's id says nothing of whose it is.
            return if head.resumes { Err(Refusal::McpSessionUnknown) } else { Ok(None) };
        };
        if head.era == Era::Stateless {
            return Ok(None); // there are none any more; it stays inside
        }
        let key = self.gate.session_key.borrow();
        let key = key.as_ref().ok_or(Refusal::NotReady)?;
        let id = key.open(caller, &head.server, sealed).ok_or(Refusal::McpSessionUnknown)?;

        Ok(Some(id.to_owned()))
    }

    /// Refuses a tool whose definition is known to be another than the one that was approved of.
    fn withheld(&mut self, host: &impl Host, called: &Called) -> Result<(), Refusal> {
        let Some(name) = called.name.as_deref().filter(|_| called.is_pinned && called.is_tool)
        else {
            return Ok(());
        };
        let known = host.shared(&self.withheld_key(&called.server))?.value;
        if !known.split(|byte| *byte == b'\n').any(|tool| tool == name.as_bytes()) {
            return Ok(());
        }
        self.mcp = Some(Box::new(Mcp { called: called.clone(), ..Mcp::default() }));
        self.rule_id = Some(called.server.clone());

        Err(Refusal::ToolBlocked)
    }

    /// Where the tools of a server stand that have changed. Behind one id tenants may have servers of their own.
    fn withheld_key(&self, server: &str) -> String {
        let tenant = self.caller.as_deref().map(|caller| caller.claims.tenant_id.as_str());

        format!("{WITHHELD}{server}.{}", tenant.unwrap_or_default())
    }

    /// The answer's headers are here.
    pub(super) fn receive_mcp(&mut self, host: &impl Host) -> Result<(), Refusal> {
        let list = host.headers(Map::Response)?;
        let status =
            list.text(":status").and_then(|status| status.parse().ok()).unwrap_or_default();
        self.answer.status = Some(status);
        let Some(mcp) = &mut self.mcp else { return Err(Refusal::GateFailed) };
        if self.answer.ended && mcp.called.id.is_some() && status < 400 {
            // No body follows that could be looked at, and somebody waits for an answer.
            return Err(Refusal::McpServerFailed);
        }
        let relay = Relay::new(
            status,
            list.text("content-type").unwrap_or_default(),
            list.text("content-encoding"),
            &mcp.called,
        )?;
        if relay.speaks_instead() && !self.answer.ended {
            host.set_header(Map::Response, "content-type", "application/json")?;
        }
        let keeps_length = self.answer.ended;
        mcp.relay = Some(relay);
        for (name, _) in list.iter() {
            let name = str::from_utf8(name).or(Err(Refusal::McpServerFailed))?;
            let length = name == "content-length" && !keeps_length;
            if length || !self.gate.protocol.returns(name) {
                host.remove_header(Map::Response, name)?;
            }
        }
        if let Some(id) = list.text("mcp-session-id") {
            let (Some(head), Some(caller)) = (&self.head.mcp, &self.caller) else {
                return Err(Refusal::GateFailed);
            };
            let key = self.gate.session_key.borrow();
            let sealed = key.as_ref().ok_or(Refusal::NotReady)?.seal(caller, &head.server, id);
            let sealed = sealed.ok_or(Refusal::McpServerFailed)?;
            host.set_header(Map::Response, "mcp-session-id", &sealed)?;
        }
        if !self.head.request_id.is_empty() {
            host.set_header(Map::Response, headers::X_REQUEST_ID, &self.head.request_id)?;
        }

        Ok(())
    }

    /// Some of the answer's body is here.
    pub(super) fn relays(&mut self, host: &impl Host, size: usize, last: bool) -> Passage {
        if self.answer.first.is_none() && size > 0 {
            self.answer.first = host.now().ok();
        }
        match self.relay(host, size, last) {
            Ok(passage) => passage,
            Err(error) => {
                log::error!("{error}: an MCP server's answer does not pass");
                self.swallow(host, size)
            }
        }
    }

    /// Nothing more of it goes on: it could not be looked at.
    fn swallow(&mut self, host: &impl Host, size: usize) -> Passage {
        self.answer.unmetered = true;
        if let Some(mcp) = &mut self.mcp {
            mcp.failed = true;
        }
        // If not even this can be done, the rest is held for ever; the client sees a stream that does not end.
        let cleared = host.set_body(Body::Response, size, b"").is_ok();
        if let Some(mcp) = &mut self.mcp {
            mcp.kept = if cleared { 0 } else { size };
        }

        if cleared { Passage::Pass } else { Passage::Held }
    }

    fn relay(&mut self, host: &impl Host, size: usize, last: bool) -> Result<Passage, HostError> {
        let Self { head, caller, bundle, mcp, gate, .. } = self;
        let no = HostError { call: "relay", status: 0 };
        let (Some(caller), Some(bundle), Some(mcp)) = (caller.as_deref(), bundle.as_deref(), mcp)
        else {
            return Err(no);
        };
        if mcp.failed {
            host.set_body(Body::Response, size, b"")?;
            return Ok(Passage::Pass);
        }
        let Some(relay) = &mut mcp.relay else { return Err(no) };
        if !last && relay.waits(size) {
            // Read once, when it is whole.
            mcp.kept = size;
            return Ok(Passage::Held);
        }
        let subject = authorise::subject(head, caller);
        // The policy that let the request go is the one that judges its answer.
        let server = bundle.policy.mcp(&subject, &mcp.called.server).ok_or(no)?;
        let view = View {
            server: &server,
            policy: &bundle.policy,
            subject: &subject,
            protocol: &gate.protocol,
            era: head.mcp.as_deref().map(|head| head.era).unwrap_or_default(),
            id: mcp.called.id.as_deref(),
            request_id: &head.request_id,
        };
        let chunk = host.body(Body::Response, size)?;
        let out = relay.eat(&view, &chunk, last);
        mcp.kept = 0;
        Ok(match out {
            Chunk::AsItIs => Passage::Pass,
            Chunk::Held => {
                mcp.kept = size;
                Passage::Held
            }
            Chunk::Instead(bytes) => {
                host.set_body(Body::Response, size, &bytes)?;
                Passage::Pass
            }
        })
    }

    /// The trailers are here: what is held is all there is.
    pub(super) fn relay_ends(&mut self, host: &impl Host) {
        let Some(kept) = self.mcp.as_ref().map(|mcp| mcp.kept) else { return };
        if kept > 0 {
            self.relays(host, kept, true);
        }
    }

    /// What was seen of the answer, once.
    pub(super) fn mcp_told(&mut self, host: &impl Host) -> Told {
        let told = self.mcp.as_mut().and_then(|mcp| mcp.relay.as_mut());
        let told = told.map(|relay| std::mem::take(&mut relay.told)).unwrap_or_default();
        if let Some(mcp) = &self.mcp {
            note_withheld(host, &self.withheld_key(&mcp.called.server), &told);
        }

        told
    }

    /// Is this an exchange with an MCP server?
    pub(super) fn is_mcp(&self) -> bool {
        self.head.surface == Some(Surface::Mcp)
    }

    /// Has this a head of MCP's to be read?
    pub(super) fn read_mcp(&mut self, list: &Headers) -> Result<(), Refusal> {
        let Some(head) = &mut self.head.mcp else { return Ok(()) };
        let ours = self.gate.settings.public_url.as_deref();

        head.read(list, &self.gate.protocol, ours)
    }
}

/// Notes for all workers which tools are withheld. Two that do so at the same moment may lose one of them until
/// the next list.
fn note_withheld(host: &impl Host, key: &str, told: &Told) {
    if told.changed.is_empty() && told.shown.is_empty() {
        return;
    }
    let Ok(known) = host.shared(key) else { return };
    let text = String::from_utf8(known.value).unwrap_or_default();
    let mut names: std::collections::BTreeSet<&str> =
        text.split('\n').filter(|name| !name.is_empty()).collect();
    let mut changed = false;
    for name in &told.changed {
        changed |= names.insert(name);
    }
    for name in told.shown.iter().filter(|name| !told.changed.contains(name)) {
        changed |= names.remove(name.as_str());
    }
    if !changed {
        return;
    }
    let list: Vec<&str> = names.into_iter().collect();
    if let Err(error) = host.share(key, list.join("\n").as_bytes(), None) {
        log::error!("{error}: a tool that changed is not known to be");
    }
}
