//! `tollgate envoy`, and where Envoy is.

use super::{ChangeArgs, EXIT_CODES};
use crate::clock;
use crate::envoy::place::EnvoyPlace;
use clap::{Args as ClapArgs, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

const CHECK_CODES: &str = "Exit codes: 0 no faults; 1 faults, or it failed; 2 wrong usage; 3 what was named is not there.";
const DIFF_CODES: &str = "Exit codes: 0 nothing changes; 1 something does, or it failed; 2 wrong usage; 3 what was named is not there.";
const STATUS_CODES: &str =
    "Exit codes: 0 all is as it was put in force; 1 it is not, or it failed; 2 wrong usage.";

/// Where Envoy is.
#[derive(Debug, Clone, ClapArgs)]
pub struct EnvoyArgs {
    /// The directory that Envoy runs in, with envoy.yaml and the files that it names.
    #[arg(long, env = "TOLLGATE_ENVOY_DIR", hide_env_values = true, value_name = "DIR")]
    pub envoy_dir: Option<PathBuf>,
    /// Envoy's admin listener; unless said, the one that envoy.yaml names.
    #[arg(long, env = "TOLLGATE_ENVOY_ADMIN", hide_env_values = true, value_name = "ADDRESS")]
    pub envoy_admin: Option<SocketAddr>,
    /// Envoy's binary, which checks edits: the same version as the one that runs.
    #[arg(
        long,
        env = "TOLLGATE_ENVOY_BIN",
        hide_env_values = true,
        default_value = "envoy",
        value_name = "FILE"
    )]
    pub envoy_bin: PathBuf,
}

impl EnvoyArgs {
    /// The place, if one was named.
    pub fn place(&self) -> Option<EnvoyPlace> {
        let Self { envoy_dir, envoy_admin, envoy_bin } = self;
        // Envoy's binary is run in its directory: a path from here would not be found there.
        let bin = match envoy_bin.components().count() {
            1 => envoy_bin.clone(),
            _ => std::path::absolute(envoy_bin).unwrap_or_else(|_| envoy_bin.clone()),
        };
        let dir = envoy_dir.as_ref()?;
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());

        Some(EnvoyPlace { dir, admin: *envoy_admin, bin })
    }
}

/// An edit.
#[derive(Debug, Clone, ClapArgs)]
pub struct CandidateArgs {
    /// A directory with the files that change (routes.yaml, clusters.yaml, lanes.yaml, gate.yaml, secrets/NAME.yaml);
    /// `staged` in Envoy's directory, unless said.
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// One file that changes, and where its new text is; may be given several times.
    #[arg(long = "file", value_name = "NAME=PATH", value_parser = named)]
    pub files: Vec<(String, PathBuf)>,
}

fn named(word: &str) -> Result<(String, PathBuf), String> {
    match word.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.trim_start_matches("./").to_owned(), path.into()))
        }
        _ => Err("write NAME=PATH, as routes.yaml=/tmp/routes.yaml".into()),
    }
}

/// `tollgate envoy`.
#[derive(Debug, Subcommand)]
pub enum EnvoyCommand {
    /// Tell every fault of an edit, or of the files as they are, with file and line. Envoy itself looks at it too.
    #[command(after_help = CHECK_CODES)]
    Check {
        /// The edit.
        #[command(flatten)]
        candidate: CandidateArgs,
        /// Where Envoy is.
        #[command(flatten)]
        envoy: EnvoyArgs,
    },
    /// Say what an edit changes, without secrets.
    #[command(after_help = DIFF_CODES)]
    Diff {
        /// The edit.
        #[command(flatten)]
        candidate: CandidateArgs,
        /// Where Envoy is.
        #[command(flatten)]
        envoy: EnvoyArgs,
    },
    /// Put an edit in force: check it, rename it into place, wait until every worker serves it, and write it down.
    #[command(after_help = EXIT_CODES)]
    Apply(Box<ApplyArgs>),
    /// Say whether Envoy serves what its files say, and the files are what was put in force.
    #[command(after_help = STATUS_CODES)]
    Status {
        /// Where Envoy is.
        #[command(flatten)]
        envoy: EnvoyArgs,
    },
    /// List what was put in force, and when files were found to be something else; the newest first.
    #[command(after_help = EXIT_CODES)]
    History {
        /// At most so many.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
}

/// `tollgate envoy apply`.
#[derive(Debug, ClapArgs)]
pub struct ApplyArgs {
    /// The edit.
    #[command(flatten)]
    pub candidate: CandidateArgs,
    /// Also where files were changed by another way since the last apply.
    #[arg(long)]
    pub over_drift: bool,
    /// How long Envoy may take: 30s, 2m.
    #[arg(long, value_parser = clock::span, value_name = "TIME")]
    pub timeout: Option<u64>,
    /// For the record.
    #[command(flatten)]
    pub change: ChangeArgs,
    /// Where Envoy is.
    #[command(flatten)]
    pub envoy: EnvoyArgs,
}
