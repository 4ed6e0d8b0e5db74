//! What a laptop says of its syncs: `last-sync.json` beside the plugins, and `POST /v1/cowork/sync-report`.

use serde::{Deserialize, Serialize};

/// The value of `schema` in `last-sync.json`.
pub const LAST_SYNC_SCHEMA: &str = "tollgate.last-sync/v1";

/// Largest report that is taken, in bytes.
pub const LARGEST_REPORT: usize = 64 * 1024;

/// How a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncResult {
    /// A newer document stands there now.
    Applied,
    /// The one that stood there stands there, whole.
    Unchanged,
    /// The one that stood there has expired: nothing new comes.
    Stale,
    /// It did not work; what stood there stands there.
    #[default]
    Failed,
}

impl SyncResult {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Stale => "stale",
            Self::Failed => "failed",
        }
    }
}

/// `last-sync.json`: the last run of `sync apply`, and what stands in the folder since. Times are Unix seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSync {
    /// Always [`LAST_SYNC_SCHEMA`].
    pub schema: String,
    /// Made at random when the helper was installed, 32 hex digits: says which laptop, and nothing of it.
    pub device: String,
    /// The helper's version.
    pub helper: String,
    /// `linux`, `macos` or `windows`.
    pub os: String,
    /// When the run ended.
    pub synced_at: u64,
    /// How.
    pub result: SyncResult,
    /// A stable word for what went wrong: those of [`ManifestError`](super::ManifestError) and
    /// [`Rejected`](super::Rejected), and those of the helper's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What stands there; absent: nothing yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// Plugins that this run has put there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub installed: Vec<String>,
    /// Plugins that it has replaced by another version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub updated: Vec<String>,
    /// Plugins that it has taken away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// Plugins that were not as signed any more, and are again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repaired: Vec<String>,
    /// What somebody should look at, such as a folder that its users can write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The document that stands in the folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its catalogue.
    pub catalogue: String,
    /// Its audience.
    pub audience: String,
    /// Its version.
    pub version: u64,
    /// SHA-256 of its signed bytes, hex.
    pub sha256: String,
    /// The key that signed it.
    pub key_id: String,
    /// When it was put there.
    pub applied_at: u64,
    /// When it expires.
    pub expires_at: u64,
    /// Its plugins that stand there.
    pub plugins: Vec<Stands>,
    /// How many skills it has.
    pub skills: usize,
    /// How many agents.
    pub agents: usize,
    /// How many MCP servers it allows.
    pub managed_mcp_servers: usize,
}

/// A plugin that stands there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stands {
    /// Its name.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// As in the document.
    pub directory_sha256: String,
}

/// What a laptop tells the gateway, as its person: the body of `POST /v1/cowork/sync-report`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncReport {
    /// How it went to fetch.
    pub fetch: Fetch,
    /// `last-sync.json`, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastSync>,
}

/// A run of `sync fetch`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// When it ended, Unix seconds.
    pub at: u64,
    /// How: `applied` means that something new lies in the inbox.
    pub result: SyncResult,
    /// A stable word for what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The version that the gateway gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// SHA-256 of its signed bytes, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}
