//! What a call cost, in integer microdollars.
//!
//! Prices are dated data, kept as decimal text and computed in whole nanodollars, so that a row ties
//! to the provider's invoice. What is not known is not guessed: no rate, a service tier or a region
//! without a price make the cost unknown, never zero.

use serde::Deserialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// A rate card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateCard {
    as_of: String,
    rates: Vec<Rate>,
    /// Nanodollars a search, by provider.
    searches: BTreeMap<String, u64>,
}

/// One line of it: nanodollars a token, which are thousandths of dollars a million tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rate {
    provider: String,
    models: Vec<String>,
    input: u64,
    output: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    cache_read: u64,
    /// Thousandths of the price, by region.
    regions: BTreeMap<String, u64>,
}

/// What was used, as the provider counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used<'a> {
    /// Input tokens outside any cache.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Tokens written to a cache, of any lifetime.
    pub cache_write: u64,
    /// Of these, those written for an hour.
    pub cache_write_1h: u64,
    /// Tokens read from a cache.
    pub cache_read: u64,
    /// Searches.
    pub web_searches: u64,
    /// Where it was computed, if the provider says so.
    pub region: Option<&'a str>,
    /// The tier it was served at, if the provider says so.
    pub tier: Option<&'a str>,
}

/// A fault of a card.
#[derive(Debug, Error)]
pub enum RateError {
    /// Not JSON of its form.
    #[error("not a rate card: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Not a price.
    #[error("{0:?} is not a price: write dollars with at most three decimals, such as \"6.25\"")]
    Price(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCard {
    as_of: String,
    #[serde(rename = "source")]
    _source: String,
    rates: Vec<RawRate>,
    /// Dollars for a thousand searches, by provider.
    #[serde(default)]
    web_search: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRate {
    provider: String,
    models: Vec<String>,
    input: String,
    output: String,
    cache_write_5m: String,
    cache_write_1h: String,
    cache_read: String,
    #[serde(default)]
    regions: BTreeMap<String, String>,
}

impl RateCard {
    /// The card this build ships.
    ///
    /// # Errors
    /// Only if the shipped file is broken, which a test rules out.
    pub fn shipped() -> Result<Self, RateError> {
        Self::parse(include_bytes!("../data/rates.json"))
    }

    /// Reads a card.
    ///
    /// # Errors
    /// [`RateError`].
    pub fn parse(text: &[u8]) -> Result<Self, RateError> {
        let raw: RawCard = serde_json::from_slice(text)?;
        // A dollar for a thousand is a million nanodollars for one.
        let search = |(provider, price): (String, String)| {
            Ok((provider, thousandths(&price)?.saturating_mul(1_000)))
        };

        Ok(Self {
            as_of: raw.as_of,
            rates: raw.rates.into_iter().map(Rate::try_from).collect::<Result<_, _>>()?,
            searches: raw.web_search.into_iter().map(search).collect::<Result<_, RateError>>()?,
        })
    }

    /// The day its prices were read.
    pub fn as_of(&self) -> &str {
        &self.as_of
    }

    /// The price of a call in microdollars, rounded half up; `None` where it is not known. A call is
    /// what it took of each model that ran for it, named by its normalised name; it is rounded once.
    pub fn cost_micro<M: AsRef<str>>(&self, provider: &str, call: &[(M, Used<'_>)]) -> Option<u64> {
        let nanos = call.iter().try_fold(0_u64, |sum, (model, used)| {
            sum.checked_add(self.nanos(provider, model.as_ref(), used)?)
        })?;

        nanos.checked_add(500)?.checked_div(1_000)
    }

    fn nanos(&self, provider: &str, model: &str, used: &Used<'_>) -> Option<u64> {
        if !matches!(used.tier, None | Some("standard")) {
            return None;
        }
        let of = |rate: &&Rate| {
            rate.provider == provider && rate.models.iter().any(|name| name == model)
        };
        let rate = self.rates.iter().find(of)?;
        let searches = match used.web_searches {
            0 => 0,
            count => self.searches.get(provider)?.checked_mul(count)?,
        };
        let tokens = [
            (used.input, rate.input),
            (used.output, rate.output),
            (used.cache_write.checked_sub(used.cache_write_1h)?, rate.cache_write_5m),
            (used.cache_write_1h, rate.cache_write_1h),
            (used.cache_read, rate.cache_read),
        ]
        .into_iter()
        .try_fold(0_u64, |sum, (count, price)| sum.checked_add(count.checked_mul(price)?))?;

        rate.in_region(tokens, used.region)?.checked_add(searches)
    }
}

impl Rate {
    fn in_region(&self, nanos: u64, region: Option<&str>) -> Option<u64> {
        match region {
            None | Some("global" | "not_available" | "") => Some(nanos),
            Some(region) => {
                nanos.checked_mul(*self.regions.get(region)?)?.checked_add(500)?.checked_div(1_000)
            }
        }
    }
}

impl TryFrom<RawRate> for Rate {
    type Error = RateError;

    fn try_from(raw: RawRate) -> Result<Self, RateError> {
        let region = |(name, factor): (String, String)| Ok((name, thousandths(&factor)?));

        Ok(Self {
            provider: raw.provider,
            models: raw.models,
            input: thousandths(&raw.input)?,
            output: thousandths(&raw.output)?,
            cache_write_5m: thousandths(&raw.cache_write_5m)?,
            cache_write_1h: thousandths(&raw.cache_write_1h)?,
            cache_read: thousandths(&raw.cache_read)?,
            regions: raw.regions.into_iter().map(region).collect::<Result<_, RateError>>()?,
        })
    }
}

/// `"6.25"` → 6250.
fn thousandths(text: &str) -> Result<u64, RateError> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || rest.len() > 3 || !digits(whole) || !digits(rest) {
        return Err(RateError::Price(text.to_owned()));
    }
    match format!("{whole}{rest:0<3}").parse() {
        Ok(price) => Ok(price),
        Err(_) => Err(RateError::Price(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn cost(model: &str, used: &Used<'_>) -> Option<u64> {
        RateCard::shipped().unwrap().cost_micro("anthropic", &[(model, *used)])
    }

    #[test]
    fn each_kind_has_its_price() {
        let million = 1_000_000;
        let sonnet = |used| cost("claude-sonnet-4-5", &used);
        for (used, dollars_in_cents) in [
            (Used { input: million, ..Used::default() }, 300),
            (Used { output: million, ..Used::default() }, 1500),
            (Used { cache_write: million, ..Used::default() }, 375),
            (Used { cache_write: million, cache_write_1h: million, ..Used::default() }, 600),
            (Used { cache_read: million, ..Used::default() }, 30),
            (Used { web_searches: 1000, ..Used::default() }, 1000),
        ] {
            assert_eq!(sonnet(used), Some(dollars_in_cents * 10_000), "{used:?}");
        }
    }

    #[test]
    fn a_small_call_is_not_lost_in_rounding() {
        let one = Used { cache_read: 1, ..Used::default() };
        assert_eq!(cost("claude-opus-4-8", &one), Some(1), "half a microdollar rounds up");
        assert_eq!(cost("claude-haiku-4-5", &one), Some(0), "a tenth does not");
        assert_eq!(
            cost("claude-haiku-4-5", &Used { input: 25, output: 15, ..Used::default() }),
            Some(100)
        );
    }

    #[test]
    fn what_is_not_known_is_unknown_and_never_zero() {
        let used = Used { input: 1, ..Used::default() };
        assert_eq!(cost("gpt-5", &used), None);
        assert_eq!(
            RateCard::shipped().unwrap().cost_micro("bedrock", &[("claude-opus-4-8", used)]),
            None
        );
        assert_eq!(cost("claude-opus-4-8", &Used { tier: Some("priority"), ..used }), None);
        assert_eq!(cost("claude-opus-4-8", &Used { region: Some("mars"), ..used }), None);
        assert_eq!(cost("claude-opus-4-8", &Used { input: u64::MAX, ..used }), None, "nonsense");
        let torn = Used { cache_write: 1, cache_write_1h: 2, ..Used::default() };
        assert_eq!(cost("claude-opus-4-8", &torn), None, "a part larger than the whole");
    }

    #[test]
    fn a_call_of_several_models_is_the_sum_at_each_one_s_price_rounded_once() {
        let card = RateCard::shipped().unwrap();
        let one = Used { input: 1, ..Used::default() };
        let read = Used { cache_read: 1, ..Used::default() };

        let both = [("claude-haiku-4-5", one), ("claude-opus-4-8", one)];
        assert_eq!(card.cost_micro("anthropic", &both), Some(6));
        let halves = [("claude-opus-4-8", read), ("claude-opus-4-8", read)];
        assert_eq!(card.cost_micro("anthropic", &halves), Some(1), "not one and one");
        let unknown = [("claude-haiku-4-5", one), ("claude-next", one)];
        assert_eq!(card.cost_micro("anthropic", &unknown), None, "half a price is none");
    }

    #[test]
    fn a_region_has_its_factor() {
        let used = Used { input: 1_000_000, region: Some("us"), ..Used::default() };
        assert_eq!(cost("claude-opus-4-8", &used), Some(5_500_000));
    }

    #[test]
    fn a_price_is_written_in_dollars() {
        for (text, thousandth) in [("3", 3000), ("6.25", 6250), ("0.08", 80), ("0.005", 5)] {
            assert_eq!(thousandths(text).unwrap(), thousandth);
        }
        for wrong in ["", ".5", "1.2345", "-1", "1e3", "3,75"] {
            assert!(thousandths(wrong).is_err(), "{wrong}");
        }
    }
}
