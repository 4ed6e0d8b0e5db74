//! The certificate of this device, by reference: its key stays where it is.

pub mod certificate;
pub mod pem;
pub mod pkcs11;
pub mod signer;
pub mod uri;

#[cfg(target_os = "macos")]
pub mod keychain;
#[cfg(windows)]
pub mod windows;

use crate::failure::Failure;
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::path::PathBuf;

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reference {
    /// Two files.
    Pem(pem::Pair),
    /// A token that speaks PKCS#11.
    Pkcs11(pkcs11::Token),
    /// The certificate store of Windows.
    Windows(Labelled),
    /// The Keychain of macOS.
    Keychain(Labelled),
}

/// An entry of the system's own store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labelled {
    /// Windows: a part of the subject. macOS: the label.
    pub label: String,
    /// Windows: `user` (so if absent) or `machine`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

/// A place where certificates with their keys are.
pub trait DeviceCertificate: Debug {
    /// The chain, and something that signs with its key.
    ///
    /// # Errors
    /// [`Failure::Device`], [`Failure::Exposed`].
    fn load(&self) -> Result<CertifiedKey, Failure>;

    /// Where it is, without secrets.
    fn place(&self) -> String;
}

impl Reference {
    /// The place it refers to.
    pub fn place(&self) -> Box<dyn DeviceCertificate> {
        match self {
            Self::Pem(pair) => Box::new(pair.clone()),
            Self::Pkcs11(token) => Box::new(token.clone()),
            #[cfg(windows)]
            Self::Windows(entry) => Box::new(windows::Entry(entry.clone())),
            #[cfg(target_os = "macos")]
            Self::Keychain(entry) => Box::new(keychain::Entry(entry.clone())),
            #[cfg(not(windows))]
            Self::Windows(_) => Box::new(Elsewhere("the certificate store of Windows")),
            #[cfg(not(target_os = "macos"))]
            Self::Keychain(_) => Box::new(Elsewhere("the Keychain of macOS")),
        }
    }
}

/// A store that this system does not have.
#[derive(Debug)]
struct Elsewhere(&'static str);

impl DeviceCertificate for Elsewhere {
    fn load(&self) -> Result<CertifiedKey, Failure> {
        Err(Failure::Device(format!("{} is not on this system", self.0)))
    }

    fn place(&self) -> String {
        self.0.to_owned()
    }
}

/// A file that can be read, or why not.
fn readable(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::Device(format!("{} cannot be read: {error}", path.display())))
}
