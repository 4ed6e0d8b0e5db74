//! The last token, for as long as it holds.

use crate::failure::Failure;
use crate::gateway::Answer;
use crate::home::Home;
use contract::headers::IdentityHeaders;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

const FILE: &str = "cache.json";

/// A token with less than this left is not handed out: it has a way to go yet.
pub const MARGIN: u64 = 30; // seconds

/// A token and when it ends.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cached {
    token: String,
    headers: IdentityHeaders,
    /// Unix seconds.
    expires_at: u64,
    /// Seconds it held when it was new.
    #[serde(default)]
    ttl: u64,
}

impl Cached {
    /// Seconds it still holds. More than it ever held means that the clock was put back: none then.
    pub fn left(&self) -> u64 {
        let left = self.expires_at.saturating_sub(now());

        if left <= self.ttl { left } else { 0 }
    }

    /// The line, with the seconds that remain.
    pub fn into_answer(self) -> Answer {
        let ttl = self.left();

        Answer { token: self.token, ttl, headers: self.headers }
    }
}

/// Now, Unix seconds.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
}

/// The token kept, however long it holds. One that cannot be understood is none.
///
/// # Errors
/// [`Failure`], if others could have read it or put it there.
pub fn read(home: &Home) -> Result<Option<Cached>, Failure> {
    match home.read(FILE) {
        Err(Failure::Unreadable { .. }) => Ok(None),
        other => Ok(other?.and_then(|text| serde_json::from_str(&text).ok())),
    }
}

/// Keeps a token that was asked for at `asked`, Unix seconds.
///
/// # Errors
/// [`Failure::Unwritable`].
pub fn write(home: &Home, answer: &Answer, asked: u64) -> Result<(), Failure> {
    let cached = Cached {
        token: answer.token.clone(),
        headers: answer.headers.clone(),
        expires_at: asked.saturating_add(answer.ttl),
        ttl: answer.ttl,
    };
    match serde_json::to_string(&cached) {
        Ok(text) => home.write(FILE, &text),
        Err(error) => Err(Failure::Unwritable { path: home.file(FILE), source: error.into() }),
    }
}

/// Forgets it.
///
/// # Errors
/// [`Failure::Unwritable`].
pub fn remove(home: &Home) -> Result<(), Failure> {
    home.remove(FILE)
}
