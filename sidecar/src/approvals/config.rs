//! The file `--approvals` (YAML): the channels in which people are told that somebody asks. Every fault is told at
//! once, with its line; a sidecar does not start with one.

use crate::identity::check::secure_url;
use crate::policy::compile::{SourceError, read as text_of, slips};
use crate::policy::shape::{Member, Shape, TEXTS, Unit, may, must};
use crate::policy::walk::{Found, walk};
use crate::policy::yaml::{self, At};
use crate::siem::secret::Secret;
use crate::siem::tls;
use contract::model;
use contract::policy::Fault;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// The schema this build reads.
pub const SCHEMA: &str = "tollgate.approvals/v1";

/// Most webhooks: each is told of each request.
const MOST: usize = 16;

/// Longest name, which is a label of metrics.
const LONGEST_NAME: usize = 64;

/// Seconds that an answer may take, unless said.
const TIMEOUT: u64 = 10;

const SHAPES: &[&str] = &["slack", "teams", "json"];

const FILE: &[Member] = &[
    must("schema", Shape::Text, "always tollgate.approvals/v1"),
    must("webhooks", Shape::List(&Shape::Struct(WEBHOOK)), "the channels that are told"),
];

const WEBHOOK: &[Member] = &[
    must("name", Shape::Text, "its name here, which stands in metrics"),
    must("shape", Shape::Word(SHAPES), "how messages look: slack, teams or json"),
    may("url", Shape::Text, "its address, where that is no secret"),
    may("url_file", Shape::Text, "a file with its address, that only its owner can read"),
    may("secret_file", Shape::Text, "a file with the secret that messages are signed with"),
    may("ca_file", Shape::Text, "a file with its authority, PEM"),
    may("timeout", Shape::Time(Unit::Seconds), "how long an answer may take"),
    may("for", Shape::Struct(FOR), "which requests it is told of"),
];

const FOR: &[Member] = &[must("servers", TEXTS, "MCP servers, * for any run of characters")];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    webhooks: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    shape: Kind,
    url: Option<String>,
    url_file: Option<PathBuf>,
    secret_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    timeout: Option<u64>,
    #[serde(rename = "for")]
    only: Option<Only>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Only {
    servers: Vec<String>,
}

/// How messages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A message of Slack's Block Kit.
    Slack,
    /// An Adaptive Card in the envelope of Teams' Workflows.
    Teams,
    /// Our own.
    Json,
}

/// A channel.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its name here.
    pub name: String,
    /// How messages look.
    pub shape: Kind,
    /// Where it is: whoever knows the address of Slack's or Teams' can write there.
    pub address: Address,
    /// What messages are signed with; only [`Kind::Json`]'s.
    pub secret: Option<Secret>,
    /// The authority that is believed, if not the system's.
    pub ca: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The servers whose requests it is told of; none for all.
    pub servers: Vec<String>,
}

/// An address that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// The address itself.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// A text without it: a server may say what it was told.
    pub fn hide_in(&self, text: &str) -> String {
        let path = self.0.path();
        let text = text.replace(self.0.as_str(), "[address]");

        if path.len() > 1 { text.replace(path, "/[secret]") } else { text }
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Address")
    }
}

impl Webhook {
    /// Is it told of requests for this server's tools?
    pub fn is_for(&self, server: &str) -> bool {
        self.servers.is_empty() || self.servers.iter().any(|those| model::matches(those, server))
    }
}

/// Reads the file, and the secrets and authorities that it names.
///
/// # Errors
/// [`SourceError`]: every fault at once, with its line.
pub fn read(path: &Path) -> Result<Vec<Webhook>, SourceError> {
    let text = text_of(path)?;

    parse(&text).map_err(|found| SourceError::Faults { path: path.to_owned(), found })
}

/// Reads a text.
///
/// # Errors
/// Every fault, in the order of lines.
pub fn parse(text: &str) -> Result<Vec<Webhook>, Vec<Found>> {
    let root = yaml::parse(text).map_err(slips)?;
    let walked = walk(&root, FILE);
    let mut found = walked.found.clone();
    let mut webhooks = Vec::new();
    match serde_json::from_value::<File>(walked.value.clone()) {
        Ok(file) => {
            let mut faults = Vec::new();
            webhooks = check(file, &mut faults);
            found.extend(faults.into_iter().filter(|fault| !walked.is_faulty(&fault.place)).map(
                |fault| {
                    let at = walked.at(&fault.place);
                    Found { at, place: fault.place, problem: fault.problem }
                },
            ));
        }
        // What has faults of form may be no file at all; only if shapes and types disagree is there no other.
        Err(error) if found.is_empty() => {
            found.push(Found { at: At::START, place: String::new(), problem: error.to_string() });
        }
        Err(_) => {}
    }
    found.sort_by_key(|found| found.at);

    if found.is_empty() { Ok(webhooks) } else { Err(found) }
}

fn check(file: File, faults: &mut Vec<Fault>) -> Vec<Webhook> {
    if file.schema != SCHEMA {
        fault(faults, "schema", format!("must be {SCHEMA}"));
    }
    if file.webhooks.len() > MOST {
        fault(faults, "webhooks", format!("at most {MOST} may be"));
    }
    let mut names = BTreeSet::new();
    let mut webhooks = Vec::new();
    for (number, written) in file.webhooks.into_iter().enumerate() {
        let place = format!("webhooks[{number}]");
        if !names.insert(written.name.clone()) {
            fault(faults, &format!("{place}.name"), "is another webhook's too".to_owned());
        }
        webhooks.extend(webhook(written, &place, faults));
    }

    webhooks
}

fn webhook(written: Written, place: &str, faults: &mut Vec<Fault>) -> Option<Webhook> {
    let Written { name, shape, url, url_file, secret_file, ca_file, timeout, only } = written;
    let mut add = |member: &str, problem: String| {
        fault(faults, &format!("{place}.{member}"), problem);
    };
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if !(1..=LONGEST_NAME).contains(&name.len()) || !name.bytes().all(fits) {
        add("name", "must be of a-z, 0-9, _ and -, 64 at most".to_owned());
    }
    let address = match (url, url_file) {
        (Some(_), None) if shape != Kind::Json => {
            add("url", "is a secret of this shape's: name a file by url_file".to_owned());
            None
        }
        (Some(url), None) => secure_url(&url).map_err(|why| add("url", why.to_owned())).ok(),
        (None, Some(path)) => match Secret::read(&path) {
            // What is said against it repeats nothing of it.
            Ok(secret) => {
                secure_url(secret.expose()).map_err(|why| add("url_file", why.to_owned())).ok()
            }
            Err(why) => {
                add("url_file", why.to_string());
                None
            }
        },
        (None, None) => {
            add("url_file", "is missing: where is it?".to_owned());
            None
        }
        (Some(_), Some(_)) => {
            add("url_file", "stands beside url: one of them".to_owned());
            None
        }
    };
    let secret = match secret_file {
        Some(_) if shape != Kind::Json => {
            add("secret_file", "is for the shape json alone: others check no signature".to_owned());
            None
        }
        Some(path) => Secret::read(&path).map_err(|why| add("secret_file", why.to_string())).ok(),
        None => None,
    };
    if let Some(ca) = &ca_file
        && let Err(why) = tls::roots(Some(ca))
    {
        add("ca_file", why.to_string());
    }
    let timeout = timeout.unwrap_or(TIMEOUT);
    if !(1..=60).contains(&timeout) {
        add("timeout", "must be from 1s to 60s".to_owned());
    }

    Some(Webhook {
        name,
        shape,
        address: Address(address?),
        secret,
        ca: ca_file,
        timeout: Duration::from_secs(timeout),
        servers: only.map(|only| only.servers).unwrap_or_default(),
    })
}

fn fault(faults: &mut Vec<Fault>, place: &str, problem: String) {
    faults.push(Fault { place: place.to_owned(), problem });
}

#[cfg(test)]
mod tests;
