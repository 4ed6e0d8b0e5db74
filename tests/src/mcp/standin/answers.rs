//! How the stand-in answers each kind of request.

use super::methods::{self, MODERN, Outcome};
use super::script::{Fault, ID, Script};
use super::seen::Seen;
use super::wire::{self, Body};
use super::{Standin, fixtures, locked, refused};
use crate::provider::Broken;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::future;
use http::Response;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a client may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

const SSE: &str = "text/event-stream";
const JSON: &str = "application/json";

impl Standin {
    /// A `POST`.
    pub(super) async fn posted(&self, seen: &Seen) -> Result<Response<Body>, Broken> {
        let (id, method) = (seen.id(), seen.rpc());
        if !seen.json.is_object() {
            return Ok(refused(400, -32700, "Parse error", &Value::Null));
        }
        let refusal = if seen.is_modern() { self.misheaded(seen) } else { self.outside(seen) };
        if let Some(refusal) = refusal {
            return Ok(refusal);
        }
        let session = seen.header("mcp-session-id").unwrap_or_default().to_owned();
        if method.is_empty() {
            self.notes.sessions.answered(&session, &seen.json);
            return Ok(wire::answer(202, "", &[], &Script::default()));
        }
        let params = &seen.json["params"];
        let offers = locked(&self.notes.offer).fixtures && method == "tools/call";
        let fixture = || if offers { fixtures::script(params) } else { None };
        let script = seen.script.clone().or_else(fixture).unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(script.delay)).await;
        match script.fault {
            Fault::Hang => future::pending().await,
            Fault::Reset => return Err("as the script says".into()),
            _ => {}
        }
        if let Some(raw) = &script.raw {
            let raw = raw.replace(ID, &id.to_string());
            return Ok(wire::answer(200, JSON, &[raw], &script));
        }
        if id.is_null() {
            return Ok(wire::answer(202, "", &[], &script));
        }
        for message in &script.pushes {
            self.push(&session, message.clone());
        }
        if !script.asks.is_empty() && !seen.is_modern() {
            return Ok(self.asking(seen, session, script));
        }

        Ok(self.plainly(seen, &session, &script))
    }

    /// The refusal of a request of the legacy era that stands outside of any session.
    fn outside(&self, seen: &Seen) -> Option<Response<Body>> {
        if !self.notes.settings.legacy {
            let mut error = json!({ "jsonrpc": "2.0", "id": seen.id(), "error": {
                "code": -32022, "message": "Unsupported protocol version" } });
            error["error"]["data"] =
                json!({ "supported": [MODERN], "requested": seen.header("mcp-protocol-version") });
            return Some(wire::answer(400, JSON, &[error.to_string()], &Script::default()));
        }
        if seen.rpc() == "initialize" {
            return None;
        }

        self.session(seen).err().map(|refusal| *refusal)
    }

    /// The refusal of a request of the stateless era whose headers do not say what its body says.
    fn misheaded(&self, seen: &Seen) -> Option<Response<Body>> {
        let id = seen.id();
        if !self.notes.settings.modern {
            return Some(refused(400, -32000, "Bad Request: Server not initialized", &Value::Null));
        }
        let version = seen.header("mcp-protocol-version").unwrap_or_default();
        if version != MODERN {
            let error = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32022,
                "message": "Unsupported protocol version", "data": { "supported": [MODERN], "requested": version } } });
            return Some(wire::answer(400, JSON, &[error.to_string()], &Script::default()));
        }
        let params = &seen.json["params"];
        let name = match seen.rpc() {
            "tools/call" | "prompts/get" => params["name"].as_str(),
            "resources/read" => params["uri"].as_str(),
            _ => None,
        };
        let meta = &params["_meta"]["io.modelcontextprotocol/protocolVersion"];
        let agrees = seen.header("mcp-method") == Some(seen.rpc())
            && (name.is_none() || seen.header("mcp-name").map(decoded).as_deref() == name)
            && meta.as_str() == Some(version);

        (!agrees).then(|| refused(400, -32020, "A header does not say what the body says", &id))
    }

    /// A result or an error, whole.
    fn outcome(&self, seen: &Seen, script: &Script) -> Value {
        let (method, params) = (seen.rpc(), &seen.json["params"]);
        let offer = locked(&self.notes.offer).clone();
        let outcome: Outcome = match (&script.result, seen.is_modern() && !script.asks.is_empty()) {
            (Some(result), _) => Ok(result.clone()),
            (None, true) => Ok(match params["inputResponses"].as_object() {
                Some(answers) => methods::told(&answers.values().cloned().collect::<Vec<_>>()),
                None => methods::input_required(&script.asks),
            }),
            (None, false) => methods::answer(method, params, script, &offer),
        };
        let id = script.answer_id.clone().unwrap_or_else(|| seen.id());
        match (&script.error, outcome) {
            (Some(error), _) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
            (None, Ok(result)) => {
                let modern = seen.is_modern();
                let result = if modern { methods::modern(method, result) } else { result };
                json!({ "jsonrpc": "2.0", "id": id, "result": result })
            }
            (None, Err((code, message))) => {
                json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
            }
        }
    }

    /// The answer of a request that needs nothing of the client.
    fn plainly(&self, seen: &Seen, session: &str, script: &Script) -> Response<Body> {
        let answer = self.outcome(seen, script);
        let modern = seen.is_modern();
        let mut script = script.clone();
        let mut status = 200;
        if modern {
            // As the SDKs' servers do.
            status = match answer["error"]["code"].as_i64() {
                Some(-32601) => 404,
                Some(-32700 | -32600 | -32602 | -32022..=-32020) => 400,
                _ => 200,
            };
        } else if seen.rpc() == "initialize"
            && self.notes.settings.sessions
            && answer["result"].is_object()
        {
            script.headers.push(("mcp-session-id".to_owned(), self.notes.sessions.begin()));
        } else if !session.is_empty() {
            script.headers.push(("mcp-session-id".to_owned(), session.to_owned()));
        }
        let several = !script.before.is_empty() || !script.behind.is_empty();
        let streams = script.sse.unwrap_or(several || (!modern && self.notes.settings.streams));
        if !streams {
            return wire::answer(status, JSON, &[answer.to_string()], &script);
        }
        let filled = |message: &Value| replaced(message.clone(), &seen.id());
        let messages: Vec<Value> = script
            .before
            .iter()
            .map(filled)
            .chain([answer])
            .chain(script.behind.iter().map(filled))
            .collect();
        let pieces = wire::events(&script.style, &self.numbered(session, &script, messages));

        wire::answer(status, SSE, &pieces, &script)
    }

    /// With ids, if the script wants them: then each can be asked for again, also where the stream breaks off.
    fn numbered(
        &self,
        session: &str,
        script: &Script,
        messages: Vec<Value>,
    ) -> Vec<(Option<String>, Value)> {
        let sessions = &self.notes.sessions;
        let stream = sessions.stream();
        let id =
            |message: &Value| script.style.ids.then(|| sessions.note(session, stream, message));
        let begin = script.style.ids.then_some(Value::Null); // an event without data, to resume from

        begin.into_iter().chain(messages).map(|message| (id(&message), message)).collect()
    }

    /// An answer that asks the client first, on its own stream.
    fn asking(&self, seen: &Seen, session: String, script: Script) -> Response<Body> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let response = wire::open(SSE, receiver, &script);
        let (this, seen) = (self.clone(), seen.clone());
        tokio::spawn(async move {
            let write = |message: &Value| sender.send(wire::event(&script.style, None, message));
            let mut answers = Vec::new();
            for ask in &script.asks {
                let (request, answer) = this.notes.sessions.ask(&session, ask.clone());
                drop(write(&request));
                match tokio::time::timeout(PATIENCE, answer).await {
                    Ok(Ok(answer)) => answers.push(answer),
                    _ => answers.push(json!({ "error": "no answer" })),
                }
            }
            let result = methods::told(&answers);
            drop(write(&json!({ "jsonrpc": "2.0", "id": seen.id(), "result": result })));
        });

        response
    }

    /// A `GET`: the session's own stream, or what somebody missed of another.
    pub(super) fn listened(&self, seen: &Seen) -> Response<Body> {
        let sessions = &self.notes.sessions;
        let session = match self.session(seen) {
            Ok(session) => session,
            Err(refusal) => return *refusal,
        };
        let script = seen.script.clone().unwrap_or_default();
        if let Some(last) = seen.header("last-event-id") {
            return match sessions.after(&session, last) {
                Some(messages) => {
                    wire::answer(200, SSE, &wire::events(&script.style, &messages), &script)
                }
                None => refused(400, -32000, "Unknown event", &Value::Null),
            };
        }
        let Some(mut messages) = sessions.listen(&session) else {
            return refused(405, -32000, "Method Not Allowed", &Value::Null);
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        let style = script.style.clone();
        // Envoy passes headers on when they come: a comment says that the stream is there.
        drop(sender.send(": listening\n\n".to_owned()));
        tokio::spawn(async move {
            while let Some(message) = messages.recv().await {
                if sender.send(wire::event(&style, None, &message)).is_err() {
                    break;
                }
            }
        });

        wire::open(SSE, receiver, &script)
    }
}

/// A header's value of the stateless era: as it is, or `=?base64?…?=`.
fn decoded(value: &str) -> String {
    let inner = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    let bytes = inner.and_then(|inner| BASE64_STANDARD.decode(inner).ok());

    bytes.map_or_else(|| value.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Puts the request's id where [`ID`] stands as a value.
fn replaced(message: Value, id: &Value) -> Value {
    match message {
        Value::String(text) if text == ID => id.clone(),
        Value::Array(all) => all.into_iter().map(|one| replaced(one, id)).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, one)| (name, replaced(one, id))).collect()
        }
        other => other,
    }
}
