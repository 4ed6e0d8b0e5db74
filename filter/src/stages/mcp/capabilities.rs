//! What a client promises a server, without what is closed.

use super::Asking;
use crate::lane::edit::{Edits, Object};
use crate::mcp::message::{Kind, Message};
use contract::mcp::Era;
use contract::policy::{Also, Mcp};

impl<'a> Asking<'a> {
    /// What the client says it can do for the server, without what is closed: a server that was told of it would ask,
    /// and wait for an answer that never comes.
    pub(super) fn without_closed(
        &self,
        server: &Mcp<'a>,
        text: &str,
        message: &Message<'_>,
    ) -> Option<Vec<u8>> {
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
        let path: &[&'static str] = match (self.head.era, &*message.method) {
            (Era::Sessions, "initialize") => &["params", "capabilities"],
            (Era::Stateless, _) if message.kind == Kind::Request => {
                &["params", "_meta", "io.modelcontextprotocol/clientCapabilities"]
            }
            _ => return None,
        };

        without(text.as_bytes(), path, &closed)
    }
}

/// JSON without these members of an object in it; none where there are none of them.
fn without(json: &[u8], path: &[&'static str], names: &[&'static str]) -> Option<Vec<u8>> {
    let mut edits = Edits::default();
    let object = match path.split_first() {
        None => {
            let object = Object::read(json, names).ok()?;
            for name in names {
                object.remove(name, &mut edits);
            }
            object
        }
        Some((first, rest)) => {
            let object = Object::read(json, std::slice::from_ref(first)).ok()?;
            let inner = without(object.value(first)?, rest, names)?;
            object.replace(first, inner, &mut edits);
            object
        }
    };

    (!edits.is_empty()).then(|| object.apply(edits))
}
