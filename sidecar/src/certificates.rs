//! Device certificates: what one says, and which are revoked.
//!
//! Envoy has verified the chain, and that whoever connects has the key. What is left is ours: is it one that
//! signs people in, whose is it, and does it stand on a list of those revoked ([`revoked`], [`watch`])?

use crate::identity::{self, NamedBy};
use crate::sign_in::Refused;
use crate::users;
use axum::http::HeaderMap;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contract::envelope::hex;
use contract::headers::{PEER, PEER_CERT};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;

pub mod revoked;
pub mod watch;

/// Longest PEM that is looked at, decoded.
const LONGEST: usize = 32 * 1024;

/// A certificate, as far as signing in needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// SHA-256 of its DER.
    pub sha256: [u8; 32],
    /// Its issuer's name.
    pub issuer: String,
    /// Hex, lower case, no zeros before it.
    pub serial: String,
    /// Its subject's name.
    pub subject: String,
    /// Unix seconds.
    pub not_before: u64,
    /// Unix seconds; that second is still good.
    pub not_after: u64,
    /// Is it for clients, and no authority?
    pub signs_in: bool,
    /// Whom it names, by address.
    pub owner: Option<String>,
}

impl Device {
    /// The certificate of the connection: what Envoy tells of it counts only if it is the one whose fingerprint
    /// [`PEER`] tells. Nothing of a body does, and nothing that a client sends: Envoy sets these headers
    /// itself, and what came under their names is gone.
    ///
    /// # Errors
    /// [`Refused`]: there is none, or it cannot be read.
    pub fn of(asked: &HeaderMap, names: &identity::Certificates) -> Result<Self, Refused> {
        let mut peers = asked.get_all(PEER).iter();
        let (Some(peer), None) = (peers.next(), peers.next()) else {
            return Err(Refused::CertificateMissing);
        };
        let peer = peer.to_str().unwrap_or_default();
        // Envoy writes nothing, or a dash, where there is none.
        if peer.len() != 64 {
            return Err(Refused::CertificateMissing);
        }
        let told = asked.get_all(PEER_CERT).iter().filter_map(|value| value.to_str().ok());
        let der = told
            .filter_map(decoded)
            .filter_map(|pem| der(&pem))
            .find(|der| hex(&Sha256::digest(der)) == peer)
            .ok_or(Refused::CertificateUnusable)?;

        Self::read(&der, names)
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`Refused::CertificateUnusable`].
    pub fn read(der: &[u8], names: &identity::Certificates) -> Result<Self, Refused> {
        let Ok((rest, it)) = X509Certificate::from_der(der) else {
            return Err(Refused::CertificateUnusable);
        };
        if !rest.is_empty() {
            return Err(Refused::CertificateUnusable);
        }
        let time = |at: i64| u64::try_from(at).unwrap_or_default();

        Ok(Self {
            sha256: Sha256::digest(der).into(),
            issuer: it.issuer().to_string(),
            serial: serial(it.raw_serial()),
            subject: it.subject().to_string(),
            not_before: time(it.validity().not_before.timestamp()),
            not_after: time(it.validity().not_after.timestamp()),
            signs_in: signs_in(&it),
            owner: owner(&it, names),
        })
    }

    /// Is it good now, whoever it names?
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(&self, now: u64) -> Result<(), Refused> {
        if !(self.not_before..=self.not_after).contains(&now) {
            return Err(Refused::CertificateExpired);
        }
        if !self.signs_in {
            return Err(Refused::CertificateUnusable);
        }

        Ok(())
    }

    /// As `cnf.x5t#S256` has it (RFC 8705 §3.1).
    pub fn x5t(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.sha256)
    }

    /// What rows and operators call it.
    pub fn credential_id(&self) -> String {
        let (first, _) = self.sha256.split_at(8);

        format!("cert_{}", hex(first))
    }
}

/// A serial as it is compared: hex, lower case, no zeros before it.
pub fn serial(raw: &[u8]) -> String {
    let hex = hex(raw);
    let plain = hex.trim_start_matches('0');

    if plain.is_empty() { "0".to_owned() } else { plain.to_owned() }
}

/// PEM, percent-encoded, as Envoy writes it.
fn decoded(value: &str) -> Option<String> {
    let fits = value.len() <= LONGEST.saturating_mul(3);

    fits.then(|| percent_decode_str(value).decode_utf8().ok())?.map(Into::into)
}

fn der(pem: &str) -> Option<Vec<u8>> {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).ok()?;

    (pem.label == "CERTIFICATE" && pem.contents.len() <= LONGEST).then_some(pem.contents)
}

/// Without an extended key usage a certificate is for anything (RFC 5280 §4.2.1.12); then it was not made for
/// this, and is not taken.
fn signs_in(it: &X509Certificate<'_>) -> bool {
    let usage = it.extended_key_usage().ok().flatten();
    let constraints = it.basic_constraints();
    let authority = constraints.map_or(true, |it| it.is_some_and(|it| it.value.ca));

    usage.is_some_and(|usage| usage.value.client_auth) && !authority
}

/// The first kind of name that is there counts, and of that the first.
fn owner(it: &X509Certificate<'_>, names: &identity::Certificates) -> Option<String> {
    let alternatives = it.subject_alternative_name().ok().flatten();
    let alternatives = alternatives.map(|it| &*it.value.general_names).unwrap_or_default();
    let found = names.user.iter().find_map(|by| match by {
        NamedBy::Cn => it.subject().iter_common_name().next()?.as_str().ok(),
        by => alternatives.iter().find_map(|name| match (by, name) {
            (NamedBy::Email, GeneralName::RFC822Name(name))
            | (NamedBy::Uri, GeneralName::URI(name))
            | (NamedBy::Dns, GeneralName::DNSName(name)) => Some(*name),
            _ => None,
        }),
    })?;

    address(found, names)
}

fn address(name: &str, names: &identity::Certificates) -> Option<String> {
    let prefix = names.prefix.as_deref().unwrap_or_default();
    let name = match name.strip_prefix(prefix) {
        Some(rest) if !prefix.is_empty() => rest,
        _ if name.contains('@') && !name.contains(':') => name,
        Some(rest) => rest,
        None => return None,
    };
    let whole = match names.suffix.as_deref() {
        Some(suffix) if !name.contains('@') => format!("{name}{suffix}"),
        _ => name.to_owned(),
    };

    users::address(&whole).ok()
}

#[cfg(test)]
mod tests;
