//! 2. [`Head`] → [`Caller`]: who calls, proven.
//!
//! The algorithm is the key's (`EdDSA`), never the token's. `iss`, `aud`, `exp`, `nbf` and `kid` are
//! all required. What identity headers say must agree with the claims; where they are absent the
//! claims speak. The standing is asked at every call, for remembered tokens as well.

use super::decode::Head;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::snapshot::{Keys, Snapshot};
use crate::tokens::{self, Tokens};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contract::audit::CallSource;
use contract::claims::{Claims, Method};
use contract::envelope::hex;
use contract::headers;
use contract::standing::{Board, Marks, Stop};
use jwt_simple::JWTError;
use jwt_simple::prelude::{
    Duration, EdDSAPublicKeyLike, JWTClaims, Token, UnixTimeStamp, VerificationOptions,
};
use std::collections::HashSet;
use std::rc::Rc;

/// Somebody whose token was verified. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Verified e-mail in lower case, else the token's `sub`.
    pub user_id: String,
    /// `sub`.
    pub subject: String,
    /// `iss`.
    pub issuer: String,
    /// `jti`; empty if there is none.
    pub token_id: String,
    /// The private claims.
    pub claims: Claims,
    /// `exp`, Unix seconds.
    pub expires: u64,
    /// What the standing can list them by.
    pub marks: Marks,
    /// Nobody else can make one.
    proof: Proof,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Proof;

/// A personal access token's beginning.
const PAT: &str = "tgp_";

/// Who calls, if the token is good now.
///
/// # Errors
/// A [`Refusal`] with the caller where a token was good and its bearer was stopped or lied: the
/// row then names them.
pub fn caller(
    head: &Head,
    settings: &Settings,
    snapshot: &Snapshot,
    tokens: &mut Tokens,
    now: u64,
) -> Result<Rc<Caller>, (Refusal, Option<Rc<Caller>>)> {
    let token = head.credential.as_deref().ok_or((Refusal::CredentialMissing, None))?;
    if token.starts_with(PAT) {
        return Err((Refusal::CredentialIsPat, None));
    }
    let key = tokens::key(token);
    let remembered = tokens.get(&key);
    let new = remembered.is_none();
    let caller = match remembered {
        Some(caller) => caller,
        None => match verify(token, settings, &snapshot.keys, now) {
            Ok(caller) => Rc::new(caller),
            Err(refusal) => return Err((refusal, None)),
        },
    };
    if let Err(refusal) = stands(&caller, settings, &snapshot.board, now) {
        tokens.forget(&key);
        return Err((refusal, Some(caller)));
    }
    if new {
        tokens.remember(key, Rc::clone(&caller));
    }
    if contradicts(head, &caller) {
        return Err((Refusal::IdentityMismatch, Some(caller)));
    }

    Ok(caller)
}

/// Verifies a token that is not remembered.
fn verify(token: &str, settings: &Settings, keys: &Keys, now: u64) -> Result<Caller, Refusal> {
    let metadata = Token::decode_metadata(token).or(Err(Refusal::TokenMalformed))?;
    if metadata.algorithm() != "EdDSA" {
        return Err(Refusal::TokenAlgorithm);
    }
    let key = metadata.key_id().and_then(|id| keys.get(id)).ok_or(Refusal::TokenKey)?;
    let options = VerificationOptions {
        allowed_issuers: Some(HashSet::from([settings.issuer.clone()])),
        allowed_audiences: Some(HashSet::from([settings.audience.clone()])),
        time_tolerance: Some(Duration::from_secs(settings.clock_skew)),
        artificial_time: Some(UnixTimeStamp::from_secs(now)),
        ..VerificationOptions::default()
    };
    match key.verify_token::<Claims>(token, Some(options)) {
        Ok(claims) => named(claims),
        Err(error) => Err(reason(&error)),
    }
}

fn reason(error: &jwt_simple::Error) -> Refusal {
    match error.downcast_ref::<JWTError>() {
        Some(JWTError::InvalidSignature) => Refusal::TokenSignature,
        Some(JWTError::AlgorithmMismatch) => Refusal::TokenAlgorithm,
        Some(JWTError::TokenHasExpired | JWTError::TokenIsTooOld) => Refusal::TokenExpired,
        Some(JWTError::TokenNotValidYet | JWTError::ClockDrift) => Refusal::TokenEarly,
        Some(JWTError::RequiredIssuerMismatch | JWTError::RequiredIssuerMissing) => {
            Refusal::TokenIssuer
        }
        Some(JWTError::RequiredAudienceMismatch | JWTError::RequiredAudienceMissing) => {
            Refusal::TokenAudience
        }
        // Claims that are no claims of ours: JSON of another form.
        None if error.is::<serde_json::Error>() => Refusal::TokenClaims,
        Some(_) | None => Refusal::TokenMalformed,
    }
}

/// The claims must name somebody, and for a bounded time.
fn named(claims: JWTClaims<Claims>) -> Result<Caller, Refusal> {
    let (Some(expires), Some(_not_before), Some(subject), Some(issuer)) =
        (claims.expires_at, claims.invalid_before, claims.subject, claims.issuer)
    else {
        return Err(Refusal::TokenClaims);
    };
    let custom = claims.custom;
    let said = [&subject, &custom.tenant_id, &custom.sid, &custom.client_id, &custom.credential_id];
    if said.into_iter().any(|claim| claim.is_empty() || !plain(claim)) {
        return Err(Refusal::TokenClaims);
    }
    let user_id = custom.user_id(&subject);
    if !plain(&user_id) {
        return Err(Refusal::TokenClaims);
    }

    let token_id = claims.jwt_id.unwrap_or_default();

    Ok(Caller {
        marks: Marks::new(&user_id, &subject, &token_id, &custom),
        user_id,
        subject,
        issuer,
        token_id,
        expires: expires.as_secs(),
        claims: custom,
        proof: Proof,
    })
}

/// Fit for a header value.
fn plain(text: &str) -> bool {
    text.len() <= 256 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Is the token still good now, and nobody has stopped its bearer?
///
/// # Errors
/// [`Refusal::TokenExpired`], [`Refusal::TokenRevoked`] or [`Refusal::AccessPaused`].
pub fn stands(
    caller: &Caller,
    settings: &Settings,
    board: &Board,
    now: u64,
) -> Result<(), Refusal> {
    if now > caller.expires.saturating_add(settings.clock_skew) {
        return Err(Refusal::TokenExpired);
    }
    match board.stops(&caller.marks, now) {
        None => Ok(()),
        Some(Stop::Paused(_)) => Err(Refusal::AccessPaused),
        Some(Stop::Revoked) => Err(Refusal::TokenRevoked),
    }
}

impl Caller {
    /// Does the call come over the certificate that the token is bound to (RFC 8705 §3)? Known only where
    /// the policy asks for it.
    pub fn over_certificate(&self, head: &Head) -> bool {
        let (Some(cnf), Some(peer)) = (&self.claims.cnf, &head.peer) else { return false };

        BASE64_URL_SAFE_NO_PAD.decode(&cnf.x5t_s256).is_ok_and(|digest| hex(&digest) == *peer)
    }
}

/// Does an identity header say something else than the claims?
fn contradicts(head: &Head, caller: &Caller) -> bool {
    headers::IDENTITY.iter().zip(&head.claimed).any(|(name, said)| {
        let Some(said) = said else { return false };
        caller.claims.identity(name, &caller.user_id).is_some_and(|proven| {
            let e_mail = *name == headers::USER_ID && said.eq_ignore_ascii_case(&proven);
            proven != *said && !e_mail && !(*name == headers::USER_ID && *said == caller.subject)
        })
    })
}

/// Who set the call off: the strictest of what the header, the agent and the token say.
pub fn source(head: &Head, caller: &Caller) -> CallSource {
    let token = match caller.claims.amr {
        Method::Service => CallSource::Job,
        Method::Pat | Method::Sso | Method::Mtls => CallSource::Cowork,
    };
    let agent = if head.agent_id.is_some() { CallSource::Subagent } else { CallSource::Cowork };

    token.max(agent).max(head.source.unwrap_or(CallSource::Cowork))
}

#[cfg(test)]
pub(crate) mod tests;
