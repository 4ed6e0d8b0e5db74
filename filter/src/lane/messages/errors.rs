//! What a provider says is wrong, without what it says of the account.
//!
//! Clients recover by the wording of Anthropic's errors, so these pass. A cloud's own words name
//! accounts, projects and hosts: of these only what a client can act on is told, in words that it
//! knows (LLM gateway contract, `capability_rejected:`).

use super::Provider;
use super::table::Errors;
use crate::lane::dialect::{Failure, kind_of};
use crate::lane::edit::Object;
use crate::lane::family::Terms;
use contract::model::normalise;
use std::borrow::Cow;

/// Shortest value of a parameter that is looked for in a text: a shorter one is in too many words.
const SHORTEST: usize = 4;
/// What stands where something was taken out.
const WITHHELD: &str = "[withheld]";
/// What a client begins to compact its conversation at.
const TOO_LONG: &str = "capability_rejected: prompt_too_long";

/// What becomes of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The provider's status and body pass.
    Unchanged,
    /// This is said in its place.
    Instead(Failure),
}

/// Type and message of the member `error`.
pub(super) fn wrong<'a>(body: &Object<'a>) -> (Cow<'a, str>, Cow<'a, str>) {
    let error =
        body.value("error").and_then(|error| Object::read(error, &["type", "message"]).ok());
    let text = |name| error.as_ref().and_then(|error| error.text(name)).unwrap_or_default();

    (text("type"), text("message"))
}

/// What an error in one piece becomes.
pub fn error(
    provider: &Provider,
    lane: &Terms,
    status: u16,
    content_type: &str,
    body: &[u8],
) -> Told {
    // Anthropic `{"type":"error","error":{"type","message"}}`, Google and Microsoft
    // `{"error":{"code","message","status"}}`, Amazon `{"message","__type"}`.
    let names = ["type", "error", "message", "Message", "__type"];
    let body = if content_type.contains("json") { body } else { b"{}" };
    let body = std::str::from_utf8(body).unwrap_or_default().as_bytes();
    let Ok(shape) = Object::read(body, &names) else {
        return Told::Instead(failure(usual(status), ""));
    };
    let (kind, inner) = wrong(&shape);
    let envelope = shape.text("type").is_some_and(|kind| kind == "error")
        && !kind.is_empty()
        && !inner.is_empty();
    if envelope && provider.row.errors == Errors::Anthropic {
        return Told::Unchanged;
    }
    let exception = shape.text("__type").and_then(|name| of_exception(&name));
    let status = exception.unwrap_or_else(|| usual(status));
    if envelope && matches!(status, 400 | 413) {
        let kind = kind_of(status_of(&kind).unwrap_or(status));
        let message = concealed(&inner, lane);
        return Told::Instead(Failure { status, kind, message });
    }
    let own = shape.text("message").or_else(|| shape.text("Message")).unwrap_or(inner);

    Told::Instead(failure(status, &own))
}

/// A failure of which the provider's own words are not told.
pub(super) fn failure(status: u16, own: &str) -> Failure {
    let message = match status {
        400 | 413 if too_long(own) => TOO_LONG,
        401 | 403 => "upstream refused the gateway's credentials",
        404 => "upstream does not have this model",
        413 => "request too large for this upstream",
        429 => "upstream rate limit exceeded",
        400..=499 => "upstream rejected the request",
        501 => "upstream cannot do this",
        504 => "upstream timed out",
        529 => "upstream is overloaded",
        _ => "upstream failed",
    };

    Failure { status, kind: kind_of(status), message: message.to_owned() }
}

/// The error within a cloud's stream, in Anthropic's shape.
pub(super) fn of_event(kind: &str, message: &str, lane: &Terms) -> Failure {
    let own = own_event(kind, message);
    match own.status {
        400 | 413 => Failure { message: concealed(message, lane), ..own },
        status => failure(status, message),
    }
}

/// The error within Anthropic's stream, in its own words.
pub(super) fn own_event(kind: &str, message: &str) -> Failure {
    let status = status_of(kind).unwrap_or(500);

    Failure { status, kind: kind_of(status), message: message.to_owned() }
}

/// The status for Anthropic's word for an error.
fn status_of(kind: &str) -> Option<u16> {
    let known = [
        ("invalid_request_error", 400),
        ("authentication_error", 401),
        ("billing_error", 402),
        ("permission_error", 403),
        ("not_found_error", 404),
        ("request_too_large", 413),
        ("rate_limit_error", 429),
        ("api_error", 500),
        ("timeout_error", 504),
        ("overloaded_error", 529),
    ];

    known.iter().find(|(known, _)| *known == kind).map(|(_, status)| *status)
}

/// Statuses that the Messages API has another word for.
fn usual(status: u16) -> u16 {
    match status {
        // Bedrock: the model took too long; the model failed.
        408 => 504,
        424 => 500,
        // Of clouds, this is load; a client waits longer for a 529.
        503 => 529,
        400..=599 => status,
        _ => 502,
    }
}

/// The status for one of Amazon's exceptions, by its name.
pub(super) fn of_exception(name: &str) -> Option<u16> {
    // `com.amazon.coral.service#ThrottlingException`, `throttlingException`
    let name = name.rsplit('#').next().unwrap_or(name);
    let name = name.split(':').next().unwrap_or(name);
    let known = [
        ("AccessDeniedException", 403),
        ("ExpiredTokenException", 403),
        ("InternalServerException", 500),
        ("ModelErrorException", 500),
        ("ModelNotReadyException", 429),
        ("ModelStreamErrorException", 500),
        ("ModelTimeoutException", 504),
        ("ResourceNotFoundException", 404),
        ("ServiceQuotaExceededException", 429),
        ("ServiceUnavailableException", 529),
        ("ThrottlingException", 429),
        ("UnrecognizedClientException", 403),
        ("ValidationException", 400),
    ];

    known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, status)| *status)
}

/// Is the prompt what is too long? In the words of Anthropic, Amazon, Google and Microsoft.
fn too_long(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let words = [
        "prompt is too long",
        "input is too long",
        "too many input tokens",
        "context window",
        "context limit",
        "maximum context length",
        "context_length_exceeded",
        "exceeds the maximum number of tokens",
    ];

    words.iter().any(|words| has(&text, words))
}

/// Do these words stand there? In sentences; the searcher for long texts is larger than all of this.
fn has(text: &str, words: &str) -> bool {
    text.as_bytes().windows(words.len().max(1)).any(|window| window == words.as_bytes())
}

/// A provider's sentence without the words that tell of an account.
fn concealed(text: &str, lane: &Terms) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(separates) {
        let bare = piece.strip_suffix(separates).unwrap_or(piece);
        if tells(bare, lane) {
            out.push_str(WITHHELD);
            out.push_str(piece.strip_prefix(bare).unwrap_or_default());
        } else {
            out.push_str(piece);
        }
    }

    out
}

/// What stands between words; no character of more than one byte.
fn separates(sign: char) -> bool {
    sign.is_ascii_whitespace() || "\"'`,;()[]{}<>".contains(sign)
}

fn tells(word: &str, lane: &Terms) -> bool {
    let lower = word.to_ascii_lowercase();
    let own = |value: &String| value.len() >= SHORTEST && has(word, value);
    // Of what the lane's configuration says, regions are no secret, and stand in other words.
    let mut params = lane.params.iter().filter(|(name, _)| *name != "region" && *name != "prefix");

    TELLS.iter().any(|tell| has(&lower, tell))
        || account(word)
        || params.any(|(_, value)| own(value))
        || lane.models.iter().any(|(name, theirs)| {
            // A name that anybody knows is no secret either.
            normalise(theirs).ok().as_deref() != Some(name) && own(theirs)
        })
}

/// What stands in words that tell of an account, in lower case.
const TELLS: [&str; 10] = [
    "arn:",
    "projects/",
    "subscriptions/",
    "workspaces/",
    "wrkspc_",
    ".amazonaws.com",
    ".api.aws",
    ".googleapis.com",
    ".azure.com",
    "://",
];

/// Does an account of Amazon's stand in it, or another number as long?
fn account(word: &str) -> bool {
    let mut digits = 0_u32;
    for byte in word.bytes() {
        digits = if byte.is_ascii_digit() { digits.saturating_add(1) } else { 0 };
        if digits >= 12 {
            return true;
        }
    }

    false
}
