//! What a provider says of itself (`OpenID` Connect Discovery 1.0), and its keys.

use super::super::http::{Http, HttpError};
use super::{Provider, Trouble};
use crate::identity::check::secure_url;
use anyhow::{bail, ensure};
use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
    CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{
    AdditionalProviderMetadata, DiscoveryError, IssuerUrl, ProviderMetadata, TokenUrl, UserInfoUrl,
};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tracing::{info, warn};

/// How old its document and keys may become.
const FRESH: Duration = Duration::from_hours(12);

/// How soon it is asked again when it did not answer.
const AGAIN: Duration = Duration::from_mins(10);

/// How often its keys are asked for because one is missing: anybody can name keys that are not there.
const SELDOM: Duration = Duration::from_secs(30);

/// The algorithms that are believed, whatever a token says of itself.
pub(super) const ALGORITHMS: [CoreJwsSigningAlgorithm; 4] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EdDsa,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
];

/// What we read besides the library.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct More {
    /// Does each of its answers say who sends it (RFC 9207 §3)?
    #[serde(default, rename = "authorization_response_iss_parameter_supported")]
    pub(super) tells_issuer: bool,
    /// Its ways of PKCE (RFC 8414 §2); some that know it do not say.
    #[serde(default, rename = "code_challenge_methods_supported")]
    challenges: Option<Vec<String>>,
}

impl AdditionalProviderMetadata for More {}

type Metadata = ProviderMetadata<
    More,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What is known of it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) metadata: Metadata,
    until: Instant,
}

impl Known {
    pub(super) async fn ask(issuer: &str, http: &Http) -> anyhow::Result<Self> {
        let issuer = IssuerUrl::new(issuer.to_owned())?;
        // The library compares the issuer with the one that was asked for (Discovery §4.3).
        let metadata = match Metadata::discover_async(issuer, http).await {
            Ok(metadata) => metadata,
            Err(error) => bail!("{}", plain(&error)),
        };
        consistent(&metadata)?;

        Ok(Self { metadata, until: Instant::now().checked_add(FRESH).unwrap_or_else(Instant::now) })
    }
}

fn plain(error: &DiscoveryError<HttpError>) -> String {
    match error {
        DiscoveryError::Request(why) => why.to_string(),
        DiscoveryError::Response(status, _, why) => {
            format!("its discovery answers {status}: {why}")
        }
        DiscoveryError::Validation(why) => format!("its discovery document is not its own: {why}"),
        other => format!("its discovery document cannot be read: {other}"),
    }
}

fn consistent(metadata: &Metadata) -> anyhow::Result<()> {
    let endpoints = [
        ("authorization_endpoint", Some(metadata.authorization_endpoint().url())),
        ("token_endpoint", metadata.token_endpoint().map(TokenUrl::url)),
        ("jwks_uri", Some(metadata.jwks_uri().url())),
    ];
    let userinfo = metadata.userinfo_endpoint().map(UserInfoUrl::url);
    for (name, url) in endpoints {
        let Some(url) = url else { bail!("its discovery document has no {name}") };
        if let Err(why) = secure_url(url.as_str()) {
            bail!("its {name} {why}");
        }
    }
    if let Some(Err(why)) = userinfo.map(|url| secure_url(url.as_str())) {
        bail!("its userinfo_endpoint {why}");
    }
    let signs = metadata.id_token_signing_alg_values_supported();
    ensure!(
        signs.iter().any(|algorithm| ALGORITHMS.contains(algorithm)),
        "it signs with none of RS256, PS256, ES256 and EdDSA"
    );
    ensure!(!metadata.jwks().keys().is_empty(), "its key set has no key that can be used");
    let challenges = metadata.additional_metadata().challenges.as_ref();
    ensure!(
        challenges.is_none_or(|ways| ways.iter().any(|way| way == "S256")),
        "it does not know PKCE with S256"
    );

    Ok(())
}

impl Provider {
    /// Asks for document and keys again where they are old. Without an answer the old ones go on.
    pub(super) async fn keep_fresh(&self) {
        if self.known().until > Instant::now() {
            return;
        }
        let mut asked = self.asked.lock().await;
        if self.known().until > Instant::now() || !due(*asked, AGAIN) {
            return;
        }
        *asked = Some(Instant::now());
        self.ask_anew().await;
    }

    /// Asks again because a key is missing, seldom.
    pub(super) async fn missing_key(&self) -> Result<(), Trouble> {
        let mut asked = self.asked.lock().await;
        if !due(*asked, SELDOM) {
            return Err(Trouble::Unsound("its key is not known".to_owned()));
        }
        *asked = Some(Instant::now());
        self.ask_anew().await;

        Ok(())
    }

    async fn ask_anew(&self) {
        let id = &self.config.id;
        match Known::ask(&self.config.issuer, &self.http).await {
            Ok(known) => {
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
                info!(provider.id = id, "Asked an OpenID provider for its keys");
            }
            Err(error) => {
                warn!(provider.id = id, error = %error, "An OpenID provider's keys stay as they were");
            }
        }
    }
}

fn due(last: Option<Instant>, wait: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= wait)
}
