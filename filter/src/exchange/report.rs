//! The record of an exchange: provisional as soon as the caller is known, final at its end.

use super::answer::Answer;
use super::{Exchange, Progress};
use crate::counters::Counter;
use crate::flood::Reason;
use crate::host::{Host, HostError};
use crate::mcp::answer::Told;
use crate::record::{self, Ending};
use crate::refusal::Refusal;
use crate::stages::decode::Surface;
use crate::stages::said::Asked;
use crate::stages::{authenticate, authorise};
use contract::audit::{BREAK_GLASS, EVENT_ID_STATE, Event, Kind, Outcome, PROPERTY, Payload};
use contract::policy::ResidencyRule;
use std::borrow::Cow;

impl Exchange {
    /// Envoy is done with the exchange, however it ended. Writes the record, once.
    pub fn finished(&mut self, host: &impl Host) {
        self.write_final(host);
        if let Progress::Waiting(_) = self.progress {
            // The client has left. Whatever the sidecar still answers is too late.
            self.progress = Progress::Answered;
        }
    }

    /// A request to the sidecar that ended before it had an answer, such as one whose body never came.
    fn abandoned(&mut self, host: &impl Host) {
        let to_sidecar = self.head.surface.is_some_and(Surface::is_sidecar);
        let forwarded = matches!(self.progress, Progress::Forwarded(_));
        if !to_sidecar || !forwarded || self.answer.status.is_some() {
            return;
        }
        let reason = Reason { code: "sign_in_abandoned", status: 408, sign_in: true };
        if let Err(error) = self.count_if_unknown(host, reason) {
            log::warn!("{error}: a sign-in that was abandoned is not counted");
        }
    }

    fn write_final(&mut self, host: &impl Host) {
        if matches!(self.progress, Progress::New) && self.started == 0 {
            return; // Envoy rejected it before it came here; its own log line makes the row
        }
        self.abandoned(host);
        let ending = Ending::read(host, &self.gate.providers, &self.answer, self.went_to_lanes());
        let now = host.now().unwrap_or_default();
        let answer = std::mem::take(&mut self.answer);
        let asked = std::mem::take(&mut self.asked);
        if self.row {
            self.number();
        }
        let told = self.mcp_told(host);
        let event = self.event(now, asked, answer, told, &ending);
        if let Err(error) = self.count(host, event.outcome) {
            log::warn!("{error}: an exchange is not counted");
        }
        if !self.row {
            return;
        }
        if let Err(error) = host.set_state(PROPERTY, &record::encode(&event)) {
            log::error!("{error}: the provisional record stands");
            if let Err(error) = host.count(Counter::RecordLost) {
                log::warn!("{error}: a lost record is not counted");
            }
        }
    }

    /// What the call belongs to: the trace it came with, else the session's conversation, else
    /// what the helper says, else itself.
    pub(super) fn trace_id(&self) -> Option<Cow<'_, str>> {
        let [_, _, helpers, ..] = &self.head.claimed;
        let said = self.head.trace.as_ref().or(self.head.session_id.as_ref()).or(helpers.as_ref());
        match said {
            Some(id) => Some(Cow::Borrowed(id)),
            None if self.head.request_id.is_empty() => None,
            None => Some(Cow::Owned(self.head.request_id.replace('-', ""))),
        }
    }

    /// Who called, as long as nothing else is known.
    pub(super) fn write_provisional(&mut self, host: &impl Host) -> Result<(), Refusal> {
        self.number();
        let mut event = self.known();
        event.payload.flags.push(record::PROVISIONAL.into());

        Ok(host.set_state(PROPERTY, &record::encode(&event))?)
    }

    /// The call as it is told to the sidecar before it leaves. It must carry the id of its row to be.
    pub(super) fn intent(&self, host: &impl Host) -> Result<Vec<u8>, Refusal> {
        let mut event = self.known();
        event.event_id = Cow::Owned(event_id(host)?);
        if let Some(bundle) = self.bundle.as_deref() {
            record::mask(&mut event, &bundle.policy);
        }
        event.payload.flags.push(record::PROVISIONAL.into());

        Ok(record::encode(&event))
    }

    fn count(&self, host: &impl Host, outcome: Outcome) -> Result<(), HostError> {
        if matches!(self.progress, Progress::Answered) {
            return Ok(());
        }
        host.count(Counter::Outcome(outcome))?;
        match self.progress {
            Progress::Refused(refusal) => host.count(Counter::Refused(refusal)),
            _ => Ok(()),
        }
    }

    /// Everything that the request alone says.
    fn known(&self) -> Event<'_> {
        let mut event = Event {
            occurred_at: self.started.checked_div(1000).unwrap_or_default(),
            trace_id: self.trace_id(),
            bundle_ver: self.bundle.as_deref().map(|bundle| Cow::Borrowed(&*bundle.version)),
            kind: self.kind(),
            session_id: self.head.session_id.as_deref().map(Cow::Borrowed),
            agent_id: self.head.agent_id.as_deref().map(Cow::Borrowed),
            request_id: text(&self.head.request_id),
            rule_id: self.rule_id.as_deref().map(Cow::Borrowed),
            payload: Payload {
                agent_id: self.head.agent_id.as_deref().map(Cow::Borrowed),
                parent_agent_id: self.head.parent_agent_id.as_deref().map(Cow::Borrowed),
                sequence: self.sequence,
                ..Payload::default()
            },
            ..Event::default()
        };
        if let Some(caller) = &self.caller {
            event.call_source = Some(authenticate::source(&self.head, caller));
            record::name(&mut event, caller);
        }
        if let Some(call) = &self.call {
            event.model = Some(Cow::Borrowed(&call.model));
            event.payload.requested_model = Some(Cow::Borrowed(&call.requested_model));
            event.payload.streamed = Some(call.stream);
            event.payload.zone = self.pinned().map(|rule| Cow::Borrowed(&*rule.zone));
        }

        if let Some(mcp) = &self.mcp {
            let version = self.head.mcp.as_deref().and_then(|head| head.version.as_deref());
            record::mcp(&mut event, &mcp.called, version);
            event.payload.zone = self.pinned().map(|rule| Cow::Borrowed(&*rule.zone));
        }
        record::noted(&mut event, &self.noted);
        event.payload.keep_days = self.breaks_glass();
        if event.payload.keep_days.is_some() {
            event.payload.flags.push(BREAK_GLASS.into());
        }

        event
    }

    /// The rule that keeps this caller in a zone, if one does.
    fn pinned(&self) -> Option<&ResidencyRule> {
        let (bundle, caller) = (self.bundle.as_deref()?, self.caller.as_deref()?);

        bundle.policy.pin(&authorise::subject(&self.head, caller)).rule()
    }

    /// How long the rows of this caller are kept who has broken the glass, days.
    fn breaks_glass(&self) -> Option<u32> {
        let (bundle, caller) = (self.bundle.as_deref()?, self.caller.as_deref()?);
        let glass = bundle.policy.breaks(&authorise::subject(&self.head, caller))?;

        Some(glass.keep_days)
    }

    /// Everything.
    fn event<'a>(
        &'a self,
        now: u64,
        asked: Asked,
        answer: Answer,
        told: Told,
        ending: &'a Ending,
    ) -> Event<'a> {
        let mut event = self.known();
        let status = ending.status.unwrap_or_default();
        event.status = Some(status);
        event.latency_ms = Some(millis(now.saturating_sub(self.started)));
        event.gate_ms = Some(record::fractions(self.spent));
        event.first_token_ms = answer.first.map(|first| millis(first.saturating_sub(self.started)));
        event.payload.provider_request_id = answer.provider_request_id.map(Cow::Owned);
        if let Some(acted) = answer.acted {
            record::acted(&mut event, acted);
        }
        for (raised, flag) in
            [(answer.unmetered, "unmetered"), (answer.trailers_passed, "trailers_passed")]
        {
            if raised {
                event.payload.flags.push(flag.into());
            }
        }
        let lane = self.by_lane(&mut event);
        if ending.from_upstream && self.call.is_some() && lane.is_none() {
            let provider = ending.provider.as_deref();
            event.provider = provider.map(|provider| Cow::Borrowed(&*provider.name));
            event.upstream_region =
                provider.and_then(|provider| provider.region.as_deref()).map(Cow::Borrowed);
        }
        record::asked(&mut event, asked);
        let answered = told.refused.is_none();
        if let Some(mcp) = &self.mcp {
            record::told(&mut event, &mcp.called, told);
        }
        let served = ending.from_upstream && (200..300).contains(&status);
        let transported = answer.ended && ending.clean();
        let whole = match answer.meter {
            Some(meter) if served => {
                let negotiated = self.bundle.as_deref().and_then(|bundle| bundle.policy.rates());
                record::usage(
                    &mut event,
                    negotiated.unwrap_or(&self.gate.rates),
                    meter,
                    transported,
                    lane,
                )
            }
            // An error is not billed. What was sent and never answered may be, or a tool may have done its work.
            _ => {
                let forwarded = matches!(self.progress, Progress::Forwarded(_));
                let sent = forwarded && (self.call.is_some() || self.mcp.is_some());
                let seen = self.mcp.is_some() && transported && ending.from_upstream;
                event.complete = !sent || seen || ending.costs_nothing(status);
                served && transported && answered
            }
        };
        if whole && self.gate.settings.costing.is_some() {
            self.learn(event.tokens_out);
        }
        if let Some(bundle) = self.bundle.as_deref() {
            record::mask(&mut event, &bundle.policy);
        }
        self.close(&mut event, served && (whole || ending.client_gone), status, ending);

        event
    }

    /// How long an answer of this model was.
    fn learn(&self, tokens: Option<u64>) {
        if let (Kind::Inference, Some(call), Some(tokens)) = (self.kind(), &self.call, tokens) {
            self.gate.lengths.borrow_mut().add(&call.model, tokens);
        }
    }

    /// How it ended.
    fn close<'a>(&'a self, event: &mut Event<'a>, served: bool, status: u16, ending: &'a Ending) {
        if ending.client_gone {
            event.payload.flags.push(record::CLIENT_GONE.into());
        }
        if !ending.clean() || status == 0 {
            event.payload.ending = ending.words();
        }
        match self.progress {
            Progress::Refused(refusal) => {
                event.outcome = if refusal.is_failure() { Outcome::Error } else { Outcome::Denied };
                match &self.rule_id {
                    // The rule has decided, and not something that came behind it.
                    Some(rule) if refusal.is_by_rule() => {
                        event.rule_id = Some(Cow::Borrowed(rule));
                        event.payload.refusal = Some(refusal.code().into());
                    }
                    _ => event.rule_id = Some(refusal.code().into()),
                }
                if self.caller.is_none() {
                    event.payload.target = Some(Cow::Owned(self.head.target.clone()));
                }
            }
            // Its answer was not let through: a rule's no, or one that nobody could read. `record::told` has said which.
            Progress::Forwarded(_) if event.payload.refusal.is_some() => {}
            // The sidecar says no in its own words.
            Progress::Forwarded(_)
                if self.call.is_none() && self.mcp.is_none() && (400..500).contains(&status) =>
            {
                event.outcome = Outcome::Denied;
            }
            // Its route led out of its zone.
            Progress::Forwarded(_) if ending.kept_in_zone() => {
                event.outcome = Outcome::Denied;
                event.rule_id = self.pinned().map(|rule| Cow::Borrowed(&*rule.id));
                event.payload.refusal = Some(record::OUTSIDE_ZONE.into());
            }
            Progress::Forwarded(_) if served => event.outcome = Outcome::Allowed,
            Progress::Answered => event.outcome = Outcome::Allowed,
            Progress::New | Progress::Authenticated(..) | Progress::Waiting(_)
                if (400..500).contains(&status) =>
            {
                event.outcome = Outcome::Denied;
                event.rule_id = Some(ending.rule_id());
            }
            Progress::New
            | Progress::Authenticated(..)
            | Progress::Waiting(_)
            | Progress::Forwarded(_) => {
                event.outcome = Outcome::Error;
            }
        }
    }

    fn kind(&self) -> Kind {
        match self.head.surface {
            Some(Surface::CountTokens) => Kind::Count,
            Some(Surface::SignIn | Surface::Sidecar) => Kind::Auth,
            Some(Surface::Mcp) => Kind::Mcp,
            Some(Surface::Manifest) => Kind::Manifest,
            _ => Kind::Inference,
        }
    }
}

/// The id that the row will have.
pub(super) fn event_id(host: &impl Host) -> Result<String, Refusal> {
    let id = host.property(&["filter_state", EVENT_ID_STATE])?;
    let id = id.and_then(|id| String::from_utf8(id).ok()).filter(|id| !id.is_empty());

    id.ok_or(Refusal::AuditUnavailable)
}

fn text(value: &str) -> Option<Cow<'_, str>> {
    Some(value).filter(|value| !value.is_empty()).map(Cow::Borrowed)
}

fn millis(nanos: u64) -> u64 {
    nanos.checked_div(1_000_000).unwrap_or_default()
}
