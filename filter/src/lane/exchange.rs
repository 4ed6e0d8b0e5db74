//! The way of one call through a lane, callback by callback.
//!
//! ```text
//! request_headers   who asked (the gate's trail) → may this provider serve? → what may not leave → wait for the body
//! request_complete  in the provider's words → is it left alone? → forward
//! response_headers  withhold what is not the client's; an error, and a stream without a word, wait
//! response_body     in the Messages API's words
//! finished          the trail; a stream that broke says so through the gate
//! ```
//!
//! The headers of a stream wait for its first event: until then the front has sent nothing, so that a provider that
//! stalls, or whose first word is that it failed, is one more attempt that failed (Envoy, `retry_policy`).

mod answer;
mod no;
mod rest;

use super::Lane;
use super::dialect::{Ask, Failure, Outgoing, What};
use crate::host::{Body, Host, HostError, Map};
use crate::trail::{Failed, Trail};
use answer::Reading;
use contract::headers;
use no::No;
use std::rc::Rc;

/// What becomes of a callback's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It goes on.
    Go,
    /// It stays: more is awaited, or something else was answered.
    Wait,
}

/// How far a call has come.
#[derive(Debug, Default, PartialEq, Eq)]
enum Progress {
    /// Its body is awaited.
    #[default]
    New,
    /// It is on its way, in the provider's words.
    Sent,
    /// It was answered here.
    Answered,
}

/// One call in a lane.
pub struct Exchange {
    lane: Rc<Lane>,
    trail: Option<Rc<Trail>>,
    place: usize,
    began: u64,
    what: What,
    betas: String,
    outgoing: Outgoing,
    progress: Progress,
    held: usize,
    reading: Reading,
    /// Bytes of the answer that wait until it is whole.
    kept: usize,
    /// Has anything of the answer left?
    left: bool,
    /// Was its end seen?
    ended: bool,
}

/// How Envoy writes a header that is not there.
const NOTHING: &str = "-";

impl Exchange {
    /// A new call.
    pub fn new(lane: Rc<Lane>) -> Self {
        Self {
            lane,
            trail: None,
            place: 0,
            began: 0,
            what: What::Messages,
            betas: String::new(),
            outgoing: Outgoing::default(),
            progress: Progress::New,
            held: 0,
            reading: Reading::Nothing,
            kept: 0,
            left: false,
            ended: false,
        }
    }

    /// The request's headers are here; `last` says that nothing follows them.
    pub fn request_headers(&mut self, host: &impl Host, last: bool) -> Step {
        let entered = self.enter(host);
        let entered = match entered {
            Ok(()) if last => Err(no::BODY_MISSING.into()),
            entered => entered,
        };
        if let Err(no) = entered {
            self.say_no(host, no);
        }

        Step::Wait
    }

    /// More of the request's body is here, `held` bytes in all.
    pub fn request_body(&mut self, host: &impl Host, held: usize, last: bool) -> Step {
        self.held = held;
        match self.progress {
            Progress::New if last => self.request_complete(host),
            Progress::Sent => Step::Go,
            Progress::New | Progress::Answered => Step::Wait,
        }
    }

    /// The request's trailers are here: its body is whole. The gate has taken all of them away.
    pub fn request_trailers(&mut self, host: &impl Host) -> Step {
        match self.progress {
            Progress::New => self.request_complete(host),
            Progress::Sent => Step::Go,
            Progress::Answered => Step::Wait,
        }
    }

    fn enter(&mut self, host: &impl Host) -> Result<(), No> {
        self.began = host.now()?;
        let list = host.headers(Map::Request)?;
        let told = list.text(headers::LANE).and_then(|told| told.split_once(';'));
        let Some((sequence, zone)) = told else {
            log::error!(
                "a route leads here that does not set {}: see envoy/routes.yaml",
                headers::LANE
            );
            return Err(no::MISROUTED.into());
        };
        self.trail = sequence.parse().ok().and_then(|sequence| self.lane.trails.of(sequence));
        if let Some(trail) = &self.trail {
            self.place = trail.begin(&self.lane.settings.facts, self.began);
        }
        self.serves(zone)?;
        let path = list.text(":path").unwrap_or_default();
        self.what = match path.split_once('?').map_or(path, |(path, _query)| path) {
            "/v1/messages" => What::Messages,
            "/v1/messages/count_tokens" => What::CountTokens,
            _ => return Err(no::UNKNOWN_PATH.into()),
        };
        list.text("anthropic-beta").unwrap_or_default().clone_into(&mut self.betas);
        for (name, _) in list.iter() {
            match str::from_utf8(name) {
                Ok(name) if self.lane.boundary.leaves(name) => {}
                // Without it Envoy finds no route. It is taken away behind that, by the provider's cluster.
                Ok("x-forwarded-proto") => {}
                Ok(name) if self.lane.settings.attribution.iter().any(|told| told == name) => {}
                Ok(name) => host.remove_header(Map::Request, name)?,
                Err(_) => {
                    return Err(HostError { call: "get_header_map_pairs", status: u32::MAX }.into());
                }
            }
        }
        Ok(())
    }

    /// May this provider serve a caller who is pinned to a zone? Behind every route, retry and failover.
    fn serves(&self, zone: &str) -> Result<(), No> {
        // Where the policy pins nobody the gate sets no header, and Envoy's mutation of headers leaves an absent one empty.
        let free = ["", NOTHING, headers::ABSENT].contains(&zone);
        if free || self.lane.settings.zones.iter().any(|served| served == zone) {
            return Ok(());
        }

        Err(no::RESIDENCY.into())
    }

    fn request_complete(&mut self, host: &impl Host) -> Step {
        match self.forward(host) {
            Ok(()) => Step::Go,
            Err(no) => {
                self.say_no(host, no);
                Step::Wait
            }
        }
    }

    fn forward(&mut self, host: &impl Host) -> Result<(), No> {
        let body = host.body(Body::Request, self.held)?;
        let ask = Ask { what: self.what, betas: &self.betas, body: &body };
        let outgoing = self.lane.settings.family.request(&ask)?;
        let lane = &self.lane.settings.facts.lane;
        if let Some(seconds) = rest::left(host, lane, &outgoing.model, self.began)? {
            return Err(No { retry_after: Some(seconds), ..no::RESTING.into() });
        }
        self.send(host, outgoing)
    }

    fn send(&mut self, host: &impl Host, mut outgoing: Outgoing) -> Result<(), No> {
        host.set_header(Map::Request, ":path", &outgoing.path)?;
        for name in &outgoing.remove {
            host.remove_header(Map::Request, name)?;
        }
        for (name, value) in &outgoing.set {
            host.set_header(Map::Request, name, value)?;
        }
        if let Some(body) = outgoing.body.take() {
            host.set_body(Body::Request, self.held, &body)?;
            host.set_header(Map::Request, "content-length", &body.len().to_string())?;
        }
        self.note(|attempt| {
            attempt.dropped.clone_from(&outgoing.dropped);
            attempt.model.clone_from(&outgoing.model);
        });
        self.outgoing = outgoing;
        self.progress = Progress::Sent;

        Ok(())
    }

    fn note(&self, write: impl FnOnce(&mut crate::trail::Attempt)) {
        if let Some(trail) = &self.trail {
            trail.note(self.place, write);
        }
    }

    /// Answers here, with what the gate can hand on if no other provider serves.
    fn say_no(&mut self, host: &impl Host, no: No) {
        let No { why, failure, retry_after } = no;
        self.progress = Progress::Answered;
        self.note(|attempt| attempt.why = Some(why));
        self.reply(host, &failure, retry_after);
    }

    fn reply(&mut self, host: &impl Host, failure: &Failure, retry_after: Option<u32>) {
        self.progress = Progress::Answered;
        let body = failure.body();
        let after = retry_after.map(|seconds| seconds.to_string());
        let mut fields = vec![("content-type", "application/json")];
        if let Some(after) = &after {
            fields.push(("retry-after", after));
        }
        if let Err(error) = host.reply(failure.status, &fields, &body) {
            log::error!("{error}: a lane's no was not delivered");
        }
        self.fails(Failed { status: failure.status, body, retry_after });
    }

    fn fails(&self, failed: Failed) {
        self.note(|attempt| attempt.failed = Some(failed));
    }
}

#[cfg(test)]
mod tests;
