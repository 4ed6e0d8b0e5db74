//! A streamed completion, said as the events of a message.
//!
//! The provider's pieces become events as they come; only calls of tools that come at the same time wait for their
//! turn. One message begins, and it ends only if the provider said why.

mod blocks;
mod sse;

use super::answer::{End, calls, message_id, texts, thoughts};
use super::json::{Members, Object};
use super::usage::Usage;
use super::{Broken, broken, error};
use crate::lane::dialect::{Failure, Stream};
use blocks::Blocks;
use sse::Lines;

/// Reads one streamed completion.
#[derive(Debug)]
pub struct Reader {
    lines: Lines,
    /// The client's name for the model.
    model: String,
    /// What it has said; `None` before the message began.
    blocks: Option<Blocks>,
    refused: bool,
    usage: Usage,
    /// Why it ended, once the provider has said it.
    end: Option<End>,
    done: bool,
}

impl Reader {
    /// For a client that asked for this model.
    pub fn new(model: &str) -> Self {
        Self {
            lines: Lines::default(),
            model: model.to_owned(),
            blocks: None,
            refused: false,
            usage: Usage::default(),
            end: None,
            done: false,
        }
    }

    fn read(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        let mut rest = chunk;
        while !rest.is_empty() && !self.done {
            let next = self.lines.next(rest);
            let (left, data) =
                next.ok().ok_or_else(|| broken("an event of the provider is too large"))?;
            rest = left;
            if let Some(data) = data {
                self.event(&data, out)?;
            }
        }

        Ok(())
    }

    fn read_end(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        if let (false, Some(data)) = (self.done, self.lines.end()) {
            self.event(&data, out)?;
        }
        if self.done { Ok(()) } else { self.conclude(out) }
    }

    #[inline(never)]
    fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        match data.trim_ascii() {
            b"" => return Ok(()),
            b"[DONE]" => return self.conclude(out),
            _ => {}
        }
        let chunk = str::from_utf8(data).ok().and_then(Object::read);
        let chunk = chunk.ok_or_else(|| broken("the provider's stream cannot be read"))?;
        if chunk.get("error").is_some() || chunk.word("object") == "error" {
            return Err(error::told(&chunk));
        }
        let usage = chunk.object("usage");
        if let Some(usage) = &usage {
            self.usage = Usage::read(usage);
        }
        let choices = chunk.objects("choices").unwrap_or_default();
        match choices.iter().find(|choice| choice.number("index").unwrap_or(0) == 0) {
            Some(choice) => self.choice(&chunk, choice, out),
            // The last word of those that tell the usage, and the first of those that tell filters.
            None if usage.is_some() && self.end.is_some() => self.conclude(out),
            None => Ok(()),
        }
    }

    fn choice(
        &mut self,
        chunk: &Object<'_>,
        choice: &Object<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Broken> {
        let delta = choice.object("delta").unwrap_or_default();
        let Self { blocks, model, usage, .. } = self;
        let blocks = blocks.get_or_insert_with(|| {
            let id = message_id(chunk.word("id"));
            begin(out, &id, model, *usage);
            Blocks::new(&id)
        });
        if let Some(thoughts) = thoughts(&delta) {
            blocks.thought(thoughts, out);
        }
        for text in texts(&delta, "content") {
            blocks.text(text, out)?;
        }
        for text in texts(&delta, "refusal") {
            self.refused = true;
            blocks.text(text, out)?;
        }
        for call in calls(&delta) {
            blocks.call(&call, out)?;
        }
        if choice.get("finish_reason").is_some() {
            self.end = Some(End::of(choice, blocks.has_calls(), self.refused)?);
            blocks.finish(out)?;
        }

        Ok(())
    }

    /// Ends the message.
    fn conclude(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        let (Some(blocks), Some(end)) = (&mut self.blocks, &self.end) else {
            return Err(broken("the provider ended its stream before its answer"));
        };
        blocks.finish(out)?;
        let mut event = blocks::event(out, "message_delta");
        let mut delta = Members::begin(event.name("delta"));
        end.put(&mut delta);
        delta.end();
        self.usage.put(event.name("usage"));
        blocks::close(event);
        blocks::close(blocks::event(out, "message_stop"));
        self.done = true;

        Ok(())
    }
}

impl Stream for Reader {
    fn eat(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        self.read(chunk, out).map_err(|broken| *broken.0)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.read_end(out).map_err(|broken| *broken.0)
    }
}

/// Begins the message. Its usage is not known yet, and zeros would be numbers: it is said at the end.
fn begin(out: &mut Vec<u8>, id: &str, model: &str, usage: Usage) {
    let mut event = blocks::event(out, "message_start");
    let mut message = Members::begin(event.name("message"));
    message.string("id", id);
    message.raw("type", "\"message\"");
    message.raw("role", "\"assistant\"");
    message.string("model", model);
    message.raw("content", "[]");
    message.raw("stop_reason", "null");
    message.raw("stop_sequence", "null");
    usage.put(message.name("usage"));
    message.end();
    blocks::close(event);
}
