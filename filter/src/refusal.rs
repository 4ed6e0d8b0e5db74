//! Everything the gate says no to: one row each.
//!
//! A refusal has three views: [`Refusal::code`] for rows, counters and the client's program,
//! `error.type` for the SDK, the sentence for the person. No sentence names an address, a file, a
//! rule's text or anything of the caller's.

use crate::host::HostError;
use contract::policy::Why;
use contract::refusal::ErrorType;

macro_rules! table {
    ($($variant:ident $code:literal $status:literal $kind:ident $message:literal)+) => {
        /// A no.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Refusal {$(
            #[doc = $message]
            $variant,
        )+}

        impl Refusal {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable word for it.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// The status the client gets.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// `error.type` the client gets.
            pub fn kind(self) -> ErrorType {
                match self { $(Self::$variant => ErrorType::$kind),+ }
            }

            /// The sentence the person gets.
            pub fn message(self) -> &'static str {
                match self { $(Self::$variant => $message),+ }
            }
        }
    };
}

#[rustfmt::skip]
table! {
    NotReady            "not_ready"              503 ApiError            "The gateway is starting. Try again in a moment."
    GateFailed          "gate_failed"            500 ApiError            "The gateway failed. The request was not forwarded."
    AuditUnavailable    "audit_unavailable"      503 ApiError            "The gateway cannot write this call down now. It was not forwarded. Try again in a moment."
    StandingStale       "standing_stale"         503 ApiError            "The gateway has not heard for too long whose access was stopped. The request was not forwarded. Try again in a moment."

    UnknownPath         "unknown_path"           404 NotFoundError       "There is nothing at this path."
    Method              "method_not_allowed"     405 InvalidRequestError "This path does not take this method."
    HeaderTwice         "header_twice"           400 InvalidRequestError "A header is there twice that may be there once."
    HeaderMalformed     "header_malformed"       400 InvalidRequestError "A header has a value that it cannot have."
    Encoding            "encoding_unsupported"   415 InvalidRequestError "Compressed requests are not accepted. Send the body as it is."
    MediaType           "media_type_unsupported" 415 InvalidRequestError "The body must be application/json."

    CredentialMissing   "credential_missing"     401 AuthenticationError "No credential was sent. Sign in with your organization's credential helper."
    CredentialMalformed "credential_malformed"   401 AuthenticationError "The credential is not a token of this gateway."
    CredentialAmbiguous "credential_ambiguous"   401 AuthenticationError "Two different credentials were sent. Send one."
    CredentialIsPat     "credential_is_pat"      401 AuthenticationError "A personal access token is not accepted here. The credential helper trades it for a token."
    TokenMalformed      "token_malformed"        401 AuthenticationError "The token cannot be read."
    TokenAlgorithm      "token_algorithm"        401 AuthenticationError "The token is signed in a way that is not accepted."
    TokenKey            "token_unknown_key"      401 AuthenticationError "The token was signed with a key that is not known here."
    TokenSignature      "token_signature"        401 AuthenticationError "The token's signature does not verify."
    TokenExpired        "token_expired"          401 AuthenticationError "The token has expired. The credential helper gets a new one."
    TokenEarly          "token_not_yet_valid"    401 AuthenticationError "The token is not valid yet. Check the clock of this machine."
    TokenIssuer         "token_issuer"           401 AuthenticationError "The token was issued by somebody else."
    TokenAudience       "token_audience"         401 AuthenticationError "The token was issued for somebody else."
    TokenClaims         "token_claims"           401 AuthenticationError "The token does not say who you are."
    TokenRevoked        "token_revoked"          401 AuthenticationError "Your access was stopped by an operator of this gateway."
    AccessPaused        "access_paused"          403 PermissionError     "Your access is paused by an operator of this gateway."
    Throttled           "throttled"              429 RateLimitError      "An operator of this gateway allows you fewer calls a minute. Try again shortly."
    IdentityMismatch    "identity_mismatch"      403 PermissionError     "An identity header says something else than the token."

    TierNotAccepted     "tier_not_accepted"      403 PermissionError     "Your organization accepts another way of signing in from you."
    CertificateRequired "certificate_required"   403 PermissionError     "Calls have to come over the certificate that your token is bound to."

    BodyTooLarge        "body_too_large"         413 RequestTooLarge     "The request is larger than 32 MiB."
    BodyMissing         "body_missing"           400 InvalidRequestError "The request has no body."
    BodyMalformed       "body_malformed"         400 InvalidRequestError "The body is not a JSON object."
    BodyDuplicate       "body_duplicate"         400 InvalidRequestError "The body has a member twice."
    ModelMissing        "model_missing"          400 InvalidRequestError "model is required"
    ModelType           "model_type"             400 InvalidRequestError "model must be a string"
    ModelMalformed      "model_malformed"        400 InvalidRequestError "model is not the name of a model"
    DeclarationMalformed "declaration_malformed" 400 InvalidRequestError "tools, MCP servers or container have not the form that the Messages API gives them."
    ModelNotAllowed     "model_not_allowed"      400 InvalidRequestError "Your organization does not allow you this model. Choose another one."
    ModelDenied         "model_denied"           400 InvalidRequestError "A rule of your organization denies you this model. Choose another one."
    ModelUnknown        "model_unknown"          404 NotFoundError       "This model is not offered here. /v1/models lists those that are."
    ToolBlocked         "tool_blocked"           403 PermissionError     "A tool of this request is blocked by your organization."
    ApprovalRequired    "approval_required"      403 PermissionError     "A tool of this request needs somebody's approval first."
    ServerNotManaged    "server_not_managed"     403 PermissionError     "An MCP server of this request is not one that your organization manages."
    SkillBlocked        "skill_blocked"          403 PermissionError     "A skill of this request is blocked by your organization."
    SecretFound         "secret_found"           403 PermissionError     "There is a secret in this request. Take it out, and have it replaced."
    WordBlocked         "word_blocked"           403 PermissionError     "There is something in this request that must not leave your organization."
    McpOrigin           "mcp_origin"             403 PermissionError     "Pages of other sites may not call MCP servers here."
    McpVersion          "mcp_version_unknown"    400 InvalidRequestError "This version of MCP is not known here."
    McpHeaderMismatch   "mcp_header_mismatch"    400 InvalidRequestError "A header of MCP is missing, or says something else than the body."
    McpMessage          "mcp_message_malformed"  400 InvalidRequestError "The body is not one JSON-RPC 2.0 message of MCP."
    McpMessageTooLarge  "mcp_message_too_large"  413 RequestTooLarge     "A message of MCP may have 4 MiB."
    McpBatch            "mcp_batch"              400 InvalidRequestError "Lists of messages are not accepted. Send each on its own."
    McpServerUnknown    "mcp_server_unknown"     404 NotFoundError       "There is no MCP server of this name for you."
    McpSessionUnknown   "mcp_session_unknown"    404 NotFoundError       "This session is not known here. Begin a new one."
    McpMethodClosed     "mcp_method_closed"      404 NotFoundError       "Your organization does not let this be asked of this MCP server."
    McpResourceClosed   "mcp_resource_closed"    403 PermissionError     "Your organization does not let you read this resource."
    McpPromptClosed     "mcp_prompt_closed"      403 PermissionError     "Your organization does not let you have this prompt."
    McpInputClosed      "mcp_input_closed"       403 PermissionError     "The MCP server asked for something that your organization does not let it have."
    McpServerFailed     "mcp_server_failed"      502 ApiError            "The MCP server's answer is none that can be passed on."
    ResultTooLarge      "result_too_large"       403 PermissionError     "The MCP server's answer is larger than your organization lets through."
    StreamType          "stream_type"            400 InvalidRequestError "stream must be true or false"
    Quarantined         "quarantined"            400 InvalidRequestError "This request cannot be handled. Please report its request id."
}

impl Refusal {
    /// A failure of ours, not a no to the caller.
    pub fn is_failure(self) -> bool {
        self.status() >= 500
    }

    /// Does a rule of the policy say this no, where it is named?
    pub fn is_by_rule(self) -> bool {
        matches!(
            self,
            Self::ModelDenied
                | Self::ToolBlocked
                | Self::ApprovalRequired
                | Self::SkillBlocked
                | Self::SecretFound
                | Self::WordBlocked
                | Self::TierNotAccepted
                | Self::CertificateRequired
                | Self::McpResourceClosed
                | Self::McpPromptClosed
        )
    }
}

impl From<Why> for Refusal {
    fn from(why: Why) -> Self {
        match why {
            Why::ModelNotAllowed => Self::ModelNotAllowed,
            Why::ModelDenied => Self::ModelDenied,
            Why::ModelUnknown => Self::ModelUnknown,
            Why::Tool => Self::ToolBlocked,
            Why::Approval => Self::ApprovalRequired,
            Why::Server => Self::ServerNotManaged,
            Why::Skill => Self::SkillBlocked,
            Why::Secret => Self::SecretFound,
            Why::Word => Self::WordBlocked,
            Why::Tier => Self::TierNotAccepted,
            Why::Unbound => Self::CertificateRequired,
        }
    }
}

impl From<HostError> for Refusal {
    fn from(error: HostError) -> Self {
        log::error!("{error}: the exchange is refused");
        Self::GateFailed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::refusal::ErrorType::*;
    use std::collections::BTreeSet;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_code_is_its_own() {
        let codes: BTreeSet<_> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();

        assert_eq!(codes.len(), Refusal::ALL.len());
    }

    #[test]
    fn what_the_policy_denies_has_the_code_that_its_authors_read() {
        for why in Why::ALL {
            assert_eq!(Refusal::from(why).code(), why.code());
        }
    }

    #[test]
    fn type_and_status_agree_as_the_messages_api_pairs_them() {
        for refusal in Refusal::ALL {
            let statuses: &[u16] = match refusal.kind() {
                InvalidRequestError => &[400, 405, 415],
                AuthenticationError => &[401],
                BillingError => &[402, 429],
                PermissionError => &[403],
                NotFoundError => &[404],
                RequestTooLarge => &[413],
                RateLimitError => &[429],
                ApiError => &[500, 502, 503],
                NotSupported => &[501],
                TimeoutError => &[504],
                OverloadedError => &[529],
            };
            assert!(statuses.contains(&refusal.status()), "{refusal:?}");
        }
    }

    #[test]
    fn the_documented_table_is_this_table() {
        let document = include_str!("../../docs/refusals.md");
        let gate = document.split("\n## ").find(|part| part.starts_with("The gate")).unwrap();

        for refusal in Refusal::ALL {
            let kind = serde_json::to_value(refusal.kind()).unwrap();
            let (code, status, message) = (refusal.code(), refusal.status(), refusal.message());
            let row = format!("| `{code}` | {status} | `{}` | {message} |", kind.as_str().unwrap());
            assert!(gate.contains(&row), "docs/refusals.md lacks {row}");
        }
        let rows = gate.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, Refusal::ALL.len(), "and has none that is not there");
    }

    #[test]
    fn the_sentences_clients_match_on_are_the_reference_gateway_s() {
        assert_eq!(Refusal::ModelMissing.message(), "model is required");
        assert_eq!(Refusal::ModelType.message(), "model must be a string");
    }
}
