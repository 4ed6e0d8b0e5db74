//! The command line. Without arguments: one line with a token.

use crate::config::Keep;
use crate::config::file::SHORTEST;
use crate::form::Form;
use crate::sync::args::{Install, Sync, Uninstall};
use clap::{Parser, Subcommand};
use std::path::PathBuf;

const AFTER: &str = "Without a command: prints {\"token\",\"ttl\",\"headers\"} (or what `form` of \
the configuration says) on one line, from the cache while it holds. Under a name that ends with \
`-headers` (a link to it) it prints a map of headers, as clients want it for MCP servers. A browser is opened only by \
`login`, and where CLAUDE_HELPER_CONTEXT is `interactive`.

Exit codes: 0 done; 1 the doctor found a fault; 3 the gateway cannot be reached; 4 a manifest \
that is not taken; 5 no credential, or it was refused; 64 wrong usage; 74 a file, the keystore or the output cannot be written; 75 another \
process is getting a token; 78 a configuration file is wrong.
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
    /// Sign in: in the browser, or with a personal access token once the gateway has taken it.
    Login(Login),
    /// Print a token, as without a command.
    Token(Token),
    /// Tell what is kept, without its secrets.
    Status {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Forget everything, and end the session at the gateway too.
    Logout,
    /// The signed manifest: what stands on this laptop.
    #[command(subcommand)]
    Sync(Sync),
    /// Lay down what the sync takes: keys, folders, timers. As the administrator.
    Install(Box<Install>),
    /// Take that away again. As the administrator.
    Uninstall(Uninstall),
    /// Look for what is wrong, and say what to do about it.
    Doctor {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// How to sign in.
#[derive(Debug, clap::Args)]
pub struct Login {
    /// Where the gateway is, such as `https://gateway.example.com`; needless where it is configured.
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
    /// Sign in with a personal access token; `-` reads it from standard input, and without a
    /// value you are asked. On the command line other users of this machine may see it.
    #[arg(long, value_name = "PAT", num_args = 0..=1, default_missing_value = "")]
    pub pat: Option<String>,
    /// The authority that signed the gateway's certificate, PEM, if this system does not know it.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Where to keep the secret: only in the keystore, or in a file that only you can read.
    #[arg(long, value_name = "WHERE")]
    pub store: Option<Keep>,
    /// The identity provider to sign in with, by the gateway's name for it.
    #[arg(long, value_name = "ID")]
    pub issuer: Option<String>,
    /// The account to offer, such as `ann@example.com`.
    #[arg(long, value_name = "EMAIL")]
    pub login_hint: Option<String>,
    /// Open no browser; tell the address instead.
    #[arg(long)]
    pub no_browser: bool,
    /// Seconds the sign-in may take.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: Option<u64>,
}

/// Which token, and what the line looks like.
#[derive(Debug, Default, clap::Args)]
pub struct Token {
    /// Seconds the token is to hold at most; the gateway may give fewer.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(SHORTEST..))]
    pub ttl: Option<u64>,
    /// What the line looks like.
    #[arg(long, value_name = "FORM")]
    pub form: Option<Form>,
    /// For operating the gateway (`operator`): by the session alone, as a bare token, and never kept.
    #[arg(long, value_name = "AUDIENCE", value_parser = ["operator"])]
    pub audience: Option<String>,
    /// Only if this is the gateway that the token would be for.
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
}
