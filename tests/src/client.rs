//! Clients of the gate. Each call has a connection and a loopback address of its own, so that its
//! row can be found whatever became of the call.

use crate::identity::pki::ClientCertificate;
use crate::provider::script::Script;
use crate::world::World;
use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub mod answer;
pub mod connection;
pub mod raw;

use answer::{Answer, Open};
use connection::{Connection, Via};

/// What a call's body is sent as.
pub type Body = BoxBody<Bytes, Infallible>;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(40);

/// An address that no other call comes from.
pub fn source() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(1);

    Ipv4Addr::from_bits(0x7f01_0000 + NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A call that is being written.
#[derive(Debug, Clone)]
pub struct Call {
    /// How it travels.
    pub via: Via,
    /// Where it comes from.
    pub source: Ipv4Addr,
    /// The certificate it shows, over TLS.
    pub certificate: Option<ClientCertificate>,
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, in the pieces it is sent in.
    pub body: Vec<Bytes>,
    /// Trailers, if any.
    pub trailers: Option<HeaderMap>,
    /// Wait before each piece of the body.
    pub pause: Duration,
    /// Say how long the body is; else it is chunked.
    pub sized: bool,
}

/// A good body for this script.
pub fn body(script: &Script) -> Value {
    json!({
        "model": "claude-sonnet-4-5-20250929", "max_tokens": 64,
        "metadata": { "user_id": script.user_id() },
        "messages": [{ "role": "user", "content": "Say something." }],
    })
}

impl World {
    /// A good call of Ann's with this script, over TLS and HTTP/2.
    pub fn call(&self, script: &Script) -> Call {
        self.anonymous(script).bearer(&self.token())
    }

    /// The same without a credential.
    pub fn anonymous(&self, script: &Script) -> Call {
        let call = Call {
            via: Via::Http2,
            source: source(),
            certificate: None,
            method: Method::POST,
            path: "/v1/messages".to_owned(),
            headers: HeaderMap::new(),
            body: Vec::new(),
            trailers: None,
            pause: Duration::ZERO,
            sized: true,
        };

        call.header("content-type", "application/json")
            .header("anthropic-version", "2023-06-01")
            .header("user-agent", "e2e/1")
            .json(&body(script))
    }

    /// A call without a body.
    pub fn get(&self, path: &str) -> Call {
        let mut call = self.anonymous(&Script::new()).path(path);
        call.method = Method::GET;
        call.headers.clear();
        call.body.clear();
        call
    }
}

impl Call {
    /// By this way.
    pub fn via(mut self, via: Via) -> Self {
        self.via = via;
        self
    }

    /// Over a connection that shows this certificate.
    pub fn certificate(mut self, certificate: &ClientCertificate) -> Self {
        self.certificate = Some(certificate.clone());
        self
    }

    /// To this path.
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// With this method.
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    /// Without a header.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// With this token and no other.
    pub fn bearer(self, token: &str) -> Self {
        self.without("authorization").header("authorization", &format!("Bearer {token}"))
    }

    /// With this body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = vec![body.into()];
        self
    }

    /// With this body.
    pub fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    /// With one member of the body changed.
    pub fn member(self, name: &str, value: Value) -> Self {
        let mut body: Value = serde_json::from_slice(&self.body.concat()).unwrap();
        body[name] = value;
        self.json(&body)
    }

    /// Asking for a stream.
    pub fn streamed(self) -> Self {
        self.member("stream", json!(true))
    }

    /// With the body in pieces of this size, and a wait before each.
    pub fn pieces(mut self, size: usize, pause: Duration) -> Self {
        self.body = self.body.concat().chunks(size).map(Bytes::copy_from_slice).collect();
        self.pause = pause;
        self
    }

    /// With trailers. The body is then chunked.
    pub fn trailer(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.trailers.get_or_insert_default().insert(name, value);
        self.sized = false;
        self
    }

    fn request(self) -> Result<Request<Body>> {
        let Self { via, method, path, headers, body, trailers, pause, sized, .. } = self;
        // HTTP/2 takes scheme and authority from the URI, HTTP/1 the host from its header.
        let uri = if via.is_http2() { format!("https://localhost{path}") } else { path };
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        if !via.is_http2() && !headers.contains_key("host") {
            request = request.header("host", "localhost");
        }
        let length: usize = body.iter().map(Bytes::len).sum();
        if sized && length > 0 {
            request = request.header("content-length", length);
        }
        if sized && body.len() <= 1 {
            let whole = http_body_util::Full::new(body.concat().into());
            return Ok(request.body(whole.boxed())?);
        }
        let data = body.into_iter().map(Frame::data);
        let frames: Vec<Frame<Bytes>> = data.chain(trailers.map(Frame::trailers)).collect();
        let paced = stream::unfold(frames.into_iter(), move |mut frames| async move {
            let frame = frames.next()?;
            tokio::time::sleep(pause).await;
            Some((Ok::<_, Infallible>(frame), frames))
        });

        Ok(request.body(BodyExt::boxed(StreamBody::new(SyncStream::new(paced))))?)
    }

    /// Sends it, and returns as soon as the answer's headers are there.
    pub async fn open(self, world: &World) -> Result<Open> {
        let mut connection = self.connect(world).await?;

        self.open_on(&mut connection).await
    }

    /// Connects as it would, for several calls after each other.
    pub async fn connect(&self, world: &World) -> Result<Connection> {
        connection::open(world, self.via, self.source, self.certificate.as_ref()).await
    }

    /// Sends it on a connection that [`Call::connect`] made; the call's own way, address and certificate do not
    /// matter then.
    pub async fn open_on(self, connection: &mut Connection) -> Result<Open> {
        let source = connection.source;
        let response = connection.send(self.request()?);
        let (response, cut) =
            tokio::time::timeout(PATIENCE, response).await.context("no answer")??;

        Ok(Open::new(response, cut, source))
    }

    /// Sends it, and reads the answer to its end.
    pub async fn send(self, world: &World) -> Answer {
        let source = self.source;
        self.open(world).await.unwrap_or_else(|error| panic!("{source}: {error:#}")).read().await
    }

    /// Connects, sends it, and leaves after this time, whatever has come.
    pub async fn leave_after(self, world: &World, wait: Duration) {
        let mut connection = self.connect(world).await.unwrap();
        drop(tokio::time::timeout(wait, connection.send(self.request().unwrap())).await);
    }
}

/// A stream that several threads may hold, because only one at a time can poll it.
struct SyncStream<S>(std::sync::Mutex<std::pin::Pin<Box<S>>>);

impl<S> SyncStream<S> {
    fn new(stream: S) -> Self {
        Self(std::sync::Mutex::new(Box::pin(stream)))
    }
}

impl<S: stream::Stream> stream::Stream for SyncStream<S> {
    type Item = S::Item;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        self.get_mut().0.get_mut().unwrap().as_mut().poll_next(context)
    }
}
