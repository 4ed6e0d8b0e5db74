//! A call of the Messages API, said as one of chat completions.
//!
//! What has no words there is either left out by a line of [`table`] or refused with a sentence: nothing is lost
//! unseen. Texts, schemas and arguments are copied as they stand.

mod options;
mod parts;
mod tools;
mod turns;

use super::json::{Members, Object, between, unquoted};
use super::provider::Provider;
use super::table::{self, dropped};
use crate::lane::dialect::{Ask, Outgoing, Unmappable, What, kind_of};
use crate::lane::family::Terms;

/// Headers of the Messages API that mean nothing to others.
const REMOVE: [&str; 13] = [
    "anthropic-beta",
    "anthropic-version",
    "anthropic-workspace-id",
    "anthropic-dangerous-direct-browser-access",
    "x-stainless-arch",
    "x-stainless-helper-method",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-retry-count",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
    "x-stainless-timeout",
];

/// Members of turns and blocks that are looked at; a signature goes where its thinking goes.
const SAID: [&str; 15] = [
    "role",
    "type",
    "text",
    "source",
    "title",
    "context",
    "id",
    "name",
    "input",
    "tool_use_id",
    "content",
    "is_error",
    "thinking",
    "signature",
    "data",
];

/// Says a call in the provider's words.
///
/// # Errors
/// If it has no words for something without which the answer would be another.
pub fn request(ask: &Ask<'_>, provider: &Provider, lane: &Terms) -> Result<Outgoing, Unmappable> {
    said(ask, provider, lane).map_err(|no| *no.0)
}

/// Why not: on the heap, for it is passed up from many places.
struct No(Box<Unmappable>);

fn said(ask: &Ask<'_>, provider: &Provider, lane: &Terms) -> Result<Outgoing, No> {
    if ask.what == What::CountTokens {
        return Err(unmappable(501, &["this provider does not count tokens"]));
    }
    let body = str::from_utf8(ask.body).ok().and_then(Object::read);
    let body = body.ok_or_else(|| bad("the body is not a JSON object"))?;
    let asked = body.quoted("model").ok_or_else(|| bad("model: a name is needed"))?;
    let Some(model) = lane.model(between(asked)) else {
        let mut no = bad_name("model: ", between(asked), " is not served here");
        (no.0.status, no.0.kind) = (404, kind_of(404));
        return Err(no);
    };
    let stream = body.is_true("stream");

    let mut say = Say { provider, lane, dropped: Vec::new() };
    say.beside(&body)?;
    let mut out = Vec::with_capacity(ask.body.len().saturating_add(1024));
    let mut members = Members::begin(&mut out);
    members.string("model", model);
    say.messages(&body, members.name("messages"))?;
    say.tools(&body, &mut members)?;
    say.options(&body, &mut members)?;
    if stream {
        members.raw("stream", "true");
        if provider.include_usage {
            members.raw("stream_options", r#"{"include_usage":true}"#);
        }
    }
    members.end();

    Ok(Outgoing {
        path: lane.path(provider, model),
        set: vec![("content-type", "application/json".to_owned())],
        remove: REMOVE.to_vec(),
        body: Some(out),
        asked: unquoted(asked).unwrap_or_default(),
        model: model.to_owned(),
        stream,
        dropped: say.dropped,
    })
}

/// A translation on its way.
struct Say<'a> {
    provider: &'a Provider,
    lane: &'a Terms,
    dropped: Vec<&'static str>,
}

impl Say<'_> {
    /// Something is left out.
    #[inline(never)]
    fn drop(&mut self, line: &'static str) {
        if !self.dropped.contains(&line) {
            self.dropped.push(line);
        }
    }

    /// The members of the body that nobody else looks at.
    fn beside(&mut self, body: &Object<'_>) -> Result<(), No> {
        for (name, value) in body.members() {
            if matches!(value, "null" | "[]") || table::MAPPED.contains(&name) {
                continue;
            }
            if table::REFUSED.contains(&name) {
                return Err(bad_name("", name, ": this provider has nothing of the kind"));
            }
            self.drop(match name {
                "output_format" => continue,
                "cache_control" => dropped::CACHE_CONTROL,
                "context_management" => dropped::CONTEXT_MANAGEMENT,
                "metadata" => dropped::METADATA,
                "service_tier" => dropped::SERVICE_TIER,
                "speed" => dropped::SPEED,
                _ => dropped::UNKNOWN,
            });
        }

        Ok(())
    }

    /// What stands in a turn or a block beside what is said of it.
    fn beside_block(&mut self, block: &Object<'_>) {
        for (name, value) in block.members() {
            match name {
                _ if matches!(value, "null" | "[]") || SAID.contains(&name) => {}
                "cache_control" => self.drop(dropped::CACHE_CONTROL),
                "citations" => self.drop(dropped::CITATIONS),
                _ => self.drop(dropped::UNKNOWN),
            }
        }
    }
}

#[inline(never)]
fn unmappable(status: u16, message: &[&str]) -> No {
    No(Box::new(Unmappable { status, kind: kind_of(status), message: message.concat() }))
}

/// What the caller can mend.
#[inline(never)]
fn bad(message: &str) -> No {
    unmappable(400, &[message])
}

/// What the caller can mend, with a name from outside.
#[inline(never)]
fn bad_name(before: &str, name: &str, behind: &str) -> No {
    let name: String = name.chars().filter(|sign| !sign.is_control()).take(80).collect();

    unmappable(400, &[before, &name, behind])
}
