//! What the policy's rules found in a call.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Something that a rule of the policy found. Never its text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Finding<'a> {
    /// The rule.
    pub rule_id: Cow<'a, str>,
    /// What was done: `deny`, `flag`; of tools the policy's word, `ask`, `approve`, `blocked`.
    pub action: Cow<'a, str>,
    /// What was found: a pattern's id, or the number of a blocklist's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<Cow<'a, str>>,
    /// Where in the body, such as `messages[3].content[0].text` or `tools[2]`.
    pub place: Cow<'a, str>,
    /// How bad it is, by the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Cow<'a, str>>,
    /// The first 16 hex digits of the SHA-256 of what was found: the same thing is known again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Cow<'a, str>>,
}
