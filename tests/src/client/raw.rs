//! HTTP/1 by hand, for what no client library would send.

use crate::client::{connection, source};
use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long an answer may be silent before it counts as ended.
const SILENCE: Duration = Duration::from_millis(1500);

/// An answer, as it came.
#[derive(Debug, Clone)]
pub struct RawAnswer {
    /// Its status; 0 if the connection was closed without one.
    pub status: u16,
    /// All of it.
    pub text: String,
    /// Where the call came from.
    pub source: Ipv4Addr,
}

impl RawAnswer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The body: without the chunks' sizes, if it came in chunks.
    pub fn body(&self) -> String {
        let (_, body) = self.text.split_once("\r\n\r\n").unwrap_or_default();
        if self.header("transfer-encoding").is_none() {
            return body.to_owned();
        }
        let mut rest = body;
        let mut whole = String::new();
        while let Some((size, after)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
            let Some(chunk) = after.get(..size).filter(|_| size > 0) else { break };
            whole.push_str(chunk);
            rest = after.get(size + 2..).unwrap_or_default();
        }

        whole
    }
}

/// Sends these bytes from an address of their own and reads what comes until it ends.
pub async fn send(to: SocketAddr, bytes: &[u8]) -> Result<RawAnswer> {
    let source = source();
    let mut stream = connection::tcp(source, to).await?;
    // A server that has seen enough may close while we still write.
    drop(stream.write_all(bytes).await);
    let mut answer = Vec::new();
    let mut buffer = vec![0; 65536];
    while let Ok(Ok(count @ 1..)) = tokio::time::timeout(SILENCE, stream.read(&mut buffer)).await {
        answer.extend_from_slice(buffer.get(..count).context("the count is right")?);
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);

    Ok(RawAnswer { status, text, source })
}

/// Asks for a document.
pub async fn get(from: SocketAddr, path: &str) -> Result<RawAnswer> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");

    send(from, request.as_bytes()).await
}
