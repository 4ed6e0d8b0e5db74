//! One provider: what it says of itself, and what it says of people.

mod discovery;
mod verify;

use self::discovery::Known;
use super::http::Http;
use crate::identity::{self, check};
use anyhow::{Context, anyhow};
use axum::http::{Method, Request, StatusCode, header};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreErrorResponseType,
    CoreTokenResponse,
};
use openidconnect::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, HttpResponse, LoginHint, Nonce, OAuth2TokenResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    StandardErrorResponse, TokenResponse,
};
use serde_json::Value;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use thiserror::Error as ThisError;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};
use url::Url;

/// What is asked for unless the configuration says.
const SCOPES: [&str; 3] = ["email", "profile", "offline_access"];

/// How long it is asked for what the answer leaves open.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most pages of groups that are read.
const MOST_PAGES: usize = 20;

/// Why a provider did not vouch for somebody.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum Trouble {
    /// It says no.
    #[error("refuses: {0}")]
    Refused(String),
    /// It does not answer, or not as it must.
    #[error("{0}")]
    Away(String),
    /// What it says cannot be believed.
    #[error("says what cannot be believed: {0}")]
    Unsound(String),
}

/// What a provider told of somebody. Verified.
#[derive(Clone)]
pub struct Told {
    /// `sub`.
    pub subject: String,
    /// The claims of the ID token.
    pub claims: Value,
    /// The answer of the userinfo endpoint, where it was needed.
    pub userinfo: Option<Value>,
    /// What `groups_url` answered, where it was asked.
    pub groups: Option<Vec<String>>,
    /// What it is asked again with.
    pub refresh_token: Option<String>,
}

impl std::fmt::Debug for Told {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Told")
    }
}

/// What a provider answers when it is asked again.
#[derive(Debug)]
pub struct Renewed {
    /// What it is asked with the next time, if that has changed; to be kept whatever else it says.
    pub refresh_token: Option<String>,
    /// What it tells.
    pub told: Result<Told, Trouble>,
}

/// What a sign-in must come back with.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The proof of the code exchange (RFC 7636).
    pub verifier: &'a str,
    /// As it was sent.
    pub nonce: &'a str,
}

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

type TokenError =
    RequestTokenError<super::http::HttpError, StandardErrorResponse<CoreErrorResponseType>>;

/// One of them.
pub struct Provider {
    config: identity::Provider,
    secret: Option<ClientSecret>,
    back: RedirectUrl,
    http: Http,
    known: RwLock<Arc<Known>>,
    /// Does it not answer, and was that said?
    is_silent: AtomicBool,
    /// When its keys were last asked for because one was missing.
    asked: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Provider({})", self.config.id)
    }
}

impl Provider {
    /// Asks for its discovery document and keys.
    ///
    /// # Errors
    /// What it did not answer as it must.
    pub async fn start(config: identity::Provider, back: &Url) -> anyhow::Result<Self> {
        let secret = config.client_secret.as_ref().map(check::secret).transpose();
        let secret = secret.map_err(|why| anyhow!("{why}"))?.map(ClientSecret::new);
        let http = Http::new(config.ca.as_deref())?;
        let known = Known::ask(&config.issuer, &http).await?;

        Ok(Self {
            secret,
            http,
            back: RedirectUrl::new(back.to_string()).context("public_url is no URL")?,
            known: RwLock::new(Arc::new(known)),
            is_silent: AtomicBool::new(false),
            asked: Mutex::new(None),
            config,
        })
    }

    /// How it is configured.
    pub fn config(&self) -> &identity::Provider {
        &self.config
    }

    /// Logs what it answers, once: every session asks.
    pub fn note(&self, trouble: Option<&Trouble>) {
        let id = &self.config.id;
        match trouble {
            Some(Trouble::Unsound(why)) => {
                warn!(
                    provider.id = id,
                    error = why,
                    "An OpenID provider says what cannot be believed"
                );
            }
            Some(Trouble::Away(why)) => {
                if !self.is_silent.swap(true, Ordering::Relaxed) {
                    warn!(provider.id = id, error = why, "An OpenID provider does not answer");
                }
            }
            Some(Trouble::Refused(_)) | None => {
                if self.is_silent.swap(false, Ordering::Relaxed) {
                    info!(provider.id = id, "An OpenID provider answers again");
                }
            }
        }
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn client(&self, known: &Known) -> Client {
        let id = ClientId::new(self.config.client_id.clone());
        let methods = known.metadata.token_endpoint_auth_methods_supported();
        let basic = methods
            .is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let way = if basic { AuthType::BasicAuth } else { AuthType::RequestBody };
        let metadata = known.metadata.clone();

        CoreClient::from_provider_metadata(metadata, id, self.secret.clone())
            .set_redirect_uri(self.back.clone())
            .set_auth_type(way)
    }

    /// Where the person's browser is sent (Core §3.1.2.1).
    pub fn authorize_url(&self, state: &str, expected: Expected<'_>, hint: Option<&str>) -> Url {
        let client = self.client(&self.known());
        let verifier = PkceCodeVerifier::new(expected.verifier.to_owned());
        let (state, nonce) = (state.to_owned(), expected.nonce.to_owned());
        let scopes = &self.config.scopes;
        let own = SCOPES.iter().map(|scope| (*scope).to_owned());
        let asked: Vec<String> = if scopes.is_empty() { own.collect() } else { scopes.clone() };
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new(state),
                || Nonce::new(nonce),
            )
            .add_scopes(asked.into_iter().filter(|scope| scope != "openid").map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        if let Some(hint) = hint {
            request = request.set_login_hint(LoginHint::new(hint.to_owned()));
        }
        for (name, value) in &self.config.parameters {
            request = request.add_extra_param(name, value);
        }

        request.url().0
    }

    /// Is this `iss` of an answer its own (RFC 9207)? One that says it sends them must.
    pub fn is_sender(&self, iss: Option<&str>) -> bool {
        let known = self.known();
        match iss {
            Some(iss) => iss == known.metadata.issuer().as_str(),
            None => !known.metadata.additional_metadata().tells_issuer,
        }
    }

    /// Trades the code of an answer for what it tells (Core §3.1.3).
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn redeem(&self, code: &str, expected: Expected<'_>) -> Result<Told, Trouble> {
        self.keep_fresh().await;
        let client = self.client(&self.known());
        let code = AuthorizationCode::new(code.to_owned());
        let request = client.exchange_code(code).map_err(|why| away(&why))?;
        let verifier = PkceCodeVerifier::new(expected.verifier.to_owned());
        let answer = request.set_pkce_verifier(verifier).request_async(&self.http).await;
        let answer = answer.map_err(|error| trouble(&error))?;
        let Some(token) = answer.id_token() else {
            return Err(Trouble::Unsound("there is no ID token".to_owned()));
        };
        let claims = self.verified(token, Some(expected.nonce)).await?;

        self.told(&answer, claims).await
    }

    /// Asks again, with the refresh token (Core §12).
    pub async fn renew(&self, refresh_token: &str, subject: &str) -> Renewed {
        match self.refreshed(refresh_token).await {
            Ok(answer) => {
                let refresh_token = answer.refresh_token().map(|token| token.secret().clone());
                let told = timeout(PATIENCE, self.still(&answer, subject)).await;
                let late = || Err(Trouble::Away(format!("no answer in {} s", PATIENCE.as_secs())));
                Renewed { refresh_token, told: told.unwrap_or_else(|_| late()) }
            }
            Err(trouble) => Renewed { refresh_token: None, told: Err(trouble) },
        }
    }

    async fn refreshed(&self, refresh_token: &str) -> Result<CoreTokenResponse, Trouble> {
        self.keep_fresh().await;
        let client = self.client(&self.known());
        let token = RefreshToken::new(refresh_token.to_owned());
        let request = client.exchange_refresh_token(&token).map_err(|why| away(&why))?;

        request.request_async(&self.http).await.map_err(|error| trouble(&error))
    }

    /// What it tells of the same person again.
    async fn still(&self, answer: &CoreTokenResponse, subject: &str) -> Result<Told, Trouble> {
        let claims = match answer.id_token() {
            Some(token) => self.verified(token, None).await?,
            None => serde_json::json!({ "sub": subject }),
        };
        if claims.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(Trouble::Unsound("it speaks of somebody else".to_owned()));
        }

        self.told(answer, claims).await
    }

    /// Asks for what the ID token does not say.
    async fn told(&self, answer: &CoreTokenResponse, claims: Value) -> Result<Told, Trouble> {
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
        if subject.is_empty() {
            return Err(Trouble::Unsound("it does not say who".to_owned()));
        }
        let access_token = answer.access_token().secret();
        let known = self.known();
        let refresh_token = answer.refresh_token().map(|token| token.secret().clone());
        let mut told = Told { subject, claims, userinfo: None, groups: None, refresh_token };
        // An answer without an ID token says nothing yet.
        if (answer.id_token().is_none()
            || super::claims::is_more_needed(&self.config, &told.claims))
            && let Some(url) = known.metadata.userinfo_endpoint()
        {
            let userinfo = self.ask(url.url(), access_token).await?;
            if userinfo.get("sub").and_then(Value::as_str) != Some(&told.subject) {
                return Err(Trouble::Unsound("its userinfo is about somebody else".to_owned()));
            }
            told.userinfo = Some(userinfo);
        } else if answer.id_token().is_none() {
            return Err(Trouble::Unsound("neither ID token nor userinfo".to_owned()));
        }
        if super::claims::is_lookup_needed(&self.config, &told)
            && let Some(url) = &self.config.claims.groups_url
        {
            told.groups = Some(self.look_up(url, access_token).await?);
        }

        Ok(told)
    }

    /// The groups that `groups_url` lists, page by page.
    async fn look_up(&self, url: &str, access_token: &str) -> Result<Vec<String>, Trouble> {
        let first = check::secure_url(url).map_err(|why| Trouble::Unsound(why.to_owned()))?;
        let (origin, mut next) = (first.origin(), Some(first));
        let mut groups = Vec::new();
        for _ in 0..MOST_PAGES {
            let Some(url) = next.take() else { return Ok(groups) };
            let page = self.ask(&url, access_token).await?;
            groups.extend(super::claims::listed_groups(&page));
            let more = page.get("@odata.nextLink").and_then(Value::as_str);
            next = more.and_then(|text| check::secure_url(text).ok());
            // The access token goes nowhere else.
            if next.as_ref().is_some_and(|next| next.origin() != origin)
                || more.is_some() != next.is_some()
            {
                return Err(Trouble::Unsound("its groups go on elsewhere".to_owned()));
            }
        }

        Err(Trouble::Unsound("its groups do not end".to_owned()))
    }

    /// Something that this access token opens.
    async fn ask(&self, url: &Url, access_token: &str) -> Result<Value, Trouble> {
        let request = Request::builder()
            .method(Method::GET)
            .uri(url.as_str())
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {access_token}"))
            .body(Vec::new())
            .map_err(|why| away(&why))?;
        let answer: HttpResponse = self.http.send(request).await.map_err(|why| away(&why))?;
        match answer.status() {
            StatusCode::OK => match serde_json::from_slice(answer.body()) {
                Ok(told) => Ok(told),
                Err(_) => Err(Trouble::Unsound("userinfo or groups are no JSON".to_owned())),
            },
            // It takes back what it has just given. 403 is about what this gateway may ask.
            StatusCode::UNAUTHORIZED => {
                Err(Trouble::Refused("401 at userinfo or groups".to_owned()))
            }
            status => Err(Trouble::Away(format!("{status} at userinfo or groups"))),
        }
    }
}

fn away(why: &dyn Error) -> Trouble {
    Trouble::Away(why.to_string())
}

/// What an error of the token endpoint means (RFC 6749 §5.2). What is wrong with *us* is no word about the person.
fn trouble(error: &TokenError) -> Trouble {
    use CoreErrorResponseType as Code;

    match error {
        RequestTokenError::ServerResponse(told) => match told.error() {
            Code::InvalidGrant => Trouble::Refused("invalid_grant".to_owned()),
            Code::Extension(code) if is_no(code) => Trouble::Refused(code.clone()),
            code => Trouble::Away(format!("its token endpoint answers {}", code.as_ref())),
        },
        RequestTokenError::Request(why) => Trouble::Away(why.to_string()),
        // Neither holds what was answered: there may be tokens in it.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            Trouble::Away("its token endpoint answers what is no token response".to_owned())
        }
    }
}

/// Codes of `OpenID` Connect Core §3.1.2.6 and RFC 6749 §4.1.2.1 that are about the person.
fn is_no(code: &str) -> bool {
    matches!(
        code,
        "access_denied"
            | "login_required"
            | "interaction_required"
            | "consent_required"
            | "account_selection_required"
    )
}
