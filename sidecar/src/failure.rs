//! How a command ends when it does not end well.

use crate::audit::verify::VerifyError;
use crate::cost::bill::BillError;
use crate::keys::KeyError;
use crate::manifest::ManifestFailure;
use crate::policy::PolicyError;
use crate::policy::compile::SourceError;
use crate::policy::signer::SignerError;
use crate::sealing::SealError;
use crate::settings::FileError;
use crate::store::StoreError;
use std::io;
use std::process::ExitCode;
use thiserror::Error;

/// Why a command failed. Its display is the one line the operator sees.
#[derive(Debug, Error)]
pub enum Failure {
    /// What was named is not there.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done as asked.
    #[error("{0}")]
    Refused(String),
    /// Whoever asks may not. It leaves a row.
    #[error("{0}")]
    Denied(String),
    /// The audit table is not as it was stored.
    #[error("the audit table is not whole")]
    NotWhole,
    /// It could not be verified.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Done, but its row is not stored.
    #[error("{done}, but the audit table does not say so: {why}")]
    Untold {
        /// What was done.
        done: String,
        /// Why it is not told.
        why: StoreError,
    },
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key of sessions.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A policy as it is written.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A publication of a catalogue.
    #[error(transparent)]
    Manifest(#[from] ManifestFailure),
    /// A signer.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The answer is no, and the answer has said so.
    #[error("no")]
    Answered,
    /// A bill.
    #[error(transparent)]
    Bill(#[from] BillError),
    /// A bill says something else than the rows.
    #[error("{0}")]
    Differs(String),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Standard output.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
    /// An answer that is no JSON.
    #[error("cannot write the answer: {0}")]
    Json(#[from] serde_json::Error),
    /// The sidecar could not start, or had to stop.
    #[error("cannot serve: {}", told(.0))]
    Serve(anyhow::Error),
}

impl Failure {
    /// 1 failed, 3 not found, 4 not whole, 5 a bill that differs, 6 not allowed; 2 is clap's for usage.
    pub fn code(&self) -> u8 {
        match self {
            Self::NotFound(_) | Self::Manifest(ManifestFailure::None(_)) => 3,
            Self::NotWhole => 4,
            Self::Differs(_) => 5,
            Self::Denied(_) | Self::Store(StoreError::NotTheirs(_)) => 6,
            _ => 1,
        }
    }

    /// The same, for the end of the process.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// Was it refused because of who asks?
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::Store(StoreError::NotTheirs(_)))
    }

    /// A reader that went away (`tollgate audit query | head`) is no failure.
    pub fn is_reader_gone(&self) -> bool {
        match self {
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::Json(error) => error.io_error_kind() == Some(io::ErrorKind::BrokenPipe),
            _ => false,
        }
    }
}

/// A cause after another, each once: some of ours name theirs already.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }

    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow!("no such file").context("cannot read a: no such file").context("boot");

        assert_eq!(told(&error), "boot: cannot read a: no such file");
    }
}
