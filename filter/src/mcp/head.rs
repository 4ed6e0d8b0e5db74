//! What the headers of an MCP request say, and whether its body says the same.

use super::message::{Fault, Kind, Message, members, word};
use crate::host::Headers;
use crate::refusal::Refusal;
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::mcp::{Era, Protocol};
use serde_json::Value;

/// Longest value of a header that is compared, bytes.
const LONGEST: usize = 8 * 1024; // an address of a resource, in base64

/// Most `Mcp-Param-*` of one request.
const MOST: usize = 32;

/// Headers of an MCP request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The server, by the path.
    pub server: String,
    /// Is it a POST? Only such have a message.
    pub posts: bool,
    /// The era of the version it says.
    pub era: Era,
    /// `MCP-Protocol-Version`.
    pub version: Option<String>,
    /// `MCP-Session-Id`, sealed.
    pub session: Option<String>,
    /// Does it take up a stream again?
    pub resumes: bool,
    /// `Mcp-Method`.
    method: Option<String>,
    /// `Mcp-Name`.
    name: Option<String>,
    /// `Mcp-Param-*`.
    params: Vec<(String, String)>,
    /// Names of the headers that may not leave.
    pub inside: Vec<String>,
    /// Where the client believes to be: `https://gateway.example`.
    pub origin: String,
}

/// The server of a path, if it is one of MCP's: `/mcp/NAME` and nothing behind it.
pub fn server(path: &str) -> Option<&str> {
    let name = path.strip_prefix("/mcp/")?;
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);

    (!name.is_empty() && name.len() <= 64 && name.bytes().all(plain)).then_some(name)
}

impl Head {
    /// Of a request to this server; does a message follow?
    pub fn of(server: &str, posts: bool) -> Self {
        Self { server: server.to_owned(), posts, ..Self::default() }
    }

    /// Reads the headers. `ours` is where this gateway is known to be, if it has been told.
    ///
    /// # Errors
    /// A [`Refusal`] for a value that cannot be one, a version that is not known here, and a page of somebody else.
    pub fn read(
        &mut self,
        headers: &Headers,
        protocol: &Protocol,
        ours: Option<&str>,
    ) -> Result<(), Refusal> {
        let (mut scheme, mut authority, mut from) = ("", "", None);
        for (name, value) in headers.iter() {
            let name = str::from_utf8(name).or(Err(Refusal::HeaderMalformed))?;
            if !protocol.leaves(name) && !self.inside.iter().any(|known| known == name) {
                self.inside.push(name.to_owned());
            }
            let slot = match name {
                ":scheme" => {
                    scheme = str::from_utf8(value).unwrap_or_default();
                    continue;
                }
                ":authority" => {
                    authority = str::from_utf8(value).unwrap_or_default();
                    continue;
                }
                "origin" => {
                    from = Some(str::from_utf8(value).unwrap_or("?"));
                    continue;
                }
                "last-event-id" => {
                    self.resumes = true;
                    continue;
                }
                "mcp-protocol-version" => &mut self.version,
                "mcp-session-id" => &mut self.session,
                "mcp-method" => &mut self.method,
                "mcp-name" => &mut self.name,
                _ => match name.strip_prefix("mcp-param-") {
                    Some(param) if self.params.len() < MOST => {
                        self.params.push((param.to_owned(), plain(value)?));
                        continue;
                    }
                    Some(_) => return Err(Refusal::HeaderMalformed),
                    None => continue,
                },
            };
            if slot.replace(plain(value)?).is_some() {
                return Err(Refusal::HeaderTwice);
            }
        }
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
        if !authority.is_empty() && authority.bytes().all(good) {
            self.origin = format!("{scheme}://{authority}");
        }
        // A page in a browser that is not ours has no business here (MCP, "Security Warning": DNS rebinding). Where the
        // request itself says it went proves nothing: a name that was led here stands in both headers.
        if from.is_some_and(|from| Some(from) != ours) {
            return Err(Refusal::McpOrigin);
        }
        self.era = protocol.era(self.version.as_deref()).ok_or(Refusal::McpVersion)?;

        Ok(())
    }

    /// Does the body say what the headers say? Where they must say it, they must be there (2026-07-28, "Server
    /// Validation"); where they need not, one that says something else is refused all the same.
    ///
    /// # Errors
    /// [`Refusal::McpHeaderMismatch`].
    pub fn agrees(&self, message: &Message<'_>, subject: Option<&str>) -> Result<(), Refusal> {
        let stateless = self.era == Era::Stateless;
        if !self.params.is_empty() && message.method != "tools/call" {
            return Err(Refusal::McpHeaderMismatch);
        }
        let asked = matches!(message.kind, Kind::Request | Kind::Notification);
        match &self.method {
            Some(method) if *method == message.method => {}
            None if !stateless || !asked => {}
            Some(_) | None => return Err(Refusal::McpHeaderMismatch),
        }
        let name = self.name.as_deref().map(decoded).transpose()?;
        let needs = ["tools/call", "resources/read", "prompts/get"].contains(&&*message.method);
        match (name, subject) {
            (Some(name), Some(subject)) if name == subject => {}
            (None, _) if !stateless || !needs => {}
            // Of methods that need none, a name says nothing.
            (Some(_), None) if !needs && stateless => {}
            _ => return Err(Refusal::McpHeaderMismatch),
        }
        if stateless && message.kind == Kind::Request {
            self.agrees_on_version(message.content.unwrap_or("{}"))?;
        }

        Ok(())
    }

    /// The version stands in the body as well.
    fn agrees_on_version(&self, params: &str) -> Result<(), Refusal> {
        let no = |_: Fault| Refusal::McpHeaderMismatch;
        let [meta] = members(params, ["_meta"]).map_err(no)?;
        let [version] = members(meta.unwrap_or("{}"), ["io.modelcontextprotocol/protocolVersion"])
            .map_err(no)?;
        match version.and_then(word) {
            Some(version) if Some(&*version) == self.version.as_deref() => Ok(()),
            _ => Err(Refusal::McpHeaderMismatch),
        }
    }

    /// Does every `Mcp-Param-*` say something that the arguments say? Which argument it is only the tool's schema
    /// tells; the server that has it compares them again.
    ///
    /// # Errors
    /// [`Refusal::McpHeaderMismatch`].
    pub fn agrees_on_arguments(&self, arguments: &Value) -> Result<(), Refusal> {
        for (_, value) in &self.params {
            let value = decoded(value)?;
            let number = value.parse().ok();
            if !says(arguments, &value, number, 0) {
                return Err(Refusal::McpHeaderMismatch);
            }
        }

        Ok(())
    }
}

/// Is this one of the values, however deep?
fn says(value: &Value, text: &str, number: Option<f64>, depth: usize) -> bool {
    if depth > 64 {
        return false;
    }
    let below = depth.saturating_add(1);
    match value {
        Value::String(string) => string == text,
        // Whole numbers are compared as numbers.
        Value::Number(is) => number.is_some() && number == is.as_f64(),
        Value::Bool(truth) => text == if *truth { "true" } else { "false" },
        Value::Object(members) => members.values().any(|member| says(member, text, number, below)),
        Value::Array(_) | Value::Null => false,
    }
}

/// A value that a header can have: visible ASCII, space and tab (RFC 9110 §5.5).
fn plain(value: &[u8]) -> Result<String, Refusal> {
    let fits = |byte: &u8| (b' '..=b'~').contains(byte) || *byte == b'\t';
    if value.len() > LONGEST || !value.iter().all(fits) {
        return Err(Refusal::HeaderMalformed);
    }

    String::from_utf8(value.to_vec()).or(Err(Refusal::HeaderMalformed))
}

/// What a value stands for: `=?base64?…?=` is encoded (2026-07-28, "Value Encoding").
fn decoded(value: &str) -> Result<String, Refusal> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        None => Ok(value.to_owned()),
        Some(encoded) => {
            let bytes = BASE64_STANDARD.decode(encoded).or(Err(Refusal::McpHeaderMismatch))?;
            String::from_utf8(bytes).or(Err(Refusal::McpHeaderMismatch))
        }
    }
}
