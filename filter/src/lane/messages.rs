//! Providers that speak the Messages API but for a table: address, version, betas, names of models,
//! the frames of a stream ([`table`]).
//!
//! The body passes as it is where the row changes nothing. Where it does, the bytes of single
//! members are cut out and put in ([`crate::lane::edit`]): a provider's cache is keyed by the rest.

pub mod answer;
pub mod bedrock;
mod betas;
pub mod errors;
mod names;
pub mod passing;
pub mod table;

pub use table::Provider;

use crate::lane::dialect::{Ask, Outgoing, Stream, Unmappable, What, kind_of};
use crate::lane::edit::{Edits, Object, quoted};
use crate::lane::family::Terms;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use names::{Words, segment};
use std::rc::Rc;
use table::{Count, Framing, Model, Place};

/// The header of betas.
const BETA: &str = "anthropic-beta";
/// Members of any body that are looked at; those of the row's `remove` and of pairs come beside.
const LOOKED_AT: [&str; 5] =
    ["model", "stream", "anthropic_version", "anthropic_beta", "max_tokens"];

fn unmappable(status: u16, message: String) -> Unmappable {
    Unmappable { status, kind: kind_of(status), message }
}

/// A call in the provider's words.
///
/// # Errors
/// [`Unmappable`]: no name for the model, a body that is too large, a member that means nothing
/// there.
pub fn request(ask: &Ask<'_>, provider: &Provider, lane: &Terms) -> Result<Outgoing, Unmappable> {
    let row = provider.row;
    let mut looked_at = LOOKED_AT.to_vec();
    looked_at.extend(provider.pairs.iter().map(|pair| pair.member));
    looked_at.extend(row.body.remove.iter().filter(|name| !LOOKED_AT.contains(name)));
    let body = Object::read(ask.body, &looked_at)
        .ok()
        .ok_or_else(|| unmappable(400, "the body is not one JSON object".to_owned()))?;
    let asked =
        body.text("model").ok_or_else(|| unmappable(400, "the body has no model".to_owned()))?;
    let model = names::model(provider, lane, &asked)?;
    let stream = ask.what == What::Messages && body.value("stream") == Some(b"true");
    let mut out = Outgoing { stream, ..Outgoing::default() };

    let mut edits = Edits::default();
    headers(ask, provider, lane, &body, &mut edits, &mut out)?;
    members(ask, provider, &asked, &model, &body, &mut edits);
    if body.length(&edits) > row.largest_mb.saturating_mul(1024 * 1024) {
        let most = row.largest_mb;
        let message = format!("request too large for this upstream: it takes {most} MB");
        return Err(unmappable(413, message));
    }
    let counts = ask.what == What::CountTokens;
    if !edits.is_empty() {
        out.body = Some(body.apply(edits));
    }
    if counts && row.count == Count::Bedrock {
        let inner = STANDARD.encode(out.body.as_deref().unwrap_or(ask.body));
        out.body =
            Some(format!(r#"{{"input":{{"invokeModel":{{"body":"{inner}"}}}}}}"#).into_bytes());
    }
    let base = if counts && row.count == Count::Bedrock { names::base(&model)? } else { "" };
    let words = Words::new(provider, lane, [("model", &model), ("base", base)]);
    let path = match ask.what {
        What::CountTokens => row.paths.count_tokens,
        What::Messages if stream => row.paths.stream,
        What::Messages => row.paths.messages,
    };
    out.path = words.fill(path, segment)?;
    out.asked = asked.into_owned();
    out.model = model;

    Ok(out)
}

/// The headers, and betas wherever they go.
fn headers(
    ask: &Ask<'_>,
    provider: &Provider,
    lane: &Terms,
    body: &Object<'_>,
    edits: &mut Edits,
    out: &mut Outgoing,
) -> Result<(), Unmappable> {
    let row = provider.row;
    let words = Words::new(provider, lane, [("model", ""), ("base", "")]);
    for (name, value) in row.headers.set {
        out.set.push((name, words.fill(value, str::to_owned)?));
    }
    out.remove.extend(row.headers.remove);
    if row.framing == Framing::AwsEventstream {
        let kind =
            if out.stream { "application/vnd.amazon.eventstream" } else { "application/json" };
        out.set.push(("accept", kind.to_owned()));
    }

    // A body that was written for a cloud brings its own list.
    let inside: Vec<String> = body.get("anthropic_beta").unwrap_or_default();
    let inside = if row.betas.place == Place::Body { inside } else { Vec::new() };
    let asked = ask.betas.split(',').chain(inside.iter().map(String::as_str));
    let sorted = betas::sort(&row.betas, asked, &mut out.dropped);
    sorted.pair(provider.pairs, body, edits, &mut out.dropped)?;
    match row.betas.place {
        Place::Header if sorted.same => {}
        Place::Header if !sorted.kept.is_empty() => out.set.push((BETA, sorted.kept.join(","))),
        Place::Header | Place::Dropped => out.remove.push(BETA),
        Place::Body => {
            out.remove.push(BETA);
            body.remove("anthropic_beta", edits);
            if !sorted.kept.is_empty() {
                let list: Vec<_> = sorted.kept.iter().map(|name| quoted(name)).collect();
                edits.add("anthropic_beta", &[b"[", &*list.join(&b','), b"]"].concat());
            }
        }
    }

    Ok(())
}

/// The members of the body.
fn members(
    ask: &Ask<'_>,
    provider: &Provider,
    asked: &str,
    model: &str,
    body: &Object<'_>,
    edits: &mut Edits,
) {
    let row = provider.row;
    let counts = ask.what == What::CountTokens;
    if row.body.model == Model::Remove && !(counts && row.count == Count::Vertex) {
        body.remove("model", edits);
    } else {
        // Which release is counted for, nobody asks there.
        let model = match model.rsplit_once('@') {
            Some((before, "default" | "latest")) if counts => before,
            _ => model,
        };
        if model != asked {
            body.replace("model", quoted(model), edits);
        }
    }
    for name in row.body.remove {
        body.remove(name, edits);
    }
    if let Some(version) = row.body.anthropic_version {
        body.remove("anthropic_version", edits);
        edits.add("anthropic_version", &quoted(version));
    }
    // What is counted must be a call that could be made.
    if counts && row.count == Count::Bedrock && body.value("max_tokens").is_none() {
        edits.add("max_tokens", b"1");
    }
}

/// A reader for the streamed answer to a call that asked for this model.
pub fn stream(provider: &Provider, lane: &Rc<Terms>, asked: &str) -> Box<dyn Stream> {
    match provider.row.framing {
        Framing::Sse => Box::new(passing::Reader::new(provider, lane)),
        Framing::AwsEventstream => Box::new(bedrock::Reader::new(lane, asked)),
    }
}

#[cfg(test)]
mod tests;
