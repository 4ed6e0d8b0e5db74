//! The way of the person's browser: to the provider, back, the page, and home to the program that opened it.
//!
//! Whatever is wrong before it is known which program began, is told on a page: nobody is sent anywhere.

use super::faults::{Stop, answer, none, unknown_provider};
use super::loopback::Loopback;
use super::pages::{Approval, Page, see_other};
use super::waiting::{self, Begun, PATIENCE, Shown};
use super::{CODE, Sessions, TIER, new_code, new_id, nobody, random};
use crate::clock;
use crate::oidc::Trouble;
use crate::oidc::provider::{Expected, Provider, Told as Vouched};
use crate::pats::hash;
use crate::sign_in::{Refused, SignIn, Unsigned, reply};
use crate::store::User;
use crate::store::sessions::Asked;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response, header};
use contract::audit::{Acted, SignIn as Told};
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::{info, warn};
use url::form_urlencoded;

/// Longest `state` of a program.
const LONGEST_STATE: usize = 512;

pub(super) type Pairs = BTreeMap<String, String>;

/// An answer for the browser, or why there is none.
pub(super) type Reply = Result<Response<Body>, Unsigned>;

/// `GET …/session/authorize`: to the provider.
pub async fn authorize(State(sign_in): State<SignIn>, RawQuery(query): RawQuery) -> Response<Body> {
    let Some(sessions) = &sign_in.sessions else { return none() };
    let asked = query.as_deref().and_then(pairs).unwrap_or_default();
    let Some((program, state, challenge)) = begun(&asked) else {
        return sign_in.stopped(Refused::SignInMalformed);
    };
    let hint = asked.get("login_hint").map(String::as_str);
    let wanted = asked.get("issuer").map(String::as_str);
    let Some(provider) = sessions.providers.choose(wanted, hint) else {
        return if wanted.is_some() {
            unknown_provider().answer()
        } else {
            Page::choice(&choices(sessions, &asked)).answer()
        };
    };
    match to_provider(sessions, provider, (&program, state, challenge), hint) {
        Ok(sent) => sent,
        Err(unsigned) => answer(*sign_in.stop_unsigned(unsigned)),
    }
}

fn begun(asked: &Pairs) -> Option<(Loopback, &str, &str)> {
    let program = Loopback::parse(asked.get("redirect_uri")?)?;
    let (state, challenge) = (asked.get("state")?, asked.get("code_challenge")?);
    let is_state = (1..=LONGEST_STATE).contains(&state.len())
        && state.bytes().all(|byte| byte.is_ascii_graphic());
    // The SHA-256 of a verifier, base64url: RFC 7636 §4.2.
    let is_challenge = challenge.len() == 43
        && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let is_s256 = asked.get("code_challenge_method").is_some_and(|way| way == "S256");

    (is_state && is_challenge && is_s256).then_some((program, state, challenge))
}

fn to_provider(
    sessions: &Sessions,
    provider: &Provider,
    (program, own_state, challenge): (&Loopback, &str, &str),
    hint: Option<&str>,
) -> Reply {
    let state = random()?;
    let begun = Begun {
        provider: provider.config().id.clone(),
        redirect_uri: program.as_str().to_owned(),
        state: own_state.to_owned(),
        challenge: challenge.to_owned(),
        verifier: random()?,
        nonce: random()?,
        until: clock::now().saturating_add(PATIENCE),
    };
    let cookie = sessions.wait(&state, &begun)?;
    let expected = Expected { verifier: &begun.verifier, nonce: &begun.nonce };
    let mut response = see_other(provider.authorize_url(&state, expected, hint).as_str());
    set(&mut response, &cookie);
    let told = Told { tier: TIER.into(), provider: begun.provider, ..Told::default() };

    Ok(reply::told(response, &Acted { sign_in: Some(told), ..Acted::default() }))
}

fn choices(sessions: &Sessions, asked: &Pairs) -> Vec<(String, String)> {
    let link = |(id, title): (&str, &str)| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(asked).append_pair("issuer", id);
        (title.to_owned(), format!("/v1/auth/cowork/session/authorize?{}", query.finish()))
    };

    sessions.providers.titles().map(link).collect()
}

/// `GET /oauth/callback`: back from the provider.
pub async fn callback(
    State(sign_in): State<SignIn>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Response<Body> {
    let Some(sessions) = &sign_in.sessions else { return none() };
    let Some(told) = query.as_deref().and_then(pairs) else {
        return sign_in.stopped(Refused::SignInMalformed);
    };
    let visited =
        told.get("state").and_then(|state| Some((&**state, sessions.waited(state, &asked)?)));
    if let Some(visited) = visited {
        return sign_in.visited(sessions, visited, &told).await;
    }
    let waited = told.get("state").and_then(|state| Some((state, sessions.waited(state, &asked)?)));
    let Some((state, begun)) = waited else { return sign_in.stopped(Refused::SignInElsewhere) };
    let mut response = match sign_in.vouched(sessions, &begun, &told).await {
        Ok((page, cookie, acted)) => {
            let mut response = reply::told(page.answer(), &acted);
            set(&mut response, &cookie);
            response
        }
        Err(stop) => answer(*stop),
    };
    set(&mut response, &sessions.done::<Begun>(state));

    response
}

/// `POST …/session/approve`: the person has decided.
pub async fn approve(
    State(sign_in): State<SignIn>,
    asked: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(sessions) = &sign_in.sessions else { return none() };
    let form = std::str::from_utf8(&body).ok().and_then(pairs).unwrap_or_default();
    let field = |name: &str| form.get(name).map(String::as_str);
    let (Some(id), Some(token), Some(choice), true) =
        (field("session"), field("form"), field("choice"), is_from_here(sessions, &asked))
    else {
        return sign_in.stopped(Refused::SignInMalformed);
    };
    let shown = sessions.waited::<Shown>(id, &asked);
    let shown = shown.filter(|shown| shown.session == id && hash(&shown.form) == hash(token));
    let Some(shown) = shown else { return sign_in.stopped(Refused::SignInElsewhere) };
    let mut response = match sign_in.decided(&shown, choice == "allow").await {
        Ok(response) => response,
        Err(unsigned) => answer(*sign_in.stop_unsigned(unsigned)),
    };
    set(&mut response, &sessions.done::<Shown>(id));

    response
}

/// A form of another site's is not the person's decision. Pages that tell nobody where they are have browsers send
/// `Origin: null` (Fetch §3.1); then `Sec-Fetch-Site` says it.
pub(crate) fn is_from_here(sessions: &Sessions, asked: &HeaderMap) -> bool {
    let value = |name: &str| asked.get(name).and_then(|value| value.to_str().ok());
    let site = value("sec-fetch-site");
    let own = sessions.public.origin().ascii_serialization();
    let origin_is_ours = match value("origin") {
        None => true,
        Some("null") => site == Some("same-origin"),
        Some(origin) => origin == own,
    };

    origin_is_ours && site.is_none_or(|site| site == "same-origin")
}

impl SignIn {
    /// The provider's answer: who it vouches for, and the page that asks them.
    async fn vouched(
        &self,
        sessions: &Sessions,
        begun: &Begun,
        told: &Pairs,
    ) -> Result<(Page, String, Acted), Stop> {
        let here = sessions.providers.by_id(&begun.provider);
        let here = here.and_then(|one| Some((one, Loopback::parse(&begun.redirect_uri)?)));
        // Only if the settings have changed meanwhile.
        let Some((provider, program)) = here else {
            return Err(self.stop(Refused::SignInElsewhere, nobody()));
        };
        let expected = Expected { verifier: &begun.verifier, nonce: &begun.nonce };
        let vouched = self.answered(provider, expected, told).await?;
        let asked = async {
            let user = self.person(provider, &vouched).await?;
            let (shown, acted) = self.ask(sessions, provider, &vouched, (&user, begun)).await?;
            let cookie = sessions.wait(&shown.session, &shown)?;
            Ok((user, shown, cookie, acted))
        };
        let asked = asked.await.map_err(|unsigned| self.stop_unsigned(unsigned));
        let (user, shown, cookie, acted) = asked?;
        let page = Page::approval(Approval {
            user_id: &user.user_id,
            provider: provider.config().title.as_deref().unwrap_or(&provider.config().id),
            program: &program,
            session: &shown.session,
            form: &shown.form,
        });

        Ok((page, cookie, acted))
    }

    /// What a provider's answer says, once it is known to be the answer to this.
    pub(super) async fn answered(
        &self,
        provider: &Arc<Provider>,
        expected: Expected<'_>,
        told: &Pairs,
    ) -> Result<Vouched, Stop> {
        let id = &provider.config().id;
        let stop = |why| {
            let told = Told { tier: TIER.into(), provider: id.clone(), ..Told::default() };
            self.stop(why, Acted { sign_in: Some(told), ..Acted::default() })
        };
        // Mix-up: another provider's answer to a question of this one's (RFC 9207).
        if !provider.is_sender(told.get("iss").map(String::as_str)) {
            warn!(provider.id = id, "An answer is not the provider's that was asked");
            return Err(stop(Refused::SignInUnsound));
        }
        let Some(code) = told.get("code").filter(|_| !told.contains_key("error")) else {
            let (error, about) = (said(told, "error"), said(told, "error_description"));
            warn!(provider.id = id, error, about, "A provider refused a sign-in");
            return Err(stop(Refused::ProviderDenied));
        };
        provider.redeem(code, expected).await.map_err(|trouble| {
            warn!(provider.id = id, error = %trouble, "A sign-in failed at the provider");
            match trouble {
                Trouble::Refused(_) | Trouble::Unsound(_) => stop(Refused::SignInUnsound),
                Trouble::Away(_) => stop(Refused::ProviderAway),
            }
        })
    }

    /// Notes the session that they are asked about.
    async fn ask(
        &self,
        sessions: &Sessions,
        provider: &Provider,
        vouched: &Vouched,
        (user, begun): (&User, &Begun),
    ) -> Result<(Shown, Acted), Unsigned> {
        let id = new_id()?;
        let now = clock::now();
        let until = now.saturating_add(PATIENCE);
        let grant = sessions.seal_grant(&id, vouched.refresh_token.as_deref())?;
        self.store
            .ask_session(&Asked {
                id: &id,
                sub: &user.sub,
                provider: &provider.config().id,
                subject: &vouched.subject,
                redirect_uri: &begun.redirect_uri,
                challenge: &begun.challenge,
                grant: grant.as_deref(),
                now,
                expires_at: until.saturating_add(CODE),
            })
            .await?;
        let acted = self.about(user, &id, &provider.config().id, "begun");
        info!(user.id = user.user_id, session.id = id, "Asks whether a program may sign in");
        let (form, state) = (random()?, begun.state.clone());

        Ok((
            Shown { session: id, form, redirect_uri: begun.redirect_uri.clone(), state, until },
            acted,
        ))
    }

    async fn decided(&self, shown: &Shown, is_allowed: bool) -> Result<Response<Body>, Unsigned> {
        let now = clock::now();
        let program = Loopback::parse(&shown.redirect_uri);
        let session = self.store.session(&shown.session).await?;
        let Some((program, (session, user))) = program.zip(session) else {
            return Ok(self.stopped(Refused::SignInElsewhere));
        };
        let acted = |act| self.about(&user, &session.id, &session.provider, act);
        let issuer = ("iss", &*self.settings.issuer);
        let state = ("state", &*shown.state);
        if !is_allowed {
            self.store.end_session(&session.id, "cancelled", now, None).await?;
            let address = program.with(&[("error", "access_denied"), state, issuer]);
            return Ok(reply::told(see_other(&address), &acted("ended")));
        }
        let code = new_code(&session.id)?;
        let until = now.saturating_add(CODE);
        if !self.store.approve_session(&session.id, &hash(&code), now, until).await? {
            return Ok(self.stopped(Refused::SignInElsewhere));
        }
        let address = program.with(&[("code", &code), state, issuer]);

        Ok(reply::told(see_other(&address), &acted("approved")))
    }

    /// The row of a step of somebody's sign-in.
    fn about(&self, user: &User, session: &str, provider: &str, act: &str) -> Acted {
        Acted {
            tenant_id: user.tenant_id.clone(),
            user_id: user.user_id.clone(),
            session_id: Some(session.to_owned()),
            credential_id: Some(session.to_owned()),
            department: user.department.clone(),
            policy_ver: Some(self.policy.borrow().version.clone()),
            sign_in: Some(Told {
                tier: TIER.into(),
                act: act.to_owned(),
                provider: provider.to_owned(),
                ..Told::default()
            }),
            ..Acted::default()
        }
    }
}

/// The pairs of a query or form; none if one stands there twice: the two could be read differently.
pub(crate) fn pairs(text: &str) -> Option<Pairs> {
    let mut pairs = Pairs::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        if pairs.insert(name.into_owned(), value.into_owned()).is_some() {
            return None;
        }
    }

    Some(pairs)
}

pub(crate) fn set(response: &mut Response<Body>, cookie: &str) {
    if let Some(value) = waiting::header(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// What a provider says of an error (RFC 6749 §4.1.2.1), as far as it fits a log.
fn said(told: &Pairs, name: &str) -> String {
    let fits = |sign: &char| sign.is_ascii_graphic() || *sign == ' ';

    told.get(name).map(|text| text.chars().filter(fits).take(200).collect()).unwrap_or_default()
}
