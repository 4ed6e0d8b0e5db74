//! What of a row is no column: `payload`, JSON.

use super::content::{is_false, is_zero};
use super::{Content, Finding, Sequence, SignIn};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The `payload` column: JSON with these members and no others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Payload<'a> {
    /// As the column; the mission's SQL looks for it here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<Cow<'a, str>>,
    /// Cost centre, for chargeback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_centre: Option<Cow<'a, str>>,
    /// The model as the client wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_model: Option<Cow<'a, str>>,
    /// The lane that served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<Cow<'a, str>>,
    /// Whom the lanes asked, in order, the one that served last; absent where one was asked and took it as it was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt<'a>>,
    /// As the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<Cow<'a, str>>,
    /// The agent that started that agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_agent_id: Option<Cow<'a, str>>,
    /// The token's issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<Cow<'a, str>>,
    /// The token's subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<Cow<'a, str>>,
    /// The token's own session, where the client named another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_session_id: Option<Cow<'a, str>>,
    /// The certificate that the token is bound to, SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_sha256: Option<Cow<'a, str>>,
    /// The address the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_address: Option<Cow<'a, str>>,
    /// The provider's own id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_request_id: Option<Cow<'a, str>>,
    /// Was the answer streamed?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streamed: Option<bool>,
    /// Why the model stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<Cow<'a, str>>,
    /// Usage that has no column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<FineUsage>,
    /// Method and path, where the exchange was refused before its surface was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Cow<'a, str>>,
    /// What Envoy says of the end: its response flags and code details.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<Cow<'a, str>>,
    /// What a sign-in was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignIn>,
    /// What an operator changed, as it was before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    /// The same as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
    /// How many like it this row stands for; absent for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated: Option<u64>,
    /// What a reader should know of this row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Cow<'a, str>>,
    /// The refusal's own code, where `rule_id` names a rule of the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Cow<'a, str>>,
    /// What the policy's rules found in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding<'a>>,
    /// The zone that the policy does not let it leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Cow<'a, str>>,
    /// The labels that its route could match on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Cow<'a, str>>,
    /// Rules that would have denied it, had the caller not broken the glass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<Cow<'a, str>>,
    /// How long the row is to be kept at least, days; absent for as long as all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u32>,
    /// The `tool_use` blocks of the answer: calls that continue this one answer them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_uses: Vec<ToolUse<'a>>,
    /// The `tool_use` blocks that the user's messages behind the last answer answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Cow<'a, str>>,
    /// The MCP server that was called, by its id in the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp_server: Option<Cow<'a, str>>,
    /// The server's tool that was called, by the server's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<Cow<'a, str>>,
    /// What else a call of an MCP server was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp: Option<McpCall<'a>>,
    /// Where the record stands in its writer's sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
    /// SHA-256 of `content` as stored, hex. The chain covers this one, so content can be erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<Cow<'a, str>>,
    /// What was said. Always the last member: all before it is what the chain covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Content<'a>>,
}

/// One provider that was asked, by a lane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempt<'a> {
    /// The lane.
    pub lane: Cow<'a, str>,
    /// Its provider.
    pub provider: Cow<'a, str>,
    /// Where that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Cow<'a, str>>,
    /// The model by its name for it; absent where it never came so far.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub model: Cow<'a, str>,
    /// The status it answered; absent where it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why the provider was not even asked, or how the attempt ended other than by an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Cow<'a, str>>,
    /// How long it took, milliseconds.
    pub ms: u64,
    /// What of the request the provider has no words for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Cow<'a, str>>,
}

/// A `tool_use` block of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolUse<'a> {
    /// The block's id.
    pub id: Cow<'a, str>,
    /// The tool.
    pub name: Cow<'a, str>,
    /// SHA-256 of its input's [canonical form](crate::canonical), hex; only of tools of MCP servers,
    /// whose calls are found by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_sha256: Option<Cow<'a, str>>,
}

/// A call of an MCP server: one JSON-RPC message and its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct McpCall<'a> {
    /// JSON-RPC's method: `tools/call`, `tools/list`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'a, str>>,
    /// The version of MCP, as the client said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Cow<'a, str>>,
    /// The resource's URI or the prompt's name, where it is no tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
    /// The request's body.
    pub request_bytes: u64,
    /// The answer's body.
    pub answer_bytes: u64,
    /// SHA-256 of the [canonical form](crate::canonical) of the tool's arguments, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments_sha256: Option<Cow<'a, str>>,
    /// SHA-256 of the result as the server sent it, hex; of lists none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_sha256: Option<Cow<'a, str>>,
    /// The tool's own word that it failed.
    #[serde(skip_serializing_if = "is_false")]
    pub is_error: bool,
    /// Entries that were taken out of a list, because the policy hides them.
    #[serde(skip_serializing_if = "is_zero")]
    pub hidden: u32,
    /// Tools that were kept from the client, because their pinned description has changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Cow<'a, str>>,
    /// The approval that let it pass, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Cow<'a, str>>,
}

/// Usage by finer kinds than the columns have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FineUsage {
    /// Tokens written to the five-minute cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_5m: Option<u64>,
    /// Tokens written to the one-hour cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<u64>,
    /// Output tokens spent on thinking; a part of `tokens_out`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<u64>,
    /// Searches the provider made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_searches: Option<u64>,
    /// Pages the provider fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_fetches: Option<u64>,
}
