//! A key that stays where it is and signs there, as TLS wants to see it.

use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use std::fmt::Debug;
use std::sync::Arc;

/// What we ask of RSA keys, best first.
pub(super) const RSA: &[SignatureScheme] =
    &[SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PKCS1_SHA256];

/// What we ask of keys on the curve P-256.
pub(super) const P256: &[SignatureScheme] = &[SignatureScheme::ECDSA_NISTP256_SHA256];

/// Signs a message where the key is.
pub trait Signs: Debug + Send + Sync {
    /// The signature as TLS sends it: for ECDSA the DER of both numbers.
    ///
    /// # Errors
    /// What the place said.
    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, String>;
}

/// A key of that kind.
#[derive(Debug)]
pub struct OutsideKey {
    schemes: &'static [SignatureScheme],
    place: Arc<dyn Signs>,
}

impl OutsideKey {
    /// A key that signs by these schemes.
    pub(super) fn new(schemes: &'static [SignatureScheme], place: Arc<dyn Signs>) -> Self {
        Self { schemes, place }
    }
}

impl SigningKey for OutsideKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = *self.schemes.iter().find(|scheme| offered.contains(scheme))?;

        Some(Box::new(OutsideSigner { scheme, place: Arc::clone(&self.place) }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        if self.schemes == RSA { SignatureAlgorithm::RSA } else { SignatureAlgorithm::ECDSA }
    }
}

#[derive(Debug)]
struct OutsideSigner {
    scheme: SignatureScheme,
    place: Arc<dyn Signs>,
}

impl Signer for OutsideSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.place.sign(self.scheme, message).map_err(Error::General)
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

/// The DER of an ECDSA signature (RFC 3279 §2.2.3) from its two numbers side by side.
pub(super) fn ecdsa_der(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.len() != 64 {
        return None;
    }
    let (first, second) = raw.split_at(32);
    let mut numbers = integer(first);
    numbers.extend(integer(second));
    let mut der = vec![0x30, u8::try_from(numbers.len()).ok()?];
    der.extend(numbers);

    Some(der)
}

/// Without leading zeros, but never negative.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let digits = bytes.get(start..).unwrap_or_default();
    let padded = digits.first().is_none_or(|byte| *byte >= 0x80);
    let length = digits.len().saturating_add(usize::from(padded));
    let mut der = vec![0x02, u8::try_from(length).unwrap_or_default()];
    if padded {
        der.push(0);
    }
    der.extend(digits);

    der
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_never_negative() {
        let mut raw = [0_u8; 64];
        raw[31] = 0x7f; // 127
        raw[32] = 0x80; // a high bit

        let der = ecdsa_der(&raw).unwrap();

        assert_eq!(der[..7], [0x30, 38, 0x02, 1, 0x7f, 0x02, 33]);
        assert_eq!(der[7..9], [0, 0x80]);
        assert_eq!(der.len(), 40);
        assert!(ecdsa_der(&raw[1..]).is_none());
    }
}
