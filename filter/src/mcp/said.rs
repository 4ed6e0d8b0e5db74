//! What the gate itself says to MCP clients: JSON-RPC errors, and results that a model can read.

use crate::refusal::Refusal;
use contract::mcp::Era;
use serde::Serialize;
use serde_json::value::RawValue;

/// Unknown tool, prompt or resource (JSON-RPC 2.0 §5.1, invalid params; so says MCP).
pub const INVALID_PARAMS: i32 = -32602;

/// Everything that MCP has no number for (JSON-RPC 2.0 §5.1, server error).
pub const OTHER: i32 = -32000;

#[derive(Serialize)]
struct Answer<'a> {
    jsonrpc: &'static str,
    id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Result<'a>>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: i32,
    message: &'a str,
    data: Data<'a>,
}

/// What a program reads of an error.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Data<'a> {
    /// The refusal's code.
    pub refusal: &'a str,
    /// The request's id, as the row has it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub request_id: &'a str,
    /// The versions that are known here (2026-07-28, `UnsupportedProtocolVersionError`).
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub supported: &'a [String],
    /// The version that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested: Option<&'a str>,
}

#[derive(Serialize)]
struct Result<'a> {
    content: [Text<'a>; 1],
    #[serde(rename = "isError")]
    is_error: bool,
    #[serde(rename = "resultType", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
}

#[derive(Serialize)]
struct Text<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

fn raw(id: Option<&str>) -> Option<Box<RawValue>> {
    RawValue::from_string(id?.to_owned()).ok()
}

/// An error. `id` is JSON as the client wrote it.
pub fn error(id: Option<&str>, code: i32, message: &str, data: Data<'_>) -> Vec<u8> {
    let id = raw(id);
    let error = Some(Error { code, message, data });
    let answer = Answer { jsonrpc: "2.0", id: id.as_deref(), error, result: None };

    serde_json::to_vec(&answer).unwrap_or_default()
}

/// A tool's result that says why it was not called.
pub fn result(id: Option<&str>, era: Era, text: &str) -> Vec<u8> {
    let id = raw(id);
    let kind = (era == Era::Stateless).then_some("complete");
    let result = Result { content: [Text { kind: "text", text }], is_error: true, kind };
    let answer = Answer { jsonrpc: "2.0", id: id.as_deref(), error: None, result: Some(result) };

    serde_json::to_vec(&answer).unwrap_or_default()
}

/// JSON-RPC's number for a refusal.
pub fn code(refusal: Refusal) -> i32 {
    match refusal {
        Refusal::ToolBlocked | Refusal::McpResourceClosed | Refusal::McpPromptClosed => {
            INVALID_PARAMS
        }
        Refusal::McpMethodClosed => -32601,
        Refusal::McpHeaderMismatch => -32020,
        Refusal::McpVersion => -32022,
        Refusal::BodyMalformed => -32700,
        Refusal::BodyMissing | Refusal::BodyDuplicate | Refusal::McpMessage | Refusal::McpBatch => {
            -32600
        }
        _ => OTHER,
    }
}

/// The status that a refusal is told with. `asked` says that it answers a request that could be read: up to 2025-11-25
/// clients read a reason only where the status says that all is well; the later ones have a status for each number.
pub fn status(refusal: Refusal, era: Era, asked: bool) -> u16 {
    let policy = matches!(
        refusal,
        Refusal::ToolBlocked
            | Refusal::ApprovalRequired
            | Refusal::SecretFound
            | Refusal::WordBlocked
            | Refusal::McpResourceClosed
            | Refusal::McpPromptClosed
            | Refusal::McpMethodClosed
    );
    match (era, code(refusal)) {
        _ if !asked || !policy => refusal.status(),
        (Era::Stateless, INVALID_PARAMS) => 400,
        (Era::Stateless, -32601) => 404,
        (Era::Stateless | Era::Sessions, _) => 200,
    }
}
