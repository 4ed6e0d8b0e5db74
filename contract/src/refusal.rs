//! The shape of a no: the Messages API's error envelope (Anthropic API, "Errors").

use serde::{Deserialize, Serialize};

/// `error.type`, as the Messages API defines them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorType {
    /// 400, 405, 415.
    InvalidRequestError,
    /// 401.
    AuthenticationError,
    /// 402, or 429 where a budget is used up.
    BillingError,
    /// 403.
    PermissionError,
    /// 404.
    NotFoundError,
    /// 413.
    RequestTooLarge,
    /// 429.
    RateLimitError,
    /// 500, 502, 503.
    ApiError,
    /// 501: the gateway protocol's word for what an upstream cannot do.
    NotSupported,
    /// 504.
    TimeoutError,
    /// 529.
    OverloadedError,
}

/// `{"type":"error","error":{"type","message"},"request_id"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody<'a> {
    /// Always `error`.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// What went wrong.
    pub error: ErrorDetail<'a>,
    /// The id to quote to the people who run the gate.
    pub request_id: Option<&'a str>,
}

/// The inner half of an [`ErrorBody`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail<'a> {
    /// The machine's word for it.
    #[serde(rename = "type")]
    pub kind: ErrorType,
    /// The person's sentence about it.
    pub message: &'a str,
}

impl<'a> ErrorBody<'a> {
    /// An error of this type.
    pub fn new(kind: ErrorType, message: &'a str, request_id: Option<&'a str>) -> Self {
        Self { kind: "error", error: ErrorDetail { kind, message }, request_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_wire_form_is_the_messages_api_s() {
        let body = ErrorBody::new(ErrorType::NotFoundError, "no such path", Some("r1"));

        assert_eq!(
            serde_json::to_string(&body).unwrap(),
            r#"{"type":"error","error":{"type":"not_found_error","message":"no such path"},"request_id":"r1"}"#
        );
    }
}
