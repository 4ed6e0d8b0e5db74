//! A person's browser, and the program on their computer that opens it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what helps the tests may fail as loudly as they do"
)]

use crate::provider::Fake;
use crate::world::{Answer, Fallible, Place, World, ask};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use url::form_urlencoded::Serializer;
use url::{Url, form_urlencoded};

pub(crate) const LOOPBACK: &str = "http://127.0.0.1:49152/callback";
pub(crate) const VERIFIER: &str = "a-verifier-of-a-program-on-this-computer-0123456789";
pub(crate) const SESSION: &str = "/v1/auth/cowork/session";

/// One browser, with its cookies.
pub(crate) struct Browser {
    at: SocketAddr,
    pub(crate) cookies: RefCell<BTreeMap<String, String>>,
}

pub(crate) type Pairs = Vec<(String, String)>;

pub(crate) fn query(pairs: &[(impl AsRef<str>, impl AsRef<str>)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

pub(crate) fn challenge() -> String {
    BASE64.encode(Sha256::digest(VERIFIER))
}

/// What a program opens the browser with.
pub(crate) fn begin(more: &[(&str, &str)]) -> String {
    let challenge = challenge();
    let mut pairs = vec![
        ("redirect_uri", LOOPBACK),
        ("state", "program-state"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in more {
        pairs.retain(|(known, _)| known != name);
        pairs.push((name, value));
    }
    format!("{SESSION}/authorize?{}", query(&pairs))
}

impl Browser {
    pub(crate) fn new(world: &World) -> Self {
        Self { at: world.at.public, cookies: RefCell::default() }
    }

    async fn go(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Fallible<Answer> {
        let cookies: Vec<String> =
            self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut all = vec![("cookie", &*cookies)];
        all.extend(headers);
        let answer = ask(self.at, method, path, &all, body).await?;
        for cookie in answer.header("set-cookie").lines() {
            let (pair, rest) = cookie.split_once(';').ok_or("no attributes")?;
            let (name, value) = pair.split_once('=').ok_or("no name")?;
            assert!(rest.contains("HttpOnly") && rest.contains("SameSite=Lax"), "{rest}");
            let mut kept = self.cookies.borrow_mut();
            if rest.contains("Max-Age=0") {
                kept.remove(name);
            } else {
                kept.insert(name.into(), value.into());
            }
        }
        Ok(answer)
    }

    pub(crate) async fn get(&self, path: &str) -> Fallible<Answer> {
        self.go("GET", path, &[], "").await
    }

    /// As browsers send the page's form.
    pub(crate) async fn send(
        &self,
        form: &[(impl AsRef<str>, impl AsRef<str>)],
    ) -> Fallible<Answer> {
        self.send_with(form, &[("origin", "null"), ("sec-fetch-site", "same-origin")]).await
    }

    pub(crate) async fn send_with(
        &self,
        form: &[(impl AsRef<str>, impl AsRef<str>)],
        headers: &[(&str, &str)],
    ) -> Fallible<Answer> {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        self.go("POST", &format!("{SESSION}/approve"), &all, &query(form)).await
    }

    /// As browsers send a form of another page of ours.
    pub(crate) async fn post(
        &self,
        path: &str,
        form: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Fallible<Answer> {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        self.go("POST", path, &all, &query(form)).await
    }

    /// To the provider, and back with what it answers.
    pub(crate) async fn back(&self, provider: &Fake, more: &[(&str, &str)]) -> Fallible<Pairs> {
        let sent = self.get(&begin(more)).await?;
        assert_eq!(sent.status, 303, "{}", sent.body);
        provider.sign_in(sent.header("location"))
    }

    /// The page that asks.
    pub(crate) async fn page(&self, provider: &Fake) -> Fallible<Answer> {
        let back = self.back(provider, &[]).await?;
        self.get(&format!("/oauth/callback?{}", query(&back))).await
    }

    /// Signs in and allows the program; its code.
    pub(crate) async fn code(&self, provider: &Fake) -> Fallible<String> {
        let page = self.page(provider).await?;
        assert_eq!(page.status, 200, "{}", page.body);
        let home = self.send(&form(&page, "allow")?).await?;
        let home = arrived(&home)?;
        assert_eq!(home.get("state").map(String::as_str), Some("program-state"));
        Ok(home.get("code").ok_or("no code")?.clone())
    }
}

/// What the program's listener hears.
pub(crate) fn arrived(answer: &Answer) -> Fallible<BTreeMap<String, String>> {
    assert_eq!(answer.status, 303, "{}", answer.body);
    let url = Url::parse(answer.header("location"))?;
    assert_eq!(url.as_str().split('?').next(), Some(LOOPBACK));
    Ok(form_urlencoded::parse(url.query().unwrap_or_default().as_bytes()).into_owned().collect())
}

/// The fields of the page's form, with a choice.
pub(crate) fn form(page: &Answer, choice: &str) -> Fallible<Pairs> {
    let mut fields = vec![("choice".to_owned(), choice.to_owned())];
    for name in ["session", "form"] {
        let from = page.body.split_once(&format!("name=\"{name}\" value=\""));
        let value = from.and_then(|(_, rest)| rest.split('"').next());
        fields
            .push((name.into(), value.ok_or_else(|| format!("no {name}: {}", page.body))?.into()));
    }
    Ok(fields)
}

/// A sidecar with a provider.
pub(crate) async fn world(provider: &Fake, more: &str, terms: &str) -> Fallible<World> {
    start(&format!("{}{terms}", provider.section("acme", more))).await
}

/// A sidecar with these providers.
pub(crate) async fn start(sections: &str) -> Fallible<World> {
    World::start_in(place(sections)?).await
}

pub(crate) fn place(sections: &str) -> Fallible<Place> {
    let mut place = Place::new()?;
    let file = place.directory.path().join("identity.yaml");
    let head = "schema: tollgate.identity/v1\npublic_url: http://127.0.0.1:8080\nproviders:\n";
    fs::write(&file, format!("{head}{sections}"))?;
    place.identity = Some(file);
    Ok(place)
}

impl World {
    /// Trades a code.
    pub(crate) async fn trade(&self, code: &str) -> Fallible<Answer> {
        let body = json!({ "code": code, "code_verifier": VERIFIER, "redirect_uri": LOOPBACK });
        ask(self.at.public, "POST", SESSION, &[], &body.to_string()).await
    }

    /// A whole sign-in: the session's secret, and the first answer.
    pub(crate) async fn signed_in(&self, provider: &Fake) -> Fallible<(String, Value)> {
        let code = Browser::new(self).code(provider).await?;
        let answer = self.trade(&code).await?;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let told = answer.json()?;
        Ok((told["session"].as_str().ok_or("no session")?.to_owned(), told))
    }

    pub(crate) async fn refresh(&self, secret: &str, body: &str) -> Fallible<Answer> {
        let bearer = format!("Bearer {secret}");
        ask(self.at.public, "POST", SESSION, &[("authorization", &bearer)], body).await
    }
}

/// What the row tells of an answer.
pub(crate) fn row(answer: &Answer) -> Fallible<contract::audit::Acted> {
    Ok(serde_json::from_str(answer.header("x-tollgate-caller"))?)
}

/// Is it this refusal?
pub(crate) fn is(answer: &Answer, status: u16, code: &str) {
    assert_eq!(
        (answer.status, answer.header("x-tollgate-refusal")),
        (status, code),
        "{}",
        answer.body
    );
    assert_eq!(row(answer).unwrap().rule_id.as_deref(), Some(code));
}
