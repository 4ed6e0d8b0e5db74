//! The conversation.

use super::parts::{self, Part, member, unknown};
use super::{No, Say, bad, bad_name};
use crate::lane::openai::json::{
    self, Members, Object, between, item, objects, put_joined, put_string,
};
use crate::lane::openai::table::dropped;

/// How Claude Code's first block of a system prompt begins. Anthropic takes it off; others would read it, and it
/// differs from call to call, so that nothing behind it would be found in a cache.
const ATTRIBUTION: &str = "x-anthropic-billing-header:";

/// What a tool's result begins with when it is an error: chat completions have no mark for it.
const FAILED: &str = "[tool error]";

/// What an assistant's turn is made of.
#[derive(Default)]
struct Turn<'a> {
    texts: Vec<&'a str>,
    thoughts: Vec<&'a str>,
    calls: Vec<Object<'a>>,
}

impl Say<'_> {
    /// Writes all messages, instructions first.
    pub(super) fn messages(&mut self, body: &Object<'_>, out: &mut Vec<u8>) -> Result<(), No> {
        json::put(out, "[");
        if let Some(system) = body.get("system") {
            self.system(system, out)?;
        }
        let turns = body.objects("messages").ok_or_else(|| bad("messages: a list is needed"))?;
        let mut answers = true;
        for turn in &turns {
            self.beside_block(turn);
            let role = turn.word("role");
            let content = turn.get("content").ok_or_else(|| bad("messages: no content"))?;
            answers = role != "assistant";
            match role {
                "user" => self.user(content, out)?,
                "assistant" => self.assistant(content, out)?,
                "system" => self.system(content, out)?,
                _ => {
                    return Err(bad_name("messages: there is no role ", role, ""));
                }
            }
        }
        if !answers {
            return Err(bad("messages: this provider cannot go on with an assistant's turn"));
        }
        json::put(out, "]");

        Ok(())
    }

    fn system(&mut self, content: &str, out: &mut Vec<u8>) -> Result<(), No> {
        let mut parts = Vec::new();
        if content.starts_with('"') {
            parts.push(Part::Text(between(content)));
        } else {
            let blocks = objects(content).ok_or_else(|| bad("system: text is needed"))?;
            for block in &blocks {
                match block.word("type") {
                    "text" => self.part(block, &mut parts)?,
                    other => return Err(unknown(other)),
                }
            }
        }
        let attributes =
            matches!(parts.first(), Some(Part::Text(text)) if text.starts_with(ATTRIBUTION));
        if attributes {
            self.drop(dropped::ATTRIBUTION);
            parts.remove(0);
        }
        if parts.iter().any(|part| matches!(part, Part::Text(text) if !text.is_empty())) {
            let role = self.provider.system_role.as_str();
            message(out, role, &mut |members| parts::put(members.name("content"), &parts));
        }

        Ok(())
    }

    fn user(&mut self, content: &str, out: &mut Vec<u8>) -> Result<(), No> {
        if content.starts_with('"') {
            message(out, "user", &mut |members| members.raw("content", content));
            return Ok(());
        }
        let blocks = objects(content).ok_or_else(|| bad("messages: content is no list"))?;
        // Results stand right behind the calls that they answer; what else the turn says comes after.
        let mut parts = Vec::new();
        let is_result = |block: &&Object<'_>| block.word("type") == "tool_result";
        for block in blocks.iter().filter(is_result) {
            self.result(block, &mut parts, out)?;
        }
        for block in blocks.iter().filter(|block| !is_result(block)) {
            self.part(block, &mut parts)?;
        }
        if !parts.is_empty() {
            message(out, "user", &mut |members| parts::put(members.name("content"), &parts));
        }

        Ok(())
    }

    /// Writes a tool's result. A message of a tool is text alone: pictures in it go to `later`, the user's message.
    fn result<'a>(
        &mut self,
        block: &Object<'a>,
        later: &mut Vec<Part<'a>>,
        out: &mut Vec<u8>,
    ) -> Result<(), No> {
        self.beside_block(block);
        let id = member(block, "tool_use_id")?;
        let mut parts = Vec::new();
        match block.get("content") {
            None => {}
            Some(text) if text.starts_with('"') => parts.push(Part::Text(between(text))),
            Some(list) => {
                let blocks = objects(list).ok_or_else(|| bad("tool_result: content is no list"))?;
                for inner in &blocks {
                    self.part(inner, &mut parts)?;
                }
            }
        }
        if block.is_true("is_error") {
            parts.insert(0, Part::Note(FAILED.to_owned()));
        }
        let (texts, pictures): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|part| matches!(part, Part::Text(_) | Part::Note(_)));
        if !pictures.is_empty() {
            later.push(Part::Note(["The tool's result ", id, " holds this:"].concat()));
            later.extend(pictures);
        }
        message(out, "tool", &mut |members| {
            put_joined(members.name("tool_call_id"), &[id]);
            parts::put(members.name("content"), &texts);
        });

        Ok(())
    }

    fn assistant(&mut self, content: &str, out: &mut Vec<u8>) -> Result<(), No> {
        if content.starts_with('"') {
            message(out, "assistant", &mut |members| members.raw("content", content));
            return Ok(());
        }
        let mut turn = Turn::default();
        for block in objects(content).ok_or_else(|| bad("messages: content is no list"))? {
            self.beside_block(&block);
            match block.word("type") {
                "text" => turn.texts.push(parts::text(&block)?),
                "tool_use" => turn.calls.push(block),
                "thinking" if self.provider.thinking.is_some() => {
                    turn.thoughts.push(member(&block, "thinking")?);
                }
                "thinking" | "redacted_thinking" => self.drop(dropped::THINKING),
                other => return Err(unknown(other)),
            }
        }
        let mut failed = None;
        message(out, "assistant", &mut |members| {
            if turn.texts.is_empty() && !turn.calls.is_empty() {
                members.raw("content", "null");
            } else {
                put_joined(members.name("content"), &turn.texts);
            }
            if let (Some(name), false) = (&self.provider.thinking, turn.thoughts.is_empty()) {
                put_joined(members.name(name), &turn.thoughts);
            }
            if !turn.calls.is_empty() {
                failed = self.calls(&turn.calls, members.name("tool_calls")).err();
            }
        });

        failed.map_or(Ok(()), Err)
    }

    fn calls(&self, calls: &[Object<'_>], out: &mut Vec<u8>) -> Result<(), No> {
        json::put(out, "[");
        let mut extra = self.provider.call_extra.as_deref();
        for call in calls {
            let (id, name) = (member(call, "id")?, member(call, "name")?);
            let mut members = Members::begin(item(out));
            put_joined(members.name("id"), &[id]);
            members.raw("type", "\"function\"");
            let mut function = Members::begin(members.name("function"));
            put_joined(function.name("name"), &[name]);
            put_string(function.name("arguments"), call.get("input").unwrap_or("{}"));
            function.end();
            for (name, value) in extra.take().and_then(Object::read).unwrap_or_default().members() {
                members.raw(name, value);
            }
            members.end();
        }
        json::put(out, "]");

        Ok(())
    }
}

/// Writes a message of this role; the rest is the caller's.
fn message(out: &mut Vec<u8>, role: &str, rest: &mut dyn FnMut(&mut Members<'_>)) {
    let out = item(out);
    let mut members = Members::begin(out);
    members.string("role", role);
    rest(&mut members);
    members.end();
}
