//! A key on a token that speaks PKCS#11: a smart card, a TPM, an HSM.

use super::signer::{OutsideKey, P256, RSA, Signs, ecdsa_der};
use super::uri::Pkcs11Uri;
use super::{DeviceCertificate, pem};
use crate::failure::Failure;
use crate::home;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{
    Attribute, AttributeType, CertificateType, KeyType, ObjectClass, ObjectHandle,
};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// The curve P-256, as `CKA_EC_PARAMS` names it (DER of 1.2.840.10045.3.1.7).
const CURVE: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// A token, the objects on it, and where its PIN is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Which token and which object (RFC 7512).
    pub uri: String,
    /// The library that speaks to it, unless the URI has `module-path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<PathBuf>,
    /// The certificate's chain, PEM, unless it is on the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The variable of the environment that holds the PIN, unless the URI has `pin-source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin_env: Option<String>,
}

impl DeviceCertificate for Token {
    fn load(&self) -> Result<CertifiedKey, Failure> {
        let uri = Pkcs11Uri::read(&self.uri).map_err(|why| cannot("its URI", &why))?;
        let session = self.open(&uri)?;
        let chain = match &self.certificate {
            Some(path) => pem::chain(path)?,
            None => vec![certificate(&session, &uri)?],
        };
        let key = private_key(&session, &uri)?;
        let schemes = schemes(&session, key)?;
        let place = OnToken { session: Mutex::new(session), key };

        Ok(CertifiedKey::new(chain, Arc::new(OutsideKey::new(schemes, Arc::new(place)))))
    }

    fn place(&self) -> String {
        Pkcs11Uri::read(&self.uri).map_or_else(|why| format!("PKCS#11: {why}"), |uri| uri.words())
    }
}

impl Token {
    fn open(&self, uri: &Pkcs11Uri) -> Result<Session, Failure> {
        let module = uri.module_path.as_ref().map(PathBuf::from).or_else(|| self.module.clone());
        let Some(module) = module else {
            return Err(cannot("PKCS#11", &"no module is named (`module` or `module-path`)"));
        };
        let said = |error: cryptoki::error::Error| cannot(&module.display().to_string(), &error);
        let library = Pkcs11::new(&module).map_err(said)?;
        library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).map_err(said)?;
        let slot = slot(&library, uri).map_err(said)?;
        let Some(slot) = slot else {
            return Err(cannot(&uri.words(), &"there is no such token"));
        };
        let session = library.open_ro_session(slot).map_err(said)?;
        if let Some(pin) = self.pin(uri)? {
            session.login(UserType::User, Some(&pin)).map_err(said)?;
        }

        Ok(session)
    }

    fn pin(&self, uri: &Pkcs11Uri) -> Result<Option<AuthPin>, Failure> {
        let text = if let Some(path) = &uri.pin_file {
            match home::read_private(&PathBuf::from(path)) {
                Err(Failure::Unreadable { source, .. }) => return Err(cannot(path, &source)),
                other => Some(other?),
            }
        } else if let Some(name) = &self.pin_env {
            let Ok(pin) = std::env::var(name) else {
                return Err(cannot("the PIN", &format!("the environment has no {name}")));
            };
            Some(pin)
        } else {
            None
        };

        Ok(text.map(|text| AuthPin::from(text.trim_end_matches(['\r', '\n']).to_owned())))
    }
}

fn cannot(what: &str, why: &dyn std::fmt::Display) -> Failure {
    Failure::Device(format!("{what}: {why}"))
}

fn slot(library: &Pkcs11, uri: &Pkcs11Uri) -> cryptoki::error::Result<Option<Slot>> {
    let same = |wanted: &Option<String>, is: &str| {
        wanted.as_ref().is_none_or(|wanted| wanted.trim_end() == is.trim_end())
    };
    for slot in library.get_slots_with_initialized_token()? {
        let token = library.get_token_info(slot)?;
        if same(&uri.token, token.label())
            && same(&uri.serial, token.serial_number())
            && same(&uri.manufacturer, token.manufacturer_id())
            && same(&uri.model, token.model())
        {
            return Ok(Some(slot));
        }
    }

    Ok(None)
}

/// The one object of this kind that the URI names.
fn one(
    session: &Session,
    uri: &Pkcs11Uri,
    mut template: Vec<Attribute>,
    what: &str,
) -> Result<ObjectHandle, Failure> {
    if let Some(label) = &uri.object {
        template.push(Attribute::Label(label.clone().into_bytes()));
    }
    if let Some(id) = &uri.id {
        template.push(Attribute::Id(id.clone()));
    }
    let found = session.find_objects(&template).map_err(|error| cannot(&uri.words(), &error))?;
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(cannot(&uri.words(), &format!("there is no {what}; is the PIN given?"))),
        _ => Err(cannot(&uri.words(), &format!("there are several {what}s; add object= or id="))),
    }
}

fn certificate(session: &Session, uri: &Pkcs11Uri) -> Result<CertificateDer<'static>, Failure> {
    let template = vec![
        Attribute::Class(ObjectClass::CERTIFICATE),
        Attribute::CertificateType(CertificateType::X_509),
    ];
    let object = one(session, uri, template, "certificate")?;
    let told = session
        .get_attributes(object, &[AttributeType::Value])
        .map_err(|error| cannot(&uri.words(), &error))?;
    match told.into_iter().next() {
        Some(Attribute::Value(der)) => Ok(der.into()),
        _ => Err(cannot(&uri.words(), &"the certificate has no value")),
    }
}

fn private_key(session: &Session, uri: &Pkcs11Uri) -> Result<ObjectHandle, Failure> {
    one(session, uri, vec![Attribute::Class(ObjectClass::PRIVATE_KEY)], "private key")
}

fn schemes(session: &Session, key: ObjectHandle) -> Result<&'static [SignatureScheme], Failure> {
    let told =
        |kind| session.get_attributes(key, &[kind]).map_err(|error| cannot("the key", &error));
    match told(AttributeType::KeyType)?.first() {
        Some(Attribute::KeyType(kind)) if *kind == KeyType::RSA => Ok(RSA),
        Some(Attribute::KeyType(kind)) if *kind == KeyType::EC => {
            match told(AttributeType::EcParams)?.first() {
                Some(Attribute::EcParams(curve)) if curve == CURVE => Ok(P256),
                _ => Err(cannot("the key", &"its curve is not P-256")),
            }
        }
        _ => Err(cannot("the key", &"it is neither RSA nor on the curve P-256")),
    }
}

#[derive(Debug)]
struct OnToken {
    session: Mutex<Session>,
    key: ObjectHandle,
}

impl Signs for OnToken {
    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, String> {
        let digest = Sha256::digest(message);
        let mechanism = match scheme {
            SignatureScheme::ECDSA_NISTP256_SHA256 => Mechanism::Ecdsa,
            SignatureScheme::RSA_PSS_SHA256 => Mechanism::RsaPkcsPss(PkcsPssParams {
                hash_alg: MechanismType::SHA256,
                mgf: PkcsMgfType::MGF1_SHA256,
                s_len: 32.into(),
            }),
            _ => Mechanism::Sha256RsaPkcs,
        };
        let data = if scheme == SignatureScheme::RSA_PKCS1_SHA256 { message } else { &digest };
        let Ok(session) = self.session.lock() else {
            return Err("the token is in disorder".into());
        };
        let signature =
            session.sign(&mechanism, self.key, data).map_err(|error| error.to_string())?;
        if scheme == SignatureScheme::ECDSA_NISTP256_SHA256 {
            return ecdsa_der(&signature).ok_or_else(|| "the token's signature is odd".into());
        }

        Ok(signature)
    }
}
