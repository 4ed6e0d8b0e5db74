//! Streams that are the Messages API's already: their bytes pass, event by event, and what is read
//! of them is whether they fail and whether they end.

use super::Provider;
use super::errors::{of_event, own_event, wrong};
use super::table::Errors;
use crate::lane::dialect::{Failure, Stream, kind_of};
use crate::lane::edit::Object;
use crate::lane::family::Terms;
use std::rc::Rc;

/// Largest event, in bytes: an answer's largest block and more.
const LARGEST: usize = 16 * 1024 * 1024;

/// Reads such a stream.
#[derive(Debug)]
pub struct Reader {
    /// An event that is not complete.
    event: Vec<u8>,
    /// Where its last line begins.
    line: usize,
    name: Name,
    stopped: bool,
    errors: Errors,
    lane: Rc<Terms>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Name {
    Error,
    Stop,
    #[default]
    Other,
}

impl Reader {
    /// A reader for this provider's answers.
    pub fn new(provider: &Provider, lane: &Rc<Terms>) -> Self {
        Self {
            event: Vec::new(),
            line: 0,
            name: Name::default(),
            stopped: false,
            errors: provider.row.errors,
            lane: Rc::clone(lane),
        }
    }

    /// A line without its end.
    fn line(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let line = self.event.get(self.line..).unwrap_or_default();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(name) = line.strip_prefix(b"event:") {
            self.name = match name.trim_ascii() {
                b"error" => Name::Error,
                b"message_stop" => Name::Stop,
                _ => Name::Other,
            };
        }
        if !line.is_empty() {
            self.line = self.event.len();
            return Ok(());
        }
        let name = std::mem::take(&mut self.name);
        if name == Name::Error {
            return Err(self.failure());
        }
        self.stopped |= name == Name::Stop;
        out.append(&mut self.event);
        self.line = 0;

        Ok(())
    }

    fn failure(&self) -> Failure {
        let lines = self.event.split(|byte| *byte == b'\n');
        let data: Vec<u8> =
            lines.filter_map(|line| line.strip_prefix(b"data:")).flatten().copied().collect();
        let text = std::str::from_utf8(&data).unwrap_or_default();
        let event = Object::read(text.as_bytes(), &["error"]).ok();
        let (kind, message) = event.as_ref().map(wrong).unwrap_or_default();

        match self.errors {
            Errors::Anthropic => own_event(&kind, &message),
            Errors::Cloud => of_event(&kind, &message, &self.lane),
        }
    }
}

impl Stream for Reader {
    fn eat(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.event.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.line(out)?;
            } else if self.event.len() > LARGEST {
                return Err(super::answer::odd());
            }
        }

        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        if self.stopped {
            // Whatever stands behind the end, a comment perhaps.
            out.append(&mut self.event);
            return Ok(());
        }

        Err(early())
    }
}

/// An answer that broke off.
pub(super) fn early() -> Failure {
    let message = "the upstream's answer ended too early".to_owned();

    Failure { status: 502, kind: kind_of(502), message }
}
