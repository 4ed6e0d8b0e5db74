//! The command line. Without arguments: one line with a token.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

const AFTER: &str =
    "Without a command: prints {\"token\",\"ttl\",\"headers\"} on one line, from the \
cache while it holds.

Exit codes: 0 done; 3 the gateway cannot be reached; 5 no credential, or it was refused;
64 wrong usage; 74 a file or the output cannot be written.
Files are in $TOLLGATE_HELPER_HOME, or tollgate-helper/ in the system's place for configuration.";

/// Tollgate's credential helper.
#[derive(Debug, Parser)]
#[command(name = "tollgate-helper", version, after_help = AFTER)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do, other than print a token.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep a personal access token, once the gateway has taken it.
    Login {
        /// Where the gateway is, such as `https://gateway.example.com`.
        #[arg(long, value_name = "URL")]
        gateway: String,
        /// The token; `-` reads it from standard input, and without it you are asked. On the
        /// command line other users of this machine may see it.
        #[arg(long, value_name = "PAT")]
        pat: Option<String>,
        /// The authority that signed the gateway's certificate, PEM, if the web does not know it.
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
    /// Tell what is kept, without its secrets.
    Status {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Forget everything.
    Logout,
}
