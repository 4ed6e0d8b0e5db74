//! MCP servers behind the gate, by the templates that ship in `envoy/mcp`, and callers who do by hand what clients do.

use crate::client::answer::Answer;
use crate::client::{Call, source};
use crate::provider::script::Script as ModelScript;
use crate::world::World;
use crate::world::certificates::Authority;
use crate::world::setup::Setup;
use http::Method;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The host that the templates name; a server behind TLS has to have a certificate for it.
pub const HOST: &str = "mcp.stripe.com";

/// The version of sessions that callers here speak.
pub const SESSIONS: &str = "2025-11-25";

/// A server that the gate shall lead to.
#[derive(Debug, Clone, Copy)]
pub struct Behind<'a> {
    /// Its id in the policy.
    pub id: &'a str,
    /// Where it listens.
    pub address: SocketAddr,
    /// The value of `authorization` that Envoy puts into calls.
    pub credential: &'a str,
    /// Who vouches for it; without, it speaks plain HTTP.
    pub authority: Option<&'a Authority>,
}

impl Behind<'_> {
    /// Adds cluster, secret and route to a setup. The server's own path is `/mcp`.
    pub fn add_to(self, setup: Setup) -> Setup {
        let Self { id, address, credential, authority } = self;
        let named = |text: &str| text.replace("mcp_stripe", &format!("mcp_{id}"));
        let cluster = named(include_str!("../../../envoy/mcp/clusters.yaml"))
            .replace(
                "{address: mcp.stripe.com, port_value: 443}",
                &format!("{{address: {}, port_value: {}}}", address.ip(), address.port()),
            )
            .replace("/etc/ssl/certs/ca-certificates.crt", &format!("tls/mcp_{id}.pem"));
        let cluster = if authority.is_some() { cluster } else { without_tls(&cluster) };
        let secret = named(include_str!("../../../envoy/mcp/secrets/mcp_stripe.yaml"))
            .replace("Bearer MCP_SERVER_TOKEN", credential);
        let own = address.to_string();
        let host = if authority.is_some() { HOST } else { &own };
        let route = named(include_str!("../../../envoy/mcp/routes.yaml"))
            .replace("path: /mcp/stripe", &format!("path: /mcp/{id}"))
            .replace("exact: stripe", &format!("exact: {id}"))
            .replace("prefix_rewrite: /", "prefix_rewrite: /mcp")
            .replace(HOST, host);
        let route: Vec<&str> = route
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.get(2..).unwrap_or_default())
            .collect();
        let (secrets, vouches) =
            (format!("run/secrets/mcp_{id}.yaml"), format!("run/tls/mcp_{id}.pem"));
        let setup = setup.clusters(&cluster).route(&route).file(secrets.leak(), secret);

        match authority {
            Some(authority) => setup.file(vouches.leak(), authority.pem()),
            None => setup,
        }
    }
}

/// The template for a server of the same machine, that has no certificate.
fn without_tls(cluster: &str) -> String {
    let (before, rest) = cluster.split_once("  transport_socket:\n").expect("a transport socket");
    let (_, behind) = rest.split_once("  typed_extension_protocol_options:\n").expect("options");
    let (options, rest) = behind.split_once("      auto_config:").expect("a choice by ALPN");
    let (_, filters) = rest.split_once("      http_filters:\n").expect("filters");

    format!(
        "{before}  typed_extension_protocol_options:\n{options}      explicit_http_config: {{http_protocol_options: {{}}}}\n      \
         http_filters:\n{filters}"
    )
}

/// Somebody's agent, at one server.
#[derive(Debug, Clone)]
pub struct Agent<'a> {
    world: &'a World,
    /// Its bearer token.
    pub token: String,
    /// The server's path on the gateway.
    pub path: String,
    /// Its session, as the gate told it; empty if it has none.
    pub session: String,
}

/// A token of this person: the part before the `@` is all that differs.
pub fn token(world: &World, email: &str) -> String {
    let name = email.split('@').next().unwrap_or_default().to_owned();

    world.token_with(|_, claims| {
        claims["email"] = json!(email);
        claims["sub"] = json!(format!("usr_{name}"));
        claims["sid"] = json!(format!("session-{name}"));
    })
}

impl<'a> Agent<'a> {
    /// One of this person's, without a session.
    pub fn of(world: &'a World, email: &str, server: &str) -> Self {
        let path = format!("/mcp/{server}");

        Self { world, token: token(world, email), path, session: String::new() }
    }

    /// The same with a session that it begins as clients do.
    pub async fn begun(world: &'a World, email: &str, server: &str) -> Self {
        let mut agent = Self::of(world, email, server);
        let answer = agent.initialize().send(world).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("mcp-session-id").clone_into(&mut agent.session);
        assert!(!agent.session.is_empty(), "{answer:?}");
        let begun = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let told = agent.post(&begun).send(world).await;
        assert_eq!(told.status, 202, "{}", told.text());

        agent
    }

    /// The first request of a session.
    pub fn initialize(&self) -> Call {
        let params = json!({ "protocolVersion": SESSIONS, "clientInfo": { "name": "e2e", "version": "1" },
            "capabilities": { "sampling": {}, "elicitation": {}, "roots": {} } });
        let message =
            json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });

        self.post(&message).without("mcp-protocol-version")
    }

    /// A request of this method of HTTP, in the session.
    fn empty(&self, method: Method) -> Call {
        let mut call = self.world.anonymous(&ModelScript::new()).path(&self.path).method(method);
        call.headers.clear();
        call.body.clear();
        call.source = source();
        let call = call
            .bearer(&self.token)
            .header("accept", "application/json, text/event-stream")
            .header("accept-encoding", "gzip, deflate")
            .header("accept-language", "*")
            .header("sec-fetch-mode", "cors")
            .header("user-agent", "e2e/1")
            .header("mcp-protocol-version", SESSIONS);

        if self.session.is_empty() { call } else { call.header("mcp-session-id", &self.session) }
    }

    /// A message.
    pub fn post(&self, message: &Value) -> Call {
        self.empty(Method::POST).header("content-type", "application/json").json(message)
    }

    /// A request of the era of sessions, with the id 1.
    pub fn asks(&self, method: &str, params: &Value) -> Call {
        self.post(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
    }

    /// The call of a tool.
    pub fn calls(&self, tool: &str, arguments: &Value) -> Call {
        self.asks("tools/call", &json!({ "name": tool, "arguments": arguments }))
    }

    /// A request of the stateless era, whose headers say what its body says.
    pub fn modern(&self, method: &str, params: &Value) -> Call {
        let mut params = if params.is_null() { json!({}) } else { params.clone() };
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
        params["_meta"]["io.modelcontextprotocol/clientInfo"] =
            json!({ "name": "e2e", "version": "1" });
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
            json!({ "sampling": {}, "elicitation": {} });
        let name = params["name"].as_str().or(params["uri"].as_str()).map(str::to_owned);
        let call = self.asks(method, &params).without("mcp-session-id");
        let call = call
            .without("mcp-protocol-version")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", method);

        name.into_iter().fold(call, |call, name| call.header("mcp-name", &name))
    }

    /// The session's own stream.
    pub fn listens(&self) -> Call {
        self.empty(Method::GET)
    }

    /// The session's end.
    pub fn leaves(&self) -> Call {
        self.empty(Method::DELETE)
    }
}

/// The messages of an answer, which may be one of JSON, or a stream.
pub fn messages(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    if answer.header("content-type").starts_with("text/event-stream") {
        super::raw::events(&text)
    } else {
        serde_json::from_str(&text).into_iter().collect()
    }
}

/// The one answer to a request with the id 1.
pub fn reply(answer: &Answer) -> Value {
    let mut found: Vec<Value> =
        messages(answer).into_iter().filter(|it| it["id"] == 1 && it["method"].is_null()).collect();
    assert_eq!(found.len(), 1, "one answer: {} {}", answer.status, answer.text());

    found.remove(0)
}
