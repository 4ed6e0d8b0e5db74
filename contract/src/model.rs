//! One name for one model.
//!
//! Clients, clouds and price lists write the same model in many ways. Every comparison (allow-list,
//! price, route) is made after the one normalisation [`normalise`] states: lower case; a provider's
//! region and vendor prefix gone (`us.anthropic.`); a context suffix gone (`[1m]`); Amazon's version
//! suffix gone from Amazon's names (`-v1:0`); a release gone (`-20250929`, `@20250929`, `@latest`).
//!
//! Names that only look alike are refused, not folded: a model name is printable ASCII.

use std::borrow::Cow;
use thiserror::Error;

/// Longest name accepted, in bytes; real ones have under 80 and an ARN under 200.
pub const LONGEST: usize = 256;

/// Why a model's name was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing is left of it.
    #[error("the model's name is empty")]
    Empty,
    /// Longer than [`LONGEST`].
    #[error("the model's name is longer than {LONGEST} bytes")]
    TooLong,
    /// A pattern that begins with what names never begin with once they are compared.
    #[error("names are compared without region and vendor: leave the prefix out")]
    Prefix,
    /// A pattern that ends with what names do not have any more once they are compared.
    #[error("names are compared without date, version and context: leave the ending out")]
    Ending,
    /// Something other than the letters, digits and signs that model names are made of.
    #[error("the model's name has a character that model names do not have")]
    Character,
}

const REGIONS: [&str; 8] = ["us.", "eu.", "global.", "apac.", "jp.", "au.", "us-gov.", "ca."];
const VENDORS: [&str; 2] = ["anthropic.", "anthropic/"];

/// The name a model is compared by.
///
/// # Errors
/// [`NameError`] for a name that is no model name at all.
pub fn normalise(name: &str) -> Result<Cow<'_, str>, NameError> {
    if name.len() > LONGEST {
        return Err(NameError::TooLong);
    }
    if !name.bytes().all(allowed) {
        return Err(NameError::Character);
    }

    let lower = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    };

    match lower {
        Cow::Borrowed(text) => Ok(Cow::Borrowed(non_empty(core(text))?)),
        Cow::Owned(text) => Ok(Cow::Owned(non_empty(core(&text))?.to_owned())),
    }
}

fn non_empty(name: &str) -> Result<&str, NameError> {
    if name.is_empty() { Err(NameError::Empty) } else { Ok(name) }
}

fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.:@/[]".contains(&byte)
}

/// What is left when everything is gone that does not tell models apart.
fn core(name: &str) -> &str {
    let local = REGIONS.iter().find_map(|region| name.strip_prefix(region)).unwrap_or(name);
    let vendors = VENDORS.iter().find_map(|vendor| local.strip_prefix(vendor));
    let rest = vendors.unwrap_or(local);
    let rest = rest.strip_suffix("[1m]").unwrap_or(rest);
    // Only there is `-v1` no part of the name: `some-model-v2` and `-v3` are two models.
    let rest = if vendors.is_some() { without_cloud_version(rest) } else { rest };

    without_release(rest)
}

/// `claude-x-v1:0` and `claude-x-v1` → `claude-x` (Amazon's suffix).
fn without_cloud_version(name: &str) -> &str {
    let stem = match name.rsplit_once(':') {
        Some((stem, number)) if digits(number) => stem,
        _ => name,
    };
    match stem.rsplit_once("-v") {
        Some((before, number)) if digits(number) => before,
        _ => name,
    }
}

/// `claude-x-20250929`, `claude-x@20250929` and `claude-x@default` → `claude-x`. What stands behind
/// the `@` and is neither a date nor a word for "whichever" stays, and matches nothing by accident.
fn without_release(name: &str) -> &str {
    let date = |text: &str| text.len() == 8 && digits(text);
    match name.rsplit_once('@') {
        Some((before, release)) if date(release) || ["default", "latest"].contains(&release) => {
            before
        }
        Some(_) => name,
        None => match name.rsplit_once('-') {
            Some((before, release)) if date(release) => before,
            _ => name,
        },
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Does a normalised name match a pattern? `*` stands for any run of characters, all else for
/// itself. Patterns are normalised by [`normalise_pattern`] first.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return false };
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            match rest.find(middle) {
                Some(at) => rest = rest.get(at.saturating_add(middle.len())..).unwrap_or(""),
                None => return false,
            }
        }
    }

    last.map_or(rest.is_empty(), |tail| rest.ends_with(tail))
}

/// A pattern in the form names are compared in: as [`normalise`], with `*` let through.
///
/// # Errors
/// As [`normalise`].
pub fn normalise_pattern(pattern: &str) -> Result<String, NameError> {
    if pattern.contains('*') {
        if pattern.len() > LONGEST {
            return Err(NameError::TooLong);
        }
        if !pattern.bytes().all(|byte| byte == b'*' || allowed(byte)) {
            return Err(NameError::Character);
        }
        let lower = pattern.to_ascii_lowercase();
        if REGIONS.iter().chain(&VENDORS).any(|prefix| lower.starts_with(prefix)) {
            return Err(NameError::Prefix);
        }
        let tail = lower.rsplit('*').next().unwrap_or_default();
        let ends = tail.ends_with("[1m]") || without_release(tail) != tail;
        if ends || without_cloud_version(tail) != tail && tail.contains(':') {
            return Err(NameError::Ending);
        }
        return Ok(lower);
    }

    normalise(pattern).map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_many_names_of_one_model_are_one() {
        for name in [
            "claude-sonnet-4-5",
            "Claude-Sonnet-4-5",
            "claude-sonnet-4-5[1m]",
            "claude-sonnet-4-5-20250929",
            "claude-sonnet-4-5@20250929",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "anthropic/claude-sonnet-4-5",
        ] {
            assert_eq!(normalise(name).unwrap(), "claude-sonnet-4-5", "{name}");
        }
    }

    #[test]
    fn different_models_stay_different() {
        for name in [
            "claude-opus-4-8",
            "gpt-5.2",
            "llama-3.3-70b",
            "deepseek-v2",
            "deepseek-v3",
            "claude-haiku-4-5@evil",
            "model:7",
        ] {
            assert_eq!(normalise(name).unwrap(), name);
        }
    }

    #[test]
    fn look_alikes_and_nonsense_are_refused() {
        assert_eq!(normalise("clаude-sonnet-4-5"), Err(NameError::Character), "a Cyrillic letter");
        assert_eq!(normalise("claude sonnet"), Err(NameError::Character));
        assert_eq!(normalise("claude-x\u{200b}"), Err(NameError::Character));
        assert_eq!(normalise(""), Err(NameError::Empty));
        assert_eq!(normalise("[1m]"), Err(NameError::Empty));
        assert_eq!(normalise(&"a".repeat(257)), Err(NameError::TooLong));
    }

    #[test]
    fn a_pattern_that_could_never_match_is_refused() {
        assert_eq!(normalise_pattern("us.anthropic.claude-*"), Err(NameError::Prefix));
        assert_eq!(normalise_pattern("Claude-Opus-*").unwrap(), "claude-opus-*");
    }

    #[test]
    fn patterns_match_whole_names() {
        assert!(matches("claude-sonnet-*", "claude-sonnet-4-5"));
        assert!(matches("*", "anything"));
        assert!(matches("*opus*", "claude-opus-4-8"));
        assert!(matches("claude-haiku-4-5", "claude-haiku-4-5"));
        assert!(!matches("claude-haiku-4-5", "claude-haiku-4-5-evil"));
        assert!(!matches("claude-sonnet-*", "evil-claude-sonnet-4"));
        assert!(!matches("a*bc*c", "abc"), "the last part needs text of its own");
        assert!(!matches("", "x"));
    }

    proptest! {
        #[test]
        fn a_release_date_makes_no_other_model(name in "[a-z]{1,6}(-[a-z]{1,7}){0,3}", day in 1u32..29) {
            let dated = format!("{name}-202509{day:02}");
            let cloud = format!("eu.anthropic.{name}-202509{day:02}-v1:0");

            prop_assert_eq!(normalise(&dated).unwrap(), name.as_str());
            prop_assert_eq!(normalise(&cloud).unwrap(), name.as_str());
        }

        #[test]
        fn no_input_panics(name in "\\PC{0,300}", pattern in "[a-z*\\-]{0,20}") {
            let _result = normalise(&name);
            let _matched = matches(&pattern, &name);
        }
    }
}
