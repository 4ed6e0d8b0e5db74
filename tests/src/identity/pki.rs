//! A test PKI: the authority behind device certificates, and every certificate it should not be.

use anyhow::Result;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData,
    RevocationReason, RevokedCertParams, SanType, SerialNumber,
};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use time::{Duration, OffsetDateTime};

/// Bytes before the number of a certificate in its serial: as long as real ones, and known.
const SERIAL: [u8; 8] = [0x4e, 0x2e, 0, 0, 0, 0, 0xd0, 0x01];

/// An authority for certificates of devices.
#[derive(Debug)]
pub struct DeviceAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a certificate shall say.
#[derive(Debug, Clone)]
pub struct Device {
    /// Subject alternative name of type email; also the subject's common name.
    pub email: String,
    /// Subject alternative name of type URI.
    pub uri: Option<String>,
    /// Subject alternative name of type DNS.
    pub dns: Option<String>,
    /// Valid from so many hours from now.
    pub from_hours: i64,
    /// Valid until so many hours from now.
    pub until_hours: i64,
    /// For what.
    pub usage: ExtendedKeyUsagePurpose,
}

/// A certificate with its key. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientCertificate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cert: String,
    key: String,
    der: Vec<u8>,
    serial: SerialNumber,
}

/// All that tests of client certificates need, for one person.
#[derive(Debug)]
pub struct Pki {
    /// The authority that the gateway trusts.
    pub ca: DeviceAuthority,
    /// One that it does not, with the same name.
    pub other_ca: DeviceAuthority,
    /// In order.
    pub good: ClientCertificate,
    /// The same subject with another key and serial.
    pub twin: ClientCertificate,
    /// Ended an hour ago.
    pub expired: ClientCertificate,
    /// Begins in a day.
    pub not_yet_valid: ClientCertificate,
    /// For servers (`serverAuth`) only.
    pub wrong_usage: ClientCertificate,
    /// The same subject, from the other authority.
    pub foreign: ClientCertificate,
}

impl Device {
    /// A laptop of this person's: email, `spiffe://example.com/device/NAME`, `NAME.devices.example.com`.
    pub fn of(email: &str) -> Self {
        let name = email.split('@').next().unwrap_or(email);

        Self {
            email: email.to_owned(),
            uri: Some(format!("spiffe://example.com/device/{name}")),
            dns: Some(format!("{name}.devices.example.com")),
            from_hours: -24,
            until_hours: 24,
            usage: ExtendedKeyUsagePurpose::ClientAuth,
        }
    }

    /// Valid between these hours from now.
    pub fn valid(mut self, from_hours: i64, until_hours: i64) -> Self {
        (self.from_hours, self.until_hours) = (from_hours, until_hours);
        self
    }

    fn parameters(&self, serial: SerialNumber) -> Result<CertificateParams> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, self.email.clone());
        parameters.distinguished_name.push(DnType::OrganizationName, "Example");
        let mut names = vec![SanType::Rfc822Name(self.email.as_str().try_into()?)];
        if let Some(uri) = &self.uri {
            names.push(SanType::URI(uri.as_str().try_into()?));
        }
        if let Some(dns) = &self.dns {
            names.push(SanType::DnsName(dns.as_str().try_into()?));
        }
        parameters.subject_alt_names = names;
        parameters.extended_key_usages = vec![self.usage.clone()];
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.not_before = OffsetDateTime::now_utc() + Duration::hours(self.from_hours);
        parameters.not_after = OffsetDateTime::now_utc() + Duration::hours(self.until_hours);
        parameters.serial_number = Some(serial);
        parameters.use_authority_key_identifier_extension = true;

        Ok(parameters)
    }
}

impl DeviceAuthority {
    /// A new one.
    pub fn new() -> Result<Self> {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters.distinguished_name.push(DnType::CommonName, "Example device CA");

        Ok(Self { issuer: CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)? })
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate.
    pub fn issue(&self, device: &Device) -> Result<ClientCertificate> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let serial = SerialNumber::from_slice(&[SERIAL, number].concat());
        let key = KeyPair::generate()?;
        let cert = device.parameters(serial.clone())?.signed_by(&key, &self.issuer)?;
        let (key, der) = (key.serialize_pem(), cert.der().to_vec());

        Ok(ClientCertificate(Arc::new(Inner { cert: cert.pem(), key, der, serial })))
    }

    /// A list of revoked certificates, PEM, whose successor is due in so many hours (negative: it is overdue).
    pub fn crl(&self, revoked: &[&ClientCertificate], next_update_hours: i64) -> Result<String> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let next_update = OffsetDateTime::now_utc() + Duration::hours(next_update_hours);
        let this_update = OffsetDateTime::now_utc().min(next_update) - Duration::hours(1);
        let revoked_certs = revoked
            .iter()
            .map(|certificate| RevokedCertParams {
                serial_number: certificate.0.serial.clone(),
                revocation_time: this_update,
                reason_code: Some(RevocationReason::KeyCompromise),
                invalidity_date: None,
            })
            .collect();
        let list = CertificateRevocationListParams {
            this_update,
            next_update,
            crl_number: NUMBER.fetch_add(1, Ordering::Relaxed).into(),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };

        Ok(list.signed_by(&self.issuer)?.pem()?)
    }
}

impl ClientCertificate {
    /// The certificate, PEM.
    pub fn cert(&self) -> &str {
        &self.0.cert
    }

    /// Its private key, PEM (PKCS#8).
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// Its serial number in hex, small letters, without separators.
    pub fn serial(&self) -> String {
        hex(self.0.serial.as_ref())
    }

    /// SHA-256 of its DER in hex, small letters, as Envoy writes it.
    pub fn fingerprint(&self) -> String {
        hex(&Sha256::digest(&self.0.der))
    }

    /// The same in base64url: `x5t#S256` of RFC 8705 §3.1.
    pub fn thumbprint(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&self.0.der))
    }

    /// Writes `NAME.pem` and `NAME.key` (0600) into a folder.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(PathBuf, PathBuf)> {
        use std::io::Write;
        fs::create_dir_all(folder)?;
        let (cert, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        fs::write(&cert, self.cert())?;
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&key)?;
        file.write_all(self.key().as_bytes())?;

        Ok((cert, key))
    }
}

impl Pki {
    /// Everything for this person.
    pub fn new(email: &str) -> Result<Self> {
        let (ca, other_ca) = (DeviceAuthority::new()?, DeviceAuthority::new()?);
        let device = Device::of(email);
        let for_servers = Device { usage: ExtendedKeyUsagePurpose::ServerAuth, ..device.clone() };

        Ok(Self {
            good: ca.issue(&device)?,
            twin: ca.issue(&device)?,
            expired: ca.issue(&device.clone().valid(-48, -1))?,
            not_yet_valid: ca.issue(&device.clone().valid(24, 48))?,
            wrong_usage: ca.issue(&for_servers)?,
            foreign: other_ca.issue(&device)?,
            ca,
            other_ca,
        })
    }
}

/// What Chromium's `--ignore-certificate-errors-spki-list` wants of a key in PEM: base64 of the SHA-256 of the
/// subject's public key info.
pub fn public_key_hash(key: &str) -> Result<String> {
    let info = KeyPair::from_pem(key)?.subject_public_key_info();

    Ok(BASE64_STANDARD.encode(Sha256::digest(info)))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
