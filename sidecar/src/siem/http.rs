//! One connection to one service, HTTP/1.1: made when needed, kept while it lasts.

use super::answer::{Answer, Trouble, judge, retry_after};
use super::config::{self, Scheme};
use super::secret::Secret;
use super::tls;
use super::vendor::Vendor;
use crate::counters::Reason;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io::{self, Write};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longest answer that is read: one of Elasticsearch tells something of each row.
const LONGEST_ANSWER: usize = 8 * 1024 * 1024; // 8 MiB

/// A service that takes rows.
pub struct Service {
    config: config::Http,
    vendor: Vendor,
    headers: HeaderMap,
    secret: Option<Secret>,
    tls: Option<TlsConnector>,
    connection: Option<Connection>,
}

/// What is sent by it, and the task that moves the bytes: it ends with this.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

struct Reply {
    status: u16,
    after: Option<String>,
    body: Bytes,
}

impl Service {
    /// A service, not called yet.
    ///
    /// # Errors
    /// What of its files is not as it must be.
    pub fn new(config: config::Http, vendor: Vendor) -> anyhow::Result<Self> {
        let ca = config.ca.as_deref();
        let tls = config.address.tls.then(|| tls::connector(ca)).transpose()?;
        let mut headers: HeaderMap = vendor.headers().into_iter().collect();
        headers.insert(header::HOST, config.address.authority().parse()?);
        headers.insert(header::USER_AGENT, HeaderValue::from_static("tollgate"));
        let mut service = Self { config, vendor, headers, secret: None, tls, connection: None };
        service.read_token()?;

        Ok(service)
    }

    /// Reads the credential, anew where it was refused: it may have been replaced.
    fn read_token(&mut self) -> anyhow::Result<()> {
        let Some((path, scheme)) = &self.config.token else { return Ok(()) };
        let secret = Secret::read(path)?;
        let (name, text) = told(*scheme, &secret);
        let mut value: HeaderValue = text.parse()?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        self.secret = Some(secret);

        Ok(())
    }

    /// Sends rows, each framed.
    pub async fn send(&mut self, framed: &[&[u8]]) -> Answer {
        let answer = match self.exchange(framed).await {
            Ok(reply) => {
                let mut answer = judge(&self.vendor, framed.len(), reply.status, &reply.body);
                if let Answer::Later(trouble) = &mut answer {
                    trouble.after = reply.after.as_deref().and_then(retry_after);
                }
                if matches!(reply.status, 401 | 403)
                    && let Err(why) = self.read_token()
                {
                    answer = Answer::Later(Trouble::new(Reason::Denied, why));
                }
                answer
            }
            Err(trouble) => Answer::Later(trouble),
        };

        self.hide(answer)
    }

    /// A server may repeat what it was told.
    fn hide(&self, answer: Answer) -> Answer {
        let address = &self.config.address;
        let hide = |mut text: String| {
            if let Some(secret) = &self.secret {
                text = secret.hide_in(&text);
            }
            if address.secret { text.replace(&address.target, "/[secret]") } else { text }
        };
        match answer {
            Answer::Taken(rejected) => {
                Answer::Taken(rejected.into_iter().map(|(row, why)| (row, hide(why))).collect())
            }
            Answer::Refused(why) => Answer::Refused(hide(why)),
            Answer::Later(trouble) => {
                Answer::Later(Trouble { told: hide(trouble.told), ..trouble })
            }
        }
    }

    async fn exchange(&mut self, framed: &[&[u8]]) -> Result<Reply, Trouble> {
        let body = self.vendor.body(framed.iter().copied());
        let body = if self.vendor.packs() { pack(&body) } else { Ok(body) };
        let body = Bytes::from(body.map_err(|why| Trouble::new(Reason::File, why))?);
        let patience = self.config.timeout;
        let kept = self.connection.take().filter(|kept| !kept.sender.is_closed());
        let asked = timeout(patience, async {
            let mut connection = match kept {
                Some(kept) => kept,
                None => self.connect().await?,
            };
            let reply = self.ask(&mut connection, body).await?;
            Ok((connection, reply))
        });
        let Ok(asked) = asked.await else {
            let told = format!("no answer in {} s", patience.as_secs());
            return Err(Trouble::new(Reason::Timeout, told));
        };
        let (connection, reply) = asked?;
        self.connection = Some(connection);

        Ok(reply)
    }

    async fn ask(&self, connection: &mut Connection, body: Bytes) -> Result<Reply, Trouble> {
        let gone = |why: hyper::Error| Trouble::new(Reason::Unreachable, chain(&why));
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = axum::http::Method::POST;
        *request.uri_mut() =
            self.config.address.target.parse().map_err(|why| Trouble::new(Reason::Denied, why))?;
        *request.headers_mut() = self.headers.clone();
        connection.sender.ready().await.map_err(gone)?;
        let response = connection.sender.send_request(request).await.map_err(gone)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await;
        let body = body.map_err(|why| Trouble::new(Reason::Unreachable, why))?.to_bytes();
        let after = head.headers.get(header::RETRY_AFTER);
        let after = after.and_then(|value| value.to_str().ok()).map(str::to_owned);

        Ok(Reply { status: head.status.as_u16(), after, body })
    }

    async fn connect(&self) -> Result<Connection, Trouble> {
        let address = &self.config.address;
        let gone = |why: io::Error| Trouble::new(Reason::Unreachable, why);
        let stream = TcpStream::connect((&*address.host, address.port)).await.map_err(gone)?;
        stream.set_nodelay(true).map_err(gone)?;
        let Some(tls) = &self.tls else { return open(stream).await };
        let name = ServerName::try_from(address.host.clone())
            .map_err(|why| Trouble::new(Reason::Unreachable, why))?;
        let stream = tls.connect(name, stream).await.map_err(gone)?;

        open(stream).await
    }
}

async fn open<S>(stream: S) -> Result<Connection, Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let gone = |why: hyper::Error| Trouble::new(Reason::Unreachable, chain(&why));
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(gone)?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // What broke is told to who waits for the answer.
        drop(connection.await);
    });

    Ok(Connection { sender, _driver: driver })
}

fn told(scheme: Scheme, secret: &Secret) -> (HeaderName, String) {
    let secret = secret.expose();
    match scheme {
        Scheme::Splunk => (header::AUTHORIZATION, format!("Splunk {secret}")),
        Scheme::ApiKey => (header::AUTHORIZATION, format!("ApiKey {secret}")),
        Scheme::Bearer => (header::AUTHORIZATION, format!("Bearer {secret}")),
        Scheme::Basic => (header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(secret))),
        Scheme::Datadog => (HeaderName::from_static("dd-api-key"), secret.to_owned()),
    }
}

fn pack(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(body)?;

    packed.finish()
}

/// An error with its causes: hyper's own says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }

    text
}
