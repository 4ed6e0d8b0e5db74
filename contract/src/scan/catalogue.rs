//! The shipped patterns: dated data.

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// The shipped patterns, by the day they were read off their sources.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The day.
    pub as_of: String,
    /// Where they were read.
    pub source: String,
    /// The patterns. Where two find the same place, the first gives the name.
    pub patterns: Vec<Pattern>,
}

/// How bad it is that something was found.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look some day.
    Low,
    /// Worth a look; of a secret, that one thing can be done with it, such as posting to one channel.
    #[default]
    Medium,
    /// Worth a look today; of a secret, that one service's data is open.
    High,
    /// Worth waking somebody; of a secret, that an account, a supply chain or a machine is open.
    Critical,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What a pattern may be used for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// A maker's own form: precise enough to refuse a call for.
    #[default]
    Any,
    /// What looks like a secret in general: only to mask what is stored.
    Mask,
}

/// What one kind of secret looks like.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Its name, once in the catalogue.
    pub id: String,
    /// Who gives such secrets out.
    pub provider: String,
    /// How bad a find is.
    pub severity: Severity,
    /// What it may be used for.
    #[serde(default, rename = "use")]
    pub purpose: Use,
    /// Literals, one of which stands in every match.
    pub anchors: Vec<String>,
    /// Do anchors and expression disregard the case of ASCII letters?
    #[serde(default)]
    pub fold: bool,
    /// Most bytes a match has before its anchor.
    #[serde(default)]
    pub before: usize,
    /// Most bytes that are looked at from the anchor on.
    pub after: Option<usize>,
    /// The expression, in the syntax of the crate `regex-lite`.
    pub regex: String,
    /// Least entropy of what is found, in bits per byte.
    pub entropy: Option<f64>,
    /// A looser form that is good enough for masking.
    pub mask: Option<Loose>,
    /// What stands in the place of a masked secret, if it is not the id.
    pub label: Option<String>,
    /// The documented form, for people and for the tests: `<36 alnum>` are 36 letters and digits.
    pub form: Vec<String>,
}

/// A looser form of a [`Pattern`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loose {
    /// Literals, one of which stands in every match.
    pub anchors: Vec<String>,
    /// The expression.
    pub regex: String,
    /// Most bytes that are looked at from the anchor on.
    pub after: Option<usize>,
}

static SHIPPED: LazyLock<Catalogue> = LazyLock::new(|| {
    // A test reads it, so that it never is an empty list.
    serde_json::from_slice(include_bytes!("../../data/secrets.json")).unwrap_or_default()
});

/// The catalogue of this build.
pub fn catalogue() -> &'static Catalogue {
    &SHIPPED
}

impl Catalogue {
    /// The pattern of that id.
    pub fn get(&self, id: &str) -> Option<&Pattern> {
        self.patterns.iter().find(|pattern| pattern.id == id)
    }

    /// The patterns that may deny.
    pub fn precise(&self) -> impl Iterator<Item = &Pattern> {
        self.patterns.iter().filter(|pattern| pattern.purpose == Use::Any)
    }
}
