//! A server's answer on its way to the client: one message, or a stream of them.

use super::answer::{Passed, Told, View, pass};
use super::events::{Event, Events, write};
use super::message::{self, members, word};
use crate::refusal::Refusal;
use crate::stages::mcp::Called;
use contract::audit::ContentMode;

/// How the answer comes.
#[derive(Debug)]
enum Form {
    /// One message (`application/json`); held until it is whole, and swallowed if it is too large.
    Json { swallows: bool },
    /// A stream of messages (`text/event-stream`).
    Stream { events: Events, id_seen: bool },
    /// Nothing of it is for the client.
    Nothing,
    /// An error in a form that no client of MCP reads: it is told of in one that they do.
    Words { said: bool },
}

/// One answer.
#[derive(Debug)]
pub struct Relay {
    form: Form,
    /// The answer's status.
    status: u16,
    /// The largest message that passes, bytes.
    most: usize,
    /// What was seen.
    pub told: Told,
}

/// What becomes of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk {
    /// It goes on.
    AsItIs,
    /// It is held, with those behind it.
    Held,
    /// This goes on in its place.
    Instead(Vec<u8>),
}

impl Relay {
    /// For an answer with these headers to what was called.
    ///
    /// # Errors
    /// [`Refusal::McpServerFailed`] for an answer that is none of MCP's.
    pub fn new(
        status: u16,
        content_type: &str,
        encoding: Option<&str>,
        called: &Called,
    ) -> Result<Self, Refusal> {
        // A stream that is opened answers no request, and yet everything on it is for the client.
        let asked = called.id.is_some() || called.method == "GET";
        let keeps = called.is_tool && called.terms.content() != ContentMode::None;
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        let plain = encoding.is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity"));
        let form = if kind.eq_ignore_ascii_case("application/json") {
            Form::Json { swallows: false }
        } else if kind.eq_ignore_ascii_case("text/event-stream") {
            Form::Stream { events: Events::default(), id_seen: false }
        } else if !asked && status < 300 {
            Form::Nothing
        } else if status >= 400 && plain {
            Form::Words { said: false }
        } else {
            return Err(Refusal::McpServerFailed);
        };
        let follows = (300..400).contains(&status);
        // A redirection would lead the client around the gate; a 401 is about our credential and not about the client's.
        if follows || status == 401 || status < 200 || (!plain && !matches!(form, Form::Nothing)) {
            return Err(Refusal::McpServerFailed);
        }

        let told = Told { keeps, ..Told::default() };

        Ok(Self { form, status, most: called.largest_result, told })
    }

    /// Is something else said than what comes?
    pub fn speaks_instead(&self) -> bool {
        matches!(self.form, Form::Words { .. })
    }

    /// Is it read only once it is whole, and may it still be?
    pub fn waits(&self, size: usize) -> bool {
        matches!(self.form, Form::Json { swallows: false }) && size <= self.most
    }

    /// The next chunk, or all that is held.
    pub fn eat(&mut self, view: &View<'_>, chunk: &[u8], last: bool) -> Chunk {
        let most = self.most;
        match &mut self.form {
            Form::Words { said } => {
                if std::mem::replace(said, true) {
                    return Chunk::Instead(Vec::new());
                }
                self.answered_with(view)
            }
            Form::Nothing => Chunk::Instead(Vec::new()),
            Form::Json { swallows } if chunk.len() > most || *swallows => {
                if std::mem::replace(swallows, true) {
                    return Chunk::Instead(Vec::new());
                }
                too_large(view, &mut self.told)
            }
            Form::Json { .. } if !last => Chunk::Held,
            Form::Json { .. } => self.whole(view, chunk),
            Form::Stream { events, id_seen } => {
                let (mut out, told) = (Vec::with_capacity(chunk.len()), &mut self.told);
                events.eat(chunk, most, &mut |event| {
                    *id_seen |= event.id.as_ref().is_some_and(|id| !id.is_empty());
                    stream(view, event, told, &mut out);
                });
                // Who waits for an answer that was dropped would wait for long. Where the stream can be taken up again, the
                // client does that.
                if last && view.id.is_some() && !told.answered && (told.dropped > 0 || !*id_seen) {
                    let event =
                        Event {
                            data: Some(view.error(
                                Refusal::McpServerFailed,
                                Refusal::McpServerFailed.message(),
                            )),
                            ..Event::default()
                        };
                    told.refused.get_or_insert((Refusal::McpServerFailed, None));
                    write(&event, &mut out);
                }
                Chunk::Instead(out)
            }
        }
    }

    /// One message that is whole.
    fn whole(&mut self, view: &View<'_>, body: &[u8]) -> Chunk {
        let Ok(text) = str::from_utf8(body) else { return self.failed(view) };
        if self.status >= 400 && message::read(text).is_err() {
            return self.other_error(view, text);
        }
        match pass(view, text, &mut self.told) {
            Passed::AsItIs => Chunk::AsItIs,
            Passed::Instead(body) => Chunk::Instead(body),
            Passed::Dropped if view.id.is_none() => Chunk::Instead(Vec::new()),
            Passed::Dropped => self.failed(view),
        }
    }

    /// What is known of an answer of which nothing is passed on.
    fn answered_with(&self, view: &View<'_>) -> Chunk {
        if view.id.is_none() {
            return Chunk::Instead(Vec::new());
        }
        let message = format!("The MCP server answered with status {}.", self.status);

        Chunk::Instead(view.error(Refusal::McpServerFailed, &message))
    }

    /// An error in another form, as Envoy's own have: clients of MCP read none but JSON-RPC's.
    fn other_error(&mut self, view: &View<'_>, text: &str) -> Chunk {
        let Ok([None, None, None, error]) = members(text, ["result", "method", "params", "error"])
        else {
            return self.failed(view);
        };
        let message = error.and_then(|error| members(error, ["message"]).ok());
        let Some(message) = message.and_then(|[message]| message).and_then(word) else {
            return self.answered_with(view);
        };
        // Who answers in such a form may say anything in it.
        if view.has_finds(text, &mut self.told) {
            return self.answered_with(view);
        }
        let message = message.replace("The model's provider", "The MCP server");

        Chunk::Instead(view.error(Refusal::McpServerFailed, &message))
    }

    fn failed(&mut self, view: &View<'_>) -> Chunk {
        match view.refuses(Refusal::McpServerFailed, &mut self.told) {
            Passed::Instead(body) if view.id.is_some() => Chunk::Instead(body),
            _ => Chunk::Instead(Vec::new()),
        }
    }
}

fn too_large(view: &View<'_>, told: &mut Told) -> Chunk {
    match view.refuses(Refusal::ResultTooLarge, told) {
        Passed::Instead(body) => Chunk::Instead(body),
        Passed::AsItIs | Passed::Dropped => Chunk::Instead(Vec::new()),
    }
}

/// One event of a stream.
fn stream(view: &View<'_>, mut event: Event, told: &mut Told, out: &mut Vec<u8>) {
    if event.too_large {
        // Whose answer it was cannot be read any more; on this stream there is one to come.
        if view.id.is_some() && !told.answered {
            if let Chunk::Instead(body) = too_large(view, told) {
                event.data = Some(body);
                write(&event, out);
            }
        } else {
            told.dropped = told.dropped.saturating_add(1);
        }
        return;
    }
    let named = !event.name.is_empty() && event.name != b"message";
    let data = event.data.take().unwrap_or_default();
    if data.is_empty() || named {
        // The id of an empty event is where a client takes the stream up again. Other names MCP does not have.
        event.data = event.id.is_some().then(Vec::new);
        event.name.clear();
        return write(&event, out);
    }
    let passed = if let Ok(text) = str::from_utf8(&data) {
        pass(view, text, told)
    } else {
        told.dropped = told.dropped.saturating_add(1);
        Passed::Dropped
    };
    event.data = match passed {
        Passed::AsItIs => Some(data),
        Passed::Instead(message) => Some(message),
        // Its id stays, so that it does not come again.
        Passed::Dropped => event.id.is_some().then(Vec::new),
    };
    if event.data.is_none() && event.retry.is_none() {
        return;
    }
    write(&event, out);
}
