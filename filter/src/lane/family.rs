//! Which translation a provider takes.

use super::dialect::{Ask, Failure, Outgoing, Stream, Unmappable};
use std::collections::BTreeMap;

/// What an operator says of a lane beside its provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// The client's model, normalised, → the provider's name for it; `*` for any other.
    pub models: BTreeMap<String, String>,
    /// What the provider's paths and headers have to be filled with.
    pub params: BTreeMap<String, String>,
}

/// How a provider speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Family {
    /// The Messages API as it is.
    Messages,
}

/// How an answer that is no error is read.
pub enum Reader {
    /// Its bytes are the client's.
    Same,
    /// A stream of the Messages API: its bytes are the client's, event by event.
    Events,
    /// A stream of another form.
    Stream(Box<dyn Stream>),
    /// A body of another form: [`Family::answer`] reads it, once it is whole.
    Body,
}

/// What an error says, for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// What the provider wrote is the client's: clients go by its wording.
    Same,
    /// In the Messages API's words.
    Failure(Failure),
}

impl Family {
    /// The family of a provider, by its name.
    ///
    /// # Errors
    /// Every fault of the terms.
    pub fn of(provider: &str, _terms: Terms) -> Result<Self, Vec<String>> {
        match provider {
            "anthropic" => Ok(Self::Messages),
            _ => Err(vec![format!("provider: {provider} is none of anthropic")]),
        }
    }

    /// Is it the enterprise's own, by its nature?
    pub fn is_ones_own(&self) -> bool {
        false
    }

    /// The call in the provider's words.
    ///
    /// # Errors
    /// If it has none for it.
    pub fn request(&self, ask: &Ask<'_>) -> Result<Outgoing, Unmappable> {
        let _body = ask.body;
        Ok(Outgoing { path: "/v1/messages".into(), ..Outgoing::default() })
    }

    /// How an answer of this type is read that is no error. `model` is the client's name for it.
    pub fn reader(&self, content_type: &str, _outgoing: &Outgoing, _model: &str) -> Reader {
        if content_type.starts_with("text/event-stream") { Reader::Events } else { Reader::Same }
    }

    /// A whole answer in the Messages API's words.
    ///
    /// # Errors
    /// If it is none.
    pub fn answer(&self, body: Vec<u8>, _model: &str) -> Result<Vec<u8>, Failure> {
        Ok(body)
    }

    /// What an error says.
    pub fn error(&self, _status: u16, _content_type: &str, _body: &[u8]) -> Said {
        Said::Same
    }

    /// Must a header of the provider's answer stay inside, beside those that always do?
    pub fn withholds(&self, _name: &str) -> bool {
        false
    }
}
