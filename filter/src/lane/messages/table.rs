//! What tells the providers apart: the rows of `contract/data/messages.json`.
//!
//! Read once when a lane starts. All texts are borrowed from the module itself, so that a header's
//! or a beta's name can be handed on without a copy.

use super::Lane;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The day it was read off its sources.
    pub as_of: &'static str,
    /// Where it was read.
    pub source: &'static str,
    /// Members of a body that need a beta.
    pub pairs: Vec<Pair>,
    /// The providers.
    pub providers: Vec<Row>,
}

/// A member that a provider refuses without its beta: half a pair is a hard 400.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The member of the body.
    pub member: &'static str,
    /// Betas of which one must go with it.
    pub betas: Vec<&'static str>,
    /// What becomes of it where its betas were left out.
    pub without: Without,
}

/// What becomes of a member whose beta a provider does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Without {
    /// It is left out too: the answer means the same without it.
    Remove,
    /// The call cannot be said.
    Refuse,
}

/// One provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What configurations call it.
    pub id: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// Where the row was read.
    pub source: &'static str,
    /// Its host; Envoy's configuration has it, the row is for people.
    pub host: &'static str,
    /// What it wants to see; Envoy puts it in.
    pub credential: &'static str,
    /// What `{…}` may stand for in the row, with what it is where a lane says nothing; null: a lane
    /// must say it.
    pub params: BTreeMap<&'static str, Option<&'static str>>,
    /// Where calls go.
    pub paths: Paths,
    /// What changes in a body.
    pub body: Body,
    /// How tokens are counted.
    pub count: Count,
    /// What becomes of `anthropic-beta`.
    pub betas: Betas,
    /// What changes in the headers.
    pub headers: Headers,
    /// Normalised name → the provider's.
    pub models: BTreeMap<&'static str, &'static str>,
    /// The provider's name for any other; null: it has none.
    pub others: Option<&'static str>,
    /// Largest body it takes, in bytes.
    pub largest: usize,
    /// How it streams.
    pub framing: Framing,
    /// Whose errors it gives.
    pub errors: Errors,
    /// The header of an answer with the provider's id for it.
    pub request_id: &'static str,
    /// Headers of an answer that tell of the account, beside those withheld from everybody.
    pub withheld: Vec<&'static str>,
    /// Beginnings of such headers.
    pub withheld_prefix: Vec<&'static str>,
}

/// Paths, with `{…}` for parameters and the model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// For an answer in one piece.
    pub messages: &'static str,
    /// For a stream.
    pub stream: &'static str,
    /// For counting.
    pub count_tokens: &'static str,
}

/// Changes of a body.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// Does the model stand in the body?
    pub model: Model,
    /// Members that are taken out.
    pub remove: Vec<&'static str>,
    /// The value of `anthropic_version`, where it stands in the body.
    pub anthropic_version: Option<&'static str>,
}

/// Where the model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// In the body, by the provider's name.
    Keep,
    /// In the path.
    Remove,
}

/// How tokens are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// As the Messages API does.
    Same,
    /// The body as it would be sent, in base64, within another.
    Bedrock,
    /// With the model in the body.
    Vertex,
}

/// What becomes of `anthropic-beta`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Betas {
    /// Where they go.
    pub place: Place,
    /// What becomes of those in no list.
    pub unknown: Unknown,
    /// Those that are known to be taken.
    #[serde(borrow)]
    pub accepted: Vec<&'static str>,
    /// Those with another name here.
    pub aliases: BTreeMap<&'static str, &'static str>,
    /// Those for which the whole call would be refused.
    pub rejected: Vec<&'static str>,
}

/// Where betas go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// They stay in the header.
    Header,
    /// Into the list `anthropic_beta` of the body.
    Body,
    /// Nowhere.
    Dropped,
}

/// What becomes of a beta in no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It goes on.
    Pass,
    /// It is left out.
    Drop,
}

/// Changes of the headers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headers {
    /// Set to this, with `{…}` for parameters.
    #[serde(borrow)]
    pub set: BTreeMap<&'static str, &'static str>,
    /// Taken away.
    pub remove: Vec<&'static str>,
}

/// How a provider streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// As the Messages API does.
    Sse,
    /// In frames ([`crate::lane::eventstream`]).
    AwsEventstream,
}

/// Whose errors a provider gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Errors {
    /// Anthropic's own: they pass.
    Anthropic,
    /// A cloud's: they may tell of the account.
    Cloud,
}

impl Table {
    /// The table that this build ships.
    ///
    /// # Errors
    /// Only if the shipped file is broken, which a test rules out.
    pub fn shipped() -> Result<Self, serde_json::Error> {
        serde_json::from_str(include_str!("../../../../contract/data/messages.json"))
    }
}

/// A provider and what holds for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its row.
    pub row: Row,
    /// Members that need a beta.
    pub pairs: Vec<Pair>,
}

impl Provider {
    /// The provider of this id, if the shipped table has it.
    pub fn shipped(id: &str) -> Option<Self> {
        let Table { pairs, providers, .. } = Table::shipped().ok()?;
        let row = providers.into_iter().find(|row| row.id == id)?;

        Some(Self { row, pairs })
    }

    /// Must a header of an answer be withheld from the client? To be asked beside
    /// [`contract::headers::Boundary::withheld`].
    pub fn withheld(&self, name: &str) -> bool {
        self.row.withheld.contains(&name)
            || self.row.withheld_prefix.iter().any(|prefix| name.starts_with(prefix))
    }

    /// What a lane's configuration lacks or has too much, in words for who wrote it. To be asked
    /// when the lane starts.
    pub fn faults(&self, lane: &Lane) -> Vec<String> {
        let known = &self.row.params;
        let lacks = known
            .iter()
            .filter(|(name, default)| default.is_none() && !lane.params.contains_key(**name))
            .map(|(name, _)| format!("{} needs the parameter {name}", self.row.id));
        let unknown = lane.params.iter().filter(|(name, _)| !known.contains_key(name.as_str()));
        let unknown = unknown.map(|(name, _)| format!("{} knows no parameter {name}", self.row.id));
        let odd = lane.params.iter().filter(|(_, value)| !value.bytes().all(plain));
        let odd = odd.map(|(name, _)| format!("the parameter {name} has odd characters"));
        let names = lane.models.keys().filter(|name| {
            *name != "*" && contract::model::normalise(name).ok().as_deref() != Some(name.as_str())
        });
        let names =
            names.map(|name| format!("models are compared without date and prefix: {name}"));
        let empty = lane.models.iter().filter(|(_, own)| !own.bytes().all(plain) || own.is_empty());
        let empty = empty.map(|(name, _)| format!("the name for {name} is empty or odd"));

        lacks.chain(unknown).chain(odd).chain(names).chain(empty).collect()
    }
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_graphic()
}
