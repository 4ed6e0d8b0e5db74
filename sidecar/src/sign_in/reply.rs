//! What the sidecar answers on its own surfaces: JSON, the Messages API's errors, and beside each answer to
//! a sign-in the header that tells the gate who it was.

use super::Refused;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use contract::audit::Acted;
use contract::envelope::hex;
use contract::headers::{CALLER, REFUSAL, X_REQUEST_ID};
use contract::refusal::{ErrorBody, ErrorType};

/// The token of `authorization: Bearer …` (RFC 6750 §2.1), if there is exactly one.
pub fn bearer(asked: &HeaderMap) -> Option<&str> {
    let mut values = asked.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;

    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

/// With the header that tells the gate who it was.
pub fn told(mut response: Response<Body>, acted: &Acted) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(&ascii(acted)) {
        response.headers_mut().insert(CALLER, value);
    }

    response
}

/// JSON that is ASCII throughout, as a header has to be (RFC 8259 §7 escapes).
fn ascii(acted: &Acted) -> String {
    let json = serde_json::to_string(acted).unwrap_or_default();
    let mut text = String::with_capacity(json.len());
    for sign in json.chars() {
        if sign.is_ascii() {
            text.push(sign);
        } else {
            let mut units = [0; 2];
            for unit in sign.encode_utf16(&mut units) {
                text.push_str("\\u");
                text.push_str(&hex(&unit.to_be_bytes()));
            }
        }
    }

    text
}

/// An error in the Messages API's shape.
pub fn refusal(
    status: StatusCode,
    kind: ErrorType,
    message: &str,
    asked: &HeaderMap,
) -> Response<Body> {
    let id = asked.get(X_REQUEST_ID).and_then(|id| id.to_str().ok());
    let body = ErrorBody::new(kind, message, id);

    json(status, serde_json::to_string(&body).unwrap_or_default())
}

/// JSON that nobody keeps.
pub fn json(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

    response
}

/// A refused sign-in: the person's sentence, the stable code, and when to come again.
pub fn refused(why: Refused, asked: &HeaderMap) -> Response<Body> {
    let status = why.status();
    let kind = match status {
        StatusCode::UNAUTHORIZED => ErrorType::AuthenticationError,
        StatusCode::FORBIDDEN => ErrorType::PermissionError,
        StatusCode::BAD_REQUEST => ErrorType::InvalidRequestError,
        StatusCode::TOO_MANY_REQUESTS => ErrorType::RateLimitError,
        _ => ErrorType::ApiError,
    };
    let mut response = refusal(status, kind, why.message(), asked);
    let headers = response.headers_mut();
    headers.insert(REFUSAL, HeaderValue::from_static(why.code()));
    if let Some(seconds) = why.retry_after() {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }

    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_bearer_token_is_a_token() {
        let headers = |values: &[&'static str]| {
            let pairs = values.iter();
            pairs.map(|value| (header::AUTHORIZATION, HeaderValue::from_static(value))).collect()
        };

        assert_eq!(bearer(&headers(&["Bearer tgp_1"])), Some("tgp_1"));
        assert_eq!(bearer(&headers(&["bearer  tgp_1"])), Some("tgp_1"));
        for none in [&[][..], &["tgp_1"], &["Basic x"], &["Bearer "], &["Bearer a", "Bearer b"]] {
            assert_eq!(bearer(&headers(none)), None, "{none:?}");
        }
    }

    #[test]
    fn a_department_with_an_umlaut_still_fits_a_header() {
        let acted = Acted { department: Some("Zürich 🏔".into()), ..Acted::default() };

        let text = ascii(&acted);

        assert!(text.is_ascii(), "{text}");
        assert_eq!(serde_json::from_str::<Acted>(&text).unwrap(), acted);
    }
}
