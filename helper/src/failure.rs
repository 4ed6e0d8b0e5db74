//! What went wrong, what to do about it, and the exit code that says which.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use thiserror::Error;

/// Why there is no token. No variant carries a secret.
#[derive(Debug, Error)]
pub enum Failure {
    /// Nobody logged in.
    #[error("nobody is logged in")]
    LoggedOut,
    /// The gateway said no.
    #[error("the gateway refused the personal access token: {0}")]
    Refused(String),
    /// What was typed is no token.
    #[error("this is no personal access token of Tollgate")]
    NoToken,
    /// A file that others can read, or that is another's.
    #[error("{} is not yours alone: {why}", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file that cannot be understood.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Unwritable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The gateway was not reached.
    #[error("{gateway} cannot be reached: {source}")]
    Unreachable {
        /// Which gateway.
        gateway: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// The gateway, or something in its place, answered something else.
    #[error("{gateway} answered {status}")]
    Answer {
        /// Which gateway.
        gateway: String,
        /// What it answered.
        status: u16,
    },
    /// The gateway's answer is no token.
    #[error("the answer of {gateway} is not understood: {why}")]
    NotUnderstood {
        /// Which gateway.
        gateway: String,
        /// What is wrong with it.
        why: String,
    },
    /// The command line.
    #[error("{0}")]
    Usage(String),
    /// The output.
    #[error("the answer cannot be written: {0}")]
    Output(io::Error),
}

impl Failure {
    /// 3 unreachable, 5 credential, 64 usage (`EX_USAGE`), 74 files (`EX_IOERR`).
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Unreachable { .. } | Self::Answer { .. } | Self::NotUnderstood { .. } => 3,
            Self::LoggedOut
            | Self::Refused(_)
            | Self::NoToken
            | Self::Exposed { .. }
            | Self::Unreadable { .. } => 5,
            Self::Usage(_) => 64,
            Self::Unwritable { .. } | Self::Output(_) => 74,
        })
    }

    /// What the person can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::LoggedOut => "run `tollgate-helper login --gateway URL` with your access token",
            Self::Refused(_) => {
                "ask your administrator for a new access token, then `tollgate-helper login`"
            }
            Self::NoToken => "it looks like tgp_<12 characters>_<43 characters>",
            Self::Exposed { .. } => {
                "take it away from others (chmod 600, directories 700), or log in anew"
            }
            Self::Unreadable { .. } => "run `tollgate-helper login` anew",
            Self::Unreachable { source, .. } if is_certificate(source) => {
                "give the gateway's certificate authority: `tollgate-helper login --ca FILE`"
            }
            Self::Unreachable { .. } => "check the network and the gateway's address",
            Self::Answer { .. } => "the gateway is in trouble, or the address is another server's",
            Self::NotUnderstood { .. } => "is the address really that of a Tollgate gateway?",
            Self::Usage(_) => "`tollgate-helper --help` tells how",
            Self::Unwritable { .. } | Self::Output(_) => "check the disk and whose directory it is",
        }
    }
}

fn is_certificate(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Rustls(_) | ureq::Error::Tls(_))
        || error.to_string().contains("certificate")
}
