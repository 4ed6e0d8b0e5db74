//! A provider for storms: cheap, and it remembers which calls reached it.

use crate::bench::wire::{self, Framing, Head};
use anyhow::{Result, ensure};
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a call's `metadata.user_id` begins with. Its id follows, and how long to wait, milliseconds.
pub const MARK: &str = "storm:";

/// Events of a stream.
const EVENTS: usize = 5;

/// Between two of them.
const PACE: Duration = Duration::from_millis(3);

/// The provider.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<HashSet<u64>>>,
}

impl Upstream {
    /// Starts it; it ends with the program.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let upstream = Self { address: listener.local_addr()?, seen: Arc::default() };
        let this = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let this = this.clone();
                // Clients leave, and Envoy with them: a connection that breaks is no news here.
                tokio::spawn(async move { drop(this.serve(stream).await) });
            }
        });

        Ok(upstream)
    }

    /// Which calls reached it.
    pub fn seen(&self) -> HashSet<u64> {
        self.seen.lock().unwrap().clone()
    }

    async fn serve(self, mut stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let json = json();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let mut filled = 0;
            let head = loop {
                let head = Head::read(&buffer[..filled]);
                if let Some(head) = head.filter(|head| head.complete(&buffer[..filled])) {
                    break head;
                }
                let count = stream.read(&mut buffer[filled..]).await?;
                ensure!(count > 0, "closed, or a request larger than storms have");
                filled += count;
            };
            ensure!(matches!(head.framing, Framing::Length(_)), "a request without a length");
            let body = &buffer[head.end..filled];
            let streams = wire::find(body, b"\"stream\":true").is_some();
            if let Some((id, wait)) = marked(body) {
                self.seen.lock().unwrap().insert(id);
                tokio::time::sleep(wait).await;
            }
            if streams { events(&mut stream).await? } else { stream.write_all(&json).await? }
        }
    }
}

/// The id in a body, and how long its answer shall take.
fn marked(body: &[u8]) -> Option<(u64, Duration)> {
    let at = wire::find(body, MARK.as_bytes())?;
    let text = str::from_utf8(body.get(at + MARK.len()..)?).ok()?;
    let (mark, _) = text.split_once('"')?;
    let (id, wait) = mark.split_once(':')?;

    Some((u64::from_str_radix(id, 16).ok()?, Duration::from_millis(wait.parse().ok()?)))
}

fn json() -> Vec<u8> {
    let body = serde_json::json!({
        "id": "msg_01storm", "type": "message", "role": "assistant",
        "model": "claude-sonnet-4-5-20250929", "content": [{ "type": "text", "text": "Rain." }],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": { "input_tokens": 25, "output_tokens": 3, "service_tier": "standard" },
    })
    .to_string();
    let length = body.len();

    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_storm\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

async fn events(stream: &mut TcpStream) -> Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
        request-id: req_storm\r\ntransfer-encoding: chunked\r\n\r\n";
    let start = r#"{"type":"message_start","message":{"id":"msg_01storm","model":"claude-sonnet-4-5","usage":{"input_tokens":25,"output_tokens":1}}}"#;
    let delta =
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" rain"}}"#;
    let usage = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}"#;
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&event("message_start", start)).await?;
    for _ in 0..EVENTS {
        tokio::time::sleep(PACE).await;
        stream.write_all(&event("content_block_delta", delta)).await?;
    }
    stream.write_all(&event("message_delta", usage)).await?;
    stream.write_all(&event("message_stop", r#"{"type":"message_stop"}"#)).await?;

    Ok(stream.write_all(b"0\r\n\r\n").await?)
}

fn event(name: &str, data: &str) -> Vec<u8> {
    let event = format!("event: {name}\ndata: {data}\n\n");

    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}
