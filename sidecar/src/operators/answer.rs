//! What operators elsewhere are answered.

use super::desk::{Answer, Busy};
use crate::sign_in::reply;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use contract::headers::REFUSAL;
use contract::refusal::ErrorType;

/// What came of a command.
pub(super) fn of(asked: Result<Answer, Busy>) -> Response<Body> {
    let Ok(answer) = asked else {
        let mut busy = refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "operator_busy",
            "other commands are running: try again shortly",
            &HeaderMap::new(),
        );
        busy.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        return busy;
    };
    let body = serde_json::to_string(&answer).unwrap_or_default();

    reply::json(StatusCode::OK, body)
}

/// Somebody at the socket who is no operator: the answer of a command that was not allowed.
pub(super) fn nobody(why: &str) -> Response<Body> {
    of(Ok(Answer { exit: 6, stdout: String::new(), stderr: format!("tollgate: {why}\n") }))
}

/// A refusal with its code.
pub(super) fn refused(
    status: StatusCode,
    code: &'static str,
    message: &str,
    asked: &HeaderMap,
) -> Response<Body> {
    let kind = match status {
        StatusCode::UNAUTHORIZED => ErrorType::AuthenticationError,
        StatusCode::FORBIDDEN => ErrorType::PermissionError,
        StatusCode::BAD_REQUEST => ErrorType::InvalidRequestError,
        _ => ErrorType::ApiError,
    };
    let mut response = reply::refusal(status, kind, message, asked);
    response.headers_mut().insert(REFUSAL, HeaderValue::from_static(code));

    response
}
