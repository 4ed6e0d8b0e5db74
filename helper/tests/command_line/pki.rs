//! Certificates for a test.

use crate::laptop::Fallible;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// An authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// When a certificate holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Now,
    Ended,
}

impl Authority {
    pub(crate) fn new() -> Fallible<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        // Each has a name of its own, or one would be taken for the other with a wrong signature.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("test authority {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);

        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    fn der(&self) -> Fallible<CertificateDer<'static>> {
        Ok(CertificateDer::from_pem_slice(self.pem().as_bytes())?)
    }

    /// A certificate for a key, PEM.
    pub(crate) fn issue(
        &self,
        name: &str,
        holds: Holds,
        usage: ExtendedKeyUsagePurpose,
        key: &KeyPair,
    ) -> Fallible<String> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        params.not_before = date_time_ymd(2020, 1, 1);
        let year = if holds == Holds::Now { 4000 } else { 2021 };
        params.not_after = date_time_ymd(year, 1, 1);

        Ok(params.signed_by(key, &self.0)?.pem())
    }

    /// A server of this name that asks for clients' certificates of `clients`, and goes on without.
    pub(crate) fn server(
        &self,
        name: &str,
        holds: Holds,
        clients: Option<&Self>,
    ) -> Fallible<Arc<ServerConfig>> {
        self.server_of(name, holds, clients, rustls::DEFAULT_VERSIONS)
    }

    /// The same, with these versions of TLS.
    pub(crate) fn server_of(
        &self,
        name: &str,
        holds: Holds,
        clients: Option<&Self>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Fallible<Arc<ServerConfig>> {
        let key = KeyPair::generate()?;
        let pem = self.issue(name, holds, ExtendedKeyUsagePurpose::ServerAuth, &key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.der()?)?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .allow_unauthenticated()
                        .build()?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes())?];
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?;

        Ok(Arc::new(builder.with_single_cert(chain, key)?))
    }
}
