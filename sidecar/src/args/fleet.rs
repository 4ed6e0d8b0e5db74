//! `tollgate manifest publish`, `history`, `rollback`, `revoke`, and `tollgate fleet`.

use super::{ChangeArgs, EXIT_CODES, ManifestKeyArgs};
use crate::clock;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use contract::manifest::Kind;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What is done with publications once they are signed.
#[derive(Debug, Subcommand)]
pub enum PublicationCommand {
    /// Put a signed publication in force, on every sidecar of this database.
    #[command(after_help = EXIT_CODES)]
    Publish {
        /// The folder, signed; or `-`: a ZIP file of it on standard input, in base64 from elsewhere.
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// Another catalogue than the one in force, which no laptop that has that takes.
        #[arg(long)]
        other_catalogue: bool,
        /// Something that is revoked and may come back: `plugin/ID`, `skill/ID`, `agent/ID` or `mcp_server/ID`. Once for each.
        #[arg(long, value_name = "KIND/ID")]
        unrevoke: Vec<Revocable>,
        /// For the record.
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// List what was published, the newest first.
    #[command(after_help = EXIT_CODES)]
    History {
        /// At most so many.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
    /// Put what an earlier version said in force again, as a higher version. What is revoked stays revoked.
    #[command(after_help = EXIT_CODES)]
    Rollback {
        /// The version.
        #[arg(required_unless_present = "previous")]
        version: Option<u64>,
        /// The one that was in force before this one.
        #[arg(long, conflicts_with = "version")]
        previous: bool,
        /// What signs.
        #[command(flatten)]
        signs: SignsArgs,
        /// For the record.
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Withdraw something from everybody: signed and in force in one act.
    #[command(after_help = EXIT_CODES)]
    Revoke {
        /// What it is.
        #[arg(long, value_enum)]
        kind: RevocableKind,
        /// Its name.
        #[arg(long)]
        id: String,
        /// Why, for the people who lose it.
        #[arg(long, value_name = "WORDS")]
        reason: Option<String>,
        /// What signs.
        #[command(flatten)]
        signs: SignsArgs,
        /// For the record.
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// What signs, or where the unsigned goes.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct SignsArgs {
    /// What signs.
    #[command(flatten)]
    pub with: ManifestKeyArgs,
    /// Sign nothing and publish nothing: write the publication there, to be signed where the key is.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["key", "signer"])]
    pub out: Option<PathBuf>,
}

/// What can be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum RevocableKind {
    /// A plugin.
    Plugin,
    /// A skill.
    Skill,
    /// An agent.
    Agent,
    /// An MCP server.
    McpServer,
}

impl From<RevocableKind> for Kind {
    fn from(kind: RevocableKind) -> Self {
        match kind {
            RevocableKind::Plugin => Self::Plugin,
            RevocableKind::Skill => Self::Skill,
            RevocableKind::Agent => Self::Agent,
            RevocableKind::McpServer => Self::McpServer,
        }
    }
}

/// Something that can be revoked, as `KIND/ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocable {
    /// What it is.
    pub kind: Kind,
    /// Its name, in which case does not count.
    pub id: String,
}

impl Revocable {
    /// Is it this?
    pub fn is(&self, kind: Kind, id: &str) -> bool {
        self.kind == kind && self.id.eq_ignore_ascii_case(id)
    }
}

impl FromStr for Revocable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kinds = [Kind::Plugin, Kind::Skill, Kind::Agent, Kind::McpServer];

        text.split_once('/')
            .and_then(|(word, id)| {
                let kind = kinds.into_iter().find(|kind| kind.as_str() == word)?;
                Some(Self { kind, id: id.to_owned() })
            })
            .ok_or_else(|| "write it as plugin/ID, skill/ID, agent/ID or mcp_server/ID".to_owned())
    }
}

impl fmt::Display for Revocable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.kind.as_str(), self.id)
    }
}

/// `tollgate fleet`.
#[derive(Debug, Subcommand)]
pub enum FleetCommand {
    /// Which versions stand on how many laptops, who lags behind, and what failed.
    #[command(after_help = EXIT_CODES)]
    Status(StatusArgs),
    /// All that a laptop said: what stands there, what failed, what it warns of.
    #[command(after_help = EXIT_CODES)]
    Show(ShowArgs),
    /// How far a publication, or a revocation, has come.
    #[command(after_help = EXIT_CODES)]
    Progress(ProgressArgs),
}

/// `tollgate fleet status`.
#[derive(Debug, Clone, ClapArgs)]
pub struct StatusArgs {
    /// List the laptops that have this version.
    #[arg(long, value_name = "N", conflicts_with_all = ["laggards", "failed", "warned"])]
    pub version: Option<u64>,
    /// List the laptops that do not have the version in force, the longest away first.
    #[arg(long, conflicts_with_all = ["failed", "warned"])]
    pub laggards: bool,
    /// List the laptops whose last sync failed.
    #[arg(long, conflicts_with = "warned")]
    pub failed: bool,
    /// List the laptops that warn of something: a folder of plugins that its users can write, a plugin that was changed.
    #[arg(long)]
    pub warned: bool,
    /// Only laptops that were heard of within this time.
    #[arg(long, default_value = "30d", value_parser = clock::span, value_name = "TIME")]
    pub seen: u64,
    /// List at most so many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: u32,
}

/// `tollgate fleet show`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ShowArgs {
    /// A laptop's id, or its person.
    #[arg(value_name = "DEVICE|USER")]
    pub name: String,
    /// Only laptops that were heard of within this time.
    #[arg(long, default_value = "30d", value_parser = clock::span, value_name = "TIME")]
    pub seen: u64,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: u32,
}

/// `tollgate fleet progress`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ProgressArgs {
    /// A revocation: `plugin/ID`, `skill/ID`, `agent/ID` or `mcp_server/ID`.
    #[arg(long, value_name = "KIND/ID", required_unless_present = "version")]
    pub revocation: Option<String>,
    /// A version, and those after it.
    #[arg(long, value_name = "N", conflicts_with = "revocation")]
    pub version: Option<u64>,
    /// Only laptops that were heard of within this time.
    #[arg(long, default_value = "30d", value_parser = clock::span, value_name = "TIME")]
    pub seen: u64,
    /// Say it again whenever it changes, until all have it. At the host alone.
    #[arg(long)]
    pub watch: bool,
}
