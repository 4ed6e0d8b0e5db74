//! Signing in, whatever the way: whoever has [`Proven`] who they are gets a token, or hears why not.
//!
//! The ways differ in the proof ([`pat`] …). What comes behind it stands here, once: nobody has
//! stopped them, the policy takes this way from them, the token is noted *before* it is signed, and the gate
//! is told who it was, because the row of the exchange is the gate's to write.

pub mod exchange;
pub mod mtls;
pub mod pat;
pub mod refused;
pub mod reply;
pub mod session;
pub mod slow;
pub mod verified;

pub use self::refused::Refused;

use crate::attempts::Attempts;
use crate::clock;
use crate::counters::Counters;
use crate::keys::{KeyError, Live};
use crate::policy::Published;
use crate::sealing::SealError;
use crate::settings::Settings;
use crate::store::{Held, Minted, Store, StoreError, User};
use crate::tokens::{self, Ids, MintError, Order};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, StatusCode};
use contract::audit::{Acted, CallSource, SignIn as Told};
use contract::claims::{Confirmation, Method};
use contract::headers::IdentityHeaders;
use contract::policy::Subject;
use contract::refusal::ErrorType;
use contract::standing::Kind;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;
use tokio::sync::watch;
use tracing::{debug, error, info};

/// Shortest life of a token that can be asked for, in seconds.
pub const SHORTEST: u64 = 300;

/// What signing in needs.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The store.
    pub store: Store,
    /// The signing keys.
    pub keys: watch::Receiver<Live>,
    /// The policy in force.
    pub policy: watch::Receiver<Arc<Published>>,
    /// `iss`, `aud` and how long tokens live.
    pub settings: Arc<Settings>,
    /// Counts.
    pub counters: Arc<Counters>,
    /// Is signing in impossible, and said to be so?
    pub away: Arc<AtomicBool>,
    /// What failed lately.
    pub attempts: Arc<Attempts>,
    /// Sessions, where there are providers.
    pub sessions: Option<Arc<session::Sessions>>,
}

/// What a token is for.
#[derive(Debug, Clone)]
pub struct Purpose {
    /// `aud`.
    pub audience: String,
    /// Most seconds that it may live.
    pub most: u64,
}

/// What the helper is told.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// The token.
    pub token: String,
    /// Seconds it lives.
    pub ttl: u64,
    /// The seven identity headers that go with it.
    pub headers: IdentityHeaders,
    /// A session's secret, where it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Seconds until the session is over whatever happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_expires_in: Option<u64>,
}

/// What a client may wish for.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Wish {
    /// Seconds that the token lives; the gateway's own limit counts where it is lower.
    #[serde(default)]
    pub ttl: Option<u64>,
    /// What it is minted from ends then, Unix seconds; so does the token. No client says that.
    #[serde(skip)]
    pub until: Option<u64>,
}

impl Wish {
    /// Reads a request's body; an empty one, or one that is not understood, wishes for nothing.
    pub fn read(body: &Bytes) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }
}

/// Somebody who has proved who they are.
#[derive(Debug, Clone)]
pub struct Proven<'a> {
    /// Who.
    pub user: &'a User,
    /// How.
    pub method: Method,
    /// What an operator revokes.
    pub credential_id: &'a str,
    /// The session, where the credential is one; else each token has its own.
    pub sid: Option<&'a str>,
    /// The client program.
    pub client_id: &'a str,
    /// The certificate that the token will be bound to.
    pub certificate: Option<Confirmation>,
    /// What of theirs is marked as used in the same step.
    pub held: Held,
    /// What the row tells of the act.
    pub told: Told,
}

/// No random bytes for an id or secret.
impl From<KeyError> for Unsigned {
    fn from(error: KeyError) -> Self {
        Self::Mint(error.into())
    }
}

impl From<SealError> for Unsigned {
    fn from(error: SealError) -> Self {
        Self::Mint(error.into())
    }
}

/// Why nobody was signed in.
#[derive(Debug, Error)]
pub enum Unsigned {
    /// They may not, and the row says so.
    #[error("{}", .0.code())]
    Refused(Refused, Box<Acted>),
    /// The store is away.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing can be signed.
    #[error(transparent)]
    Mint(#[from] MintError),
}

impl Unsigned {
    /// A refusal of whoever this was.
    pub fn refused(why: Refused, acted: Acted) -> Self {
        Self::Refused(why, Box::new(Acted { rule_id: Some(why.code().to_owned()), ..acted }))
    }
}

/// A token, and who got it.
pub type Signed = Result<(Answer, Acted), Unsigned>;

impl SignIn {
    /// Mints a token that the gate believes, for somebody who has proved who they are.
    ///
    /// # Errors
    /// [`Unsigned`]: they are stopped, or nothing can be noted or signed.
    pub async fn mint(&self, proven: Proven<'_>, wish: &Wish) -> Signed {
        let most = self.settings.token_ttl.as_secs();
        let audience = self.settings.audience.clone();

        self.mint_for(proven, wish, &Purpose { audience, most }).await
    }

    /// Mints a token for one purpose.
    ///
    /// # Errors
    /// As [`Self::mint`].
    pub async fn mint_for(&self, proven: Proven<'_>, wish: &Wish, purpose: &Purpose) -> Signed {
        let now = clock::now();
        let policy_version = self.policy.borrow().version.clone();
        let mut acted = acted(&proven, &policy_version);
        let Proven { user, credential_id, .. } = proven;
        if user.disabled_at.is_some() {
            return Err(Unsigned::refused(Refused::UserDisabled, acted));
        }
        if let Err(denial) = self.accepted(&proven) {
            acted.sign_in.get_or_insert_default().flags.push(denial);
            return Err(Unsigned::refused(Refused::TierNotAccepted, acted));
        }
        let mut ids = Ids::draw()?;
        if let Some(sid) = proven.sid {
            sid.clone_into(&mut ids.sid);
        }
        let cert = proven.certificate.as_ref().map_or("", |bound| &*bound.x5t_s256);
        let on = [
            (Kind::User, &*user.user_id),
            (Kind::Credential, credential_id),
            (Kind::Session, &*ids.sid),
            (Kind::Cert, cert),
        ];
        if let Some(measure) = self.store.stop_at_sign_in(&on, now).await? {
            let why = match measure.kind {
                Kind::Cert => Refused::CertificateRevoked,
                _ => measure.effect.into(),
            };
            return Err(Unsigned::refused(why, acted));
        }

        let left = wish.until.map_or(purpose.most, |until| until.saturating_sub(now));
        let ttl = wish.ttl.unwrap_or(purpose.most).max(SHORTEST).min(purpose.most).min(left);
        let expires_at = now.saturating_add(ttl);
        let minted =
            Minted { jti: &ids.jti, sid: &ids.sid, credential_id, user, cert, now, expires_at };
        if !self.store.note_mint(&minted, &proven.held).await? {
            return Err(Unsigned::refused(Refused::AccessRevoked, acted));
        }
        let order = Order {
            user,
            method: proven.method,
            credential_id,
            client_id: proven.client_id,
            certificate: proven.certificate.clone(),
            policy_version: &policy_version,
            issuer: &self.settings.issuer,
            audience: &purpose.audience,
            now,
            ttl,
        };
        let signer = Arc::clone(&self.keys.borrow().signer);
        let (token, headers) = tokens::mint(&order, &ids, &signer).await?;
        acted.session_id = Some(ids.sid);

        Ok((Answer { token, ttl, headers, session: None, session_expires_in: None }, acted))
    }

    /// Does the policy accept this way of signing in from them? If not, the rule that says so.
    fn accepted(&self, proven: &Proven<'_>) -> Result<(), String> {
        let policy = Arc::clone(&self.policy.borrow().policy);
        let user = proven.user;
        let subject = Subject {
            tenant: &user.tenant_id,
            user: &user.user_id,
            groups: &user.groups,
            department: user.department.as_deref(),
            populations: &user.populations,
            roles: &user.roles,
            client: proven.client_id,
            region: user.region.as_deref(),
            cost_centre: user.cost_centre.as_deref(),
            tier: proven.method.into(),
            over_certificate: proven.certificate.is_some(),
            source: if proven.method == Method::Service {
                CallSource::Job
            } else {
                CallSource::Cowork
            },
            agent: None,
        };

        policy.accepts(&subject).map_err(|denial| denial.rule_id.unwrap_or_default().to_owned())
    }

    /// What the client and the gate are told of it.
    pub fn answer(&self, signed: Signed, asked: &HeaderMap) -> Response<Body> {
        match signed {
            Ok((answer, acted)) => {
                self.counters.mints.one();
                self.back();
                info!(
                    user.id = acted.user_id,
                    credential.id = acted.credential_id,
                    session.id = acted.session_id,
                    "Minted a token"
                );
                let body = serde_json::to_string(&answer).unwrap_or_default();
                reply::told(reply::json(StatusCode::OK, body), &acted)
            }
            Err(unsigned) => self.refusal(unsigned, asked),
        }
    }

    /// What the client and the gate are told of a sign-in that failed.
    pub fn refusal(&self, unsigned: Unsigned, asked: &HeaderMap) -> Response<Body> {
        match unsigned {
            Unsigned::Refused(why, acted) => {
                self.counters.refused(why.code());
                log_refusal(why, &acted);
                reply::told(reply::refused(why, asked), &acted)
            }
            fault @ (Unsigned::Store(_) | Unsigned::Mint(_)) => {
                self.counters.store_errors.one();
                // Told once: how often anybody tries is not ours to say.
                if !self.away.swap(true, Ordering::Relaxed) {
                    error!(error = %fault, "Nobody can sign in");
                }
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let message = "signing in is not possible at the moment: try again shortly";
                reply::told(
                    reply::refusal(status, ErrorType::ApiError, message, asked),
                    &unavailable(),
                )
            }
        }
    }

    fn back(&self) {
        if self.away.swap(false, Ordering::Relaxed) {
            info!("Signing in is possible again");
        }
    }
}

/// Who this is, for the row.
pub fn acted(proven: &Proven<'_>, policy_version: &str) -> Acted {
    let user = proven.user;

    Acted {
        tenant_id: user.tenant_id.clone(),
        user_id: user.user_id.clone(),
        session_id: proven.sid.map(ToOwned::to_owned),
        client_id: Some(proven.client_id.to_owned()),
        department: user.department.clone(),
        policy_ver: Some(policy_version.to_owned()),
        credential_id: Some(proven.credential_id.to_owned()),
        rule_id: None,
        cert_sha256: proven.certificate.as_ref().map(|bound| bound.x5t_s256.clone()),
        sign_in: Some(Told {
            groups: user.groups.iter().take(Told::MOST).cloned().collect(),
            ..proven.told.clone()
        }),
    }
}

fn unavailable() -> Acted {
    Acted { rule_id: Some("auth_unavailable".to_owned()), ..Acted::default() }
}

/// Anybody can be refused as often as they like without a token of ours: the metrics count that.
fn log_refusal(why: Refused, acted: &Acted) {
    if let Some(id) = &acted.credential_id {
        info!(refusal.code = why.code(), credential.id = id, "Refused a token");
    } else {
        debug!(refusal.code = why.code(), "Refused a token");
    }
}
