//! A token for an assertion (RFC 7523 §2.1, RFC 6749 §5).

use super::key::Key;
use crate::oidc::http::{Http, HttpError};
use axum::http::{self, Request, StatusCode, header};
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// What asks for a token by an assertion.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Longest token. Google's have one or two kilobytes at the most.
const LONGEST: usize = 8192;

/// Longest life that is believed: Google gives an hour, or twelve where an administrator allows it.
const LONGEST_LIFE: u64 = 12 * 3600;

/// Most characters of a refusal's words that are told.
const WORDS: usize = 200;

/// An access token.
#[derive(Clone)]
pub struct Token {
    text: String,
    /// How long it is good from now.
    pub life: Duration,
}

impl Token {
    /// As a header `authorization` has it.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({:?})", self.life)
    }
}

/// Why there is none. Neither assertion nor token is told.
#[derive(Debug, Error)]
pub enum TokenError {
    /// No assertion.
    #[error("the assertion cannot be signed: {0}")]
    Sign(#[from] rustls::Error),
    /// No request.
    #[error("the token server's address cannot be asked: {0}")]
    Request(#[from] http::Error),
    /// No answer.
    #[error("the token server: {0}")]
    Http(#[from] HttpError),
    /// A refusal.
    #[error("the token server answered {status}{told}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// Its words, if it has any.
        told: String,
    },
    /// An answer that is no token.
    #[error("the token server's answer: {0}")]
    Form(&'static str),
}

/// Gets one.
///
/// # Errors
/// [`TokenError`].
pub async fn fetch(http: &Http, key: &Key, now: u64) -> Result<Token, TokenError> {
    let assertion = key.assertion(now)?;
    let request = Request::post(&key.token_uri)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(form(&assertion))?;
    let answer = http.send(request).await?;
    let (head, body) = answer.into_parts();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if head.status != StatusCode::OK {
        return Err(TokenError::Refused { status: head.status, told: told(&body, &assertion) });
    }

    token(&body).map_err(TokenError::Form)
}

fn form(assertion: &str) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", GRANT)
        .append_pair("assertion", assertion)
        .finish()
        .into_bytes()
}

fn token(body: &Value) -> Result<Token, &'static str> {
    let text = body.get("access_token").and_then(Value::as_str).ok_or("access_token is missing")?;
    if text.is_empty() || text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err("access_token is no token");
    }
    let kind = body.get("token_type").and_then(Value::as_str).unwrap_or("Bearer");
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err("token_type is not Bearer");
    }
    let life = body.get("expires_in").and_then(Value::as_u64).filter(|life| *life > 0);
    let life = life.ok_or("expires_in is no number of seconds")?.min(LONGEST_LIFE);

    Ok(Token { text: text.to_owned(), life: Duration::from_secs(life) })
}

/// `: invalid_grant: Invalid JWT Signature.`
fn told(body: &Value, assertion: &str) -> String {
    let mut told = String::new();
    for member in ["error", "error_description"] {
        let Some(text) = body.get(member).and_then(Value::as_str) else { continue };
        let text = text.replace(assertion, "[assertion]");
        told.push_str(": ");
        told.extend(text.chars().filter(|letter| !letter.is_control()).take(WORDS));
    }

    told
}
