//! Gets a document by HTTPS. Plain HTTP is for this machine alone.

use crate::siem::tls::{TlsError, connector};
use axum::http::{HeaderValue, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::fmt;
use std::path::Path;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longest document.
const LONGEST: usize = 1024 * 1024; // 1 MiB

/// How long one is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is none.
#[derive(Debug, Error)]
#[error("{address}: {why}")]
pub struct FetchError {
    address: String,
    why: String,
}

/// What gets them.
pub struct Fetch {
    tls: TlsConnector,
}

impl fmt::Debug for Fetch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Fetch")
    }
}

impl Fetch {
    /// Believes the authorities of this file, or the system's.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(ca: Option<&Path>) -> Result<Self, TlsError> {
        Ok(Self { tls: connector(ca)? })
    }

    /// Gets one. A redirect is none: who issues tokens says where their keys are.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn get(&self, address: &str) -> Result<Bytes, FetchError> {
        let failed = |why: String| FetchError { address: address.to_owned(), why };
        let got = timeout(PATIENCE, self.exchange(address));

        match got.await {
            Ok(got) => got.map_err(failed),
            Err(_) => Err(failed(format!("no answer in {} s", PATIENCE.as_secs()))),
        }
    }

    async fn exchange(&self, address: &str) -> Result<Bytes, String> {
        let uri: Uri = address.parse().map_err(|error| format!("no address: {error}"))?;
        let secure = uri.scheme_str() == Some("https");
        let host = uri.host().ok_or("no host in it")?.trim_matches(['[', ']']).to_owned();
        let here = matches!(&*host, "127.0.0.1" | "::1" | "localhost");
        let plain = uri.scheme_str() == Some("http") && here;
        if !secure && !plain {
            return Err("only https is asked".to_owned());
        }
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = TcpStream::connect((&*host, port)).await.map_err(|it| it.to_string())?;
        if !secure {
            return ask(stream, &uri).await;
        }
        let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
        let stream = self.tls.connect(name, stream).await.map_err(|it| it.to_string())?;

        ask(stream, &uri).await
    }
}

async fn ask<S>(stream: S, uri: &Uri) -> Result<Bytes, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // What broke is told to who waits for the answer.
        drop(connection.await);
    });
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = path.parse().or(Err("no path"))?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, host.parse().or(Err("no host"))?);
    headers.insert(header::USER_AGENT, HeaderValue::from_static("tollgate"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    if response.status() != StatusCode::OK {
        return Err(format!("answered {}", response.status()));
    }
    let body = Limited::new(response.into_body(), LONGEST).collect().await;

    Ok(body.map_err(|error| error.to_string())?.to_bytes())
}
