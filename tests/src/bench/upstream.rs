//! The cheapest provider there is: it reads a request to its end and answers what it has ready.

use super::mcp;
use super::wire::{self, Framing, Head};
use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Events of a stream after the first.
pub const EVENTS: usize = 4;

/// Between two of them.
const PACE: Duration = Duration::from_millis(3);

/// How far into a body it looks for the wish for a stream.
const LOOKS: usize = 512;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds on the clock that the upstream's events tell and the client reads.
pub fn clock() -> u64 {
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Starts it on a thread of its own, which ends with the program.
pub fn start() -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async {
                    if let Err(error) = serve(stream).await {
                        eprintln!("bench: the upstream: {error:#}");
                    }
                });
            }
        });
    });

    Ok(address)
}

async fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let message = message();
    let (completion, message) = (answer(&completion(message.len())), answer(&message));
    let tools = mcp::Answers::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut filled = 0;
    loop {
        let head = loop {
            if let Some(head) = Head::read(&buffer[..filled]) {
                break head;
            }
            let count = stream.read(&mut buffer[filled..]).await.unwrap_or_default();
            if count == 0 {
                return Ok(());
            }
            filled += count;
        };
        let Framing::Length(length) = head.framing else {
            anyhow::bail!("a request without a length");
        };
        let mut missing = length.saturating_sub(filled - head.end);
        while filled < buffer.len().min(head.end + LOOKS) && missing > 0 {
            let count = stream.read(&mut buffer[filled..]).await?;
            anyhow::ensure!(count > 0, "a request that ends too early");
            filled += count;
            missing = missing.saturating_sub(count);
        }
        let completes = buffer.starts_with(b"POST /v1/chat/completions");
        let looked = &buffer[head.end..filled.min(head.end + LOOKS)];
        let streams = wire::find(looked, b"\"stream\":true").is_some();
        let of_mcp = buffer.starts_with(b"POST /mcp").then(|| tools.to(looked));
        while missing > 0 {
            let count = stream.read(&mut buffer).await?;
            anyhow::ensure!(count > 0, "a request that ends too early");
            missing = missing.saturating_sub(count);
        }
        let json = of_mcp.unwrap_or(if completes { &completion } else { &message });
        filled = 0; // nobody sends the next request before the answer
        if streams { events(&mut stream).await? } else { stream.write_all(json).await? }
    }
}

/// What is said, again and again.
const TEXT: &str = "The test failed because the map has no such key. I added it. ";

fn message() -> String {
    let text = TEXT.repeat(8);

    serde_json::json!({
        "id": "msg_01bench", "type": "message", "role": "assistant",
        "model": "claude-sonnet-4-5-20250929", "content": [{ "type": "text", "text": text }],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": { "input_tokens": 321, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 18000, "output_tokens": 123, "service_tier": "standard" },
    })
    .to_string()
}

/// A chat completion of this many bytes.
fn completion(bytes: usize) -> String {
    let of = |text: &str| {
        serde_json::json!({
            "id": "chatcmpl-bench", "object": "chat.completion", "created": 1_764_000_000,
            "model": "gpt-5.1", "choices": [{ "index": 0, "finish_reason": "stop",
                "message": { "role": "assistant", "content": text, "refusal": null } }],
            "usage": { "prompt_tokens": 18321, "completion_tokens": 123, "total_tokens": 18444,
                "prompt_tokens_details": { "cached_tokens": 18000 } },
        })
        .to_string()
    };
    let text = TEXT.chars().cycle().take(bytes.saturating_sub(of("").len()));

    of(&text.collect::<String>())
}

fn answer(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_bench\r\n\
         anthropic-organization-id: 0c1f\r\nanthropic-ratelimit-requests-limit: 4000\r\n\
         anthropic-ratelimit-requests-remaining: 3999\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Each event tells when it was sent.
async fn events(stream: &mut TcpStream) -> Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
        request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n";
    let start = r#"{"type":"message_start","message":{"id":"msg_01bench","model":"claude-sonnet-4-5","usage":{"input_tokens":321,"output_tokens":1}}"#;
    let delta =
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" fixed"}"#;
    let usage = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":123}"#;
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&event("message_start", start)).await?;
    for nth in 1..=EVENTS {
        tokio::time::sleep(PACE).await;
        let last = nth == EVENTS;
        let (name, data) =
            if last { ("message_delta", usage) } else { ("content_block_delta", delta) };
        stream.write_all(&event(name, data)).await.context("the client left")?;
    }
    let end = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let end = format!("{:x}\r\n{end}\r\n0\r\n\r\n", end.len());

    Ok(stream.write_all(end.as_bytes()).await?)
}

fn event(name: &str, data: &str) -> Vec<u8> {
    let event = format!("event: {name}\ndata: {data},\"{}\":{}}}\n\n", wire::SENT, clock());

    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}
