//! Every header we read, write or take away.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Everything under this prefix is ours: taken away from clients, never sent to a provider.
pub const RESERVED_PREFIX: &str = "x-tollgate-";

/// Who calls: verified e-mail in lower case, else the token's `sub`.
pub const USER_ID: &str = "x-user-id";
/// The session the token was minted in (`sid`).
pub const SESSION_ID: &str = "x-session-id";
/// A stretch of work; the only identity header that no claim fixes.
pub const TRACE_ID: &str = "x-trace-id";
/// The client program the token was minted for.
pub const CLIENT_ID: &str = "x-client-id";
/// The tenant.
pub const TENANT_ID: &str = "x-tenant-id";
/// The policy version at mint.
pub const POLICY_VERSION: &str = "x-policy-version";
/// `cowork`, `subagent` or `job`.
pub const CALL_SOURCE: &str = "x-call-source";

/// The seven identity headers (client → gate, never beyond).
pub const IDENTITY: [&str; 7] =
    [USER_ID, SESSION_ID, TRACE_ID, CLIENT_ID, TENANT_ID, POLICY_VERSION, CALL_SOURCE];

/// Claude Code's session (LLM gateway contract, §1.3).
pub const CLAUDE_SESSION_ID: &str = "x-claude-code-session-id";
/// Claude Code's sub-agent; absent on the main loop's requests.
pub const CLAUDE_AGENT_ID: &str = "x-claude-code-agent-id";
/// The agent that started the sub-agent.
pub const CLAUDE_PARENT_AGENT_ID: &str = "x-claude-code-parent-agent-id";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";

/// Envoy's id of the request; also what the client is told on a refusal.
pub const X_REQUEST_ID: &str = "x-request-id";
/// Anthropic's name for the id of a request.
pub const REQUEST_ID: &str = "request-id";

/// Gate → route table: which surface is called (`messages`, `count_tokens`, `mcp`).
pub const ROUTE_SURFACE: &str = "x-tollgate-surface";
/// Gate → route table: the normalised model name.
pub const ROUTE_MODEL: &str = "x-tollgate-model";
/// Gate → route table: the MCP server that is called, by its id in the policy.
pub const ROUTE_SERVER: &str = "x-tollgate-server";
/// Gate → route table: its tool that is called.
pub const ROUTE_TOOL: &str = "x-tollgate-tool";
/// Gate → route table: the caller's tenant.
pub const ROUTE_TENANT: &str = "x-tollgate-tenant";
/// Gate → route table: the caller's department.
pub const ROUTE_DEPARTMENT: &str = "x-tollgate-department";
/// Gate → route table: the agent id the client gave.
pub const ROUTE_AGENT: &str = "x-tollgate-agent";
/// Gate → route table: the caller's region claim.
pub const ROUTE_REGION: &str = "x-tollgate-region";
/// Gate → route table: the call source as judged.
pub const ROUTE_SOURCE: &str = "x-tollgate-source";
/// Gate → route table: the policy's labels, sorted and joined by commas.
pub const ROUTE_LABEL: &str = "x-tollgate-label";
/// Gate → route table and the filter that keeps callers in their zone, where the policy has rules over
/// residency: the zone.
pub const ROUTE_RESIDENCY: &str = "x-tollgate-residency";
/// Gate → route table, where `cost_classes` are configured: what the call is likely to cost.
pub const ROUTE_COST_CLASS: &str = "x-tollgate-cost-class";
/// Gate → route table, where `route_claims` asks for it: the person.
pub const ROUTE_USER: &str = "x-tollgate-user";
/// The same: the groups, sorted and joined by commas.
pub const ROUTE_GROUPS: &str = "x-tollgate-groups";
/// The same: the populations.
pub const ROUTE_POPULATIONS: &str = "x-tollgate-populations";
/// The same: the operator roles.
pub const ROUTE_ROLES: &str = "x-tollgate-roles";
/// The same: the client program.
pub const ROUTE_CLIENT: &str = "x-tollgate-client";
/// The same: the cost centre.
pub const ROUTE_COST_CENTRE: &str = "x-tollgate-cost-centre";
/// The same: how they signed in.
pub const ROUTE_TIER: &str = "x-tollgate-tier";
/// What a route header says where the fact is absent. Rate-limit descriptors are dropped when a
/// header is missing, so every fact is always there.
pub const ABSENT: &str = "none";

/// Gate → lane: which exchange it is, as [`crate::audit::Sequence`] writes itself. Only where there are lanes.
pub const EXCHANGE: &str = "x-tollgate-exchange";

/// Route → lane: `EXCHANGE;ZONE`, copied from [`EXCHANGE`] and [`ROUTE_RESIDENCY`] by the routes that lead to lanes,
/// because what begins with [`RESERVED_PREFIX`] ends at the boundary. The lane takes it away.
pub const LANE: &str = "tollgate-lane";

/// Envoy → sidecar: the client's address.
pub const SOURCE_ADDRESS: &str = "x-tollgate-source-address";
/// Envoy → sidecar: SHA-256 of the verified client certificate's DER, lower-case hex.
pub const PEER: &str = "x-tollgate-peer";
/// Envoy → sidecar: the certificate itself, PEM, percent-encoded.
pub const PEER_CERT: &str = "x-tollgate-peer-cert";

/// Sidecar → gate: who acted, as JSON ([`crate::audit::Acted`]); taken away before the client.
pub const CALLER: &str = "x-tollgate-caller";
/// Gate → client: the stable code of a refusal.
pub const REFUSAL: &str = "x-tollgate-refusal";

/// Which headers may leave towards a provider, and which may come back: dated data, because the
/// lists are other people's and change.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boundary {
    /// The day the lists were read off their sources.
    pub as_of: String,
    /// Where they were read.
    pub source: String,
    /// What may leave: an allow-list.
    pub request: Outbound,
    /// What may not come back.
    pub response: Inbound,
}

/// An allow-list of headers. Names in lower case.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbound {
    /// Whole names.
    pub exact: Vec<String>,
    /// Beginnings of names.
    pub prefix: Vec<String>,
}

impl Outbound {
    /// Is a header of this name on the list? Pseudo-headers are the transport's own.
    pub fn has(&self, name: &str) -> bool {
        name.starts_with(':')
            || self.exact.iter().any(|exact| exact == name)
            || self.prefix.iter().any(|prefix| name.starts_with(prefix.as_str()))
    }
}

/// What is withheld from the client. Names in lower case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inbound {
    /// Whole names.
    pub withheld: Vec<String>,
    /// Beginnings of names.
    pub withheld_prefix: Vec<String>,
}

impl Boundary {
    /// The lists this build ships.
    ///
    /// # Errors
    /// Only if the shipped file is broken, which a test rules out.
    pub fn shipped() -> Result<Self, serde_json::Error> {
        serde_json::from_slice(include_bytes!("../data/headers.json"))
    }

    /// May a request header of this name leave towards a provider?
    pub fn leaves(&self, name: &str) -> bool {
        self.request.has(name)
    }

    /// Must a response header of this name be withheld from the client?
    pub fn withheld(&self, name: &str) -> bool {
        self.response.withheld.iter().any(|exact| exact == name)
            || self.response.withheld_prefix.iter().any(|prefix| name.starts_with(prefix.as_str()))
    }
}

/// The seven identity headers of one caller, as the helper prints them.
pub type IdentityHeaders = BTreeMap<String, String>;

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn identity_and_reserved_headers_never_leave() {
        let boundary = Boundary::shipped().unwrap();

        for name in IDENTITY.into_iter().chain([
            "authorization",
            "x-api-key",
            "cookie",
            CLAUDE_SESSION_ID,
            "x-forwarded-for",
            X_REQUEST_ID,
            "x-envoy-original-path",
            "via",
            TRACEPARENT,
            ROUTE_MODEL,
        ]) {
            assert!(!boundary.leaves(name), "{name} must stay inside");
        }
    }

    #[test]
    fn what_the_messages_api_needs_leaves() {
        let boundary = Boundary::shipped().unwrap();

        for name in [":path", "content-type", "anthropic-beta", "anthropic-version", "user-agent"] {
            assert!(boundary.leaves(name), "{name} must reach the provider");
        }
    }

    #[test]
    fn shared_limits_and_account_ids_do_not_come_back() {
        let boundary = Boundary::shipped().unwrap();

        assert!(boundary.withheld("anthropic-ratelimit-tokens-remaining"));
        assert!(boundary.withheld("anthropic-organization-id"));
        assert!(!boundary.withheld("request-id"));
        assert!(!boundary.withheld("retry-after"));
    }
}
