//! The keys that sign manifests.

use super::{KeyError, files, key_id, new_pem, pair, pin};
use crate::settings::{self, Data};
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::envelope::PinnedKey;
use ed25519_compact::KeyPair;
use serde_json::json;
use std::path::Path;

/// The public keys whose manifests are believed: `keys/manifest/*.pub`, two while the security team changes its key.
///
/// # Errors
/// [`KeyError`].
pub fn manifest_pins(data: &Data) -> Result<Vec<PinnedKey>, KeyError> {
    files(&data.manifest_keys(), "pub")?.iter().map(|path| pin(path)).collect()
}

/// A key that signs manifests, with its name.
///
/// # Errors
/// [`KeyError`].
pub fn manifest_key(path: &Path) -> Result<(String, KeyPair), KeyError> {
    let pair = pair(path)?;

    Ok((format!("manifest-{}", key_id(pair.pk.as_ref())), pair))
}

/// Makes a key that signs manifests, and pins it.
///
/// # Errors
/// [`KeyError`]; nothing that is there is overwritten.
pub fn new_manifest_key(data: &Data) -> Result<PinnedKey, KeyError> {
    settings::directory(&data.manifest_keys())?;
    settings::write_once(&data.manifest_key(), new_pem()?.as_bytes(), 0o600)?;
    let (key_id, pair) = manifest_key(&data.manifest_key())?;
    let pin = PinnedKey { key_id, public_key: BASE64_STANDARD.encode(pair.pk.as_ref()) };
    let text = json!({ "key_id": pin.key_id, "public_key": pin.public_key }).to_string() + "\n";
    settings::write_once(&data.manifest_pin(), text.as_bytes(), 0o644)?;

    Ok(pin)
}
