//! 1. Headers → [`Head`]: what is called, with which credential, under which names.
//!
//! Nothing here is believed yet. The identity headers are what the client *says*; only
//! [`super::authenticate`] makes a caller of them.

use crate::host::Headers;
use crate::mcp;
use crate::refusal::Refusal;
use contract::audit::CallSource;
use contract::headers::{self, Boundary};

/// Largest body, as the Messages API has it: 32 MB.
pub const LARGEST_BODY: usize = 32 * 1024 * 1024;

/// Longest credential.
const LONGEST_CREDENTIAL: usize = 8 * 1024; // a token with 200 groups is under 6 KiB

/// Longest of the values that are kept for the row.
const LONGEST_VALUE: usize = 256;

/// What is called. Matched on the path, never on the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// `POST /v1/messages`.
    Messages,
    /// `POST /v1/messages/count_tokens`.
    CountTokens,
    /// `/v1/auth/cowork/{pat,session,mtls}` and `/oauth/token`: the sidecar trades what somebody has for a
    /// token. Each leaves a row.
    SignIn,
    /// The sidecar's other surfaces: the pages of signing in, directories (SCIM), operators. They leave a row
    /// where the sidecar says who acted.
    Sidecar,
    /// `/v1/cowork/…`: what stands on a laptop, signed elsewhere and served by the sidecar to who is signed in. Only
    /// what is refused leaves a row here; the sidecar writes those of what changed.
    Manifest,
    /// `GET /.well-known/jwks.json`: the sidecar's token keys.
    Jwks,
    /// `GET /v1/auth/cowork/capabilities`: answered here.
    Capabilities,
    /// `GET /healthz`: answered here.
    Healthz,
    /// `GET /readyz`: answered here.
    Readyz,
    /// `HEAD /` and `HEAD /api/hello`: Claude Code looks whether somebody is there. Answered here.
    Hello,
    /// `GET /v1/models`: the models that the caller may use. Answered here.
    Models,
    /// `/mcp/SERVER`: an MCP server that is reached through the gate.
    Mcp,
    /// `GET /.well-known/oauth-protected-resource[/mcp/SERVER]` (RFC 9728): answered here.
    ResourceMetadata,
}

/// Where one finds out how to sign in here (RFC 9728 §3).
const METADATA: &str = "/.well-known/oauth-protected-resource";

/// The MCP server that a metadata's path is about.
fn described(path: &str) -> Option<&str> {
    mcp::head::server(path.strip_prefix(METADATA)?)
}

impl Surface {
    fn of(path: &str) -> Option<(Self, &'static [&'static str])> {
        const POST: &[&str] = &["POST"];
        const READ: &[&str] = &["GET", "HEAD"];
        const LOOK: &[&str] = &["HEAD"];
        const SESSION: &[&str] = &["POST", "DELETE"];
        const MCP: &[&str] = &["POST", "GET", "DELETE"];
        const SCIM: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE"];
        let path = path.split_once('?').map_or(path, |(path, _query)| path);
        Some(match path {
            "/v1/messages" => (Self::Messages, POST),
            "/v1/messages/count_tokens" => (Self::CountTokens, POST),
            "/v1/auth/cowork/pat" | "/v1/auth/cowork/mtls" | "/oauth/token" => (Self::SignIn, POST),
            "/v1/auth/cowork/session" => (Self::SignIn, SESSION),
            "/v1/auth/cowork/session/authorize" | "/oauth/callback" => (Self::Sidecar, READ),
            "/v1/auth/cowork/session/approve" | "/v1/operator" => (Self::Sidecar, POST),
            _ if path.starts_with("/scim/v2/") => (Self::Sidecar, SCIM),
            _ if path.starts_with("/approvals/") => (Self::Sidecar, &["GET", "POST"]),
            "/v1/cowork/manifest" | "/v1/cowork/marketplace.json" => (Self::Manifest, READ),
            "/v1/cowork/sync-report" => (Self::Manifest, POST),
            _ if path.starts_with("/v1/cowork/plugins/") => (Self::Manifest, READ),
            "/.well-known/jwks.json" => (Self::Jwks, READ),
            "/v1/auth/cowork/capabilities" => (Self::Capabilities, READ),
            "/healthz" => (Self::Healthz, READ),
            "/readyz" => (Self::Readyz, READ),
            "/" | "/api/hello" => (Self::Hello, LOOK),
            "/v1/models" => (Self::Models, READ),
            METADATA => (Self::ResourceMetadata, READ),
            _ if described(path).is_some() => (Self::ResourceMetadata, READ),
            _ if mcp::head::server(path).is_some() => (Self::Mcp, MCP),
            _ => return None,
        })
    }

    /// Does the sidecar answer it, and say who acted?
    pub fn is_sidecar(self) -> bool {
        matches!(self, Self::SignIn | Self::Sidecar)
    }

    /// Does a call of it leave a row? The mission's SQL counts calls, so what is no call has none.
    pub fn leaves_row(self) -> bool {
        matches!(
            self,
            Self::Messages
                | Self::CountTokens
                | Self::SignIn
                | Self::Sidecar
                | Self::Mcp
                | Self::Manifest
        )
    }

    /// Is it known from the start that it does? A number that was taken for a row that never came would be a hole.
    pub fn surely_leaves_row(self) -> bool {
        matches!(self, Self::Messages | Self::CountTokens)
    }
}

/// A request's headers, understood and not yet believed.
#[derive(Debug, Default)]
pub struct Head {
    /// What is called; `None` until known.
    pub surface: Option<Surface>,
    /// Envoy's id of the request.
    pub request_id: String,
    /// Method and path without query, for rows of what was refused early.
    pub target: String,
    /// What stands behind the path's `?`; only where a page or a cohort is asked for.
    pub query: String,
    /// SHA-256 of the client's certificate, lower-case hex; only where a policy wants calls to come over it.
    pub peer: Option<String>,
    /// The bearer token, if exactly one credential was sent.
    pub credential: Option<String>,
    /// The identity headers as the client says them, in the order of [`headers::IDENTITY`].
    pub claimed: [Option<String>; 7],
    /// Claude Code's session.
    pub session_id: Option<String>,
    /// Claude Code's agent.
    pub agent_id: Option<String>,
    /// The agent that started it.
    pub parent_agent_id: Option<String>,
    /// The W3C trace id.
    pub trace: Option<String>,
    /// Who the client says set the call off.
    pub source: Option<CallSource>,
    /// The length the client announced.
    pub content_length: Option<usize>,
    /// Does the client take a compressed answer? Then it is told not to send one.
    pub accepts_encoding: bool,
    /// Names of the headers that may not leave.
    pub inside: Vec<String>,
    /// Of an MCP server's surfaces: what stands in the headers of MCP.
    pub mcp: Option<Box<mcp::head::Head>>,
}

/// What a first pass collects, before it is judged.
#[derive(Default)]
struct Found<'a> {
    method: &'a [u8],
    path: &'a [u8],
    authorization: Option<&'a [u8]>,
    api_key: Option<&'a [u8]>,
    credentials_twice: bool,
    content_type: Option<&'a [u8]>,
    content_encoding: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    traceparent: Option<&'a [u8]>,
    twice: bool,
    malformed: bool,
}

/// Reads the headers in one pass. The head comes back even with a refusal: the row needs it.
pub fn head(headers: &Headers, boundary: &Boundary) -> (Head, Result<Surface, Refusal>) {
    let mut head = Head::default();
    let mut found = Found::default();
    for (name, value) in headers.iter() {
        let Ok(name) = str::from_utf8(name) else {
            found.malformed = true;
            continue;
        };
        found.take(name, value, &mut head);
        if !boundary.leaves(name) && !head.inside.iter().any(|known| known == name) {
            head.inside.push(name.to_owned());
        }
    }
    let verdict = found.judge(&mut head);

    (head, verdict)
}

impl<'a> Found<'a> {
    fn take(&mut self, name: &str, value: &'a [u8], head: &mut Head) {
        match name {
            ":method" => self.method = value,
            ":path" => self.path = value,
            "authorization" => {
                self.credentials_twice |= self.authorization.replace(value).is_some();
            }
            "x-api-key" => self.credentials_twice |= self.api_key.replace(value).is_some(),
            "content-type" => self.twice |= self.content_type.replace(value).is_some(),
            "content-encoding" => self.twice |= self.content_encoding.replace(value).is_some(),
            "content-length" => self.twice |= self.content_length.replace(value).is_some(),
            "accept-encoding" => head.accepts_encoding = true,
            headers::TRACEPARENT => self.twice |= self.traceparent.replace(value).is_some(),
            headers::X_REQUEST_ID => {
                head.request_id = self.word(value).unwrap_or_default();
            }
            headers::CLAUDE_SESSION_ID => self.once(&mut head.session_id, value),
            headers::CLAUDE_AGENT_ID => self.once(&mut head.agent_id, value),
            headers::CLAUDE_PARENT_AGENT_ID => self.once(&mut head.parent_agent_id, value),
            _ => {
                let place = headers::IDENTITY.iter().position(|identity| *identity == name);
                if let Some(slot) = place.and_then(|place| head.claimed.get_mut(place)) {
                    self.once(slot, value);
                }
            }
        }
    }

    fn once(&mut self, slot: &mut Option<String>, value: &[u8]) {
        let word = self.word(value);
        self.twice |= slot.is_some();
        *slot = word;
    }

    /// A value that will stand in the row: printable ASCII, not too long.
    fn word(&mut self, value: &[u8]) -> Option<String> {
        let fits = !value.is_empty()
            && value.len() <= LONGEST_VALUE
            && value.iter().all(|byte| (b' '..=b'~').contains(byte));
        self.malformed |= !fits;
        if fits { str::from_utf8(value).ok().map(str::to_owned) } else { None }
    }

    fn judge(&self, head: &mut Head) -> Result<Surface, Refusal> {
        let path = String::from_utf8_lossy(self.path);
        let method = String::from_utf8_lossy(self.method);
        let bare = path.split_once('?').map_or(&*path, |(path, _query)| path);
        head.target = format!("{method} {bare}").chars().take(LONGEST_VALUE).collect();
        let Some((surface, methods)) = Surface::of(&path) else { return Err(Refusal::UnknownPath) };
        if !methods.contains(&&*method) {
            return Err(Refusal::Method);
        }
        head.surface = Some(surface);
        if matches!(surface, Surface::Mcp | Surface::ResourceMetadata) {
            let server = mcp::head::server(bare).or_else(|| described(bare)).unwrap_or_default();
            head.mcp = Some(Box::new(mcp::head::Head::of(server, method == "POST")));
        }
        if self.malformed {
            return Err(Refusal::HeaderMalformed);
        }
        if self.twice {
            return Err(Refusal::HeaderTwice);
        }
        head.trace = self.traceparent.and_then(trace_id);
        head.source = source(head)?;
        head.content_length = self
            .content_length
            .and_then(|value| str::from_utf8(value).ok().and_then(|text| text.parse().ok()));
        match surface {
            Surface::Messages | Surface::CountTokens => {
                head.credential = Some(self.credential()?);
                self.content(head)?;
            }
            // A server may read what stands there; nothing of it is judged.
            Surface::Mcp if path.contains('?') => return Err(Refusal::UnknownPath),
            Surface::Mcp => {
                head.credential = Some(self.credential()?);
                if method == "POST" {
                    self.content(head)?;
                }
            }
            Surface::Capabilities => {
                path.split_once('?').map_or("", |(_, query)| query).clone_into(&mut head.query);
            }
            Surface::Manifest => head.credential = Some(self.credential()?),
            Surface::Models => {
                head.credential = Some(self.credential()?);
                path.split_once('?').map_or("", |(_, query)| query).clone_into(&mut head.query);
            }
            _ => {}
        }

        Ok(surface)
    }

    /// The one credential. Claude Code's `apiKeyHelper` sends the same token both ways.
    fn credential(&self) -> Result<String, Refusal> {
        if self.credentials_twice {
            return Err(Refusal::CredentialAmbiguous);
        }
        let bearer = self.authorization.map(bearer).transpose()?;
        let key = self.api_key.map(token).transpose()?;
        match (bearer, key) {
            (None, None) => Err(Refusal::CredentialMissing),
            (Some(one), Some(other)) if one != other => Err(Refusal::CredentialAmbiguous),
            (Some(one), _) | (None, Some(one)) => Ok(one.to_owned()),
        }
    }

    /// A body we can read as it is, and that the provider reads as we do.
    fn content(&self, head: &Head) -> Result<(), Refusal> {
        if self.content_encoding.is_some_and(|value| !value.eq_ignore_ascii_case(b"identity")) {
            return Err(Refusal::Encoding);
        }
        if self.content_type.is_some_and(|value| !is_json(value)) {
            return Err(Refusal::MediaType);
        }
        if head.content_length.is_some_and(|length| length > LARGEST_BODY) {
            return Err(Refusal::BodyTooLarge);
        }

        Ok(())
    }
}

/// `Bearer <token>` (RFC 6750 §2.1). Envoy joins two `authorization` headers with a comma, which
/// no token contains.
fn bearer(value: &[u8]) -> Result<&str, Refusal> {
    let (scheme, rest) = value.split_at_checked(7).ok_or(Refusal::CredentialMalformed)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err(Refusal::CredentialMalformed);
    }
    if rest.contains(&b',') {
        return Err(Refusal::CredentialAmbiguous);
    }

    token(rest)
}

fn token(value: &[u8]) -> Result<&str, Refusal> {
    let value = value.trim_ascii();
    if value.is_empty() {
        return Err(Refusal::CredentialMissing);
    }
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    if value.len() > LONGEST_CREDENTIAL || !value.iter().all(word) {
        return Err(Refusal::CredentialMalformed);
    }

    str::from_utf8(value).or(Err(Refusal::CredentialMalformed))
}

/// JSON, in the one encoding it has (RFC 8259 §8.1): another one the provider might read otherwise.
fn is_json(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/json"));
    let utf8 = |parameter: &[u8]| {
        let lower = parameter.to_ascii_lowercase();
        // `charset =` and `charset*=` are read by some as well.
        lower.strip_prefix(b"charset").is_none_or(|rest| {
            rest.strip_prefix(b"=").is_some_and(|name| name.trim_ascii() == b"utf-8")
        })
    };

    json && parts.all(utf8)
}

/// The trace id of a `traceparent` (W3C Trace Context, §3.2). One that is not of its form is as
/// good as none (§3.2.2.3).
fn trace_id(value: &[u8]) -> Option<String> {
    let text = str::from_utf8(value).ok()?;
    let id = text.split('-').nth(1)?;
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let good = text.len() >= 55
        && id.len() == 32
        && id.bytes().all(hex)
        && id.bytes().any(|byte| byte != b'0');

    good.then(|| id.to_owned())
}

fn source(head: &Head) -> Result<Option<CallSource>, Refusal> {
    let [.., claimed] = &head.claimed;
    match claimed.as_deref() {
        None => Ok(None),
        Some("cowork") => Ok(Some(CallSource::Cowork)),
        Some("subagent") => Ok(Some(CallSource::Subagent)),
        Some("job") => Ok(Some(CallSource::Job)),
        Some(_) => Err(Refusal::HeaderMalformed),
    }
}

#[cfg(test)]
mod tests;
