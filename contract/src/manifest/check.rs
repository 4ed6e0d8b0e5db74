//! Signed bytes → a document, or every fault of it.
//!
//! What the security team has signed may still be wrong, and what it says becomes folders: names, paths and digests are
//! looked at here, once, for the author (`tollgate manifest check`) and again on each laptop.

use super::document::{Agent, Document, File, ManagedServer, Plugin, SCHEMA, Skill, Transport};
use super::names::{is_hex_digest, name_fault, path_fault};
use super::{Kind, LARGEST_NUMBER, LARGEST_PLUGIN, MOST_FILES, MOST_PLUGINS, sha256};
use crate::canonical;
use crate::policy::Fault;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};

/// Longest sentence that describes something, in bytes.
const LONGEST_DESCRIPTION: usize = 1024;

/// Collects faults.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Fault { place: place.into(), problem: problem.into() });
    }

    /// What each signed document begins with.
    pub(super) fn head(&mut self, catalogue: &str, version: u64, (issued, expires): (u64, u64)) {
        if let Some(problem) = name_fault(catalogue) {
            self.add("catalogue", problem);
        }
        if version == 0 || version > LARGEST_NUMBER {
            self.add("version", "must be from 1 to 2^53 - 1");
        }
        if expires <= issued {
            self.add("expires_at", "is not behind issued_at");
        }
        if expires > LARGEST_NUMBER {
            self.add("expires_at", "is beyond 2^53 - 1");
        }
    }

    /// The document, if it has none.
    pub(super) fn done<T>(self, document: T) -> Result<T, Vec<Fault>> {
        if self.0.is_empty() { Ok(document) } else { Err(self.0) }
    }

    pub(super) fn name(&mut self, place: &str, name: &str, names: &mut BTreeSet<String>) {
        if let Some(problem) = name_fault(name) {
            self.add(place, format!("{name:?} {problem}"));
        }
        if !names.insert(name.to_ascii_lowercase()) {
            self.add(place, format!("{name:?} is used before, if case does not count"));
        }
    }

    fn sentence(&mut self, place: &str, text: &str) {
        if text.is_empty() || text.len() > LONGEST_DESCRIPTION {
            self.add(place, format!("must have 1 to {LONGEST_DESCRIPTION} bytes"));
        }
    }
}

/// Reads canonical JSON, and nothing else: whoever signed wrote it so, and two readers cannot read two things.
pub(super) fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Vec<Fault>> {
    let fault = |problem: String| vec![Fault { place: "document".into(), problem }];
    let form = canonical::write(payload).map_err(|error| fault(error.to_string()))?;
    if form != payload {
        return Err(fault("is not in canonical form (RFC 8785)".into()));
    }

    serde_json::from_slice(payload).map_err(|error| fault(error.to_string()))
}

impl Document {
    /// Reads what was signed.
    ///
    /// # Errors
    /// Every fault.
    pub fn parse(payload: &[u8]) -> Result<Self, Vec<Fault>> {
        let document: Self = read(payload)?;
        let faults = document.faults();

        faults.done(document)
    }

    /// What is wrong with it; empty if nothing is.
    pub fn check(&self) -> Vec<Fault> {
        self.faults().0
    }

    fn faults(&self) -> Faults {
        let mut faults = Faults::default();
        if self.schema != SCHEMA {
            faults.add("schema", format!("must be {SCHEMA:?}"));
        }
        faults.head(&self.catalogue, self.version, (self.issued_at, self.expires_at));
        if let Some(problem) = name_fault(&self.audience) {
            faults.add("audience", problem);
        }
        self.plugins(&mut faults);
        self.skills(&mut faults);
        self.servers(&mut faults);
        self.agents(&mut faults);
        self.revoked(&mut faults);

        faults
    }

    fn plugins(&self, faults: &mut Faults) {
        if self.plugins.len() > MOST_PLUGINS {
            faults.add("plugins", format!("has more than {MOST_PLUGINS}"));
        }
        sorted(faults, "plugins", self.plugins.iter().map(|it| it.name.as_str()));
        let mut names = BTreeSet::new();
        for (index, plugin) in self.plugins.iter().enumerate() {
            let place = format!("plugins[{index}]");
            faults.name(&format!("{place}.name"), &plugin.name, &mut names);
            plugin.check(&place, faults);
        }
    }

    fn skills(&self, faults: &mut Faults) {
        sorted(faults, "skills", self.skills.iter().map(|it| it.id.as_str()));
        let mut names = BTreeSet::new();
        for (index, Skill { id, description, plugin, instructions }) in
            self.skills.iter().enumerate()
        {
            let place = format!("skills[{index}]");
            faults.name(&format!("{place}.id"), id, &mut names);
            faults.sentence(&format!("{place}.description"), description);
            self.text(&place, plugin, &format!("skills/{id}/SKILL.md"), instructions, faults);
        }
    }

    fn agents(&self, faults: &mut Faults) {
        sorted(faults, "agents", self.agents.iter().map(|it| it.id.as_str()));
        let mut names = BTreeSet::new();
        for (index, agent) in self.agents.iter().enumerate() {
            let Agent { id, description, plugin, skills, model, mcp_servers, instructions } = agent;
            let place = format!("agents[{index}]");
            faults.name(&format!("{place}.id"), id, &mut names);
            faults.sentence(&format!("{place}.description"), description);
            faults.sentence(&format!("{place}.model"), model);
            self.text(&place, plugin, &format!("agents/{id}.md"), instructions, faults);
            for skill in skills.iter().filter(|id| !self.skills.iter().any(|it| it.id == **id)) {
                faults.add(format!("{place}.skills"), format!("{skill:?} is no skill of these"));
            }
            let servers = &self.managed_mcp_servers;
            for server in mcp_servers.iter().filter(|id| !servers.iter().any(|it| it.id == **id)) {
                faults.add(
                    format!("{place}.mcp_servers"),
                    format!("{server:?} is no server of these"),
                );
            }
        }
    }

    /// What the document says, the plugin's file has.
    fn text(&self, place: &str, plugin: &str, path: &str, text: &str, faults: &mut Faults) {
        let Some(found) = self.plugins.iter().find(|it| it.name == plugin) else {
            return faults.add(format!("{place}.plugin"), format!("{plugin:?} is none of these"));
        };
        match found.files.iter().find(|file| file.path == path) {
            Some(file) if file.sha256 == sha256(text.as_bytes()) => {}
            Some(_) => faults.add(
                format!("{place}.instructions"),
                format!("are not what {path} of {plugin:?} has"),
            ),
            None => faults.add(format!("{place}.plugin"), format!("{plugin:?} has no {path}")),
        }
    }

    fn servers(&self, faults: &mut Faults) {
        let place = "managed_mcp_servers";
        sorted(faults, place, self.managed_mcp_servers.iter().map(|it| it.id.as_str()));
        let mut names = BTreeSet::new();
        for (index, server) in self.managed_mcp_servers.iter().enumerate() {
            let place = format!("{place}[{index}]");
            faults.name(&format!("{place}.id"), &server.id, &mut names);
            server.check(&place, faults);
        }
    }

    fn revoked(&self, faults: &mut Faults) {
        let keys = || self.revocations.iter().map(|it| (it.kind, it.id.as_str()));
        if !keys().zip(keys().skip(1)).all(|(one, next)| one < next) {
            faults.add("revocations", "must be sorted by kind and id, each once");
        }
        let have = |kind: Kind, id: &str| -> bool {
            let same = |name: &String| name.eq_ignore_ascii_case(id);
            match kind {
                Kind::Plugin => self.plugins.iter().any(|it| same(&it.name)),
                Kind::Skill => self.skills.iter().any(|it| same(&it.id)),
                Kind::Agent => self.agents.iter().any(|it| same(&it.id)),
                Kind::McpServer => self.managed_mcp_servers.iter().any(|it| same(&it.id)),
            }
        };
        for (index, (kind, id)) in keys().enumerate() {
            if let Some(problem) = name_fault(id) {
                faults.add(format!("revocations[{index}].id"), format!("{id:?} {problem}"));
            }
            if have(kind, id) {
                faults.add(
                    format!("revocations[{index}]"),
                    format!("{} {id:?} is revoked, and listed too", kind.as_str()),
                );
            }
        }
    }
}

/// One order, so that one decision has one form.
fn sorted<'a>(faults: &mut Faults, place: &str, names: impl Iterator<Item = &'a str> + Clone) {
    if !names.clone().zip(names.skip(1)).all(|(one, next)| one < next) {
        faults.add(place, "must be sorted, each once");
    }
}

impl Plugin {
    fn check(&self, place: &str, faults: &mut Faults) {
        if self.version.is_empty() || self.version.len() > 64 {
            faults.add(format!("{place}.version"), "must have 1 to 64 bytes");
        }
        if !is_hex_digest(&self.archive.sha256) {
            faults.add(format!("{place}.archive.sha256"), "must be 64 hex digits in lower case");
        }
        if self.archive.bytes > LARGEST_PLUGIN {
            faults.add(format!("{place}.archive.bytes"), format!("is over {LARGEST_PLUGIN}"));
        }
        let Self { files, .. } = self;
        if files.is_empty() || files.len() > MOST_FILES {
            faults.add(format!("{place}.files"), format!("must be 1 to {MOST_FILES}"));
        }
        let sum = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.bytes));
        if sum > LARGEST_PLUGIN {
            faults.add(format!("{place}.files"), format!("have over {LARGEST_PLUGIN} bytes"));
        }
        sorted(faults, &format!("{place}.files"), files.iter().map(|it| it.path.as_str()));
        for (index, file) in files.iter().enumerate() {
            let place = format!("{place}.files[{index}]");
            if let Some(problem) = path_fault(&file.path) {
                faults.add(format!("{place}.path"), format!("{:?} {problem}", file.path));
            }
            if !is_hex_digest(&file.sha256) {
                faults.add(format!("{place}.sha256"), "must be 64 hex digits in lower case");
            }
        }
        clashes(place, files, faults);
        if Self::directory_digest(files).as_ref() != Ok(&self.directory_sha256) {
            faults.add(format!("{place}.directory_sha256"), "is not that of `files`");
        }
    }
}

/// Files that would be one on a disk that does not tell cases apart, or a file where another needs a folder.
fn clashes(place: &str, files: &[File], faults: &mut Faults) {
    // Each part's spelling, by its path in lower case; and is it a file?
    let mut seen: BTreeMap<String, (&str, bool)> = BTreeMap::new();
    for file in files {
        let ends = file.path.match_indices('/').map(|(at, _)| at).chain([file.path.len()]);
        for end in ends {
            let Some(part) = file.path.get(..end) else { continue };
            let is_file = end == file.path.len();
            let before = seen.insert(part.to_ascii_lowercase(), (part, is_file));
            let clash =
                before.is_some_and(|(spelt, was_file)| spelt != part || was_file || is_file);
            if clash {
                faults.add(
                    format!("{place}.files"),
                    format!("{part:?} is there in another spelling, or as a file and a folder"),
                );
            }
        }
    }
}

impl ManagedServer {
    fn check(&self, place: &str, faults: &mut Faults) {
        let Self { transport, url, command, args, tool_policy, .. } = self;
        match (transport, url, command) {
            (Transport::Http | Transport::Sse, Some(url), None) if args.is_empty() => {
                let plain = url.bytes().all(|byte| byte.is_ascii_graphic());
                if !url.starts_with("https://") || url.contains('@') || !plain {
                    faults.add(format!("{place}.url"), "must be https, without a password");
                }
            }
            (Transport::Stdio, None, Some(command)) => {
                // `C:\…` or `/…`.
                let drive = command.get(1..3).is_some_and(|it| it == ":\\");
                if !command.starts_with('/') && !drive {
                    faults.add(format!("{place}.command"), "must be an absolute path");
                }
            }
            _ => faults.add(
                place,
                "has a `url` if its transport is http or sse; a `command` (and `args`) if it is stdio",
            ),
        }
        for tool in tool_policy.keys() {
            if tool.is_empty() || tool.len() > 256 {
                faults.add(format!("{place}.tool_policy"), "names a tool of no or over 256 bytes");
            }
        }
    }
}
