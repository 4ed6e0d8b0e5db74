//! A token of ours that comes back to us, behind the gate: verified here once more, whoever let it through.

use super::SignIn;
use contract::claims::Claims;
use jwt_simple::algorithms::EdDSAPublicKeyLike;
use jwt_simple::prelude::{Duration, VerificationOptions};
use jwt_simple::token::Token;

/// How far clocks may be apart, seconds.
const SKEW: u64 = 5;

/// What a good token says. Only [`verified`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The key that signed.
    pub kid: String,
    /// `sub`.
    pub sub: String,
    /// `jti`.
    pub jti: String,
    /// `exp`, Unix seconds.
    pub expires_at: u64,
    /// Ours.
    pub claims: Claims,
}

/// What a token for the gate says; `None` if it is not one of ours, or not any more.
pub fn verified(sign_in: &SignIn, token: &str) -> Option<Verified> {
    let head = Token::decode_metadata(token).ok()?;
    let kid = head.key_id()?;
    let key = sign_in.keys.borrow().verifier(kid).cloned()?;
    let options = VerificationOptions {
        allowed_issuers: Some([sign_in.settings.issuer.clone()].into()),
        allowed_audiences: Some([sign_in.settings.audience.clone()].into()),
        time_tolerance: Some(Duration::from_secs(SKEW)),
        ..VerificationOptions::default()
    };
    let said = key.verify_token::<Claims>(token, Some(options)).ok()?;

    Some(Verified {
        kid: kid.to_owned(),
        sub: said.subject?,
        jti: said.jwt_id?,
        expires_at: said.expires_at?.as_secs(),
        claims: said.custom,
    })
}
