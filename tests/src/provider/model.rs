//! What a model of the Messages API says: JSON, or the pieces of a stream (interop: Messages API,
//! "Streaming").

use crate::provider::script::{Script, Usage};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

/// What a call asked for, as far as a model here cares.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// The model, as it arrived.
    pub model: String,
    /// Did it ask for a stream?
    pub stream: Option<bool>,
}

impl Asked {
    /// Reads a body.
    pub fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// Is the answer a stream?
    pub fn streams(&self) -> bool {
        self.stream == Some(true)
    }
}

fn usage(usage: Usage, output: u64) -> Value {
    let Usage { input, output: _, write_5m, write_1h, read } = usage;

    json!({
        "input_tokens": input, "output_tokens": output,
        "cache_creation_input_tokens": write_5m + write_1h, "cache_read_input_tokens": read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": write_5m, "ephemeral_1h_input_tokens": write_1h,
        },
        "service_tier": "standard",
    })
}

/// Why it stops.
fn reason(script: &Script) -> &'static str {
    if script.tools.is_empty() { "end_turn" } else { "tool_use" }
}

/// The whole answer as JSON.
pub fn message(asked: &Asked, words: &[String], script: &Script) -> Value {
    let used = script.usage;
    let mut content = vec![json!({"type": "text", "text": words.concat()})];
    content.extend(script.tools.iter().map(|tool| {
        let input: Value = serde_json::from_str(&tool.input).unwrap_or_default();
        json!({"type": "tool_use", "id": tool.id, "name": tool.name, "input": input})
    }));

    json!({
        "id": "msg_01e2e", "type": "message", "role": "assistant", "model": asked.model,
        "content": content, "stop_reason": reason(script), "stop_sequence": null,
        "usage": usage(used, used.output),
    })
}

/// The events of the tools that are called, behind the text.
fn tools(script: &Script) -> impl Iterator<Item = Value> {
    script.tools.iter().zip(1..).flat_map(|(tool, index)| {
        let (head, tail) = tool.input.split_at(tool.input.len() / 2);
        let delta = move |part: &str| {
            json!({"type": "content_block_delta", "index": index,
                "delta": {"type": "input_json_delta", "partial_json": part}})
        };
        [
            json!({"type": "content_block_start", "index": index, "content_block":
                {"type": "tool_use", "id": tool.id, "name": tool.name, "input": {}}}),
            delta(head),
            delta(tail),
            json!({"type": "content_block_stop", "index": index}),
        ]
    })
}

/// The answer as a stream's events, in order.
pub fn events(asked: &Asked, words: &[String], script: &Script) -> Vec<Bytes> {
    let used = script.usage;
    let mut events = vec![
        json!({"type": "message_start", "message": {
            "id": "msg_01e2e", "type": "message", "role": "assistant", "model": asked.model,
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage(used, 1),
        }}),
        json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": ""}}),
    ];
    if script.noise {
        events.push(json!({"type": "ping"}));
        events.push(json!({"type": "not_known_yet", "usage": {"output_tokens": 999_999}}));
    }
    events.extend(words.iter().map(|word| {
        json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": word}})
    }));
    if script.error_event {
        events.push(json!({"type": "error",
            "error": {"type": "overloaded_error", "message": "Overloaded"}}));
        return framed(&events, script);
    }
    events.push(json!({"type": "content_block_stop", "index": 0}));
    events.extend(tools(script));
    let deltas = u64::from(script.deltas.max(1));
    events.extend((1..=deltas).map(|nth| {
        json!({"type": "message_delta",
            "delta": {"stop_reason": reason(script), "stop_sequence": null},
            "usage": {"output_tokens": used.output * nth / deltas}})
    }));
    events.push(json!({"type": "message_stop"}));

    framed(&events, script)
}

fn framed(events: &[Value], script: &Script) -> Vec<Bytes> {
    let end = if script.crlf { "\r\n" } else { "\n" };
    let whole: Vec<Bytes> = events
        .iter()
        .map(|event| {
            let name = event.get("type").and_then(Value::as_str).unwrap_or("?");
            let comment = if script.noise { format!(": keep-alive{end}") } else { String::new() };
            format!("{comment}event: {name}{end}data: {event}{end}{end}").into()
        })
        .collect();
    if script.cut == 0 {
        return whole;
    }

    whole.concat().chunks(script.cut).map(Bytes::copy_from_slice).collect()
}

/// An error in the API's shape.
pub fn error(status: u16) -> Value {
    let (kind, message) = match status {
        401 => ("authentication_error", "invalid x-api-key"),
        404 => ("not_found_error", "model: no-such-model"),
        429 => ("rate_limit_error", "This request would exceed your rate limit"),
        529 => ("overloaded_error", "Overloaded"),
        500.. => ("api_error", "Internal server error"),
        _ => ("invalid_request_error", "max_tokens: Field required"),
    };

    json!({"type": "error", "error": {"type": kind, "message": message},
        "request_id": "req_e2e_provider"})
}
