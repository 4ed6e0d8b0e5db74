//! One request as it reached the stand-in, and what of it should not have.

use super::script::Script;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

/// What may arrive. Written down here a second time, on purpose: the test must not learn the list from the code it
/// tests.
const MAY_ARRIVE: [&str; 9] = [
    "host",
    "content-type",
    "content-length",
    "transfer-encoding",
    "accept",
    "accept-encoding",
    "user-agent",
    "last-event-id",
    "authorization",
];

/// The beginning of names that may arrive.
const MAY_BEGIN: &str = "mcp-";

/// Written into credentials and headers by tests; no header may carry it here.
pub const CANARY: &str = "canary";

/// One received request.
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
    /// Its body.
    pub body: Bytes,
    /// The body as JSON; null if it is none.
    pub json: Value,
    /// Did the body arrive whole?
    pub whole: bool,
    /// What it told the stand-in to do.
    pub script: Option<Script>,
}

impl Seen {
    /// Reads a request to its end.
    pub async fn read(request: Request<Incoming>) -> Self {
        let (parts, body) = request.into_parts();
        let host = parts.headers.get("host").map(|host| String::from_utf8_lossy(host.as_bytes()));
        let authority = parts.uri.authority().map(ToString::to_string);
        let collected = body.collect().await.map(http_body_util::Collected::to_bytes);
        let whole = collected.is_ok();
        let body = collected.unwrap_or_default();
        let json = serde_json::from_slice(&body).unwrap_or_default();

        Self {
            version: parts.version,
            method: parts.method,
            path: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            authority: authority.unwrap_or_else(|| host.unwrap_or_default().into_owned()),
            headers: parts.headers,
            script: Script::find(&json),
            body,
            json,
            whole,
        }
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The method of JSON-RPC; empty for answers of the client and requests without a body.
    pub fn rpc(&self) -> &str {
        self.json["method"].as_str().unwrap_or_default()
    }

    /// The request's id, null for notifications.
    pub fn id(&self) -> Value {
        self.json["id"].clone()
    }

    /// Is it of the stateless era? The header decides, as in the SDKs' servers.
    pub fn is_modern(&self) -> bool {
        self.header("mcp-protocol-version").is_some_and(|version| version >= "2026")
    }

    /// What should not have arrived. `credential` is the value of `authorization` that must be there, `never` what must
    /// stand in no header.
    pub fn violations(&self, credential: Option<&str>, never: &[String]) -> Vec<String> {
        let mut found = Vec::new();
        for (name, value) in &self.headers {
            let name = name.as_str();
            let value = String::from_utf8_lossy(value.as_bytes());
            if !MAY_ARRIVE.contains(&name) && !name.starts_with(MAY_BEGIN) {
                found.push(format!("header {name}: {value}"));
            } else if value.contains(CANARY) || never.iter().any(|it| value.contains(it)) {
                found.push(format!("header {name} carries what must not arrive"));
            }
        }
        let credentials: Vec<_> = self.headers.get_all("authorization").iter().collect();
        let right = match (credential, credentials.as_slice()) {
            (None, []) => true,
            (Some(expected), [given]) => given.as_bytes() == expected.as_bytes(),
            _ => false,
        };
        if !right {
            found.push(format!("{} credentials, or not the configured one", credentials.len()));
        }
        if self.path.contains(CANARY) || never.iter().any(|it| self.path.contains(it)) {
            found.push("the path carries what must not arrive".to_owned());
        }
        if self.json.is_array() {
            found.push("an array of messages".to_owned());
        }

        found
    }
}
