//! A whole completion, said as a message.

use super::json::{self, Members, Object, between, is_object, item, objects, put_joined, unquoted};
use super::usage::Usage;
use super::{Broken, broken, error};
use crate::lane::dialect::Failure;

/// Says a completion as a message. `model` is the client's name for the model.
///
/// # Errors
/// If the provider says in it that it failed, or it is no completion.
pub fn answer(body: &[u8], model: &str) -> Result<Vec<u8>, Failure> {
    said(body, model).map_err(|broken| *broken.0)
}

fn said(body: &[u8], model: &str) -> Result<Vec<u8>, Broken> {
    let body = str::from_utf8(body).ok().and_then(Object::read);
    let body = body.ok_or_else(|| broken("the provider's answer is not JSON"))?;
    if body.get("error").is_some() {
        return Err(error::told(&body));
    }
    let choices = body.objects("choices").unwrap_or_default();
    let choice = choices.first().ok_or_else(|| broken("the provider's answer has no choice"))?;
    let message = choice.object("message").unwrap_or_default();
    let id = message_id(body.word("id"));

    let mut out = Vec::new();
    let mut members = Members::begin(&mut out);
    members.string("id", &id);
    members.raw("type", "\"message\"");
    members.raw("role", "\"assistant\"");
    members.string("model", model);
    let (calls, refused) = content(&message, &id, members.name("content"))?;
    let end = End::of(choice, calls, refused)?;
    end.put(&mut members);
    let usage = body.object("usage").map(|usage| Usage::read(&usage)).unwrap_or_default();
    usage.put(members.name("usage"));
    members.end();

    Ok(out)
}

/// Writes the blocks: thinking, text, calls. Are there calls, and was it a refusal?
fn content(message: &Object<'_>, id: &str, out: &mut Vec<u8>) -> Result<(bool, bool), Broken> {
    json::put(out, "[");
    let mut ids = Ids::new(id);
    if let Some(thoughts) = thoughts(message) {
        let mut block = Members::begin(item(out));
        block.raw("type", "\"thinking\"");
        block.raw("thinking", thoughts);
        block.raw("signature", "\"\"");
        block.end();
    }
    let refusal = texts(message, "refusal");
    for text in [texts(message, "content"), refusal.clone()] {
        if !text.is_empty() {
            let mut block = Members::begin(item(out));
            block.raw("type", "\"text\"");
            put_joined(block.name("text"), &text);
            block.end();
        }
    }
    let calls = calls(message);
    for call in &calls {
        let function = call.function.as_ref();
        let name = function.and_then(|function| function.quoted("name"));
        let name = name.filter(|name| *name != "\"\"");
        let name = name.ok_or_else(|| broken("the provider calls a tool without a name"))?;
        let mut block = Members::begin(item(out));
        block.raw("type", "\"tool_use\"");
        block.string("id", &ids.next(call.id));
        block.raw("name", name);
        let given = function.and_then(|function| function.get("arguments"));
        block.raw("input", &input(given));
        block.end();
    }
    json::put(out, "]");

    Ok((!calls.is_empty(), !refusal.is_empty()))
}

/// The arguments as an object; an empty one where they are none.
fn input(given: Option<&str>) -> String {
    let given = given.unwrap_or_default();
    let text = if given.starts_with('"') { unquoted(given) } else { Some(given.to_owned()) };

    text.filter(|text| is_object(text)).unwrap_or_else(|| "{}".to_owned())
}

/// Thinking, which has two names; who says it under both says it once.
pub(super) fn thoughts<'a>(message: &Object<'a>) -> Option<&'a str> {
    let said = |name| message.quoted(name).filter(|text| *text != "\"\"");

    said("reasoning").or_else(|| said("reasoning_content"))
}

/// A text, or parts of one, as they stand between their quotes.
pub(super) fn texts<'a>(message: &Object<'a>, name: &str) -> Vec<&'a str> {
    let found = match message.get(name) {
        Some(text) if text.starts_with('"') => vec![between(text)],
        Some(list) => {
            let parts = objects(list).unwrap_or_default();
            parts.iter().filter_map(|part| part.quoted("text").map(between)).collect()
        }
        None => Vec::new(),
    };

    found.into_iter().filter(|text| !text.is_empty()).collect()
}

/// A call, or a piece of one.
pub(super) struct Call<'a> {
    pub(super) index: Option<u64>,
    /// As it stands; empty where there is none.
    pub(super) id: &'a str,
    pub(super) function: Option<Object<'a>>,
}

/// The calls of a message, the older single one too.
pub(super) fn calls<'a>(message: &Object<'a>) -> Vec<Call<'a>> {
    let mut calls: Vec<_> = message
        .objects("tool_calls")
        .unwrap_or_default()
        .iter()
        .map(|call| Call {
            index: call.number("index"),
            id: call.word("id"),
            function: call.object("function"),
        })
        .collect();
    if let Some(function) = message.object("function_call") {
        calls.push(Call { index: None, id: "", function: Some(function) });
    }

    calls
}

/// Why an answer ended.
#[derive(Debug, Clone)]
pub(super) struct End {
    reason: &'static str,
    /// The stop sequence that was met, where the provider says which, in quotes.
    sequence: Option<String>,
}

impl End {
    /// Reads a choice that has ended.
    pub(super) fn of(choice: &Object<'_>, calls: bool, refused: bool) -> Result<Self, Broken> {
        let sequence = choice.quoted("stop_reason");
        let reason = match choice.word("finish_reason") {
            "" => return Err(broken("the provider's answer is not finished")),
            "error" | "abort" => return Err(broken("the provider broke its answer off")),
            "length" => "max_tokens",
            finish if refused || finish.starts_with("content_filter") => "refusal",
            // Some say that they stopped and mean that they wait for their tools.
            _ if calls => "tool_use",
            "stop" if sequence.is_some() => "stop_sequence",
            _ => "end_turn",
        };

        Ok(Self {
            reason,
            sequence: sequence.filter(|_| reason == "stop_sequence").map(str::to_owned),
        })
    }

    /// Writes `stop_reason` and `stop_sequence`.
    pub(super) fn put(&self, members: &mut Members<'_>) {
        members.string("stop_reason", self.reason);
        members.raw("stop_sequence", self.sequence.as_deref().unwrap_or("null"));
    }
}

/// Ids of tool calls: letters, digits, `_` and `-` (Messages API, "Tool use"), no two alike in a message.
#[derive(Debug)]
pub(super) struct Ids {
    stem: String,
    given: Vec<String>,
}

impl Ids {
    /// For the message with this id.
    pub(super) fn new(message: &str) -> Self {
        let stem = message.strip_prefix("msg_").unwrap_or(message).to_owned();

        Self { stem, given: Vec::new() }
    }

    /// The next call's id. Where the provider gives none, the same answer has the same ids again.
    pub(super) fn next(&mut self, said: &str) -> String {
        let nth = self.given.len();
        let mut id = plain(said);
        if id.is_empty() {
            id = ["call_", &self.stem].concat();
        }
        if said.is_empty() || self.given.contains(&id) {
            id = [&id, "_", &nth.to_string()].concat();
        }
        self.given.push(id.clone());

        id
    }
}

/// The message's id, made of the completion's.
pub(super) fn message_id(said: &str) -> String {
    let said = if said.is_empty() { "0" } else { said };

    ["msg_", &plain(said.strip_prefix("chatcmpl-").unwrap_or(said))].concat()
}

#[inline(never)]
fn plain(id: &str) -> String {
    let sign = |sign: char| if sign.is_ascii_alphanumeric() || sign == '-' { sign } else { '_' };

    id.chars().take(128).map(sign).collect()
}
