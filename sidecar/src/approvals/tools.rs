//! The two tools: what they take, what they do, and what the model is told, in words it can act on.

use super::asker::Asker;
use super::mcp::Fault;
use super::wait::Place;
use super::{Approvals, terms};
use crate::clock;
use crate::keys;
use crate::store::approvals::{Approval, Asked, Bounds, State};
use contract::approval::digest;
use contract::canonical;
use contract::envelope::hex;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use tracing::{error, info};

/// Asks.
pub const REQUEST: &str = "request_approval";

/// Looks.
pub const CHECK: &str = "check_approval";

/// How much one user's agents may ask.
const BOUNDS: Bounds = Bounds { open: 20, per_minute: 10 };

/// Largest arguments, in bytes: a person has to read them.
const LARGEST: usize = 32 * 1024;

/// Longest name of a server or tool, in bytes.
const NAME: usize = 128;

/// Longest reason, in characters.
const REASON: usize = 2_000;

/// What a call comes to.
pub enum Call {
    /// It is answered.
    Done(Value),
    /// A person has to decide first.
    Waits {
        /// What is asked.
        approval: Box<Approval>,
        /// How long it is waited for.
        seconds: u64,
        /// Among those who wait.
        place: Place,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    server: String,
    tool: String,
    arguments: Box<RawValue>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    approval_id: String,
}

/// Both, as `tools/list` tells them.
pub fn list() -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let maybe = |about: &str| json!({ "type": ["string", "null"], "description": about });
    let answer = json!({
        "type": "object",
        "properties": {
            "decision": { "type": "string", "enum": ["approved", "denied", "expired", "pending"] },
            "approval_id": text("names the request"),
            "by": maybe("who decided"),
            "valid_until": maybe("until when the decision, or the question, stands; UTC"),
            "note": maybe("what they said about it"),
        },
        "required": ["decision", "approval_id"],
    });

    json!([
        {
            "name": REQUEST,
            "title": "Ask a person to approve one call",
            "description": "Asks a person whether one call of one tool may be made, and waits for their decision. \
                Use it when a call was refused because it needs approval. Approved is exactly this server, tool \
                and arguments, for one call. If the answer is pending, call this again with the same input to \
                go on waiting; nobody is asked twice.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "server": text("the MCP server, as it stands in the gateway's address /mcp/SERVER"),
                    "tool": text("the server's tool, by the server's own name for it"),
                    "arguments": {
                        "type": "object",
                        "description": "the arguments of the call, exactly as it will be made",
                    },
                    "reason": text("why this call is needed, for the person who decides"),
                },
                "required": ["server", "tool", "arguments", "reason"],
                "additionalProperties": false,
            },
            "outputSchema": answer,
            "annotations": { "readOnlyHint": false, "destructiveHint": false, "idempotentHint": true },
        },
        {
            "name": CHECK,
            "title": "Look whether it was decided",
            "description": "Says at once how one of your requests for approval stands.",
            "inputSchema": {
                "type": "object",
                "properties": { "approval_id": text("as request_approval answered it") },
                "required": ["approval_id"],
                "additionalProperties": false,
            },
            "outputSchema": answer,
            "annotations": { "readOnlyHint": true },
        },
    ])
}

/// Calls one. `arguments` is the JSON text as it came.
///
/// # Errors
/// There is no such tool.
pub async fn call(
    approvals: &Approvals,
    asker: &Asker,
    name: &str,
    arguments: &str,
) -> Result<Call, Fault> {
    let done = match name {
        REQUEST => match serde_json::from_str(arguments) {
            Ok(request) => approvals.request(asker, request).await,
            Err(error) => Err(refused(&format!("The input is not as it must be: {error}."))),
        },
        CHECK => match serde_json::from_str::<Check>(arguments) {
            Ok(check) => approvals.check(asker, &check.approval_id).await.map(Call::Done),
            Err(error) => Err(refused(&format!("The input is not as it must be: {error}."))),
        },
        name => {
            let name: String = name.chars().take(64).collect();
            return Err(Fault::params(format!("Unknown tool: {name}")));
        }
    };

    Ok(done.unwrap_or_else(Call::Done))
}

impl Approvals {
    /// What is asked for, or why not: both are results that the model reads.
    async fn request(&self, asker: &Asker, request: Request) -> Result<Call, Value> {
        let policy = Arc::clone(&self.sign_in.policy.borrow().policy);
        let Some(terms) = terms::of(&policy) else {
            return Err(refused(
                "The gateway's policy names nobody who approves calls. Tell the user that this call cannot be made.",
            ));
        };
        let now = clock::now();
        let valid = u64::from(terms.valid_seconds);
        let wait = u64::from(terms.wait_seconds);
        let (digest, canonical) = checked(asker, &request)?;
        let id = keys::random::<12>().map_err(|_error| unavailable())?;
        let new = Approval {
            id: format!("apr_{}", hex(&id)),
            digest,
            tenant_id: asker.tenant.clone(),
            user_id: asker.user.clone(),
            session_id: asker.session.clone(),
            server: request.server,
            tool: request.tool,
            arguments: canonical,
            reason: request.reason,
            trace_id: asker.trace.clone(),
            requested_event_id: asker.event.clone(),
            asked_at: now,
            valid_seconds: valid,
            // Whoever asks again while it is open goes on waiting, so it stays open for one wait at least.
            until: now.saturating_add(valid.max(wait)),
            ..Approval::default()
        };
        let approval = self.ask(&new).await?;
        let place = self.waits.place(&asker.tenant, &asker.user);
        match place {
            Some(place) if approval.standing(now) == State::Open && wait > 0 => {
                Ok(Call::Waits { approval: Box::new(approval), seconds: wait, place })
            }
            _ => Ok(Call::Done(told(&approval))),
        }
    }

    async fn ask(&self, new: &Approval) -> Result<Approval, Value> {
        let webhooks: Vec<String> = self
            .webhooks
            .iter()
            .filter(|webhook| webhook.is_for(&new.server))
            .map(|webhook| webhook.name.clone())
            .collect();
        match self.sign_in.store.ask_approval(new, BOUNDS, &webhooks).await {
            Ok(Asked::New(approval)) => {
                self.sign_in.counters.approvals.asked.one();
                info!(
                    approval = approval.id,
                    user.id = approval.user_id,
                    server = approval.server,
                    "An approval is asked for"
                );
                Ok(approval)
            }
            Ok(Asked::Known(approval)) => Ok(approval),
            Ok(Asked::TooMany) => Err(refused(&format!(
                "{} requests of this user wait for a person already. Wait for these to be decided.",
                BOUNDS.open
            ))),
            Ok(Asked::TooFast) => Err(refused(&format!(
                "At most {} requests for approval a minute are taken. Wait a minute, and ask only for what is needed.",
                BOUNDS.per_minute
            ))),
            Err(fault) => {
                self.sign_in.counters.store_errors.one();
                error!(error = %fault, "A request for approval was not stored");
                Err(unavailable())
            }
        }
    }

    /// One's own alone: of others' it is not even said that they are there.
    async fn check(&self, asker: &Asker, id: &str) -> Result<Value, Value> {
        let found = self.sign_in.store.approval(id).await.map_err(|fault| {
            self.sign_in.counters.store_errors.one();
            error!(error = %fault, "A request for approval could not be read");
            unavailable()
        })?;
        let own = found.filter(|it| it.tenant_id == asker.tenant && it.user_id == asker.user);

        own.as_ref().map(told).ok_or_else(|| refused("No request of this user's has that id."))
    }
}

/// The digest, and the arguments in the form that a person is shown.
fn checked(asker: &Asker, request: &Request) -> Result<(String, String), Value> {
    let Request { server, tool, arguments, reason } = request;
    for (what, name) in [("server", server), ("tool", tool)] {
        if !(1..=NAME).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refused(&format!(
                "{what} must be a name of 1 to {NAME} visible ASCII characters, without blanks."
            )));
        }
    }
    if reason.trim().is_empty() || reason.chars().count() > REASON {
        return Err(refused(&format!(
            "reason must say in 1 to {REASON} characters why the call is needed."
        )));
    }
    let arguments = arguments.get();
    if !arguments.starts_with('{') || arguments.len() > LARGEST {
        return Err(refused(&format!(
            "arguments must be an object of at most {LARGEST} bytes: a person has to read it."
        )));
    }
    let bad = |error| refused(&format!("arguments cannot be read in one way alone: {error}."));
    let canonical = canonical::write(arguments.as_bytes()).map_err(bad)?;
    let Asker { tenant, user, session, .. } = asker;
    let digest = digest(tenant, user, session, server, tool, arguments.as_bytes()).map_err(bad)?;

    Ok((hex(&digest), String::from_utf8(canonical).unwrap_or_default()))
}

/// How a request stands, for the model.
pub fn told(approval: &Approval) -> Value {
    let Approval { id, server, tool, .. } = approval;
    let by = approval.decided_by.as_deref().unwrap_or("a person");
    let note =
        approval.note.as_deref().map(|note| format!(" They say: {note}")).unwrap_or_default();
    let until = clock::readable(approval.until);
    let (decision, text) = match approval.standing(clock::now()) {
        State::Open => (
            "pending",
            format!(
                "Nobody has decided yet. Call {REQUEST} again with the same input to go on waiting, or {CHECK} with \
                 {id} to look; it stays open until {until}."
            ),
        ),
        State::Approved => (
            "approved",
            format!(
                "Approved by {by}.{note} Now call {tool} of {server} with exactly the arguments that you gave here. \
                 It passes once, until {until}."
            ),
        ),
        State::Denied => (
            "denied",
            format!(
                "Denied by {by}.{note} Do not make this call, and do not try to get the same by another way. Tell \
                 the user."
            ),
        ),
        State::Used => (
            "expired",
            format!(
                "The approval was used by a call already. For another call ask again with {REQUEST}."
            ),
        ),
        State::Lapsed => (
            "expired",
            format!(
                "Its time is over, and nothing is approved. If the call is still needed, ask again with {REQUEST}."
            ),
        ),
    };

    json!({
        "content": [{ "type": "text", "text": text }],
        "structuredContent": {
            "decision": decision, "approval_id": id, "by": approval.decided_by, "valid_until": until,
            "note": approval.note,
        },
        "isError": false,
    })
}

/// Something that the model can put right, or tell.
fn refused(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": true })
}

/// The database is away.
pub fn unavailable() -> Value {
    refused("Approvals cannot be asked for at the moment. Try again in a minute.")
}
