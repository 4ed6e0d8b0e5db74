//! The answer's side of an exchange: our own replies, and what comes back from upstream.

use super::{Exchange, Passage, Progress, Verdict};
use crate::flood::Reason;
use crate::host::{Body, Host, HostError, Map};
use crate::refusal::Refusal;
use crate::stages::authorise;
use crate::stages::capabilities;
use crate::stages::decode::Surface;
use crate::stages::meter::Meter;
use crate::stages::models;
use contract::audit::{Acted, REPLY_MARK};
use contract::headers;
use contract::refusal::ErrorBody;
use std::borrow::Cow;

/// What is known of the answer.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that may have happened to it")]
pub struct Answer {
    /// `:status`.
    pub(crate) status: Option<u16>,
    /// The provider's own id of the request.
    pub(super) provider_request_id: Option<String>,
    /// Reads the usage.
    pub(super) meter: Option<Meter>,
    /// Unix nanoseconds of the first byte of its body.
    pub(super) first: Option<u64>,
    /// Was its end seen?
    pub(crate) ended: bool,
    /// Who acted, where the sidecar answered.
    pub(super) acted: Option<Acted>,
    /// A host call failed on its way; it passed unmetered.
    pub(super) unmetered: bool,
    /// Its trailers could not be taken away.
    pub(super) trailers_passed: bool,
    /// What the client gets instead of its body.
    pub(super) instead: Option<Vec<u8>>,
    /// Bytes of its body that are held until it is whole.
    pub(super) kept: usize,
    /// Is each piece held for a moment, so that something can be said behind it?
    pub(super) in_pieces: bool,
}

/// What only the sidecar says to clients: the pages of signing in need it.
const SIDECAR_SAYS: [&str; 3] = ["location", "set-cookie", headers::REFUSAL];

/// Takes all trailers away.
pub(super) fn drop_trailers(host: &impl Host, map: Map) -> Result<(), HostError> {
    let trailers = host.headers(map)?;
    let mut names = trailers.iter().filter_map(|(name, _)| str::from_utf8(name).ok());

    names.try_for_each(|name| host.remove_header(map, name))
}

impl Exchange {
    /// The answer's headers are here; `last` says that nothing follows them.
    pub fn response_headers(&mut self, host: &impl Host, last: bool) -> Passage {
        self.answer.ended = last;
        if !matches!(self.progress, Progress::Forwarded(_) | Progress::New) {
            return Passage::Pass; // our own reply comes by here as well
        }
        let received = match self.mcp {
            Some(_) => self.receive_mcp(host),
            None => self.receive(host).map_err(Refusal::from),
        };
        match received {
            Ok(()) => Passage::Pass,
            Err(refusal) => {
                // What may not reach the client could not be taken away, or none of it may.
                self.refuse(host, refusal);
                Passage::Replaced
            }
        }
    }

    /// Some of the answer's body is here.
    pub fn response_body(&mut self, host: &impl Host, size: usize, last: bool) -> Passage {
        self.answer.ended = last;
        if self.mcp.is_some() && matches!(self.progress, Progress::Forwarded(_)) {
            return self.relays(host, size, last);
        }
        if self.answer.instead.is_some() {
            return self.says_instead(host, size, last);
        }
        if self.answer.in_pieces {
            return self.piece(host, size, last);
        }
        if self.answer.meter.is_some() && size > 0 {
            self.meter(host.body(Body::Response, size), host, 0);
        }

        Passage::Pass
    }

    /// Meters what is new of a chunk: what stands behind `known`.
    pub(super) fn meter(
        &mut self,
        chunk: Result<Vec<u8>, HostError>,
        host: &impl Host,
        known: usize,
    ) {
        if self.answer.first.is_none() {
            self.answer.first = host.now().ok();
        }
        match (chunk, &mut self.answer.meter) {
            (Ok(chunk), Some(meter)) => meter.eat(chunk.get(known..).unwrap_or_default()),
            (Err(error), _) => {
                log::error!("{error}: an answer passes unmetered");
                self.answer.unmetered = true;
            }
            (Ok(_), None) => {}
        }
    }

    /// The answer's trailers are here: its body is whole. The Messages API has none, so none passes;
    /// if they cannot be taken away it is too late to refuse, and the row says so.
    pub fn response_trailers(&mut self, host: &impl Host) {
        self.answer.ended = true;
        self.relay_ends(host);
        self.ends_with_trailers(host);
        if let Err(error) = drop_trailers(host, Map::ResponseTrailers) {
            log::error!("{error}: an answer's trailers passed");
            self.answer.trailers_passed = true;
        }
    }

    fn receive(&mut self, host: &impl Host) -> Result<(), HostError> {
        let list = host.headers(Map::Response)?;
        self.answer.status = list.text(":status").and_then(|status| status.parse().ok());
        self.answer.provider_request_id =
            list.text(headers::REQUEST_ID).filter(|id| id.len() <= 256).map(str::to_owned);
        let from_sidecar = self.head.surface.is_some_and(Surface::is_sidecar);
        if from_sidecar {
            self.acted(host, list.get(headers::CALLER))?;
        } else if self.head.surface == Some(Surface::Manifest) {
            // Laptops ask every quarter of an hour: what they get leaves no row here, nor that there is nothing for them, or
            // that they report too often.
            let nothing = match self.answer.status {
                Some(404) => !self.head.target.contains("/plugins/"),
                Some(429) => true,
                status => status.is_some_and(|status| status < 400),
            };
            if nothing {
                self.no_row(host)?;
            }
        } else if self.call.is_some() {
            let kind = list.get("content-type").unwrap_or_default();
            let mut meter = Meter::new(kind, list.get("content-encoding"));
            if self.asked.content.is_some() {
                meter = meter.keeping(self.asked.left);
            }
            self.answer.meter = Some(meter);
        }
        for (name, _) in list.iter() {
            match str::from_utf8(name) {
                Ok(name) if from_sidecar && SIDECAR_SAYS.contains(&name) => {}
                Ok(name) if self.gate.boundary.withheld(name) => {
                    host.remove_header(Map::Response, name)?;
                }
                Ok(_) | Err(_) => {}
            }
        }
        if !self.head.request_id.is_empty() {
            host.set_header(Map::Response, headers::X_REQUEST_ID, &self.head.request_id)?;
        }
        if let Some(trace) = self.trace_id() {
            host.set_header(Map::Response, headers::TRACE_ID, &trace)?;
        }

        self.lanes_have_spoken(host)
    }

    /// Who acted on one of the sidecar's surfaces, as it says.
    fn acted(&mut self, host: &impl Host, told: Option<&[u8]>) -> Result<(), HostError> {
        self.answer.acted = told.and_then(|told| serde_json::from_slice(told).ok());
        if self.head.surface == Some(Surface::Sidecar) && self.answer.acted.is_none() {
            return self.no_row(host);
        }
        let status = self.answer.status.unwrap_or_default();
        let code = match status {
            429 => "too_many_attempts",
            400..=499 => "sign_in_refused",
            500.. => "auth_unavailable",
            _ => "sign_in_begun",
        };

        self.count_if_unknown(host, Reason { code, status, sign_in: true })
    }

    /// Anybody can come by a sign-in as often as they like: of those whom nobody knows, a few a second have rows
    /// of their own, and the others are counted.
    pub(super) fn count_if_unknown(
        &mut self,
        host: &impl Host,
        reason: Reason,
    ) -> Result<(), HostError> {
        let unknown = self.answer.acted.as_ref().is_none_or(|acted| acted.user_id.is_empty());
        if self.row && unknown && !self.admitted(host, reason) {
            self.no_row(host)?;
        }

        Ok(())
    }

    /// What the gate answers from its own knowledge, so that a load balancer does not take it out
    /// because its sidecar is restarting.
    pub(super) fn answer_here(
        &mut self,
        host: &impl Host,
        surface: Surface,
    ) -> Result<Verdict, Refusal> {
        self.gate.refresh(host)?;
        let snapshot = self.gate.snapshot();
        let ready = snapshot.is_some();
        let modes;
        let (status, body) = match surface {
            Surface::Capabilities => {
                let snapshot = snapshot.ok_or(Refusal::NotReady)?;
                modes = capabilities::modes(&snapshot, &self.head.query);
                (200, &*modes)
            }
            Surface::Readyz if !ready => (503, r#"{"status":"starting"}"#),
            Surface::Readyz => (200, r#"{"status":"ready"}"#),
            Surface::Hello => (200, ""),
            _ => (200, r#"{"status":"ok"}"#),
        };
        self.progress = Progress::Answered;
        let fields = [("content-type", "application/json"), ("cache-control", "no-store")];
        host.set_state(REPLY_MARK, b"1")?;
        host.reply(status, &fields, body.as_bytes())?;

        Ok(Verdict::Hold)
    }

    /// The models that this caller may use.
    pub(super) fn list_models(&mut self, host: &impl Host) -> Result<Verdict, Refusal> {
        let (Some(bundle), Some(caller)) = (&self.bundle, &self.caller) else {
            return Err(Refusal::GateFailed);
        };
        let subject = authorise::subject(&self.head, caller);
        let body = models::page(&bundle.policy.offers(&subject), &self.head.query);
        self.progress = Progress::Answered;
        let fields = [("content-type", "application/json"), ("cache-control", "private, no-store")];
        host.set_state(REPLY_MARK, b"1")?;
        host.reply(200, &fields, body.as_bytes())?;

        Ok(Verdict::Hold)
    }

    /// What the person is told: the refusal's sentence, the rule that says it, and what its author
    /// has to add.
    pub(super) fn sentence(&self, refusal: Refusal) -> Cow<'static, str> {
        let Some(rule) = self.rule_id.as_deref().filter(|_| refusal.is_by_rule()) else {
            return Cow::Borrowed(refusal.message());
        };
        let say = self.say.as_deref().map(|say| format!(" {say}")).unwrap_or_default();

        Cow::Owned(format!("{} (rule {rule}){say}", refusal.message()))
    }

    /// Sends a refusal in the Messages API's shape.
    pub(super) fn reply_refusal(
        &self,
        host: &impl Host,
        refusal: Refusal,
    ) -> Result<(), HostError> {
        if self.is_mcp() {
            return self.reply_mcp_refusal(host, refusal);
        }
        let id = self.head.request_id.as_str();
        let trace = self.trace_id().unwrap_or_default();
        let told = self.told(host, refusal);
        let body =
            ErrorBody::new(refusal.kind(), &told.message, Some(id).filter(|id| !id.is_empty()));
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut fields =
            vec![("content-type", "application/json"), (headers::REFUSAL, refusal.code())];
        for (name, value) in
            [(headers::REQUEST_ID, id), (headers::X_REQUEST_ID, id), (headers::TRACE_ID, &trace)]
        {
            if !value.is_empty() {
                fields.push((name, value));
            }
        }
        let after = told.retry_after.map(|seconds| seconds.to_string());
        if let Some(after) = &after {
            fields.push(("retry-after", after));
        }
        if refusal.status() == 401 {
            fields.push(("www-authenticate", "Bearer"));
        }
        // Without the mark Envoy would wrap this reply into one of its own; the client still gets
        // an error of the right shape, so a mark that cannot be set is no reason not to reply.
        let marked = host.set_state(REPLY_MARK, b"1");
        host.reply(refusal.status(), &fields, &body)?;

        marked
    }
}
