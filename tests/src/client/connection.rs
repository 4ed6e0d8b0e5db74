//! Connections to the gate's two fronts.

use crate::client::Body;
use crate::identity::pki::ClientCertificate;
use crate::world::World;
use anyhow::Result;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// How a call travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// TLS and HTTP/2.
    Http2,
    /// TLS and HTTP/1.1.
    Http1,
    /// HTTP/1.1 on the plain front.
    Plain,
    /// HTTP/2 on the plain front, without asking first.
    Plain2,
}

impl Via {
    /// All ways.
    pub const ALL: [Self; 4] = [Self::Http2, Self::Http1, Self::Plain, Self::Plain2];

    /// Is it HTTP/2?
    pub fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Plain2)
    }
}

/// A connection on which calls are sent, one after the other.
#[derive(Debug)]
pub struct Connection {
    /// Where it comes from.
    pub source: Ipv4Addr,
    sender: Sender,
    cut: Cut,
}

#[derive(Debug)]
enum Sender {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

/// Cuts a connection when the last of these is dropped, whatever still travels on it.
#[derive(Debug, Clone)]
pub struct Cut {
    _driver: Arc<Driver>,
}

#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Cut {
    fn new(driver: JoinHandle<()>) -> Self {
        Self { _driver: Arc::new(Driver(driver)) }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A TCP connection from this address.
pub async fn tcp(from: Ipv4Addr, to: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;

    Ok(stream)
}

/// Opens a connection, which shows this certificate if it has TLS.
pub async fn open(
    world: &World,
    via: Via,
    from: Ipv4Addr,
    certificate: Option<&ClientCertificate>,
) -> Result<Connection> {
    match via {
        Via::Http1 | Via::Http2 => {
            let protocol = if via == Via::Http2 { "h2" } else { "http/1.1" };
            let connector =
                TlsConnector::from(world.authority.client_with(&[protocol], certificate)?);
            let stream = tcp(from, world.ports.tls).await?;
            let name = ServerName::try_from("localhost")?;
            speak(connector.connect(name, stream).await?, via, from).await
        }
        Via::Plain | Via::Plain2 => speak(tcp(from, world.ports.plain).await?, via, from).await,
    }
}

async fn speak<S>(stream: S, via: Via, source: Ipv4Addr) -> Result<Connection>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = TokioIo::new(stream);
    // The connection's own end is seen by whoever reads the answer.
    if via.is_http2() {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        let cut = Cut::new(tokio::spawn(async move { drop(connection.await) }));
        Ok(Connection { source, sender: Sender::Two(sender), cut })
    } else {
        let (sender, connection) = http1::handshake(stream).await?;
        let cut = Cut::new(tokio::spawn(async move { drop(connection.await) }));
        Ok(Connection { source, sender: Sender::One(sender), cut })
    }
}

impl Connection {
    /// Sends a call and waits for the answer's headers. The rest comes as long as the second half
    /// of what is returned is kept, or the connection.
    pub async fn send(&mut self, request: Request<Body>) -> Result<(Response<Incoming>, Cut)> {
        let response = match &mut self.sender {
            Sender::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };

        Ok((response, self.cut.clone()))
    }
}
