//! `tollgate manifest`.

use super::EXIT_CODES;
use super::fleet::PublicationCommand;
use crate::clock;
use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;

/// What `manifest diff` adds to the exit codes.
const DIFF_CODES: &str =
    "Exit codes: 0 they say the same; 1 they differ, or it failed; 2 wrong usage;
3 what was named is not there.";

/// `tollgate manifest`.
#[derive(Debug, Subcommand)]
pub enum ManifestCommand {
    /// Tell every fault of a catalogue and of the folders beside it, with line and what would be right.
    #[command(after_help = EXIT_CODES)]
    Check(ManifestCheckArgs),
    /// Make a publication of a catalogue, to be signed: the same input makes the same bytes.
    #[command(after_help = EXIT_CODES)]
    Build(ManifestBuildArgs),
    /// Sign a publication, where the security team's key is.
    #[command(after_help = EXIT_CODES)]
    Sign(Box<ManifestSignArgs>),
    /// Say what each audience gets, loses and has changed, from one catalogue or publication to another.
    #[command(after_help = DIFF_CODES)]
    Diff {
        /// A catalogue, or the folder of a publication.
        #[arg(value_name = "CATALOGUE|DIR")]
        from: PathBuf,
        /// The other.
        #[arg(value_name = "CATALOGUE|DIR")]
        to: PathBuf,
    },
    /// Show what a publication has for whom, and who has signed it.
    #[command(after_help = EXIT_CODES)]
    Show {
        /// Its folder.
        dir: PathBuf,
    },
    /// Show the keys whose manifests are believed here; make one if there is none.
    #[command(after_help = EXIT_CODES)]
    Keys,
    /// What is done with a publication once it is signed.
    #[command(flatten)]
    Published(PublicationCommand),
}

/// `tollgate manifest check`.
#[derive(Debug, ClapArgs)]
pub struct ManifestCheckArgs {
    /// The catalogue.
    pub catalogue: PathBuf,
    /// A policy, YAML: models of agents and words of MCP servers are compared with it.
    #[arg(long, value_name = "FILE", conflicts_with = "in_force")]
    pub policy: Option<PathBuf>,
    /// The same with the policy in force.
    #[arg(long)]
    pub in_force: bool,
}

/// `tollgate manifest build`.
#[derive(Debug, ClapArgs)]
pub struct ManifestBuildArgs {
    /// The catalogue.
    pub catalogue: PathBuf,
    /// A folder that is new, empty or has a publication, which is replaced.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Higher than any before.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=9_007_199_254_740_991))]
    pub version: Option<u64>,
    /// When it is made; `SOURCE_DATE_EPOCH`, or now, unless said.
    #[arg(long, value_name = "TIME", value_parser = clock::point)]
    pub at: Option<u64>,
}

/// `tollgate manifest sign`.
#[derive(Debug, Default, ClapArgs)]
pub struct ManifestSignArgs {
    /// The folder of the publication.
    pub dir: PathBuf,
    /// What signs.
    #[command(flatten)]
    pub with: ManifestKeyArgs,
    /// Add signatures to those that are there, while keys are changed.
    #[arg(long)]
    pub add: bool,
}

/// What signs a publication.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct ManifestKeyArgs {
    /// The private key; DATA/keys/manifest/manifest.key unless said.
    #[arg(long, value_name = "FILE", conflicts_with = "signer")]
    pub key: Option<PathBuf>,
    /// A command of the shell that signs, for an HSM or KMS: it gets the bytes on standard input, and prints the Ed25519
    /// signature. It is asked once for the index and once for each audience.
    #[arg(long, value_name = "CMD")]
    pub signer: Option<String>,
    /// The public key of the signer; the pinned key of that name in DATA/keys/manifest unless said.
    #[arg(long, value_name = "FILE", requires = "signer")]
    pub public_key: Option<PathBuf>,
    /// The name of the signer's key; the one in --public-key unless said.
    #[arg(long, value_name = "ID", requires = "signer")]
    pub key_id: Option<String>,
}
