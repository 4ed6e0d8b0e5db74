//! Which certificates are revoked: lists of authorities (RFC 5280 §5) and a plain one of the operators'.

use super::{Device, serial};
use crate::identity::Certificates;
use crate::store::directory::Certificate;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contract::envelope::hex;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::asn1_rs::{Oid, oid};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

/// Largest file.
const LARGEST: u64 = 64 * 1024 * 1024; // 64 MiB: two million entries

/// Marks a list that says only what has changed since another (RFC 5280 §5.2.4).
const DELTA: Oid<'static> = oid!(2.5.29.27);

/// Why a list is not taken.
#[derive(Debug, Error)]
pub enum ListError {
    /// The file.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it.
    #[error("{}: {why}", path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// One list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// Issuers, and their serials.
    serials: BTreeMap<String, HashSet<String>>,
    /// Serials of whatever issuer.
    anybody: HashSet<String>,
    /// Fingerprints, hex.
    sha256: HashSet<String>,
    /// When its issuers made it, Unix seconds; 0 for the operators'.
    made: u64,
    /// From when on there should be a newer one, Unix seconds.
    next: Option<u64>,
}

impl List {
    /// Is it on this one?
    pub fn has(&self, issuer: &str, serial: &str, sha256: &str) -> bool {
        self.sha256.contains(sha256)
            || self.anybody.contains(serial)
            || self.serials.get(issuer).is_some_and(|serials| serials.contains(serial))
    }

    /// Should there be a newer one?
    pub fn is_expired(&self, now: u64) -> bool {
        self.next.is_some_and(|next| next < now)
    }

    /// Was it made before that one? What is put back would let in what has been revoked since.
    pub fn is_older_than(&self, other: &Self) -> bool {
        self.made < other.made
    }

    /// How many it has.
    pub fn len(&self) -> usize {
        let serials: usize = self.serials.values().map(HashSet::len).sum();

        serials.saturating_add(self.anybody.len()).saturating_add(self.sha256.len())
    }

    /// Has it none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// All lists in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists(pub Vec<List>);

impl Lists {
    /// Is this one revoked?
    pub fn has(&self, device: &Device) -> bool {
        let sha256 = hex(&device.sha256);

        self.0.iter().any(|list| list.has(&device.issuer, &device.serial, &sha256))
    }

    /// Is one that has signed in before?
    pub fn has_known(&self, known: &Certificate) -> bool {
        let sha256 = BASE64_URL_SAFE_NO_PAD.decode(&known.sha256).unwrap_or_default();

        self.0.iter().any(|list| list.has(&known.issuer, &known.serial, &hex(&sha256)))
    }
}

/// The files of the configuration.
pub fn files(config: &Certificates) -> Vec<PathBuf> {
    config.crl.iter().chain(&config.revoked).cloned().collect()
}

/// Reads one of them.
///
/// # Errors
/// [`ListError`].
pub fn read(path: &Path, config: &Certificates) -> Result<List, ListError> {
    let failed = |source| ListError::File { path: path.to_owned(), source };
    let form = |why: String| ListError::Form { path: path.to_owned(), why };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > LARGEST {
        return Err(form(format!("{size} bytes, more than {LARGEST}")));
    }
    let bytes = fs::read(path).map_err(failed)?;
    if config.revoked.as_deref() == Some(path) {
        return plain(&String::from_utf8_lossy(&bytes)).map_err(form);
    }
    let authorities = match &config.crl_ca {
        Some(ca) => {
            Some(fs::read(ca).map_err(|source| ListError::File { path: ca.clone(), source })?)
        }
        None => None,
    };

    lists(&bytes, authorities.as_deref()).map_err(form)
}

/// `serial:<hex>` or `sha256:<hex>`, one a line; what stands behind `#` is for people.
fn plain(text: &str) -> Result<List, String> {
    let mut list = List::default();
    for (nth, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let slip =
            || format!("line {}: write serial:<hex> or sha256:<64 hex>", nth.saturating_add(1));
        let (kind, id) = line.split_once(':').ok_or_else(slip)?;
        let id: String =
            id.chars().filter(|sign| !matches!(sign, ':' | ' ')).collect::<String>().to_lowercase();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(slip());
        }
        match kind {
            "serial" => {
                let bare = id.trim_start_matches('0');
                list.anybody.insert(if bare.is_empty() { "0" } else { bare }.to_owned());
            }
            "sha256" if id.len() == 64 => {
                list.sha256.insert(id);
            }
            _ => return Err(slip()),
        }
    }

    Ok(list)
}

/// One list in DER, or some in PEM.
fn lists(bytes: &[u8], authorities: Option<&[u8]>) -> Result<List, String> {
    let mut all = List::default();
    let mut any = false;
    if bytes.first() == Some(&0x30) {
        add(&mut all, bytes, authorities)?;
        return Ok(all);
    }
    for pem in Pem::iter_from_buffer(bytes) {
        let pem = pem.map_err(|error| format!("no PEM: {error}"))?;
        if pem.label == "X509 CRL" {
            add(&mut all, &pem.contents, authorities)?;
            any = true;
        }
    }
    if !any {
        return Err("neither a CRL in DER nor one in PEM".to_owned());
    }

    Ok(all)
}

fn add(all: &mut List, der: &[u8], authorities: Option<&[u8]>) -> Result<(), String> {
    let (rest, crl) =
        CertificateRevocationList::from_der(der).map_err(|error| format!("no CRL: {error}"))?;
    if !rest.is_empty() {
        return Err("something stands behind the CRL".to_owned());
    }
    for extension in crl.extensions() {
        if extension.oid == DELTA {
            return Err("a delta CRL: give the complete one".to_owned());
        }
        if let ParsedExtension::IssuingDistributionPoint(point) = extension.parsed_extension()
            && point.indirect_crl
        {
            return Err("an indirect CRL: give each issuer's own".to_owned());
        }
    }
    if let Some(authorities) = authorities {
        verify(&crl, authorities)?;
    }
    let time = |at: i64| u64::try_from(at).unwrap_or_default();
    let serials = all.serials.entry(crl.issuer().to_string()).or_default();
    serials.extend(crl.iter_revoked_certificates().map(|it| serial(it.raw_serial())));
    // Of several in one file the first that is due counts.
    let next = crl.next_update().map(|at| time(at.timestamp()));
    all.next = [all.next, next].into_iter().flatten().min();
    all.made = all.made.max(time(crl.last_update().timestamp()));

    Ok(())
}

/// Has one of these authorities signed it?
fn verify(crl: &CertificateRevocationList<'_>, authorities: &[u8]) -> Result<(), String> {
    for pem in Pem::iter_from_buffer(authorities).filter_map(Result::ok) {
        let Ok((_, authority)) = X509Certificate::from_der(&pem.contents) else { continue };
        if authority.subject().as_raw() == crl.issuer().as_raw()
            && crl.verify_signature(authority.public_key()).is_ok()
        {
            return Ok(());
        }
    }

    Err(format!("no authority of crl_ca has signed the CRL of {}", crl.issuer()))
}
