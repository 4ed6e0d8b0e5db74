//! What an `OpenID` provider must not do, and does.

use serde_json::{Value, json};

/// One of its endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Where browsers go.
    Authorization,
    /// Where codes and refresh tokens are traded.
    Token,
    /// Claims for an access token.
    Userinfo,
    /// Its public keys.
    Jwks,
    /// Its description.
    Discovery,
    /// Where tokens are given back (RFC 7009).
    Revocation,
}

/// How an endpoint fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It answers with this status.
    Status(u16),
    /// It takes the request and never answers.
    Hang,
}

/// With what an `id_token` is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// Not at all: `alg: none`.
    None,
    /// HMAC, keyed with the client's secret.
    Hs256Secret,
    /// HMAC, keyed with the public key's PEM (RFC 8725 §2.1).
    Hs256PublicKey,
    /// A key that was never published, under the `kid` of one that was.
    Unpublished,
    /// A key that was never published, under a `kid` of its own.
    UnknownKid,
    /// The right key, over something else.
    Broken,
}

/// Something untrue in the next answers.
#[derive(Debug, Clone)]
pub struct Lie(Value);

impl Lie {
    /// These claims stand in the `id_token` instead; `null` leaves one out.
    pub fn claims(claims: &Value) -> Self {
        Self(json!({ "claims": claims }))
    }

    /// A nonce nobody sent.
    pub fn wrong_nonce() -> Self {
        Self::claims(&json!({ "nonce": "not-the-one-you-sent" }))
    }

    /// Another issuer in the `id_token`.
    pub fn wrong_issuer() -> Self {
        Self::claims(&json!({ "iss": "http://127.0.0.1:1" }))
    }

    /// An `id_token` for another client.
    pub fn wrong_audience() -> Self {
        Self::claims(&json!({ "aud": "somebody-else" }))
    }

    /// An `id_token` that ended an hour ago.
    pub fn expired() -> Self {
        let now = crate::world::tokens::now();
        Self::claims(&json!({ "iat": now - 7200, "exp": now - 3600 }))
    }

    /// An `id_token` signed in another way.
    pub fn signed(how: Signed) -> Self {
        Self(json!({ "sign": match how {
            Signed::None => "none",
            Signed::Hs256Secret => "hs256_secret",
            Signed::Hs256PublicKey => "hs256_public_key",
            Signed::Unpublished => "unpublished",
            Signed::UnknownKid => "unknown_kid",
            Signed::Broken => "broken",
        }}))
    }

    /// These parameters in the redirect back to the client; `null` leaves one out (`iss`: RFC 9207).
    pub fn callback(parameters: &Value) -> Self {
        Self(json!({ "callback": parameters }))
    }

    /// These claims at the userinfo endpoint (a foreign `sub`, say).
    pub fn userinfo(claims: &Value) -> Self {
        Self(json!({ "userinfo": claims }))
    }

    /// These members of the token answer: `id_token: null`, say.
    pub fn tokens(members: &Value) -> Self {
        Self(json!({ "tokens": members }))
    }

    /// In this many answers; else in one.
    pub fn times(mut self, count: u32) -> Self {
        self.0["times"] = count.into();
        self
    }

    pub(super) fn told(self) -> Value {
        self.0
    }
}
