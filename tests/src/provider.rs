//! A provider of the Messages API that obeys the script in a call, writes down what it received,
//! and refuses loudly what must never reach a provider.

use crate::provider::script::{Fault, Script};
use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub mod script;
pub mod model;
pub mod seen;
mod log;
pub mod serve;
pub mod clouds;
pub mod openai;
pub mod tokens;

use log::Log;
use seen::Seen;

/// What goes wrong while a body is sent; also the error type of its bodies.
pub type Broken = Box<dyn std::error::Error + Send + Sync>;

type Body = BoxBody<Bytes, Broken>;

/// How long a piece has to leave before the connection is broken behind it.
const LEAVES: Duration = Duration::from_millis(60);

/// A provider that runs until the process ends.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Where it listens.
    pub address: SocketAddr,
    notes: Arc<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    name: String,
    authority: String,
    key: String,
    /// Does it speak chat completions instead of the Messages API?
    completes: bool,
    log: Log,
    unborn: AtomicUsize,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Provider {
    /// Starts one that expects this key. Without `tls` it speaks plain HTTP.
    pub async fn start(
        listen: SocketAddr,
        key: &str,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Result<Self> {
        Self::start_as("anthropic", "api.anthropic.com", listen, key, tls).await
    }

    /// The same under another name, by which scripts know it, and that is called by another host's name.
    pub async fn start_as(
        name: &str,
        authority: &str,
        listen: SocketAddr,
        key: &str,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Result<Self> {
        let own = |text: &str| text.to_owned();
        let notes =
            Notes { name: own(name), authority: own(authority), key: own(key), ..Notes::default() };

        Self::speaking(listen, notes, tls).await
    }

    async fn speaking(
        listen: SocketAddr,
        notes: Notes,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Result<Self> {
        let listener = TcpListener::bind(listen).await.context("the provider's port")?;
        let provider = Self { address: listener.local_addr()?, notes: Arc::new(notes) };
        tokio::spawn(provider.clone().serve(listener, tls.map(TlsAcceptor::from)));

        Ok(provider)
    }

    /// What arrived with this script.
    pub fn seen(&self, script: &Script) -> Vec<Seen> {
        self.notes.log.seen(script)
    }

    /// Everything that arrived.
    pub fn all(&self) -> Vec<Seen> {
        self.notes.log.all()
    }

    /// What must never have arrived, and did.
    pub fn violations(&self) -> Vec<String> {
        self.notes.log.violations()
    }

    /// Forgets violations that a test provoked.
    pub fn forgive(&self) {
        self.notes.log.forgive();
    }

    /// The next so many connections end before they begin.
    pub fn refuse_connections(&self, count: usize) {
        self.notes.unborn.store(count, Ordering::SeqCst);
    }

    async fn serve(self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        while let Ok((stream, _)) = listener.accept().await {
            let refused = self
                .notes
                .unborn
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok();
            if refused {
                continue;
            }
            let this = self.clone();
            let answer = move |request| this.clone().answer(request);
            tokio::spawn(serve::connection(stream, tls.clone(), answer));
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
        let seen = Seen::read(request).await;
        let completes = self.notes.completes;
        let violations = if completes {
            openai::violations(&seen, &self.notes.key)
        } else {
            seen.violations(&self.notes.key, &self.notes.authority)
        };
        let script = seen.script.clone().unwrap_or_else(Script::new).at(&self.notes.name);
        if let Some(answer) = self.notes.log.enter(&seen, &script, violations).await? {
            return Ok(answer);
        }

        Ok(if completes { openai::scripted(&seen, &script) } else { scripted(&seen, &script) })
    }
}

/// What every answer carries: what the client may see, and what it may not.
fn provider_headers(headers: &mut HeaderMap, script: &Script) {
    for (name, value) in [
        ("anthropic-organization-id", "canary-organization"),
        ("anthropic-workspace-id", "canary-workspace"),
        ("anthropic-ratelimit-requests-remaining", "41"),
        ("anthropic-ratelimit-tokens-reset", "2026-11-21T00:00:00Z"),
        ("anthropic-priority-input-tokens-limit", "7"),
        ("set-cookie", "__cf_bm=canary-cookie"),
        ("server", "canary-server"),
        ("via", "1.1 canary-via"),
        ("cf-ray", "canary-ray"),
        ("x-envoy-upstream-service-time", "12"),
        ("x-tollgate-caller", r#"{"tenant_id":"canary-tenant","user_id":"canary-user"}"#),
        ("x-tollgate-row", "none"),
        ("x-request-id", "canary-request-id"),
        ("x-trace-id", "canary-trace-id"),
        ("x-passes", "yes"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    headers.insert(
        "request-id",
        HeaderValue::from_str(&format!("req_{}", script.id))
            .unwrap_or(HeaderValue::from_static("?")),
    );
}

fn json(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
    let body = Full::new(Bytes::from(body.to_string())).map_err(Into::into).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));

    response
}

fn scripted(seen: &Seen, script: &Script) -> Response<Body> {
    let asked = model::Asked::read(&seen.body);
    let words: Vec<String> = (0..script.words.max(1)).map(|nth| format!("word{nth} ")).collect();
    let status = StatusCode::from_u16(script.status).unwrap_or(StatusCode::OK);
    let (kind, pieces) = if status != StatusCode::OK {
        ("application/json", vec![Bytes::from(model::error(status.as_u16()).to_string())])
    } else if seen.method != Method::POST {
        ("application/json", vec![Bytes::from_static(b"{}")])
    } else if seen.path.starts_with("/v1/messages/count_tokens") {
        let body = serde_json::json!({ "input_tokens": script.usage.input });
        ("application/json", vec![Bytes::from(body.to_string())])
    } else if asked.streams() {
        ("text/event-stream; charset=utf-8", model::events(&asked, &words, script))
    } else {
        let body = model::message(&asked, &words, script).to_string();
        let size = if script.cut == 0 { body.len() } else { script.cut };
        ("application/json", body.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect())
    };
    let pieces = if script.gzip { vec![compressed(&pieces.concat())] } else { pieces };

    let mut response = Response::new(paced(pieces, script));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if script.gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if matches!(status.as_u16(), 429 | 529) {
        let seconds = if script.retry_after == 0 { 17 } else { script.retry_after };
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    provider_headers(headers, script);

    response
}

fn compressed(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();

    encoder.finish().unwrap().into()
}

/// The pieces, one after the other, up to where the script says it goes wrong.
fn paced(pieces: Vec<Bytes>, script: &Script) -> Body {
    let pause = Duration::from_millis(script.pause);
    let limit = match script.fault {
        Fault::ResetAfter(count)
        | Fault::ResetAfterSilence(count, _)
        | Fault::SilentAfter(count)
        | Fault::EndAfter(count) => count,
        _ => pieces.len(),
    };
    let pieces = stream::iter(pieces.into_iter().take(limit)).then(move |piece| async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Ok(Frame::data(piece))
    });
    let end: std::pin::Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Broken>> + Send + Sync>> =
        match script.fault {
            Fault::ResetAfter(_) => Box::pin(stream::once(async {
                tokio::time::sleep(LEAVES).await;
                Err("as the script says".into())
            })),
            Fault::SilentAfter(_) => Box::pin(stream::pending()),
            Fault::ResetAfterSilence(_, millis) => Box::pin(stream::once(async move {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Err("as the script says".into())
            })),
            _ if script.trailers => Box::pin(stream::once(async {
                let mut trailers = HeaderMap::new();
                for name in ["x-trailer", "anthropic-organization-id", "x-tollgate-caller"] {
                    trailers.insert(name, HeaderValue::from_static("canary-trailer"));
                }
                Ok(Frame::trailers(trailers))
            })),
            _ => Box::pin(stream::empty()),
        };

    BodyExt::boxed(StreamBody::new(pieces.chain(end)))
}
