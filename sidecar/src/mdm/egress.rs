//! `tollgate mdm egress`: the hosts that clients with these settings reach, which a firewall must open.

use super::reach::{self, Reached};
use super::settings::{Keys, Profile};
use super::{chosen, given};
use crate::args::mdm::{EgressArgs, Product};
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::screen::Screen;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use url::Url;

static HOSTS: LazyLock<Result<Hosts, String>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/mdm-egress.json"))
        .map_err(|error| error.to_string())
});

/// Which hosts by which settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hosts {
    /// When they were looked up.
    pub as_of: String,
    /// Where.
    pub source: Vec<String>,
    /// What this is.
    pub note: String,
    /// Claude Desktop's.
    pub claude_desktop: Vec<Entry>,
    /// Claude Code's.
    pub claude_code: Vec<Entry>,
}

/// Some hosts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What they are for.
    pub feature: String,
    /// The hosts; `{key}` is that of what the key says.
    pub hosts: Vec<String>,
    /// What they are for, closer.
    pub says: String,
    /// The settings that they hang on.
    pub setting: Option<String>,
    /// They are reached where all of this holds.
    #[serde(default, rename = "if")]
    pub when: BTreeMap<String, Value>,
    /// They are not where any of this does.
    #[serde(default)]
    pub unless: BTreeMap<String, Value>,
    /// Nor here.
    #[serde(default)]
    pub and_unless: BTreeMap<String, Value>,
    /// Only the first that the settings name.
    #[serde(default)]
    pub first: bool,
}

/// A host and its port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    /// The name, or a pattern with `*`.
    pub name: String,
    /// The port.
    pub port: u16,
    /// Is it spoken to by TLS?
    pub tls: bool,
}

impl Host {
    /// As a firewall's list has it.
    pub fn line(&self) -> String {
        if self.port == 443 { self.name.clone() } else { format!("{}:{}", self.name, self.port) }
    }

    /// Can it be tried?
    pub fn is_one(&self) -> bool {
        !self.name.contains('*')
    }
}

/// Why a host is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// What it is for.
    pub feature: String,
    /// The host.
    pub host: Host,
    /// What it is for, closer.
    pub says: String,
    /// The settings that it hangs on.
    pub setting: String,
}

/// What clients of a profile reach.
///
/// # Errors
/// [`Failure::Refused`], which a test excludes.
pub fn needs(profile: &Profile) -> Result<BTreeSet<Need>, Failure> {
    let hosts = HOSTS.as_ref();
    let hosts = hosts
        .map_err(|why| Failure::Refused(format!("the table of hosts does not read: {why}")))?;
    let mut needs = BTreeSet::new();
    for product in [Product::Desktop, Product::Code] {
        let keys = profile.of(product);
        let entries = match product {
            Product::Desktop => &hosts.claude_desktop,
            Product::Code => &hosts.claude_code,
        };
        if keys.is_empty() {
            continue;
        }
        for entry in entries {
            let holds = |(path, wanted): (&String, &Value)| {
                let values = values(keys, path);
                values.iter().any(|value| wanted.as_str() == Some("*") || *value == wanted)
            };
            let off = entry.unless.iter().chain(&entry.and_unless).any(holds);
            if off || !entry.when.iter().all(holds) {
                continue;
            }
            for template in &entry.hosts {
                let found = resolved(template, keys);
                let enough = entry.first && !found.is_empty();
                needs.extend(found.into_iter().map(|host| Need {
                    feature: entry.feature.clone(),
                    host,
                    says: entry.says.clone(),
                    setting: entry.setting.clone().unwrap_or_default(),
                }));
                if enough {
                    break;
                }
            }
        }
    }

    Ok(needs)
}

/// What stands at `a.b`, or `a[].b` for each of a list.
fn values<'k>(keys: &'k Keys, path: &str) -> Vec<&'k Value> {
    let mut parts = path.split('.');
    let first = parts.next().unwrap_or_default();
    let step = |found: Option<&'k Value>, each: bool| -> Vec<&'k Value> {
        match found {
            Some(Value::Array(list)) if each => list.iter().collect(),
            Some(value) => vec![value],
            None => Vec::new(),
        }
    };
    let name = first.trim_end_matches("[]");
    let mut found = step(keys.get(name), first.ends_with("[]"));
    for part in parts {
        let name = part.trim_end_matches("[]");
        found =
            found.iter().flat_map(|value| step(value.get(name), part.ends_with("[]"))).collect();
    }

    found
}

fn resolved(template: &str, keys: &Keys) -> Vec<Host> {
    let Some((before, rest)) = template.split_once('{') else {
        return host(template).into_iter().collect();
    };
    let Some((path, after)) = rest.split_once('}') else { return Vec::new() };
    let texts = values(keys, path).into_iter().filter_map(Value::as_str);

    texts.filter_map(|text| host(&format!("{before}{text}{after}"))).collect()
}

/// The host of an address or of a pattern.
fn host(text: &str) -> Option<Host> {
    if let Some((scheme, rest)) = text.split_once("://") {
        let tls = scheme != "http";
        let rest = rest.split(['/', '?', '#']).next()?;
        // A pattern is no address that could be parsed.
        let named = if rest.contains('*') { None } else { Url::parse(text).ok() };
        if let Some(url) = named {
            let port = url.port_or_known_default().unwrap_or(443);
            return Some(Host { name: url.host_str()?.to_owned(), port, tls });
        }
        return plain(rest, tls);
    }

    plain(text, true)
}

fn plain(text: &str, tls: bool) -> Option<Host> {
    let usual = if tls { 443 } else { 80 };
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok()?),
        None => (text, usual),
    };

    (!name.is_empty()).then(|| Host { name: name.to_owned(), port, tls })
}

/// Runs it.
///
/// # Errors
/// [`Failure::Answered`], if a host cannot be reached.
pub async fn run(
    wanted: &EgressArgs,
    operator: &Operator,
    screen: &mut Screen,
) -> Result<(), Failure> {
    if wanted.test && !operator.is_on_host() {
        // Else whoever may ask would have the gateway's host look around in its network.
        let problem = "--test tries them from where it runs: run it on a machine of the fleet";
        return Err(Failure::Refused(problem.to_owned()));
    }
    let settings = given(&wanted.file, screen)?;
    let profiles: Vec<&Profile> = match &wanted.profile {
        Some(name) => vec![chosen(&settings, Some(name))?],
        None => settings.given().collect(),
    };
    let mut all: BTreeMap<Need, Vec<&str>> = BTreeMap::new();
    for profile in &profiles {
        for need in needs(profile)? {
            all.entry(need).or_default().push(&profile.name);
        }
    }
    let hosts: BTreeSet<Host> = all.keys().map(|need| need.host.clone()).collect();
    let reached = if wanted.test {
        Some(reach::all(&hosts, wanted.authorities.as_deref(), screen).await?)
    } else {
        None
    };
    if wanted.txt {
        let lines: BTreeSet<String> = hosts.iter().map(Host::line).collect();
        let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        screen.print(&text)?;
    } else {
        shown(&all, reached.as_ref(), screen)?;
    }
    let failed = |reached: &BTreeMap<Host, Reached>| reached.values().any(|one| !one.is_well());

    if reached.as_ref().is_some_and(failed) { Err(Failure::Answered) } else { Ok(()) }
}

fn shown(
    all: &BTreeMap<Need, Vec<&str>>,
    reached: Option<&BTreeMap<Host, Reached>>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for (need, profiles) in all {
        let result = reached.map(|reached| match reached.get(&need.host) {
            Some(reached) => reached.to_string(),
            None => "a pattern: not tried".to_owned(),
        });
        if screen.json() {
            screen.object(&json!({
                "feature": need.feature, "host": need.host.name, "port": need.host.port,
                "setting": need.setting, "says": need.says, "profiles": profiles, "result": result,
            }))?;
        }
        let mut row = vec![
            need.feature.clone(),
            need.host.line(),
            need.says.clone(),
            need.setting.clone(),
            profiles.join(" "),
        ];
        row.extend(result);
        rows.push(row);
    }
    if screen.json() {
        return Ok(());
    }
    let mut head = vec!["FEATURE", "HOST", "FOR", "BY THE SETTING", "PROFILES"];
    if reached.is_some() {
        head.push("RESULT");
    }

    screen.table(&head, &rows)
}
