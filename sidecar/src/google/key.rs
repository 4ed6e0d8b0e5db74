//! A service account's key file, and the assertion that it signs (RFC 7523 §2.1, as Google has it: "Using OAuth 2.0
//! for Server to Server Applications").

use crate::identity::check::secure_url;
use crate::settings::{self, FileError};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SigningKey;
use serde_json::{Value, json};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Where a token is asked for, unless the file says otherwise.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// What a token may be used for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// How long an assertion is good, seconds: the longest that Google takes, and what its own libraries ask for.
const LIFE: u64 = 3600;

/// A service account's key.
#[derive(Clone)]
pub struct Key {
    /// Who it is: an address like `gateway@project.iam.gserviceaccount.com`.
    pub email: String,
    /// Where tokens are asked for.
    pub token_uri: String,
    id: String,
    pair: Arc<dyn SigningKey>,
}

/// The key itself is told nobody.
impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({})", self.email)
    }
}

/// Why a file holds no key. Nothing of what it holds is told, nor any parser's words, which repeat it.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not JSON.
    #[error("{} is no JSON: line {line}, column {column}", path.display())]
    Json {
        /// Which file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// A member.
    #[error("{}: {member} {why}", path.display())]
    Member {
        /// Which file.
        path: PathBuf,
        /// Which member.
        member: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Key {
    /// Reads a key file, which nobody but its owner may read.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = settings::read_secret(path)?;
        let members = serde_json::from_str(&text).map_err(|error| KeyError::Json {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
        })?;
        let file = File { path, members };
        if file.text("type")? != "service_account" {
            return Err(file.wrong("type", "must be service_account: no other kind is taken"));
        }
        let token_uri = file.text_or("token_uri", TOKEN_URI)?;
        secure_url(token_uri).map_err(|why| file.wrong("token_uri", why))?;

        Ok(Self {
            email: file.text("client_email")?.to_owned(),
            token_uri: token_uri.to_owned(),
            id: file.text("private_key_id")?.to_owned(),
            pair: file.pair()?,
        })
    }

    /// The assertion that asks for a token at this time, Unix seconds.
    ///
    /// # Errors
    /// If the library cannot sign.
    pub fn assertion(&self, now: u64) -> Result<String, rustls::Error> {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.id });
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": now,
            "exp": now.saturating_add(LIFE),
        });
        let part = |value: &Value| BASE64.encode(value.to_string());
        let covered = format!("{}.{}", part(&header), part(&claims));
        let signer = self.pair.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let signer = signer.ok_or_else(|| rustls::Error::General("no key of RSA".to_owned()))?;
        let signature = signer.sign(covered.as_bytes())?;

        Ok(format!("{covered}.{}", BASE64.encode(signature)))
    }
}

struct File<'p> {
    path: &'p Path,
    members: Value,
}

impl File<'_> {
    fn wrong(&self, member: &'static str, why: &'static str) -> KeyError {
        KeyError::Member { path: self.path.to_owned(), member, why }
    }

    fn text(&self, member: &'static str) -> Result<&str, KeyError> {
        match self.members.get(member) {
            None => Err(self.wrong(member, "is missing")),
            Some(value) => match value.as_str() {
                Some(text) if !text.is_empty() => Ok(text),
                _ => Err(self.wrong(member, "must be a text, and not an empty one")),
            },
        }
    }

    fn text_or<'t>(&'t self, member: &'static str, other: &'t str) -> Result<&'t str, KeyError> {
        if self.members.get(member).is_some() { self.text(member) } else { Ok(other) }
    }

    fn pair(&self) -> Result<Arc<dyn SigningKey>, KeyError> {
        const MEMBER: &str = "private_key";
        let pem = PrivateKeyDer::from_pem_slice(self.text(MEMBER)?.as_bytes());
        let der = pem.ok().ok_or_else(|| self.wrong(MEMBER, "is no private key in PEM"))?;
        let pair = any_supported_type(&der).or(Err(()));
        let rsa = |pair: &Arc<dyn SigningKey>| {
            pair.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).is_some()
        };

        pair.ok()
            .filter(rsa)
            .ok_or_else(|| self.wrong(MEMBER, "is no key of RSA with 2048 bits or more"))
    }
}
