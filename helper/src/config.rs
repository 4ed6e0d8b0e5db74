//! The configuration: one JSON file of the machine, which device management lays down, and one of
//! the user, which `login` writes. What the machine's file sets, the user's does not change.

pub mod file;

use crate::device::Reference;
use crate::failure::Failure;
use crate::form::Form;
use crate::gateway::{Gateway, Mode};
use crate::home::{self, Home};
use crate::sync::places::{self, Member, Os, Usual};
use file::Members;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The user's file, in the helper's directory.
pub const FILE: &str = "config.json";

/// Names another file in the machine's place; for tests and unusual installations.
pub const MACHINE: &str = "TOLLGATE_HELPER_MACHINE_CONFIG";

/// Longest file that is read.
const LARGEST: u64 = 256 * 1024;

/// Where a secret is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// In the system's keystore, and nowhere else.
    Keystore,
    /// In a file that only its owner can read.
    File,
}

/// Whose file said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The machine's: device management.
    Machine,
    /// The user's own.
    User,
}

/// A configuration file and what came of it.
#[derive(Debug)]
pub struct Found {
    /// Whose it is.
    pub owner: Owner,
    /// Where it is, or would be.
    pub path: PathBuf,
    /// What stands in it; `None` where there is no such file.
    pub read: Result<Option<Members>, Failure>,
}

/// What holds, from both files.
#[derive(Debug, Default)]
pub struct Config {
    /// The gateway.
    pub gateway: Option<Gateway>,
    /// Whose file says where the gateway is.
    pub gateway_from: Option<Owner>,
    /// The cohort whose ways to sign in are asked for.
    pub cohort: Option<String>,
    /// What the line looks like.
    pub form: Form,
    /// Seconds a token is asked to hold.
    pub ttl: Option<u64>,
    /// The `OpenID` provider to sign in with, by the gateway's name for it.
    pub issuer: Option<String>,
    /// Whose account the provider is asked to offer.
    pub login_hint: Option<String>,
    /// Where secrets are kept; absent: the keystore, or else the file.
    pub store: Option<Keep>,
    /// A proxy's address, or `none`.
    pub proxy: Option<String>,
    /// The certificate of this device.
    pub device_certificate: Option<Reference>,
    /// The ways to get a token that may be tried here; absent: all.
    pub modes: Option<Vec<Mode>>,
    /// The public key that the policy is signed with.
    pub policy_key: Option<PathBuf>,
    /// The signed manifest; absent: it is not installed here. Only the machine's file says it.
    pub sync: Option<Member>,
}

impl Config {
    /// What both files say.
    ///
    /// # Errors
    /// [`Failure::Configuration`], which names the place.
    pub fn load(home: &Home) -> Result<Self, Failure> {
        let mut both = Vec::with_capacity(2);
        for found in find(home) {
            both.push((found.owner, found.path, found.read?));
        }

        Self::merge(both)
    }

    /// The machine's member where it has one, else the user's.
    fn merge(files: Vec<(Owner, PathBuf, Option<Members>)>) -> Result<Self, Failure> {
        let mut config = Self::default();
        // The user's first, so that the machine's goes over it.
        for (owner, path, members) in files.into_iter().rev() {
            let Some(members) = members else { continue };
            if members.sync.is_some() && owner == Owner::User {
                let why = "`sync` is the machine's, not a user's".to_owned();
                return Err(Failure::Configuration { path, why });
            }
            if let Some(raw) = members.gateway {
                // As a whole: one's address never goes with the other's authority.
                let gateway = Gateway::new(&raw.url, raw.ca).map_err(|failure| {
                    Failure::Configuration { path, why: format!("`gateway`: {failure}") }
                })?;
                config.gateway = Some(gateway);
                config.gateway_from = Some(owner);
            }
            over(&mut config.cohort, members.cohort);
            config.form = members.form.unwrap_or(config.form);
            over(&mut config.ttl, members.ttl);
            over(&mut config.issuer, members.issuer);
            over(&mut config.login_hint, members.login_hint);
            over(&mut config.store, members.store);
            over(&mut config.proxy, members.proxy);
            over(&mut config.device_certificate, members.device_certificate);
            over(&mut config.modes, members.modes);
            over(&mut config.policy_key, members.policy_key);
            over(&mut config.sync, members.sync);
        }

        Ok(config)
    }

    /// The gateway, if one is configured.
    ///
    /// # Errors
    /// [`Failure::LoggedOut`].
    pub fn gateway(&self) -> Result<&Gateway, Failure> {
        self.gateway.as_ref().ok_or(Failure::LoggedOut)
    }

    /// Whether this way may be tried here.
    pub fn allows(&self, mode: Mode) -> bool {
        self.modes.as_ref().is_none_or(|modes| modes.contains(&mode))
    }
}

fn over<T>(place: &mut Option<T>, stronger: Option<T>) {
    if stronger.is_some() {
        *place = stronger;
    }
}

/// Both files: the machine's, then the user's.
pub fn find(home: &Home) -> [Found; 2] {
    let machine = machine();
    let read = read_machine(&machine).and_then(|text| parsed(&machine, text));
    let user = home.file(FILE);
    let own = home.read(FILE).and_then(|text| parsed(&user, text));

    [
        Found { owner: Owner::Machine, path: machine, read },
        Found { owner: Owner::User, path: user, read: own },
    ]
}

fn parsed(path: &Path, text: Option<String>) -> Result<Option<Members>, Failure> {
    text.map(|text| Members::read(&text))
        .transpose()
        .map_err(|why| Failure::Configuration { path: path.to_owned(), why })
}

/// Where device management lays the file.
pub fn machine() -> PathBuf {
    if let Some(path) = std::env::var_os(MACHINE).filter(|path| !path.is_empty()) {
        return path.into();
    }

    places::below(places::root().as_deref(), &Usual::of(Os::HERE).config)
}

/// What the machine's file says.
///
/// # Errors
/// [`Failure`].
pub fn of_machine() -> Result<Members, Failure> {
    let path = machine();
    let text = read_machine(&path)?;

    Ok(parsed(&path, text)?.unwrap_or_default())
}

/// Anybody may read it; nobody but the administrator may write it.
fn read_machine(path: &Path) -> Result<Option<String>, Failure> {
    let failed = |source| Failure::NoFile { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(source) => return Err(failed(source)),
    };
    home::administered(path, &file.metadata().map_err(failed)?)?;
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).map_err(|source| {
        if source.kind() == ErrorKind::InvalidData {
            let why = "is not UTF-8".to_owned();
            return Failure::Configuration { path: path.to_owned(), why };
        }
        failed(source)
    })?;

    Ok(Some(text))
}

/// The text of a file that the configuration names.
///
/// # Errors
/// [`Failure::Usage`].
pub fn text_of(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(machine: &str, user: &str) -> Result<Config, Failure> {
        let file = |owner, text: &str| {
            (owner, PathBuf::from("file.json"), Some(Members::read(text).unwrap()))
        };
        Config::merge(vec![file(Owner::Machine, machine), file(Owner::User, user)])
    }

    #[test]
    fn what_the_machine_sets_the_user_does_not_change() {
        let config = merged(
            r#"{"gateway":{"url":"https://one.example"},"form":"bare","modes":["mtls"]}"#,
            r#"{"gateway":{"url":"https://two.example","ca":"-----BEGIN"},"form":"headers",
                "modes":["pat"],"cohort":"blue"}"#,
        )
        .unwrap();

        let gateway = config.gateway().unwrap();
        assert_eq!((gateway.url.as_str(), gateway.ca.as_deref()), ("https://one.example", None));
        assert_eq!(config.gateway_from, Some(Owner::Machine));
        assert_eq!(config.form, Form::Bare);
        assert!(config.allows(Mode::Mtls) && !config.allows(Mode::Pat));
        assert_eq!(config.cohort.as_deref(), Some("blue"), "what it leaves open is the user's");
    }

    #[test]
    fn a_gateway_that_would_show_secrets_to_the_network_is_a_fault_of_its_file() {
        let failure = merged(r#"{"gateway":{"url":"http://one.example"}}"#, "{}").unwrap_err();

        let told = failure.to_string();
        assert!(told.contains("file.json") && told.contains("`gateway`"), "{told}");
    }
}
