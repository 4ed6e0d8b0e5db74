//! What a provider says is wrong, in the Messages API's words.

mod clean;

use super::Broken;
use super::json::{Object, objects, unquoted};
use crate::lane::dialect::{Failure, kind_of};
use clean::clean;

/// Longest body of an error that is read, in bytes.
const LARGEST: usize = 64 * 1024;

/// What Claude Code knows a full context by, whatever stands behind it (gateway protocol, `capability_rejected`).
const TOO_LONG: &str = "capability_rejected: prompt_too_long";

/// What providers say when a conversation is too long for the model, in lower case.
const SAY_TOO_LONG: [&str; 8] = [
    "context_length_exceeded",
    "maximum context length",
    "context window",
    "exceeds the maximum number of tokens",
    "exceed context limit",
    "longer than the maximum model length",
    "prompt is too long",
    "reduce the length of the messages",
];

/// Words that stand in a provider's `code`, `type` or `status`, and the status for them.
const WORDS: [(&str, u16); 15] = [
    ("rate_limit", 429),
    ("quota", 429),
    ("resource_exhausted", 429),
    ("overloaded", 529),
    ("unavailable", 503),
    ("timeout", 504),
    ("deadline_exceeded", 504),
    ("invalid_api_key", 401),
    ("unauthenticated", 401),
    ("authentication", 401),
    ("permission", 403),
    ("not_found", 404),
    ("invalid", 400),
    ("badrequest", 400),
    ("content_filter", 400),
];

/// What an error says of itself.
#[derive(Default)]
struct Said {
    message: String,
    /// `code`, `type` and `status`, in lower case, a space behind each.
    words: String,
    /// A code that is a status.
    status: Option<u16>,
}

/// Says an error in the Messages API's words. What is not JSON is never shown.
pub fn error(status: u16, _content_type: &str, body: &[u8]) -> Failure {
    let text = body.get(..body.len().min(LARGEST)).and_then(|body| str::from_utf8(body).ok());
    let said = text.and_then(|text| {
        let list = || objects(text).and_then(|list| list.into_iter().next()); // Gemini's is a list of one
        Object::read(text).or_else(list)
    });

    failure(status, &said.map(|body| read(&body)).unwrap_or_default())
}

/// An error that stands where an answer was expected.
pub(super) fn told(body: &Object<'_>) -> Broken {
    let said = read(body);
    let word = |(word, status): &(&str, u16)| said.words.contains(word).then_some(*status);
    let status = said.status.or_else(|| WORDS.iter().find_map(word)).unwrap_or(502);

    Broken(Box::new(failure(status, &said)))
}

fn read(body: &Object<'_>) -> Said {
    for name in ["error", "detail"] {
        if let Some(message) = body.quoted(name).and_then(unquoted) {
            return Said { message, ..Said::default() };
        }
    }
    let inner = body.object("error");
    let error = inner.as_ref().unwrap_or(body);
    let mut said = Said {
        message: error.quoted("message").and_then(unquoted).unwrap_or_default(),
        ..Said::default()
    };
    for name in ["code", "type", "status"] {
        let Some(value) = error.get(name) else { continue };
        if let Ok(status @ 400..=599) = value.parse() {
            said.status = said.status.or(Some(status));
        } else {
            said.words.push_str(&value.to_ascii_lowercase());
            said.words.push(' ');
        }
    }

    said
}

#[inline(never)]
fn failure(status: u16, said: &Said) -> Failure {
    let message = clean(&said.message);
    let lower = said.message.to_ascii_lowercase();
    let too_long = |sign: &&str| lower.contains(*sign) || said.words.contains(*sign);
    let (status, message) = match (known(status), message.is_empty()) {
        (400 | 413, _) if SAY_TOO_LONG.iter().any(too_long) => {
            (400, [TOO_LONG, ": ", &message].concat())
        }
        (status @ (401 | 403), _) => (status, "the provider refuses the gate's access".to_owned()),
        (status, false) => (status, message),
        (status, true) => (status, generic(status).to_owned()),
    };

    Failure { status, kind: kind_of(status), message }
}

/// The status that a client of the Messages API knows.
fn known(status: u16) -> u16 {
    match status {
        400..=404 | 413 | 429 | 500..=504 | 529 => status,
        408 => 504,
        498 => 429, // Groq: no capacity for this tier
        405..=499 => 400,
        _ => 502,
    }
}

fn generic(status: u16) -> &'static str {
    match status {
        404 => "the provider has nothing of this name",
        413 => "request too large for this upstream",
        429 => "upstream rate limit exceeded",
        504 => "the provider took too long",
        503 | 529 => "the provider is overloaded",
        400..=499 => "upstream rejected the request",
        _ => "the provider failed",
    }
}
