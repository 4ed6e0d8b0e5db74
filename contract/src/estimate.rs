//! What a call is likely to cost, before it is made: good enough to choose a route by, and no bill.
//!
//! Input is told from the size of the body, by measured ratios; output is what the model's answers are long,
//! and no more than the call allows; the price is that of the rate card in force. Whole numbers throughout,
//! so that the gate and the command that explains it say the same. What a cache spares is not known before.

mod body;
mod classes;
mod lengths;

pub use body::Body;
pub use classes::{Class, Classes, UNKNOWN};
pub use lengths::Lengths;

use crate::model;
use crate::price::{RateCard, Unit, Used};
use serde::Deserialize;

/// Whose price counts where several have one: which of them will serve is not chosen yet.
const FIRST: &str = "anthropic";

/// How many bytes are a token: dated data, measured.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ratios {
    /// The day they were measured.
    pub as_of: String,
    /// How.
    pub source: String,
    /// The first that fits a model counts.
    pub ratios: Vec<Ratio>,
}

/// How many bytes are a token of some models.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ratio {
    /// Normalised names, `*` for any run of characters.
    pub models: Vec<String>,
    /// Bytes of the body, JSON and all, for 1,000 tokens.
    pub bytes_per_1000_tokens: u64,
    /// The most tokens that an image counts as.
    pub image_tokens: u64,
}

/// What is asked for, as far as it tells what it costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Call<'a> {
    /// The model, normalised.
    pub model: &'a str,
    /// What is sent.
    pub body: Body,
    /// The most tokens that may be answered with.
    pub max_tokens: Option<u64>,
    /// The usual length of this model's answers, tokens.
    pub usual: Option<u64>,
}

/// Where the number of output tokens is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The call allows no more.
    MaxTokens,
    /// It is the median of the model's answers.
    Median,
    /// Neither is known: none are counted.
    Unknown,
}

impl Output {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::Median => "median",
            Self::Unknown => "unknown",
        }
    }
}

/// An estimate, with all that it was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate<'a> {
    /// Bytes of the body that are no image's.
    pub text_bytes: u64,
    /// How many of them are 1,000 tokens.
    pub bytes_per_1000_tokens: u64,
    /// Tokens that images count as.
    pub image_tokens: u64,
    /// Tokens of input in all.
    pub input: u64,
    /// Tokens of output.
    pub output: u64,
    /// Why so many.
    pub output_by: Output,
    /// Whose price counts; none where nobody has one.
    pub provider: Option<&'a str>,
    /// Microdollars; none where there is no price.
    pub cost_micro: Option<u64>,
}

impl Ratios {
    /// Those this build ships.
    ///
    /// # Errors
    /// Only if the shipped file is broken, which a test rules out.
    pub fn shipped() -> Result<Self, serde_json::Error> {
        serde_json::from_slice(include_bytes!("../data/ratios.json"))
    }

    /// That of a model.
    pub fn of(&self, model: &str) -> Option<&Ratio> {
        let fits = |ratio: &&Ratio| ratio.models.iter().any(|those| model::matches(those, model));

        self.ratios.iter().find(fits)
    }
}

/// What a call is likely to cost.
pub fn estimate<'a>(ratios: &Ratios, rates: &'a RateCard, call: &Call<'_>) -> Estimate<'a> {
    let Call { model, body, max_tokens, usual } = *call;
    let text_bytes = body.bytes.saturating_sub(body.image_bytes);
    let ratio = ratios.of(model);
    let per_1000 = ratio.map_or(0, |ratio| ratio.bytes_per_1000_tokens);
    let text = text_bytes.saturating_mul(1_000).checked_div(per_1000);
    let image_tokens = ratio.map_or(0, |ratio| ratio.image_tokens).saturating_mul(body.images);
    let input = text.unwrap_or(text_bytes).saturating_add(image_tokens);
    let (output, output_by) = match (max_tokens, usual) {
        (Some(most), Some(usual)) if usual < most => (usual, Output::Median),
        (Some(most), _) => (most, Output::MaxTokens),
        (None, Some(usual)) => (usual, Output::Median),
        (None, None) => (0, Output::Unknown),
    };
    let priced = |provider: &&str| rates.nanos(provider, model, Unit::Input).is_some();
    let provider = std::iter::once(FIRST).chain(rates.providers()).find(priced);
    let used = Used { input, output, ..Used::default() };
    let cost_micro = provider.and_then(|provider| rates.cost_micro(provider, &[(model, used)]));

    Estimate {
        text_bytes,
        bytes_per_1000_tokens: per_1000,
        image_tokens,
        input,
        output,
        output_by,
        provider,
        cost_micro,
    }
}

#[cfg(test)]
mod tests;
