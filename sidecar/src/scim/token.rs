//! What a directory calls with: `tgd_<12 hex>_<43 base64url>`. The middle names it (`dir_<12 hex>`), the end is
//! 256 random bits; shown once, kept as its SHA-256.

use crate::keys::{self, KeyError};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contract::envelope::hex;

pub use crate::pats::hash;

/// A new token and the id in it.
///
/// # Errors
/// [`KeyError::Random`].
pub fn generate() -> Result<(String, String), KeyError> {
    let name = hex(&keys::random::<6>()?);
    let secret = BASE64_URL_SAFE_NO_PAD.encode(keys::random::<32>()?);

    Ok((format!("tgd_{name}_{secret}"), format!("dir_{name}")))
}

/// The id in a token, if it has the form of one.
pub fn name(token: &str) -> Option<String> {
    let (name, secret) = token.strip_prefix("tgd_")?.split_once('_')?;
    let hex = name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit());

    (hex && secret.len() == 43).then(|| format!("dir_{name}"))
}
