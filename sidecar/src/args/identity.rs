//! `tollgate identity` and `tollgate session`.

use clap::Subcommand;
use std::path::PathBuf;

/// `tollgate identity`.
#[derive(Debug, Subcommand)]
pub enum IdentityCommand {
    /// Tell every fault of the file, with line and what would be right, and read the secrets that it names.
    Check {
        /// The file, YAML.
        file: PathBuf,
    },
}

/// `tollgate session`.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List them, the newest first.
    List {
        /// Only theirs.
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
    },
    /// End one; what was minted from it ends within a second.
    End {
        /// Its id, `ses_…`.
        id: String,
    },
}
