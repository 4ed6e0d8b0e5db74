//! `tollgate scim`.

use clap::Subcommand;

/// `tollgate scim`.
#[derive(Debug, Subcommand)]
pub enum ScimCommand {
    /// What a directory calls with.
    #[command(subcommand)]
    Token(TokenCommand),
}

/// `tollgate scim token`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Issue one. It is printed once and kept nowhere.
    Issue {
        /// The only tenant that it sees and touches.
        #[arg(long)]
        tenant: String,
        /// Days until it expires.
        #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u32).range(1..=732))]
        days: u32,
    },
    /// List them.
    List {
        /// Only this tenant's.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Revoke one.
    Revoke {
        /// Its id, `dir_…`.
        id: String,
    },
}
