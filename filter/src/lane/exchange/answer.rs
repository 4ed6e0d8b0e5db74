//! The answer's side of a lane: what the provider said, in the Messages API's words.

use super::{Exchange, Progress, Step, rest};
use crate::host::{Body, Headers, Host, HostError, Map};
use crate::lane::dialect::{Failure, Stream, kind_of};
use crate::lane::family::{Reader, Said};
use crate::trail::Failed;
use contract::refusal::ErrorType;

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
            Err(error) => self.failed_early(host, &failed(error)),
        }
    }

    /// Some of the answer's body is here.
    pub fn response_body(&mut self, host: &impl Host, size: usize, last: bool) -> Step {
        self.ended |= last;
        if self.progress != Progress::Sent {
            return Step::Go;
        }
        match self.read(host, size, last) {
            Ok(step) => step,
            Err(error) if self.left => {
                log::error!("{error}: the rest of an answer is left out");
                self.reading = Reading::Deaf;
                Step::Go
            }
            Err(error) => self.failed_early(host, &failed(error)),
        }
    }

    /// The answer's trailers are here: its body is whole.
    pub fn response_trailers(&mut self, host: &impl Host) -> Step {
        self.response_body(host, 0, true)
    }

    /// Envoy is done with the call in this lane, however it ended.
    pub fn finished(&mut self, host: &impl Host) {
        let now = host.now().unwrap_or(self.began);
        let took = now.saturating_sub(self.began);
        let flags = host.property(&["response", "flags"]).ok().flatten();
        let flags = flags.as_deref().and_then(crate::gate::wide).unwrap_or_default();
        let cut = self.progress == Progress::Sent && !self.ended;
        let by_front = flags & FRONT_LEFT != 0;
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
        let Some(stream) = self.trail.as_ref().and_then(|trail| trail.open()) else { return };
        if !self.lane.trails.may_speak(stream) {
            return;
        }
        if let Err(error) = host.speak(stream, &broken().event()) {
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
                    if self.lane.boundary.withheld(name) || self.lane.family.withholds(name) =>
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
        self.reading = match self.lane.family.reader(content_type, &self.outgoing, &self.model) {
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
                attempt.why = Some(if status == 504 { "too_slow" } else { "unreachable" });
            }
        });
        if let (true, 429 | 503 | 529, Some(seconds)) = (by_provider, status, retry_after) {
            rest::rests(host, &self.lane.settings.name, &self.outgoing.model, seconds)?;
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
        let body = host.body(Body::Response, size.min(LARGEST_ERROR))?;
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
            return Said::Failure(by_envoy(told.status));
        }
        match self.lane.family.error(told.status, &told.content_type, body) {
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
        match self.lane.family.answer(self.what, &body, &self.model) {
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
        host.set_body(Body::Response, size, &out)?;
        self.left |= !out.is_empty() || last;

        Ok(if self.left { Step::Go } else { Step::Wait })
    }

    /// Nothing of the answer has left: it becomes an error, and another provider may be asked.
    fn failed_early(&mut self, host: &impl Host, failure: &Failure) -> Step {
        self.note(|attempt| attempt.why = Some("failed_before_the_first_event"));
        self.reading = Reading::Nothing;
        self.reply(host, failure, None);

        Step::Wait
    }
}

/// Seconds, as `retry-after` has them; a date is not read (RFC 9110 §10.2.3 allows it, no provider sends it).
fn retry_after(list: &Headers) -> Option<u32> {
    let seconds = list.text("retry-after").and_then(|value| value.trim().parse().ok());
    let millis = || list.text("retry-after-ms")?.trim().parse::<u32>().ok();

    seconds.or_else(|| millis().map(|millis| millis.div_ceil(1_000)))
}

fn failed(error: HostError) -> Failure {
    log::error!("{error}: an answer is given up");
    let message = "The gateway failed.".to_owned();

    Failure { status: 500, kind: ErrorType::ApiError, message }
}

/// What a client is told whose stream breaks off.
fn broken() -> Failure {
    let message = "The model's provider broke off. Try again.".to_owned();

    Failure { status: 529, kind: ErrorType::OverloadedError, message }
}

/// What Envoy answers in the place of a provider, in the words of the front's own replies.
fn by_envoy(status: u16) -> Failure {
    let (status, kind, message) = match status {
        401 => (
            503,
            ErrorType::ApiError,
            "The gateway has no credential for the model's provider. Try again shortly.",
        ),
        413 => (413, ErrorType::RequestTooLarge, "The request is larger than this provider takes."),
        504 | 408 => (504, ErrorType::TimeoutError, "The model's provider did not answer in time."),
        _ => (
            529,
            ErrorType::OverloadedError,
            "The model's provider cannot be reached. Try again shortly.",
        ),
    };

    Failure { status, kind, message: message.to_owned() }
}
