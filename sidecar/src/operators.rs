//! Operators: what they may ([`table`]), how they ask from elsewhere ([`socket`], [`token`], [`desk`]), and the listener
//! that says whether the sidecar is alive, can do its work, and what it has counted.

mod answer;
pub mod desk;
pub mod operator;
pub mod socket;
pub mod table;
pub mod token;

use crate::counters::Counters;
use crate::store::Store;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::sync::Arc;

/// What operators may ask.
#[derive(Debug, Clone)]
pub struct Operators {
    /// The store.
    pub store: Store,
    /// Counts.
    pub counters: Arc<Counters>,
}

/// The listener's paths.
pub fn routes(operators: Operators) -> Router {
    Router::new()
        .route("/healthz", get(async || Json(json!({ "status": "alive" }))))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(operators)
}

/// Keys, policy and standing are there, or `serve` would not have started; what can go away is the
/// database.
async fn ready(State(operators): State<Operators>) -> Response {
    match operators.store.ping().await {
        Ok(()) => Json(json!({ "status": "ready" })).into_response(),
        Err(error) => {
            operators.counters.store_errors.one();
            let body = json!({ "status": "not ready", "why": error.to_string() });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

async fn metrics(State(operators): State<Operators>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];

    (kind, operators.counters.prometheus()).into_response()
}
