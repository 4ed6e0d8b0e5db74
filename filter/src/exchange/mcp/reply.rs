//! What the gate itself answers to clients of MCP.

use super::super::{Exchange, Progress, Verdict};
use crate::host::{Host, HostError};
use crate::mcp::said;
use crate::refusal::Refusal;
use crate::stages::mcp::Called;
use contract::audit::REPLY_MARK;
use contract::headers;

impl Exchange {
    /// Where one finds out how to sign in here (RFC 9728).
    pub(in crate::exchange) fn resource_metadata(
        &mut self,
        host: &impl Host,
    ) -> Result<Verdict, Refusal> {
        #[derive(serde::Serialize)]
        struct Metadata<'a> {
            resource: &'a str,
            authorization_servers: [&'a str; 1],
            bearer_methods_supported: [&'a str; 1],
        }
        let head = self.head.mcp.as_deref().ok_or(Refusal::GateFailed)?;
        let origin = self.gate.origin(&head.origin);
        let path =
            if head.server.is_empty() { String::new() } else { format!("/mcp/{}", head.server) };
        let metadata = Metadata {
            resource: &format!("{origin}{path}"),
            authorization_servers: [&self.gate.settings.issuer],
            bearer_methods_supported: ["header"],
        };
        let body = serde_json::to_vec(&metadata).unwrap_or_default();
        self.progress = Progress::Answered;
        host.set_state(REPLY_MARK, b"1")?;
        let fields = [("content-type", "application/json"), ("cache-control", "no-store")];
        host.reply(200, &fields, &body)?;

        Ok(Verdict::Hold)
    }

    /// Sends a refusal in JSON-RPC's shape. Clients of MCP read no other one.
    pub(in crate::exchange) fn reply_mcp_refusal(
        &self,
        host: &impl Host,
        refusal: Refusal,
    ) -> Result<(), HostError> {
        let head = self.head.mcp.as_deref();
        let era = head.map(|head| head.era).unwrap_or_default();
        let called = self.mcp.as_ref().map(|mcp| &mcp.called);
        let id = called.and_then(|called| called.id.as_deref());
        let told = self.told(host, refusal);
        let status = said::status(refusal, era, id.is_some());
        let message = sentence(refusal, &told.message, called);
        let approve = refusal == Refusal::ApprovalRequired;
        let readable = id.is_some()
            && called.is_some_and(|called| called.is_tool && (called.as_result || approve))
            && (approve || refusal == Refusal::ToolBlocked);
        let (status, body) = if readable {
            (200, said::result(id, era, &message))
        } else {
            let data = said::Data {
                refusal: refusal.code(),
                request_id: &self.head.request_id,
                supported: if refusal == Refusal::McpVersion {
                    &self.gate.protocol.stateless
                } else {
                    &[]
                },
                requested: head
                    .and_then(|head| head.version.as_deref())
                    .filter(|_| refusal == Refusal::McpVersion),
            };
            (status, said::error(id, said::code(refusal), &message, data))
        };
        let mut fields =
            vec![("content-type", "application/json"), (headers::REFUSAL, refusal.code())];
        if !self.head.request_id.is_empty() {
            fields.push((headers::X_REQUEST_ID, &self.head.request_id));
        }
        let after = told.retry_after.map(|seconds| seconds.to_string());
        if let Some(after) = &after {
            fields.push(("retry-after", after));
        }
        let challenge = head.map(|head| {
            let origin = self.gate.origin(&head.origin);
            let server = &head.server;
            format!(
                "Bearer resource_metadata=\"{origin}/.well-known/oauth-protected-resource/mcp/{server}\""
            )
        });
        if let Some(challenge) = challenge.as_deref().filter(|_| status == 401) {
            fields.push(("www-authenticate", challenge));
        }
        let marked = host.set_state(REPLY_MARK, b"1");
        host.reply(status, &fields, &body)?;

        marked
    }
}

/// What is told: of a tool that is blocked what every server says of one it does not have, unless the policy
/// wants the model to know why.
fn sentence(refusal: Refusal, told: &str, called: Option<&Called>) -> String {
    let name = called.and_then(|called| called.name.as_deref()).unwrap_or_default();
    let server = called.map(|called| called.server.as_str()).unwrap_or_default();
    match refusal {
        Refusal::ToolBlocked if called.is_some_and(|called| !called.as_result) => {
            format!("Unknown tool: {name}")
        }
        Refusal::McpPromptClosed => format!("Unknown prompt: {name}"),
        Refusal::McpResourceClosed => format!("Resource not found: {name}"),
        Refusal::McpMethodClosed => "Method not found".to_owned(),
        Refusal::ApprovalRequired => format!(
            "{told} Ask for it with the tool request_approval of the MCP server approvals (server {server}, tool \
             {name}, and exactly these arguments), wait for the decision, and then call again."
        ),
        _ => told.to_owned(),
    }
}
