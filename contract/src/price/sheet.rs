//! A sheet of prices as people write it, and its faults.
//!
//! ```json
//! {
//!   "as_of": "2026-11-21",
//!   "source": "Order form 4711, signed 2026-10-01",
//!   "rates": [
//!     { "provider": "anthropic", "models": ["claude-opus-*"], "discount": "0.15" },
//!     { "provider": "bedrock", "models": ["claude-haiku-4-5"], "input": "1.10", "output": "5.50",
//!       "cache_write_5m": "1.375", "cache_write_1h": "2.20", "cache_read": "0.11" }
//!   ],
//!   "web_search": { "anthropic": "8" }
//! }
//! ```

use super::{Layer, Line, Price, Rates};
use crate::model;
use crate::policy::Fault;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Most lines of a sheet, and most names in a line: each call looks through them.
const MOST: usize = 256;

/// Highest price, in thousandths: beyond a million dollars it is a slip, and sums would overflow.
const HIGHEST: u64 = 1_000_000_000;

/// Prices of one day, from one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sheet {
    /// The day they were read or agreed, `2026-11-21`.
    pub as_of: String,
    /// Where they are from.
    pub source: String,
    /// Prices of tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<SheetLine>,
    /// Dollars for a thousand searches, by provider.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub web_search: BTreeMap<String, String>,
}

/// One line: five prices in dollars for a million tokens, or a discount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SheetLine {
    /// Whose prices they are.
    pub provider: String,
    /// Models, `*` for any run of characters.
    pub models: Vec<String>,
    /// Input outside any cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Written to a cache for five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_5m: Option<String>,
    /// Written to a cache for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<String>,
    /// Read from a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<String>,
    /// Factors of regions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub regions: BTreeMap<String, String>,
    /// What is taken off each list price: `0.15` leaves 85 of 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<String>,
}

/// Faults, as they are found.
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Fault { place: place.into(), problem: problem.into() });
    }

    /// The price in thousandths; zero and a fault if it is none.
    fn price(&mut self, place: impl Into<String>, text: &str) -> u64 {
        thousandths(text).filter(|price| *price <= HIGHEST).unwrap_or_else(|| {
            self.add(
                place,
                format!(
                    "{text:?} is no price: write dollars with at most three decimals, \"6.25\""
                ),
            );
            0
        })
    }
}

impl Sheet {
    /// The layer it makes. Only one that lies over another can have discounts.
    pub(super) fn checked(self, over: bool) -> Result<Layer, Vec<Fault>> {
        let mut faults = Faults(Vec::new());
        if !is_day(&self.as_of) {
            faults.add("as_of", format!("is {:?}: write a day, \"2026-11-21\"", self.as_of));
        }
        if self.source.trim().is_empty() {
            faults.add("source", "is empty: nobody could look it up");
        }
        if self.rates.is_empty() && self.web_search.is_empty() {
            faults.add("rates", "are empty, and there is no price of searches");
        }
        if self.rates.len() > MOST {
            faults.add("rates", format!("are more than {MOST} lines"));
        }
        let mut seen = BTreeSet::new();
        let lines = self
            .rates
            .into_iter()
            .enumerate()
            .map(|(index, line)| {
                line.checked(&format!("rates[{index}]"), over, &mut seen, &mut faults)
            })
            .collect();
        // A dollar for a thousand is a million nanodollars for one.
        let mut searches = BTreeMap::new();
        searches.extend(self.web_search.into_iter().map(|(provider, price)| {
            let price = faults.price(format!("web_search.{provider}"), &price);
            (provider, price.saturating_mul(1_000))
        }));

        if faults.0.is_empty() { Ok(Layer { lines, searches }) } else { Err(faults.0) }
    }
}

impl SheetLine {
    fn checked(
        self,
        place: &str,
        over: bool,
        seen: &mut BTreeSet<(String, String)>,
        faults: &mut Faults,
    ) -> Line {
        if self.provider.is_empty() {
            faults.add(format!("{place}.provider"), "is empty");
        }
        if self.models.is_empty() {
            faults.add(format!("{place}.models"), "are empty: the line prices nothing");
        }
        if self.models.len() > MOST {
            faults.add(format!("{place}.models"), format!("are more than {MOST}"));
        }
        let mut models = Vec::with_capacity(self.models.len());
        for (position, pattern) in self.models.iter().enumerate() {
            let place = format!("{place}.models[{position}]");
            match model::normalise_pattern(pattern) {
                Ok(normal) if !seen.insert((self.provider.clone(), normal.clone())) => {
                    faults.add(place, format!("{pattern:?} has a price already, as {normal:?}"));
                }
                Ok(normal) => models.push(normal),
                Err(error) => faults.add(place, format!("{pattern:?}: {error}")),
            }
        }
        let price = match &self.discount {
            Some(discount) => self.reduced(discount, place, over, faults),
            None => Price::Stated(self.stated(place, faults)),
        };

        Line { provider: self.provider, models, price }
    }

    fn stated(&self, place: &str, faults: &mut Faults) -> Rates {
        let [input, output, five_minutes, hour, cache_read] = self.prices().map(|(name, price)| {
            let place = format!("{place}.{name}");
            let Some(text) = price else {
                faults.add(place, "is missing: a line has all five prices, or a discount alone");
                return 0;
            };
            faults.price(place, text)
        });
        let mut regions = BTreeMap::new();
        regions.extend(self.regions.iter().map(|(name, factor)| {
            (name.clone(), faults.price(format!("{place}.regions.{name}"), factor))
        }));

        Rates {
            input,
            output,
            cache_write_5m: five_minutes,
            cache_write_1h: hour,
            cache_read,
            regions,
        }
    }

    fn reduced(&self, discount: &str, place: &str, over: bool, faults: &mut Faults) -> Price {
        let place_of = |name: &str| format!("{place}.{name}");
        for (name, _price) in self.prices().iter().filter(|(_, price)| price.is_some()) {
            faults.add(place_of(name), "stands beside a discount: it is one or the other");
        }
        if !self.regions.is_empty() {
            faults.add(place_of("regions"), "stand beside a discount: the list's factors count");
        }
        if !over {
            faults.add(place_of("discount"), "has no price below it: this is the list");
        }
        let off =
            thousandths(discount).filter(|off| (1..1_000).contains(off)).unwrap_or_else(|| {
                faults.add(
                    place_of("discount"),
                    format!(
                        "{discount:?} is no discount: write what is taken off, \"0.15\" for 15 %"
                    ),
                );
                0
            });

        Price::Reduced(1_000_u64.saturating_sub(off))
    }

    fn prices(&self) -> [(&'static str, Option<&String>); 5] {
        [
            ("input", self.input.as_ref()),
            ("output", self.output.as_ref()),
            ("cache_write_5m", self.cache_write_5m.as_ref()),
            ("cache_write_1h", self.cache_write_1h.as_ref()),
            ("cache_read", self.cache_read.as_ref()),
        ]
    }
}

/// `2026-11-21`, as far as its form goes.
fn is_day(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// `"6.25"` → 6250.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || rest.len() > 3 || !digits(whole) || !digits(rest) {
        return None;
    }

    format!("{whole}{rest:0<3}").parse().ok()
}

/// A thousandth of it, rounded half up.
pub(super) fn thousand(number: u64) -> Option<u64> {
    number.checked_add(500)?.checked_div(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_price_is_written_in_dollars() {
        for (text, thousandth) in [("3", 3000), ("6.25", 6250), ("0.08", 80), ("0.005", 5)] {
            assert_eq!(thousandths(text), Some(thousandth));
        }
        for wrong in ["", ".5", "1.2345", "-1", "1e3", "3,75", "99999999999999999999"] {
            assert_eq!(thousandths(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        let sheet: Sheet = serde_json::from_str(
            r#"{"as_of": "yesterday", "source": " ", "rates": [
              {"provider": "", "models": []},
              {"provider": "a", "models": ["x y", "m", "M-20250929"], "input": "1", "output": "one",
               "cache_write_5m": "1", "cache_write_1h": "1", "cache_read": "1",
               "regions": {"us": "1.1.1"}},
              {"provider": "a", "models": ["n"], "input": "1", "discount": "1"}],
              "web_search": {"a": "-1"}}"#,
        )
        .unwrap();

        let faults = sheet.checked(true).unwrap_err();

        let places: Vec<_> = faults.iter().map(|fault| fault.place.as_str()).collect();
        assert_eq!(
            places,
            [
                "as_of",
                "source",
                "rates[0].provider",
                "rates[0].models",
                "rates[0].input",
                "rates[0].output",
                "rates[0].cache_write_5m",
                "rates[0].cache_write_1h",
                "rates[0].cache_read",
                "rates[1].models[0]",
                "rates[1].models[2]",
                "rates[1].output",
                "rates[1].regions.us",
                "rates[2].input",
                "rates[2].discount",
                "web_search.a",
            ]
        );
    }

    #[test]
    fn the_list_itself_has_no_discounts() {
        let line = SheetLine {
            provider: "a".into(),
            models: vec!["m".into()],
            discount: Some("0.1".into()),
            ..SheetLine::default()
        };
        let sheet = |rates| Sheet {
            as_of: "2026-11-21".into(),
            source: "s".into(),
            rates,
            web_search: BTreeMap::new(),
        };

        assert!(sheet(vec![line.clone()]).checked(true).is_ok());
        assert!(sheet(vec![line]).checked(false).is_err(), "there is nothing below it");
        assert!(sheet(Vec::new()).checked(true).is_err(), "a sheet that says nothing is a slip");
    }
}
