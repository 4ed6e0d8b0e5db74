//! Which translation a provider takes: two families, and a table in each.

use super::dialect::{Ask, Failure, Outgoing, Stream, Unmappable, What};
use super::{messages, openai};
use std::collections::BTreeMap;
use std::rc::Rc;

/// What an operator says of a lane beside its provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Terms {
    /// The client's model, normalised, → the provider's name for it; `*` for any other.
    pub models: BTreeMap<String, String>,
    /// What the provider's paths and headers have to be filled with.
    pub params: BTreeMap<String, String>,
}

/// How a provider speaks.
#[derive(Debug, Clone)]
pub enum Family {
    /// The Messages API, but for a row of differences.
    Messages(Box<(messages::Provider, Rc<Terms>)>),
    /// Chat completions, but for a row of differences.
    Completions(Box<(openai::Provider, Terms)>),
}

/// How an answer that is no error is read.
pub enum Reader {
    /// Its bytes are the client's.
    Same,
    /// A stream, event by event.
    Stream(Box<dyn Stream>),
    /// A body: [`Family::answer`] reads it, once it is whole.
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

/// Providers that anybody may run: what they are told stays with whoever runs the lane.
const OWN: [&str; 2] = ["vllm", "ollama"];

impl Family {
    /// The family of a provider, by its name.
    ///
    /// # Errors
    /// Every fault of the terms.
    pub fn of(provider: &str, terms: Terms) -> Result<Self, Vec<String>> {
        if let Some(row) = messages::Provider::shipped(provider) {
            let faults = row.faults(&terms);
            return if faults.is_empty() {
                Ok(Self::Messages(Box::new((row, Rc::new(terms)))))
            } else {
                Err(faults)
            };
        }
        let Some(row) = openai::Provider::shipped(provider) else {
            let known = messages::table::TABLE.providers.iter().map(|row| row.id.to_owned());
            let known: Vec<_> = known.chain(openai::names()).collect();
            return Err(vec![format!("provider: {provider} is none of {}", known.join(", "))]);
        };
        let faults = row.faults(&terms);

        if faults.is_empty() { Ok(Self::Completions(Box::new((row, terms)))) } else { Err(faults) }
    }

    /// Is it the enterprise's own, by its nature?
    pub fn is_ones_own(&self) -> bool {
        match self {
            Self::Messages(_) => false,
            Self::Completions(one) => OWN.contains(&one.0.id.as_str()),
        }
    }

    /// The call in the provider's words.
    ///
    /// # Errors
    /// If it has none for it.
    pub fn request(&self, ask: &Ask<'_>) -> Result<Outgoing, Unmappable> {
        match self {
            Self::Messages(one) => messages::request(ask, &one.0, &one.1),
            Self::Completions(one) => openai::request(ask, &one.0, &one.1),
        }
    }

    /// How an answer of this type is read that is no error. What is compressed although nobody asked passes where its
    /// bytes are the client's: the gate says so in its row.
    pub fn reader(&self, content_type: &str, compressed: bool, outgoing: &Outgoing) -> Reader {
        let model = &outgoing.asked;
        let streams = ["text/event-stream", "application/vnd.amazon.eventstream"]
            .iter()
            .any(|kind| content_type.starts_with(kind));
        match self {
            Self::Messages(one) if compressed && one.0.passes_bodies() => Reader::Same,
            Self::Messages(one) if streams => {
                Reader::Stream(messages::stream(&one.0, &one.1, model))
            }
            Self::Messages(one) if one.0.passes_bodies() && !outgoing.stream => Reader::Same,
            Self::Completions(_) if streams => Reader::Stream(Box::new(openai::Reader::new(model))),
            Self::Messages(_) | Self::Completions(_) => Reader::Body,
        }
    }

    /// A whole answer in the Messages API's words; `None` where it is that already.
    ///
    /// # Errors
    /// If it is none.
    pub fn answer(&self, what: What, body: &[u8], model: &str) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Messages(one) => messages::answer::body(&one.0, what, model, body),
            Self::Completions(_) => openai::answer(body, model).map(Some),
        }
    }

    /// What an error says.
    pub fn error(&self, status: u16, content_type: &str, body: &[u8]) -> Said {
        match self {
            Self::Messages(one) => {
                match messages::errors::error(&one.0, &one.1, status, content_type, body) {
                    messages::errors::Told::Unchanged => Said::Same,
                    messages::errors::Told::Instead(failure) => Said::Failure(failure),
                }
            }
            Self::Completions(_) => Said::Failure(openai::error(status, content_type, body)),
        }
    }

    /// Must a header of the provider's answer stay inside, beside those that always do?
    pub fn withholds(&self, name: &str) -> bool {
        match self {
            Self::Messages(one) => one.0.withheld(name),
            // What an own server says of itself is nobody's business either.
            Self::Completions(_) => !PASS.contains(&name) && !name.starts_with(':'),
        }
    }
}

/// What of a chat completion's headers a client of the Messages API can use.
const PASS: [&str; 5] = ["content-type", "content-length", "retry-after", "x-should-retry", "date"];

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_document_names_every_provider_there_is_and_whether_it_counts_tokens() {
        let document = include_str!("../../../docs/providers.md");
        let table: Vec<_> = document.lines().filter(|line| line.starts_with("| `")).collect();
        let row = |id: &str| {
            let named = format!("`{id}`");
            let first =
                |line: &&&str| line.split('|').nth(1).is_some_and(|cell| cell.contains(&named));
            *table.iter().find(first).unwrap_or_else(|| panic!("docs/providers.md lacks {id}"))
        };
        for provider in messages::table::TABLE.providers {
            assert!(
                row(provider.id).contains("| Messages | yes | yes | yes | yes |"),
                "{}",
                provider.id
            );
        }
        for id in openai::names() {
            assert!(row(&id).contains("| 501 |"), "{id}");
        }
    }

    #[test]
    fn every_template_names_a_provider_that_takes_it() {
        for (folder, provider) in [
            ("anthropic", "anthropic"),
            ("aws", "claude-platform-aws"),
            ("azure", "azure"),
            ("bedrock", "bedrock"),
            ("foundry", "foundry"),
            ("mantle", "bedrock-mantle"),
            ("openai", "openai"),
            ("vertex", "vertex"),
            ("vllm", "vllm"),
        ] {
            let text = match folder {
                "anthropic" => include_str!("../../../envoy/providers/anthropic/lanes.yaml"),
                "aws" => include_str!("../../../envoy/providers/aws/lanes.yaml"),
                "azure" => include_str!("../../../envoy/providers/azure/lanes.yaml"),
                "bedrock" => include_str!("../../../envoy/providers/bedrock/lanes.yaml"),
                "foundry" => include_str!("../../../envoy/providers/foundry/lanes.yaml"),
                "mantle" => include_str!("../../../envoy/providers/mantle/lanes.yaml"),
                "openai" => include_str!("../../../envoy/providers/openai/lanes.yaml"),
                "vertex" => include_str!("../../../envoy/providers/vertex/lanes.yaml"),
                _ => include_str!("../../../envoy/providers/vllm/lanes.yaml"),
            };
            let json =
                text.lines().find(|line| line.trim_start().starts_with("{\"role\"")).unwrap();
            let settings = crate::lane::Settings::parse(json.trim().as_bytes()).unwrap();

            assert_eq!(settings.facts.provider, provider, "{folder}");
        }
    }
}
