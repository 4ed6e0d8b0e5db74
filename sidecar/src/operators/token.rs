//! Operators elsewhere: `POST /v1/operator` with a token of their own, minted by a session for the audience
//! `<audience>/operator`. A token for calls is none for this, nor the other way round.
//!
//! Whatever the token says, the store has the last word on each request: who is disabled, revoked or paused, or
//! whose session is over, operates no more.

use super::answer;
use super::desk::{Asked, Desk, LARGEST};
use super::operator::{How, Operator, Role};
use crate::clock;
use crate::identity;
use crate::keys::Live;
use crate::settings::Settings;
use crate::sign_in::reply;
use crate::store::{Store, StoreError};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use contract::audit::Acted;
use contract::claims::{Claims, Method};
use contract::envelope::hex;
use contract::headers::PEER;
use contract::standing::Kind;
use jwt_simple::algorithms::EdDSAPublicKeyLike;
use jwt_simple::claims::JWTClaims;
use jwt_simple::prelude::{Duration, VerificationOptions};
use jwt_simple::token::Token;
use std::sync::Arc;
use tokio::sync::watch;
use tracing::error;

/// What of the audience says that a token operates.
pub const AUDIENCE: &str = "operator";

/// How far clocks may be apart, seconds: one sidecar minted it, and another of the same keys may read it.
const SKEW: u64 = 5;

/// What the surface needs.
#[derive(Debug, Clone)]
pub struct Surface {
    /// Where commands run.
    pub desk: Desk,
    /// Who is stopped.
    pub store: Store,
    /// What tokens verify with.
    pub keys: watch::Receiver<Live>,
    /// `iss` and `aud`.
    pub settings: Arc<Settings>,
    /// Who operates beyond their own tenant.
    pub listed: Arc<[identity::Operator]>,
}

/// Why somebody does not operate.
#[derive(Debug)]
enum Refused {
    /// No good token.
    Token(&'static str),
    /// A good one of somebody who may not.
    Stopped(&'static str, Box<Acted>),
    /// It cannot be known.
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The audience of operators' tokens.
pub fn audience(audience: &str) -> String {
    format!("{audience}/{AUDIENCE}")
}

/// The surface's path.
pub fn routes(surface: Surface) -> Router {
    Router::new()
        .route("/v1/operator", post(ask).layer(DefaultBodyLimit::max(LARGEST)))
        .with_state(surface)
}

async fn ask(State(surface): State<Surface>, head: HeaderMap, body: Bytes) -> Response<Body> {
    let (operator, acted) = match surface.operator(&head).await {
        Ok(known) => known,
        Err(refused) => return refusal(refused, &head),
    };
    let Ok(asked) = serde_json::from_slice::<Asked>(&body) else {
        let message = "a command is JSON: {\"args\": [\"user\", \"list\"]}";
        let bad = answer::refused(StatusCode::BAD_REQUEST, "operator_request", message, &head);
        return reply::told(bad, &acted);
    };

    reply::told(answer::of(surface.desk.ask(operator, asked).await), &acted)
}

fn refusal(refused: Refused, head: &HeaderMap) -> Response<Body> {
    match refused {
        Refused::Token(why) => {
            let code = "operator_token_invalid";
            let acted = Acted { rule_id: Some(code.to_owned()), ..Acted::default() };
            let response = answer::refused(StatusCode::UNAUTHORIZED, code, why, head);
            reply::told(response, &acted)
        }
        Refused::Stopped(why, acted) => {
            let code = "operator_stopped";
            let acted = Acted { rule_id: Some(code.to_owned()), ..*acted };
            reply::told(answer::refused(StatusCode::FORBIDDEN, code, why, head), &acted)
        }
        Refused::Store(fault) => {
            error!(error = %fault, "Nobody can operate from elsewhere");
            let (code, why) = ("auth_unavailable", "operating is not possible at the moment");
            let acted = Acted { rule_id: Some(code.to_owned()), ..Acted::default() };
            let status = StatusCode::SERVICE_UNAVAILABLE;
            reply::told(answer::refused(status, code, why, head), &acted)
        }
    }
}

impl Surface {
    /// Who asks.
    async fn operator(&self, head: &HeaderMap) -> Result<(Operator, Acted), Refused> {
        let token = reply::bearer(head).ok_or(Refused::Token("an operator's token is missing"))?;
        let claims = self.verified(token)?;
        let (Some(sub), Some(jti)) = (&claims.subject, &claims.jwt_id) else {
            return Err(Refused::Token("the token names nobody"));
        };
        let said = &claims.custom;
        let user_id = said.user_id(sub);
        let acted = Acted {
            tenant_id: said.tenant_id.clone(),
            user_id: user_id.clone(),
            session_id: Some(said.sid.clone()),
            client_id: Some(said.client_id.clone()),
            department: said.department.clone(),
            credential_id: Some(said.credential_id.clone()),
            ..Acted::default()
        };
        let stopped = |why| Refused::Stopped(why, Box::new(acted.clone()));
        let cert = said.cnf.as_ref().map_or("", |bound| &*bound.x5t_s256);
        if !cert.is_empty() && peer(head).as_deref() != Some(cert) {
            return Err(stopped(
                "the token is bound to a certificate that this connection has not",
            ));
        }
        let user = self.store.user(&user_id).await?;
        let Some(user) = user.filter(|user| user.sub == *sub && user.disabled_at.is_none()) else {
            return Err(stopped("who the token names is not known here, or is disabled"));
        };
        let on = [
            (Kind::User, &*user.user_id),
            (Kind::Credential, &*said.credential_id),
            (Kind::Session, &*said.sid),
            (Kind::Token, jti),
            (Kind::Cert, cert),
        ];
        if self.store.stop_at_sign_in(&on, clock::now()).await?.is_some() {
            return Err(stopped("what the token was minted from is revoked or paused"));
        }
        if user.tenant_id != said.tenant_id {
            return Err(stopped("whose token this is belongs to another tenant now"));
        }
        let (roles, tenants) = self.reach(&user.user_id, said);
        let how = How::Token(said.sid.clone());

        Ok((Operator::new(user.user_id, roles, tenants, how), acted))
    }

    /// The directory's groups give roles in one's own tenant. Further reach is written down on this host, for roles
    /// that both name.
    fn reach(&self, user_id: &str, said: &Claims) -> (Vec<Role>, Option<Vec<String>>) {
        let mut roles = Role::among(&said.roles);
        let Some(entry) = self.listed.iter().find(|entry| entry.user == user_id) else {
            return (roles, Some(vec![said.tenant_id.clone()]));
        };
        let listed = Role::among(&entry.roles);
        roles.retain(|role| listed.contains(role));

        (roles, (!entry.tenants.is_empty()).then(|| entry.tenants.clone()))
    }

    fn verified(&self, token: &str) -> Result<JWTClaims<Claims>, Refused> {
        let bad = |_error| Refused::Token("the token is no operator's token of this gateway's");
        let head = Token::decode_metadata(token).map_err(bad)?;
        let key = head
            .key_id()
            .and_then(|kid| self.keys.borrow().verifier(kid).cloned())
            .ok_or(Refused::Token("the token was signed with a key that is not known"))?;
        let options = VerificationOptions {
            allowed_issuers: Some([self.settings.issuer.clone()].into()),
            allowed_audiences: Some([audience(&self.settings.audience)].into()),
            time_tolerance: Some(Duration::from_secs(SKEW)),
            ..VerificationOptions::default()
        };
        let claims = key.verify_token::<Claims>(token, Some(options)).map_err(bad)?;
        if claims.expires_at.is_none() {
            return Err(Refused::Token("the token has no end"));
        }
        if !matches!(claims.custom.amr, Method::Sso | Method::Mtls) {
            return Err(Refused::Token("operators sign in as people do: `tollgate-helper login`"));
        }

        Ok(claims)
    }
}

/// The certificate of the connection, as `cnf.x5t#S256` has it (RFC 8705 §3.1).
fn peer(head: &HeaderMap) -> Option<String> {
    let digits = head.get(PEER)?.to_str().ok()?;
    let mut bytes = Vec::new();
    for at in (0..digits.len()).step_by(2) {
        let pair = digits.get(at..at.checked_add(2)?)?;
        bytes.push(u8::from_str_radix(pair, 16).ok()?);
    }

    (hex(&bytes) == digits).then(|| BASE64_URL_SAFE_NO_PAD.encode(bytes))
}
