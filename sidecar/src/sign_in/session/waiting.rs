//! What waits in the person's browser while they are at the provider, and while they read the page: sealed, in a
//! cookie of its own for each sign-in, so that two at once do not disturb each other.
//!
//! A cookie is what ties the parts of a sign-in to *one browser*: whoever is lured into finishing another's sign-in
//! does not have it (RFC 9700 §4.7).

use super::Sessions;
use crate::clock;
use crate::sealing::SealError;
use axum::http::{HeaderMap, HeaderValue, header};
use contract::envelope::hex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Seconds in which a sign-in must be finished, at the provider and on the page each.
pub const PATIENCE: u64 = 600;

/// A sign-in whose owner is at the provider.
#[derive(Serialize, Deserialize)]
pub struct Begun {
    /// Which provider.
    pub provider: String,
    /// The program's.
    pub redirect_uri: String,
    /// The program's.
    pub state: String,
    /// The program's.
    pub challenge: String,
    /// Ours, towards the provider (RFC 7636).
    pub verifier: String,
    /// Ours, towards the provider.
    pub nonce: String,
    /// Unix seconds.
    pub until: u64,
}

/// A sign-in whose owner reads the page.
#[derive(Serialize, Deserialize)]
pub struct Shown {
    /// The session that they may approve.
    pub session: String,
    /// What the page's form must send.
    pub form: String,
    /// The program's.
    pub redirect_uri: String,
    /// The program's.
    pub state: String,
    /// Unix seconds.
    pub until: u64,
}

/// What may wait.
pub trait Waits: Serialize + DeserializeOwned {
    /// What it is called in the cookie's name, and sealed for.
    const NAME: &'static str;

    /// Unix seconds.
    fn until(&self) -> u64;
}

impl Waits for Begun {
    const NAME: &'static str = "login";

    fn until(&self) -> u64 {
        self.until
    }
}

impl Waits for Shown {
    const NAME: &'static str = "approve";

    fn until(&self) -> u64 {
        self.until
    }
}

impl Sessions {
    /// The cookie in which something waits; `key` is what the browser must come back with.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn wait<W: Waits>(&self, key: &str, what: &W) -> Result<String, SealError> {
        let text = serde_json::to_vec(what).or(Err(SealError::Seal))?;
        let sealed = self.sealer.seal(&purpose::<W>(key), &text)?;

        Ok(self.cookie::<W>(key, &sealed, PATIENCE))
    }

    /// What has waited in this browser for that key, if it did and not for too long.
    pub fn waited<W: Waits>(&self, key: &str, asked: &HeaderMap) -> Option<W> {
        let name = self.name::<W>(key);
        let sealed = cookies(asked).find_map(|(at, value)| (at == name).then_some(value))?;
        let text = self.sealer.open(&purpose::<W>(key), sealed).ok()?;
        let waited: W = serde_json::from_slice(&text).ok()?;

        (waited.until() > clock::now()).then_some(waited)
    }

    /// The cookie that takes it away.
    pub fn done<W: Waits>(&self, key: &str) -> String {
        self.cookie::<W>(key, "", 0)
    }

    /// The prefix makes browsers keep others from setting it (RFC 6265bis §4.1.3.2); they take it over TLS only.
    fn name<W: Waits>(&self, key: &str) -> String {
        let prefix = if self.is_secure() { "__Host-" } else { "" };
        let digest = Sha256::digest(key.as_bytes());
        let key = hex(digest.get(..8).unwrap_or_default());

        format!("{prefix}tollgate-{}-{key}", W::NAME)
    }

    /// `Lax`: the way back from the provider is a navigation from another site.
    fn cookie<W: Waits>(&self, key: &str, value: &str, seconds: u64) -> String {
        let name = self.name::<W>(key);
        let secure = if self.is_secure() { "; Secure" } else { "" };

        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
    }
}

/// What is sealed for one sign-in opens for no other.
fn purpose<W: Waits>(key: &str) -> String {
    format!("{}:{key}", W::NAME)
}

fn cookies(asked: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = asked.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';'));

    pairs.filter_map(|pair| pair.trim().split_once('='))
}

/// A cookie as a header.
pub fn header(cookie: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(cookie).ok()
}
