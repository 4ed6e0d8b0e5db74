//! What is known of the Model Context Protocol: dated data, because the lists are other people's and grow.

use crate::headers::Outbound;
use crate::policy::Also;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a method needs to be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Needs {
    /// Nothing but that its server is.
    Open,
    /// That the tool is.
    Tool,
    /// That the resource is.
    Resource,
    /// That the prompt is.
    Prompt,
    /// That every resource of it is.
    Subscriptions,
    /// [`Also::Completion`], and that what is completed is open.
    Completion,
    /// [`Also::Sampling`].
    Sampling,
    /// [`Also::Elicitation`].
    Elicitation,
    /// [`Also::Roots`].
    Roots,
    /// [`Also::Logging`].
    Logging,
    /// [`Also::Tasks`].
    Tasks,
}

impl Needs {
    /// What a server's entry must say for it, if it must say anything.
    pub fn also(self) -> Option<Also> {
        Some(match self {
            Self::Open | Self::Tool | Self::Resource | Self::Prompt | Self::Subscriptions => {
                return None;
            }
            Self::Completion => Also::Completion,
            Self::Sampling => Also::Sampling,
            Self::Elicitation => Also::Elicitation,
            Self::Roots => Also::Roots,
            Self::Logging => Also::Logging,
            Self::Tasks => Also::Tasks,
        })
    }
}

/// The protocol.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// The day it was read off its source.
    pub as_of: String,
    /// Where it was read.
    pub source: String,
    /// Versions with `initialize` and, if the server wants, sessions.
    pub sessions: Vec<String>,
    /// Versions in which every request stands for itself, and headers say what the body says.
    pub stateless: Vec<String>,
    /// Request headers that leave: an allow-list.
    pub request: Outbound,
    /// Response headers that come back: an allow-list.
    pub response: Vec<String>,
    /// Methods of clients, requests and notifications. What is not here is closed.
    pub client: BTreeMap<String, Needs>,
    /// Methods of servers.
    pub server: BTreeMap<String, Needs>,
}

/// Which rules of the protocol a request follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Era {
    /// `initialize`, sessions, a standing stream: up to 2025-11-25.
    #[default]
    Sessions,
    /// Every request for itself: from 2026-07-28 on.
    Stateless,
}

impl Protocol {
    /// What this build knows.
    ///
    /// # Errors
    /// Only if the shipped file is broken, which a test rules out.
    pub fn shipped() -> Result<Self, serde_json::Error> {
        serde_json::from_slice(include_bytes!("../data/mcp.json"))
    }

    /// The era of a version that a request says, or does not; none for one that is not known here.
    pub fn era(&self, version: Option<&str>) -> Option<Era> {
        let of = |list: &[String], version: &str| list.iter().any(|known| known == version);
        match version {
            None => Some(Era::Sessions),
            Some(version) if of(&self.sessions, version) => Some(Era::Sessions),
            Some(version) if of(&self.stateless, version) => Some(Era::Stateless),
            Some(_) => None,
        }
    }

    /// May a request header of this name leave?
    pub fn leaves(&self, name: &str) -> bool {
        self.request.has(name)
    }

    /// May a response header of this name come back?
    pub fn returns(&self, name: &str) -> bool {
        name.starts_with(':') || self.response.iter().any(|known| known == name)
    }
}

/// Could a reader take these two names of members for one? There are some that do not look at the case (Go's, which
/// folds U+017F and U+212A as well) and some that end a name at a zero byte.
pub fn same_name(name: &str, ours: &str) -> bool {
    if name.eq_ignore_ascii_case(ours) {
        return true;
    }
    if name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    let folded = name.chars().filter(|c| !c.is_control()).map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });

    folded.eq(ours.chars().map(|c| c.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_is_shipped_can_be_read_and_no_method_that_executes_is_open() {
        let protocol = Protocol::shipped().unwrap();

        for method in ["tools/call", "resources/read", "prompts/get", "completion/complete"] {
            assert_ne!(protocol.client.get(method), Some(&Needs::Open), "{method}");
        }
        for method in ["sampling/createMessage", "elicitation/create", "roots/list"] {
            assert_ne!(protocol.server.get(method), Some(&Needs::Open), "{method}");
        }
        assert_eq!(protocol.era(None), Some(Era::Sessions));
        assert_eq!(protocol.era(Some("2025-11-25")), Some(Era::Sessions));
        assert_eq!(protocol.era(Some("2026-07-28")), Some(Era::Stateless));
        assert_eq!(protocol.era(Some("2031-01-01")), None);
    }

    #[test]
    fn a_name_that_some_reader_takes_for_ours_is_ours() {
        for name in ["params", "Params", "param\u{17f}", "PARAM\u{17f}", "params\0", "par\u{1}ams"]
        {
            assert!(same_name(name, "params"), "{name:?}");
        }
        assert!(same_name("to\u{212a}en", "token") && same_name("inputRequests", "inputRequests"));
        for name in ["param", "paramß", "params2", "парамs", ""] {
            assert!(!same_name(name, "params"), "{name:?}");
        }
    }

    #[test]
    fn no_credential_leaves_and_no_cookie_comes_back() {
        let protocol = Protocol::shipped().unwrap();

        for name in
            ["authorization", "cookie", "x-api-key", "x-user-id", "x-tollgate-user", "origin"]
        {
            assert!(!protocol.leaves(name), "{name}");
        }
        assert!(protocol.leaves("mcp-param-region") && protocol.leaves(":path"));
        for name in ["set-cookie", "location", "www-authenticate", "server"] {
            assert!(!protocol.returns(name), "{name}");
        }
    }
}
