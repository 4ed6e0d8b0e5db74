//! One row of the table of differences between the providers of chat completions: `contract/data/openai.json`.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// How one provider's chat completions differ from another's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing that a provider understands or not"
)]
pub struct Provider {
    /// What a lane names it by.
    pub id: String,
    /// The path: `{base}` is the lane's `base_path`, `{model}` the provider's name for the model.
    pub path: String,
    /// The path where the lane has an `api_version`, which is `{api_version}` there.
    #[serde(default)]
    pub path_versioned: Option<String>,
    /// The name of the bound on the answer: `max_completion_tokens` or the older `max_tokens`.
    pub limit: String,
    /// Is `stream_options.include_usage` understood? Without it a stream has no usage.
    #[serde(default)]
    pub include_usage: bool,
    /// What `reasoning_effort` may be, weakest first; empty where it is not understood.
    #[serde(default)]
    pub efforts: Vec<String>,
    /// The member of an assistant's message that takes its earlier thinking back, if one does.
    #[serde(default)]
    pub thinking: Option<String>,
    /// Does it fetch images by URL?
    #[serde(default)]
    pub image_urls: bool,
    /// Does it read PDF (a part of type `file`)?
    #[serde(default)]
    pub documents: bool,
    /// Is `tool_choice` understood?
    #[serde(default)]
    pub tool_choice: bool,
    /// Is `parallel_tool_calls` understood?
    #[serde(default)]
    pub parallel_tool_calls: bool,
    /// Is `strict` of a function and of a schema understood?
    #[serde(default)]
    pub strict: bool,
    /// Is `top_k` understood?
    #[serde(default)]
    pub top_k: bool,
    /// How many stop sequences it takes; any number where it is not said.
    #[serde(default)]
    pub stops: Option<usize>,
    /// Longest name of a tool, bytes; any length where it is not said.
    #[serde(default)]
    pub longest_tool_name: Option<usize>,
    /// The role that instructions have: `developer` or `system`.
    pub system_role: String,
    /// Members, as an object, for the first call in an assistant's message that it wants there and that no client
    /// has: Gemini 3 refuses calls without its signature, and takes this word for one it did not write.
    #[serde(default)]
    pub call_extra: Option<Box<RawValue>>,
}

impl Provider {
    /// The row with this id; `None` if the table has none.
    pub fn shipped(id: &str) -> Option<Self> {
        shipped().into_iter().find(|row| row.id == id)
    }
}

/// The table.
pub(super) fn shipped() -> Vec<Provider> {
    #[derive(Deserialize)]
    struct File {
        providers: Vec<Provider>,
    }
    let text = include_str!("../../../../contract/data/openai.json");

    serde_json::from_str(text).map_or_else(|_| Vec::new(), |file: File| file.providers)
}

/// What an operator says of one lane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Lane {
    /// The client's model, normalised ([`contract::model::normalise`]) → the provider's name for what shall answer.
    /// `*` stands for every model that is not named.
    pub models: BTreeMap<String, String>,
    /// `base_path`: what stands before the provider's own path. `api_version`: the date of Azure's API; with it calls
    /// go to the deployment's path. `reasoning_effort`: `off` for models that refuse it. `sampling`: `off` for models
    /// that refuse `temperature`, `top_p` and `top_k`.
    pub params: BTreeMap<String, String>,
}

impl Lane {
    /// The provider's name for a model of the client.
    pub(super) fn model(&self, asked: &str) -> Option<&str> {
        let normal = contract::model::normalise(asked).ok()?;

        self.models.get(normal.as_ref()).or_else(|| self.models.get("*")).map(String::as_str)
    }

    pub(super) fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// The path for a model.
    pub(super) fn path(&self, provider: &Provider, model: &str) -> String {
        let version = self.param("api_version");
        let template = match &provider.path_versioned {
            Some(versioned) if !version.is_empty() => versioned,
            _ => &provider.path,
        };

        template
            .replace("{base}", self.param("base_path").trim_end_matches('/'))
            .replace("{api_version}", &encoded(version))
            .replace("{model}", &encoded(model))
    }
}

/// Percent-encoded for one segment of a path (RFC 3986, §2.3).
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                out.push(digit.to_ascii_uppercase());
            }
        }
    }

    out
}
