//! 3 to 5 for a call of an MCP server: message → [`Cleared`].
//!
//! What a message asks for stands in its body; what headers repeat must be the same. The server, the method, and the
//! thing that the method is about each have to be open for this caller.

mod called;
mod capabilities;

pub use called::Called;

use super::authenticate::Caller;
use super::authorise::Noted;
use super::scan::finding;
use crate::mcp::head::Head;
use crate::mcp::message::{self, Fault, Kind, Message, members, word};
use crate::refusal::Refusal;
use crate::snapshot::Bundle;
use contract::audit::Finding;
use contract::envelope::hex;
use contract::mcp::{Needs, Protocol};
use contract::policy::{APPROVALS, Also, Denial, Mcp, Said, Scanned, Subject, Terms, Word};
use contract::{approval, canonical};
use serde_json::Value;

/// A message that may go to its server. Only [`clear`] and [`stream`] make one.
#[derive(Debug, PartialEq, Eq)]
pub struct Cleared {
    called: Called,
    rule_id: Option<String>,
    noted: Noted,
    /// Somebody has to have approved of exactly this.
    approval: Option<Digest>,
    /// The body that goes instead.
    instead: Option<Vec<u8>>,
}

/// What is approved of: exactly one call ([`contract::approval`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest(String);

impl Digest {
    /// As it is written: hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A no, and what was known by then.
#[derive(Debug, PartialEq, Eq)]
pub struct Denied {
    /// Its code.
    pub refusal: Refusal,
    /// What was called.
    pub called: Called,
    /// The rule that says so.
    pub rule_id: Option<String>,
    /// What its author has the person told.
    pub say: Option<String>,
    /// What the row tells.
    pub noted: Noted,
}

impl Cleared {
    /// What its server's entry says of it.
    pub fn terms(&self) -> Terms {
        self.called.terms
    }

    /// What the exchange keeps of it.
    pub fn into_parts(self) -> (Called, Option<String>, Noted, Option<Digest>, Option<Vec<u8>>) {
        let Self { called, rule_id, noted, approval, instead } = self;

        (called, rule_id, noted, approval, instead)
    }

    /// What was called.
    pub fn called(&self) -> &Called {
        &self.called
    }

    /// Words for routes.
    pub(super) fn labels(&self) -> &[String] {
        &self.noted.labels
    }
}

/// What is looked at, while it is.
struct Asking<'a> {
    bundle: &'a Bundle,
    subject: &'a Subject<'a>,
    caller: &'a Caller,
    head: &'a Head,
    protocol: &'a Protocol,
    called: Called,
    rule_id: Option<String>,
    say: Option<String>,
    noted: Noted,
    approval: Option<Digest>,
}

/// May a message go to its server?
///
/// # Errors
/// [`Denied`].
pub fn clear(
    protocol: &Protocol,
    bundle: &Bundle,
    subject: &Subject<'_>,
    caller: &Caller,
    head: &Head,
    body: &[u8],
) -> Result<Cleared, Box<Denied>> {
    let mut asking = Asking::new(protocol, bundle, subject, caller, head);
    asking.called.bytes = body.len();
    match asking.message(body) {
        Ok(instead) => Ok(asking.cleared(instead)),
        Err(refusal) => Err(asking.denied(refusal)),
    }
}

/// May a stream of the server's be opened, or a session be ended? Nothing is said there that could be judged.
///
/// # Errors
/// [`Denied`].
pub fn stream(
    protocol: &Protocol,
    bundle: &Bundle,
    subject: &Subject<'_>,
    caller: &Caller,
    head: &Head,
    method: &str,
) -> Result<Cleared, Box<Denied>> {
    let mut asking = Asking::new(protocol, bundle, subject, caller, head);
    asking.called.row = method == "GET";
    method.clone_into(&mut asking.called.method);
    match asking.server().map(drop) {
        Ok(()) => Ok(asking.cleared(None)),
        Err(refusal) => Err(asking.denied(refusal)),
    }
}

impl<'a> Asking<'a> {
    fn new(
        protocol: &'a Protocol,
        bundle: &'a Bundle,
        subject: &'a Subject<'a>,
        caller: &'a Caller,
        head: &'a Head,
    ) -> Self {
        let what = Called { server: head.server.clone(), row: true, ..Called::default() };

        Self {
            bundle,
            subject,
            caller,
            head,
            protocol,
            called: what,
            rule_id: None,
            say: None,
            noted: Noted::default(),
            approval: None,
        }
    }

    fn cleared(self, instead: Option<Vec<u8>>) -> Cleared {
        let Self { called, rule_id, noted, approval, .. } = self;

        Cleared { called, rule_id, noted, approval, instead }
    }

    fn denied(self, refusal: Refusal) -> Box<Denied> {
        let Self { called, rule_id, say, mut noted, .. } = self;
        noted.labels.clear(); // a call that goes nowhere has no route to match them on

        Box::new(Denied { refusal, called, rule_id, say, noted })
    }

    fn refuses(&mut self, denial: &Denial<'_>) -> Refusal {
        self.rule_id = denial.rule_id.map(ToOwned::to_owned);
        self.say = denial.say.map(ToOwned::to_owned);

        denial.why.into()
    }

    /// The server, if it is there for this caller. That there is one for others is nobody's business.
    fn server(&mut self) -> Result<Mcp<'a>, Refusal> {
        let (policy, subject) = (&self.bundle.policy, self.subject);
        policy.accepts(subject).map_err(|denial| self.refuses(&denial))?;
        let server = policy.mcp(subject, &self.head.server).ok_or(Refusal::McpServerUnknown)?;
        self.called.terms = server.terms();
        self.called.is_pinned = !server.gateway().pins.is_empty();
        self.called.largest_result = server.largest_result();
        self.called.as_result = server.gateway().denied_as == contract::policy::DeniedAs::Result;

        Ok(server)
    }

    /// Reads the message and judges it. Gives the body that goes instead, where it is another.
    fn message(&mut self, body: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        if body.is_empty() {
            return Err(Refusal::BodyMissing);
        }
        let text = str::from_utf8(body).or(Err(Refusal::BodyMalformed))?;
        let message = message::read(text).map_err(|fault| match fault {
            Fault::Batch => Refusal::McpBatch,
            Fault::Twice => Refusal::BodyDuplicate,
            Fault::Malformed => Refusal::McpMessage,
        })?;
        self.called.id =
            message.id.filter(|_| message.kind == Kind::Request).map(ToOwned::to_owned);
        self.called.method = message.method.clone().into_owned();
        // What only keeps the protocol going leaves none. What a client answers to a server has words in it.
        self.called.row = message.kind == Kind::Result
            || (message.kind == Kind::Request && message.method != "ping");
        if message.kind == Kind::Result {
            "response".clone_into(&mut self.called.method);
        }
        let server = self.server()?;
        match message.kind {
            Kind::Request | Kind::Notification => self.asks(&server, &message)?,
            // The client answers what the server was let ask.
            Kind::Result | Kind::Error => self.head.agrees(&message, None)?,
        }
        self.scan(body)?;

        capabilities::without_closed(&server, text, &message)
    }

    fn asks(&mut self, server: &Mcp<'a>, message: &Message<'_>) -> Result<(), Refusal> {
        // There are servers that do what they are told to without an id; nobody would hear of it.
        let tells = message.method.starts_with("notifications/");
        if tells != (message.kind == Kind::Notification) {
            return Err(Refusal::McpMessage);
        }
        let params = message.content.unwrap_or("{}");
        let [name, uri, arguments, task, reference, notifications] =
            members(params, ["name", "uri", "arguments", "task", "ref", "notifications"])
                .or(Err(Refusal::BodyDuplicate))?;
        let needs = self.protocol.client.get(&*message.method);
        let subject = match needs {
            Some(Needs::Tool | Needs::Prompt) => name,
            Some(Needs::Resource) => uri,
            _ => None,
        };
        let subject = subject.map(|raw| word(raw).ok_or(Refusal::McpMessage)).transpose()?;
        self.called.name = subject.as_deref().map(ToOwned::to_owned);
        self.called.is_tool = needs == Some(&Needs::Tool);
        self.head.agrees(message, subject.as_deref())?;
        let needs = *needs.ok_or(Refusal::McpMethodClosed)?;
        if needs.also().is_some_and(|also| !server.also(also)) {
            return Err(Refusal::McpMethodClosed);
        }
        let subject = subject.as_deref();
        match needs {
            Needs::Tool => {
                if task.is_some() && !server.also(Also::Tasks) {
                    return Err(Refusal::McpMethodClosed);
                }
                self.tool(server, subject.ok_or(Refusal::McpMessage)?, arguments.unwrap_or("{}"))?;
                self.approves_of_all(params, arguments.unwrap_or("{}"))
            }
            Needs::Resource => self.resource(server, subject.ok_or(Refusal::McpMessage)?),
            Needs::Prompt => self.prompt(server, subject.ok_or(Refusal::McpMessage)?),
            Needs::Subscriptions => self.subscriptions(server, notifications.unwrap_or("{}")),
            Needs::Completion => self.completion(server, reference.ok_or(Refusal::McpMessage)?),
            _ => Ok(()),
        }
    }

    fn tool(&mut self, server: &Mcp<'a>, name: &str, raw: &str) -> Result<(), Refusal> {
        // One form, in which no member is there twice: what is judged is what every server reads.
        let canonical = canonical::write(raw.as_bytes()).or(Err(Refusal::BodyDuplicate))?;
        let arguments: Value = serde_json::from_slice(&canonical).or(Err(Refusal::McpMessage))?;
        self.head.agrees_on_arguments(&arguments)?;
        self.called.arguments_sha256 = Some(hex(&sha256(&canonical)));
        if self.called.terms.content() != contract::audit::ContentMode::None {
            self.called.arguments = Some(raw.as_bytes().to_vec());
        }
        let said = server.calls(name, &arguments);
        let word = said.word;
        self.judged(&said, Refusal::ToolBlocked)?;
        if word == Word::Approve {
            let claims = &self.caller.claims;
            let digest = approval::digest(
                &claims.tenant_id,
                &self.caller.user_id,
                &claims.sid,
                server.id(),
                name,
                &canonical,
            );
            self.approval = Some(Digest(hex(&digest.or(Err(Refusal::BodyDuplicate))?)));
            if self.bundle.policy.approvals().is_none() {
                return Err(Refusal::ApprovalRequired);
            }
        }

        Ok(())
    }

    /// What is approved of is all there is: nothing stands beside the arguments, and no number is another one at the
    /// server.
    fn approves_of_all(&mut self, params: &str, arguments: &str) -> Result<(), Refusal> {
        if self.approval.is_none() {
            return Ok(());
        }
        let known = message::only(params, &["name", "arguments", "_meta"]);
        if !known || !canonical::is_exact(arguments.as_bytes()) {
            return Err(Refusal::McpMessage);
        }

        Ok(())
    }

    fn resource(&mut self, server: &Mcp<'a>, uri: &str) -> Result<(), Refusal> {
        self.judged(&server.resource(uri), Refusal::McpResourceClosed)
    }

    fn prompt(&mut self, server: &Mcp<'a>, name: &str) -> Result<(), Refusal> {
        self.judged(&server.prompt(name), Refusal::McpPromptClosed)
    }

    fn subscriptions(&mut self, server: &Mcp<'a>, filter: &str) -> Result<(), Refusal> {
        let [uris] = members(filter, ["resourceSubscriptions"]).or(Err(Refusal::BodyDuplicate))?;
        let uris: Vec<String> =
            serde_json::from_slice(uris.unwrap_or("[]").as_bytes()).or(Err(Refusal::McpMessage))?;

        uris.iter().try_for_each(|uri| self.resource(server, uri))
    }

    /// What is completed is a prompt's argument or a part of a resource's address.
    fn completion(&mut self, server: &Mcp<'a>, reference: &str) -> Result<(), Refusal> {
        let [kind, name, uri] =
            members(reference, ["type", "name", "uri"]).or(Err(Refusal::BodyDuplicate))?;
        let is_prompt = kind.and_then(word).is_some_and(|kind| kind == "ref/prompt");
        let about = if is_prompt { name } else { uri };
        let about = about.and_then(word).ok_or(Refusal::McpMessage)?;
        self.called.name = Some(about.clone().into_owned());
        if is_prompt { self.prompt(server, &about) } else { self.resource(server, &about) }
    }

    /// What the policy says of the thing.
    fn judged(&mut self, said: &Said<'_>, closed: Refusal) -> Result<(), Refusal> {
        let owned = |word: &&str| (*word).to_owned();
        self.rule_id = Some(said.rule_id.to_owned());
        self.noted.labels.extend(said.labels.iter().map(owned));
        self.noted.passed.extend(said.passed.iter().map(owned));
        if said.word != Word::Allow {
            self.noted.findings.push(Finding {
                rule_id: said.rule_id.to_owned().into(),
                action: said.word.as_str().into(),
                place: "params".into(),
                ..Finding::default()
            });
        }
        if said.is_open() {
            return Ok(());
        }
        self.say = said.say.map(ToOwned::to_owned);

        Err(closed)
    }

    fn scan(&mut self, body: &[u8]) -> Result<(), Refusal> {
        let Scanned { found, cut, labels, passed, denial } =
            self.bundle.policy.scan(self.subject, body);
        self.noted.cut |= cut;
        self.noted.findings.extend(found.into_iter().map(finding));
        super::scan::add(&mut self.noted.labels, labels);
        super::scan::add(&mut self.noted.passed, passed);
        denial.map_or(Ok(()), |denial| Err(self.refuses(&denial)))
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;

    sha2::Sha256::digest(bytes).into()
}

/// Is it our own server, which the sidecar is?
pub fn is_ours(server: &str) -> bool {
    server == APPROVALS
}
