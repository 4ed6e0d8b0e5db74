//! Where the secrets are kept: in the system's keystore, or in a file that only its owner can read.

use crate::config::Keep;
use crate::failure::Failure;
use crate::home::{self, Home};
use crate::secret::{Kind, Secret};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The name our entries have in the keystore.
const SERVICE: &str = "tollgate-helper";

/// How long the keystore may take where nobody can answer its questions.
const SILENT: Duration = Duration::from_secs(3);

/// How long where somebody may have to unlock it.
const ATTENDED: Duration = Duration::from_secs(30);

/// A secret with the gateway it is for.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The gateway's address. The secret is shown to no other.
    pub gateway: String,
    /// The secret.
    pub secret: Secret,
    /// When it ends, Unix seconds, where that is known.
    pub expires_at: Option<u64>,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    gateway: String,
    secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

/// Where secrets are kept.
#[derive(Debug, Clone)]
pub struct Store<'a> {
    home: &'a Home,
    choice: Option<Keep>,
    patience: Duration,
    /// Why the keystore did not do what was last asked of it.
    trouble: RefCell<Option<String>>,
}

impl<'a> Store<'a> {
    /// By the configuration's choice. A directory of its own keeps its secrets itself, unless told
    /// otherwise: the keystore is the user's, not the directory's.
    pub fn new(home: &'a Home, choice: Option<Keep>, attended: bool) -> Self {
        let own = std::env::var_os(home::HOME).is_some_and(|place| !place.is_empty());
        let choice = choice.or_else(|| own.then_some(Keep::File));

        let patience = if attended { ATTENDED } else { SILENT };

        Self { home, choice, patience, trouble: RefCell::new(None) }
    }

    /// The secret of this kind for this gateway, and where it was.
    ///
    /// # Errors
    /// [`Failure`], if others could have read it, or the keystore alone is to be used and does not serve.
    pub fn read(&self, kind: Kind, gateway: &str) -> Result<Option<(Kept, Keep)>, Failure> {
        let fits = |kept: &Kept| kept.gateway == gateway;
        if self.choice != Some(Keep::Keystore)
            && let Some(text) = self.home.read(kind.name())?
        {
            let kept = understood(kind, &text).ok_or(Failure::NoToken)?;
            return Ok(Some((kept, Keep::File)).filter(|(kept, _)| fits(kept)));
        }
        if self.choice == Some(Keep::File) {
            return Ok(None);
        }
        match self.keystore(kind, Act::Get) {
            Ok(text) => Ok(text
                .and_then(|text| understood(kind, &text))
                .filter(fits)
                .map(|kept| (kept, Keep::Keystore))),
            Err(why) if self.choice == Some(Keep::Keystore) => Err(Failure::Keystore(why)),
            Err(_) => Ok(None),
        }
    }

    /// Keeps a secret, and says where.
    ///
    /// # Errors
    /// [`Failure`], if no place takes it.
    pub fn write(&self, kept: &Kept) -> Result<Keep, Failure> {
        let kind = kept.secret.kind();
        let written = Written {
            gateway: kept.gateway.clone(),
            secret: kept.secret.expose().to_owned(),
            expires_at: kept.expires_at,
        };
        let text = serde_json::to_string(&written).map_err(|error| Failure::Unwritable {
            path: self.home.file(kind.name()),
            source: error.into(),
        })?;
        if self.choice != Some(Keep::File) {
            match self.keystore(kind, Act::Set(text.clone())) {
                Ok(_) => {
                    // A copy in a file would be read first, and is older.
                    self.home.remove(kind.name())?;
                    return Ok(Keep::Keystore);
                }
                Err(why) if self.choice == Some(Keep::Keystore) => {
                    return Err(Failure::Keystore(why));
                }
                Err(why) => {
                    self.trouble.replace(Some(why));
                }
            }
        }
        self.home.write(kind.name(), &text)?;

        Ok(Keep::File)
    }

    /// Forgets a secret, wherever it is.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn remove(&self, kind: Kind) -> Result<(), Failure> {
        self.home.remove(kind.name())?;
        if self.choice == Some(Keep::File) {
            return Ok(());
        }
        match self.keystore(kind, Act::Delete) {
            Err(why) if self.choice == Some(Keep::Keystore) => Err(Failure::Keystore(why)),
            Err(why) => {
                // Where there is none, nothing of ours is in it.
                self.trouble.replace(reachable().is_ok().then_some(why));
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// Why the keystore did not take or forget the last secret, if that was tried.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    /// Where a new secret would be kept, and why not in the keystore if not.
    pub fn state(&self) -> (Keep, Option<String>) {
        match self.choice {
            Some(Keep::File) => (Keep::File, None),
            choice => match self.keystore(Kind::Pat, Act::Get) {
                Ok(_) => (Keep::Keystore, None),
                Err(why) => (choice.unwrap_or(Keep::File), Some(why)),
            },
        }
    }

    /// Asks the keystore on a thread of its own, which is left behind if it hangs: some wait for a
    /// person to unlock them.
    fn keystore(&self, kind: Kind, act: Act) -> Result<Option<String>, String> {
        reachable()?;
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .spawn(move || {
                let _gone = sender.send(act.perform(kind)).is_err();
            })
            .map_err(|error| error.to_string())?;

        receiver
            .recv_timeout(self.patience)
            .unwrap_or_else(|_| Err(format!("it did not answer in {} s", self.patience.as_secs())))
    }
}

enum Act {
    Get,
    Set(String),
    Delete,
}

impl Act {
    fn perform(self, kind: Kind) -> Result<Option<String>, String> {
        if let Err(error) = keyring::v1::Entry::store_status() {
            return Err(error.to_string());
        }
        let done = keyring::v1::Entry::new(SERVICE, kind.name()).and_then(|entry| match self {
            Self::Get => entry.get_password().map(Some),
            Self::Set(text) => entry.set_password(&text).map(|()| None),
            Self::Delete => entry.delete_credential().map(|()| None),
        });
        match done {
            Err(keyring::v1::Error::NoEntry) => Ok(None),
            // Never the value: this one would show it.
            Err(keyring::v1::Error::BadEncoding(_)) => Err("its entry is no text".into()),
            other => other.map_err(|error| error.to_string()),
        }
    }
}

/// Without a message bus there is no Secret Service; asking for one would take its time.
#[cfg(all(unix, not(target_os = "macos")))]
fn reachable() -> Result<(), String> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let bus = set("DBUS_SESSION_BUS_ADDRESS").is_some()
        || set("XDG_RUNTIME_DIR")
            .is_some_and(|place| std::path::Path::new(&place).join("bus").exists());

    if bus { Ok(()) } else { Err("there is no message bus, hence no Secret Service".into()) }
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn reachable() -> Result<(), String> {
    Ok(())
}

fn understood(kind: Kind, text: &str) -> Option<Kept> {
    let written: Written = serde_json::from_str(text).ok()?;
    let secret = Secret::new(kind, &written.secret)?;

    Some(Kept { gateway: written.gateway, secret, expires_at: written.expires_at })
}
