//! One caller of one gateway, for one run.

use super::{Answer, Gateway, Mode};
use crate::context::Deadline;
use crate::failure::Failure;
use crate::line::Line;
use crate::secret::{Kind, Secret};
use contract::headers::{IDENTITY, REFUSAL};
use contract::refusal::ErrorBody;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

/// Below it stands everything about signing in.
const BASE: &str = "/v1/auth/cowork";

/// Longest answer that is read.
const LARGEST: u64 = 256 * 1024;

/// A token, and the session that goes on from here if there is a new one.
#[derive(Debug)]
pub struct Minted {
    /// The token.
    pub answer: Answer,
    /// Replaces the session that is kept.
    pub session: Option<Session>,
}

/// A new session, or the next secret of one.
#[derive(Debug)]
pub struct Session {
    /// Its secret.
    pub secret: Secret,
    /// Seconds until it ends, if the gateway told.
    pub expires_in: Option<u64>,
}

/// What came back of a sign-in in the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The authorization code; good once.
    pub code: String,
    /// The verifier to its challenge (RFC 7636).
    pub verifier: String,
    /// The address it came back to.
    pub redirect_uri: String,
}

#[derive(Deserialize)]
struct Told {
    #[serde(flatten)]
    answer: Answer,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    session_expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct Capabilities {
    modes: Vec<Value>,
}

/// A gateway, the line to it, and how long it all may take.
pub struct Caller<'a> {
    gateway: &'a Gateway,
    agent: Agent,
    deadline: Deadline,
    /// Seconds that tokens are asked to hold.
    ttl: Option<u64>,
}

impl<'a> Caller<'a> {
    /// A caller.
    ///
    /// # Errors
    /// [`Failure`], if the line cannot be set up.
    pub fn new(
        gateway: &'a Gateway,
        line: &Line,
        deadline: Deadline,
        ttl: Option<u64>,
    ) -> Result<Self, Failure> {
        Ok(Self { gateway, agent: line.agent(gateway)?, deadline, ttl })
    }

    /// The ways to sign in that the gateway takes from this cohort, strongest first. `None` from
    /// one that does not tell. Ways that are new to us are passed over.
    ///
    /// # Errors
    /// [`Failure`], if it cannot be reached.
    pub fn capabilities(&self, cohort: Option<&str>) -> Result<Option<Vec<Mode>>, Failure> {
        let mut path = format!("{BASE}/capabilities");
        if let Some(cohort) = cohort {
            path.push_str("?cohort=");
            path.extend(form_urlencoded::byte_serialize(cohort.as_bytes()));
        }
        let (status, _, text) = self.send(Request::get(self.at(&path)), "")?;
        if status != 200 {
            return Ok(None);
        }

        Ok(serde_json::from_str::<Capabilities>(&text).ok().map(|told| {
            told.modes.into_iter().filter_map(|mode| serde_json::from_value(mode).ok()).collect()
        }))
    }

    /// A token for a personal access token, or for a session, which goes on by it.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn mint(&self, secret: &Secret) -> Result<Minted, Failure> {
        let request = Request::post(self.at(&format!("{BASE}/{}", secret.kind().name())))
            .header("authorization", format!("Bearer {}", secret.expose()));

        self.minted(request, &self.asked(Map::new()), secret.kind().words())
    }

    /// A token for operating the gateway, for a session, which goes on by it.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn mint_to_operate(&self, session: &Secret) -> Result<Minted, Failure> {
        let request = Request::post(self.at(&format!("{BASE}/session")))
            .header("authorization", format!("Bearer {}", session.expose()));
        let audience = Map::from_iter([("audience".to_owned(), "operator".into())]);

        self.minted(request, &self.asked(audience), session.kind().words())
    }

    /// A token for the device's certificate.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn mint_by_certificate(&self) -> Result<Minted, Failure> {
        let request = Request::post(self.at(&format!("{BASE}/mtls")));

        self.minted(request, &self.asked(Map::new()), "the device certificate")
    }

    /// A session and its first token, for the code of a sign-in.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn exchange(&self, code: &Code) -> Result<Minted, Failure> {
        let body = json!({
            "code": code.code, "code_verifier": code.verifier, "redirect_uri": code.redirect_uri,
        });
        let members = match body {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        let request = Request::post(self.at(&format!("{BASE}/session")));

        self.minted(request, &self.asked(members), "the sign-in")
    }

    /// Ends a session at the gateway too.
    ///
    /// # Errors
    /// [`Failure`]. A session that it does not know is over already.
    pub fn end(&self, session: &Secret) -> Result<(), Failure> {
        let request = Request::delete(self.at(&format!("{BASE}/session")))
            .header("authorization", format!("Bearer {}", session.expose()));
        let (status, response, _) = self.send(request, "")?;

        match status {
            200..=299 | 401 => Ok(()),
            _ => Err(self.answered(status, &response)),
        }
    }

    /// The raw answer to a plain GET, for the doctor.
    ///
    /// # Errors
    /// The client's own.
    pub fn probe(&self, path: &str) -> Result<Response<Body>, ureq::Error> {
        self.agent
            .get(self.at(path))
            .config()
            .timeout_global(Some(self.deadline.exchange()))
            .build()
            .call()
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.url)
    }

    fn asked(&self, mut members: Map<String, Value>) -> String {
        if let Some(ttl) = self.ttl {
            members.insert("ttl".into(), ttl.into());
        }

        if members.is_empty() { String::new() } else { Value::Object(members).to_string() }
    }

    fn minted(
        &self,
        request: ureq::http::request::Builder,
        body: &str,
        what: &'static str,
    ) -> Result<Minted, Failure> {
        let (status, response, text) = self.send(request, body)?;
        match status {
            200 => self.understood(&text),
            401 | 403 => Err(Failure::Refused {
                what,
                status,
                code: header(&response, REFUSAL),
                message: message(&text),
            }),
            _ => Err(self.answered(status, &response)),
        }
    }

    fn send(
        &self,
        request: ureq::http::request::Builder,
        body: &str,
    ) -> Result<(u16, Response<()>, String), Failure> {
        let unreachable = |source: ureq::Error| Failure::Unreachable {
            gateway: self.gateway.url.clone(),
            source: Box::new(source),
        };
        let request = if body.is_empty() {
            request
        } else {
            request.header("content-type", "application/json")
        };
        let request = request.body(body.to_owned()).map_err(|error| unreachable(error.into()))?;
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(Some(self.deadline.exchange()))
            .build();
        let response = self.agent.run(request).map_err(unreachable)?;
        let (parts, mut body) = response.into_parts();
        let text = body.with_config().limit(LARGEST).read_to_string().map_err(unreachable)?;

        Ok((parts.status.as_u16(), Response::from_parts(parts, ()), text))
    }

    fn answered(&self, status: u16, response: &Response<()>) -> Failure {
        let retry_after = header(response, "retry-after").and_then(|text| text.parse().ok());

        Failure::Answer { gateway: self.gateway.url.clone(), status, retry_after }
    }

    fn understood(&self, text: &str) -> Result<Minted, Failure> {
        let not = |why: &str| Failure::NotUnderstood {
            gateway: self.gateway.url.clone(),
            why: why.into(),
        };
        // The parser's own words may quote the answer, and a token with it.
        let Ok(told) = serde_json::from_str::<Told>(text) else {
            return Err(not("it is not the JSON of a token"));
        };
        if told.answer.token.is_empty() || told.answer.ttl == 0 {
            return Err(not("it holds no token"));
        }
        if let Some(missing) =
            IDENTITY.iter().find(|name| !told.answer.headers.contains_key(**name))
        {
            return Err(not(&format!("the header {missing} is missing")));
        }
        let session = match told.session {
            None => None,
            Some(text) => {
                let secret = Secret::new(Kind::Session, &text)
                    .ok_or_else(|| not("its session looks like none"))?;
                Some(Session { secret, expires_in: told.session_expires_in })
            }
        };

        Ok(Minted { answer: told.answer, session })
    }
}

fn header(response: &Response<()>, name: &str) -> Option<String> {
    let text = response.headers().get(name)?.to_str().ok()?;

    Some(text.chars().take(64).collect()).filter(|text: &String| !text.is_empty())
}

/// The gateway's own sentence, without what could move a terminal's cursor.
fn message(text: &str) -> String {
    let message = match serde_json::from_str::<ErrorBody<'_>>(text) {
        Ok(body) => body.error.message.to_owned(),
        Err(_) => "it does not say why".to_owned(),
    };

    message.chars().filter(|sign| !sign.is_control()).take(300).collect()
}
