//! A laptop with the helper on it, and a tiny gateway.

use crate::office::Office;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub(crate) const PAT: &str = "tgp_0123456789ab_CANARYCANARYCANARYCANARYCANARYCANARYCANARYC";
pub(crate) const TOKEN: &str = "header.TOKENCANARY.signature";

pub(crate) type Fallible<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A gateway that answers every request with the same status and body, and counts.
pub(crate) struct Gateway {
    pub(crate) url: String,
    pub(crate) calls: Arc<AtomicUsize>,
}

impl Gateway {
    pub(crate) fn start(status: &'static str, body: String) -> Fallible<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        thread::spawn(move || -> std::io::Result<()> {
            for stream in listener.incoming() {
                let mut stream = stream?;
                let mut authorized = false;
                for line in BufReader::new(stream.try_clone()?).lines() {
                    let line = line?;
                    authorized |=
                        line.eq_ignore_ascii_case(&format!("authorization: Bearer {PAT}"));
                    if line.is_empty() {
                        break;
                    }
                }
                counter.fetch_add(1, Ordering::SeqCst);
                let status = if authorized { status } else { "400 No PAT" };
                write!(
                    stream,
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                )?;
            }
            Ok(())
        });

        Ok(Self { url, calls })
    }

    pub(crate) fn minting(ttl: u64) -> Fallible<Self> {
        Self::start("200 OK", answer(ttl))
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

pub(crate) fn answer(ttl: u64) -> String {
    let headers: serde_json::Map<String, serde_json::Value> =
        contract::headers::IDENTITY.iter().map(|name| ((*name).to_owned(), "x".into())).collect();
    serde_json::json!({ "token": TOKEN, "ttl": ttl, "headers": headers }).to_string()
}

pub(crate) fn refusal() -> String {
    r#"{"type":"error","error":{"type":"authentication_error","message":"this one was revoked"},"request_id":null}"#.into()
}

/// A laptop's home, and the helper in it.
pub(crate) struct Laptop {
    pub(crate) place: tempfile::TempDir,
}

impl Laptop {
    pub(crate) fn new() -> Fallible<Self> {
        Ok(Self { place: tempfile::tempdir()? })
    }

    pub(crate) fn logged_in(gateway: &Gateway) -> Fallible<Self> {
        let laptop = Self::new()?;
        let out = laptop.run(&["login", "--gateway", &gateway.url, "--pat", "-"], PAT)?;
        assert!(out.status.success(), "login: {}", text(&out.stderr));
        Ok(laptop)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.place.path().join("helper").join(name)
    }

    /// A file beside the helper's directory.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn run(&self, args: &[&str], stdin: &str) -> Fallible<Output> {
        self.run_with(&[], args, stdin)
    }

    pub(crate) fn run_with(
        &self,
        env: &[(&str, &str)],
        args: &[&str],
        stdin: &str,
    ) -> Fallible<Output> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate-helper"))
            .args(args)
            .env_clear()
            .env("TOLLGATE_HELPER_HOME", self.file(""))
            .env("TOLLGATE_HELPER_MACHINE_CONFIG", self.machine_file())
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut pipe) = child.stdin.take() {
            // A helper that ignores its input may be gone before it is written.
            let _gone = pipe.write_all(stdin.as_bytes()).is_err();
        }
        let out = child.wait_with_output()?;
        let told = text(&out.stderr);
        assert!(!told.contains("CANARY"), "a secret on stderr: {told}");
        if let Some("login" | "logout" | "status" | "doctor") = args.first().copied() {
            let told = text(&out.stdout);
            assert!(!told.contains("CANARY"), "a secret on stdout: {told}");
        }
        Ok(out)
    }

    pub(crate) fn bare(&self) -> Fallible<Output> {
        self.run(&[], "this is ignored\n")
    }

    /// A browser that follows where it is sent, as a program.
    pub(crate) fn browser(&self) -> Fallible<String> {
        let path = self.place.path().join("browser");
        let page = self.place.path().join("page");
        fs::write(&path, format!("#!/bin/sh\nexec curl -sL -o '{}' \"$1\"\n", page.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        Ok(path.display().to_string())
    }

    /// `login` in the browser.
    pub(crate) fn sign_in(&self, office: &Office, more: &[&str]) -> Fallible<Output> {
        let browser = self.browser()?;
        let args = [&["login", "--gateway", &office.url, "--timeout", "20"], more].concat();
        self.run_with(&[("TOLLGATE_HELPER_BROWSER", &browser)], &args, "")
    }

    pub(crate) fn machine_file(&self) -> PathBuf {
        self.place.path().join("machine.json")
    }

    /// What device management lays down.
    pub(crate) fn machine(&self, config: &serde_json::Value) -> Fallible {
        fs::write(self.machine_file(), config.to_string())?;
        Ok(fs::set_permissions(self.machine_file(), fs::Permissions::from_mode(0o644))?)
    }

    /// A file that only its owner can read.
    pub(crate) fn private(&self, name: &str, text: &str) -> Fallible<PathBuf> {
        let path = self.place.path().join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(path)
    }

    pub(crate) fn mode(&self, name: &str, mode: u32) -> Fallible {
        mode_of(&self.file(name), mode)
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The one line, read.
pub(crate) fn line(out: &Output) -> Fallible<serde_json::Value> {
    let stdout = text(&out.stdout);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(stdout.matches('\n').count(), 1, "exactly one line: {stdout:?}");
    assert!(stdout.ends_with('\n'));
    Ok(serde_json::from_str(&stdout)?)
}

/// Changes who may read and write a file.
pub(crate) fn mode_of(path: &Path, mode: u32) -> Fallible {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}
