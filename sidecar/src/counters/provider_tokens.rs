//! What is known of each token for a provider. Their names are those of files, `[A-Za-z0-9_-]` only.

use super::{Counter, head, line};
use crate::clock;
use std::sync::{Arc, OnceLock};

/// What is known of one.
#[derive(Debug, Default)]
pub struct ProviderToken {
    /// The secret's name.
    pub name: String,
    /// Times it could not be refreshed.
    pub failures: Counter,
    /// When the one in force expires, Unix seconds; 0 if there is none.
    pub expires: Counter,
}

impl ProviderToken {
    /// Nothing yet.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// For how many seconds the one in force is good.
    pub fn left(&self) -> u64 {
        self.expires.get().saturating_sub(clock::now())
    }
}

/// All of them; known once the settings are.
#[derive(Debug, Default)]
pub struct ProviderTokens(OnceLock<Vec<Arc<ProviderToken>>>);

impl ProviderTokens {
    /// There are these.
    pub fn set(&self, tokens: Vec<Arc<ProviderToken>>) {
        // A second configuration does not come to the same counters.
        drop(self.0.set(tokens));
    }

    pub(super) fn prometheus(&self, text: &mut String) {
        let Some(tokens) = self.0.get().filter(|tokens| !tokens.is_empty()) else { return };
        let name = "tollgate_provider_token_refresh_failures_total";
        head(text, name, "counter", "Times a provider's token could not be refreshed.");
        for token in tokens {
            line(text, name, Some(("secret", &token.name)), token.failures.get());
        }
        let name = "tollgate_provider_token_expires_in_seconds";
        head(text, name, "gauge", "For how long a provider's token is good; 0 if there is none.");
        for token in tokens {
            line(text, name, Some(("secret", &token.name)), token.left());
        }
    }
}
