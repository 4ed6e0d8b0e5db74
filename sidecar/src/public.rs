//! The listener that Envoy routes clients to: sign-in, and the key set.
//!
//! Every answer to a sign-in says, in a header that the gate takes away, who it was: the row of
//! the exchange is the gate's to write, and there is one for each refusal too.

use crate::clock;
use crate::counters::Counters;
use crate::document::Document;
use crate::keys::Live;
use crate::pats::{self, Refused};
use crate::policy::Published;
use crate::settings::Settings;
use crate::store::{Minted, Pat, Store, StoreError, User};
use crate::tokens::{self, HELPER, Ids, MintError, Order};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::{get, post};
use contract::audit::Acted;
use contract::envelope::hex;
use contract::headers::{CALLER, IdentityHeaders, X_REQUEST_ID};
use contract::refusal::{ErrorBody, ErrorType};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;
use tokio::sync::watch;
use tracing::{debug, error, info};

/// What sign-in needs.
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
}

/// What the helper is told.
#[derive(Serialize)]
struct Answer {
    token: String,
    ttl: u64,
    headers: IdentityHeaders,
}

/// Why nobody was signed in.
#[derive(Debug, Error)]
enum Unsigned {
    #[error("{}", .0.code())]
    Refused(Refused, Box<Acted>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Mint(#[from] MintError),
}

/// The listener's paths.
pub fn routes(sign_in: SignIn) -> Router {
    Router::new()
        .route("/v1/auth/cowork/pat", post(trade))
        .route("/.well-known/jwks.json", get(key_set))
        .fallback(async |asked: HeaderMap| {
            refusal(
                StatusCode::NOT_FOUND,
                ErrorType::NotFoundError,
                "there is no such path",
                &asked,
            )
        })
        .method_not_allowed_fallback(async |asked: HeaderMap| {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            refusal(status, ErrorType::InvalidRequestError, "this path has another method", &asked)
        })
        .with_state(sign_in)
}

async fn key_set(State(sign_in): State<SignIn>, asked: HeaderMap) -> Response<Body> {
    let document: Document = sign_in.keys.borrow().jwks.clone();

    document.answer(&asked)
}

async fn trade(State(sign_in): State<SignIn>, asked: HeaderMap) -> Response<Body> {
    match sign_in.trade(bearer(&asked)).await {
        Ok((answer, acted)) => {
            sign_in.counters.mints.one();
            sign_in.back();
            info!(
                user.id = acted.user_id,
                credential.id = acted.credential_id,
                session.id = acted.session_id,
                "Minted a token"
            );
            let body = serde_json::to_string(&answer).unwrap_or_default();
            told(json(StatusCode::OK, body), &acted)
        }
        Err(Unsigned::Refused(why, acted)) => {
            sign_in.counters.refused(why.code());
            log_refusal(why, &acted);
            let (status, kind) = match why {
                // Signing in again would not help: what clients do on 401.
                Refused::AccessPaused => (StatusCode::FORBIDDEN, ErrorType::PermissionError),
                _ => (StatusCode::UNAUTHORIZED, ErrorType::AuthenticationError),
            };
            told(refusal(status, kind, why.message(), &asked), &acted)
        }
        Err(fault @ (Unsigned::Store(_) | Unsigned::Mint(_))) => {
            sign_in.counters.store_errors.one();
            // Told once: how often anybody tries is not ours to say.
            if !sign_in.away.swap(true, Ordering::Relaxed) {
                error!(error = %fault, "Nobody can sign in");
            }
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let message = "signing in is not possible at the moment: try again shortly";
            told(refusal(status, ErrorType::ApiError, message, &asked), &unavailable())
        }
    }
}

/// Anybody can be refused as often as they like without a token of ours: the metrics count that.
fn log_refusal(why: Refused, acted: &Acted) {
    if let Some(id) = &acted.credential_id {
        info!(refusal.code = why.code(), credential.id = id, "Refused a token");
    } else {
        debug!(refusal.code = why.code(), "Refused a token");
    }
}

impl SignIn {
    fn back(&self) {
        if self.away.swap(false, Ordering::Relaxed) {
            info!("Signing in is possible again");
        }
    }

    /// Trades a personal access token for one the gate believes. Whatever was sent, it is hashed
    /// and looked up in the same way.
    async fn trade(&self, token: Option<&str>) -> Result<(Answer, Acted), Unsigned> {
        let now = clock::now();
        let found = self.store.pat_by_hash(&pats::hash(token.unwrap_or_default())).await?;
        let Some((pat, user)) = found else {
            let why = if token.is_none() { Refused::Missing } else { Refused::Unknown };
            return Err(refused(why, Acted::default()));
        };
        let policy_version = self.policy.borrow().version.clone();
        let mut acted = acted(&pat, &user, &policy_version);
        if let Err(why) = pats::standing(&pat, &user, now) {
            return Err(refused(why, acted));
        }
        let stop = self.store.stop_at_sign_in(&user.user_id, &pat.id, now).await?;
        if let Some(measure) = stop {
            return Err(refused(measure.effect.into(), acted));
        }

        let ids = Ids::draw()?;
        let ttl = self.settings.token_ttl.as_secs();
        let minted =
            Minted { jti: &ids.jti, sid: &ids.sid, now, expires_at: now.saturating_add(ttl) };
        if !self.store.note_mint(&pat.id, &minted).await? {
            return Err(refused(Refused::Revoked, acted));
        }
        let order = Order {
            user: &user,
            credential_id: &pat.id,
            policy_version: &policy_version,
            issuer: &self.settings.issuer,
            audience: &self.settings.audience,
            now,
            ttl,
        };
        let signer = Arc::clone(&self.keys.borrow().signer);
        let (token, headers) = tokens::mint(&order, &ids, &signer)?;
        acted.session_id = Some(ids.sid);

        Ok((Answer { token, ttl, headers }, acted))
    }
}

fn acted(pat: &Pat, user: &User, policy_version: &str) -> Acted {
    Acted {
        tenant_id: user.tenant_id.clone(),
        user_id: user.user_id.clone(),
        session_id: None,
        client_id: Some(HELPER.to_owned()),
        department: user.department.clone(),
        policy_ver: Some(policy_version.to_owned()),
        credential_id: Some(pat.id.clone()),
        rule_id: None,
    }
}

fn unavailable() -> Acted {
    Acted { rule_id: Some("auth_unavailable".to_owned()), ..Acted::default() }
}

fn refused(why: Refused, acted: Acted) -> Unsigned {
    Unsigned::Refused(why, Box::new(Acted { rule_id: Some(why.code().to_owned()), ..acted }))
}

/// The token of `authorization: Bearer …` (RFC 6750 §2.1), if there is exactly one.
fn bearer(asked: &HeaderMap) -> Option<&str> {
    let mut values = asked.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;

    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

/// With the header that tells the gate who it was.
fn told(mut response: Response<Body>, acted: &Acted) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(&ascii(acted)) {
        response.headers_mut().insert(CALLER, value);
    }

    response
}

/// JSON that is ASCII throughout, as a header has to be (RFC 8259 §7 escapes).
fn ascii(acted: &Acted) -> String {
    let json = serde_json::to_string(acted).unwrap_or_default();
    let mut text = String::with_capacity(json.len());
    for sign in json.chars() {
        if sign.is_ascii() {
            text.push(sign);
        } else {
            let mut units = [0; 2];
            for unit in sign.encode_utf16(&mut units) {
                text.push_str("\\u");
                text.push_str(&hex(&unit.to_be_bytes()));
            }
        }
    }

    text
}

fn refusal(
    status: StatusCode,
    kind: ErrorType,
    message: &str,
    asked: &HeaderMap,
) -> Response<Body> {
    let id = asked.get(X_REQUEST_ID).and_then(|id| id.to_str().ok());
    let body = ErrorBody::new(kind, message, id);

    json(status, serde_json::to_string(&body).unwrap_or_default())
}

fn json(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_bearer_token_is_a_token() {
        let headers = |values: &[&'static str]| {
            let pairs = values.iter();
            pairs.map(|value| (header::AUTHORIZATION, HeaderValue::from_static(value))).collect()
        };

        assert_eq!(bearer(&headers(&["Bearer tgp_1"])), Some("tgp_1"));
        assert_eq!(bearer(&headers(&["bearer  tgp_1"])), Some("tgp_1"));
        for none in [&[][..], &["tgp_1"], &["Basic x"], &["Bearer "], &["Bearer a", "Bearer b"]] {
            assert_eq!(bearer(&headers(none)), None, "{none:?}");
        }
    }

    #[test]
    fn a_department_with_an_umlaut_still_fits_a_header() {
        let acted = Acted { department: Some("Zürich 🏔".into()), ..Acted::default() };

        let text = ascii(&acted);

        assert!(text.is_ascii(), "{text}");
        assert_eq!(serde_json::from_str::<Acted>(&text).unwrap(), acted);
    }
}
