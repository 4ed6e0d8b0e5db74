//! The one line of standard output, in the form the client wants.

use crate::gateway::Answer;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;

/// What the line looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// `{"token","ttl","headers"}`.
    #[default]
    Cowork,
    /// `{"token","headers"}`, for clients that want no third member.
    Cowork2,
    /// The token alone, as Claude Code's `apiKeyHelper` wants it.
    Bare,
    /// One flat map of headers, `authorization` among them, as `headersHelper` wants it.
    Headers,
}

impl Form {
    /// The form that the program's name asks for: `…-headers` is for clients that start it without arguments.
    pub fn by_name(program: &Path) -> Option<Self> {
        let name = program.file_stem()?.to_string_lossy();

        name.ends_with("-headers").then_some(Self::Headers)
    }

    /// The line, without its end.
    ///
    /// # Errors
    /// Never in practice: what is written is text.
    pub fn line(self, answer: &Answer) -> Result<String, serde_json::Error> {
        match self {
            Self::Cowork => serde_json::to_string(answer),
            Self::Cowork2 => {
                serde_json::to_string(&json!({ "token": answer.token, "headers": answer.headers }))
            }
            Self::Bare => Ok(answer.token.clone()),
            Self::Headers => {
                let mut headers = answer.headers.clone();
                headers.insert("authorization".into(), format!("Bearer {}", answer.token));
                serde_json::to_string(&headers)
            }
        }
    }
}
