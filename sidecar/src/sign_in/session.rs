//! The tier for people: a session that the enterprise's `OpenID` provider vouches for.
//!
//! A program on the person's computer opens their browser here ([`browser`]): it is sent to the provider, comes
//! back, and shows a page that asks whether this program may sign in ([`pages`]). The program gets a code, trades
//! it for a session ([`begin`](SignIn::begin)), and the session for tokens ([`refresh`]); each time the provider
//! is asked whether it still vouches. What waits in the browser meanwhile is sealed ([`waiting`]).

pub mod browser;
mod faults;
pub mod loopback;
pub mod pages;
pub mod refresh;
pub mod visit;
pub mod waiting;

use super::reply::{self, bearer};
use super::{Proven, Refused, SignIn, Signed, Unsigned, Wish, acted};
use crate::clock;
use crate::identity::{self, Identity, check};
use crate::keys::{self, KeyError};
use crate::oidc::Providers;
use crate::pats::hash;
use crate::sealing::Sealer;
use crate::settings::Data;
use crate::store::sessions::{Session, Trade, Traded};
use crate::store::{Held, User};
use crate::tokens::HELPER;
use anyhow::Context;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contract::audit::{Acted, SignIn as Told};
use contract::claims::Method;
use contract::envelope::hex;
use contract::refusal::ErrorType;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use url::Url;

/// How the tier is called in rows.
pub const TIER: &str = "session";

/// Seconds in which a code must be traded.
pub const CODE: u64 = 120;

/// What sessions need besides what signing in needs.
#[derive(Debug)]
pub struct Sessions {
    /// Who vouches.
    pub providers: Providers,
    /// What waits elsewhere is sealed with it.
    pub sealer: Sealer,
    /// How long they last.
    pub terms: identity::Sessions,
    /// Where people reach the gateway.
    pub public: Url,
}

impl Sessions {
    /// Asks every provider; none if there is no provider.
    ///
    /// # Errors
    /// Which provider does not answer as it must; no key.
    pub async fn start(identity: &Identity, data: &Data) -> anyhow::Result<Option<Arc<Self>>> {
        let Some(public) = &identity.public_url else { return Ok(None) };
        if identity.providers.is_empty() {
            return Ok(None);
        }
        let public = check::public_url(public).map_err(anyhow::Error::msg).context("public_url")?;
        let sealer = Sealer::of(data)?;
        let providers = Providers::start(identity, &public).await?;

        Ok(Some(Arc::new(Self { providers, sealer, terms: identity.sessions.clone(), public })))
    }

    /// Do people reach the gateway by TLS?
    pub fn is_secure(&self) -> bool {
        self.public.scheme() == "https"
    }
}

/// What a program sends.
#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    code_verifier: Option<String>,
    #[serde(default)]
    redirect_uri: Option<String>,
    #[serde(default)]
    audience: Option<String>,
    #[serde(default)]
    ttl: Option<u64>,
}

/// Begins a session with a code, or refreshes one.
pub async fn trade(State(sign_in): State<SignIn>, asked: HeaderMap, body: Bytes) -> Response<Body> {
    let read = if body.is_empty() { Ok(Asked::default()) } else { serde_json::from_slice(&body) };
    let signed = match (&sign_in.sessions, read) {
        (None, _) => return none(&asked),
        (Some(_), Err(_)) => Err(Unsigned::refused(Refused::SessionMissing, nobody())),
        (Some(sessions), Ok(body)) if body.code.is_some() => {
            let account = body.code.as_deref().and_then(account);
            sign_in.slowly(&asked, account.as_deref(), sign_in.begin(sessions, &body)).await
        }
        (Some(sessions), Ok(body)) => match bearer(&asked) {
            None => Err(Unsigned::refused(Refused::SessionMissing, nobody())),
            Some(secret) => {
                let wanted = refresh::Wanted {
                    secret: secret.to_owned(),
                    audience: body.audience,
                    ttl: body.ttl,
                };
                let trial = refresh::whole(&sign_in, sessions, wanted);
                sign_in.slowly(&asked, account(secret).as_deref(), trial).await
            }
        },
    };

    sign_in.answer(signed, &asked)
}

/// Ends a session at its owner's wish.
pub async fn end(State(sign_in): State<SignIn>, asked: HeaderMap) -> Response<Body> {
    if sign_in.sessions.is_none() {
        return none(&asked);
    }
    let secret = bearer(&asked);
    let trial = sign_in.end(secret);
    match sign_in.slowly(&asked, secret.and_then(account).as_deref(), trial).await {
        Ok(acted) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            reply::told(response, &acted)
        }
        Err(unsigned) => sign_in.refusal(unsigned, &asked),
    }
}

fn none(asked: &HeaderMap) -> Response<Body> {
    let message = "sessions are not set up on this gateway";
    reply::refusal(StatusCode::NOT_FOUND, ErrorType::NotFoundError, message, asked)
}

impl SignIn {
    /// Trades a code for a session and its first token.
    async fn begin(&self, sessions: &Sessions, asked: &Asked) -> Signed {
        let (Some(code), Some(verifier), Some(redirect_uri)) =
            (&asked.code, &asked.code_verifier, &asked.redirect_uri)
        else {
            return Err(Unsigned::refused(Refused::SessionMissing, nobody()));
        };
        let now = clock::now();
        let expires_at = now.saturating_add(sessions.terms.max_age);
        let once = now.saturating_add(self.settings.token_ttl.as_secs());
        // The id is in the secret, and is known only once the code is: so the secret is named after the code.
        let (secret, code_hash) = (secret_of(code)?, hash(code));
        let traded = self
            .store
            .trade_code(&Trade {
                code_hash: &code_hash,
                redirect_uri,
                challenge: &challenge(verifier),
                secret_hash: &hash(&secret),
                now,
                expires_at,
                expires_at_unasked: expires_at.min(once),
            })
            .await?;
        let (session, user) = match traded {
            Traded::Session(begun) => *begun,
            Traded::Unknown => {
                return Err(Unsigned::refused(Refused::CodeUnknown, nobody()));
            }
            Traded::Mismatch(whose) => return Err(self.void(Refused::CodeMismatch, &whose)),
            Traded::Replayed(whose) => return Err(self.void(Refused::CodeUnknown, &whose)),
        };
        let wish = Wish { ttl: asked.ttl, until: Some(session.expires_at) };
        let (mut answer, acted) = self.mint(proven(&session, &user, "", &[]), &wish).await?;
        answer.session = Some(secret);
        answer.session_expires_in = Some(session.expires_at.saturating_sub(now));
        self.counters.sessions.one();

        Ok((answer, acted))
    }

    async fn end(&self, secret: Option<&str>) -> Result<Acted, Unsigned> {
        let Some(secret) = secret else {
            return Err(Unsigned::refused(Refused::SessionMissing, nobody()));
        };
        let Some(found) = self.store.session_by_secret(&hash(secret)).await? else {
            return Err(Unsigned::refused(Refused::SessionUnknown, nobody()));
        };
        self.store.end_session(&found.session.id, "signed out", clock::now(), None).await?;
        let version = self.policy.borrow().version.clone();

        Ok(acted(&proven(&found.session, &found.user, "ended", &[]), &version))
    }

    /// A refusal of somebody whose session this is.
    fn void(&self, why: Refused, (session, user): &(Session, User)) -> Unsigned {
        let version = self.policy.borrow().version.clone();

        Unsigned::refused(why, acted(&proven(session, user, "", &[]), &version))
    }
}

/// The row of a refusal of nobody known.
fn nobody() -> Acted {
    Acted { sign_in: Some(Told { tier: TIER.into(), ..Told::default() }), ..Acted::default() }
}

/// Somebody whose session this is.
fn proven<'a>(session: &'a Session, user: &'a User, act: &str, flags: &[&str]) -> Proven<'a> {
    Proven {
        user,
        method: Method::Sso,
        credential_id: &session.id,
        sid: Some(&session.id),
        client_id: HELPER,
        certificate: None,
        held: Held::Session,
        told: Told {
            tier: TIER.into(),
            act: act.to_owned(),
            provider: session.provider.clone(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            ..Told::default()
        },
    }
}

/// The session that a code or secret claims to be of.
fn account(secret: &str) -> Option<String> {
    let name = secret.trim_start_matches("tgs_").split('_').next()?;

    is_name(name).then(|| format!("ses_{name}"))
}

fn is_name(name: &str) -> bool {
    name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The id of a new session.
///
/// # Errors
/// [`KeyError::Random`].
fn new_id() -> Result<String, KeyError> {
    Ok(format!("ses_{}", hex(&keys::random::<6>()?)))
}

/// 256 random bits, as texts have them.
///
/// # Errors
/// [`KeyError::Random`].
fn random() -> Result<String, KeyError> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(keys::random::<32>()?))
}

/// A new code for a session: it names the session, as its secrets do.
///
/// # Errors
/// [`KeyError::Random`].
fn new_code(id: &str) -> Result<String, KeyError> {
    Ok(format!("{}_{}", id.trim_start_matches("ses_"), random()?))
}

/// A new secret for the session that a code or secret names: `tgs_<12 hex>_<43 base64url>`.
///
/// # Errors
/// [`KeyError::Random`].
fn secret_of(code: &str) -> Result<String, KeyError> {
    let name = code.trim_start_matches("tgs_").split('_').next().unwrap_or_default();
    let name = if is_name(name) { name } else { "000000000000" };

    Ok(format!("tgs_{name}_{}", random()?))
}

/// The challenge that a verifier answers (RFC 7636 §4.6, S256).
fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}
