//! `tollgate mcp`.

use super::{CallerArgs, EXIT_CODES};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `tollgate mcp`.
#[derive(Debug, Subcommand)]
pub enum McpCommand {
    /// List the MCP servers that are reached through the gate: for whom, and what is open.
    #[command(after_help = EXIT_CODES)]
    List {
        /// A policy; the one in force unless said.
        file: Option<PathBuf>,
    },
    /// Print what clients are configured with, so that they show what the gate allows.
    #[command(after_help = EXIT_CODES)]
    Export(Box<ExportArgs>),
    /// Print the pins of the tools that a server lists, for its entry in the policy.
    #[command(after_help = EXIT_CODES)]
    Pins {
        /// An answer to `tools/list`, JSON or server-sent events, or a JSON array of tools; `-` for standard input.
        file: PathBuf,
    },
}

/// Which document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClientDocument {
    /// Keys of Claude Desktop's managed settings.
    Cowork,
    /// Claude Code's managed-mcp.json.
    ClaudeCodeMcp,
    /// Claude Code's managed settings.
    ClaudeCodeSettings,
}

/// `tollgate mcp export`.
#[derive(Debug, ClapArgs)]
pub struct ExportArgs {
    /// A policy; the one in force unless said.
    pub file: Option<PathBuf>,
    /// Which document.
    #[arg(long = "for", value_enum, value_name = "DOCUMENT")]
    pub document: ClientDocument,
    /// Where clients reach the gateway: `https://gateway.example.com`.
    #[arg(long, value_name = "URL")]
    pub url: String,
    /// The helper on the clients' machines, an absolute path, under a name that ends with `-headers`. Without it the client
    /// signs its person in.
    #[arg(long, value_name = "PATH")]
    pub helper: Option<String>,
    /// With `--for cowork`: also close the other ways to tools (extensions, marketplaces of the person's own, approvals
    /// for ever).
    #[arg(long)]
    pub strict: bool,
    /// Whom it is for.
    #[command(flatten)]
    pub caller: CallerArgs,
}
