//! The signed supply chain, where it is written: what stands on laptops is decided here, and signed.
//!
//! A *catalogue* is what people write ([`compile`]). A *publication* is what becomes of one version of it: an index, a document for
//! each audience, an archive for each plugin ([`publication`]). It is signed ([`signing`]), put in force, and changed in
//! an emergency ([`revise`]). What is signed is described where laptops read it, in `contract::manifest`.

use crate::keys::KeyError;
use crate::policy::signer::SignerError;
use crate::settings::FileError;
use contract::canonical::CanonicalError;
use contract::manifest::ManifestError;
use contract::policy::Fault;
use std::path::PathBuf;
use thiserror::Error;

pub mod archive;
pub mod archives;
pub mod caller;
pub mod changes;
pub mod command;
pub mod compile;
pub mod diff;
pub mod fleet;
mod folder;
pub mod generated;
pub mod incoming;
pub mod live;
pub mod marketplace;
pub mod plugin;
pub mod plugins;
pub mod prepared;
pub mod publication;
pub mod publish;
pub mod published;
pub mod range;
mod reach;
pub mod recorder;
pub mod report;
pub mod revise;
pub mod serve;
mod shape;
pub mod signing;
mod source;
mod texts;
pub mod withdrawn;

#[cfg(test)]
mod tests;

/// Why a publication cannot be used.
#[derive(Debug, Error)]
pub enum ManifestFailure {
    /// There is none.
    #[error("no publication in {}: `tollgate manifest build` makes one", .0.display())]
    None(PathBuf),
    /// It is not signed.
    #[error("{} is not signed: run `tollgate manifest sign`", .0.display())]
    Unsigned(PathBuf),
    /// A file of it.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A signer.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// What is signed is not believed.
    #[error("{}: {source}{}", path.display(), remedy(source))]
    Unbelieved {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: ManifestError,
    },
    /// What is to be signed, or was, is no document.
    #[error("{}: {}", path.display(), listed(faults))]
    Faults {
        /// Which file.
        path: PathBuf,
        /// Every one.
        faults: Vec<Fault>,
    },
    /// Its parts do not fit together.
    #[error("{}: {problem}", path.display())]
    Broken {
        /// Which part.
        path: PathBuf,
        /// How.
        problem: String,
    },
    /// It cannot be changed as asked.
    #[error("{0}")]
    Refused(String),
    /// Something has no canonical form.
    #[error("cannot be written canonically: {0}")]
    Canonical(#[from] CanonicalError),
    /// JSON.
    #[error("cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// What can be done about a signature that is not believed.
fn remedy(why: &ManifestError) -> &'static str {
    if why.code() == "unknown_key" {
        ": put the .pub of who signed it into DATA/keys/manifest, or sign it with a key that is pinned there"
    } else {
        ""
    }
}

fn listed(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
