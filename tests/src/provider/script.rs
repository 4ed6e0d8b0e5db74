//! What the provider shall do with one call. It travels in the body's `metadata.user_id`, which
//! passes the gate unchanged: headers would not arrive. Providers of other dialects are not told who
//! asks; for them it stands at the beginning of the first text that a user says.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What `metadata.user_id` begins with when a script follows.
pub const MARK: &str = "e2e:";

/// Where the provider stops being a good one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nowhere.
    #[default]
    None,
    /// Breaks off before its headers.
    ResetBeforeHeaders,
    /// Never answers.
    SilentBeforeHeaders,
    /// Breaks off after this many pieces of the body.
    ResetAfter(usize),
    /// Says nothing more after this many pieces of the body.
    SilentAfter(usize),
    /// Says nothing more after this many pieces, and breaks off after so many milliseconds of it.
    ResetAfterSilence(usize, u64),
    /// Ends the stream in good order after this many pieces: too early.
    EndAfter(usize),
}

/// What it says it used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// `input_tokens`.
    pub input: u64,
    /// `output_tokens`.
    pub output: u64,
    /// `cache_creation.ephemeral_5m_input_tokens`.
    pub write_5m: u64,
    /// `cache_creation.ephemeral_1h_input_tokens`.
    pub write_1h: u64,
    /// `cache_read_input_tokens`.
    pub read: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self { input: 25, output: 15, write_5m: 0, write_1h: 0, read: 0 }
    }
}

/// One call's instructions.
#[allow(clippy::struct_excessive_bools, reason = "each is one thing a provider may do")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Script {
    /// What the test knows the call by.
    pub id: String,
    /// The status to answer with; 0 for 200.
    pub status: u16,
    /// Where it goes wrong.
    pub fault: Fault,
    /// How many of the first attempts break off before headers.
    pub fail_first: u32,
    /// Cut the body into pieces of this many bytes; 0: one piece for each event.
    pub cut: usize,
    /// Wait between pieces, milliseconds.
    pub pause: u64,
    /// End lines of a stream with CR LF.
    pub crlf: bool,
    /// Put comments, pings and unknown events into a stream.
    pub noise: bool,
    /// How many `message_delta` events come; at least one.
    pub deltas: u32,
    /// How many words the answer has; 0 for three.
    pub words: usize,
    /// Compress the answer although nobody asked.
    pub gzip: bool,
    /// End the answer with trailers.
    pub trailers: bool,
    /// Send an SSE `error` event in the middle, after a 200.
    pub error_event: bool,
    /// Tools that the answer calls behind its words.
    pub tools: Vec<Tool>,
    /// What it says it used.
    pub usage: Usage,
    /// `retry-after` of a 429 or 529; 0 for 17.
    pub retry_after: u32,
    /// What single providers do otherwise, by their names.
    pub elsewhere: BTreeMap<String, Script>,
}

/// A tool that an answer calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// The block's id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments, JSON as text.
    pub input: String,
}

impl Tool {
    /// A call of a tool.
    pub fn new(id: &str, name: &str, input: &str) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), input: input.to_owned() }
    }
}

impl Script {
    /// A good answer, known by a new id.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = format!("{:x}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));

        Self { id, deltas: 1, ..Self::default() }
    }

    /// The script in a body's `metadata.user_id`; where that does not arrive, at the beginning of the first text
    /// that a user says.
    pub fn find(body: &[u8]) -> Option<Self> {
        // Only what is looked at is read: a body may hold numbers that no number here can.
        #[derive(Deserialize)]
        struct Body {
            metadata: Option<Metadata>,
            messages: Option<Vec<Message>>,
        }
        #[derive(Deserialize)]
        struct Metadata {
            user_id: Option<String>,
        }
        #[derive(Deserialize)]
        struct Message {
            role: String,
            content: Option<Content>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Content {
            Text(String),
            Parts(Vec<Part>),
            Other(IgnoredAny),
        }
        #[derive(Deserialize)]
        struct Part {
            text: Option<String>,
        }
        let body: Body = serde_json::from_slice(body).ok()?;
        if let Some(user_id) = body.metadata.and_then(|metadata| metadata.user_id) {
            return serde_json::from_str(user_id.strip_prefix(MARK)?).ok();
        }
        let first = body.messages?.into_iter().find(|message| message.role == "user")?;
        let text = match first.content? {
            Content::Text(text) => text,
            Content::Parts(parts) => parts.into_iter().find_map(|part| part.text)?,
            Content::Other(_) => return None,
        };
        // What is asked may stand behind it.
        serde_json::Deserializer::from_str(text.strip_prefix(MARK)?).into_iter().next()?.ok()
    }

    /// As it stands in `metadata.user_id`, or at the beginning of the first user's text.
    pub fn user_id(&self) -> String {
        format!("{MARK}{}", serde_json::to_string(self).unwrap())
    }

    /// With this status.
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// With another script at this provider.
    pub fn where_at(mut self, provider: &str, script: Self) -> Self {
        self.elsewhere.insert(provider.to_owned(), script);
        self
    }

    /// As this provider has to follow it.
    pub fn at(&self, provider: &str) -> Self {
        match self.elsewhere.get(provider) {
            Some(other) => Self { id: self.id.clone(), ..other.clone() },
            None => self.clone(),
        }
    }

    /// With this fault.
    pub fn fault(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    /// With this usage.
    pub fn usage(self, usage: Usage) -> Self {
        Self { usage, ..self }
    }
}
