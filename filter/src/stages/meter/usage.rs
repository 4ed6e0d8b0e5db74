//! What the provider says an answer took, as it stands on the wire.

use super::runs::Runs;
use super::sse::Event;
use super::{clip, flags, read};
use contract::audit::FineUsage;
use contract::price::{RateCard, Used};
use serde::Deserialize;

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
    /// The runs it took, where the provider lists them.
    runs: Option<Runs>,
    /// The numbers are right and there is no price for them.
    unpriced: bool,
}

/// What an event means beside its usage.
pub(super) enum Seen {
    More,
    /// A block begins.
    Block,
    /// More of a block.
    Text,
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
    iterations: Option<Runs>,
    fallback_credit: Option<WireCredit>,
}

/// Tokens written to a cache, by its lifetime.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireCache {
    pub(super) ephemeral_5m_input_tokens: Option<u64>,
    pub(super) ephemeral_1h_input_tokens: Option<u64>,
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

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireCredit {
    r#type: Option<String>,
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
    /// The price in microdollars, where it is known. `model` is the answer's, normalised.
    pub fn cost_micro(&self, rates: &RateCard, provider: &str, model: &str) -> Option<u64> {
        if self.unpriced || !self.is_known() {
            return None;
        }
        let Some(runs) = &self.runs else {
            return rates.cost_micro(provider, &[(model, self.used())]);
        };
        // Region and tier are said of the answer, and so are searches, which belong to no run.
        let answer = self.used();
        let apart = Used { region: answer.region, tier: answer.tier, ..Used::default() };
        let mut bill = runs.bill(model, apart)?;
        bill.push((model.into(), Used { web_searches: answer.web_searches, ..apart }));

        rates.cost_micro(provider, &bill)
    }

    /// As a rate card counts it; what was never said is none of it.
    fn used(&self) -> Used<'_> {
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

    /// Was any number said?
    pub fn is_known(&self) -> bool {
        self.input.is_some() || self.output.is_some()
    }

    /// Is the usage known on both sides, as far as the answer has two?
    pub(super) fn is_whole(&self) -> bool {
        self.input.is_some() && (self.output.is_some() || self.counted)
    }

    /// Nothing more will be said: puts the sums over the runs in the place of the numbers beside
    /// them, which count only some. Never both.
    pub(super) fn settle(&mut self) -> Result<(), &'static str> {
        let Some(mut runs) = self.runs.take().filter(|runs| !runs.say_nothing_more()) else {
            return Ok(());
        };
        let sum = runs.sum(self.output).ok_or_else(|| {
            self.unpriced = true;
            flags::ITERATIONS
        })?;
        self.unpriced |= !runs.split(self.cache_write, self.fine.cache_write_1h);
        self.input = Some(sum.input);
        self.output = Some(sum.output);
        self.cache_write = Some(sum.cache_write);
        self.cache_read = Some(sum.cache_read);
        (self.fine.cache_write_5m, self.fine.cache_write_1h) = match runs.lasting_an_hour() {
            Some(hour) => (sum.cache_write.checked_sub(hour), Some(hour)),
            None => (None, None),
        };
        self.runs = Some(runs);

        Ok(())
    }

    /// The last number said is the number.
    fn merge(&mut self, wire: Wire) {
        let cache = wire.cache_creation.unwrap_or_default();
        let tools = wire.server_tool_use.unwrap_or_default();
        self.tier = wire.service_tier.map(clip).or_else(|| self.tier.take());
        self.region = wire.inference_geo.map(clip).or_else(|| self.region.take());
        self.runs = wire.iterations.filter(|runs| !runs.is_empty()).or_else(|| self.runs.take());
        // Billed as if another model had had the conversation all along: no number tells that.
        let credit = wire.fallback_credit.and_then(|credit| credit.r#type);
        self.unpriced |= credit.is_some_and(|credit| credit != "not_applied");
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
    pub(super) fn take_member(&mut self, name: &str, value: &[u8]) -> Result<(), &'static str> {
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
    pub(super) fn take_event(&mut self, event: &Event<'_>) -> Result<Seen, &'static str> {
        match (event.name, event.too_large) {
            // These bring no usage, whatever stands in them.
            ("content_block_start", _) => return Ok(Seen::Block),
            ("content_block_delta", _) => return Ok(Seen::Text),
            (_, true) => return Err(flags::TOO_LARGE),
            (_, false) => {}
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
            "content_block_start" => return Ok(Seen::Block),
            "content_block_delta" => return Ok(Seen::Text),
            _ => {}
        }

        Ok(Seen::More)
    }
}
