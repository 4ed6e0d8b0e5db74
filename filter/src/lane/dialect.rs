//! What a translation is given, and what it gives back.
//!
//! A family is a request half, which makes an [`Outgoing`] of an [`Ask`], and an answer half: whole bodies for what
//! is not streamed and for errors, and for streams a reader that is fed chunks as they come, cut anywhere, and that
//! writes the events of the Messages API ("Streaming") behind what it was given to write to.

use contract::refusal::{ErrorBody, ErrorType};

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// `/v1/messages`.
    Messages,
    /// `/v1/messages/count_tokens`.
    CountTokens,
}

/// A call as the gate let it through. Its body is a JSON object that the gate has read: UTF-8, no member that
/// matters twice, `model` a name.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What is called.
    pub what: What,
    /// The value of `anthropic-beta`: names, comma-separated; empty where there is none.
    pub betas: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// A call as the provider takes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// `:path`, query and all.
    pub path: String,
    /// Headers to set. Credentials are not among them: Envoy puts these in, behind the lane.
    pub set: Vec<(&'static str, String)>,
    /// Headers to remove.
    pub remove: Vec<&'static str>,
    /// The body; `None` where the bytes stay as they are.
    pub body: Option<Vec<u8>>,
    /// The model by the client's name for it.
    pub asked: String,
    /// The model by the provider's name for it.
    pub model: String,
    /// Is a stream asked for?
    pub stream: bool,
    /// What the provider has no words for and was left out, by the name of the table's line. For the row.
    pub dropped: Vec<&'static str>,
}

/// Why a call cannot be said in the provider's words. Nothing was sent; another lane may know how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmappable {
    /// 400 for what the caller can mend, 404 for a model that this lane has no name for, 501 for what the provider
    /// cannot do at all.
    pub status: u16,
    /// `error.type` for it.
    pub kind: ErrorType,
    /// The sentence for the person. It names what cannot be said, and no address or account.
    pub message: String,
}

/// What the provider says is wrong, in the Messages API's words. As the first thing of a stream it becomes the
/// answer's status, so that another provider can be asked; behind anything else it becomes an `error` event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The status for it.
    pub status: u16,
    /// `error.type` for it.
    pub kind: ErrorType,
    /// The sentence for the person: the provider's own where it names no address, account or resource.
    pub message: String,
}

/// Reads a streamed answer.
pub trait Stream {
    /// Takes a chunk, cut anywhere, and appends the events that it completes.
    ///
    /// # Errors
    /// If the provider says that it failed, or what it says cannot be understood. Whatever was appended before
    /// stands; nothing more is fed then.
    fn eat(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure>;

    /// The provider has ended. Appends what is missing to end the message well.
    ///
    /// # Errors
    /// If the answer ended too early to be a message.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Failure>;
}

impl Failure {
    /// The `error` event of a stream (Messages API, "Streaming", error events).
    pub fn event(&self) -> Vec<u8> {
        let mut event = b"event: error\ndata: ".to_vec();
        event.extend(self.body());
        event.extend(b"\n\n");
        event
    }

    /// The body of an answer that is an error.
    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(&ErrorBody::new(self.kind, &self.message, None)).unwrap_or_default()
    }
}

/// `error.type` for a status (Messages API, "Errors").
pub fn kind_of(status: u16) -> ErrorType {
    match status {
        401 => ErrorType::AuthenticationError,
        402 => ErrorType::BillingError,
        403 => ErrorType::PermissionError,
        404 => ErrorType::NotFoundError,
        413 => ErrorType::RequestTooLarge,
        429 => ErrorType::RateLimitError,
        400..=499 => ErrorType::InvalidRequestError,
        501 => ErrorType::NotSupported,
        504 => ErrorType::TimeoutError,
        529 => ErrorType::OverloadedError,
        _ => ErrorType::ApiError,
    }
}
