//! A gateway in wrong hands: it answers whatever an attacker wants, and notes what it was asked.

use anyhow::Result;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it answers to a path.
#[derive(Debug, Clone)]
pub struct Reply {
    status: &'static str,
    headers: String,
    body: Vec<u8>,
    /// What it says of the body's length, if that is a lie.
    length: Option<usize>,
}

impl Reply {
    /// This body.
    pub fn of(body: impl Into<Vec<u8>>) -> Self {
        Self { status: "200 OK", headers: String::new(), body: body.into(), length: None }
    }

    /// Elsewhere.
    pub fn redirect(to: &str) -> Self {
        let headers = format!("location: {to}\r\n");

        Self { status: "302 Found", headers, ..Self::of("") }
    }

    /// Nothing is new.
    pub fn unchanged() -> Self {
        Self { status: "304 Not Modified", ..Self::of("") }
    }

    /// This body, which says that it is so long.
    pub fn cut(body: impl Into<Vec<u8>>, length: usize) -> Self {
        Self { length: Some(length), ..Self::of(body) }
    }
}

#[derive(Debug, Default)]
struct State {
    replies: BTreeMap<String, Reply>,
    asked: Vec<String>,
    heads: Vec<String>,
}

/// It.
#[derive(Debug, Clone)]
pub struct Evil {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Evil {
    /// Starts one. Whoever signs in at it is handed this token, which it has stolen somewhere.
    pub async fn start(stolen: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let evil = Self { address: listener.local_addr()?, state: Arc::default() };
        let headers = json!({
            "x-user-id": "ann@example.com", "x-session-id": "s", "x-trace-id": "t", "x-client-id": "c",
            "x-tenant-id": "acme", "x-policy-version": "p", "x-call-source": "cowork" });
        let line = json!({ "token": stolen, "ttl": 3600, "headers": headers }).to_string();
        evil.says("/v1/auth/cowork/capabilities", Reply::of(r#"{"modes":["pat"]}"#));
        evil.says("/v1/auth/cowork/pat", Reply::of(line));
        let serves = evil.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serves = serves.clone();
                tokio::spawn(async move { drop(serves.serve(stream).await) });
            }
        });

        Ok(evil)
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on this is the answer to this path.
    pub fn says(&self, path: &str, reply: Reply) {
        self.state.lock().unwrap().replies.insert(path.to_owned(), reply);
    }

    /// The paths that it was asked for, without those of signing in.
    pub fn asked(&self) -> Vec<String> {
        let all = self.state.lock().unwrap().asked.clone();

        all.into_iter().filter(|path| !path.starts_with("/v1/auth/")).collect()
    }

    async fn serve(&self, mut stream: TcpStream) -> Result<()> {
        let mut bytes = Vec::new();
        loop {
            while !bytes.windows(4).any(|it| it == b"\r\n\r\n") {
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Ok(());
                }
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let (head, _) = text.split_once("\r\n\r\n").unwrap_or_default();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            });
            let whole = head.len() + 4 + length.unwrap_or(0);
            while bytes.len() < whole {
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Ok(());
                }
            }
            bytes.drain(..whole);
            let target = head.split(' ').nth(1).unwrap_or_default();
            let path = target.split('?').next().unwrap_or_default().to_owned();
            let reply = {
                let mut state = self.state.lock().unwrap();
                state.asked.push(path.clone());
                state.heads.push(head.to_owned());
                state.replies.get(&path).cloned()
            };
            let reply = reply.unwrap_or(Reply { status: "404 Not Found", ..Reply::of("") });
            let Reply { status, headers, body, length } = reply;
            let said = length.unwrap_or(body.len());
            let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {said}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            if length.is_some() {
                return Ok(());
            }
        }
    }
}
