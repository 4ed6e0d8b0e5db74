//! Tells the channels. What is to be told stands in the database; whichever sidecar takes a message tells it, and tries
//! again, later each time, until it is taken or no longer of use.

use super::Approvals;
use super::config::{Kind, Webhook};
use super::shapes;
use crate::clock;
use crate::counters::Counters;
use crate::oidc::http::Http;
use crate::siem::secret::Secret;
use crate::siem::tls::TlsError;
use crate::store::approvals::{Approval, Message, State};
use crate::store::{Store, StoreError};
use axum::http::{HeaderValue, Method, Request, header};
use contract::envelope::hex;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{info, warn};
use url::Url;

/// How often the database is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Most attempts: the last is some eight minutes after the first.
const MOST: u32 = 8;

/// Longest time between two, seconds.
const LONGEST: u64 = 240;

/// What a message of ours is signed in.
pub const SIGNATURE: &str = "x-tollgate-signature";

/// Tells every channel.
pub struct Poster {
    channels: Vec<Channel>,
}

struct Channel {
    webhook: Webhook,
    http: Http,
    store: Store,
    counters: Arc<Counters>,
    public: Option<Url>,
}

impl Poster {
    /// One for all the webhooks.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(approvals: &Approvals) -> Result<Self, TlsError> {
        let channel = |webhook: &Webhook| {
            Ok::<_, TlsError>(Channel {
                webhook: webhook.clone(),
                http: Http::new(webhook.ca.as_deref())?,
                store: approvals.sign_in.store.clone(),
                counters: Arc::clone(&approvals.sign_in.counters),
                public: approvals.public().cloned(),
            })
        };

        Ok(Self {
            channels: approvals.webhooks.iter().map(channel).collect::<Result<_, TlsError>>()?,
        })
    }

    /// Tells, until it is dropped. A channel that hangs holds up no other.
    pub async fn run(self) {
        let mut channels = JoinSet::new();
        for channel in self.channels {
            channels.spawn(async move {
                loop {
                    if let Err(error) = channel.tell_all().await {
                        channel.counters.store_errors.one();
                        warn!(error = %error, "What channels are to be told of approvals is not known");
                    }
                    sleep(LOOK).await;
                }
            });
        }
        while channels.join_next().await.is_some() {}
    }
}

impl Channel {
    async fn tell_all(&self) -> Result<(), StoreError> {
        for message in self.store.due_messages(&self.webhook.name, clock::now()).await? {
            self.tell(message).await?;
        }

        Ok(())
    }

    async fn tell(&self, mut message: Message) -> Result<(), StoreError> {
        let now = clock::now();
        // Whoever takes it and then dies leaves it to another.
        let lease = self.webhook.timeout.as_secs().saturating_add(15);
        if !self.store.take_message(&message, now.saturating_add(lease)).await? {
            return Ok(());
        }
        message.attempts = message.attempts.saturating_add(1);
        message.next_at = None;
        let decided = message.what == "decided";
        let approval = self.store.approval(&message.approval_id).await?;
        match approval.filter(|it| decided || it.standing(now) == State::Open) {
            None => message.problem = Some("it was over before it could be told".to_owned()),
            Some(approval) => self.deliver(&mut message, &approval, decided, now).await,
        }

        self.store.note_message(&message).await
    }

    async fn deliver(&self, message: &mut Message, approval: &Approval, decided: bool, now: u64) {
        let name = &*self.webhook.name;
        match self.send(approval, decided, now).await {
            Ok(()) => {
                self.counters.approvals.told.one();
                message.told_at = Some(now);
                message.problem = None;
                info!(webhook = name, approval = approval.id, "A channel is told of an approval");
            }
            Err(why) => {
                self.counters.approvals.not_told.one();
                if message.attempts < MOST {
                    let pause = 2_u64.saturating_pow(message.attempts).min(LONGEST);
                    message.next_at = Some(clock::now().saturating_add(pause));
                } else {
                    self.counters.approvals.given_up.one();
                }
                let (approval, tries) = (&*approval.id, message.attempts);
                warn!(webhook = name, approval, tries, error = why, "A channel was not told");
                message.problem = Some(why);
            }
        }
    }

    async fn send(&self, approval: &Approval, decided: bool, now: u64) -> Result<(), String> {
        let webhook = &self.webhook;
        let link = self.public.as_ref().map(|public| link(public, &approval.id));
        let told =
            shapes::message(webhook.shape, approval, decided, &link.unwrap_or_default(), now);
        let body = serde_json::to_vec(&told).map_err(|error| error.to_string())?;
        let mut request = Request::new(Vec::new());
        *request.method_mut() = Method::POST;
        let address = webhook.address.expose().as_str().parse();
        *request.uri_mut() = address.or(Err("its address is no URL"))?;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        if let (Kind::Json, Some(secret)) = (webhook.shape, &webhook.secret) {
            let value = signature(secret, &body, now).parse::<HeaderValue>();
            headers.insert(SIGNATURE, value.or(Err("it cannot be signed"))?);
        }
        *request.body_mut() = body;
        let answer = self.http.send_within(request, webhook.timeout).await;
        // An error of TLS or of the name's resolution repeats no path, and yet nothing of it may stand in a log.
        let answer = answer.map_err(|error| webhook.address.hide_in(&error.to_string()))?;
        if answer.status().is_success() {
            return Ok(());
        }

        Err(format!("it answered {}", answer.status().as_u16()))
    }
}

/// The page of a request.
pub fn link(public: &Url, id: &str) -> String {
    public.join("/approvals/").and_then(|base| base.join(id)).map(String::from).unwrap_or_default()
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA-256 (RFC 2104) of the seconds, a full stop and the body. Who checks the seconds too is
/// not told the same twice.
pub fn signature(secret: &Secret, body: &[u8], now: u64) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else {
        // A key of any length is taken; without a signature nobody believes the message.
        return String::new();
    };
    mac.update(now.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);

    format!("t={now},v1={}", hex(&mac.finalize().into_bytes()))
}
