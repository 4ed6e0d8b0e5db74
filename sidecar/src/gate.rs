//! The listener for the gate itself: what it fetches each second, what it counts, and Envoy's
//! access log. Clients never reach it: no route of Envoy leads here.

use crate::access_log::{self, Receiver};
use crate::clock;
use crate::counters::Counters;
use crate::document::Document;
use crate::failure::Failure;
use crate::keys::{self, Live};
use crate::policy::Published;
use crate::store::Store;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use contract::audit::{self, Counted, Event, Heartbeat, Outcome, Payload};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::watch;
use tracing::error;

/// Longest list of counts in one request, in bytes.
const LARGEST: usize = 1024 * 1024; // 1 MiB: some 5,000 addresses

/// What the gate is told.
#[derive(Debug, Clone)]
pub struct Gate {
    /// The policy in force.
    pub policy: watch::Receiver<Arc<Published>>,
    /// The signing keys.
    pub keys: watch::Receiver<Live>,
    /// Who is stopped.
    pub standing: watch::Receiver<Document>,
    /// What sessions of MCP servers are sealed with.
    pub sessions: Document,
    /// The store.
    pub store: Store,
    /// Counts.
    pub counters: Arc<Counters>,
}

/// The listener's paths.
pub fn routes(gate: Gate, receiver: Receiver) -> Router {
    Router::new()
        .route("/gate/policy", get(policy))
        .route("/gate/keys", get(keys))
        .route("/gate/standing", get(standing))
        .route("/gate/sessions", get(sessions))
        .route("/gate/counted", post(counted).layer(DefaultBodyLimit::max(LARGEST)))
        .route("/gate/intent", post(intent).layer(DefaultBodyLimit::max(audit::LARGEST)))
        .route("/gate/heartbeat", post(heartbeat).layer(DefaultBodyLimit::max(LARGEST)))
        .with_state(gate)
        .merge(access_log::routes(receiver))
}

async fn policy(State(gate): State<Gate>, asked: HeaderMap) -> Response<Body> {
    let published = Arc::clone(&gate.policy.borrow());

    published.envelope.answer(&asked)
}

async fn keys(State(gate): State<Gate>, asked: HeaderMap) -> Response<Body> {
    let document = gate.keys.borrow().jwks.clone();

    document.answer(&asked)
}

async fn standing(State(gate): State<Gate>, asked: HeaderMap) -> Response<Body> {
    let document = gate.standing.borrow().clone();
    let mut response = document.answer(&asked);
    // The gate must know how old this is, also where it is what the gate has (RFC 9111 §5.1).
    response.headers_mut().insert(header::AGE, gate.counters.standing_age().into());

    response
}

/// The key that sessions of MCP servers are sealed with. All sidecars of one database have the same.
///
/// # Errors
/// [`Failure`] without randomness, or without the store.
pub async fn session_key(store: &Store) -> Result<Document, Failure> {
    let fresh = BASE64_URL_SAFE_NO_PAD.encode(keys::random::<32>()?);
    let key = store.gate_secret("mcp.sessions", &fresh).await?;

    Ok(Document::new(json!({ "key": key }).to_string()))
}

async fn sessions(State(gate): State<Gate>, asked: HeaderMap) -> Response<Body> {
    gate.sessions.answer(&asked)
}

async fn counted(State(gate): State<Gate>, body: Bytes) -> Response<Body> {
    let Ok(counts) = serde_json::from_slice::<Vec<Counted>>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let events: Vec<Event<'static>> = counts.into_iter().map(row).collect();
    match gate.store.append(&events, None).await {
        Ok(appended) => {
            gate.counters.counted.stored.add(appended.stored);
            gate.counters.counted.duplicates.add(appended.duplicates);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => {
            gate.counters.store_errors.one();
            error!(error = %error, "Counted refusals were not stored; the gate may send them again");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// A call that leaves only when this has been answered with 204: it is stored then.
async fn intent(State(gate): State<Gate>, body: Bytes) -> Response<Body> {
    let Ok(event) = serde_json::from_slice::<Event<'static>>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if event.event_id.is_empty() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    match gate.store.intend(&event, clock::now_micros()).await {
        Ok(()) => {
            gate.counters.intents.one();
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => {
            gate.counters.store_errors.one();
            error!(error = %error, "An intent was not stored: the call is refused");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// How far a VM of the gate has come.
async fn heartbeat(State(gate): State<Gate>, body: Bytes) -> Response<Body> {
    let Ok(told) = serde_json::from_slice::<Heartbeat>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match gate.store.heard(&told, clock::now_micros()).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => {
            gate.counters.store_errors.one();
            error!(error = %error, "A heartbeat was not stored; the next one will be");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// The row that stands for many refusals.
fn row(counted: Counted) -> Event<'static> {
    let Counted { since, source_address, rule_id, status, kind, count, sequence } = counted;
    let since = if since == 0 { clock::now_micros() } else { since };

    Event {
        event_id: format!("counted-{}-{}-{}", sequence.boot, sequence.vm, sequence.n).into(),
        occurred_at: since,
        kind,
        outcome: if status < 500 { Outcome::Denied } else { Outcome::Error },
        status: Some(status),
        rule_id: Some(rule_id.into()),
        payload: Payload {
            source_address: Some(source_address.into()),
            repeated: Some(count),
            sequence: Some(sequence),
            ..Payload::default()
        },
        ..Event::default()
    }
}
