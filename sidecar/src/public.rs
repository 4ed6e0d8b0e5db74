//! The listener that Envoy routes clients to: sign-in, and the key set.
//!
//! Every answer to a sign-in says, in a header that the gate takes away, who it was: the row of
//! the exchange is the gate's to write, and there is one for each refusal too.

use crate::directory::Directory;
use crate::document::Document;
use crate::sign_in::{SignIn, pat, reply, session};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{get, post};
use contract::refusal::ErrorType;

/// Longest body of a sign-in.
const LARGEST: usize = 64 * 1024;

/// The listener's paths.
pub fn routes(sign_in: SignIn, directory: Directory) -> Router {
    Router::new()
        .route("/v1/auth/cowork/pat", post(pat::trade))
        .route("/v1/auth/cowork/session/authorize", get(session::browser::authorize))
        .route("/v1/auth/cowork/session/approve", post(session::browser::approve))
        .route("/v1/auth/cowork/session", post(session::trade).delete(session::end))
        .route("/oauth/callback", get(session::browser::callback))
        .route("/.well-known/jwks.json", get(key_set))
        .layer(DefaultBodyLimit::max(LARGEST))
        .merge(directory.routes())
        .fallback(async |asked: HeaderMap| {
            let status = StatusCode::NOT_FOUND;
            reply::refusal(status, ErrorType::NotFoundError, "there is no such path", &asked)
        })
        .method_not_allowed_fallback(async |asked: HeaderMap| {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            let message = "this path has another method";
            reply::refusal(status, ErrorType::InvalidRequestError, message, &asked)
        })
        .with_state(sign_in)
}

async fn key_set(State(sign_in): State<SignIn>, asked: HeaderMap) -> Response<Body> {
    let document: Document = sign_in.keys.borrow().jwks.clone();

    document.answer(&asked)
}
