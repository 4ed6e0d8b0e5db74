//! Signatures of AWS, version 4 (AWS General Reference, "Signature Version 4 signing process").

use crate::provider::seen::Seen;
use contract::envelope::hex;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What a customer signs with.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The key's id.
    pub id: String,
    /// The key.
    pub secret: String,
    /// The region it signs for.
    pub region: String,
    /// The service it signs for.
    pub service: String,
    /// What goes with a key that is lent.
    pub session: Option<String>,
}

impl Keys {
    /// Is it signed by these keys, for this service and region?
    pub fn verify(&self, seen: &Seen) -> Result<(), String> {
        let header = |name: &str| seen.header(name).unwrap_or_default().to_owned();
        let date = header("x-amz-date");
        let day = date.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let given = header("authorization");
        let rest = given
            .strip_prefix("AWS4-HMAC-SHA256 ")
            .ok_or("no signature of version 4".to_owned())?;
        let part = |name: &str| {
            let mut parts = rest.split(',').map(str::trim);
            parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
        };
        if part("Credential") != format!("{}/{scope}", self.id) {
            return Err(format!("signed for {}", part("Credential")));
        }
        if self.session.as_deref() != seen.header("x-amz-security-token") {
            return Err("another session's token".to_owned());
        }
        let names = part("SignedHeaders");
        for needed in ["host", "x-amz-date"] {
            if !names.split(';').any(|name| name == needed) {
                return Err(format!("{needed} is not signed"));
            }
        }
        let digest = hex(&Sha256::digest(&seen.body));
        if seen.header("x-amz-content-sha256").is_some_and(|told| told != digest) {
            return Err("another body's digest".to_owned());
        }
        let request = canonical(seen, names, &digest);
        if part("Signature") != self.signature(&date, &scope, &request) {
            return Err(format!("a signature that is not that of\n{request}"));
        }

        Ok(())
    }

    /// The signature of a canonical request.
    pub fn signature(&self, date: &str, scope: &str, request: &str) -> String {
        let digest = hex(&Sha256::digest(request.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}");
        let first = format!("AWS4{}", self.secret);
        let key = scope
            .split('/')
            .fold(first.into_bytes(), |key, part| hmac(&key, part.as_bytes()).to_vec());

        hex(&hmac(&key, text.as_bytes()))
    }
}

/// The canonical request: every segment of the path as it arrived is escaped once more, as every
/// service but S3 has it.
pub fn canonical(seen: &Seen, names: &str, digest: &str) -> String {
    let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
    let mut query: Vec<_> = query.split('&').filter(|part| !part.is_empty()).collect();
    query.sort_unstable();
    let query: Vec<_> = query
        .iter()
        .map(|part| if part.contains('=') { (*part).to_owned() } else { format!("{part}=") })
        .collect();
    let headers: Vec<_> = names
        .split(';')
        .map(|name| {
            let own = if name == "host" { Some(&*seen.authority) } else { seen.header(name) };
            format!("{name}:{}\n", own.unwrap_or_default().trim())
        })
        .collect();
    let headers = headers.concat();

    format!("{}\n{}\n{}\n{headers}\n{names}\n{digest}", seen.method, escaped(path), query.join("&"))
}

fn escaped(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap();
        }
    }

    out
}

/// HMAC-SHA-256 (RFC 2104).
pub fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();

    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}
