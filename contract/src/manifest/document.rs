//! The document as it is signed: what may stand in it, and nothing else.

use crate::canonical::{self, CanonicalError};
use crate::clients::Choice;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The value of `schema`.
pub const SCHEMA: &str = "tollgate.manifest/v1";

/// What the people of one audience have. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Which catalogue it is of: versions are counted in each.
    pub catalogue: String,
    /// Whom it is for.
    pub audience: String,
    /// Rises with each publication of the catalogue, a rollback too; one number for all its audiences.
    pub version: u64,
    /// When it was made.
    pub issued_at: u64,
    /// From then on nothing of it is newly put anywhere.
    pub expires_at: u64,
    /// What becomes of what stands there, from then on.
    pub on_expiry: OnExpiry,
    /// Sorted by name.
    pub plugins: Vec<Plugin>,
    /// Sorted by id.
    pub skills: Vec<Skill>,
    /// Sorted by id.
    pub agents: Vec<Agent>,
    /// The MCP servers that may be used, and no others. Sorted by id.
    pub managed_mcp_servers: Vec<ManagedServer>,
    /// What must be gone. Sorted by kind and id.
    pub revocations: Vec<Revocation>,
}

/// What becomes of plugins when their document has expired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnExpiry {
    /// They stay.
    #[default]
    Keep,
    /// They are taken away.
    Remove,
}

/// A folder of files: `.claude-plugin/plugin.json` and what belongs to it, or a `SKILL.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// The name of the folder.
    pub name: String,
    /// Its own version, as its author writes it.
    pub version: String,
    /// How the client offers it.
    pub installation: Installation,
    /// What is fetched.
    pub archive: Archive,
    /// SHA-256 of the [canonical form](crate::canonical) of `files`, hex: [`Plugin::directory_digest`].
    pub directory_sha256: String,
    /// Every file, sorted by path (by its bytes).
    pub files: Vec<File>,
}

/// How a client offers a plugin: its words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Installation {
    /// The person may switch it on.
    #[default]
    Available,
    /// It is on; the person may switch it off.
    AutoInstall,
    /// It is on.
    Required,
}

/// A plugin's files in one: a ZIP file (method stored or deflated).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Of its bytes, hex. Its address, too.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Below the plugin's folder, parts separated by `/`.
    pub path: String,
    /// Of its bytes, hex.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
    /// May it be run?
    pub executable: bool,
}

/// Instructions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skill {
    /// Its name in the client.
    pub id: String,
    /// When it is of use, in a sentence.
    pub description: String,
    /// The plugin that brings it: its file there is `skills/ID/SKILL.md`.
    pub plugin: String,
    /// That file's text.
    pub instructions: String,
}

/// A skill, a model and MCP servers, bound together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Its name in the client.
    pub id: String,
    /// When it is of use, in a sentence.
    pub description: String,
    /// The plugin that brings it: its file there is `agents/ID.md`.
    pub plugin: String,
    /// Skills of this document, by id.
    pub skills: Vec<String>,
    /// The model it works with.
    pub model: String,
    /// Servers of this document, by id.
    pub mcp_servers: Vec<String>,
    /// That file's text.
    pub instructions: String,
}

/// An MCP server that may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagedServer {
    /// Its name in the client.
    pub id: String,
    /// How it is spoken to.
    pub transport: Transport,
    /// Where it is, if it is not started on the laptop: `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What is started, an absolute path, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// With these arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Tools, exact or with `*`, and the client's word for them: `allow`, `ask`, `blocked`.
    pub tool_policy: BTreeMap<String, Choice>,
}

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Streamable HTTP.
    Http,
    /// HTTP with server-sent events, as before 2025-03-26.
    Sse,
    /// A process of the laptop.
    Stdio,
}

/// What must be gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Of what kind it is.
    pub kind: Kind,
    /// Its name.
    pub id: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Kinds of what can be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A plugin.
    Plugin,
    /// A skill.
    Skill,
    /// An agent.
    Agent,
    /// An MCP server.
    McpServer,
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Skill => "skill",
            Self::Agent => "agent",
            Self::McpServer => "mcp_server",
        }
    }
}

impl Installation {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::AutoInstall => "auto_install",
            Self::Required => "required",
        }
    }
}

impl Document {
    /// The bytes that are signed: canonical JSON.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub fn canonical(&self) -> Result<Vec<u8>, CanonicalError> {
        let text = serde_json::to_vec(self).or(Err(CanonicalError::NotJson))?;

        canonical::write(&text)
    }

    /// Was this revoked?
    pub fn revokes(&self, kind: Kind, id: &str) -> bool {
        self.revocations.iter().any(|it| it.kind == kind && it.id.eq_ignore_ascii_case(id))
    }
}

impl Plugin {
    /// SHA-256 of the canonical form of a list of files, hex.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub fn directory_digest(files: &[File]) -> Result<String, CanonicalError> {
        let text = serde_json::to_vec(files).or(Err(CanonicalError::NotJson))?;

        Ok(super::sha256(&canonical::write(&text)?))
    }
}
