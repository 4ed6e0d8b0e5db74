//! A stand-in for an MCP server: it obeys the script in a request, writes down what it received, and refuses loudly what
//! must never reach a server. It speaks both eras: sessions with streams (until 2025-11-25), and requests that stand for
//! themselves (2026-07-28). It says of itself that it is a stand-in.

use crate::provider::Broken;
use anyhow::{Context, Result};
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

mod answers;
pub mod fixtures;
pub mod methods;
pub mod script;
pub mod seen;
mod sessions;
mod wire;

use methods::Offer;
use script::Script;
use seen::Seen;
use sessions::Sessions;
use wire::Body;

/// How a stand-in is.
#[expect(clippy::struct_excessive_bools, reason = "each is one thing a server may be")]
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; port 0 is any.
    pub listen: SocketAddr,
    /// The value of `authorization` that must arrive; without, none may.
    pub credential: Option<String>,
    /// What it has to offer.
    pub offer: Offer,
    /// Does it answer requests of the legacy era with streams, as most servers do?
    pub streams: bool,
    /// Has it sessions in the legacy era?
    pub sessions: bool,
    /// Does it speak the era of sessions?
    pub legacy: bool,
    /// Does it speak the stateless era?
    pub modern: bool,
    /// Do clients speak with it directly? Then what a gateway would have taken away may arrive.
    pub direct: bool,
    /// Does it refuse what a browser was lured to send: a host or an origin that is not local?
    pub local: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 0).into(),
            credential: None,
            offer: Offer::default(),
            streams: true,
            sessions: true,
            legacy: true,
            modern: true,
            direct: false,
            local: false,
        }
    }
}

/// One that runs until the process ends.
#[derive(Debug, Clone)]
pub struct Standin {
    /// Where it listens.
    pub address: SocketAddr,
    notes: Arc<Notes>,
}

#[derive(Debug)]
struct Notes {
    settings: Settings,
    offer: Mutex<Offer>,
    sessions: Sessions,
    standing: Mutex<HashMap<String, Script>>,
    seen: Mutex<Vec<Seen>>,
    never: Mutex<Vec<String>>,
    violations: Mutex<Vec<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Standin {
    /// Starts one. Without `tls` it speaks plain HTTP.
    pub async fn start(settings: Settings, tls: Option<Arc<rustls::ServerConfig>>) -> Result<Self> {
        let listener = TcpListener::bind(settings.listen).await.context("the stand-in's port")?;
        let notes = Notes {
            offer: Mutex::new(settings.offer.clone()),
            settings,
            sessions: Sessions::default(),
            standing: Mutex::default(),
            seen: Mutex::default(),
            never: Mutex::default(),
            violations: Mutex::default(),
        };
        let standin = Self { address: listener.local_addr()?, notes: Arc::new(notes) };
        tokio::spawn(standin.clone().serve(listener, tls.map(TlsAcceptor::from)));

        Ok(standin)
    }

    /// Its address for clients that speak with it directly.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// What arrived with this script.
    pub fn seen(&self, script: &Script) -> Vec<Seen> {
        let is_same = |seen: &Seen| seen.script.as_ref().is_some_and(|known| known.id == script.id);

        self.all().into_iter().filter(is_same).collect()
    }

    /// Everything that arrived.
    pub fn all(&self) -> Vec<Seen> {
        locked(&self.notes.seen).clone()
    }

    /// What must never have arrived, and did.
    pub fn violations(&self) -> Vec<String> {
        locked(&self.notes.violations).clone()
    }

    /// Forgets violations that a test provoked.
    pub fn forgive(&self) {
        locked(&self.notes.violations).clear();
    }

    /// No header may ever carry this: a client's token.
    pub fn never(&self, secret: &str) {
        locked(&self.notes.never).push(secret.to_owned());
    }

    /// What it does from now on with requests of this method that bring no script: for clients that cannot send one.
    pub fn always(&self, method: &str, script: Script) {
        locked(&self.notes.standing).insert(method.to_owned(), script);
    }

    /// Changes the description of a tool, as a server may at any time.
    pub fn describe(&self, tool: &str, description: &str) {
        let mut offer = locked(&self.notes.offer);
        offer.descriptions.insert(tool.to_owned(), description.to_owned());
    }

    /// The ids of its sessions.
    pub fn sessions(&self) -> Vec<String> {
        self.notes.sessions.ids()
    }

    /// Sends a message on a session's own stream.
    pub fn push(&self, session: &str, message: Value) {
        self.notes.sessions.push(session, message);
    }

    /// Ends a session's own stream in good order.
    pub fn hang_up(&self, session: &str) {
        self.notes.sessions.hang_up(session);
    }

    /// Forgets a session, as a server does that was started anew.
    pub fn forget(&self, session: &str) {
        self.notes.sessions.end(session);
    }

    async fn serve(self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        while let Ok((stream, _)) = listener.accept().await {
            let (this, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                drop(stream.set_nodelay(true));
                let service = service_fn(move |request| this.clone().answer(request));
                let builder = auto::Builder::new(TokioExecutor::new());
                // A connection that breaks off is what many tests want.
                if let Some(tls) = tls {
                    if let Ok(stream) = tls.accept(stream).await {
                        drop(builder.serve_connection(TokioIo::new(stream), service).await);
                    }
                } else {
                    drop(builder.serve_connection(TokioIo::new(stream), service).await);
                }
            });
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
        let mut seen = Seen::read(request).await;
        let settings = &self.notes.settings;
        let never = locked(&self.notes.never).clone();
        let violations = if settings.direct {
            Vec::new()
        } else {
            seen.violations(settings.credential.as_deref(), &never)
        };
        if seen.script.is_none() {
            seen.script = locked(&self.notes.standing).get(seen.rpc()).cloned();
        }
        locked(&self.notes.seen).push(seen.clone());
        if !violations.is_empty() {
            let text = violations.join("; ");
            locked(&self.notes.violations).extend(violations);
            let body = [json!({ "e2e": text }).to_string()];
            return Ok(wire::answer(418, "application/json", &body, &Script::default()));
        }
        if settings.local && !is_local(&seen) {
            return Ok(wire::answer(
                403,
                "text/plain",
                &["Not local".to_owned()],
                &Script::default(),
            ));
        }

        match seen.method {
            Method::POST => self.posted(&seen).await,
            _ if seen.is_modern() => Ok(refused(405, -32000, "Method Not Allowed", &Value::Null)),
            Method::GET => Ok(self.listened(&seen)),
            Method::DELETE => Ok(match self.session(&seen) {
                Ok(session) => {
                    self.notes.sessions.end(&session);
                    wire::answer(200, "", &[], &Script::default())
                }
                Err(refusal) => *refusal,
            }),
            _ => Ok(refused(405, -32000, "Method Not Allowed", &Value::Null)),
        }
    }

    /// The session that a request names, which there has to be; empty where there are none.
    fn session(&self, seen: &Seen) -> Result<String, Box<Response<Body>>> {
        let refused = |status, text| Err(Box::new(refused(status, -32000, text, &Value::Null)));
        if !self.notes.settings.sessions {
            return Ok(String::new());
        }
        match seen.header("mcp-session-id") {
            None => refused(400, "Bad Request: Missing session ID"),
            Some(id) if !self.notes.sessions.knows(id) => refused(404, "Session not found"),
            Some(id) => Ok(id.to_owned()),
        }
    }
}

/// An error of JSON-RPC with a status of HTTP.
fn refused(status: u16, code: i64, text: &str, id: &Value) -> Response<Body> {
    let body = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": text } });

    wire::answer(status, "application/json", &[body.to_string()], &Script::default())
}

/// Are host and origin of this machine?
fn is_local(seen: &Seen) -> bool {
    let host = |text: &str| {
        let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
        ["127.0.0.1", "localhost", "[::1]"].contains(&host)
    };
    let origin = seen.header("origin").is_none_or(|origin| {
        origin.split_once("://").is_some_and(|(_, authority)| host(authority))
    });

    origin && host(&seen.authority)
}
