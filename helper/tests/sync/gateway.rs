//! A gateway that serves a manifest, and laptops with the helper on them.

use crate::bench::{Bench, Release};
use contract::manifest::sha256;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use tollgate_helper::sync::places::{Os, Usual, below};

pub(crate) const PAT: &str = "tgp_0123456789ab_CANARYCANARYCANARYCANARYCANARYCANARYCANARYC";

/// How it behaves, and what it was asked.
#[derive(Default)]
pub(crate) struct Rules {
    pub(crate) envelope: Vec<u8>,
    pub(crate) archives: BTreeMap<String, Vec<u8>>,
    /// Instead of the manifest: a status line with headers, and a body.
    pub(crate) instead: Option<(&'static str, Vec<u8>)>,
    /// Breaks off each archive after so many bytes, so many times.
    pub(crate) breaks: (usize, usize),
    /// Answers a range with all of it.
    pub(crate) no_ranges: bool,
    /// Which token is taken; each sign-in makes the next.
    pub(crate) tokens: usize,
    pub(crate) first_good: usize,
    /// Takes nobody's credential any more; who has a browser may sign in with it.
    pub(crate) refuses: bool,
    pub(crate) asked: Vec<String>,
    pub(crate) reports: Vec<Value>,
}

#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) url: String,
    pub(crate) rules: Arc<Mutex<Rules>>,
}

struct Asked {
    line: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Gateway {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let gateway = Self { url, rules: Arc::default() };
        let server = gateway.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                thread::spawn(move || server.serve(stream));
            }
        });
        gateway
    }

    pub(crate) fn publish(&self, release: &Release) {
        let mut rules = self.rules.lock().unwrap();
        rules.envelope = release.envelope();
        rules.archives.extend(release.archives.clone());
    }

    pub(crate) fn with(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.rules.lock().unwrap());
    }

    /// What was asked since the last time, without signing in.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = std::mem::take(&mut self.rules.lock().unwrap().asked);
        asked.into_iter().filter(|line| !line.contains("/auth/")).collect()
    }

    fn serve(&self, mut stream: TcpStream) {
        let asked = read(&stream);
        let (head, body) = self.answer(&asked);
        let gone = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        let _client_gone = gone.and_then(|()| stream.flush()).is_err();
    }

    fn answer(&self, asked: &Asked) -> (String, Vec<u8>) {
        let mut rules = self.rules.lock().unwrap();
        rules.asked.push(asked.line.clone());
        let path = asked.line.split(' ').nth(1).unwrap_or_default().to_owned();
        if path.starts_with("/v1/auth/cowork/") {
            if path.contains("/capabilities") {
                let body = json!({ "modes": ["session", "pat"] });
                return plain("200 OK", body.to_string().into_bytes());
            }
            if rules.refuses {
                return plain(
                    "401 Unauthorized\r\nx-tollgate-refusal: pat_revoked",
                    b"{}".to_vec(),
                );
            }
            rules.tokens += 1;
            let headers: serde_json::Map<String, Value> = contract::headers::IDENTITY
                .iter()
                .map(|name| ((*name).to_owned(), "x".into()))
                .collect();
            let token = format!("token-{}", rules.tokens);
            let body = json!({ "token": token, "ttl": 3600, "headers": headers });
            return plain("200 OK", body.to_string().into_bytes());
        }
        let token = asked.headers.get("authorization").cloned().unwrap_or_default();
        let number: usize = token.trim_start_matches("Bearer token-").parse().unwrap_or(0);
        if number < rules.first_good.max(1) {
            return plain("401 Unauthorized", b"{}".to_vec());
        }
        match path.as_str() {
            "/v1/cowork/manifest" => {
                if let Some((status, body)) = &rules.instead {
                    return plain(status, body.clone());
                }
                let etag = format!("\"{}\"", sha256(&rules.envelope));
                if asked.headers.get("if-none-match") == Some(&etag) {
                    return plain("304 Not Modified", Vec::new());
                }
                plain(&format!("200 OK\r\netag: {etag}"), rules.envelope.clone())
            }
            "/v1/cowork/sync-report" => {
                rules.reports.push(serde_json::from_slice(&asked.body).unwrap());
                plain("204 No Content", Vec::new())
            }
            path => archive(&mut rules, path, asked),
        }
    }
}

fn archive(rules: &mut Rules, path: &str, asked: &Asked) -> (String, Vec<u8>) {
    let digest = path.trim_start_matches("/v1/cowork/plugins/");
    let Some(bytes) = rules.archives.get(digest).cloned() else {
        return plain("404 Not Found", Vec::new());
    };
    let range = asked.headers.get("range").filter(|_| !rules.no_ranges);
    let start: usize = range
        .map_or(0, |it| it.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap());
    if let Some(range) = range {
        rules.asked.push(format!("range {range}"));
    }
    let status = match range {
        Some(_) => format!(
            "206 Partial Content\r\ncontent-range: bytes {start}-{}/{}",
            bytes.len() - 1,
            bytes.len()
        ),
        None => "200 OK".to_owned(),
    };
    let rest = bytes[start..].to_vec();
    let (head, _) = plain(&status, rest.clone());
    if rules.breaks.1 > 0 && rest.len() > rules.breaks.0 {
        rules.breaks.1 -= 1;
        return (head, rest[..rules.breaks.0].to_vec());
    }
    (head, rest)
}

fn plain(status: &str, body: Vec<u8>) -> (String, Vec<u8>) {
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    (head, body)
}

fn read(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    let mut asked = Asked { line: String::new(), headers: HashMap::new(), body: Vec::new() };
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        match line.trim_end().split_once(": ") {
            Some((name, value)) if !asked.line.is_empty() => {
                asked.headers.insert(name.to_lowercase(), value.to_owned());
            }
            _ => asked.line = line.trim_end().replace(" HTTP/1.1", ""),
        }
        line.clear();
    }
    let length = asked.headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    asked.body = vec![0; length];
    let _gone = reader.read_exact(&mut asked.body).is_err();
    asked
}

/// A laptop on which it is installed, with somebody signed in.
pub(crate) struct Laptop {
    pub(crate) bench: Bench,
    pub(crate) gateway: Gateway,
}

impl Laptop {
    pub(crate) fn new() -> Self {
        let mut bench = Bench::new();
        bench.now = tollgate_helper::cache::now();
        let laptop = Self { bench, gateway: Gateway::start() };
        let config = json!({
            "gateway": { "url": laptop.gateway.url }, "store": "file", "sync": {},
        });
        laptop.configure(&config);
        let out = laptop.run(&["login", "--pat", PAT]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        laptop
    }

    /// One whose gateway has published version 5.
    pub(crate) fn with_a_release() -> (Self, Release) {
        let laptop = Self::new();
        let release = laptop.release(5);
        laptop.gateway.publish(&release);
        (laptop, release)
    }

    /// One on which it stands.
    pub(crate) fn standing() -> (Self, Release) {
        let (laptop, release) = Self::with_a_release();
        assert_eq!(laptop.fetch(&[]).0, 0);
        assert_eq!(laptop.apply().0, 0);
        laptop.bench.stands(&release);
        laptop.gateway.asked();
        (laptop, release)
    }

    pub(crate) fn configure(&self, config: &Value) {
        let path = below(Some(self.bench.place.path()), &Usual::of(Os::HERE).config);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, config.to_string()).unwrap();
        crate::bench::mode(&path, 0o644);
    }

    /// A release of now.
    pub(crate) fn release(&self, version: u64) -> Release {
        let now = self.bench.now;
        Release::usual(version).change(|it| {
            it.issued_at = now - 1000 + version;
            it.expires_at = now + 86_400;
        })
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.bench.place.path().join("home")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-helper"));
        command
            .args(args)
            .env_clear()
            .env("TOLLGATE_HELPER_HOME", self.home())
            .env("TOLLGATE_HELPER_ROOT", self.bench.place.path())
            .env("USERNAME", "ann") // by which Windows names an inbox
            .stdin(Stdio::null());
        // Without it Windows has no sockets.
        if let Some(root) = std::env::var_os("SystemRoot") {
            command.env("SystemRoot", root);
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let out = self.command(args).output().unwrap();
        for told in [&out.stdout, &out.stderr] {
            let told = text(told);
            assert!(!told.contains("CANARY"), "a secret is told: {told}");
            assert!(args == ["token"] || !told.contains("token-"), "a token is told: {told}");
        }
        out
    }

    /// Fetches without waiting; its exit code and what it said.
    pub(crate) fn fetch(&self, more: &[&str]) -> (i32, String) {
        let out = self.run(&[&["sync", "fetch", "--wait", "0"], more].concat());
        assert!(out.stdout.is_empty());
        (out.status.code().unwrap(), text(&out.stderr))
    }

    pub(crate) fn apply(&self) -> (i32, String) {
        let out = self.run(&["sync", "apply"]);
        (out.status.code().unwrap(), text(&out.stderr))
    }

    /// The person's inbox.
    #[cfg(unix)]
    pub(crate) fn inbox(&self) -> PathBuf {
        self.bench.inbox(&rustix::process::geteuid().as_raw().to_string())
    }

    #[cfg(not(unix))]
    pub(crate) fn inbox(&self) -> PathBuf {
        // Under a name that nobody can guess.
        let entries = fs::read_dir(&self.bench.settings.inbox).unwrap();
        let drawn = entries.map(|it| it.unwrap().path()).find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("annu-"))
        });
        drawn.unwrap_or_else(|| self.bench.inbox("annu-none"))
    }

    /// What the gateway was told last.
    pub(crate) fn told(&self) -> Value {
        self.gateway.rules.lock().unwrap().reports.last().cloned().unwrap_or_default()
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
