//! A token server (RFC 6749 §4.4, RFC 7523): it numbers its tokens, and gives them to whoever asks.

use super::serve::serve;
use super::{Body, Broken, json, locked};
use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json as value;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// How many tokens one gives at the most.
const MOST: usize = 200;

/// A token server that runs until the process ends.
#[derive(Debug, Clone)]
pub struct TokenServer {
    /// Where it listens.
    pub address: SocketAddr,
    notes: Arc<Notes>,
}

#[derive(Debug)]
struct Notes {
    name: &'static str,
    life: u64,
    dead: AtomicBool,
    asked: Mutex<Vec<Bytes>>,
    refused: Mutex<usize>,
}

impl TokenServer {
    /// Starts one whose tokens live so many seconds. Without `tls` it speaks plain HTTP.
    pub async fn start(
        name: &'static str,
        life: u64,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (dead, asked, refused) = (AtomicBool::new(false), Mutex::default(), Mutex::default());
        let notes = Arc::new(Notes { name, life, dead, asked, refused });
        let server = Self { address: listener.local_addr()?, notes };
        let this = server.clone();
        let answer = move |request| this.clone().answer(request);
        tokio::spawn(serve(listener, tls.map(TlsAcceptor::from), answer));

        Ok(server)
    }

    /// All tokens that one of this name gives.
    pub fn tokens(name: &str) -> Vec<String> {
        (0..MOST).map(|nth| token(name, nth)).collect()
    }

    /// The bodies of those who got a token.
    pub fn asked(&self) -> Vec<Bytes> {
        locked(&self.notes.asked).clone()
    }

    /// How many got none.
    pub fn refused(&self) -> usize {
        *locked(&self.notes.refused)
    }

    /// From now on nobody gets one.
    pub fn die(&self) {
        self.notes.dead.store(true, Ordering::SeqCst);
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
        let body = request.into_body().collect().await?.to_bytes();
        let notes = &self.notes;
        let nth = locked(&notes.asked).len();
        if notes.dead.load(Ordering::SeqCst) || nth >= MOST {
            *locked(&notes.refused) += 1;
            let told = value!({"error": "temporarily_unavailable"});
            return Ok(json(StatusCode::SERVICE_UNAVAILABLE, &told));
        }
        locked(&notes.asked).push(body);
        let token = token(notes.name, nth);
        let told =
            value!({"access_token": token, "expires_in": notes.life, "token_type": "Bearer"});

        Ok(json(StatusCode::OK, &told))
    }
}

fn token(name: &str, nth: usize) -> String {
    format!("{name}-marked-token-{nth}")
}
