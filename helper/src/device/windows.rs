//! The certificate store of Windows (CNG keys). Compiled, not tried: see docs/helper.md.

use super::{DeviceCertificate, Labelled};
use crate::failure::Failure;
use rustls::sign::CertifiedKey;
use rustls_cng::signer::CngSigningKey;
use rustls_cng::store::{CertStore, CertStoreType};
use std::sync::Arc;

/// The personal store that people and device management put certificates in.
const PERSONAL: &str = "My";

/// An entry by a part of its subject.
#[derive(Debug, Clone)]
pub struct Entry(pub Labelled);

impl DeviceCertificate for Entry {
    fn load(&self) -> Result<CertifiedKey, Failure> {
        let cannot = |why: String| Failure::Device(format!("{}: {why}", self.place()));
        let store = match self.0.store.as_deref() {
            None | Some("user") => CertStoreType::CurrentUser,
            Some("machine") => CertStoreType::LocalMachine,
            Some(_) => return Err(cannot("`store` is neither user nor machine".into())),
        };
        let store = CertStore::open(store, PERSONAL).map_err(|error| cannot(error.to_string()))?;
        let found =
            store.find_by_subject_str(&self.0.label).map_err(|error| cannot(error.to_string()))?;
        let [context] = found.as_slice() else {
            return Err(cannot(format!("{} certificates fit", found.len())));
        };
        // Silent: nobody may be there to answer a window.
        let key = context.acquire_key(true).map_err(|error| cannot(error.to_string()))?;
        let key = CngSigningKey::new(key).map_err(|error| cannot(error.to_string()))?;
        let chain = context.as_chain_der().map_err(|error| cannot(error.to_string()))?;

        Ok(CertifiedKey::new(chain.into_iter().map(Into::into).collect(), Arc::new(key)))
    }

    fn place(&self) -> String {
        format!("the certificate {:?} of Windows' store", self.0.label)
    }
}
