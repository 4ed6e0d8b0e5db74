//! 6. Answer → [`Usage`]: what it cost, read as it passes.
//!
//! Nothing is held back and nothing is kept but counters and one event or value at a time, with a
//! cap. The provider's own numbers are taken: for a stream `message_start` and then the last
//! non-null of each number in any `message_delta` (their usage is cumulative, never to be summed).

mod pluck;
mod sse;

use contract::audit::FineUsage;
use contract::price::Used;
use pluck::Pluck;
use serde::Deserialize;
use sse::{Event, Lines};

/// Largest event or value that is read; usage is under 1 KiB.
const LARGEST: usize = 64 * 1024;

/// What the provider says it took. `None` where it said nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens outside any cache.
    pub input: Option<u64>,
    /// Output tokens.
    pub output: Option<u64>,
    /// Written to a cache.
    pub cache_write: Option<u64>,
    /// Read from a cache.
    pub cache_read: Option<u64>,
    /// Finer kinds.
    pub fine: FineUsage,
    /// Where it was computed.
    pub region: Option<String>,
    /// The tier it was served at.
    pub tier: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// Why it stopped.
    pub stop_reason: Option<String>,
    /// The answer was a count of tokens, which has no output.
    counted: bool,
    /// It took runs that the numbers do not count.
    iterated: bool,
}

/// What a meter has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The usage, as far as it is known.
    pub usage: Usage,
    /// Did the provider answer to the end, without an error on the way?
    pub whole: bool,
    /// Is the usage known to the end?
    pub complete: bool,
    /// What a reader of the row should know.
    pub flags: Vec<&'static str>,
}

/// A meter for one answer.
#[derive(Debug)]
pub struct Meter {
    form: Form,
    usage: Usage,
    flags: Vec<&'static str>,
    ended: bool,
}

#[derive(Debug)]
enum Form {
    Json(Pluck),
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
    /// The answer took more runs than its numbers count.
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
            (Form::Json(Pluck::default()), None)
        } else {
            (Form::None, Some(flags::OTHER_TYPE))
        };

        Self { form, usage: Usage::default(), flags: flag.into_iter().collect(), ended: false }
    }

    /// Reads the next bytes, cut anywhere.
    pub fn eat(&mut self, chunk: &[u8]) {
        let Self { form, usage, flags, ended } = self;
        match form {
            Form::Json(pluck) => pluck.eat(chunk, &mut |name, value| {
                if let Err(flag) = usage.take_member(name, value) {
                    raise(flags, flag);
                }
            }),
            Form::Stream(lines) => lines.eat(chunk, &mut |event| match usage.take_event(&event) {
                Ok(Seen::End) => *ended = true,
                Ok(Seen::Failure) => raise(flags, flags::PROVIDER_ERROR),
                Ok(Seen::More) => {}
                Err(flag) => raise(flags, flag),
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
        let Self { form, usage, mut flags, ended } = self;
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
        let known = usage.input.is_some() && (usage.output.is_some() || usage.counted);
        if usage.iterated {
            raise(&mut flags, flags::ITERATIONS);
        }
        if whole && !known && flags.is_empty() {
            raise(&mut flags, flags::USAGE_MISSING);
        }
        let complete = whole && readable && known && flags.is_empty();

        Reading { usage, whole, complete, flags }
    }
}

fn raise(flags: &mut Vec<&'static str>, flag: &'static str) {
    if !flags.contains(&flag) {
        flags.push(flag);
    }
}

/// What an event means for the end of a stream.
enum Seen {
    More,
    End,
    Failure,
}

/// `usage` on the wire (Messages API). Every number may be absent or null.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<WireCache>,
    output_tokens_details: Option<WireDetails>,
    server_tool_use: Option<WireTools>,
    service_tier: Option<String>,
    inference_geo: Option<String>,
    iterations: Option<Vec<WireIteration>>,
}

/// One of several runs that an answer took (compaction, an advisor): the top-level numbers do not
/// count the others.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireIteration {
    r#type: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireCache {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireDetails {
    thinking_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireTools {
    web_search_requests: Option<u64>,
    web_fetch_requests: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireEvent {
    r#type: Option<String>,
    message: Option<WireMessage>,
    delta: Option<WireDelta>,
    usage: Option<Wire>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireMessage {
    model: Option<String>,
    usage: Option<Wire>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireDelta {
    stop_reason: Option<String>,
}

impl Usage {
    /// As a rate card counts it; what was never said is none of it.
    pub fn used(&self) -> Used<'_> {
        Used {
            input: self.input.unwrap_or_default(),
            output: self.output.unwrap_or_default(),
            cache_write: self.cache_write.unwrap_or_default(),
            cache_write_1h: self.fine.cache_write_1h.unwrap_or_default(),
            cache_read: self.cache_read.unwrap_or_default(),
            web_searches: self.fine.web_searches.unwrap_or_default(),
            region: self.region.as_deref(),
            tier: self.tier.as_deref(),
        }
    }

    /// Did the answer take runs that its numbers do not count?
    pub fn has_other_runs(&self) -> bool {
        self.iterated
    }

    /// Was any number said?
    pub fn is_known(&self) -> bool {
        self.input.is_some() || self.output.is_some()
    }

    /// The last number said is the number.
    fn merge(&mut self, wire: Wire) {
        let runs = wire.iterations.unwrap_or_default();
        let others = runs.iter().filter(|run| run.r#type.as_deref() != Some("message")).count();
        self.iterated |= others > 0 || runs.len() > 1;
        let cache = wire.cache_creation.unwrap_or_default();
        let tools = wire.server_tool_use.unwrap_or_default();
        self.tier = wire.service_tier.map(clip).or_else(|| self.tier.take());
        self.region = wire.inference_geo.map(clip).or_else(|| self.region.take());
        let thinking = wire.output_tokens_details.unwrap_or_default().thinking_tokens;
        for (slot, said) in [
            (&mut self.input, wire.input_tokens),
            (&mut self.output, wire.output_tokens),
            (&mut self.cache_write, wire.cache_creation_input_tokens),
            (&mut self.cache_read, wire.cache_read_input_tokens),
            (&mut self.fine.cache_write_5m, cache.ephemeral_5m_input_tokens),
            (&mut self.fine.cache_write_1h, cache.ephemeral_1h_input_tokens),
            (&mut self.fine.thinking, thinking),
            (&mut self.fine.web_searches, tools.web_search_requests),
            (&mut self.fine.web_fetches, tools.web_fetch_requests),
        ] {
            *slot = said.or(*slot);
        }
    }

    /// A member of a JSON answer.
    fn take_member(&mut self, name: &str, value: &[u8]) -> Result<(), &'static str> {
        match name {
            "usage" => self.merge(read::<Option<Wire>>(value)?.unwrap_or_default()),
            // count_tokens answers with this alone.
            "input_tokens" => {
                self.input = read::<Option<u64>>(value)?.or(self.input);
                self.counted = true;
            }
            "model" => self.model = read::<Option<String>>(value)?.map(clip),
            "stop_reason" => self.stop_reason = read::<Option<String>>(value)?.map(clip),
            _ => {}
        }

        Ok(())
    }

    /// An event of a stream.
    fn take_event(&mut self, event: &Event<'_>) -> Result<Seen, &'static str> {
        if event.too_large {
            return Err(flags::TOO_LARGE);
        }
        let wire: WireEvent = read(event.data)?;
        let name = wire.r#type.as_deref().unwrap_or(event.name);
        match name {
            "message_start" => {
                let message = wire.message.unwrap_or_default();
                self.model = message.model.map(clip).or_else(|| self.model.take());
                self.merge(message.usage.unwrap_or_default());
            }
            "message_delta" => {
                let reason = wire.delta.unwrap_or_default().stop_reason;
                self.stop_reason = reason.map(clip).or_else(|| self.stop_reason.take());
                self.merge(wire.usage.unwrap_or_default());
            }
            "message_stop" => return Ok(Seen::End),
            "error" => return Ok(Seen::Failure),
            _ => {}
        }

        Ok(Seen::More)
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
