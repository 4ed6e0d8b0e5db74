//! The line to the gateway: proxy, TLS and its authorities, the device's certificate.

pub mod connector;

use crate::failure::Failure;
use crate::gateway::Gateway;
use connector::TlsConnector;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, TcpConnector};
use ureq::{Agent, Proxy};

/// The word for no proxy at all.
const NO_PROXY: &str = "none";

/// How the gateway is reached.
#[derive(Debug, Default)]
pub struct Line {
    /// A proxy's address, or `none`; absent: what the environment says.
    pub proxy: Option<String>,
    /// The device's certificate with its key.
    pub device: Option<Arc<CertifiedKey>>,
}

impl Line {
    /// A client for this gateway and nothing else.
    ///
    /// # Errors
    /// [`Failure`], if its certificate authority cannot be used.
    pub fn agent(&self, gateway: &Gateway) -> Result<Agent, Failure> {
        let config = Agent::config_builder()
            .proxy(self.proxy_for(gateway)?)
            .http_status_as_error(false)
            // The token is for this gateway and not for where it points.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("tollgate-helper/", env!("CARGO_PKG_VERSION")))
            .build();
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(self.connector(gateway)?);

        Ok(Agent::with_parts(config, connector, DefaultResolver::default()))
    }

    /// The proxy that is asked the way to this gateway.
    ///
    /// # Errors
    /// [`Failure::Usage`].
    pub fn proxy_for(&self, gateway: &Gateway) -> Result<Option<Proxy>, Failure> {
        // No proxy is asked the way to this machine itself, nor told the token.
        if gateway.is_here() {
            return Ok(None);
        }
        match self.proxy.as_deref() {
            Some(set) => proxy_of(set).map_err(|why| Failure::Usage(format!("the proxy {why}"))),
            None => Ok(Proxy::try_from_env().filter(|proxy| !proxy.is_no_proxy(&gateway.uri()))),
        }
    }

    fn connector(&self, gateway: &Gateway) -> Result<TlsConnector, Failure> {
        // Looking up the system's authorities takes its time, and a plain line needs none.
        if gateway.url.starts_with("http:") {
            return Ok(TlsConnector::plain());
        }
        let verifier = verifier(gateway.ca.as_deref())?;
        let device = self
            .device
            .clone()
            .map(|key| Arc::new(SingleCertAndKey::from(key)) as Arc<dyn ResolvesClientCert>);
        let anonymous = config(Arc::clone(&verifier), None)?;
        let known = config(verifier, device)?;

        Ok(TlsConnector::new(known, anonymous, gateway.host()))
    }
}

/// What a configured proxy means.
///
/// # Errors
/// What is wrong with it. Never its text, in which a password may stand.
pub fn proxy_of(text: &str) -> Result<Option<Proxy>, &'static str> {
    if text == NO_PROXY {
        return Ok(None);
    }
    if !(text.starts_with("http://") || text.starts_with("https://")) {
        return Err("must be http://host:port, https://host:port or none");
    }

    Proxy::new(text).map(Some).map_err(|_unsaid| "is no address")
}

/// Believes the given authority alone, or else whom the system believes (in an enterprise, its own
/// authorities too).
fn verifier(ca: Option<&str>) -> Result<Arc<dyn ServerCertVerifier>, Failure> {
    let unusable = |error: &dyn std::fmt::Display| {
        Failure::Usage(format!("the certificate authority cannot be used: {error}"))
    };
    let Some(ca) = ca else {
        let verifier = Verifier::new(provider()).map_err(|error| unusable(&error))?;
        return Ok(Arc::new(verifier));
    };
    let mut roots = RootCertStore::empty();
    for certificate in authority(ca)? {
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| unusable(&error))?;

    Ok(verifier)
}

/// The certificates of an authority, which is given as PEM or as the path to it.
///
/// # Errors
/// [`Failure::Usage`], also where there is none.
pub fn authority(ca: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let text = if ca.contains("-----BEGIN") {
        ca.to_owned()
    } else {
        fs::read_to_string(Path::new(ca)).map_err(|error| {
            Failure::Usage(format!("the certificate authority {ca} cannot be read: {error}"))
        })?
    };
    let found = certificates(&text);
    if found.is_empty() {
        return Err(Failure::Usage("the certificate authority holds no PEM certificate".into()));
    }

    Ok(found)
}

/// The certificates of a PEM text.
pub fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect()
}

fn config(
    verifier: Arc<dyn ServerCertVerifier>,
    device: Option<Arc<dyn ResolvesClientCert>>,
) -> Result<Arc<ClientConfig>, Failure> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::Usage(format!("TLS cannot be set up: {error}")))?
        .dangerous() // only in name: both verifiers are whole
        .with_custom_certificate_verifier(verifier);
    let mut config = match device {
        Some(device) => builder.with_client_cert_resolver(device),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];

    Ok(Arc::new(config))
}

/// The cryptography.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
