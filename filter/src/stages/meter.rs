//! 7. Answer → [`Usage`], and what it said: read as it passes.
//!
//! Nothing is held back and nothing is kept but counters and one event or value at a time, with a
//! cap. The provider's own numbers are taken: for a stream `message_start` and then the last
//! non-null of each number in any `message_delta` (their usage is cumulative, never to be summed).
//! Where the answer took several runs, the bill is the sum of these ([`runs`]).

mod pluck;
mod runs;
mod sse;
mod usage;

use crate::stages::said::{Answered, Blocks};
use pluck::Pluck;
use serde::Deserialize;
use sse::Lines;
use usage::Seen;
pub use usage::Usage;

/// Largest event or value that is read; usage is under 1 KiB.
const LARGEST: usize = 64 * 1024;

/// What a meter has read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The usage, as far as it is known.
    pub usage: Usage,
    /// Did the provider answer to the end, without an error on the way?
    pub whole: bool,
    /// Is the usage known to the end?
    pub complete: bool,
    /// What a reader of the row should know.
    pub flags: Vec<&'static str>,
    /// What it said.
    pub said: Answered,
}

/// A meter for one answer.
#[derive(Debug)]
pub struct Meter {
    form: Form,
    usage: Usage,
    blocks: Blocks,
    flags: Vec<&'static str>,
    ended: bool,
}

#[derive(Debug)]
enum Form {
    Json(Box<Pluck>),
    Stream(Lines),
    /// Nothing to be read; the flag says why.
    None,
}

/// Flags a meter may raise.
pub mod flags {
    /// The answer was compressed although `identity` was asked for.
    pub const COMPRESSED: &str = "answer_compressed";
    /// The answer is neither JSON nor a stream of events.
    pub const OTHER_TYPE: &str = "answer_of_other_type";
    /// An event or value could not be read.
    pub const UNREADABLE: &str = "usage_unreadable";
    /// An event or value was larger than is read.
    pub const TOO_LARGE: &str = "event_too_large";
    /// The provider reported an error after it had begun to answer.
    pub const PROVIDER_ERROR: &str = "provider_error_in_stream";
    /// The answer took several runs, and what they took was not said of each.
    pub const ITERATIONS: &str = "usage_of_other_runs";
    /// A finished answer said nothing of usage.
    pub const USAGE_MISSING: &str = "usage_missing";
}

impl Meter {
    /// The meter for an answer of this type and encoding.
    pub fn new(content_type: &[u8], content_encoding: Option<&[u8]>) -> Self {
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii();
        let compressed =
            content_encoding.is_some_and(|value| !value.eq_ignore_ascii_case(b"identity"));
        let (form, flag) = if compressed {
            (Form::None, Some(flags::COMPRESSED))
        } else if essence.eq_ignore_ascii_case(b"text/event-stream") {
            (Form::Stream(Lines::default()), None)
        } else if essence.eq_ignore_ascii_case(b"application/json") {
            (Form::Json(Box::default()), None)
        } else {
            (Form::None, Some(flags::OTHER_TYPE))
        };

        Self {
            form,
            usage: Usage::default(),
            blocks: Blocks::default(),
            flags: flag.into_iter().collect(),
            ended: false,
        }
    }

    /// Keeps what is said as well, so many bytes of its text.
    #[must_use]
    pub fn keeping(mut self, budget: usize) -> Self {
        self.blocks.keep(budget);
        if let Form::Stream(lines) = &mut self.form {
            lines.with_texts();
        }

        self
    }

    /// Reads the next bytes, cut anywhere.
    pub fn eat(&mut self, chunk: &[u8]) {
        let Self { form, usage, blocks, flags, ended } = self;
        match form {
            Form::Json(pluck) => pluck.eat(chunk, blocks, &mut |name, value| {
                if let Err(flag) = usage.take_member(name, value) {
                    raise(flags, flag);
                }
            }),
            Form::Stream(lines) => lines.eat(chunk, &mut |event| {
                match usage.take_event(&event) {
                    Ok(Seen::End) => *ended = true,
                    Ok(Seen::Failure) => raise(flags, flags::PROVIDER_ERROR),
                    Ok(Seen::Block) => blocks.start(event.data, event.too_large),
                    Ok(Seen::Text) => blocks.delta(event.data, event.too_large),
                    Ok(Seen::More) => {}
                    Err(flag) => raise(flags, flag),
                }
                blocks.wants_deltas()
            }),
            Form::None => {}
        }
    }

    /// Is it a stream of events?
    pub fn streams(&self) -> bool {
        matches!(self.form, Form::Stream(_))
    }

    /// What was read. `transported` says that the transport saw the answer's end.
    pub fn finish(self, transported: bool) -> Reading {
        let Self { form, mut usage, blocks, mut flags, ended } = self;
        let failed = flags.contains(&flags::PROVIDER_ERROR);
        let (whole, readable) = match form {
            Form::Stream(_) => (ended && !failed && transported, true),
            Form::Json(pluck) => {
                if pluck.too_large() {
                    raise(&mut flags, flags::TOO_LARGE);
                }
                (pluck.closed() && transported, true)
            }
            Form::None => (transported, false),
        };
        if let Err(flag) = usage.settle() {
            raise(&mut flags, flag);
        }
        let known = usage.is_whole();
        if whole && !known && flags.is_empty() {
            raise(&mut flags, flags::USAGE_MISSING);
        }
        let complete = whole && readable && known && flags.is_empty();

        Reading { usage, whole, complete, flags, said: blocks.finish() }
    }
}

fn raise(flags: &mut Vec<&'static str>, flag: &'static str) {
    if !flags.contains(&flag) {
        flags.push(flag);
    }
}

fn read<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, &'static str> {
    serde_json::from_slice(value).or(Err(flags::UNREADABLE))
}

/// A word that will stand in the row.
fn clip(mut text: String) -> String {
    if text.len() > 256 {
        text = text.chars().take(200).collect();
    }
    text
}

#[cfg(test)]
mod tests;
