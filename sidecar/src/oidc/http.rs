//! Requests to a provider: HTTP/1.1, one connection each; no redirect is followed, nothing long is read, nothing
//! is waited for long.

use crate::identity::check::secure_url;
use crate::siem::tls;
use axum::http::{HeaderValue, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use rustls::pki_types::ServerName;
use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

/// How long one request may take, connecting included.
const PATIENCE: Duration = Duration::from_millis(3_500);

/// Longest answer that is read. Key sets have a few kilobytes.
const LONGEST: usize = 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The address.
    #[error("its address {0}")]
    Address(&'static str),
    /// The network, or TLS.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("does not answer in {} s", .0.as_secs_f32())]
    Timeout(Duration),
}

fn unreachable(why: impl fmt::Display) -> HttpError {
    HttpError::Unreachable(why.to_string())
}

/// Asks.
#[derive(Clone)]
pub struct Http {
    tls: TlsConnector,
}

impl fmt::Debug for Http {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Http")
    }
}

impl Http {
    /// One that believes the system's authorities, or those of a file.
    ///
    /// # Errors
    /// [`tls::TlsError`].
    pub fn new(ca: Option<&Path>) -> Result<Self, tls::TlsError> {
        Ok(Self { tls: tls::connector(ca)? })
    }

    /// One exchange.
    ///
    /// # Errors
    /// [`HttpError`]. Whatever status comes is an answer.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.send_within(request, PATIENCE).await
    }

    /// One exchange that may take so long.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_within(
        &self,
        request: HttpRequest,
        patience: Duration,
    ) -> Result<HttpResponse, HttpError> {
        let asked = timeout(patience, self.exchange(request)).await;

        asked.unwrap_or(Err(HttpError::Timeout(patience)))
    }

    async fn exchange(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let url = secure_url(&request.uri().to_string()).map_err(HttpError::Address)?;
        let host = url.host_str().ok_or(HttpError::Address("is without a host"))?;
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_or_known_default().ok_or(HttpError::Address("is without a port"))?;
        *request.uri_mut() = target(&url)?;
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let authority = HeaderValue::try_from(authority).map_err(unreachable)?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, authority);
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("tollgate"));

        let stream = TcpStream::connect((&*bare, port)).await.map_err(unreachable)?;
        if url.scheme() != "https" {
            return ask(stream, request).await;
        }
        let name = ServerName::try_from(bare).map_err(unreachable)?;
        let stream = self.tls.connect(name, stream).await.map_err(unreachable)?;

        ask(stream, request).await
    }
}

fn target(url: &Url) -> Result<Uri, HttpError> {
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();

    format!("{}{query}", url.path()).parse().or(Err(HttpError::Address("is no URL")))
}

async fn ask<S>(stream: S, request: HttpRequest) -> Result<HttpResponse, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
    // Ends with this function.
    let mut driver = JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    let request = request.map(|body| Full::new(Bytes::from(body)));
    let (head, body) = sender.send_request(request).await.map_err(unreachable)?.into_parts();
    let body = Limited::new(body, LONGEST).collect().await.map_err(unreachable)?.to_bytes();

    Ok(HttpResponse::from_parts(head, body.to_vec()))
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
