//! `tollgate approval`.

use clap::{Args as ClapArgs, Subcommand};

/// `tollgate approval`.
#[derive(Debug, Subcommand)]
pub enum ApprovalCommand {
    /// List what waits for a decision.
    List {
        /// Also what was decided, used, or is over.
        #[arg(long)]
        all: bool,
        /// At most so many, the latest.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Show one, with the arguments of the call and which channels were told.
    Show {
        /// Its id, `apr_…`.
        id: String,
    },
    /// Let the call through, once. Not one's own.
    Approve(DecideArgs),
    /// Do not.
    Deny(DecideArgs),
}

/// `tollgate approval approve` and `deny`.
#[derive(Debug, ClapArgs)]
pub struct DecideArgs {
    /// Its id, `apr_…`.
    pub id: String,
    /// What the agent, the channel and the row are told with it.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}
