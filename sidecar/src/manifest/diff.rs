//! What changes on laptops from one publication to another.

use super::compile;
use super::publication::Contents;
use crate::failure::Failure;
use crate::policy::diff::Way;
use contract::manifest::{Document, File, ManagedServer, Plugin};
use contract::policy::Who;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

/// One of the two.
#[derive(Debug, Clone)]
pub struct Side {
    audiences: Vec<(String, Who, Option<Who>)>,
    documents: BTreeMap<String, Document>,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Of which audience; none: of their order.
    pub audience: Option<String>,
    /// `audience`, `plugin`, `skill`, `agent`, `mcp_server`, `revocation`, `on_expiry`, `audiences`.
    pub kind: &'static str,
    /// Its name.
    pub id: String,
    /// What becomes of it.
    pub what: What,
    /// Which way it goes.
    pub way: Way,
}

/// What becomes of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It comes.
    Comes,
    /// It goes.
    Goes,
    /// It changes, in these.
    Changes(Vec<String>),
}

impl Side {
    /// A catalogue, or the folder of a publication.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn read(path: &Path) -> Result<Self, Failure> {
        if path.is_dir() && !path.join("catalogue.yaml").exists() {
            return Ok(Self::of(&Contents::read(path)?));
        }
        let file = if path.is_dir() { path.join("catalogue.yaml") } else { path.to_owned() };
        let compiled = compile::file(&file, None)?;

        Ok(Self::of(&compiled.contents(1, 0)?))
    }

    /// A publication.
    pub fn of(contents: &Contents) -> Self {
        let audiences = contents.index.says.audiences.iter();
        let documents = contents.documents.iter();

        Self {
            audiences: audiences
                .map(|it| (it.name.clone(), it.who.clone(), it.unless.clone()))
                .collect(),
            documents: documents.map(|(name, it)| (name.clone(), it.says.clone())).collect(),
        }
    }

    fn audience(&self, name: &str) -> Option<&(String, Who, Option<Who>)> {
        self.audiences.iter().find(|it| it.0 == name)
    }
}

/// What changes. Versions and times are no change.
pub fn diff(from: &Side, to: &Side) -> Vec<Change> {
    let mut changes = Vec::new();
    let names = |side: &Side| side.audiences.iter().map(|it| it.0.clone()).collect::<Vec<_>>();
    let (before, after) = (names(from), names(to));
    let kept = |list: &[String], other: &[String]| {
        list.iter().filter(|name| other.contains(name)).cloned().collect::<Vec<_>>()
    };
    if kept(&before, &after) != kept(&after, &before) {
        let what =
            What::Changes(vec![format!("order {} → {}", before.join(", "), after.join(", "))]);
        let id = "order".to_owned();
        let way = Way::Depends;
        changes.push(Change { audience: None, kind: "audiences", id, what, way });
    }
    let all: BTreeSet<&String> = before.iter().chain(&after).collect();
    for name in all {
        let mut add = |kind, id: &str, what, way| {
            let audience = Some(name.clone());
            changes.push(Change { audience, kind, id: id.to_owned(), what, way });
        };
        match (from.audience(name), to.audience(name)) {
            (None, Some(_)) => add("audience", name, What::Comes, Way::Depends),
            (Some(_), None) => add("audience", name, What::Goes, Way::Depends),
            (Some(one), Some(other)) => {
                let differ = [("who", one.1 != other.1), ("unless", one.2 != other.2)];
                let differ: Vec<_> =
                    differ.into_iter().filter(|it| it.1).map(|it| it.0.to_owned()).collect();
                if !differ.is_empty() {
                    add("audience", name, What::Changes(differ), Way::Depends);
                }
            }
            (None, None) => {}
        }
        if let (Some(one), Some(other)) = (from.documents.get(name), to.documents.get(name)) {
            documents(one, other, &mut add);
        }
    }

    changes
}

type Add<'a> = dyn FnMut(&'static str, &str, What, Way) + 'a;

fn documents(from: &Document, to: &Document, add: &mut Add<'_>) {
    let grants = (Way::Loosens, Way::Tightens);
    lists("plugin", (&from.plugins, &to.plugins), |it| &it.name, grants, plugin, add);
    let skill = |one: &contract::manifest::Skill, other: &contract::manifest::Skill| {
        let parts = [
            ("description", one.description != other.description),
            ("instructions", one.instructions != other.instructions),
        ];
        (named(&parts), Way::Depends)
    };
    lists("skill", (&from.skills, &to.skills), |it| &it.id, grants, skill, add);
    let agent = |one: &contract::manifest::Agent, other: &contract::manifest::Agent| {
        let parts = [
            ("description", one.description != other.description),
            ("model", one.model != other.model),
            ("skills", one.skills != other.skills),
            ("mcp_servers", one.mcp_servers != other.mcp_servers),
            ("instructions", one.instructions != other.instructions),
        ];
        (named(&parts), Way::Depends)
    };
    lists("agent", (&from.agents, &to.agents), |it| &it.id, grants, agent, add);
    let servers = (&*from.managed_mcp_servers, &*to.managed_mcp_servers);
    lists("mcp_server", servers, |it| &it.id, grants, server, add);
    let names = |document: &Document| {
        let revocations = document.revocations.iter();
        revocations.map(|it| format!("{} {}", it.kind.as_str(), it.id)).collect::<Vec<_>>()
    };
    let bans = (Way::Tightens, Way::Loosens);
    let same = |_: &String, _: &String| (Vec::new(), Way::Neither);
    lists("revocation", (&names(from), &names(to)), |it| it, bans, same, add);
    if from.on_expiry != to.on_expiry {
        let way = match to.on_expiry {
            contract::manifest::OnExpiry::Remove => Way::Tightens,
            contract::manifest::OnExpiry::Keep => Way::Loosens,
        };
        add(
            "on_expiry",
            "on_expiry",
            What::Changes(vec![format!("{:?}", to.on_expiry).to_lowercase()]),
            way,
        );
    }
}

fn named(parts: &[(&str, bool)]) -> Vec<String> {
    parts.iter().filter(|it| it.1).map(|it| it.0.to_owned()).collect()
}

fn lists<T: PartialEq>(
    kind: &'static str,
    (from, to): (&[T], &[T]),
    name: impl Fn(&T) -> &String,
    (comes, goes): (Way, Way),
    judge: impl Fn(&T, &T) -> (Vec<String>, Way),
    add: &mut Add<'_>,
) {
    let find = |list: &'_ [T], wanted: &String| list.iter().position(|it| name(it) == wanted);
    for one in from.iter().filter(|it| find(to, name(it)).is_none()) {
        add(kind, name(one), What::Goes, goes);
    }
    for other in to {
        match find(from, name(other)).and_then(|at| from.get(at)) {
            None => add(kind, name(other), What::Comes, comes),
            Some(one) if one != other => {
                let (parts, way) = judge(one, other);
                add(kind, name(other), What::Changes(parts), way);
            }
            Some(_) => {}
        }
    }
}

/// Files of a plugin, each with what becomes of it.
fn plugin(from: &Plugin, to: &Plugin) -> (Vec<String>, Way) {
    let mut parts = Vec::new();
    if from.version != to.version {
        parts.push(format!("version {} → {}", from.version, to.version));
    }
    if from.installation != to.installation {
        let words = (from.installation.as_str(), to.installation.as_str());
        parts.push(format!("installation {} → {}", words.0, words.1));
    }
    let files = |plugin: &Plugin| -> BTreeMap<String, File> {
        plugin.files.iter().map(|file| (file.path.clone(), file.clone())).collect()
    };
    let (before, after) = (files(from), files(to));
    for path in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        match (before.get(path), after.get(path)) {
            (None, Some(_)) => parts.push(format!("+{path}")),
            (Some(_), None) => parts.push(format!("-{path}")),
            (Some(one), Some(other)) if one != other => parts.push(format!("~{path}")),
            _ => {}
        }
    }
    if parts.is_empty() {
        // The same files in other bytes: another compressor.
        return (vec!["archive".to_owned()], Way::Neither);
    }

    (parts, Way::Depends)
}

fn server(from: &ManagedServer, to: &ManagedServer) -> (Vec<String>, Way) {
    let place = [
        ("transport", from.transport != to.transport),
        ("url", from.url != to.url),
        ("command", from.command != to.command),
        ("args", from.args != to.args),
    ];
    let mut parts = named(&place);
    let mut ways = BTreeSet::new();
    if !parts.is_empty() {
        ways.insert(Way::Depends);
    }
    let tools = from.tool_policy.keys().chain(to.tool_policy.keys()).collect::<BTreeSet<_>>();
    for tool in tools {
        let (one, other) = (from.tool_policy.get(tool), to.tool_policy.get(tool));
        if one == other {
            continue;
        }
        let word = |it: Option<&contract::clients::Choice>| it.map_or("–", |it| it.as_str());
        parts.push(format!("{tool} {} → {}", word(one), word(other)));
        ways.insert(match (one, other) {
            (Some(one), Some(other)) if other > one => Way::Tightens,
            (Some(_), Some(_)) => Way::Loosens,
            // It depends on what else names the tool.
            _ => Way::Depends,
        });
    }
    let mut ways = ways.into_iter();

    (
        parts,
        match (ways.next(), ways.next()) {
            (Some(only), None) => only,
            _ => Way::Depends,
        },
    )
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { audience, kind, id, what, way } = self;
        let audience = audience.as_deref().unwrap_or("*");
        let (sign, parts) = match what {
            What::Comes => ('+', String::new()),
            What::Goes => ('-', String::new()),
            What::Changes(parts) => ('~', format!(": {}", parts.join(", "))),
        };

        write!(formatter, "{sign} {audience}: {kind} {id}{parts} ({})", way.as_str())
    }
}

impl Change {
    /// As JSON.
    pub fn object(&self) -> Value {
        let (what, parts) = match &self.what {
            What::Comes => ("comes", &[][..]),
            What::Goes => ("goes", &[][..]),
            What::Changes(parts) => ("changes", parts.as_slice()),
        };

        json!({ "audience": self.audience, "kind": self.kind, "id": self.id, "what": what,
            "changes": parts, "way": self.way.as_str() })
    }
}
