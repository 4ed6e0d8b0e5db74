//! One configuration file, as it is written.

use super::Keep;
use crate::device::Reference;
use crate::form::Form;
use crate::gateway::Mode;
use crate::sync::places::Member;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Fewest seconds a token may be asked to hold; the gateway gives no fewer.
pub const SHORTEST: u64 = 300;

/// What stands in one file. Every member may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// Where the gateway is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<At>,
    /// See [`super::Config`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cohort: Option<String>,
    /// See [`super::Config`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
    /// See [`super::Config`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
    /// See [`super::Config`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// See [`super::Config`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<String>,
    /// See [`super::Config`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<Keep>,
    /// See [`super::Config`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// See [`super::Config`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_certificate: Option<Reference>,
    /// See [`super::Config`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modes: Option<Vec<Mode>>,
    /// See [`super::Config`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_key: Option<PathBuf>,
    /// See [`super::Config`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<Member>,
}

/// Where the gateway is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct At {
    /// Scheme, host and port.
    pub url: String,
    /// Its certificate authority: a path, or the PEM text itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

impl Members {
    /// Reads a file's text.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn read(text: &str) -> Result<Self, String> {
        let members: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if members.ttl.is_some_and(|ttl| ttl < SHORTEST) {
            return Err(format!("`ttl` is below {SHORTEST}, and no gateway gives fewer seconds"));
        }
        if members.modes.as_ref().is_some_and(Vec::is_empty) {
            return Err("`modes` names no way to get a token".into());
        }
        if let Some(proxy) = &members.proxy {
            crate::line::proxy_of(proxy).map_err(|why| format!("`proxy` {why}"))?;
        }

        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_member_is_named_with_its_place() {
        let told = Members::read("{\n  \"form\": \"bare\",\n  \"colour\": 1\n}").unwrap_err();

        assert!(told.contains("`colour`") && told.contains("line 3 column 10"), "{told}");
    }

    #[test]
    fn what_cannot_be_meant_is_a_fault() {
        for (text, named) in [
            (r#"{"ttl":5}"#, "`ttl`"),
            (r#"{"modes":[]}"#, "`modes`"),
            (r#"{"modes":["magic"]}"#, "magic"),
            (r#"{"proxy":"socks5://proxy:1"}"#, "`proxy`"),
            (r#"{"gateway":{"uri":"x"}}"#, "`uri`"),
            ("[", "line 1"),
        ] {
            let told = Members::read(text).unwrap_err();
            assert!(told.contains(named), "{text}: {told}");
        }
    }

    #[test]
    fn what_login_writes_it_reads_again() {
        let members = Members {
            gateway: Some(At { url: "https://gateway.example".into(), ca: None }),
            ..Members::default()
        };

        let text = serde_json::to_string(&members).unwrap();

        assert_eq!(text, r#"{"gateway":{"url":"https://gateway.example"}}"#);
        assert_eq!(Members::read(&text).unwrap(), members);
    }
}
