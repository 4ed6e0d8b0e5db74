//! Mints the tokens that the gate believes: Ed25519-signed, short-lived, one credential each.

use crate::keys::{self, KeyError, SigningKey};
use crate::policy::signer::SignerError;
use crate::sealing::SealError;
use crate::store::User;
use contract::audit::CallSource;
use contract::claims::{Claims as Private, Confirmation, Method};
use contract::envelope::hex;
use contract::headers::{self, IdentityHeaders};
use jwt_simple::claims::Claims;
use jwt_simple::prelude::{Duration, UnixTimeStamp};
use thiserror::Error;

/// The client that personal access tokens are traded by.
pub const HELPER: &str = "tollgate-helper";

/// Why nothing was minted.
#[derive(Debug, Error)]
pub enum MintError {
    /// No random ids.
    #[error(transparent)]
    Random(#[from] KeyError),
    /// A session's part could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The library refused.
    #[error("the token could not be signed: {0}")]
    Sign(#[from] jwt_simple::Error),
    /// The command that signs.
    #[error("the token was not signed: {0}")]
    Signer(#[from] SignerError),
    /// What it says cannot be written.
    #[error("the token could not be written: {0}")]
    Json(#[from] serde_json::Error),
    /// Nothing signs with that key any more.
    #[error("nothing signs with this key any more")]
    Gone,
}

/// What is to be minted.
#[derive(Debug)]
pub struct Order<'a> {
    /// For whom.
    pub user: &'a User,
    /// How they proved who they are.
    pub method: Method,
    /// From which credential.
    pub credential_id: &'a str,
    /// For which client program.
    pub client_id: &'a str,
    /// The certificate that it is bound to.
    pub certificate: Option<Confirmation>,
    /// The policy version in force.
    pub policy_version: &'a str,
    /// `iss`.
    pub issuer: &'a str,
    /// `aud`.
    pub audience: &'a str,
    /// Unix seconds.
    pub now: u64,
    /// Seconds.
    pub ttl: u64,
}

/// The ids a token will have; drawn before it is noted and signed.
#[derive(Debug)]
pub struct Ids {
    /// `jti`.
    pub jti: String,
    /// `sid`.
    pub sid: String,
    /// `x-trace-id`.
    pub trace: String,
}

impl Ids {
    /// Fresh ones.
    ///
    /// # Errors
    /// [`MintError::Random`].
    pub fn draw() -> Result<Self, MintError> {
        Ok(Self {
            jti: format!("jti_{}", hex(&keys::random::<12>()?)),
            sid: format!("ses_{}", hex(&keys::random::<12>()?)),
            trace: hex(&keys::random::<16>()?),
        })
    }
}

/// Signs the token, and makes the seven headers that go with it.
///
/// # Errors
/// [`MintError`].
pub async fn mint(
    order: &Order<'_>,
    ids: &Ids,
    key: &SigningKey,
) -> Result<(String, IdentityHeaders), MintError> {
    let user = order.user;
    let private = Private {
        tenant_id: user.tenant_id.clone(),
        sid: ids.sid.clone(),
        client_id: order.client_id.to_owned(),
        policy_version: order.policy_version.to_owned(),
        amr: order.method,
        credential_id: order.credential_id.to_owned(),
        // Who has no address is known by `sub`.
        email: user.user_id.contains('@').then(|| user.user_id.clone()),
        name: user.name.clone(),
        department: user.department.clone(),
        cost_centre: user.cost_centre.clone(),
        groups: user.groups.clone(),
        roles: user.roles.clone(),
        populations: user.populations.clone(),
        region: user.region.clone(),
        cnf: order.certificate.clone(),
    };
    let identity = identity(&private, &user.sub, &ids.trace);

    let issued: UnixTimeStamp = Duration::from_secs(order.now);
    let mut claims = Claims::with_custom_claims(private, Duration::from_secs(order.ttl))
        .with_issuer(order.issuer)
        .with_audience(order.audience)
        .with_subject(&user.sub)
        .with_jwt_id(&ids.jti);
    // One clock for all three: what is noted in the store is what the token says.
    claims.issued_at = Some(issued);
    claims.invalid_before = Some(issued);
    claims.expires_at = Some(Duration::from_secs(order.now.saturating_add(order.ttl)));

    Ok((key.sign(claims).await?, identity))
}

fn identity(claims: &Private, sub: &str, trace: &str) -> IdentityHeaders {
    let user_id = claims.user_id(sub);
    let source = match claims.amr {
        Method::Service => CallSource::Job,
        Method::Pat | Method::Sso | Method::Mtls => CallSource::Cowork,
    };
    headers::IDENTITY
        .into_iter()
        .map(|name| {
            let value = match name {
                headers::TRACE_ID => trace.to_owned(),
                headers::CALL_SOURCE => source.as_str().to_owned(),
                _ => claims.identity(name, &user_id).unwrap_or_default(),
            };
            (name.to_owned(), value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jwt_simple::prelude::{Ed25519KeyPair, EdDSAPublicKeyLike, VerificationOptions};

    #[tokio::test]
    async fn a_token_says_who_and_for_how_long_and_the_headers_agree() {
        let key = SigningKey::new(Ed25519KeyPair::generate());
        let user = User {
            sub: "usr_1".into(),
            user_id: "ann@example.com".into(),
            tenant_id: "acme".into(),
            groups: vec!["engineering".into()],
            ..User::default()
        };
        let now = crate::clock::now();
        let order = Order {
            user: &user,
            method: Method::Pat,
            credential_id: "pat_1",
            client_id: HELPER,
            certificate: None,
            policy_version: "v1",
            issuer: "https://tollgate.localhost",
            audience: "tollgate",
            now,
            ttl: 3600,
        };
        let ids = Ids::draw().unwrap();

        let (token, identity) = mint(&order, &ids, &key).await.unwrap();

        let options = VerificationOptions {
            allowed_issuers: Some(["https://tollgate.localhost".to_owned()].into()),
            allowed_audiences: Some(["tollgate".to_owned()].into()),
            ..VerificationOptions::default()
        };
        let told = key.public().verify_token::<Private>(&token, Some(options)).unwrap();
        assert_eq!(told.subject.as_deref(), Some("usr_1"));
        assert_eq!(told.jwt_id.as_deref(), Some(ids.jti.as_str()));
        assert_eq!(told.expires_at.unwrap().as_secs(), now + 3600);
        assert_eq!(told.custom.groups, ["engineering"]);
        assert_eq!(identity.len(), 7, "all seven");
        assert!(identity.values().all(|value| !value.is_empty()), "{identity:?}");
        assert_eq!(identity[headers::SESSION_ID], told.custom.sid);
        assert_eq!(identity[headers::TRACE_ID].len(), 32);
    }
}
