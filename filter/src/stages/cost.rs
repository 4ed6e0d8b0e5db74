//! What a call is likely to cost, as a word for routes. Only where `gate.yaml` has classes.

use super::decode::Surface;
use super::parse::Call;
use contract::estimate::{self, Body, Class, Classes, Lengths, Ratios, estimate};
use contract::price::RateCard;

/// The classes, and what estimates are made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Costing {
    classes: Classes,
    ratios: Ratios,
}

impl Costing {
    /// Checks the classes.
    ///
    /// # Errors
    /// Every fault at once, each with its place in the list.
    pub fn new(list: Vec<Class>) -> Result<Self, Vec<String>> {
        let classes = Classes::check(list)?;
        let ratios = Ratios::shipped().map_err(|error| vec![format!(": {error}")])?;

        Ok(Self { classes, ratios })
    }

    /// The class of a call. Counting tokens costs nothing.
    pub fn class(
        &self,
        surface: Surface,
        call: &Call,
        body: Body,
        lengths: &Lengths,
        rates: &RateCard,
    ) -> &str {
        if surface == Surface::CountTokens {
            return self.classes.of(Some(0));
        }
        let Call { model, max_tokens, .. } = call;
        let usual = lengths.median(model);
        let call = estimate::Call { model, body, max_tokens: *max_tokens, usual };

        self.classes.of(estimate(&self.ratios, rates, &call).cost_micro)
    }
}
