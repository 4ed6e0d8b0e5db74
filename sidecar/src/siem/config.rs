//! The file that names the sinks. Every fault of it is told at once, each with its place; a sidecar
//! does not start with one.

use super::address::Address;
use super::members::Members;
use super::secret::{Secret, SecretError};
use super::vendor::Vendor;
use contract::policy::Fault;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// Most sinks: each may hold a batch, a page of rows and a connection.
const MOST: usize = 8;

/// Largest file.
const LARGEST: u64 = 256 * 1024; // 256 KiB

/// Most rows of a batch, unless the vendor has a lower limit.
const MOST_ROWS: u64 = 5_000;

/// Rows of a batch, unless said.
const ROWS: u64 = 500;

/// Least bytes of a batch: with fewer the answers would cost more than the rows.
const LEAST_BYTES: u64 = 64 * 1024; // 64 KiB

/// Longest name of a sink, which is a label of metrics and part of a file's name.
const LONGEST_NAME: usize = 64;

/// A sink.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// How rows are told to it.
    pub vendor: Vendor,
    /// Does it get what was said?
    pub content: bool,
    /// Does it begin with what is stored from its first start on?
    pub from_now: bool,
    /// Most rows sent at once.
    pub rows: usize,
    /// Most bytes sent at once; a row that is larger goes alone.
    pub bytes: usize,
}

/// Where a sink is.
#[derive(Debug, Clone)]
pub enum Place {
    /// A service.
    Http(Http),
    /// A file that grows.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

/// A service.
#[derive(Debug, Clone)]
pub struct Http {
    /// Its address.
    pub address: Address,
    /// The file with its credential, and how that is told.
    pub token: Option<(PathBuf, Scheme)>,
    /// The authorities that are believed, if not the system's.
    pub ca: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// How a credential is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `Authorization: Splunk …`
    Splunk,
    /// `Authorization: ApiKey …`
    ApiKey,
    /// `Authorization: Bearer …`
    Bearer,
    /// `Authorization: Basic …`, of `user:password`.
    Basic,
    /// `DD-API-KEY: …`
    Datadog,
}

/// Why the file was refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no JSON.
    #[error("{} is no JSON: {source}", path.display())]
    Json {
        /// Which file.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
    /// What is in it.
    #[error("{}: {}", path.display(), listed(faults))]
    Faults {
        /// Which file.
        path: PathBuf,
        /// Every one.
        faults: Vec<Fault>,
    },
}

fn listed(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Reads the file.
///
/// # Errors
/// [`ConfigError`].
pub fn read(path: &Path) -> Result<Vec<SinkConfig>, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
    }
    let bytes = fs::read(path).map_err(failed)?;
    let document = serde_json::from_slice(&bytes)
        .map_err(|source| ConfigError::Json { path: path.to_owned(), source })?;

    parse(document).map_err(|faults| ConfigError::Faults { path: path.to_owned(), faults })
}

/// Reads the document.
///
/// # Errors
/// Every fault at once.
pub fn parse(document: Value) -> Result<Vec<SinkConfig>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut members = Members::of(document, "", &mut faults);
    let listed = members.list("sinks");
    members.end();
    let most = faults.len().max(MOST);
    if listed.len() > MOST {
        fault(&mut faults, "sinks", &format!("has {}, at most {MOST} may be", listed.len()));
    }
    let mut sinks = Vec::new();
    let mut names = BTreeSet::new();
    for (number, value) in listed.into_iter().take(most).enumerate() {
        let place = format!("sinks[{number}]");
        let sink = sink(Members::of(value, &place, &mut faults));
        if let Some(sink) = &sink
            && !names.insert(sink.name.clone())
        {
            fault(&mut faults, &format!("{place}.name"), "is another sink's too");
        }
        sinks.extend(sink);
    }

    if faults.is_empty() { Ok(sinks) } else { Err(faults) }
}

fn fault(faults: &mut Vec<Fault>, place: &str, problem: &str) {
    faults.push(Fault { place: place.to_owned(), problem: problem.to_owned() });
}

fn sink(mut members: Members<'_>) -> Option<SinkConfig> {
    let name = members.required("name");
    if let Some(name) = &name
        && !is_name(name)
    {
        members.fault("name", "must be of a-z, 0-9, _ and -, 64 at most");
    }
    let content = members.flag("content", false);
    let from = members.word("from", &["beginning", "now"]);
    let kind = members.word("kind", &["http", "file", "stdout"]);
    if kind.is_none() {
        members.missing("kind");
    }
    let (place, vendor) = match kind {
        Some("http") => service(&mut members)?,
        Some("file") => (members.path("path").map(Place::File), lines(&mut members)),
        Some("stdout") => (Some(Place::Stdout), lines(&mut members)),
        _ => (None, Vendor::JsonLines),
    };
    if let Some(Place::File(path)) = &place
        && !path.parent().is_some_and(|folder| folder.as_os_str().is_empty() || folder.is_dir())
    {
        members.fault("path", "is in a directory that is not there");
    }
    let mut batch = members.object("batch");
    let limits = vendor.limits();
    let rows = batch.number("rows", 1, limits.rows.min(MOST_ROWS), ROWS.min(limits.rows));
    let bytes = batch.number("bytes", LEAST_BYTES, limits.bytes, limits.usual);
    batch.end();
    members.end();

    Some(SinkConfig {
        name: name?,
        place: place?,
        vendor,
        content,
        from_now: from == Some("now"),
        rows: usize::try_from(rows).ok()?,
        bytes: usize::try_from(bytes).ok()?,
    })
}

fn is_name(name: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);

    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(fits)
}

/// Files and standard output take lines.
fn lines(members: &mut Members<'_>) -> Vendor {
    members.word("encoding", &["json_lines"]);

    Vendor::JsonLines
}

fn service(members: &mut Members<'_>) -> Option<(Option<Place>, Vendor)> {
    const ENCODINGS: [&str; 5] =
        ["splunk_hec", "elastic_bulk", "datadog", "sumo_logic", "json_lines"];
    let Some(encoding) = members.word("encoding", &ENCODINGS) else {
        members.missing("encoding");
        // What it may hold besides depends on it.
        members.forget();
        return None;
    };
    let vendor = Vendor::read(encoding, members);
    let address = address(members, encoding).map(|address| match vendor.path() {
        Some(path) => address.with_path(&path),
        None => address,
    });
    let token = token(members, encoding);
    let ca = members.path("ca_file");
    if let Some(ca) = &ca
        && let Err(why) = super::tls::roots(Some(ca))
    {
        members.fault("ca_file", &why.to_string());
    }
    let timeout = Duration::from_secs(members.number("timeout_seconds", 1, 300, 30));
    let place = address.map(|address| Place::Http(Http { address, token, ca, timeout }));

    Some((place, vendor))
}

/// Sumo Logic's address is its credential.
fn address(members: &mut Members<'_>, encoding: &str) -> Option<Address> {
    let hidden = members.path("url_file");
    let plain = if encoding == "sumo_logic" { None } else { members.text("url") };
    let (member, text, secret) = match (hidden, plain) {
        (Some(_), Some(_)) => {
            members.fault("url_file", "stands beside url: one of them");
            return None;
        }
        (Some(path), None) => {
            let read = Secret::read(&path);
            let read = read.map_err(|why: SecretError| members.fault("url_file", &why.to_string()));
            ("url_file", read.ok()?.expose().to_owned(), true)
        }
        (None, Some(text)) => ("url", text, false),
        (None, None) => {
            let wanted = if encoding == "sumo_logic" { "url_file" } else { "url" };
            members.missing(wanted);
            return None;
        }
    };

    Address::parse(&text, secret).map_err(|why| members.fault(member, why)).ok()
}

fn token(members: &mut Members<'_>, encoding: &str) -> Option<(PathBuf, Scheme)> {
    let scheme = match encoding {
        "splunk_hec" => Scheme::Splunk,
        "datadog" => Scheme::Datadog,
        "sumo_logic" => return None,
        _ => match members.word("auth", &["api_key", "bearer", "basic"]) {
            Some("api_key") => Scheme::ApiKey,
            Some("basic") => Scheme::Basic,
            None if encoding == "elastic_bulk" => Scheme::ApiKey,
            Some(_) | None => Scheme::Bearer,
        },
    };
    let path = members.path("token_file");
    match &path {
        Some(path) => {
            if let Err(why) = Secret::read(path) {
                members.fault("token_file", &why.to_string());
            }
        }
        None if matches!(scheme, Scheme::Splunk | Scheme::Datadog) => members.missing("token_file"),
        None => {}
    }

    path.map(|path| (path, scheme))
}

#[cfg(test)]
mod tests;
