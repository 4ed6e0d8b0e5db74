//! The drill's own calls: a token for the person, and a body that the gate refuses before any provider
//! hears of it.

use crate::args::access::DrillArgs;
use crate::failure::Failure;
use crate::keys::Ring;
use crate::policy::Published;
use crate::settings::Data;
use crate::siem::address::Address;
use crate::siem::tls;
use crate::store::{Minted, Store, User};
use crate::tokens::{self, HELPER, Ids, MintError, Order};
use axum::http::{Method, Request, header};
use bytes::Bytes;
use contract::claims;
use contract::headers::{REFUSAL, TRACE_ID};
use http_body_util::Full;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

/// Between two calls.
const PACE: Duration = Duration::from_millis(50);

/// How long one answer is awaited.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the gate is waited for to let the calls in, before and after.
const SETTLES: Duration = Duration::from_secs(10);

/// No model: the gate says 400, and nothing leaves.
const BODY: &[u8] = b"{}";

/// Who asks.
pub(super) struct Probe {
    address: Address,
    tls: Option<TlsConnector>,
    token: String,
    /// In the claims, so in the row of every call.
    pub(super) credential_id: String,
    /// Of every call.
    pub(super) trace: String,
}

/// What the gate answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: u16,
    code: String,
}

impl Probe {
    /// Mints a token for somebody that lives a little longer than the drill, and notes it: it has to be
    /// stopped like any other.
    pub(super) async fn new(
        url: &str,
        args: &DrillArgs,
        user: &User,
        data: &Data,
        store: &Store,
        now: u64,
    ) -> Result<Self, Failure> {
        let cannot = |why: &dyn std::fmt::Display| Failure::Refused(format!("--probe: {why}"));
        let address =
            Address::parse(url, false).map_err(|why| cannot(&why))?.with_path("/v1/messages");
        let tls = address.tls.then(|| tls::connector(args.ca.as_deref())).transpose();
        let ids = Ids::draw().map_err(|why| cannot(&why))?;
        let credential_id = ids.jti.replacen("jti_", "drill_", 1);
        let ttl = args.timeout.saturating_add(SETTLES.as_secs()).saturating_add(300);
        let order = Order {
            user,
            method: claims::Method::Pat,
            credential_id: &credential_id,
            client_id: HELPER,
            certificate: None,
            policy_version: &Published::current(data)?.version,
            issuer: &args.issuer,
            audience: &args.audience,
            now,
            ttl,
        };
        let expires_at = now.saturating_add(ttl);
        let minted = Minted {
            jti: &ids.jti,
            sid: &ids.sid,
            credential_id: &credential_id,
            user,
            cert: "",
            now,
            expires_at,
        };
        store.note_drill(&minted).await?;
        let key = Ring::read(&data.signing())?;
        let minted = tokens::mint(&order, &ids, key.newest()).await;
        let (token, _) = minted.map_err(|why: MintError| cannot(&why))?;
        let tls = tls.map_err(|why| cannot(&why))?;

        Ok(Self { address, tls, token, credential_id, trace: ids.trace })
    }

    /// Waits until the gate lets a call of theirs as far as its body.
    pub(super) async fn until_let_in(&self) -> Result<(), Failure> {
        let end = Instant::now() + SETTLES;
        loop {
            let told = match self.ask().await {
                Ok(Answer { status: 400, code }) if !code.is_empty() => return Ok(()),
                Ok(Answer { status, code }) => format!("answers {status} {code}"),
                Err(error) => format!("cannot be asked: {error}"),
            };
            if Instant::now() > end {
                let at = self.address.authority();
                return Err(Failure::Refused(format!(
                    "the gateway at {at} {told}, where 400 was expected: is this the right one, with \
                     this installation's keys?"
                )));
            }
            sleep(PACE).await;
        }
    }

    /// Asks until it is dropped.
    pub(super) async fn keep_asking(&self) {
        loop {
            // What comes of it stands in the rows.
            drop(self.ask().await);
            sleep(PACE).await;
        }
    }

    async fn ask(&self) -> io::Result<Answer> {
        let asked = async {
            let address = &self.address;
            let stream = TcpStream::connect((&*address.host, address.port)).await?;
            stream.set_nodelay(true)?;
            let Some(tls) = &self.tls else { return self.send(stream).await };
            let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
            self.send(tls.connect(name, stream).await?).await
        };

        timeout(PATIENCE, asked).await?
    }

    /// One connection for each call: Envoy gives it to any worker.
    async fn send<S>(&self, stream: S) -> io::Result<Answer>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.address.target)
            .header(header::HOST, self.address.authority())
            .header(header::USER_AGENT, "tollgate-drill")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(TRACE_ID, &self.trace)
            .body(Full::new(Bytes::from_static(BODY)))
            .map_err(io::Error::other)?;
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let code = response.headers().get(REFUSAL).and_then(|code| code.to_str().ok());

        Ok(Answer { status: response.status().as_u16(), code: code.unwrap_or_default().to_owned() })
    }
}
