//! Operators: what they may ([`table`]), how they ask from elsewhere ([`socket`], [`token`], [`desk`]), and the listener
//! that says whether the sidecar is alive, can do its work, and what it has counted.

mod answer;
pub mod desk;
pub mod operator;
pub mod socket;
pub mod table;
pub mod token;

use crate::counters::Counters;
use crate::identity::{self, Identity};
use crate::policy::yaml;
use crate::settings::FileError;
use crate::store::Store;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Why the file that names operators cannot be used.
#[derive(Debug, Error)]
pub enum ListError {
    /// Its file.
    #[error(transparent)]
    File(#[from] FileError),
    /// What is in it.
    #[error("{}: {why}", path.display())]
    Faulty {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// Who operates without being the owner of the data directory: `operators:` in `identity.yaml`.
///
/// # Errors
/// [`ListError`].
pub fn listed(path: Option<&Path>) -> Result<Vec<identity::Operator>, ListError> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let faulty = |why: String| ListError::Faulty { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path)
        .map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    let root = yaml::parse(&text).map_err(|slips| faulty(format!("{slips:?}")))?;
    let listed: Identity =
        serde_json::from_value(plain(&root)).map_err(|error| faulty(error.to_string()))?;
    for entry in &listed.operators {
        let unknown = entry
            .roles
            .iter()
            .find(|word| !operator::Role::ALL.iter().any(|role| role.as_str() == *word));
        if let Some(word) = unknown {
            return Err(faulty(format!("operators: {word:?} is no role")));
        }
    }

    Ok(listed.operators)
}

/// A node as JSON.
fn plain(node: &yaml::Node) -> Value {
    match &node.kind {
        yaml::Kind::Scalar { text, plain } => match yaml::typed(text, *plain) {
            yaml::Type::Null => Value::Null,
            yaml::Type::Truth => Value::Bool(text == "true"),
            yaml::Type::Number => serde_json::from_str(text).unwrap_or_else(|_odd| json!(text)),
            yaml::Type::Text => json!(text),
        },
        yaml::Kind::List(items) => items.iter().map(plain).collect(),
        yaml::Kind::Map(members) => {
            members.iter().map(|(key, node)| (key.text.clone(), plain(node))).collect()
        }
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
