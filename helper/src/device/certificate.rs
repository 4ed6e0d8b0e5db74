//! What stands in a certificate about its time.

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

/// When a certificate holds, Unix seconds, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The subject.
    pub subject: String,
    /// It holds from then.
    pub from: i64,
    /// It has ended after that.
    pub until: i64,
}

impl About {
    /// Reads the first of a chain.
    pub fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(chain.first()?).ok()?;
        let validity = certificate.validity();

        Some(Self {
            subject: certificate.subject().to_string(),
            from: validity.not_before.timestamp(),
            until: validity.not_after.timestamp(),
        })
    }

    /// What speaks against it at this time.
    pub fn fault(&self, now: u64) -> Option<String> {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        if now > self.until {
            let days = now.saturating_sub(self.until) / 86_400;
            return Some(format!("it expired {days} days ago"));
        }

        (now < self.from).then(|| "it does not hold yet".to_owned())
    }
}

/// Whether the first key of a chain is RSA.
#[cfg(target_os = "macos")]
pub(super) fn is_rsa(chain: &[CertificateDer<'_>]) -> Option<bool> {
    use x509_parser::oid_registry::OID_PKCS1_RSAENCRYPTION;

    let (_, certificate) = X509Certificate::from_der(chain.first()?).ok()?;

    Some(certificate.public_key().algorithm.algorithm == OID_PKCS1_RSAENCRYPTION)
}
