//! What a client promises a server, without what is closed.

use crate::lane::edit::{Edits, Object};
use crate::mcp::message::{self, Kind, Message};
use crate::refusal::Refusal;
use contract::policy::{Also, Mcp};

/// What the client says it can do for the server, without what is closed: a server that was told of it would ask,
/// and wait for an answer that never comes.
pub(super) fn without_closed(
    server: &Mcp<'_>,
    text: &str,
    message: &Message<'_>,
) -> Result<Option<Vec<u8>>, Refusal> {
    const CAPABILITIES: [(&str, Also); 4] = [
        ("sampling", Also::Sampling),
        ("elicitation", Also::Elicitation),
        ("roots", Also::Roots),
        ("tasks", Also::Tasks),
    ];
    let closed: Vec<&'static str> = CAPABILITIES
        .iter()
        .filter(|(_, also)| !server.also(*also))
        .map(|(name, _)| *name)
        .collect();
    // A server that knows both eras goes by the header; what stands in the other's place goes as well.
    let stateless: &[&'static str] =
        &["params", "_meta", "io.modelcontextprotocol/clientCapabilities"];
    let sessions: &[&'static str] = &["params", "capabilities"];
    let paths: &[&[&'static str]] = match (&*message.method, message.kind) {
        ("initialize", _) => &[sessions, stateless],
        (_, Kind::Request) => &[stateless],
        _ => return Ok(None),
    };
    let mut instead: Option<Vec<u8>> = None;
    for path in paths {
        let text = instead.as_deref().unwrap_or(text.as_bytes());
        if let Some(new) = without(text, path, &closed)? {
            instead = Some(new);
        }
    }

    Ok(instead)
}

/// JSON without these members of an object in it; none where there are none of them.
fn without(
    json: &[u8],
    path: &[&'static str],
    names: &[&'static str],
) -> Result<Option<Vec<u8>>, Refusal> {
    let mut edits = Edits::default();
    let wanted = path.first().map_or(names, std::slice::from_ref);
    // In another case, or twice, they would stay.
    let text = str::from_utf8(json).or(Err(Refusal::BodyMalformed))?;
    if message::is_twice(text, wanted) {
        return Err(Refusal::BodyDuplicate);
    }
    let Ok(object) = Object::read(json, wanted) else { return Ok(None) };
    match path.split_first() {
        None => {
            for name in names {
                object.remove(name, &mut edits);
            }
        }
        Some((first, rest)) => {
            let Some(inner) = object.value(first) else { return Ok(None) };
            if let Some(inner) = without(inner, rest, names)? {
                object.replace(first, inner, &mut edits);
            }
        }
    }

    Ok((!edits.is_empty()).then(|| object.apply(edits)))
}
