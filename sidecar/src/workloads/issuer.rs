//! One issuer: where its keys are (`OpenID` Connect Discovery 1.0 §4), and which they are now.

use super::fetch::{Fetch, FetchError};
use super::keys::{self, Keys};
use super::{Claims, Unproven};
use serde::Deserialize;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::Mutex;
use tracing::{info, warn};

/// How often a key that is not known makes us ask again, at most: tokens with made-up key ids cost no more.
const PAUSE: Duration = Duration::from_secs(30);

/// How old keys get before they are asked for again: one that was taken back there is out here then.
const FRESH: Duration = Duration::from_hours(1);

/// Why there is no issuer.
#[derive(Debug, Error)]
#[error("the issuer {issuer} cannot be had: {why}")]
pub struct IssuerError {
    issuer: String,
    why: String,
}

#[derive(Debug, Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// An issuer of workloads' tokens.
#[derive(Debug)]
pub struct Issuer {
    name: String,
    fetch: Fetch,
    keys: RwLock<Arc<Keys>>,
    /// When they were asked for last, whatever the answer; held while they are.
    asked: Mutex<Asked>,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    at: Instant,
    /// Did it answer?
    answered: bool,
}

impl Issuer {
    /// Asks it for its keys.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn start(issuer: &str, ca: Option<&Path>) -> Result<Self, IssuerError> {
        let failed = |why: String| IssuerError { issuer: issuer.to_owned(), why };
        let fetch = Fetch::new(ca).map_err(|error| failed(error.to_string()))?;
        let keys = discover(&fetch, issuer).await.map_err(failed)?;
        // Old enough that a key changed right after the start is asked for at once.
        let now = Instant::now();
        let asked = Asked { at: now.checked_sub(PAUSE).unwrap_or(now), answered: true };

        Ok(Self {
            name: issuer.to_owned(),
            fetch,
            keys: RwLock::new(Arc::new(keys)),
            asked: Mutex::new(asked),
        })
    }

    /// What a token says, if it is this issuer's.
    ///
    /// # Errors
    /// [`Unproven`].
    pub async fn verify(&self, token: &str) -> Result<Claims, Unproven> {
        let kid = keys::kid(token).map_err(Unproven::Refused)?;
        let known = self.keys().know(kid.as_deref());
        let answered = self.refresh(known).await;
        let keys = self.keys();
        if !known && !answered && !keys.know(kid.as_deref()) {
            return Err(Unproven::Away);
        }

        keys.verify(token).map_err(Unproven::Refused)
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks again where that could help; says whether it answered when last asked. What does not answer leaves
    /// the keys that are known.
    async fn refresh(&self, known: bool) -> bool {
        let mut asked = self.asked.lock().await;
        let due = if known { FRESH } else { PAUSE };
        if asked.at.elapsed() < due {
            return asked.answered;
        }
        asked.at = Instant::now();
        let before = asked.answered;
        match discover(&self.fetch, &self.name).await {
            Ok(keys) => {
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
                asked.answered = true;
                info!(issuer.name = self.name, "An issuer's keys are known anew");
            }
            Err(why) => {
                asked.answered = false;
                if before {
                    warn!(
                        issuer.name = self.name,
                        error = why,
                        "An issuer does not answer; the keys known here go on verifying"
                    );
                }
            }
        }

        asked.answered
    }
}

async fn discover(fetch: &Fetch, issuer: &str) -> Result<Keys, String> {
    let told = |error: FetchError| error.to_string();
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let document = fetch.get(&address).await.map_err(told)?;
    let found: Discovery = serde_json::from_slice(&document)
        .map_err(|error| format!("{address} is no discovery document: {error}"))?;
    if found.issuer != issuer {
        return Err(format!("{address} is of {}", found.issuer));
    }
    let keys = fetch.get(&found.jwks_uri).await.map_err(told)?;

    Keys::read(&keys)
}

#[cfg(test)]
mod tests;
