//! One message of a server → what this caller may see of it.
//!
//! What a message is, is read off its form and not off the request it seems to answer: a stream that is taken up again
//! brings answers to requests that this exchange never saw. A list in an answer is filtered wherever one stands.

use super::message::{Fault, Kind, Message, members, read, word};
use super::said;
use crate::refusal::Refusal;
use contract::audit::Finding;
use contract::canonical;
use contract::envelope::hex;
use contract::mcp::{Era, Protocol};
use contract::policy::{Also, Listed, Mcp, Policy, Scanned, Subject};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::ops::Range;

/// What a message is looked at with.
#[derive(Debug)]
pub struct View<'a> {
    /// The server, for this caller.
    pub server: &'a Mcp<'a>,
    /// The policy.
    pub policy: &'a Policy,
    /// The caller.
    pub subject: &'a Subject<'a>,
    /// The protocol.
    pub protocol: &'a Protocol,
    /// Its rules.
    pub era: Era,
    /// The id of the request that is answered; none on a stream that answers none.
    pub id: Option<&'a str>,
    /// The request's id, as the row has it.
    pub request_id: &'a str,
}

/// Why an answer was not let through: the refusal, and the rule if one says so.
type Why = (Refusal, Option<String>);

/// What was seen of a server's messages.
#[derive(Debug, Default)]
pub struct Told {
    /// Was the request answered?
    pub answered: bool,
    /// Bytes of all messages.
    pub bytes: u64,
    /// Entries taken out of lists.
    pub hidden: u32,
    /// Tools whose definition is not the one that was approved of, and the digest of what they have.
    pub withheld: Vec<(String, String)>,
    /// Those of them that are pinned.
    pub changed: Vec<String>,
    /// Tools whose definition is the one that was approved of.
    pub shown: Vec<String>,
    /// What was found.
    pub findings: Vec<Finding<'static>>,
    /// SHA-256 of the result, hex.
    pub result_sha256: Option<String>,
    /// The result, where it is kept.
    pub result: Option<Vec<u8>>,
    /// Is a result kept?
    pub keeps: bool,
    /// Does the tool say that it failed?
    pub is_error: bool,
    /// Messages that were not let through.
    pub dropped: u32,
    /// Why the answer was not let through.
    pub refused: Option<Why>,
}

/// A text in which some pieces are others. All else is copied once, as it stands.
struct Pieces<'t> {
    text: &'t str,
    others: Vec<(Range<usize>, Vec<u8>)>,
}

impl<'t> Pieces<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, others: Vec::new() }
    }

    /// Another piece in the place of this one, which is a part of the text.
    fn replace(&mut self, part: &str, other: Vec<u8>) {
        let start = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        let range = start..start.saturating_add(part.len());
        let at = self.others.iter().take_while(|(known, _)| known.start <= range.start).count();
        self.others.insert(at, (range, other));
    }

    fn join(self) -> Vec<u8> {
        let bytes = self.text.as_bytes();
        let mut out = Vec::with_capacity(bytes.len());
        let mut from = 0;
        for (range, other) in self.others {
            out.extend_from_slice(bytes.get(from..range.start).unwrap_or_default());
            out.extend_from_slice(&other);
            from = range.end;
        }
        out.extend_from_slice(bytes.get(from..).unwrap_or_default());

        out
    }
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// It goes on.
    AsItIs,
    /// This goes on in its place.
    Instead(Vec<u8>),
    /// It ends here.
    Dropped,
}

/// Most finds that a row tells.
const MOST_FOUND: usize = 32;

/// Most tools that a row names as withheld, beside those that are pinned.
const MOST_WITHHELD: usize = 32;

/// Looks at a message.
pub fn pass(view: &View<'_>, text: &str, told: &mut Told) -> Passed {
    told.bytes = told.bytes.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
    let message = match read(text) {
        Ok(message) => message,
        Err(Fault::Batch | Fault::Malformed | Fault::Twice) => return dropped(told),
    };
    match message.kind {
        Kind::Request | Kind::Notification => view.asks(&message, text, told),
        Kind::Error | Kind::Result => view.answers(&message, text, told),
    }
}

fn dropped(told: &mut Told) -> Passed {
    told.dropped = told.dropped.saturating_add(1);

    Passed::Dropped
}

impl View<'_> {
    /// The server asks for something, or tells something.
    fn asks(&self, message: &Message<'_>, text: &str, told: &mut Told) -> Passed {
        let needs = self.protocol.server.get(&*message.method);
        let open =
            needs.is_some_and(|needs| needs.also().is_none_or(|also| self.server.also(also)));
        // From 2026-07-28 on servers ask inside of results alone.
        let odd = message.kind == Kind::Request && self.era == Era::Stateless;
        let closed = match members(message.content.unwrap_or("{}"), ["uri"]) {
            Ok([None]) => false,
            Ok([Some(uri)]) => word(uri).is_none_or(|uri| !self.server.resource(&uri).is_open()),
            Err(_) => true,
        };
        if !open || odd || closed || self.finds(text, told).is_some() {
            return dropped(told);
        }

        Passed::AsItIs
    }

    /// The server answers.
    fn answers(&self, message: &Message<'_>, text: &str, told: &mut Told) -> Passed {
        if self.id.is_some() && message.id != self.id {
            // Who reads whatever comes on the stream would take it for the answer.
            let ours = message.kind == Kind::Error && message.id.is_none();
            if !ours {
                return dropped(told);
            }
        }
        told.answered = true;
        let content = message.content.unwrap_or("{}");
        if message.kind == Kind::Result && told.keeps {
            told.result = Some(content.as_bytes().to_vec());
        }
        if let Some((instead, why)) = self.finds(text, told) {
            told.result = None;
            told.refused.get_or_insert(why);
            return Passed::Instead(instead);
        }
        if message.kind == Kind::Error {
            // It has the person sent somewhere (2025-11-25, `URLElicitationRequiredError`).
            let code = members(content, ["code"]).ok().and_then(|[code]| code);
            if code == Some("-32042") && !self.server.also(Also::Elicitation) {
                return self.refuses(Refusal::McpInputClosed, told);
            }
            return Passed::AsItIs;
        }
        match self.result(text, content, told) {
            Ok(None) => Passed::AsItIs,
            Ok(Some(whole)) => Passed::Instead(whole),
            Err(refusal) => self.refuses(refusal, told),
        }
    }

    /// The answer is withheld, and the client told so.
    pub fn refuses(&self, refusal: Refusal, told: &mut Told) -> Passed {
        told.result = None;
        told.refused.get_or_insert((refusal, None));
        told.answered = true;

        Passed::Instead(self.error(refusal, refusal.message()))
    }

    /// An error in the place of an answer.
    pub fn error(&self, refusal: Refusal, message: &str) -> Vec<u8> {
        let data = said::Data {
            refusal: refusal.code(),
            request_id: self.request_id,
            ..said::Data::default()
        };

        said::error(self.id, said::OTHER, message, data)
    }

    /// The message with its result as this caller may see it; none where it is all theirs.
    fn result(
        &self,
        text: &str,
        result: &str,
        told: &mut Told,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        const NAMES: [&str; 8] = [
            "tools",
            "resources",
            "resourceTemplates",
            "prompts",
            "inputRequests",
            "isError",
            "ttlMs",
            "cacheScope",
        ];
        let found = members(result, NAMES).or(Err(Refusal::McpServerFailed))?;
        let [tools, resources, templates, prompts, asks, is_error, ttl, scope] = found;
        told.is_error = is_error == Some("true");
        if let Some(asks) = asks {
            self.inputs(asks)?;
        }
        let lists = [tools, resources, templates, prompts];
        if lists.iter().all(Option::is_none) {
            told.result_sha256 = Some(hex(&Sha256::digest(result)));
            return Ok(None);
        }
        told.result = None;
        let mut pieces = Pieces::new(text);
        for (name, list) in NAMES.into_iter().zip(lists) {
            let Some(list) = list else { continue };
            pieces.replace(list, self.list(name, list, told)?);
        }
        // What is shown to one is not what is shown to another, and a policy can change at any moment.
        for (name, value, said) in [("ttlMs", "0", ttl), ("cacheScope", "\"private\"", scope)] {
            match said {
                Some(said) => pieces.replace(said, value.into()),
                None if self.era == Era::Stateless => {
                    // Behind the brace; a list follows.
                    let behind = result.get(1..1).unwrap_or_default();
                    pieces.replace(behind, format!("\"{name}\":{value},").into_bytes());
                }
                None => {}
            }
        }

        Ok(Some(pieces.join()))
    }

    /// A list without what this caller may not see.
    fn list(&self, name: &str, list: &str, told: &mut Told) -> Result<Vec<u8>, Refusal> {
        let entries: Vec<&RawValue> =
            serde_json::from_slice(list.as_bytes()).or(Err(Refusal::McpServerFailed))?;
        let mut kept = Vec::with_capacity(list.len());
        kept.push(b'[');
        for entry in entries {
            if self.shows(name, entry.get(), told) {
                if kept.len() > 1 {
                    kept.push(b',');
                }
                kept.extend_from_slice(entry.get().as_bytes());
            } else {
                told.hidden = told.hidden.saturating_add(1);
            }
        }
        kept.push(b']');

        Ok(kept)
    }

    fn shows(&self, list: &str, entry: &str, told: &mut Told) -> bool {
        // Without a name, or with two, it is nobody's.
        let Ok([name, uri, template]) = members(entry, ["name", "uri", "uriTemplate"]) else {
            return false;
        };
        let by = |raw: Option<&str>, is_open: &dyn Fn(&str) -> bool| {
            raw.and_then(word).is_some_and(|text| is_open(&text))
        };
        match list {
            "resources" => by(uri, &|uri| self.server.resource(uri).is_open()),
            "resourceTemplates" => by(template, &|uri| self.server.resource(uri).is_open()),
            "prompts" => by(name, &|name| self.server.prompt(name).is_open()),
            _ => name.and_then(word).is_some_and(|name| self.tool(&name, entry, told)),
        }
    }

    fn tool(&self, name: &str, definition: &str, told: &mut Told) -> bool {
        let digest = || canonical::digest(definition.as_bytes()).ok().map(|digest| hex(&digest));
        match self.server.lists(name, digest) {
            Listed::Shown => {
                let pins = &self.server.gateway().pins;
                if pins.contains_key(name) && !told.shown.iter().any(|known| known == name) {
                    told.shown.push(name.to_owned());
                }
                true
            }
            Listed::Hidden => false,
            Listed::Withheld => {
                let pinned = self.server.gateway().pins.contains_key(name);
                let known = told.withheld.iter().any(|(known, _)| known == name);
                if pinned && !known {
                    told.changed.push(name.to_owned());
                }
                if !known && (pinned || told.withheld.len() < MOST_WITHHELD) {
                    told.withheld.push((name.to_owned(), digest().unwrap_or_default()));
                }
                false
            }
        }
    }

    /// What a server asks for inside of a result (2026-07-28, "Multi Round-Trip Requests").
    fn inputs(&self, asks: &str) -> Result<(), Refusal> {
        let asks: std::collections::BTreeMap<String, &RawValue> =
            serde_json::from_slice(asks.as_bytes()).or(Err(Refusal::McpServerFailed))?;
        for ask in asks.values() {
            let [method] = members(ask.get(), ["method"]).or(Err(Refusal::McpServerFailed))?;
            let method = method.and_then(word).unwrap_or_default();
            let also = self.protocol.server.get(&*method).and_then(|needs| needs.also());
            if !also.is_some_and(|also| self.server.also(also)) {
                return Err(Refusal::McpInputClosed);
            }
        }

        Ok(())
    }

    /// Is there something in an error that may not come here? The row tells.
    pub fn has_finds(&self, text: &str, told: &mut Told) -> bool {
        let found = self.finds(text, told);
        found.map(|(_, why)| told.refused.get_or_insert(why)).is_some()
    }

    /// Is there something in it that may not come here? Then what the client gets instead.
    fn finds(&self, text: &str, told: &mut Told) -> Option<(Vec<u8>, Why)> {
        if !self.policy.looks_for_something() {
            return None;
        }
        let Scanned { found, denial, .. } = self.policy.scan(self.subject, text.as_bytes());
        let room = MOST_FOUND.saturating_sub(told.findings.len());
        told.findings.extend(found.into_iter().take(room).map(crate::stages::scan::finding));
        let denial = denial?;
        let refusal = Refusal::from(denial.why);
        let why = (refusal, denial.rule_id.map(ToOwned::to_owned));
        let error = self.error(
            refusal,
            "The server's answer has something in it that your organization does not let through.",
        );

        Some((error, why))
    }
}
