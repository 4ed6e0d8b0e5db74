//! The gate's side of lanes: which call it is, what they did for it, and what can still be said in its stream.

use super::{Exchange, Passage};
use crate::host::{Body, Host, HostError, Map};
use crate::lane::events;
use crate::refusal::Refusal;
use crate::stages::meter::Meter;
use contract::audit::Event;
use contract::headers;
use std::borrow::Cow;

impl Exchange {
    /// The call is about to leave: lanes, where there are any, are told which exchange it is.
    pub(super) fn lays_trail(&mut self, host: &impl Host) -> Result<(), Refusal> {
        let sequence = self.number();
        if let Some(trail) = self.gate.trails.leaves(sequence, self.stream) {
            host.set_header(Map::Request, headers::EXCHANGE, &sequence.to_string())?;
            self.trail = Some(trail);
        }

        Ok(())
    }

    /// The answer's headers are here. Where lanes were asked and none has served, the client gets the most useful of
    /// what their providers said; a stream that one of them serves is held from piece to piece.
    pub(super) fn lanes_have_spoken(&mut self, host: &impl Host) -> Result<(), HostError> {
        let Some(trail) = self.trail.as_ref().filter(|trail| !trail.is_empty()) else {
            return Ok(());
        };
        let status = self.answer.status.unwrap_or_default();
        if status < 400 {
            let streams = self.answer.meter.as_ref().is_some_and(Meter::streams);
            self.answer.in_pieces = status == 200 && streams;
            return Ok(());
        }
        // Where there is no body, none can be put in its place.
        let Some(verdict) = trail.verdict().filter(|_| !self.answer.ended) else { return Ok(()) };
        host.set_header(Map::Response, ":status", &verdict.status.to_string())?;
        host.set_header(Map::Response, "content-type", "application/json")?;
        host.set_header(Map::Response, "content-length", &verdict.body.len().to_string())?;
        match verdict.retry_after {
            Some(seconds) => host.set_header(Map::Response, "retry-after", &seconds.to_string())?,
            None => host.remove_header(Map::Response, "retry-after")?,
        }
        self.answer.status = Some(verdict.status);
        self.answer.instead = Some(verdict.body);

        Ok(())
    }

    /// The body that the client gets instead of what comes.
    pub(super) fn says_instead(&mut self, host: &impl Host, size: usize, last: bool) -> Passage {
        if !last {
            self.answer.kept = size;
            return Passage::Held;
        }
        let body = self.answer.instead.take().unwrap_or_default();
        if let Err(error) = host.set_body(Body::Response, size, &body) {
            log::error!("{error}: a client reads another error than its status says");
        }

        Passage::Pass
    }

    /// A piece of a stream that a lane serves: held for one turn of the proxy's loop. Only in a stream that is held can
    /// something be said from outside, a `ping` in a silence and an `error` where it breaks off.
    pub(super) fn piece(&mut self, host: &impl Host, size: usize, last: bool) -> Passage {
        let trails = &self.gate.trails;
        let now = host.now().unwrap_or(self.started);
        let known = trails.holds(self.stream, size, now);
        let chunk = host.body(Body::Response, size);
        if let Ok(chunk) = &chunk
            && size > known
        {
            trails.ends_whole(self.stream, events::ends_whole(chunk));
        }
        let held = !last && host.release_soon(self.stream).is_ok();
        if !held {
            trails.closes(self.stream);
        }
        if size > known {
            self.meter(chunk, host, known);
        }

        if held { Passage::Held } else { Passage::Pass }
    }

    /// The trailers are here: what was held is all there is.
    pub(super) fn ends_with_trailers(&mut self, host: &impl Host) {
        if self.answer.instead.is_some() {
            self.says_instead(host, self.answer.kept, true);
        }
        if self.answer.in_pieces {
            self.gate.trails.closes(self.stream);
        }
    }

    /// Was a lane asked?
    pub(super) fn went_to_lanes(&self) -> bool {
        self.trail.as_ref().is_some_and(|trail| !trail.is_empty())
    }

    /// Enters who served behind a lane, and whom others asked before. Returns the model by that provider's name.
    pub(super) fn by_lane(&self, event: &mut Event<'_>) -> Option<String> {
        let trail = self.trail.as_ref()?;
        let (facts, model) = trail.last()?;
        event.provider = Some(Cow::Owned(facts.provider.clone()));
        event.upstream_region = facts.region.clone().map(Cow::Owned);
        event.payload.lane = Some(Cow::Owned(facts.lane.clone()));
        event.payload.attempts = trail.told();

        Some(model)
    }
}
