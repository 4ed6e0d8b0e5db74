//! Operators: what they may ([`table`]), how they ask from elsewhere ([`socket`], [`token`], [`desk`]), and the listener
//! that says whether the sidecar is alive, can do its work, and what it has counted.

mod answer;
pub mod desk;
pub mod operator;
pub mod socket;
pub mod table;
pub mod token;

use self::desk::Desk;
use self::socket::Socket;
use self::token::Surface;
use crate::counters::Counters;
use crate::identity::Identity;
use crate::keys::Live;
use crate::settings::{FileError, Settings};
use crate::store::Store;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How operators reach the sidecar from elsewhere: the socket, and the surface behind the gateway.
#[derive(Debug)]
pub struct Elsewhere {
    socket: Option<Socket>,
    surface: Surface,
}

impl Elsewhere {
    /// Opens the socket.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn open(
        settings: &Arc<Settings>,
        store: &Store,
        keys: &watch::Receiver<Live>,
        identity: &Identity,
    ) -> Result<Self, FileError> {
        let surface = Surface {
            desk: Desk::new(settings.data.clone(), store.clone()),
            store: store.clone(),
            keys: keys.clone(),
            settings: Arc::clone(settings),
            listed: identity.operators.clone().into(),
        };

        Ok(Self { socket: Socket::open(settings)?, surface })
    }

    /// Answers at the socket; the paths of the surface.
    pub fn serve(self, drain: &watch::Receiver<bool>, served: &mut JoinSet<()>) -> Router {
        let Self { socket, surface } = self;
        if let Some(socket) = socket {
            served.spawn(socket.answer(&surface, drain.clone()));
        }

        token::routes(surface)
    }
}

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
