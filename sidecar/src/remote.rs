//! A command that a sidecar elsewhere does: over its Unix socket, or through the gateway with an operator's token.

use crate::args::{Args, Command};
use crate::failure::Failure;
use crate::operators::desk::{Answer, Asked};
use crate::screen::{STDIN, Screen};
use crate::settings::Data;
use crate::siem::address::Address;
use crate::siem::tls;
use axum::http::{Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Where a package puts the socket that everybody may open.
const COMMON: &str = "/run/tollgate/operator.sock";

/// The variable with an operator's token.
const TOKEN: &str = "TOLLGATE_OPERATOR_TOKEN";

/// Longest answer, bytes: what is printed, escaped.
const LARGEST: usize = 64 * 1024 * 1024;

/// How long an answer is awaited; a verification reads every row.
const PATIENCE: Duration = Duration::from_mins(11);

/// Where a command is done, if not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At a Unix socket.
    Socket(PathBuf),
    /// Behind a gateway.
    Server(String, Option<PathBuf>),
}

/// Where this one is done. Who cannot open the data directory is sent to the socket, and told so.
pub fn place(args: &Args, data: &Data, screen: &mut Screen) -> Option<Place> {
    if let Some(path) = &args.socket {
        return Some(Place::Socket(path.clone()));
    }
    if let Some(url) = &args.server {
        return Some(Place::Server(url.clone(), args.ca.clone()));
    }
    let closed = std::fs::read_dir(data.root())
        .is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    if !closed || matches!(args.command, Command::Serve(_)) {
        return None;
    }
    let common = PathBuf::from(COMMON);
    let path = if common.exists() { common } else { data.operator_socket() };
    screen.say(&format!(
        "{} is closed to you: asking the sidecar at {}",
        data.root().display(),
        path.display()
    ));

    Some(Place::Socket(path))
}

/// Has it done, prints what came back, and gives its exit code.
///
/// # Errors
/// [`Failure`], if nothing came back.
pub async fn run(place: &Place, line: &[OsString], screen: &mut Screen) -> Result<u8, Failure> {
    let args = words(line)?;
    let stdin = if args.iter().any(|word| word == STDIN) {
        String::from_utf8(screen.stdin()?)
            .map_err(|_bad| Failure::Refused("standard input is not UTF-8".into()))?
    } else {
        String::new()
    };
    let body = serde_json::to_vec(&Asked { args, stdin })?;
    let (status, bytes) = match timeout(PATIENCE, ask(place, body)).await {
        Ok(answer) => answer?,
        Err(_elapsed) => return Err(Failure::Refused("the sidecar does not answer".into())),
    };
    if status != StatusCode::OK {
        return Err(Failure::Refused(refusal(status, &bytes)));
    }
    let answer: Answer = serde_json::from_slice(&bytes)?;
    if !answer.stderr.is_empty() {
        screen.say(answer.stderr.trim_end_matches('\n'));
    }
    screen.print(&answer.stdout)?;

    Ok(answer.exit)
}

/// The command without what only says where it is done.
fn words(line: &[OsString]) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    let mut rest = line.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
    let mut json = false;
    while let Some(word) = rest.next() {
        let name = word.split('=').next().unwrap_or_default();
        match name {
            "--socket" | "--server" | "--ca" | "--data" | "--database" | "--read-database" => {
                if !word.contains('=') {
                    rest.next();
                }
            }
            "--json" => json = true,
            _ => {
                words.push(word);
                words.extend(rest.by_ref());
            }
        }
    }
    if words.is_empty() {
        return Err(Failure::Refused("which command?".into()));
    }
    if json {
        words.push("--json".to_owned());
    }

    Ok(words)
}

async fn ask(place: &Place, body: Vec<u8>) -> Result<(StatusCode, Bytes), Failure> {
    match place {
        Place::Socket(path) => {
            let stream = UnixStream::connect(path).await.map_err(|error| {
                let why = format!("cannot reach a sidecar at {}: {error}", path.display());
                Failure::Refused(why)
            })?;
            send(stream, "localhost", "/v1/operator", None, body).await
        }
        Place::Server(url, ca) => {
            let cannot = |why: &dyn std::fmt::Display| Failure::Refused(format!("{url}: {why}"));
            let address = Address::parse(url, false).map_err(|why| cannot(&why))?;
            let address = address.with_path("/v1/operator");
            let token = token(url).await?;
            let stream = TcpStream::connect((&*address.host, address.port)).await;
            let stream = stream.map_err(|error| cannot(&error))?;
            let (host, target) = (address.authority(), address.target.clone());
            if !address.tls {
                return send(stream, &host, &target, Some(&token), body).await;
            }
            let name = ServerName::try_from(address.host.clone()).map_err(|bad| cannot(&bad))?;
            let tls = tls::connector(ca.as_deref()).map_err(|error| cannot(&error))?;
            let stream = tls.connect(name, stream).await.map_err(|error| cannot(&error))?;
            send(stream, &host, &target, Some(&token), body).await
        }
    }
}

async fn send<S>(
    stream: S,
    host: &str,
    target: &str,
    token: Option<&str>,
    body: Vec<u8>,
) -> Result<(StatusCode, Bytes), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: &dyn std::fmt::Display| Failure::Refused(format!("no answer: {error}"));
    let (mut sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(target)
        .header(header::HOST, host)
        .header(header::USER_AGENT, "tollgate")
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(|error| broken(&error))?;
    let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LARGEST).collect().await;

    Ok((status, body.map_err(|error| broken(&error))?.to_bytes()))
}

/// An operator's token for this gateway: from the environment, or of the helper, which gives it for no other.
async fn token(url: &str) -> Result<String, Failure> {
    if let Ok(token) = std::env::var(TOKEN) {
        return Ok(token.trim().to_owned());
    }
    let asked = tokio::process::Command::new("tollgate-helper")
        .args(["token", "--audience", "operator", "--gateway", url])
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .await;
    match asked {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(_) => {
            Err(Failure::Refused("tollgate-helper gave no token: what it said is above".into()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure::Refused(format!(
            "an operator's token is needed: {TOKEN}, or `tollgate-helper login` on this machine"
        ))),
        Err(error) => Err(Failure::Refused(format!("tollgate-helper cannot be run: {error}"))),
    }
}

/// The gateway's sentence, if it has one.
fn refusal(status: StatusCode, bytes: &[u8]) -> String {
    let told: Option<Value> = serde_json::from_slice(bytes).ok();
    let message = told.as_ref().and_then(|told| told.pointer("/error/message")?.as_str());

    match message {
        Some(message) => format!("{message} ({})", status.as_u16()),
        None => format!("the answer was {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_where_is_not_sent() {
        let sent = |line: &str| {
            let line: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            words(&line).map(|words| words.join(" ")).ok()
        };

        for line in [
            "tollgate --server https://x --ca a.pem user add a@b --tenant t",
            "tollgate --socket=/run/x user add a@b --tenant t",
            "tollgate --data /d user add a@b --tenant t",
        ] {
            assert_eq!(sent(line).as_deref(), Some("user add a@b --tenant t"), "{line}");
        }
        assert_eq!(sent("tollgate --json user list").as_deref(), Some("user list --json"));
        assert_eq!(sent("tollgate --json"), None);
    }
}
