//! Names for what calls cost.

use crate::headers::ABSENT;
use serde::Deserialize;

/// The class of a call without a price.
pub const UNKNOWN: &str = "unknown";

/// Most classes.
const MOST: usize = 16;

/// Longest name: it travels in a header.
const LONGEST: usize = 32;

/// A class, as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Dollars, as decimal text, that calls in it stay below; absent for the last.
    #[serde(default)]
    pub below: Option<String>,
}

/// Classes without faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// With the microdollars that calls in it stay below, rising.
    below: Vec<(String, u64)>,
    last: String,
}

impl Classes {
    /// Checks a list.
    ///
    /// # Errors
    /// Every fault at once, each with its place in the list.
    pub fn check(given: Vec<Class>) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let count = given.len();
        if !(2..=MOST).contains(&count) {
            faults.push(format!(": are {count}: name 2 to {MOST}, the last without `below`"));
        }
        let (mut below, mut last) = (Vec::<(String, u64)>::new(), String::new());
        for (index, Class { name, below: limit }) in given.into_iter().enumerate() {
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if name.is_empty() || name.len() > LONGEST || !name.bytes().all(plain) {
                let problem = format!("must be up to {LONGEST} of lower case, digits and -");
                faults.push(format!("[{index}].name: {name:?} {problem}"));
            } else if name == UNKNOWN
                || name == ABSENT
                || below.iter().any(|(used, _)| *used == name)
            {
                faults.push(format!("[{index}].name: {name:?} means something else already"));
            }
            let ends = index.saturating_add(1) == count;
            match (limit, ends) {
                (None, true) => last = name,
                (Some(_), true) => {
                    faults.push(format!("[{index}].below: the last one has none: dearer calls are there"));
                }
                (None, false) => {
                    faults.push(format!("[{index}].below: is missing: only the last one has none"));
                }
                (Some(text), false) => match micros(&text) {
                    None => faults.push(format!(
                        "[{index}].below: {text:?} is no price: write dollars with at most six decimals, \"0.01\""
                    )),
                    Some(limit) if below.last().is_some_and(|(_, before)| *before >= limit) => {
                        faults.push(format!("[{index}].below: {text:?} is not more than the one before"));
                    }
                    Some(limit) => below.push((name, limit)),
                },
            }
        }

        if faults.is_empty() { Ok(Self { below, last }) } else { Err(faults) }
    }

    /// The class of a call that costs so many microdollars.
    pub fn of(&self, cost_micro: Option<u64>) -> &str {
        let Some(cost) = cost_micro else { return UNKNOWN };

        self.below.iter().find(|(_, below)| cost < *below).map_or(&self.last, |(name, _)| name)
    }
}

/// `"0.01"` → 10,000.
fn micros(text: &str) -> Option<u64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || rest.len() > 6 || !digits(whole) || !digits(rest) {
        return None;
    }

    format!("{whole}{rest:0<6}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn check(list: &str) -> Result<Classes, Vec<String>> {
        Classes::check(serde_json::from_str(list).unwrap())
    }

    #[test]
    fn a_call_is_in_the_first_class_that_it_stays_below() {
        let list = r#"[{"name":"small","below":"0.01"},{"name":"medium","below":"0.25"},{"name":"large"}]"#;
        let classes = check(list).unwrap();

        let of = |micros| classes.of(micros);
        assert_eq!([of(Some(0)), of(Some(9_999)), of(Some(10_000))], ["small", "small", "medium"]);
        assert_eq!([of(Some(249_999)), of(Some(250_000))], ["medium", "large"]);
        assert_eq!([of(Some(u64::MAX)), of(None)], ["large", "unknown"]);
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        let list = r#"[{"name":"Small","below":"0,01"},{"name":"unknown","below":"1"},{"name":"a","below":"1"},
            {"name":"b"},{"name":"c","below":"2"}]"#;
        let places = |list: &str| -> Vec<String> {
            let faults = check(list).unwrap_err();
            faults.iter().map(|fault| fault.split(": ").next().unwrap().to_owned()).collect()
        };

        assert_eq!(
            places(list),
            ["[0].name", "[0].below", "[1].name", "[2].below", "[3].below", "[4].below"]
        );
        assert_eq!(places(r#"[{"name":"all"}]"#), [""]);
        assert_eq!(places("[]"), [""]);
    }
}
