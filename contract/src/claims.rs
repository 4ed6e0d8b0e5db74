//! Who a token names. The registered claims (`iss`, `aud`, `sub`, `jti`, `iat`, `nbf`, `exp`,
//! RFC 7519 §4.1) are the JWT library's; these are ours beside them.

use crate::headers;
use serde::{Deserialize, Serialize};

/// How the caller proved who they are (RFC 8176 `amr`, one word).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// A personal access token, traded by the helper.
    Pat,
    /// The enterprise's own sign-in.
    Sso,
    /// A device certificate.
    Mtls,
    /// A service's credential; nobody sits at a keyboard.
    Service,
}

/// Confirmation of possession (RFC 7800, RFC 8705 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// SHA-256 of the client certificate's DER, base64url.
    #[serde(rename = "x5t#S256")]
    pub x5t_s256: String,
}

/// The private claims of a Tollgate token. Unknown claims are ignored (RFC 7519 §4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The tenant. A token without one names nobody here.
    pub tenant_id: String,
    /// The session the token was minted in.
    pub sid: String,
    /// The client program.
    pub client_id: String,
    /// The policy version in force at mint.
    pub policy_version: String,
    /// How the caller proved who they are.
    pub amr: Method,
    /// The credential the token was minted from (`pat_…`, a session, a certificate): what an
    /// operator revokes, and what a `denied` row names.
    pub credential_id: String,
    /// Verified e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The name shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Department, for routing and chargeback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// Cost centre, for chargeback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_centre: Option<String>,
    /// Groups of the directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Operator roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Regulatory populations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub populations: Vec<String>,
    /// Where the caller's data must stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The key or certificate the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

impl Claims {
    /// What people search by: the verified e-mail in lower case, else the token's `sub`.
    pub fn user_id(&self, subject: &str) -> String {
        self.email.as_deref().map_or_else(|| subject.to_owned(), str::to_ascii_lowercase)
    }

    /// The value an identity header must have if a client sends it; `None` where no claim fixes
    /// it (`x-trace-id`, `x-call-source`).
    pub fn identity(&self, header: &str, user_id: &str) -> Option<String> {
        match header {
            headers::USER_ID => Some(user_id.to_owned()),
            headers::SESSION_ID => Some(self.sid.clone()),
            headers::CLIENT_ID => Some(self.client_id.clone()),
            headers::TENANT_ID => Some(self.tenant_id.clone()),
            headers::POLICY_VERSION => Some(self.policy_version.clone()),
            _ => None,
        }
    }
}
