//! A document as it is served: its bytes and all that its head says, made once.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use contract::manifest::sha256;

/// The media type of an envelope (DSSE).
pub const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";

/// Kept by who asked, and by nobody between; asked for again each time.
const KEPT: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Bytes that many are given. A copy shares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    body: Bytes,
    tag: HeaderValue,
    kind: HeaderValue,
}

impl Prepared {
    /// A document of this media type.
    pub fn new(kind: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();

        Self { tag: tag(&sha256(&body)), body, kind: HeaderValue::from_static(kind) }
    }

    /// Has who asks these bytes (RFC 9110 §13.1.2)?
    pub fn is_known(&self, asked: &HeaderMap) -> bool {
        is_known(asked, &self.tag)
    }

    /// 304.
    pub fn unchanged(&self) -> Response<Body> {
        self.head(StatusCode::NOT_MODIFIED, Body::empty())
    }

    /// 200.
    pub fn whole(&self) -> Response<Body> {
        let mut response = self.head(StatusCode::OK, Body::from(self.body.clone()));
        response.headers_mut().insert(header::CONTENT_TYPE, self.kind.clone());

        response
    }

    fn head(&self, status: StatusCode, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.tag.clone());
        headers.insert(header::CACHE_CONTROL, KEPT);

        response
    }
}

/// The tag of bytes with this digest.
pub fn tag(digest: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Does who asks say that they have it? Weak comparison.
pub fn is_known(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let tag = tag.to_str().unwrap_or_default();

    asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|one| one.trim().trim_start_matches("W/"))
        .any(|one| one == tag || one == "*")
}
