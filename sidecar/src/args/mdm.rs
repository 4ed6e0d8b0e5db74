//! `tollgate mdm`.

use super::{CallerArgs, EXIT_CODES};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use std::path::PathBuf;

const DIFF_CODES: &str =
    "Exit codes: 0 the same; 1 different; 2 wrong usage; 3 what was named is not there.
Data goes to standard output, everything else to standard error.";
const EGRESS_CODES: &str =
    "Exit codes: 0 done; 1 failed, or with --test: a host cannot be reached; 2 wrong usage;
3 what was named is not there.
Data goes to standard output, everything else to standard error.";

/// `tollgate mdm`.
#[derive(Debug, Subcommand)]
pub enum MdmCommand {
    /// Check a file of settings: every fault with its line, and what is hardly meant so.
    #[command(after_help = EXIT_CODES)]
    Check {
        /// The file; `-` for standard input.
        file: PathBuf,
    },
    /// Write a profile as device management takes it.
    #[command(after_help = EXIT_CODES)]
    Export(Box<ProfileArgs>),
    /// Say key by key in what two profiles differ, and whether that loosens.
    #[command(after_help = DIFF_CODES)]
    Diff {
        /// `FILE` or `FILE:PROFILE`, or an export: mobileconfig, plist, reg, JSON.
        before: PathBuf,
        /// The same, with which it is compared.
        after: PathBuf,
    },
    /// List the hosts that a firewall must open for these settings, by feature; and try them.
    #[command(after_help = EGRESS_CODES)]
    Egress(EgressArgs),
    /// List every key there is: its type, its default, who may set it.
    #[command(after_help = EXIT_CODES)]
    Keys {
        /// Whose keys.
        #[arg(long = "for", value_enum, default_value = "desktop", value_name = "CLIENT")]
        product: Product,
    },
}

/// Which client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Product {
    /// Claude Desktop, Cowork in it.
    Desktop,
    /// Claude Code.
    Code,
}

/// How a profile is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// An Apple configuration profile.
    Mobileconfig,
    /// A file of the Windows registry.
    Reg,
    /// Group Policy templates for every key, and what to enter in them. Needs --out.
    Admx,
    /// Rows for Intune's custom settings.
    OmaUri,
    /// The bare preference domain, a property list.
    Plist,
    /// The managed settings file of Linux; for Claude Code, of every system.
    LinuxJson,
    /// Environment variables, quoted for a shell.
    Env,
}

/// Which part of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Hive {
    /// The machine's.
    Hklm,
    /// The person's, which they can write themselves.
    Hkcu,
}

/// `tollgate mdm export`.
#[derive(Debug, ClapArgs)]
pub struct ProfileArgs {
    /// The file of settings; `-` for standard input.
    pub file: PathBuf,
    /// How it is written.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Format,
    /// Which profile; all of them if --out names a directory.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// For which client.
    #[arg(long = "for", value_enum, default_value = "desktop", value_name = "CLIENT")]
    pub product: Product,
    /// Into which part of the registry.
    #[arg(long, value_enum, default_value = "hklm", value_name = "HIVE")]
    pub hive: Hive,
    /// Where to: a file, or a directory for several.
    #[arg(long, value_name = "FILE|DIR")]
    pub out: Option<PathBuf>,
    /// A policy, or `in-force`: the MCP servers that it opens are filled in.
    #[arg(long, value_name = "FILE|in-force")]
    pub policy: Option<PathBuf>,
    /// With --policy: the helper for MCP servers on the clients' machines, an absolute path.
    #[arg(long, value_name = "PATH", requires = "policy")]
    pub helper: Option<String>,
    /// With --policy: also close the other ways to tools.
    #[arg(long, requires = "policy")]
    pub strict: bool,
    /// With --policy: whom it is for.
    #[command(flatten)]
    pub caller: CallerArgs,
}

/// `tollgate mdm egress`.
#[derive(Debug, ClapArgs)]
pub struct EgressArgs {
    /// The file of settings; `-` for standard input.
    pub file: PathBuf,
    /// Which profile; every one unless said.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Only the hosts, one a line, as a firewall takes them.
    #[arg(long)]
    pub txt: bool,
    /// Try each of them from here: a connection, and TLS with its name checked.
    #[arg(long)]
    pub test: bool,
    /// With --test: the authorities that certificates are verified with, PEM; unless said, the system's.
    #[arg(long, requires = "test", value_name = "FILE")]
    pub authorities: Option<PathBuf>,
}
