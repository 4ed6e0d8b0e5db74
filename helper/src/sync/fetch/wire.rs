//! What the gateway is asked for: the document, archives by their digest; and what it is told.

use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::line::Line;
use contract::envelope::LARGEST;
use contract::headers::REFUSAL;
use contract::manifest::SyncReport;
use std::io::Read;
use std::time::Duration;
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

/// Most for the document or the report.
const EXCHANGE: Duration = Duration::from_secs(30);

/// Most for an archive; it is 200 MiB at the most.
const ARCHIVE: Duration = Duration::from_mins(15);

/// The gateway, as this person.
pub(super) struct Wire<'a> {
    gateway: &'a Gateway,
    agent: Agent,
    token: String,
}

/// What it answered.
pub(super) enum Answer {
    /// The one that is named is the newest.
    Same,
    /// Another.
    Document {
        /// The envelope.
        bytes: Vec<u8>,
        /// Its name at the gateway.
        etag: Option<String>,
    },
}

impl<'a> Wire<'a> {
    pub(super) fn new(gateway: &'a Gateway, line: &Line, token: String) -> Result<Self, Failure> {
        Ok(Self { gateway, agent: line.agent(gateway)?, token })
    }

    pub(super) fn manifest(&self, etag: Option<&str>) -> Result<Answer, Failure> {
        let mut request = Request::get(self.at("/v1/cowork/manifest"));
        if let Some(etag) = etag {
            request = request.header("if-none-match", etag);
        }
        let mut response = self.send(request, Vec::new(), EXCHANGE)?;
        match response.status().as_u16() {
            304 => Ok(Answer::Same),
            200 => {
                let most = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
                let mut bytes = Vec::new();
                let read = response.body_mut().as_reader().take(most).read_to_end(&mut bytes);
                read.map_err(|error| self.unreachable(error.into()))?;
                let etag = header(&response, "etag");
                Ok(Answer::Document { bytes, etag })
            }
            404 => Err(Failure::Sync {
                code: "not_served".into(),
                problem:
                    "the gateway has no plugins for you: no audience fits you, or nothing is published yet"
                        .into(),
            }),
            _ => Err(self.answered(&response)),
        }
    }

    /// An archive from `start` on; says where it really begins.
    pub(super) fn archive(
        &self,
        sha256: &str,
        start: u64,
    ) -> Result<(u64, impl Read + use<>), Failure> {
        let mut request = Request::get(self.at(&format!("/v1/cowork/plugins/{sha256}")));
        if start > 0 {
            request = request.header("range", format!("bytes={start}-"));
        }
        let response = self.send(request, Vec::new(), ARCHIVE)?;
        let from = match response.status().as_u16() {
            200 => 0,
            206 => {
                let range = header(&response, "content-range").unwrap_or_default();
                let from =
                    range.strip_prefix("bytes ").and_then(|it| it.split('-').next()?.parse().ok());
                match from {
                    Some(from) if from == start => from,
                    _ => {
                        return Err(
                            self.not_understood("it is another part than the one asked for")
                        );
                    }
                }
            }
            _ => return Err(self.answered(&response)),
        };

        Ok((from, response.into_body().into_reader()))
    }

    pub(super) fn report(&self, report: &SyncReport) -> Result<(), Failure> {
        let body = serde_json::to_vec(report).unwrap_or_default();
        let request = Request::post(self.at("/v1/cowork/sync-report"))
            .header("content-type", "application/json");
        let response = self.send(request, body, EXCHANGE)?;
        if response.status().is_success() { Ok(()) } else { Err(self.answered(&response)) }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.url)
    }

    fn send(
        &self,
        request: ureq::http::request::Builder,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<Response<Body>, Failure> {
        let request = request
            .header("authorization", format!("Bearer {}", self.token))
            // What is compared is what was signed: nothing on the way packs it.
            .header("accept-encoding", "identity");
        let unreachable = |error: ureq::Error| self.unreachable(error);
        if body.is_empty() {
            let request = request.body(()).map_err(|error| unreachable(error.into()))?;
            let request =
                self.agent.configure_request(request).timeout_global(Some(patience)).build();
            return self.agent.run(request).map_err(unreachable);
        }
        let request = request.body(body).map_err(|error| unreachable(error.into()))?;
        let request = self.agent.configure_request(request).timeout_global(Some(patience)).build();

        self.agent.run(request).map_err(unreachable)
    }

    pub(super) fn unreachable(&self, source: ureq::Error) -> Failure {
        Failure::Unreachable { gateway: self.gateway.url.clone(), source: Box::new(source) }
    }

    fn not_understood(&self, why: &str) -> Failure {
        Failure::NotUnderstood { gateway: self.gateway.url.clone(), why: why.to_owned() }
    }

    /// A redirect is an answer like any other: what is asked for is at this gateway.
    fn answered(&self, response: &Response<Body>) -> Failure {
        let status = response.status().as_u16();
        if matches!(status, 401 | 403) {
            return Failure::Refused {
                what: "the token",
                status,
                code: header(response, REFUSAL),
                message: "it gives no plugins to it; access is revoked or paused, or the token was not taken"
                    .to_owned(),
            };
        }
        let retry_after = header(response, "retry-after").and_then(|text| text.parse().ok());

        Failure::Answer { gateway: self.gateway.url.clone(), status, retry_after }
    }
}

fn header(response: &Response<Body>, name: &str) -> Option<String> {
    let text = response.headers().get(name)?.to_str().ok()?;

    Some(text.chars().take(256).collect()).filter(|text: &String| !text.is_empty())
}
