//! Our own MCP server, `POST /mcp/approvals`: two tools, no sessions, nothing that is remembered between requests.
//!
//! Both eras of the protocol are served: clients that shake hands (2025-03-26 to 2025-11-25) and those that say
//! everything in each request (2026-07-28). The official crate serves both too, but begins to answer a call of the
//! newer era only when its handler says something: an agent that waits for a person would see minutes of silence.

mod era;
mod reading;
mod stream;

use self::era::{Era, LEGACY, MODERN};
use self::reading::{Called, Initialized, Message, Meta};
use super::asker::{Asker, Unknown};
use super::tools::{self, Call};
use super::{Approvals, PATH};
use crate::sign_in::reply;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tracing::error;

/// JSON-RPC's own codes, and those of MCP (2026-07-28, "Error Codes").
const PARSE: i32 = -32_700;
const INVALID_REQUEST: i32 = -32_600;
const METHOD_NOT_FOUND: i32 = -32_601;
const INVALID_PARAMS: i32 = -32_602;
const HEADER_MISMATCH: i32 = -32_020;
const UNSUPPORTED_VERSION: i32 = -32_022;

const INSTRUCTIONS: &str = "Some tools of this gateway need a person's approval before each call. Where a call was \
    refused for that, call request_approval with the server, the tool and exactly the arguments that you want to \
    use, and say why. When it says approved, make that very call: it passes once. When it says denied, do not try \
    another way: tell the user.";

/// A fault, as JSON-RPC tells it.
#[derive(Debug)]
pub struct Fault {
    status: StatusCode,
    code: i32,
    message: String,
    data: Option<Value>,
}

impl Fault {
    fn new(status: StatusCode, code: i32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), data: None }
    }

    fn bad(code: i32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// One that is an answer like any other.
    pub(super) fn params(message: impl Into<String>) -> Self {
        Self::new(StatusCode::OK, INVALID_PARAMS, message)
    }
}

/// Whatever comes to the path.
pub async fn answer(
    State(approvals): State<Approvals>,
    method: Method,
    head: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if method != Method::POST {
        let fault = Fault::new(StatusCode::METHOD_NOT_ALLOWED, INVALID_REQUEST, "only POST");
        let mut response = told(&Value::Null, Err(fault));
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    if !approvals.is_origin(&head) {
        let fault = Fault::new(StatusCode::FORBIDDEN, INVALID_REQUEST, "this origin may not ask");
        return told(&Value::Null, Err(fault));
    }
    let asker = match approvals.asker(&head).await {
        Ok(asker) => asker,
        Err(unknown) => return nobody(unknown),
    };
    let message = match Message::read(&head, &body) {
        Ok(message) => message,
        Err(fault) => return told(&Value::Null, Err(fault)),
    };
    let Some(id) = message.id.clone() else {
        // A notification: there is none that changes anything here.
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::ACCEPTED;
        return response;
    };
    let answered = async {
        let era = Era::of(&head, &message)?;
        approvals.asked(&asker, era, &message, stream::is_taken(&head)).await
    };
    match answered.await {
        Ok(Answered::Now(result)) => told(&id, Ok(result)),
        Ok(Answered::Later(waiting)) => stream::answer(id, *waiting),
        Err(fault) => told(&id, Err(fault)),
    }
}

/// What a request comes to.
enum Answered {
    Now(Value),
    Later(Box<stream::Waiting>),
}

impl Approvals {
    async fn asked(
        &self,
        asker: &Asker,
        era: Era,
        message: &Message,
        streams: bool,
    ) -> Result<Answered, Fault> {
        let now = |result: Value| Ok(Answered::Now(era.completed(result)));
        match (&*message.method, era) {
            ("initialize", _) => Ok(Answered::Now(initialized(message)?)),
            ("ping", Era::Legacy) => Ok(Answered::Now(json!({}))),
            ("server/discover", Era::Modern) => now(discovered()),
            ("tools/list", _) => now(listed(era)),
            ("tools/call", _) => {
                let called: Called = message.params()?;
                let arguments = called.arguments.as_deref().map_or("{}", RawValue::get);
                match tools::call(self, asker, &called.name, arguments).await? {
                    Call::Done(result) => now(result),
                    Call::Waits { approval, seconds, place } => {
                        let waited = self.clone().later(*approval, seconds, place, era);
                        if !streams {
                            return Ok(Answered::Now(waited.await));
                        }
                        let token = called.meta.and_then(Meta::progress);
                        let answer = Box::pin(waited);
                        let waiting = stream::Waiting { answer, token, seconds };
                        Ok(Answered::Later(Box::new(waiting)))
                    }
                }
            }
            (method, era) => {
                let status =
                    if era == Era::Modern { StatusCode::NOT_FOUND } else { StatusCode::OK };
                let method: String = method.chars().take(64).collect();
                Err(Fault::new(status, METHOD_NOT_FOUND, format!("Method not found: {method}")))
            }
        }
    }

    /// A page of somebody else's site has no business here (DNS rebinding); programs name no origin.
    fn is_origin(&self, head: &HeaderMap) -> bool {
        let own = self.public().map(|public| public.origin().ascii_serialization());

        head.get_all(header::ORIGIN)
            .iter()
            .all(|origin| own.as_deref().is_some_and(|own| origin.as_bytes() == own.as_bytes()))
    }

    async fn later(
        self,
        approval: crate::store::approvals::Approval,
        seconds: u64,
        place: super::wait::Place,
        era: Era,
    ) -> Value {
        era.completed(match self.waited(approval, seconds, place).await {
            Ok(approval) => tools::told(&approval),
            Err(error) => {
                self.sign_in.counters.store_errors.one();
                error!(error = %error, "What was decided is not known");
                tools::unavailable()
            }
        })
    }
}

fn initialized(message: &Message) -> Result<Value, Fault> {
    let asked: Initialized = message.params()?;
    let version = LEGACY.iter().find(|version| **version == asked.protocol_version);

    Ok(json!({
        "protocolVersion": version.or(LEGACY.first()),
        "capabilities": { "tools": { "listChanged": false } },
        "serverInfo": server(),
        "instructions": INSTRUCTIONS,
    }))
}

fn discovered() -> Value {
    let versions: Vec<&str> = [MODERN].into_iter().chain(LEGACY).collect();

    json!({
        "supportedVersions": versions, "capabilities": { "tools": {} },
        "instructions": INSTRUCTIONS, "ttlMs": 3_600_000, "cacheScope": "public",
    })
}

fn listed(era: Era) -> Value {
    let mut result = json!({ "tools": tools::list() });
    if era == Era::Modern
        && let Some(result) = result.as_object_mut()
    {
        result.insert("ttlMs".to_owned(), 3_600_000.into());
        // What a caller may use is the policy's to say.
        result.insert("cacheScope".to_owned(), "private".into());
    }

    result
}

fn server() -> Value {
    json!({ "name": "tollgate-approvals", "title": "Approvals", "version": env!("CARGO_PKG_VERSION") })
}

fn nobody(unknown: Unknown) -> Response<Body> {
    let (status, message) = match unknown {
        Unknown::Token => (StatusCode::UNAUTHORIZED, "no token of this gateway's"),
        Unknown::Stopped => (StatusCode::FORBIDDEN, "access is revoked or paused"),
        Unknown::Event => {
            (StatusCode::BAD_REQUEST, "a request without an id does not come by the gate")
        }
        Unknown::Store(fault) => {
            error!(error = %fault, "Nobody can ask for an approval");
            (StatusCode::SERVICE_UNAVAILABLE, "approvals cannot be asked for at the moment")
        }
    };
    let mut response = told(&Value::Null, Err(Fault::new(status, INVALID_REQUEST, message)));
    if status == StatusCode::UNAUTHORIZED {
        let value = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }

    response
}

/// A response of JSON-RPC.
fn response(id: &Value, result: Result<Value, &Fault>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(fault) => {
            let mut error = json!({ "code": fault.code, "message": fault.message });
            if let (Some(data), Some(error)) = (&fault.data, error.as_object_mut()) {
                error.insert("data".to_owned(), data.clone());
            }
            json!({ "jsonrpc": "2.0", "id": id, "error": error })
        }
    }
}

fn told(id: &Value, result: Result<Value, Fault>) -> Response<Body> {
    let (status, body) = match result {
        Ok(result) => (StatusCode::OK, response(id, Ok(result))),
        Err(fault) => (fault.status, response(id, Err(&fault))),
    };

    reply::json(status, body.to_string())
}

const _: () = assert!(PATH.len() == "/mcp/".len() + contract::policy::APPROVALS.len());
