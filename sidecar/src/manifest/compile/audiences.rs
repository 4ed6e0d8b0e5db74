//! What each audience gets, as a document that laptops would take.

use super::Compiler;
use crate::manifest::generated::{self, Bundle};
use crate::manifest::source::AudienceSource;
use crate::manifest::{ManifestFailure, plugin, reach};
use contract::manifest::{Document, ManagedServer, Plugin, SCHEMA};
use std::collections::BTreeMap;

impl Compiler {
    /// What nobody gets.
    pub(super) fn unlisted(&mut self, has: &[reach::Has]) {
        let lists = ["plugin", "skill", "agent", "mcp_server"].map(|kind| self.names(kind));
        let [plugins, skills, agents, servers] = lists;
        let mut add = |member: &str, names: Vec<String>, of: &dyn Fn(&reach::Has, &str) -> bool| {
            for (index, name) in names.iter().enumerate() {
                if !has.iter().any(|has| of(has, name)) {
                    let problem = format!("no audience has {name:?}: nobody gets it");
                    self.reading.warn(&format!("{member}[{index}]"), problem);
                }
            }
        };
        add("plugins", plugins, &|has, name| has.plugins.contains(name));
        add("skills", skills, &|has, name| has.skills.contains(name));
        add("agents", agents, &|has, name| has.agents.contains(name));
        add("mcp_servers", servers, &|has, name| has.servers.contains(name));
    }

    pub(super) fn document(
        &mut self,
        at: usize,
        audience: &AudienceSource,
        has: &reach::Has,
        archives: &mut BTreeMap<String, Vec<u8>>,
    ) -> Result<Document, ManifestFailure> {
        let skills: Vec<_> =
            has.skills.iter().filter_map(|id| self.skills.get(id)).cloned().collect();
        let agents: Vec<_> =
            has.agents.iter().filter_map(|id| self.agents.get(id)).cloned().collect();
        let servers: Vec<_> =
            has.servers.iter().filter_map(|id| self.servers.get(id)).cloned().collect();
        let mut plugins: Vec<Plugin> = Vec::new();
        let mut take = |bundle: Bundle| {
            archives.insert(bundle.plugin.archive.sha256.clone(), bundle.archive);
            plugins.push(bundle.plugin);
        };
        for name in &has.plugins {
            let Some(read) = self.plugins.get(name) else { continue };
            for brought in &read.servers {
                let Some((problem, of_audience)) = allowlist(brought, &servers, &self.servers)
                else {
                    continue;
                };
                let place = if of_audience {
                    format!("audiences[{at}].plugins")
                } else {
                    format!("plugins[{}].path", read.index)
                };
                self.reading.fault(&place, format!("{name}: {problem}"));
            }
            take(read.bundle.clone());
        }
        let source = &self.reading.source;
        let of = (source.name.as_str(), self.bundle.0.as_str(), self.bundle.1);
        if let Some(bundle) = generated::bundle(of, skills.iter(), agents.iter())? {
            take(bundle);
        }
        plugins.sort_by(|one, other| one.name.cmp(&other.name));

        let mut revocations = source.revocations.clone();
        revocations.sort();

        Ok(Document {
            schema: SCHEMA.to_owned(),
            catalogue: source.name.clone(),
            audience: audience.name.clone(),
            version: 1,
            issued_at: 0,
            expires_at: source.valid_for,
            on_expiry: source.on_expiry,
            plugins,
            skills,
            agents,
            managed_mcp_servers: servers,
            revocations,
        })
    }

    /// What laptops would find wrong with it, told where it is written.
    pub(super) fn sense(&mut self, at: usize, document: &Document) {
        let audience = &document.audience;
        for fault in document.check() {
            let (list, rest) = fault.place.split_once('[').unwrap_or((&fault.place, ""));
            let (index, member) = rest.split_once(']').unwrap_or(("", ""));
            let index: usize = index.parse().unwrap_or(usize::MAX);
            let source = &self.reading.source;
            let position = |all: Vec<&String>, name: Option<&String>| {
                name.and_then(|name| all.iter().position(|it| *it == name))
            };
            let (to, found) = match list {
                "plugins" => {
                    let name = document.plugins.get(index).map(|it| &it.name);
                    ("plugins", name.and_then(|it| self.plugins.get(it)).map(|read| read.index))
                }
                "skills" => {
                    let name = document.skills.get(index).map(|it| &it.id);
                    ("skills", position(source.skills.iter().map(|it| &it.id).collect(), name))
                }
                "agents" => {
                    let name = document.agents.get(index).map(|it| &it.id);
                    ("agents", position(source.agents.iter().map(|it| &it.id).collect(), name))
                }
                "managed_mcp_servers" => {
                    let name = document.managed_mcp_servers.get(index).map(|it| &it.id);
                    let all = source.mcp_servers.iter().map(|it| &it.id).collect();
                    ("mcp_servers", position(all, name))
                }
                "revocations" => {
                    let revoked = document.revocations.get(index);
                    let place = source.revocations.iter().position(|it| Some(it) == revoked);
                    ("revocations", place)
                }
                _ => ("", None),
            };
            let place = match found {
                Some(found) => format!("{to}[{found}]{member}"),
                None => format!("audiences[{at}]"),
            };
            let needs = member == ".skills" || member == ".mcp_servers";
            let problem = if needs || found.is_none() {
                format!("{} (for the audience {audience:?})", fault.problem)
            } else {
                fault.problem
            };
            self.reading.fault(&place, problem);
        }
    }
}

/// Is a plugin's server one of these? What is wrong otherwise, and is it the audience's fault rather than the plugin's?
fn allowlist(
    brought: &plugin::Brought,
    here: &[ManagedServer],
    all: &BTreeMap<String, ManagedServer>,
) -> Option<(String, bool)> {
    let same = |server: &ManagedServer| brought.is_at(server);
    if here.iter().any(same) {
        return None;
    }
    let how = match &brought.how {
        plugin::How::Url(url, _) => url.clone(),
        plugin::How::Command(command, _) => command.clone(),
    };
    let name = &brought.name;
    Some(match all.values().find(|server| same(server)) {
        Some(server) => (
            format!(
                "brings the MCP server {name:?}, and this audience does not have {:?}",
                server.id
            ),
            true,
        ),
        None => {
            (format!("brings the MCP server {name:?} ({how}), which is none of mcp_servers"), false)
        }
    })
}
