//! A document as the gate fetches it: the bytes, and the tag that says whether they changed.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What one of the gate's documents is right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    body: Bytes,
    tag: Arc<str>,
    kind: &'static str,
}

impl Document {
    /// A JSON document of these bytes.
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self::of("application/json", body)
    }

    /// A document of this media type.
    pub fn of(kind: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let digest = contract::envelope::hex(&Sha256::digest(&body));
        let tag = format!("\"{}\"", digest.get(..32).unwrap_or_default()).into();

        Self { body, tag, kind }
    }

    /// The bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// 200 with the bytes, or 304 for who has them (RFC 9110 §13.1.2).
    pub fn answer(&self, asked: &HeaderMap) -> Response<Body> {
        let known = asked
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == &*self.tag || tag == "*");

        let (status, body) = if known {
            (StatusCode::NOT_MODIFIED, Body::empty())
        } else {
            (StatusCode::OK, Body::from(self.body.clone()))
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(&self.tag) {
            headers.insert(header::ETAG, tag);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if !known {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        }

        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_bytes_is_told_so() {
        let document = Document::new("{}");
        let first = document.answer(&HeaderMap::new());
        let tag = first.headers().get(header::ETAG).unwrap().clone();

        let again = document.answer(&[(header::IF_NONE_MATCH, tag.clone())].into_iter().collect());
        let changed =
            Document::new("{ }").answer(&[(header::IF_NONE_MATCH, tag)].into_iter().collect());

        assert_eq!(first.status(), 200);
        assert_eq!(again.status(), 304);
        assert_eq!(changed.status(), 200, "other bytes, other tag");
    }
}
