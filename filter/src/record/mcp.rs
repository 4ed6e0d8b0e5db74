//! What the record says of a call of an MCP server.

use crate::mcp::answer::Told;
use crate::stages::mcp::Called;
use crate::stages::said;
use contract::audit::{self, Content, Event, Finding, McpCall, Outcome, Part};
use std::borrow::Cow;

/// Flag: messages of an MCP server were not let through.
const DROPPED: &str = "mcp_messages_dropped";

/// A name as the row has it: who is refused may have sent one without end.
fn clipped(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text.get(..text.floor_char_boundary(512)).unwrap_or_default())
}

/// Enters what was called of an MCP server.
pub fn mcp<'a>(event: &mut Event<'a>, called: &'a Called, version: Option<&'a str>) {
    let borrowed = |text: &'a Option<String>| text.as_deref().map(clipped);
    event.payload.mcp_server = Some(Cow::Borrowed(&called.server));
    event.payload.tool = borrowed(&called.name).filter(|_| called.is_tool);
    event.payload.mcp = Some(McpCall {
        method: Some(clipped(&called.method)).filter(|method| !method.is_empty()),
        protocol: version.map(Cow::Borrowed),
        name: borrowed(&called.name).filter(|_| !called.is_tool),
        request_bytes: u64::try_from(called.bytes).unwrap_or(u64::MAX),
        arguments_sha256: borrowed(&called.arguments_sha256),
        approval: borrowed(&called.approval),
        ..McpCall::default()
    });
    if let Some(arguments) = &called.arguments {
        let input = said::clipped(arguments, audit::LARGEST_CONTENT / 2);
        let name = clipped(called.name.as_deref().unwrap_or_default());
        event.payload.content = Some(Content {
            mode: called.terms.content(),
            input: vec![Part::ToolUse { id: "".into(), name, input }],
            ..Content::default()
        });
    }
    event.complete = true;
}

/// Enters what an MCP server answered. Where its answer was not let through, so is why.
pub fn told(event: &mut Event<'_>, called: &Called, told: Told) {
    let Told {
        bytes,
        hidden,
        withheld,
        findings,
        result_sha256,
        result,
        is_error,
        dropped,
        refused,
        ..
    } = told;
    if let Some(call) = &mut event.payload.mcp {
        call.answer_bytes = bytes;
        call.hidden = hidden;
        call.result_sha256 = result_sha256.map(Cow::Owned);
        call.is_error = is_error;
        call.withheld = withheld.iter().map(|(name, _)| Cow::Owned(name.clone())).collect();
    }
    for (name, digest) in withheld {
        event.payload.findings.push(Finding {
            rule_id: called.server.clone().into(),
            action: "withheld".into(),
            what: Some(name.into()),
            place: "result.tools".into(),
            digest: Some(digest.into()),
            ..Finding::default()
        });
    }
    event.payload.findings.extend(findings);
    if dropped > 0 {
        event.payload.flags.push(DROPPED.into());
    }
    if let (Some(content), Some(result)) = (&mut event.payload.content, result) {
        let text = said::clipped(&result, audit::LARGEST_CONTENT / 2);
        content.output = vec![Part::ToolResult { tool_use_id: "".into(), is_error, text }];
    }
    if let Some((refusal, rule)) = refused {
        event.outcome = if refusal.is_failure() { Outcome::Error } else { Outcome::Denied };
        event.rule_id = Some(rule.map_or_else(|| refusal.code().into(), Cow::Owned));
        event.payload.refusal = Some(refusal.code().into());
    }
}
