//! What came back.

use crate::client::connection::Cut;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Longest silence inside an answer.
const PATIENCE: Duration = Duration::from_secs(40);

/// An answer whose body still comes.
#[derive(Debug)]
pub struct Open {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Where the call came from.
    pub source: Ipv4Addr,
    body: Incoming,
    cut: Cut,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as far as it came.
    pub body: Bytes,
    /// Its trailers.
    pub trailers: HeaderMap,
    /// Did it come whole?
    pub whole: bool,
    /// When each piece came, after the headers.
    pub times: Vec<Duration>,
    /// Where the call came from.
    pub source: Ipv4Addr,
}

impl Open {
    pub(crate) fn new(response: Response<Incoming>, cut: Cut, source: Ipv4Addr) -> Self {
        let (parts, body) = response.into_parts();

        Self { status: parts.status, headers: parts.headers, source, body, cut }
    }

    /// The next piece of the body; `None` at its end, in whatever order.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.ok()??.ok()?;
            if let Ok(data) = frame.into_data() {
                return Some(data);
            }
        }
    }

    /// Reads it to its end.
    pub async fn read(mut self) -> Answer {
        let begun = Instant::now();
        let mut body = BytesMut::new();
        let mut times = Vec::new();
        let mut trailers = HeaderMap::new();
        let whole = loop {
            match tokio::time::timeout(PATIENCE, self.body.frame()).await {
                Err(_) | Ok(Some(Err(_))) => break false,
                Ok(None) => break true,
                Ok(Some(Ok(frame))) => {
                    if let Some(data) = frame.data_ref() {
                        body.extend_from_slice(data);
                        times.push(begun.elapsed());
                    }
                    if let Some(more) = frame.trailers_ref() {
                        trailers.extend(more.clone());
                    }
                }
            }
        };
        drop(self.cut);

        Answer {
            status: self.status.as_u16(),
            headers: self.headers,
            body: body.freeze(),
            trailers,
            whole,
            times,
            source: self.source,
        }
    }
}

impl Answer {
    /// A header's value; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The `error.type` of a refusal; empty if it is none.
    pub fn error(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();

        body.pointer("/error/type").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// It is a refusal in the Messages API's shape, of this status and type, that names its id.
    pub fn assert_refused(&self, status: u16, kind: &str) {
        assert_eq!((self.status, self.error().as_str()), (status, kind), "{}", self.text());
        let body = self.json();
        assert_eq!(body["type"], "error", "{body}");
        assert!(body["error"]["message"].as_str().is_some_and(|it| !it.is_empty()), "{body}");
        assert!(self.header("content-type").starts_with("application/json"), "{self:?}");
    }
}
