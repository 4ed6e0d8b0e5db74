//! Requests of MCP by hand, for what no SDK would send: another's session, headers that lie, half a stream.

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest wait for headers, and for each piece of a body.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request to be sent over plain HTTP.
#[derive(Debug, Clone)]
pub struct Raw {
    to: SocketAddr,
    path: String,
    method: Method,
    headers: Vec<(String, String)>,
    body: Bytes,
}

/// What came.
#[derive(Debug)]
pub struct Got {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    body: Incoming,
}

impl Raw {
    /// A request of a method of HTTP without a body.
    pub fn new(method: Method, to: SocketAddr, path: &str) -> Self {
        let (path, body) = (path.to_owned(), Bytes::new());
        let raw = Self { to, path, method, headers: Vec::new(), body };

        raw.header("host", &to.to_string()).header("accept", "application/json, text/event-stream")
    }

    /// A message as it is.
    pub fn post(to: SocketAddr, path: &str, message: &Value) -> Self {
        let raw = Self::new(Method::POST, to, path).header("content-type", "application/json");

        raw.body(message.to_string())
    }

    /// A request of the era of sessions.
    pub fn legacy(to: SocketAddr, path: &str, session: &str, method: &str, params: &Value) -> Self {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let raw = Self::post(to, path, &message).header("mcp-protocol-version", "2025-11-25");

        if session.is_empty() { raw } else { raw.header("mcp-session-id", session) }
    }

    /// A request of the stateless era, whose headers say what its body says.
    pub fn modern(to: SocketAddr, path: &str, method: &str, params: &Value) -> Self {
        let mut params = if params.is_null() { json!({}) } else { params.clone() };
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
        params["_meta"]["io.modelcontextprotocol/clientInfo"] =
            json!({ "name": "e2e-raw", "version": "1" });
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let name = params["name"].as_str().or(params["uri"].as_str()).map(str::to_owned);
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let raw = Self::post(to, path, &message);
        let raw = raw.header("mcp-protocol-version", "2026-07-28").header("mcp-method", method);

        name.into_iter().fold(raw, |raw, name| raw.header("mcp-name", &name))
    }

    /// The first request of the era of sessions.
    pub fn initialize(to: SocketAddr, path: &str) -> Self {
        let message = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "clientInfo": { "name": "e2e-raw", "version": "1" },
            "capabilities": { "sampling": {}, "elicitation": {}, "roots": {} } } });

        Self::post(to, path, &message)
    }

    /// With a header, instead of one of the same name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without a header.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// With a bearer token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With another body.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Sends it, and waits for the head of the answer.
    pub async fn send(self) -> Result<Got> {
        let stream = TcpStream::connect(self.to).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(self.method).uri(self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(self.body))?;
        let response = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
        let (parts, body) = response.context("no answer")??.into_parts();

        Ok(Got { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

impl Got {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The next piece of the body; none at its end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>> {
        loop {
            match tokio::time::timeout(PATIENCE, self.body.frame()).await.context("silence")? {
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        return Ok(Some(data));
                    }
                }
                None => return Ok(None),
            }
        }
    }

    /// The whole body; what came of it, if it breaks off.
    pub async fn text(mut self) -> (String, bool) {
        let mut all = Vec::new();
        loop {
            match self.piece().await {
                Ok(Some(piece)) => all.extend_from_slice(&piece),
                Ok(None) => return (String::from_utf8_lossy(&all).into_owned(), true),
                Err(_) => return (String::from_utf8_lossy(&all).into_owned(), false),
            }
        }
    }

    /// The messages of the body, which may be one of JSON, or a stream.
    pub async fn messages(self) -> Vec<Value> {
        let streams =
            self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let (text, _) = self.text().await;
        if streams { events(&text) } else { serde_json::from_str(&text).into_iter().collect() }
    }
}

/// The messages of a stream (HTML Standard §9.2), without those that are no JSON.
pub fn events(text: &str) -> Vec<Value> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    let mut found = Vec::new();
    for event in text.split("\n\n") {
        let data = event.lines().filter_map(|line| line.strip_prefix("data:"));
        let data: Vec<&str> = data.map(|data| data.strip_prefix(' ').unwrap_or(data)).collect();
        found.extend(serde_json::from_str::<Value>(&data.join("\n")).ok());
    }

    found
}
