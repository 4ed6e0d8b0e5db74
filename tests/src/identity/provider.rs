//! An enterprise's `OpenID` provider: the real `oidc-provider` (`tests/provider-oidc`), with controls.
//!
//! What it says is true until a test asks for a [`Lie`] or a [`Fault`] ([`lies`]).

use crate::identity::agent::{Agent, Page, Sent};
use crate::world::ports;
use crate::world::processes::{self, Process, prepared, repository};
use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use url::Url;

pub mod lies;

use lies::{Endpoint, Fault, Lie};

/// The client that every provider knows.
pub const CLIENT: &str = "tollgate";

/// Its secret.
pub const SECRET: &str = "e2e-client-secret-of-tollgate-at-the-provider";

/// The password of every account.
pub const PASSWORD: &str = "e2e-password";

/// How long it may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running one. It ends when this is dropped, and with the tests.
#[derive(Debug)]
pub struct OidcProvider {
    /// Its issuer, `http://127.0.0.1:PORT`.
    pub issuer: String,
    /// Where its log is.
    pub place: PathBuf,
    control: Url,
    _process: Process,
}

/// An account: `USER@example.com`, verified, of engineering, with [`PASSWORD`] and `sub-USER`.
pub fn account(user: &str) -> Value {
    json!({ "user": user, "password": PASSWORD, "claims": {
        "sub": format!("sub-{user}"), "email": format!("{user}@example.com"), "email_verified": true,
        "name": user, "department": "engineering", "groups": ["engineering"],
    }})
}

/// Parameters of an authorization request, and what belongs to it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where the browser goes.
    pub url: Url,
    /// Whoever trades the code must know it.
    pub verifier: String,
    /// Where the code comes.
    pub redirect_uri: String,
    /// What must stand in the `id_token`.
    pub nonce: String,
}

impl OidcProvider {
    /// Starts one with Ann's and Bob's accounts, whose client may redirect to these addresses.
    pub async fn start(redirects: &[&str]) -> Result<Self> {
        Self::with(&[account("ann"), account("bob")], redirects).await
    }

    /// Starts one with these [`account`]s. More redirects can be allowed later.
    pub async fn with(accounts: &[Value], redirects: &[&str]) -> Result<Self> {
        let place = processes::place("oidc")?;
        let (port, control) = (ports::port()?, ports::port()?);
        let config = json!({
            "port": port.port(), "control": control.port(), "accounts": accounts,
            "clients": [{
                "client_id": CLIENT, "client_secret": SECRET, "redirect_uris": redirects,
                "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
            }],
        });
        let file = place.join("config.json");
        fs::write(&file, config.to_string())?;
        let (node, modules) = programs()?;
        ensure!(modules.exists(), "{} is not there: tools/prepare --tests", modules.display());
        let script = repository().join("tests/provider-oidc/index.js").display().to_string();
        let arguments = [&script, &file.display().to_string(), &modules.display().to_string()];
        let process = Process::start(
            &node,
            &arguments.map(String::as_str),
            &place,
            &place.join("logs/oidc.log"),
        )?;
        let provider = Self {
            issuer: format!("http://{port}"),
            control: format!("http://{control}").parse()?,
            place,
            _process: process,
        };
        provider.until_ready().await?;

        Ok(provider)
    }

    async fn until_ready(&self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        let description = self.url("/.well-known/openid-configuration");
        while Agent::new().get(&description).await.is_err() {
            if Instant::now() > end {
                bail!("no OpenID provider\n{}", self.log());
            }
            sleep(Duration::from_millis(20)).await;
        }

        Ok(())
    }

    /// What it said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.place.join("logs/oidc.log")).unwrap_or_default()
    }

    /// An address of its.
    pub fn url(&self, path: &str) -> Url {
        format!("{}{path}", self.issuer).parse().unwrap()
    }

    async fn turn(&self, path: &str, what: Value) -> Value {
        let page = Agent::new().send(&self.control.join(path).unwrap(), Sent::json(&what)).await;
        let page = page.unwrap_or_else(|error| panic!("{error:#}\n{}", self.log()));
        assert_eq!(page.status, 200, "{path} {what}: {}", page.text());

        page.json()
    }

    /// The client may redirect here too.
    pub async fn allow_redirect(&self, uri: &str) {
        self.turn("/redirect", json!({ "uri": uri })).await;
    }

    /// Nobody signs in with this account any more, and its refresh tokens are `invalid_grant`.
    pub async fn disable(&self, user: &str) {
        self.turn("/account", json!({ "user": user, "disabled": true })).await;
    }

    /// As if it had never been disabled.
    pub async fn enable(&self, user: &str) {
        self.turn("/account", json!({ "user": user, "disabled": false })).await;
    }

    /// Changes claims of an account; `null` removes one. `email_verified`, `groups`, `roles`, `tid`, `oid`,
    /// `hd`, `custom` (nested as you like) and what the accounts began with are known.
    pub async fn change(&self, user: &str, claims: Value) {
        self.turn("/account", json!({ "user": user, "claims": claims })).await;
    }

    /// Leaves `groups` out and says where to look instead (`_claim_names`, `OpenID` Connect Core §5.6.2), as
    /// Entra does for who is in many. The address wants the access token and answers `{"value": […]}`.
    pub async fn overage(&self, user: &str, on: bool) {
        self.turn("/account", json!({ "user": user, "overage": on })).await;
    }

    /// These claims stand at the userinfo endpoint only, not in the `id_token`.
    pub async fn only_in_userinfo(&self, claims: &[&str]) {
        self.turn("/settings", json!({ "userinfo_only": claims })).await;
    }

    /// Gives refresh tokens, or none.
    pub async fn refresh_tokens(&self, on: bool) {
        self.turn("/settings", json!({ "refresh_tokens": on })).await;
    }

    /// Lies in the next answer.
    pub async fn lie(&self, lie: Lie) {
        self.turn("/lie", lie.told()).await;
    }

    /// Takes back a lie that was not told.
    pub async fn truth(&self) {
        self.turn("/truth", json!({})).await;
    }

    /// An endpoint fails from now on.
    pub async fn fail(&self, endpoint: Endpoint, fault: Fault) {
        let name = format!("{endpoint:?}").to_lowercase();
        let fault = match fault {
            Fault::Status(status) => json!({ "name": name, "status": status }),
            Fault::Hang => json!({ "name": name, "hang": true }),
        };
        self.turn("/endpoint", fault).await;
    }

    /// It works again. What hung still does.
    pub async fn heal(&self, endpoint: Endpoint) {
        self.turn("/endpoint", json!({ "name": format!("{endpoint:?}").to_lowercase() })).await;
    }

    /// Signs with a new key. Does it still publish the old ones?
    pub async fn rotate_keys(&self, keep: bool) {
        self.turn("/keys", json!({ "keep": keep })).await;
    }

    /// Refuses connections and cuts the open ones. What it has issued stays valid.
    pub async fn go_away(&self) {
        self.turn("/listen", json!({ "on": false })).await;
    }

    /// Is there again.
    pub async fn come_back(&self) {
        self.turn("/listen", json!({ "on": true })).await;
    }

    /// What it was asked since the last time: `route` (an [`Endpoint`]'s name in small letters, or `lookup`),
    /// `query`, `status`, `client`, `grant` (the `grant_type`).
    pub async fn seen(&self) -> Vec<Value> {
        self.turn("/seen", json!({})).await["seen"].as_array().cloned().unwrap_or_default()
    }

    /// A good authorization request of the client's, for tests that play the client.
    pub fn request(&self, redirect_uri: &str) -> Request {
        use sha2::{Digest, Sha256};
        let verifier = "e2e-verifier-of-at-least-forty-three-characters".to_owned();
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let nonce = "e2e-nonce".to_owned();
        let mut url = self.url("/auth");
        url.query_pairs_mut().extend_pairs([
            ("client_id", CLIENT),
            ("response_type", "code"),
            ("scope", "openid email profile offline_access"),
            ("redirect_uri", redirect_uri),
            ("state", "e2e-state"),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);

        Request { url, verifier, redirect_uri: redirect_uri.to_owned(), nonce }
    }

    /// Signs somebody in without a browser: from whatever redirect leads to the provider, through its form, to the
    /// first redirect that leads elsewhere. It is returned and not followed.
    pub async fn sign_in(&self, agent: &Agent, authorize: &Url, user: &str) -> Result<Url> {
        let mut page = agent.get(authorize).await?;
        let fields = [("user", user), ("password", PASSWORD)];
        for _ in 0..10 {
            if let Some(next) = page.location() {
                if !next.as_str().starts_with(&self.issuer) {
                    return Ok(next);
                }
                page = agent.get(&next).await?;
            } else if page.url.path().starts_with("/login/") {
                let before = page.url.clone();
                page = agent.send(&before, Sent::form(&fields)).await?;
                ensure!(page.location().is_some(), "{user} is not let in: {}", page.text());
            } else {
                bail!("{} {}: {}", page.url, page.status, page.text());
            }
        }
        bail!("too many redirects, at last {}", page.url)
    }

    /// Trades a code, as the client.
    pub async fn trade(&self, request: &Request, code: &str) -> Result<Page> {
        let form = Sent::form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &request.redirect_uri),
            ("code_verifier", &request.verifier),
        ]);

        Agent::new().send(&self.url("/token"), form.client(CLIENT, SECRET)).await
    }

    /// Trades a refresh token, as the client.
    pub async fn refresh(&self, token: &str) -> Result<Page> {
        let form = Sent::form(&[("grant_type", "refresh_token"), ("refresh_token", token)]);

        Agent::new().send(&self.url("/token"), form.client(CLIENT, SECRET)).await
    }
}

/// Node, and the modules of the provider. Asked for once.
fn programs() -> Result<(PathBuf, PathBuf)> {
    static FOUND: Mutex<Option<(PathBuf, PathBuf)>> = Mutex::new(None);
    let mut found = FOUND.lock().unwrap();
    if let Some(found) = found.as_ref() {
        return Ok(found.clone());
    }
    let paths = (prepared("--node-folder")?.join("node"), prepared("--oidc-modules")?);

    Ok(found.insert(paths).clone())
}

/// A parameter of an address's query.
pub fn parameter(url: &Url, name: &str) -> Result<String> {
    let pair = url.query_pairs().find(|(key, _)| key == name);

    Ok(pair.with_context(|| format!("{url} has no {name}"))?.1.into_owned())
}

/// The claims of a JWT, unverified.
pub fn claims(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).unwrap_or_default();

    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
