//! Whether an ID token is what it says (Core §3.1.3.7).

use super::discovery::{ALGORITHMS, Known};
use super::{Provider, Trouble};
use crate::clock;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use openidconnect::core::CoreIdToken;
use openidconnect::{ClaimsVerificationError, Nonce, SignatureVerificationError};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far a provider's clock may be off, seconds.
const SKEW: u64 = 60;

impl Provider {
    /// The claims of an ID token, if they can be believed. A nonce is there where one was sent.
    pub(super) async fn verified(
        &self,
        token: &CoreIdToken,
        nonce: Option<&str>,
    ) -> Result<Value, Trouble> {
        match self.verify(&self.known(), token, nonce) {
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            )) => {
                self.missing_key().await?;
                self.verify(&self.known(), token, nonce)
            }
            verified => verified,
        }
        .map_err(|error| Trouble::Unsound(why(&error)))
    }

    fn verify(
        &self,
        known: &Known,
        token: &CoreIdToken,
        nonce: Option<&str>,
    ) -> Result<Value, ClaimsVerificationError> {
        let client = self.client(known);
        let now = clock::now();
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || at(now.saturating_sub(SKEW)))
            .set_issue_time_verifier_fn(move |issued| {
                let of_the_future = is_after(&issued, now.saturating_add(SKEW));
                if of_the_future { Err("was issued in the future".to_owned()) } else { Ok(()) }
            });
        match nonce {
            Some(nonce) => token.claims(&verifier, &Nonce::new(nonce.to_owned()))?,
            None => token.claims(&verifier, |_: Option<&Nonce>| Ok(()))?,
        };
        let claims = payload(&token.to_string()).ok_or_else(|| {
            ClaimsVerificationError::Other("its claims cannot be read".to_owned())
        })?;
        let begins = claims.get("nbf").and_then(Value::as_f64).unwrap_or_default();
        if Duration::try_from_secs_f64(begins)
            .is_ok_and(|begins| begins.as_secs() > now.saturating_add(SKEW))
        {
            return Err(ClaimsVerificationError::Other("is not valid yet".to_owned()));
        }
        // Whom it was issued to, where it says so (Core §2: azp).
        if let Some(party) = claims.get("azp")
            && party.as_str() != Some(&self.config.client_id)
        {
            return Err(ClaimsVerificationError::InvalidAudience("another azp".to_owned()));
        }

        Ok(claims)
    }
}

/// The library's clock has its own type; the conversion is the same crate's.
fn at<T: From<SystemTime>>(seconds: u64) -> T {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH).into()
}

fn is_after<T: From<SystemTime> + PartialOrd>(time: &T, seconds: u64) -> bool {
    *time > at::<T>(seconds)
}

fn payload(token: &str) -> Option<Value> {
    let part = token.split('.').nth(1)?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;

    serde_json::from_slice(&bytes).ok()
}

/// Why not, without what the token says.
fn why(error: &ClaimsVerificationError) -> String {
    match error {
        ClaimsVerificationError::Expired(_) => "its ID token has expired or is of the future",
        ClaimsVerificationError::InvalidAudience(_) => "its ID token is meant for another",
        ClaimsVerificationError::InvalidIssuer(_) => "its ID token is another issuer's",
        ClaimsVerificationError::InvalidNonce(_) => "its ID token belongs to another sign-in",
        ClaimsVerificationError::SignatureVerification(why) => match why {
            SignatureVerificationError::NoMatchingKey => {
                "its ID token is signed with no key of its"
            }
            SignatureVerificationError::DisallowedAlg(_)
            | SignatureVerificationError::UnsupportedAlg(_)
            | SignatureVerificationError::NoSignature => {
                "its ID token is signed in a way that is not believed"
            }
            _ => "its ID token has a signature that is wrong",
        },
        _ => "its ID token is not sound",
    }
    .to_owned()
}
