//! The directory: who there is, as the enterprise's own system says (SCIM 2.0, RFC 7643 and RFC 7644).
//!
//! A directory calls with a token of one tenant, and sees and touches that tenant alone. Whom it deactivates or
//! deletes is stopped in the transaction that says so: gates refuse them within two seconds, and they do not
//! sign in. Whom it activates again is let in again, unless an operator has stopped them: that stays.

use crate::acts::Act;
use crate::clock;
use crate::directory::Directory;
use crate::keys::KeyError;
use crate::operators::operator::Operator;
use crate::sign_in::reply::{bearer, json as answer, told};
use crate::sign_in::{Refused, Unsigned};
use crate::store::StoreError;
use crate::store::directory::{Pen, ScimToken};
use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use contract::audit::{Acted, SignIn as Told};
use contract::headers::{REFUSAL, X_REQUEST_ID};
use serde_json::{Value, json};
use tracing::{error, warn};

pub mod command;
pub mod filter;
mod groups;
pub mod patch;
pub mod resource;
mod schemas;
pub mod token;
mod users;

/// Largest body.
const LARGEST: usize = 1024 * 1024; // 1 MiB

/// Most members that one request adds or takes.
pub const MOST_MEMBERS: usize = 1_000;

/// Most of a list that is answered at once.
const MOST_LISTED: u64 = 200;

const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// The paths.
pub fn routes() -> Router<Directory> {
    Router::new()
        .route("/scim/v2/ServiceProviderConfig", get(schemas::provider))
        .route("/scim/v2/ResourceTypes", get(schemas::types))
        .route("/scim/v2/ResourceTypes/{id}", get(schemas::one_type))
        .route("/scim/v2/Schemas", get(schemas::all))
        .route("/scim/v2/Schemas/{id}", get(schemas::one))
        .route("/scim/v2/Users", get(users::list).post(users::add))
        .route(
            "/scim/v2/Users/{id}",
            get(users::one).put(users::put).patch(users::change).delete(users::remove),
        )
        .route("/scim/v2/Groups", get(groups::list).post(groups::add))
        .route(
            "/scim/v2/Groups/{id}",
            get(groups::one).put(groups::put).patch(groups::change).delete(groups::remove),
        )
        .layer(DefaultBodyLimit::max(LARGEST))
}

/// Why a request is not done (RFC 7644 §3.12).
#[derive(Debug)]
pub struct Fault {
    status: StatusCode,
    kind: Option<&'static str>,
    detail: String,
}

impl Fault {
    /// With a detail error keyword (RFC 7644 §3.12, table 9).
    pub fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind: Some(kind), detail: detail.into() }
    }

    /// A value that cannot be.
    pub fn value(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalidValue", detail)
    }

    /// A path that cannot be.
    pub fn path(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalidPath", detail)
    }

    /// A body that is not understood.
    pub fn syntax(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalidSyntax", detail)
    }

    fn missing() -> Self {
        let detail = "there is nothing of that id".to_owned();
        Self { status: StatusCode::NOT_FOUND, kind: None, detail }
    }

    fn taken() -> Self {
        Self::new(StatusCode::CONFLICT, "uniqueness", "another has that name or address")
    }

    fn operator() -> Self {
        let detail = "that is an operator: an operator adds or renames them by hand";

        Self::new(StatusCode::CONFLICT, "uniqueness", detail)
    }

    fn stale() -> Self {
        let detail = "it has changed since: read it again".to_owned();
        Self { status: StatusCode::PRECONDITION_FAILED, kind: None, detail }
    }

    fn away() -> Self {
        let detail = "not possible at the moment: try again shortly".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: None, detail }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        error!(error = %error, "A directory's request was not stored");

        Self::away()
    }
}

impl From<KeyError> for Fault {
    fn from(error: KeyError) -> Self {
        error!(error = %error, "A directory's request was not stored");

        Self::away()
    }
}

/// What is answered.
#[derive(Debug, Default)]
struct Reply {
    status: StatusCode,
    body: Option<Value>,
    location: Option<String>,
    version: Option<u64>,
}

impl Reply {
    fn ok(body: Value) -> Self {
        Self { body: Some(body), ..Self::default() }
    }
}

/// A directory that may.
#[derive(Debug)]
struct Caller {
    token: ScimToken,
    now: u64,
}

impl Caller {
    fn tenant(&self) -> &str {
        &self.token.tenant_id
    }

    fn act(&self, what: &str) -> Result<Act, Fault> {
        Ok(Act::new(&Operator::itself(self.who()), format!("scim {what}"))?.on(&self.token.id))
    }

    fn who(&self) -> String {
        format!("scim:{}", self.token.id)
    }

    fn pen<'a>(&'a self, act: &'a Act, version: Option<u64>) -> Pen<'a> {
        Pen { tenant_id: self.tenant(), version, now: self.now, act }
    }
}

/// Does a request, if whoever makes it may.
async fn serve(
    directory: &Directory,
    asked: &HeaderMap,
    work: impl AsyncFnOnce(&Caller) -> Result<Reply, Fault>,
) -> Response<Body> {
    let token = bearer(asked);
    let look = known(directory, token);
    let account = token.and_then(token::name);
    let caller = match directory.sign_in.slowly(asked, account.as_deref(), look).await {
        Ok(caller) => caller,
        Err(unsigned) => return refused(directory, unsigned, asked),
    };
    let worked = work(&caller).await;
    if let Err(fault) = &worked
        && fault.status.is_server_error()
    {
        directory.sign_in.counters.store_errors.one();
    }
    let acted = Acted {
        tenant_id: caller.tenant().to_owned(),
        user_id: caller.who(),
        credential_id: Some(caller.token.id.clone()),
        rule_id: worked.as_ref().err().map(rule),
        sign_in: Some(Told { tier: "scim".into(), ..Told::default() }),
        ..Acted::default()
    };
    let response = match worked {
        Ok(reply) => written(reply),
        Err(fault) => failed(&fault),
    };

    told(response, &acted)
}

async fn known(directory: &Directory, token: Option<&str>) -> Result<Caller, Unsigned> {
    let store = &directory.sign_in.store;
    let now = clock::now();
    let found = store.scim_token(&token::hash(token.unwrap_or_default())).await?;
    let acted = |token: &ScimToken| Acted {
        tenant_id: token.tenant_id.clone(),
        user_id: format!("scim:{}", token.id),
        credential_id: Some(token.id.clone()),
        ..Acted::default()
    };
    match found {
        None if token.is_none() => Err(Unsigned::refused(Refused::ScimMissing, Acted::default())),
        None => Err(Unsigned::refused(Refused::ScimUnknown, Acted::default())),
        Some(token) if token.revoked_at.is_some() => {
            Err(Unsigned::refused(Refused::ScimRevoked, acted(&token)))
        }
        Some(token) if token.expires_at <= now => {
            Err(Unsigned::refused(Refused::ScimExpired, acted(&token)))
        }
        Some(token) => {
            // To the minute is near enough: a directory asks often.
            if token.last_used_at.is_none_or(|at| at.saturating_add(60) < now) {
                store.scim_token_used(&token.id, now).await?;
            }
            Ok(Caller { token, now })
        }
    }
}

/// Counted, logged and told as every sign-in; what is answered has the form of SCIM.
fn refused(directory: &Directory, unsigned: Unsigned, asked: &HeaderMap) -> Response<Body> {
    let detail = match &unsigned {
        Unsigned::Refused(why, _) => why.message(),
        _ => "not possible at the moment: try again shortly",
    };
    let plain = directory.sign_in.refusal(unsigned, asked);
    let fault = Fault { status: plain.status(), kind: None, detail: detail.to_owned() };
    let mut response = failed(&fault);
    for name in [contract::headers::CALLER, REFUSAL, header::RETRY_AFTER.as_str()] {
        if let (Some(value), Ok(name)) =
            (plain.headers().get(name), name.parse::<header::HeaderName>())
        {
            response.headers_mut().insert(name, value.clone());
        }
    }
    if fault.status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(id) = asked.get(X_REQUEST_ID) {
        response.headers_mut().insert("request-id", id.clone());
    }

    response
}

/// What a row says of a request that was not done.
fn rule(fault: &Fault) -> String {
    match fault.kind {
        Some(kind) => format!("scim_{kind}"),
        None => format!("scim_{}", fault.status.as_u16()),
    }
}

fn failed(fault: &Fault) -> Response<Body> {
    let mut body = json!({
        "schemas": [ERROR], "status": fault.status.as_u16().to_string(), "detail": fault.detail,
    });
    if let (Some(kind), Some(body)) = (fault.kind, body.as_object_mut()) {
        body.insert("scimType".into(), kind.into());
    }
    if fault.status.is_client_error() && fault.status != StatusCode::NOT_FOUND {
        warn!(
            scim.status = fault.status.as_u16(),
            scim.detail = fault.detail,
            "A directory's request was refused"
        );
    }

    typed(answer(fault.status, body.to_string()))
}

fn written(reply: Reply) -> Response<Body> {
    let body = reply.body.map(|body| body.to_string()).unwrap_or_default();
    let mut response = typed(answer(reply.status, body));
    let headers = response.headers_mut();
    if let Some(location) = reply.location.and_then(|it| HeaderValue::from_str(&it).ok()) {
        headers.insert(header::LOCATION, location);
    }
    if let Some(etag) = reply.version.and_then(|it| HeaderValue::from_str(&etag(it)).ok()) {
        headers.insert(header::ETAG, etag);
    }

    response
}

/// RFC 7644 §8.1.
fn typed(mut response: Response<Body>) -> Response<Body> {
    let kind = HeaderValue::from_static("application/scim+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);

    response
}

/// A version as it is written (RFC 7644 §3.14).
fn etag(version: u64) -> String {
    format!("W/\"{version}\"")
}

/// The version that a write asks for (`If-Match`); none for any.
fn wanted(asked: &HeaderMap) -> Result<Option<u64>, Fault> {
    let Some(value) = asked.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let bare = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');

    let Ok(version) = bare.parse() else { return Err(Fault::stale()) };

    Ok(Some(version))
}

/// Has whoever asks this version already (`If-None-Match`)?
fn has(asked: &HeaderMap, version: u64) -> bool {
    let value = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());

    value.is_some_and(|value| value.split(',').any(|one| one.trim() == etag(version)))
}

/// Where a resource is.
fn location(directory: &Directory, path: &str, id: &str) -> String {
    let base = directory.identity.public_url.as_deref().unwrap_or_default();

    format!("{}/scim/v2/{path}/{id}", base.trim_end_matches('/'))
}

/// A body, as JSON.
fn body(bytes: &[u8]) -> Result<Value, Fault> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| Fault::syntax(error.to_string()))?;
    if !value.is_object() {
        return Err(Fault::syntax("an object belongs here"));
    }

    Ok(value)
}
