//! One row of the table of differences between the providers of chat completions: `contract/data/openai.json`.

use super::json::{Object, objects};
use crate::lane::family::Terms;

/// How one provider's chat completions differ from another's.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub path_versioned: Option<String>,
    /// The name of the bound on the answer: `max_completion_tokens` or the older `max_tokens`.
    pub limit: String,
    /// Is `stream_options.include_usage` understood? Without it a stream has no usage.
    pub include_usage: bool,
    /// What `reasoning_effort` may be, weakest first; empty where it is not understood.
    pub efforts: Vec<String>,
    /// The member of an assistant's message that takes its earlier thinking back, if one does.
    pub thinking: Option<String>,
    /// Does it fetch images by URL?
    pub image_urls: bool,
    /// Does it read PDF (a part of type `file`)?
    pub documents: bool,
    /// Is `tool_choice` understood?
    pub tool_choice: bool,
    /// Is `parallel_tool_calls` understood?
    pub parallel_tool_calls: bool,
    /// Is `strict` of a function and of a schema understood?
    pub strict: bool,
    /// Is `top_k` understood?
    pub top_k: bool,
    /// How many stop sequences it takes; any number where it is not said.
    pub stops: Option<usize>,
    /// Longest name of a tool, bytes; any length where it is not said.
    pub longest_tool_name: Option<usize>,
    /// The role that instructions have: `developer` or `system`.
    pub system_role: String,
    /// Members, as an object, for the first call in an assistant's message that it wants there and that no client
    /// has: Gemini 3 refuses calls without its signature, and takes this word for one it did not write.
    pub call_extra: Option<String>,
}

impl Provider {
    /// The row with this id; `None` if the table has none.
    pub fn shipped(id: &str) -> Option<Self> {
        let rows = shipped();
        let row = rows.iter().find(|row| row.word("id") == id);

        row.map(Self::read)
    }

    /// What a lane's configuration lacks or has too much, in words for who wrote it.
    pub fn faults(&self, lane: &Terms) -> Vec<String> {
        let id = &self.id;
        let mut faults = Vec::new();
        if lane.models.is_empty() {
            faults.push(format!("models: {id} has no names of its own for the client's models"));
        }
        for (name, theirs) in &lane.models {
            if name != "*" && contract::model::normalise(name).ok().as_deref() != Some(name) {
                faults.push(format!("models.{name}: names are compared without date and prefix"));
            }
            if theirs.is_empty() || !theirs.bytes().all(|byte| byte.is_ascii_graphic()) {
                faults.push(format!("models.{name}: the provider's name is empty or odd"));
            }
        }
        for name in lane.params.keys().filter(|name| !PARAMS.contains(&name.as_str())) {
            faults.push(format!("params.{name}: {id} has {}", PARAMS.join(", ")));
        }

        faults
    }

    fn read(row: &Object<'_>) -> Self {
        let text = |name| row.word(name).to_owned();
        let some = |name| Some(text(name)).filter(|text| !text.is_empty());
        let number = |name| row.number(name).and_then(|number| number.try_into().ok());
        let efforts = row.word("efforts");

        Self {
            id: text("id"),
            path: text("path"),
            path_versioned: some("path_versioned"),
            limit: text("limit"),
            include_usage: row.is_true("include_usage"),
            efforts: efforts.split_ascii_whitespace().map(str::to_owned).collect(),
            thinking: some("thinking"),
            image_urls: row.is_true("image_urls"),
            documents: row.is_true("documents"),
            tool_choice: row.is_true("tool_choice"),
            parallel_tool_calls: row.is_true("parallel_tool_calls"),
            strict: row.is_true("strict"),
            top_k: row.is_true("top_k"),
            stops: number("stops"),
            longest_tool_name: number("longest_tool_name"),
            system_role: text("system_role"),
            call_extra: row.get("call_extra").map(str::to_owned),
        }
    }
}

/// The ids of all rows.
pub fn names() -> impl Iterator<Item = String> {
    shipped().into_iter().map(|row| row.word("id").to_owned())
}

/// The table's rows.
pub(super) fn shipped() -> Vec<Object<'static>> {
    let text = include_str!("../../../../contract/data/openai.json");

    Object::read(text).and_then(|file| file.get("providers").and_then(objects)).unwrap_or_default()
}

/// What an operator may say of a lane to such a provider, beside its models: `base_path`, what stands before the
/// provider's own path; `api_version`, the date of Azure's API, with which calls go to the deployment's path;
/// `reasoning_effort`, `off` for models that refuse it; `sampling`, `off` for models that refuse `temperature`,
/// `top_p` and `top_k`.
pub const PARAMS: [&str; 4] = ["api_version", "base_path", "reasoning_effort", "sampling"];

impl Terms {
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
