//! How stand-ins serve: HTTP/1.1 and HTTP/2, over TLS or without it.

use super::Broken;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::io;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Serves whoever comes. Without `tls` it speaks plain HTTP.
///
/// # Errors
/// If no connection can be accepted any more.
pub async fn serve<F, B>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
) -> io::Result<Infallible>
where
    F: Future<Output = Result<Response<B>, Broken>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Broken>> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(stream, tls.clone(), answer.clone()));
    }
}

/// Serves one connection. That it breaks off is what many tests want.
pub async fn connection<F, B>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    answer: impl Fn(Request<Incoming>) -> F + Send + 'static,
) where
    F: Future<Output = Result<Response<B>, Broken>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Broken>> + Send + 'static,
{
    drop(stream.set_nodelay(true));
    let service = service_fn(answer);
    let builder = auto::Builder::new(TokioExecutor::new());
    if let Some(tls) = tls {
        if let Ok(stream) = tls.accept(stream).await {
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        }
    } else {
        drop(builder.serve_connection(TokioIo::new(stream), service).await);
    }
}
