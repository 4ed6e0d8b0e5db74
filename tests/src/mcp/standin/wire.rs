//! How the stand-in writes: JSON, or events in any style, in pieces, up to where a script says it goes wrong.

use super::script::{Fault, Script, Style};
use crate::provider::Broken;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use std::io::Write;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

/// A body of the stand-in's.
pub type Body = BoxBody<Bytes, Broken>;

/// How long what was written has to leave before the connection is broken behind it.
const LEAVES: Duration = Duration::from_millis(60);

/// One event of a stream.
pub fn event(style: &Style, id: Option<&str>, message: &Value) -> String {
    let end = if style.ends.is_empty() { "\n" } else { &style.ends };
    let colon = if style.tight { ":" } else { ": " };
    let mut text = String::new();
    let mut line = |name: &str, value: &str| text.extend([name, colon, value, end]);
    if style.noise {
        line("", "a comment"); // a line that begins with a colon is one
        line("retry", "50");
        line("unknown", "field");
    }
    if !style.nameless {
        line("event", "message");
    }
    if let Some(id) = id {
        line("id", id);
    }
    match message {
        Value::Null => line("data", ""),
        message if style.lines => {
            let pretty = serde_json::to_string_pretty(message).unwrap_or_default();
            pretty.lines().for_each(|part| line("data", part));
        }
        message => line("data", &message.to_string()),
    }
    text.push_str(end);
    if style.noise {
        text.extend([
            ":", " between", end, end, "event", colon, "ping", end, "data", colon, "{}", end, end,
        ]);
    }

    text
}

/// A stream of these messages, event for event.
pub fn events(style: &Style, messages: &[(Option<String>, Value)]) -> Vec<String> {
    let all = messages.iter().map(|(id, message)| event(style, id.as_deref(), message));
    let mut all: Vec<String> = all.collect();
    if style.mark
        && let Some(first) = all.first_mut()
    {
        first.insert(0, '\u{feff}');
    }
    if style.unfinished
        && let Some(last) = all.last_mut()
    {
        let shorter = last.trim_end_matches(['\r', '\n']).len();
        last.truncate(shorter);
    }

    all
}

/// An answer of these pieces.
pub fn answer(status: u16, kind: &str, pieces: &[String], script: &Script) -> Response<Body> {
    let status = if script.status == 0 { status } else { script.status };
    let whole = pieces.concat();
    let body = if script.gzip {
        Full::new(compressed(whole.as_bytes())).map_err(Into::into).boxed()
    } else if script.fault == Fault::None && script.cut == 0 && script.pause == 0 {
        Full::new(Bytes::from(whole)).map_err(Into::into).boxed()
    } else {
        paced(pieces, script)
    };

    headed(status, kind, body, script)
}

/// A stream that goes on until whoever writes it stops.
pub fn open(kind: &str, pieces: UnboundedReceiver<String>, script: &Script) -> Response<Body> {
    let pieces = stream::unfold(pieces, async |mut pieces| {
        let piece = pieces.recv().await?;
        Some((Ok::<_, Broken>(Frame::data(Bytes::from(piece))), pieces))
    });

    headed(200, kind, BodyExt::boxed(StreamBody::new(Box::pin(pieces))), script)
}

fn headed(status: u16, kind: &str, body: Body, script: &Script) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    let kind = script.content_type.as_deref().unwrap_or(kind);
    if !kind.is_empty()
        && let Ok(value) = HeaderValue::from_str(kind)
    {
        headers.insert(header::CONTENT_TYPE, value);
    }
    if script.gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    // What a server tells of itself, and what the client may see.
    headers.insert("server", HeaderValue::from_static("canary-server"));
    headers.insert("set-cookie", HeaderValue::from_static("session=canary-cookie"));
    headers.insert("x-tollgate-caller", HeaderValue::from_static("canary-caller"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    for (name, value) in &script.headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value))
        {
            headers.append(name, value);
        }
    }

    response
}

fn compressed(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();

    encoder.finish().unwrap().into()
}

/// What comes behind the last piece.
type End = std::pin::Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Broken>> + Send + Sync>>;

/// The pieces, or others of the size that the script says, up to where it goes wrong.
fn paced(pieces: &[String], script: &Script) -> Body {
    let mut left = match script.fault {
        Fault::ResetAfter(count) | Fault::SilentAfter(count) | Fault::EndAfter(count) => count,
        _ => usize::MAX,
    };
    let whole = [pieces.concat()];
    let (pieces, size) =
        if script.cut == 0 { (pieces, usize::MAX) } else { (&whole[..], script.cut) };
    let mut cut = Vec::new();
    for piece in pieces.iter().flat_map(|piece| piece.as_bytes().chunks(size)) {
        let piece = piece.get(..left).unwrap_or(piece);
        left -= piece.len();
        cut.push(Bytes::copy_from_slice(piece));
    }
    cut.retain(|piece| !piece.is_empty());
    let pieces = cut;
    let pause = Duration::from_millis(script.pause);
    let pieces = stream::iter(pieces).then(move |piece| async move {
        // Each piece in a packet of its own, as far as that can be had.
        tokio::task::yield_now().await;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Ok(Frame::data(piece))
    });
    let end: End = match script.fault {
        Fault::ResetAfter(_) => Box::pin(stream::once(async {
            tokio::time::sleep(LEAVES).await;
            Err("as the script says".into())
        })),
        Fault::SilentAfter(_) => Box::pin(stream::pending()),
        _ => Box::pin(stream::empty()),
    };

    BodyExt::boxed(StreamBody::new(pieces.chain(end)))
}
