//! TLS towards a sink: ring's cryptography, and the system's authorities or those of one file.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;
use tokio_rustls::TlsConnector;

/// Why there is no TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The file.
    #[error("holds no certificates in PEM: {0}")]
    File(String),
    /// The system.
    #[error("this system has no certificate authorities: name some by ca_file")]
    None,
    /// The library.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The authorities that are believed.
///
/// # Errors
/// [`TlsError`], if there is not one.
pub fn roots(ca: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let told = |error: &dyn std::fmt::Display| TlsError::File(error.to_string());
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| told(&error))? {
                roots
                    .add(certificate.map_err(|error| told(&error))?)
                    .map_err(|error| told(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    match (roots.is_empty(), ca) {
        (false, _) => Ok(roots),
        (true, Some(_)) => Err(TlsError::File("it has none".to_owned())),
        (true, None) => Err(TlsError::None),
    }
}

/// What makes a connection one of TLS.
///
/// # Errors
/// [`TlsError`].
pub fn connector(ca: Option<&Path>) -> Result<TlsConnector, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(ca)?)
        .with_no_client_auth();

    Ok(TlsConnector::from(Arc::new(config)))
}
