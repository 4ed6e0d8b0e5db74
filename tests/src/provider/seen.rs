//! One call as it reached the provider, and what of it should not have.

use crate::provider::script::Script;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use sha2::{Digest, Sha256};

/// What may arrive. Written down here a second time, on purpose: the test must not learn the list
/// from the code it tests.
pub(super) const MAY_ARRIVE: [&str; 8] = [
    "host",
    "content-type",
    "content-length",
    "transfer-encoding",
    "accept",
    "accept-encoding",
    "user-agent",
    "x-api-key",
];

/// Beginnings of names that may arrive.
const MAY_BEGIN: [&str; 2] = ["anthropic-", "x-stainless-"];

/// Written into credentials, headers and prompts by tests; no header may carry it here.
pub const CANARY: &str = "canary";

/// One received call.
#[derive(Debug, Clone)]
pub struct Seen {
    /// HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// `host` or `:authority`.
    pub authority: String,
    /// All headers.
    pub headers: HeaderMap,
    /// Its trailers.
    pub trailers: Option<HeaderMap>,
    /// Its body.
    pub body: Bytes,
    /// Did the body arrive whole?
    pub whole: bool,
    /// What it told the provider to do.
    pub script: Option<Script>,
}

impl Seen {
    /// Reads a call to its end.
    pub async fn read(request: Request<Incoming>) -> Self {
        let (parts, body) = request.into_parts();
        let host = parts.headers.get("host").map(|host| String::from_utf8_lossy(host.as_bytes()));
        let authority = parts
            .uri
            .authority()
            .map_or_else(|| host.unwrap_or_default().into_owned(), ToString::to_string);
        let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
        let (body, trailers, whole) = match body.collect().await {
            Ok(collected) => {
                let trailers = collected.trailers().cloned();
                (collected.to_bytes(), trailers, true)
            }
            Err(_) => (Bytes::new(), None, false),
        };

        Self {
            version: parts.version,
            method: parts.method,
            path,
            authority,
            headers: parts.headers,
            trailers,
            script: Script::find(&body),
            body,
            whole,
        }
    }

    /// SHA-256 of the body.
    pub fn digest(&self) -> String {
        contract::envelope::hex(&Sha256::digest(&self.body))
    }

    /// Was it this script that it told?
    pub(super) fn told(&self, script: &Script) -> bool {
        self.script.as_ref().is_some_and(|known| known.id == script.id)
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What should not have arrived.
    pub fn violations(&self, key: &str, authority: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (name, value) in &self.headers {
            let name = name.as_str();
            let known = MAY_ARRIVE.contains(&name)
                || MAY_BEGIN.iter().any(|beginning| name.starts_with(beginning));
            if !known {
                found.push(format!("header {name}: {}", String::from_utf8_lossy(value.as_bytes())));
            } else if String::from_utf8_lossy(value.as_bytes()).contains(CANARY) {
                found.push(format!("header {name} carries a canary"));
            }
        }
        let keys: Vec<_> = self.headers.get_all("x-api-key").iter().collect();
        if keys.len() != 1 || keys.first().is_none_or(|value| value.as_bytes() != key.as_bytes()) {
            found.push(format!("{} keys, or not the configured one", keys.len()));
        }
        if self.authority != authority {
            found.push(format!("authority {}", self.authority));
        }
        if let Some(trailers) = &self.trailers {
            found.push(format!("trailers {trailers:?}"));
        }
        if self.path.contains(CANARY) {
            found.push("the path carries a canary".to_owned());
        }

        found
    }
}
