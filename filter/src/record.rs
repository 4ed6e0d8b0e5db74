//! What the record of an exchange is made of, beside what the exchange itself knows.

mod mcp;

pub use mcp::{mcp, told};

use crate::exchange::Answer;
use crate::host::Host;
use crate::stages::authenticate::Caller;
use crate::stages::authorise::Noted;
use crate::stages::meter::{Meter, Reading};
use crate::stages::said::{Answered, Asked};
use contract::audit::{self, Acted, Content, ContentMode, Event, FineUsage, Kind, Payload};
use contract::policy::Policy;
use contract::price::RateCard;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Flag: the exchange was not finished when this was written.
pub const PROVISIONAL: &str = "provisional";

/// Flag: the client left before the end.
pub const CLIENT_GONE: &str = "client_gone";

/// Flag: more was found than the row tells.
const FINDINGS_CUT: &str = "findings_cut";

/// Flag: the usage is known, and there is no price for it.
pub const PRICE_UNKNOWN: &str = "price_unknown";

/// Flag: the record was too large; first what was said is left out, then the ids of tools, then the
/// whole payload.
const CUT: &str = "record_cut";

/// The code of a call that was refused because its route led out of its zone. Envoy says no, not the gate:
/// `envoy.yaml` has the same word.
pub const OUTSIDE_ZONE: &str = "outside_zone";

/// How Envoy says so: the name stands in the configuration of its filter `residency`.
const KEPT_IN_ZONE: &str = "rbac_access_denied_matched_policy[residency]";

/// Flag: of the ids of tools some are left out.
const TOOLS_CUT: &str = "tool_uses_cut";

/// Flag: the last message of the request could not be read.
const UNREADABLE: &str = "content_unreadable";

/// Envoy's response flags (`CoreResponseFlag` of its `stream_info.h`).
const CLIENT_LEFT: u64 = 1 << 14; // DC, downstream connection termination

/// How Envoy says that an exchange ended.
#[derive(Debug, Default)]
pub struct Ending {
    /// The status that the client was sent.
    pub status: Option<u16>,
    /// Did upstream answer, rather than Envoy or the gate?
    pub from_upstream: bool,
    /// Did the client leave?
    pub client_gone: bool,
    /// Who served.
    pub provider: Option<Rc<Provider>>,
    flags: u64,
    details: String,
}

/// Who serves behind a cluster, as its metadata says (`filter_metadata.tollgate`).
#[derive(Debug)]
pub struct Provider {
    /// Its name; the cluster's where there is none.
    pub name: String,
    /// Where it serves.
    pub region: Option<String>,
}

/// The clusters whose metadata was read. Forgotten each tick, because operators change it.
pub type Providers = RefCell<HashMap<String, Rc<Provider>>>;

impl Ending {
    /// Asks Envoy, and no more than is needed: each attribute costs 2 µs. What it does not say stays
    /// unknown: at the end nothing can be refused any more. A lane's address has no port to be asked for.
    pub fn read(host: &impl Host, providers: &Providers, answer: &Answer, by_lane: bool) -> Self {
        let details = text(host, &["response", "code_details"]).unwrap_or_default();
        let answered = details == "via_upstream";
        // Where upstream answered to the end, there is no more to be asked.
        let flags = if answered && answer.ended {
            0
        } else {
            number(host, &["response", "flags"]).unwrap_or_default()
        };
        let from_upstream = answered || by_lane || number(host, &["upstream", "port"]).is_some();
        let status = answer.status.filter(|_| answered).or_else(|| {
            number(host, &["response", "code"]).and_then(|code| u16::try_from(code).ok())
        });
        let left = flags & CLIENT_LEFT != 0 && !details.starts_with("downstream_local");
        let reset = ["downstream_remote", "http2.remote"];

        Self {
            status: status.or(answer.status),
            from_upstream,
            // Envoy says the same flag of a connection that it closes itself, when it stops.
            client_gone: left || reset.iter().any(|by| details.starts_with(by)),
            provider: from_upstream.then(|| provider(host, providers)).flatten(),
            flags,
            details,
        }
    }

    /// Did it end in order, both ways?
    pub fn clean(&self) -> bool {
        self.flags == 0 && (self.details.is_empty() || self.details == "via_upstream")
    }

    /// Did Envoy refuse it because its route led out of its zone?
    pub fn kept_in_zone(&self) -> bool {
        self.details == KEPT_IN_ZONE
    }

    /// Is it sure that the provider bills nothing? An error is not billed, nor what never reached
    /// it. What was sent and never answered may be.
    pub fn costs_nothing(&self, status: u16) -> bool {
        let reached = self.from_upstream && !self.details.contains("connection_failure");

        !reached || (self.details == "via_upstream" && status >= 400)
    }

    /// What stands for a rule where Envoy itself refused.
    pub fn rule_id(&self) -> Cow<'static, str> {
        let sign = |sign: char| !(sign.is_ascii_alphanumeric() || "_.-".contains(sign));
        let reason = self.details.split(sign).next().filter(|reason| !reason.is_empty());

        Cow::Owned(format!("envoy:{}", reason.unwrap_or("unknown")))
    }

    /// In Envoy's words.
    pub fn words(&self) -> Option<Cow<'_, str>> {
        (!self.details.is_empty()).then_some(Cow::Borrowed(self.details.as_str()))
    }
}

fn provider(host: &impl Host, providers: &Providers) -> Option<Rc<Provider>> {
    let cluster = text(host, &["xds", "cluster_name"])?;
    if let Some(known) = providers.borrow().get(&cluster) {
        return Some(Rc::clone(known));
    }
    let label =
        |name| text(host, &["xds", "cluster_metadata", "filter_metadata", "tollgate", name]);
    let name = label("provider").unwrap_or_else(|| cluster.clone());
    let found = Rc::new(Provider { name, region: label("region") });
    providers.borrow_mut().insert(cluster, Rc::clone(&found));

    Some(found)
}

fn number(host: &impl Host, path: &[&str]) -> Option<u64> {
    Some(u64::from_le_bytes(host.property(path).ok()??.try_into().ok()?))
}

fn text(host: &impl Host, path: &[&str]) -> Option<String> {
    let text = String::from_utf8(host.property(path).ok()??).ok()?;

    Some(text).filter(|text| !text.is_empty())
}

/// Names the caller in a row.
pub fn name<'a>(event: &mut Event<'a>, caller: &'a Caller) {
    let claims = &caller.claims;
    event.tenant_id = Cow::Borrowed(&claims.tenant_id);
    event.user_id = Cow::Borrowed(&caller.user_id);
    if event.session_id.is_some() {
        event.payload.token_session_id = Some(Cow::Borrowed(&claims.sid));
    } else {
        event.session_id = Some(Cow::Borrowed(&claims.sid));
    }
    event.client_id = Some(Cow::Borrowed(&claims.client_id));
    event.policy_ver = Some(Cow::Borrowed(&claims.policy_version));
    event.credential_id = Some(Cow::Borrowed(&claims.credential_id));
    event.department = claims.department.as_deref().map(Cow::Borrowed);
    event.payload.department = claims.department.as_deref().map(Cow::Borrowed);
    event.payload.cost_centre = claims.cost_centre.as_deref().map(Cow::Borrowed);
    event.payload.iss = Some(Cow::Borrowed(&caller.issuer));
    event.payload.sub = Some(Cow::Borrowed(&caller.subject));
    event.payload.cert_sha256 = claims.cnf.as_ref().map(|cnf| Cow::Borrowed(&*cnf.x5t_s256));
}

/// Names whom the sidecar says acted.
pub fn acted(event: &mut Event<'_>, acted: Acted) {
    let own = |value: Option<String>| value.map(Cow::Owned);
    event.tenant_id = Cow::Owned(acted.tenant_id);
    event.user_id = Cow::Owned(acted.user_id);
    event.session_id = own(acted.session_id);
    event.client_id = own(acted.client_id);
    event.payload.department = own(acted.department.clone());
    event.department = own(acted.department);
    event.policy_ver = own(acted.policy_ver);
    event.credential_id = own(acted.credential_id);
    event.rule_id = own(acted.rule_id);
    event.payload.cert_sha256 = own(acted.cert_sha256);
    event.payload.sign_in = acted.sign_in;
}

/// Enters what the request says.
pub fn asked(event: &mut Event<'_>, asked: Asked) {
    event.payload.answers = asked.answers.into_iter().map(Cow::Owned).collect();
    event.payload.content = asked.content.or_else(|| event.payload.content.take());
    for (raised, flag) in [(asked.answers_cut, TOOLS_CUT), (asked.unreadable, UNREADABLE)] {
        if raised {
            event.payload.flags.push(flag.into());
        }
    }
}

/// Enters what the policy found.
pub fn noted<'a>(event: &mut Event<'a>, noted: &'a Noted) {
    let Noted { findings, labels, passed, cut } = noted;
    if *cut {
        event.payload.flags.push(FINDINGS_CUT.into());
    }
    let borrowed = |words: &'a [String]| words.iter().map(|word| Cow::Borrowed(&**word)).collect();
    event.payload.findings.clone_from(findings);
    event.payload.labels = borrowed(labels);
    event.payload.passed = borrowed(passed);
}

/// Masks in what is kept whatever the policy looks for, unless it has everything kept as it was said.
pub fn mask(event: &mut Event<'_>, policy: &Policy) {
    if !policy.looks_for_something() {
        return;
    }
    let mut masked = false;
    // Where a model is named, anything may have been pasted.
    let Payload { requested_model, tool, mcp, .. } = &mut event.payload;
    let about = mcp.as_mut().and_then(|call| call.name.as_mut());
    for name in
        [event.model.as_mut(), requested_model.as_mut(), tool.as_mut(), about].into_iter().flatten()
    {
        if let Cow::Owned(clean) = policy.mask(name) {
            *name = Cow::Owned(clean);
            masked = true;
        }
    }
    let kept = event.payload.content.as_mut().filter(|kept| kept.mode != ContentMode::Full);
    for text in kept.into_iter().flat_map(Content::texts_mut) {
        masked |= text.mask(|text| policy.mask(text));
    }
    if masked {
        event.payload.flags.push(audit::MASKED.into());
    }
}

/// Enters what the answer says.
fn answered(event: &mut Event<'_>, said: Answered) {
    event.payload.tool_uses = said.tool_uses;
    if said.tool_uses_cut && !event.payload.flags.iter().any(|flag| flag == TOOLS_CUT) {
        event.payload.flags.push(TOOLS_CUT.into());
    }
    if let Some(content) = &mut event.payload.content {
        content.output = said.output;
        content.parts_omitted = content.parts_omitted.saturating_add(said.parts_omitted);
    }
}

/// Enters what was metered, and its price. `served` is the model by the name that a lane's provider has for it: the
/// answer itself then has the client's. Was the answer whole?
pub fn usage(
    event: &mut Event<'_>,
    rates: &RateCard,
    meter: Meter,
    transported: bool,
    served: Option<String>,
) -> bool {
    let Reading { mut usage, whole, complete, flags, said } = meter.finish(transported);
    answered(event, said);
    usage.model = served.filter(|served| !served.is_empty()).or(usage.model);
    // The provider's word for what it served; the request's own word stands in the payload.
    if let Some(Ok(served)) = usage.model.as_deref().map(contract::model::normalise) {
        event.model = Some(Cow::Owned(served.into_owned()));
    }
    let free = event.kind == Kind::Count; // counting tokens costs nothing
    let provider = event.provider.as_deref().unwrap_or_default();
    let model = event.model.as_deref().unwrap_or_default();
    event.cost_micro = if free { Some(0) } else { usage.cost_micro(rates, provider, model) };
    if !usage.is_known() {
        event.cost_micro = None; // no usage, no price
    } else if event.cost_micro.is_none() {
        event.payload.flags.push(PRICE_UNKNOWN.into());
    }
    event.tokens_in = usage.input;
    event.tokens_out = usage.output;
    event.tokens_cache_write = usage.cache_write;
    event.tokens_cache_read = usage.cache_read;
    event.complete = complete;
    event.payload.stop_reason = usage.stop_reason.map(Cow::Owned);
    event.payload.usage = Some(usage.fine).filter(|fine| *fine != FineUsage::default());
    event.payload.flags.extend(flags.into_iter().map(Cow::Borrowed));

    whole
}

/// Nanoseconds as milliseconds with three decimals.
pub fn fractions(nanos: u64) -> f64 {
    let micros = u32::try_from(nanos.checked_div(1000).unwrap_or_default()).unwrap_or(u32::MAX);

    f64::from(micros) / 1000.0
}

/// The record as Envoy carries it.
pub fn encode(event: &Event<'_>) -> Vec<u8> {
    let whole = serde_json::to_vec(event).unwrap_or_default();
    if whole.len() <= audit::LARGEST {
        return whole;
    }
    let mut small = event.clone();
    small.payload.flags.push(CUT.into());
    small.payload.content = None;
    let without_content = serde_json::to_vec(&small).unwrap_or_default();
    if without_content.len() <= audit::LARGEST {
        return without_content;
    }
    (small.payload.tool_uses, small.payload.answers) = (Vec::new(), Vec::new());
    let without_tools = serde_json::to_vec(&small).unwrap_or_default();
    if without_tools.len() <= audit::LARGEST {
        return without_tools;
    }
    small.payload =
        Payload { flags: vec![CUT.into()], sequence: event.payload.sequence, ..Payload::default() };

    serde_json::to_vec(&small).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::audit::{Content, Part, Payload, Text, ToolUse};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_record_that_is_too_large_loses_first_what_was_said_and_then_the_ids_of_tools() {
        let long = |bytes: usize| "x".repeat(bytes);
        let event = |said: usize, id: usize, other: usize| Event {
            payload: Payload {
                requested_model: Some(long(other).into()),
                tool_uses: vec![ToolUse {
                    id: long(id).into(),
                    name: "t".into(),
                    input_sha256: None,
                }],
                content: Some(Content {
                    input: vec![Part::Text {
                        text: Text { text: long(said).into(), ..Text::default() },
                    }],
                    ..Content::default()
                }),
                ..Payload::default()
            },
            ..Event::default()
        };
        for (event, content, tools, model) in [
            (event(9, 9, 9), true, true, true),
            (event(audit::LARGEST, 9, 9), false, true, true),
            (event(9, audit::LARGEST, 9), false, false, true),
            (event(9, 9, audit::LARGEST), false, false, false),
        ] {
            let record = encode(&event);
            assert!(record.len() <= audit::LARGEST);
            let payload = serde_json::from_slice::<Event<'_>>(&record).unwrap().payload;
            let kept = (payload.content.is_some(), !payload.tool_uses.is_empty());
            assert_eq!((kept, payload.requested_model.is_some()), ((content, tools), model));
            assert_eq!(payload.flags == [CUT], !content, "{:?}", payload.flags);
        }
    }
}
