//! What tells the providers apart: the rows of `contract/data/messages.json`.
//!
//! `filter/build.rs` makes constants of them; a test compares these with the file.

use crate::lane::family::Terms;

/// The file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The day it was read off its sources.
    pub as_of: &'static str,
    /// Where it was read.
    pub source: &'static str,
    /// Members of a body that need a beta.
    pub pairs: &'static [Pair],
    /// The providers.
    pub providers: &'static [Row],
}

/// A member that a provider refuses without its beta: half a pair is a hard 400.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The member of the body.
    pub member: &'static str,
    /// Betas of which one must go with it.
    pub betas: &'static [&'static str],
    /// What becomes of it where its betas were left out.
    pub without: Without,
}

/// What becomes of a member whose beta a provider does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Without {
    /// It is left out too: the answer means the same without it.
    Remove,
    /// The call cannot be said.
    Refuse,
}

/// One provider.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub params: &'static [(&'static str, Option<&'static str>)],
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
    pub models: &'static [(&'static str, &'static str)],
    /// The provider's name for any other; null: it has none.
    pub others: Option<&'static str>,
    /// Largest body it takes, in 1024 × 1024 bytes.
    pub largest_mb: usize,
    /// How it streams.
    pub framing: Framing,
    /// Whose errors it gives.
    pub errors: Errors,
    /// The header of an answer with the provider's id for it.
    pub request_id: &'static str,
    /// Headers of an answer that tell of the account, beside those withheld from everybody.
    pub withheld: &'static [&'static str],
    /// Beginnings of such headers.
    pub withheld_prefix: &'static [&'static str],
}

/// Paths, with `{…}` for parameters and the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// For an answer in one piece.
    pub messages: &'static str,
    /// For a stream.
    pub stream: &'static str,
    /// For counting.
    pub count_tokens: &'static str,
}

/// Changes of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Does the model stand in the body?
    pub model: Model,
    /// Members that are taken out.
    pub remove: &'static [&'static str],
    /// The value of `anthropic_version`, where it stands in the body.
    pub anthropic_version: Option<&'static str>,
}

/// Where the model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// In the body, by the provider's name.
    Keep,
    /// In the path.
    Remove,
}

/// How tokens are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// As the Messages API does.
    Same,
    /// The body as it would be sent, in base64, within another.
    Bedrock,
    /// With the model in the body.
    Vertex,
}

/// What becomes of `anthropic-beta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Betas {
    /// Where they go.
    pub place: Place,
    /// What becomes of those in no list.
    pub unknown: Unknown,
    /// Those that are known to be taken.
    pub accepted: &'static [&'static str],
    /// Those with another name here.
    pub aliases: &'static [(&'static str, &'static str)],
    /// Those for which the whole call would be refused.
    pub rejected: &'static [&'static str],
}

/// Where betas go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// They stay in the header.
    Header,
    /// Into the list `anthropic_beta` of the body.
    Body,
    /// Nowhere.
    Dropped,
}

/// What becomes of a beta in no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// It goes on.
    Pass,
    /// It is left out.
    Drop,
}

/// Changes of the headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// Set to this, with `{…}` for parameters.
    pub set: &'static [(&'static str, &'static str)],
    /// Taken away.
    pub remove: &'static [&'static str],
}

/// How a provider streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// As the Messages API does.
    Sse,
    /// In frames ([`crate::lane::eventstream`]).
    AwsEventstream,
}

/// Whose errors a provider gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errors {
    /// Anthropic's own: they pass.
    Anthropic,
    /// A cloud's: they may tell of the account.
    Cloud,
}

/// The table that this build ships.
pub static TABLE: Table = include!(concat!(env!("OUT_DIR"), "/messages.rs"));

/// A provider and what holds for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provider {
    /// Its row.
    pub row: &'static Row,
    /// Members that need a beta.
    pub pairs: &'static [Pair],
}

/// The value of a name in one of the table's maps.
pub(super) fn lookup<T: Copy>(map: &[(&'static str, T)], name: &str) -> Option<T> {
    map.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

impl Provider {
    /// The provider of this id, if the shipped table has it.
    pub fn shipped(id: &str) -> Option<Self> {
        let row = TABLE.providers.iter().find(|row| row.id == id)?;

        Some(Self { row, pairs: TABLE.pairs })
    }

    /// Must a header of an answer be withheld from the client? To be asked beside
    /// [`contract::headers::Boundary::withheld`].
    pub fn withheld(&self, name: &str) -> bool {
        self.row.withheld.contains(&name)
            || self.row.withheld_prefix.iter().any(|prefix| name.starts_with(prefix))
    }

    /// Do bodies of good answers pass as they are, whatever was asked?
    pub fn passes_bodies(&self) -> bool {
        self.row.count != Count::Bedrock && self.row.framing == Framing::Sse
    }

    /// What a lane's configuration lacks or has too much, in words for who wrote it. To be asked
    /// when the lane starts.
    pub fn faults(&self, lane: &Terms) -> Vec<String> {
        let Row { id, params, .. } = self.row;
        let mut faults = Vec::new();
        for (name, default) in *params {
            if default.is_none() && !lane.params.contains_key(*name) {
                faults.push(format!("{id} needs the parameter {name}"));
            }
        }
        for (name, value) in &lane.params {
            if lookup(params, name).is_none() {
                faults.push(format!("{id} knows no parameter {name}"));
            } else if !value.bytes().all(plain) {
                faults.push(format!("the parameter {name} has odd characters"));
            }
        }
        for (name, theirs) in &lane.models {
            if name != "*" && contract::model::normalise(name).ok().as_deref() != Some(name) {
                faults.push(format!("models are compared without date and prefix: {name}"));
            }
            if theirs.is_empty() || !theirs.bytes().all(plain) {
                faults.push(format!("the name for {name} is empty or odd"));
            }
        }

        faults
    }
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_graphic()
}
