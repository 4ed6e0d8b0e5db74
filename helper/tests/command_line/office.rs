//! A gateway that knows all ways to sign in, and writes down what it was asked.

use crate::laptop::{Fallible, PAT};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub(crate) const ISSUER: &str = "https://issuer.test";

/// One request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
    /// The client's certificate, DER.
    pub(crate) peer: Option<Vec<u8>>,
}

/// What the gateway knows, and how it behaves.
pub(crate) struct Rules {
    pub(crate) modes: Vec<&'static str>,
    /// Seconds of a token that is not asked to be shorter.
    pub(crate) ttl: u64,
    /// The only session that is taken.
    pub(crate) session: Option<String>,
    rotations: u32,
    challenge: String,
    redirect_uri: String,
    /// What the browser is told the issuer is.
    pub(crate) issuer: Option<&'static str>,
    /// The person presses Cancel.
    pub(crate) cancels: bool,
    /// What comes to the loopback server before the right answer; its answers' first lines.
    pub(crate) noise: Vec<String>,
    pub(crate) heard: Vec<String>,
    /// Answers by path instead of the right ones: status line, refusal code, body.
    pub(crate) instead: HashMap<&'static str, (&'static str, &'static str, String)>,
    pub(crate) date: Option<String>,
    pub(crate) slow: Duration,
    pub(crate) asked: Vec<Asked>,
}

#[derive(Clone)]
pub(crate) struct Office {
    pub(crate) url: String,
    pub(crate) rules: Arc<Mutex<Rules>>,
}

impl Office {
    pub(crate) fn open(modes: &[&'static str]) -> Fallible<Self> {
        Self::start(modes, None)
    }

    pub(crate) fn start(modes: &[&'static str], tls: Option<Arc<ServerConfig>>) -> Fallible<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let url = match tls {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        };
        let rules = Arc::new(Mutex::new(Rules {
            modes: modes.to_vec(),
            ttl: 3600,
            session: None,
            rotations: 0,
            challenge: String::new(),
            redirect_uri: String::new(),
            issuer: Some(ISSUER),
            cancels: false,
            noise: Vec::new(),
            heard: Vec::new(),
            instead: HashMap::new(),
            date: None,
            slow: Duration::ZERO,
            asked: Vec::new(),
        }));
        let office = Self { url, rules };
        let server = office.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, tls) = (server.clone(), tls.clone());
                // A client that breaks off is its own affair.
                thread::spawn(move || server.connection(stream, tls).is_ok());
            }
        });

        Ok(office)
    }

    pub(crate) fn with(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.rules.lock().unwrap());
    }

    /// What was asked so far, such as `POST /v1/auth/cowork/pat`, without what stands before it.
    pub(crate) fn asked(&self) -> Vec<String> {
        let rules = self.rules.lock().unwrap();
        let short = |asked: &Asked| {
            format!("{} {}", asked.method, asked.path.replace("/v1/auth/cowork/", ""))
        };
        rules.asked.iter().map(short).collect()
    }

    pub(crate) fn last(&self) -> Asked {
        self.rules.lock().unwrap().asked.last().cloned().unwrap_or_default()
    }

    fn connection(&self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> Fallible {
        let Some(tls) = tls else { return self.serve(stream, |_| None) };
        let stream = StreamOwned::new(ServerConnection::new(tls)?, stream);

        self.serve(stream, |stream| {
            Some(stream.conn.peer_certificates()?.first()?.as_ref().to_vec())
        })
    }

    fn serve<S: Read + Write>(&self, stream: S, peer: impl Fn(&S) -> Option<Vec<u8>>) -> Fallible {
        let mut reader = BufReader::new(stream);
        let mut asked = head(&mut reader)?;
        let length = asked.headers.get("content-length").and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        asked.body = String::from_utf8(body)?;
        asked.peer = peer(reader.get_ref());
        let slow = self.rules.lock().unwrap().slow;
        thread::sleep(slow);
        let (status, headers, body) = self.answer(&asked);
        let date = self.rules.lock().unwrap().date.clone();
        let date = date.map(|date| format!("date: {date}\r\n")).unwrap_or_default();
        write!(
            reader.get_mut(),
            "HTTP/1.1 {status}\r\n{date}{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )?;
        reader.get_mut().flush()?;

        Ok(())
    }

    fn answer(&self, asked: &Asked) -> (String, String, String) {
        let mut rules = self.rules.lock().unwrap();
        rules.asked.push(asked.clone());
        let path = asked.path.trim_start_matches("/v1/auth/cowork/").to_owned();
        if let Some((status, code, body)) = rules.instead.get(path.as_str()) {
            return ((*status).into(), format!("x-tollgate-refusal: {code}\r\n"), body.clone());
        }
        let bearer = asked.headers.get("authorization").cloned().unwrap_or_default();
        let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        match (asked.method.as_str(), path.as_str()) {
            ("GET", "capabilities") => ok(&json!({ "modes": rules.modes })),
            ("POST", "pat") if bearer == format!("Bearer {PAT}") => ok(&rules.token(&body, "pat")),
            ("POST", "mtls") if asked.peer.is_some() => ok(&rules.token(&body, "mtls")),
            ("GET", "session/authorize") => {
                // The browser's other tabs come first.
                let (noise, to) = (rules.noise.clone(), asked.query["redirect_uri"].clone());
                drop(rules);
                let heard: Vec<_> = noise.iter().filter_map(|target| knock(&to, target)).collect();
                let mut rules = self.rules.lock().unwrap();
                rules.heard = heard;
                rules.authorize(asked)
            }
            ("POST", "session") if body.get("code").is_some() => rules.exchange(&body),
            ("POST", "session") => rules.refresh(&bearer, &body),
            ("DELETE", "session") => {
                let known = rules.session.take().is_some_and(|known| bearer.ends_with(&known));
                (
                    if known { "204 No Content" } else { "401 Unauthorized" }.into(),
                    String::new(),
                    String::new(),
                )
            }
            _ => refused("401 Unauthorized", "pat_unknown", "nobody knows this credential"),
        }
    }
}

impl Rules {
    fn token(&self, body: &Value, by: &str) -> Value {
        let claims = BASE64_URL_SAFE_NO_PAD.encode(json!({ "iss": ISSUER, "amr": by }).to_string());
        let ttl = body["ttl"].as_u64().unwrap_or(self.ttl).min(self.ttl);
        let headers: serde_json::Map<String, Value> = contract::headers::IDENTITY
            .iter()
            .map(|name| ((*name).to_owned(), by.into()))
            .collect();
        json!({ "token": format!("e.{claims}.TOKENCANARY"), "ttl": ttl, "headers": headers })
    }

    fn authorize(&mut self, asked: &Asked) -> (String, String, String) {
        let query = |name: &str| asked.query.get(name).cloned().unwrap_or_default();
        self.challenge = query("code_challenge");
        self.redirect_uri = query("redirect_uri");
        let mut to = form_urlencoded::Serializer::new(format!("{}?", self.redirect_uri));
        to.append_pair("state", &query("state"));
        if self.cancels {
            to.append_pair("error", "access_denied");
        } else {
            to.append_pair("code", "CODECANARY");
            if let Some(issuer) = self.issuer {
                to.append_pair("iss", issuer);
            }
        }
        ("303 See Other".into(), format!("location: {}\r\n", to.finish()), String::new())
    }

    fn exchange(&mut self, body: &Value) -> (String, String, String) {
        let verifier = body["code_verifier"].as_str().unwrap_or_default();
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        if body["code"] != "CODECANARY"
            || challenge != self.challenge
            || body["redirect_uri"] != self.redirect_uri.as_str()
        {
            return refused("401 Unauthorized", "code_unknown", "this code is not good");
        }
        self.challenge = String::new();
        self.rotated(body)
    }

    fn refresh(&mut self, bearer: &str, body: &Value) -> (String, String, String) {
        if self.session.as_ref().is_none_or(|known| bearer != format!("Bearer {known}")) {
            return refused("401 Unauthorized", "session_ended", "the session has ended");
        }
        self.rotated(body)
    }

    fn rotated(&mut self, body: &Value) -> (String, String, String) {
        self.rotations += 1;
        let session = secret(self.rotations);
        let mut token = self.token(body, "session");
        token["session"] = session.clone().into();
        token["session_expires_in"] = 28_800.into();
        self.session = Some(session);
        ok(&token)
    }
}

/// The secret of a session after so many rotations.
pub(crate) fn secret(rotation: u32) -> String {
    format!("tgs_0123456789ab_{}{rotation:03}", "CANARY".repeat(6) + "CANA")
}

pub(crate) fn refused(status: &str, code: &str, message: &str) -> (String, String, String) {
    let body = json!({
        "type": "error", "request_id": null,
        "error": { "type": "authentication_error", "message": message },
    });
    (status.into(), format!("x-tollgate-refusal: {code}\r\n"), body.to_string())
}

fn ok(body: &Value) -> (String, String, String) {
    ("200 OK".into(), String::new(), body.to_string())
}

fn head(reader: &mut impl BufRead) -> Fallible<Asked> {
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let mut asked = Asked { method, path: path.to_owned(), query, ..Asked::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { return Ok(asked) };
        asked.headers.insert(name.to_lowercase(), value.to_owned());
    }
}

/// Asks the loopback server for something, and hears the first line.
fn knock(redirect_uri: &str, target: &str) -> Option<String> {
    let host = redirect_uri.strip_prefix("http://")?.split('/').next()?;
    let mut stream = TcpStream::connect(host).ok()?;
    write!(stream, "GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n").ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    Some(line.trim_end().to_owned())
}
