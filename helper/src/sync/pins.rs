//! The keys of the security team, as `install` laid them down. Anybody may read them; nobody but the administrator may write
//! them.

use super::trouble::Trouble;
use crate::home;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use contract::envelope::PinnedKey;
use contract::manifest::Manifest;
use serde::Deserialize;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Longest file that is read.
const LARGEST: u64 = 64 * 1024;

/// Most keys: two during a rotation, and some to spare.
const MOST: usize = 8;

/// One key or several, as `tollgate keys` writes one and `install` all.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    One(PinnedKey),
    Several(Vec<PinnedKey>),
}

/// The pinned keys; at least one.
///
/// # Errors
/// [`Trouble::Pins`], also if others could have written the file.
pub fn read(path: &Path) -> Result<Vec<PinnedKey>, Trouble> {
    let trouble = |why: String| Trouble::Pins(format!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            trouble("is not there; `tollgate-helper install --pin` lays it down".into())
        }
        _ => trouble(error.to_string()),
    })?;
    let about = file.metadata().map_err(|error| trouble(error.to_string()))?;
    home::administered(path, &about).map_err(|failure| Trouble::Pins(failure.to_string()))?;
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).map_err(|error| trouble(error.to_string()))?;

    parse(&text).map_err(trouble)
}

/// The one by which a document is believed.
pub fn of<'a>(manifest: &Manifest, pins: &'a [PinnedKey]) -> Option<&'a PinnedKey> {
    pins.iter().find(|pin| pin.key_id == manifest.key_id())
}

/// Keys from their JSON: one, or a list.
///
/// # Errors
/// What is wrong.
pub fn parse(text: &str) -> Result<Vec<PinnedKey>, String> {
    let keys = match serde_json::from_str(text).map_err(|error| error.to_string())? {
        Written::One(key) => vec![key],
        Written::Several(keys) => keys,
    };

    checked(keys)
}

/// Keys from the command line: a file, or `KEYID:BASE64`.
///
/// # Errors
/// What is wrong.
pub fn given(words: &[String]) -> Result<Vec<PinnedKey>, String> {
    let mut keys = Vec::new();
    for word in words {
        // A path may have a colon too, on Windows.
        let named = word
            .rsplit_once(':')
            .filter(|(_, key)| BASE64_STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 32));
        if let Some((id, key)) = named {
            keys.push(PinnedKey { key_id: id.to_owned(), public_key: key.to_owned() });
        } else {
            let text = std::fs::read_to_string(word)
                .map_err(|error| format!("{word}: neither KEYID:BASE64 nor a file: {error}"))?;
            keys.extend(parse(&text).map_err(|why| format!("{word}: {why}"))?);
        }
    }

    checked(keys)
}

fn checked(keys: Vec<PinnedKey>) -> Result<Vec<PinnedKey>, String> {
    if keys.is_empty() || keys.len() > MOST {
        return Err(format!("must be 1 to {MOST} keys"));
    }
    for key in &keys {
        key.decode().map_err(|error| format!("{}: {error}", key.key_id))?;
    }

    Ok(keys)
}
