//! Google's access tokens for a service account: got here, put into calls by Envoy.
//!
//! Envoy puts a credential in and cannot get this one: off Google's machines it takes a signed assertion (RFC 7523).
//! So for each key file of a service account ([`key`]) the sidecar gets tokens ([`token`]), and renames them into a
//! file that Envoy watches (SDS, [`account`]). It does so long before the one in force expires, and what fails is
//! counted and said long before it is an outage. When all fails the last token expires where it lies: Google refuses
//! it, and the call goes to the next provider. Nothing else of the sidecar waits for any of this.

use crate::counters::{Counters, ProviderToken};
use crate::oidc::http::Http;
use crate::settings::{FileError, GoogleAccounts, Settings};
use account::Account;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;
use tokio::task::JoinSet;

pub mod account;
pub mod key;
pub mod token;

/// Why there are no tokens to be had.
#[derive(Debug, Error)]
pub enum GoogleError {
    /// Not as many of one option as of the other.
    #[error(
        "--google-credentials was given {credentials} times and --google-secret {secrets} times: they are pairs"
    )]
    Pairs {
        /// Key files.
        credentials: usize,
        /// Files for Envoy.
        secrets: usize,
    },
    /// Two accounts for one file.
    #[error("--google-secret {} was given twice", .0.display())]
    Twice(PathBuf),
    /// A file that Envoy could not ask for by name.
    #[error(
        "--google-secret {}: the file's name is the secret's, letters, digits, `_` and `-`, and then .yaml",
        .0.display()
    )]
    Name(PathBuf),
    /// The key file.
    #[error("--google-credentials {0}")]
    Key(#[from] key::KeyError),
    /// The file for Envoy.
    #[error("--google-secret: {0}")]
    Secret(FileError),
    /// TLS.
    #[error("--google-credentials: {0}")]
    Tls(#[from] crate::siem::tls::TlsError),
}

/// Starts an account for each pair that the settings name. Where Envoy's file is missing there is one afterwards, without
/// a token: Envoy would refuse the whole cluster otherwise.
///
/// # Errors
/// What is wrong with the pairs, or with their files.
pub fn start(
    settings: &Settings,
    counters: &Counters,
    watching: &mut JoinSet<()>,
) -> Result<(), GoogleError> {
    let GoogleAccounts { credentials, secrets } = &settings.google;
    if credentials.len() != secrets.len() {
        let (credentials, secrets) = (credentials.len(), secrets.len());
        return Err(GoogleError::Pairs { credentials, secrets });
    }
    if credentials.is_empty() {
        return Ok(());
    }
    let http = Http::new(None)?;
    let mut known = BTreeSet::new();
    let (mut accounts, mut counts) = (Vec::new(), Vec::new());
    for (credentials, secret) in credentials.iter().zip(secrets) {
        let name = name(secret)?;
        if !known.insert(name.clone()) {
            return Err(GoogleError::Twice(secret.clone()));
        }
        let count = Arc::new(ProviderToken::new(&name));
        counts.push(Arc::clone(&count));
        accounts.push(Account::open(&name, credentials, secret, http.clone(), count)?);
    }
    counters.provider_tokens.set(counts);
    for account in accounts {
        watching.spawn(account.follow());
    }

    Ok(())
}

/// What Envoy asks for: the file's name without `.yaml`. It is a label of metrics too.
fn name(secret: &std::path::Path) -> Result<String, GoogleError> {
    let known = |name: &&str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    let file = secret.file_name().and_then(|name| name.to_str());
    let name = file.and_then(|file| file.strip_suffix(".yaml")).filter(known);

    name.map(ToOwned::to_owned).ok_or_else(|| GoogleError::Name(secret.to_owned()))
}
