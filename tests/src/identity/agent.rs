//! A user agent of a few lines: it keeps cookies, sends forms, and stops at each redirect.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;
use url::form_urlencoded::Serializer;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Most redirects that are followed.
const REDIRECTS: usize = 10;

/// One person's, with the cookies of all sites. As in browsers, a cookie is its host's, whatever the
/// port; unlike there, paths do not matter.
#[derive(Debug, Default)]
pub struct Agent {
    cookies: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
    tls: Option<Arc<ClientConfig>>,
}

/// What it got.
#[derive(Debug, Clone)]
pub struct Page {
    /// What was asked for.
    pub url: Url,
    /// The answer's status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Page {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Where it sends the agent, if it does.
    pub fn location(&self) -> Option<Url> {
        let location = self.headers.get(LOCATION).filter(|_| (300..400).contains(&self.status))?;

        self.url.join(location.to_str().ok()?).ok()
    }

    /// The value of the field with this name in a form of the page.
    pub fn field(&self, name: &str) -> Option<String> {
        let text = self.text();
        let tag = text.split('<').find(|tag| tag.contains(&format!("name=\"{name}\"")))?;
        let (_, value) = tag.split_once("value=\"")?;

        Some(value.split('"').next()?.to_owned())
    }
}

/// What is sent besides the URL.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    method: Method,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Sent {
    /// A form.
    pub fn form(fields: &[(&str, &str)]) -> Self {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        let sent = Self { method: Method::POST, headers: Vec::new(), body: body.into() };

        sent.header(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded")
    }

    /// JSON.
    pub fn json(value: &Value) -> Self {
        let body = value.to_string().into();
        let sent = Self { method: Method::POST, headers: Vec::new(), body };

        sent.header(CONTENT_TYPE.as_str(), "application/json")
    }

    /// With one more header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// As this client (`client_secret_basic`, RFC 6749 §2.3.1).
    pub fn client(self, id: &str, secret: &str) -> Self {
        let pair = BASE64_STANDARD.encode(format!("{id}:{secret}"));
        self.header(AUTHORIZATION.as_str(), &format!("Basic {pair}"))
    }

    /// With this bearer token.
    pub fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    /// With this method.
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }
}

impl Agent {
    /// One without cookies, for `http`.
    pub fn new() -> Self {
        Self::default()
    }

    /// One without cookies that trusts what this configuration trusts: `world.authority.client(&["http/1.1"])`.
    pub fn trusting(tls: Arc<ClientConfig>) -> Self {
        Self { cookies: Mutex::default(), tls: Some(tls) }
    }

    /// Asks for a page.
    pub async fn get(&self, url: &Url) -> Result<Page> {
        self.send(url, Sent::default()).await
    }

    /// Sends this.
    pub async fn send(&self, url: &Url, sent: Sent) -> Result<Page> {
        let page = tokio::time::timeout(PATIENCE, self.exchange(url, sent)).await;

        page.with_context(|| format!("{url} does not answer"))?.with_context(|| url.to_string())
    }

    /// Goes from redirect to redirect until one leads to an address that begins like this, which is
    /// returned and not asked for; or until a page that is no redirect, which is an error.
    pub async fn until(&self, mut page: Page, prefix: &str) -> Result<Url> {
        for _ in 0..REDIRECTS {
            let next = page.location();
            let next = next.with_context(|| format!("{}: {}", page.status, page.text()))?;
            if next.as_str().starts_with(prefix) {
                return Ok(next);
            }
            page = self.get(&next).await?;
        }
        anyhow::bail!("too many redirects, at last to {}", page.url)
    }

    /// Goes from redirect to redirect to a page.
    pub async fn follow(&self, mut page: Page) -> Result<Page> {
        for _ in 0..REDIRECTS {
            let Some(next) = page.location() else { return Ok(page) };
            page = self.get(&next).await?;
        }
        anyhow::bail!("too many redirects, at last to {}", page.url)
    }

    async fn exchange(&self, url: &Url, sent: Sent) -> Result<Page> {
        let host = url.host_str().context("no host")?.to_owned();
        let port = url.port_or_known_default().context("no port")?;
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let mut request = Request::builder().method(sent.method).uri(path);
        request = request.header(HOST, format!("{host}:{port}"));
        for (name, value) in &sent.headers {
            request = request.header(*name, value);
        }
        if let Some(cookies) = self.cookies.lock().unwrap().get(&host) {
            let pairs = cookies.iter().map(|(name, value)| format!("{name}={value}"));
            request = request.header(COOKIE, pairs.collect::<Vec<_>>().join("; "));
        }
        let request = request.body(Full::new(sent.body))?;
        let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
        let (status, headers, body) = if url.scheme() == "https" {
            let tls = self.tls.clone().context("this agent trusts nobody")?;
            let name = ServerName::try_from(host.clone())?;
            speak(TlsConnector::from(tls).connect(name, stream).await?, request).await?
        } else {
            ensure!(url.scheme() == "http", "neither http nor https");
            speak(stream, request).await?
        };
        self.keep(host, &headers);

        Ok(Page { url: url.clone(), status, headers, body })
    }

    fn keep(&self, host: String, headers: &HeaderMap) {
        let mut all = self.cookies.lock().unwrap();
        let cookies = all.entry(host).or_default();
        for set in headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let pair = set.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if value.is_empty() {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

async fn speak<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(u16, HeaderMap, Bytes)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    driver.abort();

    Ok((parts.status.as_u16(), parts.headers, body))
}
