//! What is called, by whom, and may it be: from a body to the way out.

use super::{Exchange, Progress, Verdict};
use crate::guard;
use crate::host::{Body, Host};
use crate::refusal::Refusal;
use crate::snapshot::Bundle;
use crate::stages::approve::{self, Asked as Approving};
use crate::stages::authenticate::Caller;
use crate::stages::authorise::{self, Denied};
use crate::stages::intend::{self, Recorded, Sent, Way};
use crate::stages::mcp::Digest;
use crate::stages::parse;
use crate::stages::route::{self, Facts, Forwarded, Governed};
use crate::stages::said::{self, Asked};
use crate::stages::scan::{self, Cleared};
use contract::estimate::Body as Size;
use contract::policy::Subject;
use std::rc::Rc;

/// A call that has to be stored, or to be approved of, before it may leave.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) step: Step,
    pub(super) governed: Governed,
    pub(super) caller: Rc<Caller>,
}

/// What the sidecar is asked.
#[derive(Debug)]
pub(super) enum Step {
    /// To store the call; then, whether it is approved of.
    Stored(Sent, Option<Digest>),
    /// Whether it is approved of.
    Approved(Approving),
}

impl Step {
    fn is(&self, token: u32) -> bool {
        match self {
            Self::Stored(sent, _) => sent.is(token),
            Self::Approved(asked) => asked.is(token),
        }
    }
}

impl Exchange {
    /// The straight line from a caller and a body to the way out, or to the last stop before it.
    pub(super) fn judge(&mut self, host: &impl Host, now: u64) -> Result<Verdict, Refusal> {
        let Progress::Authenticated(caller, snapshot) = &self.progress else {
            return Err(Refusal::GateFailed);
        };
        // One bundle from beginning to end; but whoever was stopped while the body came is stopped.
        let (caller, bundle) = (Rc::clone(caller), Rc::clone(&snapshot.bundle));
        self.still_stands(host, &caller, now)?;
        let surface = self.head.surface.ok_or(Refusal::UnknownPath)?;
        let body = host.body(Body::Request, self.held)?;
        let attempt = guard::enter(host, self.gate.started.get(), &caller.user_id, &body)?
            .ok_or(Refusal::Quarantined)?;
        #[cfg(feature = "trap")]
        crate::trap::on_body(&body);
        let read = read(&body, &bundle, &authorise::subject(&self.head, &caller));
        let size = self.gate.settings.costing.as_ref().map(|_| Size::read(&body));
        drop(body);
        attempt.leave(host)?;

        let (cleared, asked) = read.map_err(|denied| self.denied(*denied))?;
        let call = cleared.permit().call();
        let facts = Facts {
            cost: size.and_then(|size| self.gate.cost_class(surface, call, size, &bundle)),
            further: &self.gate.settings.route_claims,
            pin: bundle.policy.pin(&authorise::subject(&self.head, &caller)),
        };
        let governed = route::dispatch(surface, &self.head, &caller, &cleared, &facts);
        let way = intend::way(&cleared);
        let (call, rule_id, noted) = cleared.into_parts();
        (self.call, self.rule_id, self.noted) = (Some(call), Some(rule_id), noted);
        self.asked = asked;
        self.take_room(host, &caller, now)?;
        match way {
            Way::Open(recorded) => Ok(Verdict::Forward(self.forward(host, governed, recorded)?)),
            Way::First(intent) => {
                let record = self.intent(host)?;
                let sent = intent.send(host, &self.gate.settings.gate_cluster, &record)?;
                let step = Step::Stored(sent, None);
                self.progress = Progress::Waiting(Box::new(Waiting { step, governed, caller }));
                Ok(Verdict::Hold)
            }
        }
    }

    /// A call of ours to the sidecar has ended. Envoy asks for nothing back here: what goes on does
    /// so by [`Forwarded::resume`].
    pub fn call_ended(&mut self, host: &impl Host, token: u32) -> Verdict {
        let waiting = match std::mem::replace(&mut self.progress, Progress::New) {
            Progress::Waiting(waiting) if waiting.step.is(token) => waiting,
            other => {
                self.progress = other; // it does not wait, or not for this one
                return Verdict::Hold;
            }
        };
        let begun = host.now().unwrap_or(self.started);
        let judged = self.go_on(host, *waiting, begun);
        self.clock(host, begun);

        self.settle(host, judged)
    }

    /// Behind a stop.
    fn go_on(&mut self, host: &impl Host, waiting: Waiting, now: u64) -> Result<Verdict, Refusal> {
        let Waiting { step, governed, caller } = waiting;
        let recorded = match step {
            Step::Approved(asked) => {
                let (recorded, id) = asked.granted(host)?;
                if let Some(mcp) = &mut self.mcp {
                    mcp.called.approval = id;
                }
                recorded
            }
            Step::Stored(sent, None) => sent.stored(host)?,
            Step::Stored(sent, Some(digest)) => {
                let recorded = sent.stored(host)?;
                return self.behind_record(host, caller, governed, Some(digest), recorded);
            }
        };
        // Time has passed.
        self.still_stands(host, &caller, now)?;
        let forwarded = self.forward(host, governed, recorded)?;
        forwarded.resume(host)?;

        Ok(Verdict::Forward(forwarded))
    }

    /// The call is written down as far as it has to be: it leaves, or somebody has to have approved of it.
    pub(super) fn behind_record(
        &mut self,
        host: &impl Host,
        caller: Rc<Caller>,
        governed: Governed,
        approval: Option<Digest>,
        recorded: Recorded,
    ) -> Result<Verdict, Refusal> {
        let Some(digest) = approval else {
            return Ok(Verdict::Forward(self.forward(host, governed, recorded)?));
        };
        let event_id = super::report::event_id(host)?;
        let what = self.mcp.as_ref().map(|mcp| &mcp.called).ok_or(Refusal::GateFailed)?;
        let call = approve::Call {
            digest: digest.as_str(),
            tenant_id: &caller.claims.tenant_id,
            user_id: &caller.user_id,
            server: &what.server,
            tool: what.name.as_deref().unwrap_or_default(),
            event_id: &event_id,
        };
        let asked = approve::ask(host, &self.gate.settings.gate_cluster, &call, recorded)?;
        let step = Step::Approved(asked);
        self.progress = Progress::Waiting(Box::new(Waiting { step, governed, caller }));

        Ok(Verdict::Hold)
    }

    fn forward(
        &mut self,
        host: &impl Host,
        governed: Governed,
        recorded: Recorded,
    ) -> Result<Forwarded, Refusal> {
        if !self.is_mcp() {
            self.lays_trail(host)?;
        }
        let forwarded = governed.apply(host, recorded)?;
        self.progress = Progress::Forwarded(forwarded);

        Ok(forwarded)
    }

    /// What the policy's no leaves behind.
    fn denied(&mut self, denied: Denied) -> Refusal {
        let Denied { refusal, call, rule_id, say, noted } = denied;
        (self.call, self.rule_id, self.say, self.noted) = (call, rule_id, say, noted);

        refusal
    }
}

/// Everything that looks into the body, in one piece: a trap in it is the body's.
fn read(
    body: &[u8],
    bundle: &Bundle,
    subject: &Subject<'_>,
) -> Result<(Cleared, Asked), Box<Denied>> {
    let parse::Request { call, declared, turn } =
        parse::request(body).map_err(|refusal| Box::new(refusal.into()))?;
    let permit = authorise::permit(bundle, subject, call, &declared)?;
    let cleared = scan::clear(bundle, subject, permit, body)?;
    let asked = said::asked(&turn, body, cleared.permit().terms().content());

    Ok((cleared, asked))
}
