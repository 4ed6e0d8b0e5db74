//! The last token, for as long as it holds.

use crate::config::file::SHORTEST;
use crate::failure::Failure;
use crate::gateway::{Answer, Mode};
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
    /// Whose it is. It is handed out for no other.
    pub gateway: String,
    /// How it was got.
    pub mode: Mode,
    /// Seconds it was asked to hold, if it was asked.
    #[serde(default)]
    asked: Option<u64>,
}

impl Cached {
    /// Seconds it still holds. More than it ever held means that the clock was put back: none then.
    pub fn left(&self) -> u64 {
        let left = self.expires_at.saturating_sub(now());

        if left <= self.ttl { left } else { 0 }
    }

    /// Whether it may be handed out for this gateway to somebody who wants it to end by then.
    pub fn serves(&self, gateway: &str, asked: Option<u64>) -> bool {
        let short = asked
            .is_none_or(|asked| self.asked == Some(asked) || self.left() <= asked.max(SHORTEST));

        self.gateway == gateway && self.left() > MARGIN && short
    }

    /// The line, with the seconds that remain.
    pub fn into_answer(self) -> Answer {
        let ttl = self.left();

        Answer { token: self.token, ttl, headers: self.headers }
    }
}

/// Where a token comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The gateway's address.
    pub gateway: &'a str,
    /// The way it was got.
    pub mode: Mode,
    /// Seconds it was asked to hold.
    pub ttl: Option<u64>,
    /// When it was asked for, Unix seconds.
    pub at: u64,
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

/// Keeps a token.
///
/// # Errors
/// [`Failure::Unwritable`].
pub fn write(home: &Home, answer: &Answer, origin: Origin<'_>) -> Result<(), Failure> {
    let cached = Cached {
        token: answer.token.clone(),
        headers: answer.headers.clone(),
        expires_at: origin.at.saturating_add(answer.ttl),
        ttl: answer.ttl,
        gateway: origin.gateway.to_owned(),
        mode: origin.mode,
        asked: origin.ttl,
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
