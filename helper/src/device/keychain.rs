//! The Keychain of macOS. Compiled, not tried: see docs/helper.md.

use super::signer::{OutsideKey, P256, RSA, Signs};
use super::{DeviceCertificate, Labelled};
use crate::failure::Failure;
use rustls::SignatureScheme;
use rustls::sign::CertifiedKey;
use security_framework::item::{ItemClass, ItemSearchOptions, Reference, SearchResult};
use security_framework::key::{Algorithm, SecKey};
use std::sync::Arc;

/// An identity by its label.
#[derive(Debug, Clone)]
pub struct Entry(pub Labelled);

impl DeviceCertificate for Entry {
    fn load(&self) -> Result<CertifiedKey, Failure> {
        let cannot = |why: String| Failure::Device(format!("{}: {why}", self.place()));
        let found = ItemSearchOptions::new()
            .class(ItemClass::identity())
            .label(&self.0.label)
            .load_refs(true)
            .limit(2)
            .search()
            .map_err(|error| cannot(error.to_string()))?;
        let [SearchResult::Ref(Reference::Identity(identity))] = found.as_slice() else {
            return Err(cannot(format!("{} identities fit", found.len())));
        };
        let certificate = identity.certificate().map_err(|error| cannot(error.to_string()))?;
        let key = identity.private_key().map_err(|error| cannot(error.to_string()))?;
        let chain = vec![certificate.to_der().into()];
        let schemes = match super::certificate::is_rsa(&chain) {
            Some(true) => RSA,
            Some(false) => P256,
            None => return Err(cannot("its certificate is not understood".into())),
        };

        Ok(CertifiedKey::new(chain, Arc::new(OutsideKey::new(schemes, Arc::new(InKeychain(key))))))
    }

    fn place(&self) -> String {
        format!("the identity {:?} of the Keychain", self.0.label)
    }
}

#[derive(Debug)]
struct InKeychain(SecKey);

impl Signs for InKeychain {
    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, String> {
        let algorithm = match scheme {
            SignatureScheme::ECDSA_NISTP256_SHA256 => Algorithm::ECDSASignatureMessageX962SHA256,
            SignatureScheme::RSA_PSS_SHA256 => Algorithm::RSASignatureMessagePSSSHA256,
            _ => Algorithm::RSASignatureMessagePKCS1v15SHA256,
        };

        // CoreFoundation's errors name no secret.
        self.0.create_signature(algorithm, message).map_err(|error| error.to_string())
    }
}
