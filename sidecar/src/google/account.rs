//! One account: its key file is followed, its token refreshed, the file for Envoy replaced.

use super::GoogleError;
use super::key::{Key, KeyError};
use super::token::{self, TokenError};
use crate::clock;
use crate::counters::ProviderToken;
use crate::oidc::http::Http;
use crate::settings::{self, FileError, Fingerprint};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::time::sleep;
use tracing::{error, info, warn};

/// How often the key file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// When a token is replaced: at the latest at this share of its life. What is left is the time to mend what fails.
const LATEST: f64 = 2.0 / 3.0;

/// How much earlier it may be, as a share of that: many gateways do not ask at once.
const EARLIER: f64 = 0.1;

/// The pauses after one failure, and after many.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// An account.
#[derive(Debug)]
pub struct Account {
    name: String,
    credentials: PathBuf,
    secret: PathBuf,
    key: Key,
    seen: Option<Fingerprint>,
    http: Http,
    counts: Arc<ProviderToken>,
}

#[derive(Debug, Error)]
enum RefreshError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    File(#[from] FileError),
}

impl Account {
    /// Reads the key file, and sees to it that there is a file for Envoy.
    ///
    /// # Errors
    /// [`GoogleError`].
    pub fn open(
        name: &str,
        credentials: &Path,
        secret: &Path,
        http: Http,
        counts: Arc<ProviderToken>,
    ) -> Result<Self, GoogleError> {
        let seen = fingerprint(credentials);
        let key = Key::read(credentials)?;
        let account = Self {
            name: name.to_owned(),
            credentials: credentials.to_owned(),
            secret: secret.to_owned(),
            key,
            seen,
            http,
            counts,
        };
        // A token that is there from before may still be good.
        if !secret.exists() {
            account.write("").map_err(GoogleError::Secret)?;
        }

        Ok(account)
    }

    /// Keeps the token fresh until the sidecar ends.
    pub async fn follow(mut self) {
        let mut failed = 0_u32;
        loop {
            let pause = match self.refresh().await {
                Ok(life) => {
                    failed = 0;
                    earlier(life.mul_f64(LATEST), EARLIER)
                }
                Err(error) => {
                    failed = failed.saturating_add(1);
                    self.tell(&error.to_string());
                    earlier(pause(failed), 0.5)
                }
            };
            self.rest(pause).await;
        }
    }

    async fn refresh(&self) -> Result<Duration, RefreshError> {
        let now = clock::now();
        let token = token::fetch(&self.http, &self.key, now).await?;
        self.write(&token.bearer())?;
        // From before it was asked for: never later than Google has it.
        self.counts.expires.set(now.saturating_add(token.life.as_secs()));
        info!(
            secret = self.name,
            token.ttl = token.life.as_secs(),
            "A provider's token was refreshed"
        );

        Ok(token.life)
    }

    /// Waits so long, or until there is another key. By both clocks: one stands still while the machine sleeps, the
    /// other one is set.
    async fn rest(&mut self, pause: Duration) {
        let started = Instant::now();
        let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
        let due = clock::now_micros().saturating_add(micros);
        while started.elapsed() < pause && clock::now_micros() < due {
            sleep(LOOK.min(pause.saturating_sub(started.elapsed()))).await;
            if self.has_another_key() {
                return;
            }
        }
    }

    fn has_another_key(&mut self) -> bool {
        let current = fingerprint(&self.credentials);
        if current == self.seen {
            return false;
        }
        self.seen = current;
        match Key::read(&self.credentials) {
            Ok(key) => {
                info!(secret = self.name, account = key.email, "A service account's key is in use");
                self.key = key;
                true
            }
            Err(error) => {
                self.tell(&refused(&error));
                false
            }
        }
    }

    /// Counts a failure and says what it means.
    fn tell(&self, error: &str) {
        self.counts.failures.one();
        let (secret, left) = (&self.name, self.counts.left());
        if left > 0 {
            warn!(
                error,
                secret,
                token.left = left,
                "A provider's token could not be refreshed; the one before is used while it lives"
            );
        } else {
            error!(
                error,
                secret, "A provider's token could not be got, and there is none that lives"
            );
        }
    }

    /// Envoy's file, in one step. Without a token nothing leaves for the provider.
    fn write(&self, bearer: &str) -> Result<(), FileError> {
        let value = json!({ "resources": [{
            "@type": SECRET,
            "name": self.name,
            "generic_secret": { "secret": { "inline_string": bearer } },
        }] });
        let text =
            format!("# Google's access token (SDS). `tollgate serve` replaces it.\n{value}\n");

        settings::replace(&self.secret, text.as_bytes(), 0o600)
    }
}

fn refused(error: &KeyError) -> String {
    format!("the key before stays in use: {error}")
}

fn fingerprint(path: &Path) -> Option<Fingerprint> {
    fs::metadata(path).ok().map(|metadata| settings::fingerprint(&metadata))
}

/// The pause after so many failures.
fn pause(failed: u32) -> Duration {
    let (first, longest) = PAUSES;
    let doubled = 2_u32.saturating_pow(failed.saturating_sub(1).min(16));

    first.saturating_mul(doubled).min(longest)
}

/// Up to that share earlier, by chance.
fn earlier(pause: Duration, share: f64) -> Duration {
    let mut random = [0; 4];
    let chance = match getrandom::fill(&mut random) {
        Ok(()) => f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX),
        // Without randomness there is still a pause.
        Err(_) => 0.0,
    };

    pause.mul_f64(1.0 - share * chance)
}
