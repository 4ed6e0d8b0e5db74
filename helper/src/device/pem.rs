//! Two PEM files.

use super::{DeviceCertificate, readable};
use crate::failure::Failure;
use crate::home;
use crate::line;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A certificate with its chain, and a key that only its owner can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The chain, the device's own certificate first.
    pub certificate: PathBuf,
    /// The private key; PKCS#8, PKCS#1 or SEC 1, without a passphrase.
    pub key: PathBuf,
}

impl DeviceCertificate for Pair {
    fn load(&self) -> Result<CertifiedKey, Failure> {
        let cannot = |why: String| Failure::Device(format!("{}: {why}", self.key.display()));
        let chain = chain(&self.certificate)?;
        let text = match home::read_private(&self.key) {
            Err(Failure::Unreadable { source, .. }) => return Err(cannot(source.to_string())),
            other => other?,
        };
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_its_words| cannot("there is no private key in it".into()))?;

        CertifiedKey::from_der(chain, key, &line::provider())
            .map_err(|error| cannot(error.to_string()))
    }

    fn place(&self) -> String {
        format!("{} and {}", self.certificate.display(), self.key.display())
    }
}

/// The certificates of a file.
pub(super) fn chain(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&readable(path)?).filter_map(Result::ok).collect();
    if chain.is_empty() {
        return Err(Failure::Device(format!("{} holds no certificate", path.display())));
    }

    Ok(chain)
}
