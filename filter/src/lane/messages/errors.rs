//! What a provider says is wrong, without what it says of the account.
//!
//! Clients recover by the wording of Anthropic's errors, so these pass. A cloud's own words name
//! accounts, projects and hosts: of these only what a client can act on is told, in words that it
//! knows (LLM gateway contract, `capability_rejected:`).

use super::table::Errors;
use super::{Lane, Provider};
use crate::lane::dialect::{Failure, kind_of};
use contract::refusal::ErrorType;
use serde::Deserialize;
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

/// Any shape that providers give errors in: Anthropic `{"type":"error","error":{"type","message"}}`,
/// Google and Microsoft `{"error":{"code","message","status"}}`, Amazon `{"message","__type"}`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Shape<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error: Option<Inner<'a>>,
    #[serde(borrow, alias = "Message")]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "__type")]
    exception: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Inner<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

/// What an error in one piece becomes.
pub fn error(
    provider: &Provider,
    lane: &Lane,
    status: u16,
    content_type: &str,
    body: &[u8],
) -> Told {
    let shape: Option<Shape<'_>> = if content_type.contains("json") {
        std::str::from_utf8(body).ok().and_then(|text| serde_json::from_str(text).ok())
    } else {
        None
    };
    let shape = shape.unwrap_or_default();
    let envelope = match &shape {
        Shape {
            kind: Some(kind),
            error: Some(Inner { kind: Some(inner), message: Some(message) }),
            ..
        } if kind == "error" => Some((inner, message)),
        _ => None,
    };
    if envelope.is_some() && provider.row.errors == Errors::Anthropic {
        return Told::Unchanged;
    }
    let status = shape.exception.as_deref().and_then(of_exception).unwrap_or_else(|| usual(status));
    if let (Some((kind, message)), 400 | 413) = (envelope, status) {
        let kind = known(kind).unwrap_or_else(|| kind_of(status));
        let message = concealed(message, lane).into_owned();
        return Told::Instead(Failure { status, kind, message });
    }
    let own = shape.message.or_else(|| shape.error.and_then(|inner| inner.message));

    Told::Instead(failure(status, own.as_deref().unwrap_or_default()))
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
pub(super) fn of_event(kind: &str, message: &str, lane: &Lane) -> Failure {
    let own = own_event(kind, message);
    match own.status {
        400 | 413 => Failure { message: concealed(message, lane).into_owned(), ..own },
        status => failure(status, message),
    }
}

/// The error within Anthropic's stream, in its own words.
pub(super) fn own_event(kind: &str, message: &str) -> Failure {
    let status = match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    };

    Failure { status, kind: kind_of(status), message: message.to_owned() }
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

fn known(kind: &str) -> Option<ErrorType> {
    use serde::de::IntoDeserializer;
    use serde::de::value::Error;
    let kind: serde::de::value::StrDeserializer<'_, Error> = kind.into_deserializer();

    ErrorType::deserialize(kind).ok()
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

    words.iter().any(|words| text.contains(words))
}

/// A provider's sentence without the words that tell of an account.
fn concealed<'a>(text: &'a str, lane: &Lane) -> Cow<'a, str> {
    let tells = |word: &str| {
        let lower = word.to_ascii_lowercase();
        TELLS.iter().any(|tell| lower.contains(tell))
            || account(word)
            || own(lane).any(|own| word.contains(own))
    };
    let word = |byte: char| byte.is_whitespace() || "\"'`,;()[]{}<>".contains(byte);
    if !text.split(word).any(tells) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(word) {
        let bare = piece.trim_end_matches(word);
        if tells(bare) {
            out.push_str(WITHHELD);
            out.push_str(piece.strip_prefix(bare).unwrap_or_default());
        } else {
            out.push_str(piece);
        }
    }

    Cow::Owned(out)
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
    word.split(|sign: char| !sign.is_ascii_digit()).any(|digits| digits.len() >= 12)
}

/// What this lane's own configuration says, which no provider's sentence needs to.
fn own(lane: &Lane) -> impl Iterator<Item = &str> {
    let params = lane.params.iter().filter(|(name, _)| *name != "region" && *name != "prefix");
    let values = params.map(|(_, value)| value).chain(lane.models.values());

    values.map(String::as_str).filter(|value| value.len() >= SHORTEST)
}
