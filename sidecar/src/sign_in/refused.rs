//! Why nobody was signed in.

use axum::http::StatusCode;
use contract::standing::Effect;

/// Seconds after which it is worth another try where something is away.
const AWAY: u64 = 5;

macro_rules! refused {
    ($($(#[$about:meta])* $name:ident: $status:ident, $code:literal, $message:literal;)+) => {
        /// A reason: a status, a stable code and a sentence for the person each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Refused {
            $($(#[$about])* $name,)+
            /// Too many attempts failed; seconds until the next is looked at.
            TooManyAttempts(u64),
        }

        impl Refused {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+ Self::TooManyAttempts(1)];

            /// What the client is answered.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)+
                    Self::TooManyAttempts(_) => StatusCode::TOO_MANY_REQUESTS,
                }
            }

            /// The code in rows, metrics and the header `x-tollgate-refusal`.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                    Self::TooManyAttempts(_) => "too_many_attempts",
                }
            }

            /// What the person reads.
            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$name => $message,)+
                    Self::TooManyAttempts(_) => "too many attempts failed: wait a moment and try again",
                }
            }
        }
    };
}

// 401: signing in again helps. 403: it does not.
refused! {
    /// No personal access token was sent.
    Missing: UNAUTHORIZED, "pat_missing", "send a personal access token as `authorization: Bearer ...`";
    /// Not one of ours.
    Unknown: UNAUTHORIZED, "pat_unknown", "this personal access token is not known here";
    /// Past its day.
    Expired: UNAUTHORIZED, "pat_expired", "this personal access token has expired: ask for a new one";
    /// Taken back.
    Revoked: UNAUTHORIZED, "pat_revoked", "this personal access token was revoked: ask for a new one";
    /// Whose it is may not call any more.
    UserDisabled: UNAUTHORIZED, "user_disabled", "your access was ended: ask your administrator";
    /// An operator has stopped it, or whose it is.
    AccessRevoked: UNAUTHORIZED, "access_revoked", "your access was stopped by an operator: ask your administrator";
    /// An operator has stopped it, or whose it is, for a time.
    AccessPaused: FORBIDDEN, "access_paused", "your access is paused by an operator: try again later";
    /// Neither a code nor a session was sent, or the request is not understood.
    SessionMissing: BAD_REQUEST, "session_missing", "send a code with its verifier, or a session as `authorization: Bearer ...`";
    /// Not one of ours.
    SessionUnknown: UNAUTHORIZED, "session_unknown", "this session is not known here: sign in again";
    /// It has lasted as long as sessions last.
    SessionExpired: UNAUTHORIZED, "session_expired", "your session has expired: sign in again";
    /// It was ended: by its owner, an operator, or the directory.
    SessionEnded: UNAUTHORIZED, "session_ended", "your session has ended: sign in again";
    /// A secret that was replaced long ago came again: two have it, so nobody keeps it.
    SessionReused: UNAUTHORIZED, "session_reused", "your session was used from two places and has ended: sign in again";
    /// The provider does not confirm the session any more.
    ProviderRefused: UNAUTHORIZED, "provider_refused", "your organization's sign-in does not confirm you any more: sign in again";
    /// Not one of ours, used before, or too old.
    CodeUnknown: UNAUTHORIZED, "code_unknown", "this sign-in was used or has expired: start again";
    /// The verifier or the address is not the one that the sign-in was begun with (RFC 7636 §4.6).
    CodeMismatch: UNAUTHORIZED, "code_mismatch", "this sign-in was begun by another program: start again";
    /// What the browser was opened with is not what a sign-in begins with.
    SignInMalformed: BAD_REQUEST, "sign_in_malformed", "this sign-in cannot be understood: start again from the program";
    /// It was begun in another browser, is over, or took too long.
    SignInElsewhere: BAD_REQUEST, "sign_in_elsewhere", "this sign-in cannot go on here: start again from the program";
    /// The provider did not let them in.
    ProviderDenied: FORBIDDEN, "provider_denied", "your organization's sign-in did not let you in: start again, or ask your administrator";
    /// What came back from the provider does not belong to it, or cannot be believed.
    SignInUnsound: BAD_REQUEST, "sign_in_unsound", "what came back from your organization's sign-in cannot be trusted: start again";
    /// The connection has no client certificate.
    CertificateMissing: UNAUTHORIZED, "certificate_missing", "no client certificate was presented";
    /// It stands on the list of those revoked.
    CertificateRevoked: FORBIDDEN, "certificate_revoked", "this device's certificate was revoked: ask your administrator";
    /// Its time is over, or has not come.
    CertificateExpired: FORBIDDEN, "certificate_expired", "this device's certificate is not valid at this time";
    /// It is not one that signs in: another purpose, or it cannot be read.
    CertificateUnusable: FORBIDDEN, "certificate_unusable", "this certificate is not meant for signing in";
    /// It names nobody that is known.
    CertificateUnknownUser: FORBIDDEN, "certificate_unknown_user", "this device's certificate names nobody who is known here";
    /// The policy accepts another way for them.
    TierNotAccepted: FORBIDDEN, "tier_not_accepted", "your organization accepts another way of signing in from you";
    /// Not of the domains or groups that may.
    NotEntitled: FORBIDDEN, "not_entitled", "your account is not entitled to this gateway: ask your administrator";
    /// The provider does not say that the address is theirs.
    EmailUnverified: FORBIDDEN, "email_unverified", "your e-mail address is not verified by your organization's sign-in";
    /// The address belongs to somebody who signs in elsewhere.
    AccountConflict: FORBIDDEN, "account_conflict", "this e-mail address belongs to another account here: ask your administrator";
    /// The token of the job is not one that may be exchanged here.
    SubjectRefused: BAD_REQUEST, "subject_refused", "this token cannot be exchanged here";
    /// It was exchanged before, and may be once.
    SubjectReused: BAD_REQUEST, "subject_reused", "this token was exchanged before";
    /// No token of a directory was sent.
    ScimMissing: UNAUTHORIZED, "scim_missing", "send the directory's token as `authorization: Bearer ...`";
    /// Not one of ours.
    ScimUnknown: UNAUTHORIZED, "scim_unknown", "this directory's token is not known here";
    /// Past its day.
    ScimExpired: UNAUTHORIZED, "scim_expired", "this directory's token has expired: issue a new one";
    /// Taken back.
    ScimRevoked: UNAUTHORIZED, "scim_revoked", "this directory's token was revoked: issue a new one";
    /// The operator's roles do not suffice for anything.
    NoRole: FORBIDDEN, "no_role", "you have no role of an operator here";
    /// The provider does not answer, and did not confirm them recently.
    ProviderAway: SERVICE_UNAVAILABLE, "provider_away", "your organization's sign-in does not answer: try again shortly";
}

impl Refused {
    /// Seconds to wait.
    pub fn retry_after(self) -> Option<u64> {
        match self {
            Self::TooManyAttempts(seconds) => Some(seconds),
            Self::ProviderAway => Some(AWAY),
            _ => None,
        }
    }
}

impl From<Effect> for Refused {
    /// Why somebody is not signed in on whom this is laid.
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Paused => Self::AccessPaused,
            Effect::Revoked | Effect::Throttled { .. } => Self::AccessRevoked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_reason_has_a_code_of_its_own_and_a_status_that_clients_understand() {
        let codes: HashSet<&str> = Refused::ALL.iter().map(|why| why.code()).collect();

        assert_eq!(codes.len(), Refused::ALL.len());
        for why in Refused::ALL {
            assert!([400, 401, 403, 429, 503].contains(&why.status().as_u16()), "{why:?}");
            assert_eq!(why.retry_after().is_some(), [429, 503].contains(&why.status().as_u16()));
        }
    }
}
