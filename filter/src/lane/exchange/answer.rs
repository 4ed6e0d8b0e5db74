//! The answer's side of a lane: what the provider said, in the Messages API's words.

use super::{Exchange, Progress, Step, no, rest};
use crate::gate;
use crate::host::{Body, Headers, Host, HostError, Map};
use crate::lane::dialect::{Failure, Stream, kind_of};
use crate::lane::family::{Reader, Said};
use crate::trail::Failed;

/// Most bytes of an error that are read.
const LARGEST_ERROR: usize = 64 * 1024;

/// Envoy's response flag (`CoreResponseFlag` of its `stream_info.h`): the front has left.
const FRONT_LEFT: u64 = 1 << 14;

/// How the answer is read.
pub(super) enum Reading {
    /// It has not begun, or is passed on as it is.
    Nothing,
    /// An error, once it is whole.
    Error(Told),
    /// A body, once it is whole.
    Body,
    /// A stream, event by event.
    Stream(Box<dyn Stream>),
    /// It failed on its way and the client was told: what still comes is nobody's.
    Deaf,
}

/// What an error's headers say.
#[derive(Debug, Default)]
pub(super) struct Told {
    status: u16,
    content_type: String,
    retry_after: Option<u32>,
    /// Did the provider say it, rather than Envoy?
    by_provider: bool,
}

impl Exchange {
    /// The answer's headers are here; `last` says that nothing follows them.
    pub fn response_headers(&mut self, host: &impl Host, last: bool) -> Step {
        if self.progress != Progress::Sent {
            return Step::Go; // our own reply comes by here as well
        }
        match self.receive(host, last) {
            Ok(step) => step,
            Err(error) => self.lost_early(host, error),
        }
    }

    /// Some of the answer's body is here.
    pub fn response_body(&mut self, host: &impl Host, size: usize, last: bool) -> Step {
        self.ended |= last;
        if self.progress != Progress::Sent {
            return Step::Go;
        }
        let step = match self.read(host, size, last) {
            Ok(step) => step,
            Err(error) if self.left => self.lost_late(host, size, error),
            Err(error) => self.lost_early(host, error),
        };
        let keeps = step == Step::Wait && matches!(self.reading, Reading::Error(_) | Reading::Body);
        self.kept = if keeps { size } else { 0 };

        step
    }

    /// The answer's trailers are here: its body is whole, what was kept of it.
    pub fn response_trailers(&mut self, host: &impl Host) -> Step {
        self.response_body(host, self.kept, true)
    }

    /// Envoy is done with the call in this lane, however it ended.
    pub fn finished(&mut self, host: &impl Host) {
        let now = host.now().unwrap_or(self.began);
        let took = now.saturating_sub(self.began);
        let cut = self.progress == Progress::Sent && !self.ended;
        let by_front = cut && front_left(host); // asked only where it matters: each attribute costs 2 µs
        self.note(|attempt| {
            attempt.took = took;
            if cut && attempt.why.is_none() {
                attempt.why = Some(if by_front { "given_up" } else { "broken_off" });
            }
        });
        if cut && !by_front && self.left {
            self.tell_client(host);
        }
    }

    /// A stream that broke ends with an `error` event, through the gate: in the lane nothing can be said any more.
    fn tell_client(&self, host: &impl Host) {
        let Some(stream) = self.trail.as_ref().map(|trail| trail.stream()) else { return };
        if !self.lane.trails.may_speak(stream) {
            return;
        }
        if let Err(error) = host.speak(stream, &no::BROKEN_OFF.failure().event()) {
            log::warn!("{error}: a client is not told why its stream ends");
        }
    }

    fn receive(&mut self, host: &impl Host, last: bool) -> Result<Step, HostError> {
        self.ended |= last;
        let headers = host.headers(Map::Response)?;
        let status =
            headers.text(":status").and_then(|status| status.parse().ok()).unwrap_or_default();
        for (name, _) in headers.iter() {
            match str::from_utf8(name) {
                Ok(name)
                    if self.lane.boundary.withheld(name)
                        || self.lane.settings.family.withholds(name) =>
                {
                    host.remove_header(Map::Response, name)?;
                }
                Ok(_) | Err(_) => {}
            }
        }
        let content_type = headers.text("content-type").unwrap_or_default();
        if status >= 400 {
            return self.receive_error(host, &headers, status, last);
        }
        self.note(|attempt| attempt.status = Some(status));
        let encoding = headers.get("content-encoding");
        let compressed = encoding.is_some_and(|value| !value.eq_ignore_ascii_case(b"identity"));
        let family = &self.lane.settings.family;
        self.reading = match family.reader(content_type, compressed, &self.outgoing) {
            Reader::Same => Reading::Nothing,
            Reader::Body => Reading::Body,
            Reader::Stream(stream) => {
                host.set_header(Map::Response, "content-type", "text/event-stream")?;
                Reading::Stream(stream)
            }
        };
        if matches!(self.reading, Reading::Nothing) {
            self.left = true;
            return Ok(Step::Go);
        }
        host.remove_header(Map::Response, "content-length")?;
        if last { self.read(host, 0, true) } else { Ok(Step::Wait) }
    }

    fn receive_error(
        &mut self,
        host: &impl Host,
        headers: &Headers,
        status: u16,
        last: bool,
    ) -> Result<Step, HostError> {
        let details = host.property(&["response", "code_details"])?;
        let by_provider = details.is_some_and(|details| details == b"via_upstream");
        let retry_after = retry_after(headers);
        self.note(|attempt| {
            attempt.status = by_provider.then_some(status);
            if !by_provider {
                attempt.why = Some(no::by_envoy(status).why);
            }
        });
        if let (true, 429 | 503 | 529, Some(seconds)) = (by_provider, status, retry_after) {
            rest::rests(host, &self.lane.settings.facts.lane, &self.outgoing.model, seconds)?;
        }
        let content_type = headers.text("content-type").unwrap_or_default().to_owned();
        let told = Told { status, content_type, retry_after, by_provider };
        if last {
            // There is no body that another could be put in the place of.
            let Said::Failure(failure) = self.said(&told, b"") else { return Ok(Step::Go) };
            self.reply(host, &failure, retry_after);
            return Ok(Step::Wait);
        }
        self.reading = Reading::Error(told);

        Ok(Step::Wait)
    }

    fn read(&mut self, host: &impl Host, size: usize, last: bool) -> Result<Step, HostError> {
        match std::mem::replace(&mut self.reading, Reading::Nothing) {
            Reading::Nothing => Ok(Step::Go),
            Reading::Deaf => {
                self.reading = Reading::Deaf;
                host.set_body(Body::Response, size, b"")?;
                Ok(Step::Go)
            }
            Reading::Error(told) if !last => {
                self.reading = Reading::Error(told);
                Ok(Step::Wait)
            }
            Reading::Error(told) => self.error_whole(host, size, &told),
            Reading::Body if !last => {
                self.reading = Reading::Body;
                Ok(Step::Wait)
            }
            Reading::Body => self.body_whole(host, size),
            Reading::Stream(stream) => self.stream(host, stream, size, last),
        }
    }

    fn error_whole(
        &mut self,
        host: &impl Host,
        size: usize,
        told: &Told,
    ) -> Result<Step, HostError> {
        // What is larger is not an error of the API's, and is not kept in part.
        let body = if size > LARGEST_ERROR { Vec::new() } else { host.body(Body::Response, size)? };
        let (status, body) = match self.said(told, &body) {
            Said::Same => (told.status, body),
            Said::Failure(failure) => {
                let body = failure.body();
                host.set_header(Map::Response, ":status", &failure.status.to_string())?;
                host.set_header(Map::Response, "content-type", "application/json")?;
                host.set_header(Map::Response, "content-length", &body.len().to_string())?;
                host.set_body(Body::Response, size, &body)?;
                (failure.status, body)
            }
        };
        self.left = true;
        self.fails(Failed { status, body, retry_after: told.retry_after });

        Ok(Step::Go)
    }

    /// What an error says: the provider's, or Envoy's in its place.
    fn said(&self, told: &Told, body: &[u8]) -> Said {
        if !told.by_provider {
            return Said::Failure(no::by_envoy(told.status).failure());
        }
        match self.lane.settings.family.error(told.status, &told.content_type, body) {
            Said::Same if body.is_empty() => Said::Failure(Failure {
                status: told.status,
                kind: kind_of(told.status),
                message: "The model's provider gives no reason.".to_owned(),
            }),
            said => said,
        }
    }

    fn body_whole(&mut self, host: &impl Host, size: usize) -> Result<Step, HostError> {
        let body = host.body(Body::Response, size)?;
        match self.lane.settings.family.answer(self.what, &body, &self.outgoing.asked) {
            Ok(answer) => {
                let length = answer.as_ref().map_or(body.len(), Vec::len);
                host.set_header(Map::Response, "content-type", "application/json")?;
                host.set_header(Map::Response, "content-length", &length.to_string())?;
                if let Some(answer) = answer {
                    host.set_body(Body::Response, size, &answer)?;
                }
                self.left = true;
                Ok(Step::Go)
            }
            Err(failure) => Ok(self.failed_early(host, &failure)),
        }
    }

    fn stream(
        &mut self,
        host: &impl Host,
        mut stream: Box<dyn Stream>,
        size: usize,
        last: bool,
    ) -> Result<Step, HostError> {
        let chunk = host.body(Body::Response, size)?;
        let mut out = Vec::with_capacity(chunk.len());
        let mut read = stream.eat(&chunk, &mut out);
        if last && read.is_ok() {
            read = stream.end(&mut out);
        }
        match read {
            Ok(()) => self.reading = Reading::Stream(stream),
            Err(failure) if !self.left && out.is_empty() => {
                return Ok(self.failed_early(host, &failure));
            }
            Err(failure) => {
                self.note(|attempt| attempt.why = Some("failed_in_stream"));
                out.extend(failure.event());
                self.reading = Reading::Deaf;
            }
        }
        if size > 0 || !out.is_empty() {
            host.set_body(Body::Response, size, &out)?;
        }
        self.left |= !out.is_empty() || last;

        Ok(if self.left { Step::Go } else { Step::Wait })
    }

    /// Something has left. What the provider wrote does not follow it untranslated: the client is told, and whatever
    /// still comes is nobody's.
    fn lost_late(&mut self, host: &impl Host, size: usize, error: HostError) -> Step {
        log::error!("{error}: the rest of an answer is left out");
        self.note(|attempt| attempt.why = Some(no::ANSWER_LOST.why));
        self.reading = Reading::Deaf;
        match host.set_body(Body::Response, size, &no::ANSWER_LOST.failure().event()) {
            Ok(()) => Step::Go,
            // Trailers have no body that anything could be put in, and nothing untranslated is left to pass: the answer
            // ends like one that broke off.
            Err(_) if size == 0 => {
                self.ended = false;
                Step::Go
            }
            Err(error) => {
                log::error!("{error}: an answer is held for good");
                Step::Wait
            }
        }
    }

    /// Nothing has left: the answer becomes an error, and another provider may be asked.
    fn lost_early(&mut self, host: &impl Host, error: HostError) -> Step {
        log::error!("{error}: an answer is given up");
        self.fails_early(host, no::ANSWER_LOST.why, &no::ANSWER_LOST.failure())
    }

    /// The same, where the provider is the one who failed.
    fn failed_early(&mut self, host: &impl Host, failure: &Failure) -> Step {
        self.fails_early(host, "failed_before_the_first_event", failure)
    }

    fn fails_early(&mut self, host: &impl Host, why: &'static str, failure: &Failure) -> Step {
        self.note(|attempt| attempt.why = Some(why));
        self.reading = Reading::Nothing;
        self.reply(host, failure, None);

        Step::Wait
    }
}

/// Did the front end it, and not the provider?
fn front_left(host: &impl Host) -> bool {
    let flags = host.property(&["response", "flags"]).ok().flatten();

    flags.as_deref().and_then(gate::wide).is_some_and(|flags| flags & FRONT_LEFT != 0)
}

/// Seconds, as `retry-after` has them; a date is not read (RFC 9110 §10.2.3 allows it, no provider sends it).
fn retry_after(list: &Headers) -> Option<u32> {
    let seconds = list.text("retry-after").and_then(|value| value.trim().parse().ok());
    let millis = || list.text("retry-after-ms")?.trim().parse::<u32>().ok();

    seconds.or_else(|| millis().map(|millis| millis.div_ceil(1_000)))
}
