//! Service tokens: a workload's own token for one of ours (`POST /oauth/token`, RFC 8693).

use super::reply::{json, told};
use super::{Answer, Proven, Refused, Unsigned, Wish, acted};
use crate::acts::Act;
use crate::clock;
use crate::directory::Directory;
use crate::operators::operator::Operator;
use crate::store::{Held, StoreError, User};
use crate::workloads::{Job, Unproven, payload, user};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use contract::audit::{Acted, SignIn as Told};
use contract::claims::Method;
use contract::headers::REFUSAL;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tracing::info;

/// The only grant.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// The client that jobs call by.
const CLIENT: &str = "service";

/// Most parameters of a request.
const MOST: usize = 32;

/// Why there is no token, as RFC 6749 §5.2 and RFC 8693 §2.2.2 name it.
enum Fault {
    /// The request is not one: an error code, and what is wrong with it.
    Request(&'static str, &'static str),
    /// It is one, and is refused.
    Unsigned(Unsigned),
}

impl From<Unsigned> for Fault {
    fn from(unsigned: Unsigned) -> Self {
        Self::Unsigned(unsigned)
    }
}

/// Trades it.
pub async fn trade(
    State(directory): State<Directory>,
    asked: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let signed = match form(&asked, &body) {
        Ok(form) if form.audience.as_ref().is_some_and(|it| *it != directory.audience()) => {
            Err(Fault::Request("invalid_target", "there is one audience here, and that is another"))
        }
        Ok(Form { subject_token, .. }) => {
            let account = account(&subject_token);
            let trade = directory.exchange(&subject_token);
            let signed = directory.sign_in.slowly(&asked, account.as_deref(), trade).await;
            signed.map_err(Fault::Unsigned)
        }
        Err(fault) => Err(fault),
    };
    match signed {
        Ok((answer, acted)) => directory.granted(&answer, &acted),
        Err(Fault::Request(code, why)) => {
            told(error(StatusCode::BAD_REQUEST, code, why), &malformed())
        }
        Err(Fault::Unsigned(unsigned)) => directory.denied(unsigned, &asked),
    }
}

/// What counts of a request.
struct Form {
    subject_token: String,
    audience: Option<String>,
}

/// The token to exchange, of a request that asks for what there is.
fn form(asked: &HeaderMap, body: &Bytes) -> Result<Form, Fault> {
    let refuse = |why| Fault::Request("invalid_request", why);
    let kind = asked.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(refuse("send a form: application/x-www-form-urlencoded"));
    }
    let mut form = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body).take(MOST) {
        // RFC 6749 §3.2: not twice; what is empty is not there.
        if !value.is_empty() && form.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(refuse("a parameter is there twice"));
        }
    }
    let said = |name: &str| form.get(name).map(String::as_str);
    match said("grant_type") {
        Some(GRANT) => {}
        Some(_) => return Err(Fault::Request("unsupported_grant_type", "only token exchange")),
        None => return Err(refuse("grant_type is missing")),
    }
    if !matches!(said("subject_token_type"), Some(JWT | ID_TOKEN)) {
        return Err(refuse("subject_token_type must be that of a JWT or an ID token"));
    }
    if !matches!(said("requested_token_type"), None | Some(ACCESS_TOKEN | JWT)) {
        return Err(refuse("requested_token_type must be that of an access token"));
    }
    if said("actor_token").is_some() {
        return Err(refuse("nobody acts for a job: no actor_token"));
    }
    if said("resource").is_some() {
        return Err(Fault::Request("invalid_target", "name no resource"));
    }

    let subject_token = form.remove("subject_token");
    let subject_token = subject_token.ok_or_else(|| refuse("subject_token is missing"))?;

    Ok(Form { subject_token, audience: form.remove("audience") })
}

/// What it claims to be, before anybody believes it.
fn account(token: &str) -> Option<String> {
    let claims = payload(token)?;
    let subject = claims.get("sub").and_then(Value::as_str)?;

    Some(subject.to_owned())
}

impl Directory {
    /// `aud` of what is minted.
    fn audience(&self) -> &str {
        &self.sign_in.settings.audience
    }

    async fn exchange(&self, subject_token: &str) -> Result<(Answer, Acted), Unsigned> {
        let now = clock::now();
        let job = match self.workloads.prove(subject_token, now).await {
            Ok(job) => job,
            Err(Unproven::Refused(why)) => {
                info!(refusal.reason = why, "Refused a workload's token");
                return Err(refused(Refused::SubjectRefused, why));
            }
            Err(Unproven::Away) => return Err(refused(Refused::ProviderAway, "issuer_away")),
        };
        let user = self.service(&job).await?;
        let credential_id = format!("wkl_{}", job.workload.id);
        let proven = Proven {
            user: &user,
            method: Method::Service,
            credential_id: &credential_id,
            sid: None,
            client_id: CLIENT,
            certificate: None,
            held: Held::Nothing,
            told: Told { provider: job.subject.clone(), ..exchanged() },
        };
        if let Some(once) = &job.once
            && !self.sign_in.store.exchange_once(once, job.expires_at).await?
        {
            let version = self.sign_in.policy.borrow().version.clone();
            return Err(Unsigned::refused(Refused::SubjectReused, acted(&proven, &version)));
        }
        let wish = Wish { until: Some(job.expires_at), ..Wish::default() };

        self.sign_in.mint(proven, &wish).await
    }

    /// The job's user, as the configuration has it now.
    async fn service(&self, job: &Job<'_>) -> Result<User, Unsigned> {
        let store = &self.sign_in.store;
        let wanted = user(job.workload, clock::now());
        let known = store.user(&wanted.user_id).await?;
        let is_so = known.as_ref().is_some_and(|known| {
            let User { created_at, disabled_at, .. } = known.clone();
            *known == User { created_at, disabled_at, roles: known.roles.clone(), ..wanted.clone() }
        });
        if !is_so {
            let act =
                Act::new(&Operator::itself("identity"), format!("workload {}", job.workload.id))
                    .map_err(random)?;
            store.put_service(&wanted, &act).await?;
        }
        let user = store.user(&wanted.user_id).await?.unwrap_or(wanted);

        // An operator's role is a person's.
        Ok(User { roles: Vec::new(), ..user })
    }

    fn granted(&self, answer: &Answer, acted: &Acted) -> Response<Body> {
        self.sign_in.counters.mints.one();
        info!(user.id = acted.user_id, credential.id = acted.credential_id, "Minted a token");
        let body = json!({
            "access_token": answer.token, "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer", "expires_in": answer.ttl,
        });

        told(json(StatusCode::OK, body.to_string()), acted)
    }

    fn denied(&self, unsigned: Unsigned, asked: &HeaderMap) -> Response<Body> {
        let (why, status, code) = match &unsigned {
            Unsigned::Refused(why, _) => match why.status() {
                // RFC 8693 §2.2.2: whatever is wrong with the subject's token.
                StatusCode::BAD_REQUEST => (Some(*why), StatusCode::BAD_REQUEST, "invalid_request"),
                status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                    (Some(*why), status, "temporarily_unavailable")
                }
                _ => (Some(*why), StatusCode::BAD_REQUEST, "unauthorized_client"),
            },
            _ => (None, StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        };
        // Counted, logged and told as every sign-in; what is answered has the form of OAuth.
        let plain = self.sign_in.refusal(unsigned, asked);
        let message = why.map_or("try again shortly", Refused::message);
        let mut response = error(status, code, message);
        let kept = [contract::headers::CALLER, REFUSAL, header::RETRY_AFTER.as_str()];
        for name in kept {
            if let Some(value) = plain.headers().get(name)
                && let Ok(name) = name.parse::<header::HeaderName>()
            {
                response.headers_mut().insert(name, value.clone());
            }
        }

        response
    }
}

fn random(error: crate::keys::KeyError) -> StoreError {
    StoreError::Key(error)
}

fn exchanged() -> Told {
    Told { tier: "service".into(), act: "exchanged".into(), ..Told::default() }
}

fn refused(why: Refused, reason: &str) -> Unsigned {
    let told = Told { flags: vec![reason.to_owned()], ..exchanged() };

    Unsigned::refused(why, Acted { sign_in: Some(told), ..Acted::default() })
}

fn malformed() -> Acted {
    Acted { rule_id: Some("invalid_request".into()), ..Acted::default() }
}

/// RFC 6749 §5.2.
fn error(status: StatusCode, code: &str, why: &str) -> Response<Body> {
    let body = json!({ "error": code, "error_description": why });
    let mut response = json(status, body.to_string());
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));

    response
}
