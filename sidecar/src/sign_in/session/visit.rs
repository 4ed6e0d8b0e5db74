//! Somebody who comes to a page of ours to decide something: to the provider, back, and on to that page. They get no
//! session and no token; what they have proved stands sealed in a cookie of that page alone, for ten minutes.

use super::browser::{Pairs, Reply, set};
use super::pages::{Page, see_other};
use super::waiting::{PATIENCE, Waits};
use super::{Sessions, TIER, nobody, random};
use crate::clock;
use crate::oidc::provider::{Expected, Provider};
use crate::sign_in::session::faults::Stop;
use crate::sign_in::{Refused, SignIn, Unsigned, reply};
use axum::body::Body;
use axum::http::{HeaderMap, Response};
use contract::audit::{Acted, SignIn as Told};
use serde::{Deserialize, Serialize};
use url::form_urlencoded::Serializer;

/// Somebody at the provider, on their way to a page.
#[derive(Serialize, Deserialize)]
pub struct Visit {
    /// Which provider.
    pub provider: String,
    /// The page: what is decided there.
    pub page: String,
    /// Ours, towards the provider (RFC 7636).
    pub verifier: String,
    /// Ours, towards the provider.
    pub nonce: String,
    /// Unix seconds.
    pub until: u64,
}

/// Somebody at a page.
#[derive(Serialize, Deserialize)]
pub struct Visitor {
    /// The page.
    pub page: String,
    /// Who: as the account never changes.
    pub sub: String,
    /// Who, as rows say it.
    pub user_id: String,
    /// Who vouched.
    pub provider: String,
    /// What the page's form must send.
    pub form: String,
    /// Unix seconds.
    pub until: u64,
}

impl Waits for Visit {
    const NAME: &'static str = "visit";

    fn until(&self) -> u64 {
        self.until
    }
}

impl Waits for Visitor {
    const NAME: &'static str = "visitor";

    fn until(&self) -> u64 {
        self.until
    }
}

/// The address of a page: nothing else is ever led to.
pub fn address(page: &str) -> String {
    format!("/approvals/{page}")
}

impl SignIn {
    /// To the provider, for a page; or the page that asks which.
    pub fn visit(&self, sessions: &Sessions, page: &str, wanted: Option<&str>) -> Response<Body> {
        let Some(provider) = sessions.providers.choose(wanted, None) else {
            let link = |(id, title): (&str, &str)| {
                let query = Serializer::new(String::new()).append_pair("issuer", id).finish();
                (title.to_owned(), format!("{}?{query}", address(page)))
            };
            let links: Vec<(String, String)> = sessions.providers.titles().map(link).collect();
            return Page::choice(&links).answer();
        };
        match to_provider(sessions, provider, page) {
            Ok(sent) => sent,
            Err(unsigned) => super::faults::answer(*self.stop_unsigned(unsigned)),
        }
    }

    /// Back from the provider.
    pub(super) async fn visited(
        &self,
        sessions: &Sessions,
        (state, visit): (&str, Visit),
        told: &Pairs,
    ) -> Response<Body> {
        let mut response = match self.visitor(sessions, &visit, told).await {
            Ok((cookie, acted)) => {
                let mut response = reply::told(see_other(&address(&visit.page)), &acted);
                set(&mut response, &cookie);
                response
            }
            Err(stop) => super::faults::answer(*stop),
        };
        set(&mut response, &sessions.done::<Visit>(state));

        response
    }

    async fn visitor(
        &self,
        sessions: &Sessions,
        visit: &Visit,
        told: &Pairs,
    ) -> Result<(String, Acted), Stop> {
        let Some(provider) = sessions.providers.by_id(&visit.provider) else {
            return Err(self.stop(Refused::SignInElsewhere, nobody()));
        };
        let expected = Expected { verifier: &visit.verifier, nonce: &visit.nonce };
        let vouched = self.answered(provider, expected, told).await?;
        let known = async {
            let user = self.person(provider, &vouched).await?;
            let visitor = Visitor {
                page: visit.page.clone(),
                sub: user.sub.clone(),
                user_id: user.user_id.clone(),
                provider: visit.provider.clone(),
                form: random()?,
                until: clock::now().saturating_add(PATIENCE),
            };
            let cookie = sessions.wait(&visitor.page, &visitor)?;
            Ok::<_, Unsigned>((cookie, user))
        };
        let (cookie, user) = known.await.map_err(|unsigned| self.stop_unsigned(unsigned))?;
        let acted = Acted {
            tenant_id: user.tenant_id,
            user_id: user.user_id,
            department: user.department,
            policy_ver: Some(self.policy.borrow().version.clone()),
            sign_in: Some(Told {
                tier: TIER.into(),
                act: "visits".to_owned(),
                provider: visit.provider.clone(),
                ..Told::default()
            }),
            ..Acted::default()
        };

        Ok((cookie, acted))
    }
}

fn to_provider(sessions: &Sessions, provider: &Provider, page: &str) -> Reply {
    let state = random()?;
    let visit = Visit {
        provider: provider.config().id.clone(),
        page: page.to_owned(),
        verifier: random()?,
        nonce: random()?,
        until: clock::now().saturating_add(PATIENCE),
    };
    let cookie = sessions.wait(&state, &visit)?;
    let expected = Expected { verifier: &visit.verifier, nonce: &visit.nonce };
    let mut response = see_other(provider.authorize_url(&state, expected, None).as_str());
    set(&mut response, &cookie);

    Ok(response)
}

impl Sessions {
    /// Who is at this page in this browser.
    pub fn at_page(&self, page: &str, asked: &HeaderMap) -> Option<Visitor> {
        self.waited::<Visitor>(page, asked).filter(|visitor| visitor.page == page)
    }
}
