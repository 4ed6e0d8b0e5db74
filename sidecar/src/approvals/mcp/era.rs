//! Which of the two protocols a request speaks, and whether its headers say what its body says.

use super::reading::{Asked, Message};
use super::{Fault, HEADER_MISMATCH, UNSUPPORTED_VERSION, server};
use axum::http::HeaderMap;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// The version that says everything in each request.
pub(super) const MODERN: &str = "2026-07-28";

/// The versions that shake hands first, the newest first.
pub(super) const LEGACY: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/// The protocol that a request speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// Versions of 2025.
    Legacy,
    /// 2026-07-28.
    Modern,
}

impl Era {
    /// Which it is. A header that says other than the body could have been judged by on the way: it is refused.
    pub(super) fn of(head: &HeaderMap, message: &Message) -> Result<Self, Fault> {
        if message.method == "initialize" {
            return Ok(Self::Legacy);
        }
        let asked: Asked = message.params()?;
        let (header, body) = (one(head, "mcp-protocol-version")?, asked.version());
        match (header.as_deref(), body) {
            (None, None) => Ok(Self::Legacy),
            (Some(version), None) if LEGACY.contains(&version) => Ok(Self::Legacy),
            (Some(version), None) if version != MODERN => Err(unsupported(version)),
            (Some(header), Some(body)) if header == body && body != MODERN => {
                Err(unsupported(body))
            }
            (header, body) => {
                same("MCP-Protocol-Version", header, body)?;
                let method = one(head, "mcp-method")?;
                same("Mcp-Method", method.as_deref(), Some(&message.method))?;
                if message.method == "tools/call" {
                    let name = one(head, "mcp-name")?.map(decoded).transpose()?;
                    same("Mcp-Name", name.as_deref(), asked.name.as_deref())?;
                }
                Ok(Self::Modern)
            }
        }
    }

    /// A result as this protocol has it.
    pub(super) fn completed(self, mut result: Value) -> Value {
        if self == Self::Modern
            && let Some(members) = result.as_object_mut()
        {
            members.insert("resultType".to_owned(), "complete".into());
            let meta = json!({ "io.modelcontextprotocol/serverInfo": server() });
            members.insert("_meta".to_owned(), meta);
        }

        result
    }
}

fn unsupported(version: &str) -> Fault {
    let requested: String = version.chars().take(32).collect();
    let supported: Vec<&str> = [MODERN].into_iter().chain(LEGACY).collect();
    let data = json!({ "supported": supported, "requested": requested });

    Fault { data: Some(data), ..Fault::bad(UNSUPPORTED_VERSION, "Unsupported protocol version") }
}

fn same(name: &str, header: Option<&str>, body: Option<&str>) -> Result<(), Fault> {
    if header.is_some() && header == body {
        return Ok(());
    }
    let what = if header.is_none() { "is missing" } else { "does not match the body" };

    Err(Fault::bad(HEADER_MISMATCH, format!("Header mismatch: {name} {what}")))
}

/// A header that stands there once at most.
fn one(head: &HeaderMap, name: &str) -> Result<Option<String>, Fault> {
    let malformed = || Fault::bad(HEADER_MISMATCH, format!("Header mismatch: {name} is malformed"));
    let mut values = head.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            Ok(Some(value.to_str().map_err(|_not_ascii| malformed())?.to_owned()))
        }
        (Some(_), Some(_)) => Err(malformed()),
    }
}

/// `=?base64?…?=` (2026-07-28, "Value Encoding").
fn decoded(value: String) -> Result<String, Fault> {
    let inner = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    let Some(inner) = inner else { return Ok(value) };
    let bytes = BASE64_STANDARD.decode(inner).unwrap_or_default();

    String::from_utf8(bytes)
        .map_err(|_not_utf8| Fault::bad(HEADER_MISMATCH, "Header mismatch: Mcp-Name is malformed"))
}
