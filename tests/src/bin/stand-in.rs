//! A model that is none: it answers the Messages API where no provider is configured, says so, and
//! streams word by word. `make run` starts it when there is no `ANTHROPIC_API_KEY`.

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Parser;
use e2e::provider::Broken;
use e2e::provider::model::{self, Asked};
use e2e::provider::script::{Script, Tool, Usage};
use e2e::provider::serve::serve;
use e2e::world::certificates;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::Value;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const WORDS: &str = "Hello! I am Tollgate's stand-in model: no provider is configured, so nobody \
    has thought about your question. But your call came all the way through the gate, was checked, \
    metered and written down. Set ANTHROPIC_API_KEY and start again to reach Claude.";

/// The pace of somebody who reads along.
const PACE: Duration = Duration::from_millis(40);

#[derive(Debug, Parser)]
#[command(about = "Answers the Messages API and says that it is no model")]
struct Arguments {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:7443")]
    listen: SocketAddr,
    /// Certificate chain, PEM
    #[arg(long, required_unless_present = "plain")]
    cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, required_unless_present = "plain")]
    key: Option<PathBuf>,
    /// Plain HTTP, for a look with curl
    #[arg(long)]
    plain: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let tls = match (&arguments.cert, &arguments.key) {
        (Some(cert), Some(key)) if !arguments.plain => {
            let (cert, key) = (std::fs::read(cert)?, std::fs::read(key)?);
            Some(TlsAcceptor::from(certificates::server(&cert, &key)?))
        }
        _ => None,
    };
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    eprintln!("stand-in: listening on {}", arguments.listen);

    match serve(listener, tls, answer).await? {}
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Broken> {
    let path = request.uri().path().to_owned();
    let body = request
        .into_body()
        .collect()
        .await
        .map_or(Bytes::new(), http_body_util::Collected::to_bytes);
    let asked = Asked::read(&body);
    let words: Vec<String> = WORDS.split_inclusive(' ').map(str::to_owned).collect();
    // Four characters are about one token.
    let tokens = |length: usize| u64::try_from(length / 4).unwrap_or(u64::MAX).max(1);
    let usage =
        Usage { input: tokens(body.len()), output: tokens(WORDS.len()), ..Usage::default() };

    let tools = wanted(&body).into_iter().collect();
    let script = Script { usage, tools, deltas: 1, ..Script::default() };

    let (status, kind, body) = match path.as_str() {
        "/v1/messages" if asked.streams() => {
            let events = stream::iter(model::events(&asked, &words, &script)).then(async |event| {
                tokio::time::sleep(PACE).await;
                Ok(Frame::data(event))
            });
            (
                StatusCode::OK,
                "text/event-stream; charset=utf-8",
                BodyExt::boxed(StreamBody::new(events)),
            )
        }
        "/v1/messages" => {
            (StatusCode::OK, "application/json", whole(&model::message(&asked, &words, &script)))
        }
        "/v1/messages/count_tokens" => {
            let counted = serde_json::json!({ "input_tokens": usage.input });
            (StatusCode::OK, "application/json", whole(&counted))
        }
        _ => (StatusCode::NOT_FOUND, "application/json", whole(&model::error(404))),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert("request-id", HeaderValue::from_static("req_stand_in"));

    Ok(response)
}

/// The tool that the turn asks for in so many words, `use the tool Bash {"command":"ls"}`, if the
/// client offers it. So an agent's loop can be looked at without a model.
fn wanted(body: &[u8]) -> Option<Tool> {
    static NEXT: AtomicU64 = AtomicU64::new(1);

    let body: Value = serde_json::from_slice(body).ok()?;
    let messages = body.get("messages")?.as_array()?;
    let turn = messages.iter().rev().take_while(|message| message["role"] != "assistant");
    let texts: Vec<&Value> = turn
        .filter_map(|message| message.get("content"))
        .flat_map(|content| {
            content.as_array().map_or_else(|| vec![content], |all| all.iter().collect())
        })
        .map(|block| block.get("text").unwrap_or(block))
        .collect();
    let asks = |text: &&Value| {
        text.as_str()?.split_once("use the tool ").map(|(_, asked)| asked.to_owned())
    };
    let asked = texts.iter().find_map(asks)?;
    let (name, arguments) = asked.split_once(' ')?;
    if !body.get("tools")?.as_array()?.iter().any(|tool| tool["name"] == name) {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(arguments).into_iter();
    let input: serde_json::Map<String, Value> = values.next()?.ok()?;
    let id = format!("toolu_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));

    Some(Tool::new(&id, name, &Value::from(input).to_string()))
}

fn whole(body: &Value) -> BoxBody<Bytes, Infallible> {
    Full::new(Bytes::from(body.to_string())).boxed()
}
