//! Bedrock's streams: each frame carries one event of the Messages API, in base64
//! (`InvokeModelWithResponseStream`), or an exception.

use super::answer::{odd, without_address};
use super::errors::{failure, of_event, of_exception, wrong};
use super::passing::early;
use crate::lane::dialect::{Failure, Stream, kind_of};
use crate::lane::edit::{Edits, Object};
use crate::lane::eventstream::{Corrupt, Decoder, Frame};
use crate::lane::family::Terms;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;
use std::rc::Rc;

/// What Amazon puts into the last event: counts that the event before has, and times of its own.
const METRICS: &str = "amazon-bedrock-invocationMetrics";

/// Reads such a stream.
#[derive(Debug)]
pub struct Reader {
    frames: Decoder,
    events: Events,
}

#[derive(Debug)]
struct Events {
    /// The model by the client's name.
    asked: String,
    lane: Rc<Terms>,
    stopped: bool,
}

impl Reader {
    /// A reader for an answer to a call that asked for this model.
    pub fn new(lane: &Rc<Terms>, asked: &str) -> Self {
        let events = Events { asked: asked.to_owned(), lane: Rc::clone(lane), stopped: false };

        Self { frames: Decoder::default(), events }
    }
}

impl Stream for Reader {
    fn eat(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        self.frames.feed(chunk);
        while let Some(frame) = self.frames.next_frame().map_err(corrupt)? {
            self.events.frame(&frame, out)?;
        }

        Ok(())
    }

    fn end(&mut self, _: &mut Vec<u8>) -> Result<(), Failure> {
        if self.events.stopped && self.frames.is_between() {
            return Ok(());
        }

        Err(early())
    }
}

impl Events {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        let text = |name| frame.text(name).map_err(corrupt);
        match text(":message-type")? {
            Some("event") if text(":event-type")? == Some("chunk") => {
                // What else is in it is there to hide its length.
                let chunk = Object::read(frame.payload, &["bytes"]).ok().ok_or_else(odd)?;
                let bytes = chunk.text("bytes").ok_or_else(odd)?;
                let event = STANDARD.decode(&*bytes).ok().ok_or_else(odd)?;
                self.event(&event, out)
            }
            // A type that is new: whatever it says, it is no event of the Messages API.
            Some("event") => Ok(()),
            Some("exception") => {
                let name = text(":exception-type")?.unwrap_or_default();
                let thrown = Object::read(frame.payload, &["message"]).ok();
                let message = thrown.and_then(|thrown| thrown.text("message")).unwrap_or_default();
                Err(failure(of_exception(name).unwrap_or(500), &message))
            }
            Some("error") => {
                let name = text(":error-code")?.unwrap_or_default();
                let message = text(":error-message")?.unwrap_or_default();
                Err(failure(of_exception(name).unwrap_or(500), message))
            }
            _ => Err(odd()),
        }
    }

    fn event(&mut self, json: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        std::str::from_utf8(json).ok().ok_or_else(odd)?;
        let event =
            Object::read(json, &["type", "error", "message", METRICS]).ok().ok_or_else(odd)?;
        let kind = event.text("type").ok_or_else(odd)?;
        // It becomes a line of its own.
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if kind.is_empty() || !kind.bytes().all(named) {
            return Err(odd());
        }
        if kind == "error" {
            let (kind, message) = wrong(&event);
            return Err(of_event(&kind, &message, &self.lane));
        }
        self.stopped |= kind == "message_stop";
        let mut edits = Edits::default();
        event.remove(METRICS, &mut edits);
        if let ("message_start", Some(message)) = (&*kind, event.value("message"))
            && let Some(message) = without_address(message, &self.asked)?
        {
            event.replace("message", message, &mut edits);
        }
        let json =
            if edits.is_empty() { Cow::Borrowed(json) } else { Cow::Owned(event.apply(edits)) };
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        // Within a string there are none; between two tokens one space is as good as another.
        out.extend(json.iter().map(|byte| if b"\r\n".contains(byte) { b' ' } else { *byte }));
        out.extend_from_slice(b"\n\n");

        Ok(())
    }
}

fn corrupt(corrupt: Corrupt) -> Failure {
    let message = format!("the upstream's answer cannot be read: {corrupt}");

    Failure { status: 502, kind: kind_of(502), message }
}
