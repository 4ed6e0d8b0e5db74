//! The folders of a sync on each system, and what the machine's configuration says of it.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Names a folder below which all places are; for tests and images.
pub const ROOT: &str = "TOLLGATE_HELPER_ROOT";

/// A system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum Os {
    /// Linux.
    Linux,
    /// macOS.
    Macos,
    /// Windows.
    Windows,
}

impl Os {
    /// The one this runs on.
    pub const HERE: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::Macos
    } else {
        Self::Linux
    };

    /// Its name, as `last-sync.json` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Macos => "macos",
            Self::Windows => "windows",
        }
    }
}

/// What becomes of entries in the folder of plugins that no document names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Foreign {
    /// They are taken away: nothing runs that was not signed.
    #[default]
    Remove,
    /// They stay, unless they have the name of something revoked.
    Keep,
}

/// What an expired document's plugins become, by the machine's word. It can only be stricter than the document's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expiry {
    /// They are taken away.
    Remove,
}

/// `sync` in the machine's configuration. Every member may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The folder of plugins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<PathBuf>,
    /// What the system half keeps for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<PathBuf>,
    /// Between the halves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<PathBuf>,
    /// The pinned keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pins: Option<PathBuf>,
    /// The only audience whose documents are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// See [`Foreign`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<Foreign>,
    /// See [`Expiry`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_expiry: Option<Expiry>,
}

/// What holds for a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder of plugins.
    pub mount: PathBuf,
    /// What the system half keeps for itself.
    pub state: PathBuf,
    /// Between the halves: a folder for each person.
    pub inbox: PathBuf,
    /// The pinned keys.
    pub pins: PathBuf,
    /// The only audience whose documents are taken.
    pub audience: Option<String>,
    /// What becomes of foreign entries.
    pub foreign: Foreign,
    /// Are plugins taken away when their document has expired, whatever it says?
    pub remove_on_expiry: bool,
}

impl Settings {
    /// What the machine's configuration says, and the usual places for the rest.
    pub fn new(member: &Member, os: Os, root: Option<&Path>) -> Self {
        let place = |set: &Option<PathBuf>, usual: &str| match set {
            Some(set) => below(root, &set.to_string_lossy()),
            None => below(root, usual),
        };
        let usual = Usual::of(os);

        Self {
            mount: place(&member.mount, &usual.mount),
            state: place(&member.state, &usual.state),
            inbox: place(&member.inbox, &usual.inbox),
            pins: place(&member.pins, &usual.pins),
            audience: member.audience.clone(),
            foreign: member.foreign.unwrap_or_default(),
            remove_on_expiry: member.on_expiry.is_some(),
        }
    }

    /// The newest word of the system half, which all may read.
    pub fn last_sync(&self) -> PathBuf {
        self.mount.join(RECORDS).join(LAST_SYNC)
    }

    /// The document that stands in the folder of plugins, as it was signed.
    pub fn standing(&self) -> PathBuf {
        self.mount.join(RECORDS).join(MANIFEST)
    }
}

/// In the folder of plugins: what is no plugin.
pub const RECORDS: &str = ".tollgate";

/// In the folder of plugins: what is being made.
pub const STAGING: &str = ".staging";

/// How many names there are for what is being made: one that cannot be cleared away is not used again.
const NAMES: usize = 8;

/// A name, and those that stand in for it.
pub fn names(first: &str) -> impl Iterator<Item = String> {
    (0..NAMES)
        .map(move |number| if number == 0 { first.into() } else { format!("{first}-{number}") })
}

/// In [`RECORDS`]: the document as it was signed.
pub const MANIFEST: &str = "manifest.json";

/// In [`RECORDS`]: the MCP servers that may be used.
pub const MCP: &str = "managed-mcp.json";

/// In [`RECORDS`]: how the last run went.
pub const LAST_SYNC: &str = "last-sync.json";

/// In [`RECORDS`]: each check of each run.
pub const LOG: &str = "sync.log.jsonl";

/// In [`RECORDS`]: the log before it.
pub const OLD_LOG: &str = "sync.log.1.jsonl";

/// Where things are if nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usual {
    /// The folder of plugins: the client's documented one; for Linux none is documented.
    pub mount: String,
    /// What the system half keeps for itself.
    pub state: String,
    /// Between the halves.
    pub inbox: String,
    /// The pinned keys.
    pub pins: String,
    /// The machine's configuration.
    pub config: String,
    /// This program.
    pub helper: String,
}

impl Usual {
    /// On this system.
    pub fn of(os: Os) -> Self {
        let data =
            || std::env::var("ProgramData").unwrap_or_else(|_unset| r"C:\ProgramData".into());
        let programs =
            || std::env::var("ProgramFiles").unwrap_or_else(|_unset| r"C:\Program Files".into());
        match os {
            Os::Linux => Self {
                mount: "/opt/claude/org-plugins".into(),
                state: "/var/lib/tollgate-helper".into(),
                inbox: "/var/spool/tollgate-helper".into(),
                pins: "/etc/tollgate-helper/manifest-pins.json".into(),
                config: "/etc/tollgate-helper/config.json".into(),
                helper: "/usr/local/bin/tollgate-helper".into(),
            },
            Os::Macos => {
                let ours = "/Library/Application Support/Tollgate";
                Self {
                    mount: "/Library/Application Support/Claude/org-plugins".into(),
                    state: format!("{ours}/state"),
                    inbox: format!("{ours}/inbox"),
                    pins: format!("{ours}/manifest-pins.json"),
                    config: format!("{ours}/helper.json"),
                    helper: "/usr/local/bin/tollgate-helper".into(),
                }
            }
            Os::Windows => {
                let ours = format!(r"{}\Tollgate", data());
                Self {
                    mount: format!(r"{}\Claude\org-plugins", programs()),
                    state: format!(r"{ours}\state"),
                    inbox: format!(r"{ours}\inbox"),
                    pins: format!(r"{ours}\manifest-pins.json"),
                    config: format!(r"{ours}\helper.json"),
                    helper: format!(r"{}\Tollgate\tollgate-helper.exe", programs()),
                }
            }
        }
    }
}

/// A place below another root than the system's.
pub fn below(root: Option<&Path>, usual: &str) -> PathBuf {
    match root {
        None => PathBuf::from(usual),
        // `C:\…` too, so that any system's files can be laid below a folder.
        Some(root) => {
            let parts = usual.split(['/', '\\']).map(|part| part.trim_end_matches(':'));
            root.join(parts.filter(|part| !part.is_empty()).collect::<PathBuf>())
        }
    }
}

/// Where Windows' own programs are. A name alone is looked for in the folder of the program that asks first, and that may be
/// a folder of downloads.
#[cfg(windows)]
pub fn system_folder() -> PathBuf {
    let root = std::env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into());

    Path::new(&root).join("System32")
}

/// The root that the environment names.
pub fn root() -> Option<PathBuf> {
    std::env::var_os(ROOT).filter(|root| !root.is_empty()).map(PathBuf::from)
}
