//! How a key ends. A key that signs no more still verifies what it has signed, until the last of that has
//! expired. `serve` notes that time beside the key (`NAME.retire`, Unix seconds), and at that time takes the private
//! key away; `NAME.retired` keeps its name and its public half.

use super::{KeyError, Live, SigningKey, key_files};
use crate::acts::Act;
use crate::clock;
use crate::operators::operator::Operator;
use crate::settings::{self, FileError};
use crate::store::Store;
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

/// How often the directory is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Clocks differ, seconds.
const MARGIN: u64 = 60;

/// When a key retires, if that is noted; Unix seconds.
pub fn planned(key: &Path) -> Option<u64> {
    fs::read_to_string(key.with_extension("retire")).ok()?.trim().parse().ok()
}

/// Notes when a key retires.
///
/// # Errors
/// [`FileError`].
pub fn plan(key: &Path, at: u64) -> Result<(), FileError> {
    settings::replace(&key.with_extension("retire"), format!("{at}\n").as_bytes(), 0o644)
}

/// Takes a private key away, and keeps that there was one. Its name.
///
/// # Errors
/// [`KeyError`].
pub fn retire(path: &Path) -> Result<String, KeyError> {
    let key = SigningKey::read(path)?;
    let kept = json!({ "kid": key.kid(), "public_key": key.public_text(),
        "retired_at": clock::readable(clock::now()) });
    settings::replace(&path.with_extension("retired"), format!("{kept}\n").as_bytes(), 0o644)?;
    gone(path)?;
    unplan(path)?;

    Ok(key.kid().to_owned())
}

/// Forgets when a key retires.
fn unplan(key: &Path) -> Result<(), FileError> {
    gone(&key.with_extension("retire"))
}

fn gone(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(FileError::Write { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// The keys that have retired.
pub fn retired(directory: &Path) -> Vec<Value> {
    let paths = super::files(directory, "retired").unwrap_or_default();
    let texts = paths.iter().filter_map(|path| fs::read_to_string(path).ok());

    texts.filter_map(|text| serde_json::from_str(&text).ok()).collect()
}

/// Lets keys retire by themselves.
pub async fn watch(directory: PathBuf, live: watch::Receiver<Live>, ttl: Duration, store: Store) {
    let mut failing = false;
    loop {
        let signs = live.borrow().signer.kid().to_owned();
        match look(&directory, &signs, ttl.as_secs(), clock::now()) {
            Ok(gone) => {
                failing = false;
                for kid in gone {
                    info!(key.id = kid, "A signing key retired: the last it signed has expired");
                    tell(&store, &kid).await;
                }
            }
            Err(error) if !failing => {
                failing = true;
                error!(error = %error, "A signing key that should retire does not");
            }
            Err(_) => {}
        }
        sleep(LOOK).await;
    }
}

/// Plans, and carries out what is due.
fn look(directory: &Path, signs: &str, ttl: u64, now: u64) -> Result<Vec<String>, KeyError> {
    let mut gone = Vec::new();
    let mut elsewhere = true;
    for path in key_files(directory)? {
        if SigningKey::read(&path)?.kid() == signs {
            elsewhere = false;
            // It signs again, after a newer one was taken away: an end that was planned before is none.
            unplan(&path)?;
        }
    }
    for path in key_files(directory)? {
        match planned(&path) {
            Some(at) if at > now => {}
            due => {
                let key = SigningKey::read(&path)?;
                if key.kid() == signs {
                    continue;
                }
                if due.is_some() {
                    gone.push(retire(&path)?);
                } else if elsewhere || is_past(directory, &path) {
                    plan(&path, now.saturating_add(ttl).saturating_add(MARGIN))?;
                }
            }
        }
    }

    Ok(gone)
}

/// Is it the newest no more? A new key, which does not sign yet, is the newest.
fn is_past(directory: &Path, path: &Path) -> bool {
    let newest = key_files(directory).unwrap_or_default().pop();

    newest.is_some_and(|newest| newest != path)
}

async fn tell(store: &Store, kid: &str) {
    let act = Act::new(&Operator::owner(), format!("keys retire {kid} (by itself)"));
    let act = act.map(|act| act.from(before(kid)).to(after(kid)));
    let stored = match act {
        Ok(act) => store.append(&[act.row("")], None).await.map(drop),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = stored {
        warn!(error = %error, "That a key retired is not written down");
    }
}

/// As rows tell it.
pub fn before(kid: &str) -> Value {
    json!({ "kid": kid, "state": "verifies" })
}

/// As rows tell it.
pub fn after(kid: &str) -> Value {
    json!({ "kid": kid, "state": "retired" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Ring, add, init};
    use crate::settings::Data;

    #[test]
    fn a_key_retires_when_the_last_it_signed_has_expired_and_its_private_half_is_gone() {
        let place = tempfile::tempdir().unwrap();
        let data = Data::new(place.path());
        init(&data).unwrap();
        let at = data.signing();
        let old = Ring::read(&at).unwrap().newest().kid().to_owned();
        add(&data).unwrap();
        let new = Ring::read(&at).unwrap().newest().kid().to_owned();

        assert!(look(&at, &old, 3600, 1_000).unwrap().is_empty());
        assert_eq!(
            key_files(&at).unwrap().iter().filter_map(|key| planned(key)).count(),
            0,
            "it still signs, and the new one does not yet"
        );
        assert!(look(&at, &new, 3600, 1_000).unwrap().is_empty());
        let older = key_files(&at).unwrap().remove(0);
        assert_eq!(planned(&older), Some(1_000 + 3600 + MARGIN));
        assert!(look(&at, &new, 300, 4_659).unwrap().is_empty(), "a shorter life changes nothing");
        assert_eq!(look(&at, &new, 3600, 4_660).unwrap(), std::slice::from_ref(&old));

        assert_eq!(key_files(&at).unwrap().len(), 1);
        assert_eq!(retired(&at).first().map(|key| key["kid"].clone()), Some(old.into()));
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            let is_key = path.extension().is_some_and(|kind| kind == "key");
            assert_eq!(fs::read_to_string(&path).unwrap().contains("PRIVATE"), is_key);
        }
    }

    #[test]
    fn what_signs_never_retires() {
        let place = tempfile::tempdir().unwrap();
        let data = Data::new(place.path());
        init(&data).unwrap();
        let ring = Ring::read(&data.signing()).unwrap();
        plan(&key_files(&data.signing()).unwrap()[0], 1).unwrap();

        assert!(look(&data.signing(), ring.newest().kid(), 1, 9_999).unwrap().is_empty());
        assert_eq!(planned(&key_files(&data.signing()).unwrap()[0]), None, "the plan is forgotten");
        assert!(add(&data).is_ok());
    }

    #[test]
    fn where_a_command_signs_every_file_retires() {
        let place = tempfile::tempdir().unwrap();
        let data = Data::new(place.path());
        init(&data).unwrap();
        let (at, only) = (data.signing(), key_files(&data.signing()).unwrap().remove(0));

        assert!(look(&at, "another", 3600, 1_000).unwrap().is_empty());
        assert_eq!(planned(&only), Some(1_000 + 3600 + MARGIN));
        assert_eq!(look(&at, "another", 3600, 9_999).unwrap().len(), 1);
        assert_eq!(key_files(&at).unwrap().len(), 0);
    }
}
