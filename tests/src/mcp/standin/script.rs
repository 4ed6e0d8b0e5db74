//! What the stand-in shall do with one request. It travels in the request, in `params._meta` under [`META`] or among a
//! tool's arguments under [`ARGUMENT`], so that tests do not meet each other.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};

/// The member of `params._meta` that holds a script.
pub const META: &str = "e2e.tollgate/script";

/// The member of `params.arguments` that holds a script.
pub const ARGUMENT: &str = "e2e_script";

/// What of a raw body is replaced by the request's id, as JSON.
pub const ID: &str = "$ID";

/// Where the stand-in stops being a good one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nowhere.
    #[default]
    None,
    /// Never answers.
    Hang,
    /// Breaks off before its headers.
    Reset,
    /// Breaks off after so many bytes of the body.
    ResetAfter(usize),
    /// Says nothing more after so many bytes of the body.
    SilentAfter(usize),
    /// Ends the body in good order after so many bytes: too early.
    EndAfter(usize),
}

/// How events of a stream are written.
#[expect(clippy::struct_excessive_bools, reason = "each is one thing a server may do")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Style {
    /// What ends lines; empty is LF. `\r\n` and `\r` are allowed too.
    pub ends: String,
    /// JSON stands in several `data:` lines.
    pub lines: bool,
    /// Comments, pings and unknown fields stand between the events.
    pub noise: bool,
    /// Events have ids, and can be asked for again (`Last-Event-ID`).
    pub ids: bool,
    /// No blank behind the colon.
    pub tight: bool,
    /// A byte order mark stands before the first event.
    pub mark: bool,
    /// No `event:` line.
    pub nameless: bool,
    /// The last event has no empty line behind it.
    pub unfinished: bool,
}

/// One request's instructions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Script {
    /// What the test knows the request by.
    pub id: String,
    /// The status to answer with; 0 for 200.
    pub status: u16,
    /// Answer with a stream, or with JSON; as the era's servers do where it is not said.
    pub sse: Option<bool>,
    /// How a stream is written.
    pub style: Style,
    /// Cut the body into pieces of this many bytes; 0: one piece.
    pub cut: usize,
    /// Wait between pieces, milliseconds.
    pub pause: u64,
    /// Wait before the answer, milliseconds.
    pub delay: u64,
    /// Where it goes wrong.
    pub fault: Fault,
    /// The content type, whatever is in the body; empty leaves the header out.
    pub content_type: Option<String>,
    /// More headers of the answer.
    pub headers: Vec<(String, String)>,
    /// Compress the answer although nobody asked.
    pub gzip: bool,
    /// The whole body, instead of any other; [`ID`] in it is the request's id.
    pub raw: Option<String>,
    /// The result, instead of the method's own.
    pub result: Option<Value>,
    /// An error, instead of a result.
    pub error: Option<Value>,
    /// The id of the answer, instead of the request's.
    pub answer_id: Option<Value>,
    /// Messages that come before the answer; [`ID`] as a string in them is the request's id.
    pub before: Vec<Value>,
    /// Messages that come behind the answer, on the same stream.
    pub behind: Vec<Value>,
    /// Requests to the client on this answer's stream; the answer waits for theirs, and tells them.
    pub asks: Vec<Value>,
    /// Messages for the session's own stream (GET).
    pub pushes: Vec<Value>,
    /// Words of a tool's result, for instance a secret; empty for `fine`.
    pub text: String,
    /// Bytes of a tool's result besides.
    pub size: usize,
    /// How many numbered tools there are, instead of as many as at the start.
    pub tools: Option<usize>,
    /// Tools of a page, instead of as many as at the start; 0 is all on one.
    pub page: Option<usize>,
}

impl Script {
    /// A good answer, known by a new id.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = format!("{:x}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));

        Self { id, ..Self::default() }
    }

    /// The script of a request.
    pub fn find(request: &Value) -> Option<Self> {
        let params = request.get("params")?;
        let meta = params.get("_meta").and_then(|meta| meta.get(META));
        let argument = || params.get("arguments").and_then(|given| given.get(ARGUMENT));

        serde_json::from_value(meta.or_else(argument)?.clone()).ok()
    }

    /// Arguments of a tool's call that follow it.
    pub fn arguments(&self) -> Value {
        serde_json::json!({ ARGUMENT: self })
    }

    /// `params` of another request that follow it.
    pub fn params(&self) -> Value {
        serde_json::json!({ "_meta": { META: self } })
    }

    /// As a stream.
    pub fn streamed(self) -> Self {
        Self { sse: Some(true), ..self }
    }

    /// As JSON.
    pub fn json(self) -> Self {
        Self { sse: Some(false), ..self }
    }

    /// With this fault.
    pub fn fault(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    /// With this body and content type.
    pub fn raw(self, content_type: &str, body: &str) -> Self {
        Self { raw: Some(body.to_owned()), content_type: Some(content_type.to_owned()), ..self }
    }
}
