//! A stand-in for a provider of `OpenAI`'s chat completions. It is nobody's model: it obeys the script in a call, and
//! refuses loudly what such a provider must never get: who asks, and what only the Messages API knows.

use super::seen::{CANARY, MAY_ARRIVE, Seen};
use super::{Body, Notes, Provider, compressed, json, paced};
use crate::provider::script::{Script, Usage};
use anyhow::Result;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

/// Members that a call may have: those of the public reference, and two of vLLM.
const MEMBERS: [&str; 16] = [
    "model",
    "messages",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning_effort",
    "response_format",
    "seed",
];

/// Members of messages, parts, calls and tools; below a schema anything goes.
const INNER: [&str; 22] = [
    "role",
    "content",
    "type",
    "text",
    "image_url",
    "url",
    "file",
    "filename",
    "file_data",
    "tool_calls",
    "tool_call_id",
    "id",
    "function",
    "name",
    "arguments",
    "description",
    "parameters",
    "strict",
    "reasoning",
    "extra_content",
    "google",
    "thought_signature",
];

impl Provider {
    /// Starts one that speaks chat completions and expects this key, as a bearer's or as `api-key`. Scripts know it
    /// by its name.
    pub async fn completing(
        name: &str,
        listen: SocketAddr,
        key: &str,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Result<Self> {
        let (name, key) = (name.to_owned(), key.to_owned());
        let notes = Notes { name, key, completes: true, ..Notes::default() };

        Self::speaking(listen, notes, tls).await
    }
}

/// What should not have arrived.
pub(super) fn violations(seen: &Seen, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut keys = 0;
    for (name, value) in &seen.headers {
        let (name, value) = (name.as_str(), String::from_utf8_lossy(value.as_bytes()));
        match name {
            "authorization" | "api-key" => {
                keys += 1;
                if value.strip_prefix("Bearer ").unwrap_or(&value) != key {
                    found.push(format!("{name} has not the configured key"));
                }
            }
            "x-api-key" => found.push("header x-api-key".to_owned()),
            _ if !MAY_ARRIVE.contains(&name) => found.push(format!("header {name}: {value}")),
            _ if value.contains(CANARY) => found.push(format!("header {name} carries a canary")),
            _ => {}
        }
    }
    if keys != 1 {
        found.push(format!("{keys} keys"));
    }
    if seen.path.contains(CANARY) {
        found.push("the path carries a canary".to_owned());
    }
    match serde_json::from_slice::<Value>(&seen.body) {
        Ok(body) => body_violations(&body, &mut found),
        Err(_) => found.push("the body is not JSON".to_owned()),
    }

    found
}

fn body_violations(body: &Value, found: &mut Vec<String>) {
    for name in body.as_object().into_iter().flat_map(|body| body.keys()) {
        if !MEMBERS.contains(&name.as_str()) {
            found.push(format!("member {name}"));
        }
    }
    if body.get("stream_options").is_some() && body.get("stream") != Some(&json!(true)) {
        found.push("stream_options without a stream".to_owned());
    }
    for member in ["messages", "tools"] {
        inner_violations(body.get(member).unwrap_or(&Value::Null), found);
    }
    let messages = body.get("messages").and_then(Value::as_array);
    if messages.is_none_or(Vec::is_empty) {
        found.push("no messages".to_owned());
    }
    let mut open: Vec<&str> = Vec::new();
    for message in messages.into_iter().flatten() {
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        if role == "tool" {
            let id = message.get("tool_call_id").and_then(Value::as_str).unwrap_or_default();
            match open.iter().position(|call| *call == id) {
                Some(place) => drop(open.remove(place)),
                None => found.push(format!("a result of a call that was not made: {id}")),
            }
            continue;
        }
        if !open.is_empty() {
            found.push(format!("calls without a result: {open:?}"));
        }
        if !["developer", "system", "user", "assistant"].contains(&role) {
            found.push(format!("role {role}"));
        }
        let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
        open = calls.filter_map(|call| call.get("id")?.as_str()).collect();
    }
}

fn inner_violations(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| inner_violations(item, found)),
        Value::Object(members) => {
            for (name, value) in members {
                if !INNER.contains(&name.as_str()) {
                    found.push(format!("inner member {name}"));
                } else if name != "parameters" {
                    inner_violations(value, found);
                }
            }
        }
        _ => {}
    }
}

/// What the script says, in the provider's words.
pub(super) fn scripted(seen: &Seen, script: &Script) -> Response<Body> {
    let asked: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    let status = StatusCode::from_u16(script.status).unwrap_or(StatusCode::OK);
    let path = seen.path.split('?').next().unwrap_or_default();
    if status == StatusCode::OK && !path.ends_with("/chat/completions") {
        return json(StatusCode::NOT_FOUND, &error(404));
    }
    let words: Vec<String> = (0..script.words.max(1)).map(|nth| format!("word{nth} ")).collect();
    let (kind, pieces) = if status != StatusCode::OK {
        ("application/json", vec![Bytes::from(error(status.as_u16()).to_string())])
    } else if asked.get("stream") == Some(&json!(true)) {
        let usage = asked.pointer("/stream_options/include_usage") == Some(&json!(true));
        ("text/event-stream; charset=utf-8", framed(&chunks(&words, script, usage), script))
    } else {
        let body = completion(&words, script).to_string();
        let size = if script.cut == 0 { body.len() } else { script.cut };
        ("application/json", body.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect())
    };
    let pieces = if script.gzip { vec![compressed(&pieces.concat())] } else { pieces };

    let mut response = Response::new(paced(pieces, script));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if script.gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("17"));
    }
    for (name, value) in [
        ("openai-organization", "canary-organization"),
        ("openai-project", "canary-project"),
        ("x-ratelimit-remaining-requests", "41"),
        ("set-cookie", "__cf_bm=canary-cookie"),
        ("x-request-id", "canary-request-id"),
        ("x-tollgate-row", "none"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }

    response
}

fn usage(usage: Usage) -> Value {
    let Usage { input, output, read, .. } = usage;

    json!({"prompt_tokens": input + read, "completion_tokens": output,
        "total_tokens": input + read + output, "prompt_tokens_details": {"cached_tokens": read}})
}

fn reason(script: &Script) -> &'static str {
    if script.tools.is_empty() { "stop" } else { "tool_calls" }
}

fn completion(words: &[String], script: &Script) -> Value {
    let calls: Vec<Value> = script
        .tools
        .iter()
        .map(|tool| {
            json!({"id": tool.id, "type": "function",
                "function": {"name": tool.name, "arguments": tool.input}})
        })
        .collect();
    let mut message = json!({"role": "assistant", "content": words.concat(), "refusal": null});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }

    json!({"id": "chatcmpl-e2e", "object": "chat.completion", "created": 1, "model": "stand-in",
        "choices": [{"index": 0, "message": message, "finish_reason": reason(script)}],
        "usage": usage(script.usage)})
}

fn chunks(words: &[String], script: &Script, with_usage: bool) -> Vec<Value> {
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "chatcmpl-e2e", "object": "chat.completion.chunk", "created": 1,
            "model": "stand-in", "usage": null,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let delta = |delta: Value| chunk(delta, Value::Null);
    let mut chunks = vec![delta(json!({"role": "assistant", "content": ""}))];
    chunks.extend(words.iter().map(|word| delta(json!({"content": word}))));
    if script.error_event {
        chunks.push(json!({"error": {"message": "The server had an error in org-canary",
            "type": "server_error", "code": null}}));
        return chunks;
    }
    for (tool, index) in script.tools.iter().zip(0..) {
        let (head, tail) = tool.input.split_at(tool.input.len() / 2);
        chunks.push(delta(json!({"tool_calls": [{"index": index, "id": tool.id,
            "type": "function", "function": {"name": tool.name, "arguments": ""}}]})));
        for part in [head, tail] {
            chunks.push(delta(json!({"tool_calls": [
                {"index": index, "function": {"arguments": part}}]})));
        }
    }
    chunks.push(chunk(json!({}), reason(script).into()));
    if with_usage {
        chunks.push(json!({"id": "chatcmpl-e2e", "object": "chat.completion.chunk", "choices": [],
            "usage": usage(script.usage)}));
    }

    chunks
}

fn framed(chunks: &[Value], script: &Script) -> Vec<Bytes> {
    let end = if script.crlf { "\r\n" } else { "\n" };
    let noise = if script.noise { format!(": PROCESSING{end}{end}") } else { String::new() };
    let mut pieces: Vec<Bytes> =
        chunks.iter().map(|chunk| format!("{noise}data: {chunk}{end}{end}").into()).collect();
    if !script.error_event {
        pieces.push(format!("data: [DONE]{end}{end}").into());
    }
    if script.cut == 0 {
        return pieces;
    }

    pieces.concat().chunks(script.cut).map(Bytes::copy_from_slice).collect()
}

fn error(status: u16) -> Value {
    let (kind, message) = match status {
        401 => ("invalid_api_key", "Incorrect API key provided: sk-canary***key."),
        404 => ("model_not_found", "The model `no-such-model` does not exist."),
        429 => ("rate_limit_exceeded", "Rate limit reached in organization org-canary on tokens."),
        500.. => ("server_error", "The server had an error while processing your request."),
        _ => ("context_length_exceeded", "This model's maximum context length is 8192 tokens."),
    };

    json!({"error": {"message": message, "type": kind, "param": null, "code": kind}})
}
