//! A catalogue → what can be published of it, or every fault.

use super::archive::Packed;
use super::generated::{self, Bundle};
use super::source::{Reading, ServerSource, Source};
use super::{folder, plugin, reach, texts};
use crate::policy::compile::SourceError;
use crate::policy::walk::{Found, closest};
use contract::manifest::{
    Agent, Document, INDEX_SCHEMA, Installation, ManagedServer, Skill, Transport, name_fault,
};
use contract::policy::Policy;
use std::collections::BTreeMap;
use std::path::Path;

mod audiences;
mod contents;
mod policy;
#[cfg(test)]
mod tests;

/// A catalogue without faults.
#[derive(Debug)]
pub struct Compiled {
    /// As it is written.
    pub(crate) source: Source,
    /// What each audience has, without a version and times, in the order of audiences.
    pub documents: Vec<Document>,
    /// By SHA-256.
    pub archives: BTreeMap<String, Vec<u8>>,
    /// What plugins are for.
    pub descriptions: BTreeMap<String, String>,
    /// What is no fault, and not meant so.
    pub warnings: Vec<Found>,
}

/// How long a publication may hold, in seconds.
const HOLDS: std::ops::RangeInclusive<u64> = 3_600..=366 * 86_400;

/// Reads a catalogue and what lies beside it; with a policy, what the gate would refuse of it.
///
/// # Errors
/// [`SourceError`]: every fault.
pub fn file(path: &Path, policy: Option<&Policy>) -> Result<Compiled, SourceError> {
    let mut compiler = Compiler::new(Reading::read(path)?);
    compiler.head();
    compiler.plugins();
    compiler.skills();
    compiler.servers();
    compiler.agents();
    compiler.done(path, policy)
}

/// A plugin's folder, read.
struct Read {
    index: usize,
    bundle: Bundle,
    servers: Vec<plugin::Brought>,
}

struct Compiler {
    reading: Reading,
    plugins: BTreeMap<String, Read>,
    skills: BTreeMap<String, Skill>,
    agents: BTreeMap<String, Agent>,
    servers: BTreeMap<String, ManagedServer>,
    descriptions: BTreeMap<String, String>,
    bundle: (String, Installation),
}

impl Compiler {
    fn new(reading: Reading) -> Self {
        let bundle = &reading.source.bundle;
        let name = bundle.name.clone().unwrap_or_else(|| format!("{}-skills", reading.source.name));
        let installation = bundle.installation.unwrap_or(Installation::Required);

        Self {
            bundle: (name, installation),
            reading,
            plugins: BTreeMap::new(),
            skills: BTreeMap::new(),
            agents: BTreeMap::new(),
            servers: BTreeMap::new(),
            descriptions: BTreeMap::new(),
        }
    }

    fn head(&mut self) {
        let Source { schema, name, gateway, valid_for, .. } = self.reading.source.clone();
        if schema != INDEX_SCHEMA {
            self.reading.fault("schema", format!("is {schema:?}, and must be {INDEX_SCHEMA}"));
        }
        if let Some(problem) = name_fault(&name) {
            self.reading.fault("name", format!("{name:?} {problem}"));
        }
        if !is_origin(&gateway) {
            let problem = "must be https://HOST[:PORT], without a path: where laptops reach it";
            self.reading.fault("gateway", problem);
        }
        if !HOLDS.contains(&valid_for) {
            self.reading.fault("valid_for", "must be from 1h to 366d");
        }
        if let Some(problem) = name_fault(&self.bundle.0) {
            self.reading.fault("bundle.name", format!("{:?} {problem}", self.bundle.0));
        }
    }

    fn plugins(&mut self) {
        for (index, source) in self.reading.source.plugins.clone().into_iter().enumerate() {
            let place = format!("plugins[{index}]");
            let at = format!("{place}.path");
            if self.reading.is_faulty(&at) {
                continue;
            }
            let (files, problems) = folder::read(&self.reading.root, &source.path);
            let name = Path::new(&source.path).file_name().unwrap_or_default().to_string_lossy();
            let before = self.reading.faults.len();
            for problem in problems {
                self.reading.fault(&at, format!("{:?}: {problem}", source.path));
            }
            if files.is_empty() {
                if self.reading.faults.len() == before {
                    self.reading.fault(&at, format!("{:?} has no files", source.path));
                }
                continue;
            }
            self.plugin(index, (&name, source.installation), files);
        }
    }

    fn plugin(
        &mut self,
        index: usize,
        (name, wanted): (&str, Option<Installation>),
        files: Vec<Packed>,
    ) {
        let at = format!("plugins[{index}].path");
        let about = plugin::about(name, &files);
        for problem in &about.problems {
            self.reading.fault(&at, format!("{name}: {problem}"));
        }
        for note in &about.notes {
            self.reading.warn(&at, format!("{name}: {note}"));
        }
        match (wanted, about.installation) {
            (Some(wanted), Some(own)) if wanted != own => self.reading.fault(
                &format!("plugins[{index}].installation"),
                format!(
                    "is {}, and {name}'s plugin.json says {}: clients that read the folder see the second",
                    wanted.as_str(),
                    own.as_str()
                ),
            ),
            (Some(wanted), None) if wanted != Installation::Available => self.reading.warn(
                &format!("plugins[{index}].installation"),
                format!(
                    "{name}'s plugin.json has no installationPreference: clients that read the folder offer it as available, not as {}",
                    wanted.as_str()
                ),
            ),
            _ => {}
        }
        let taken = self.plugins.keys().find(|it| it.eq_ignore_ascii_case(name)).cloned();
        if let Some(other) = taken {
            return self.reading.fault(&at, format!("{name:?} is the name of another: {other:?}"));
        }
        if self.bundle.0.eq_ignore_ascii_case(name) {
            let problem = format!("{name:?} is the name of the bundle of skills: `bundle.name`");
            return self.reading.fault(&at, problem);
        }
        let installation = wanted.or(about.installation).unwrap_or_default();
        match Bundle::new(name, &about.version, installation, files) {
            Ok(bundle) => {
                self.descriptions.insert(name.to_owned(), about.description);
                let read = Read { index, bundle, servers: about.servers };
                self.plugins.insert(name.to_owned(), read);
            }
            Err(error) => self.reading.fault(&at, error.to_string()),
        }
    }

    fn skills(&mut self) {
        for (index, source) in self.reading.source.skills.clone().iter().enumerate() {
            let place = format!("skills[{index}]");
            self.id(&place, &source.id, &self.skills.keys().cloned().collect::<Vec<_>>());
            match texts::skill(&self.reading.root, source) {
                Ok((description, instructions)) => {
                    let plugin = self.bundle.0.clone();
                    let id = source.id.clone();
                    let skill = Skill { id: id.clone(), description, plugin, instructions };
                    self.skills.insert(id, skill);
                }
                Err((member, problem)) => self.reading.fault(&format!("{place}.{member}"), problem),
            }
        }
    }

    fn servers(&mut self) {
        let gateway = self.reading.source.gateway.trim_end_matches('/').to_owned();
        for (index, source) in self.reading.source.mcp_servers.clone().into_iter().enumerate() {
            let place = format!("mcp_servers[{index}]");
            self.id(&place, &source.id, &self.servers.keys().cloned().collect::<Vec<_>>());
            let server = managed(&gateway, source);
            self.servers.insert(server.id.clone(), server);
        }
    }

    fn agents(&mut self) {
        for (index, source) in self.reading.source.agents.clone().iter().enumerate() {
            let place = format!("agents[{index}]");
            self.id(&place, &source.id, &self.agents.keys().cloned().collect::<Vec<_>>());
            self.known(&format!("{place}.skills"), &source.skills, "skill");
            self.known(&format!("{place}.mcp_servers"), &source.mcp_servers, "mcp_server");
            // What is not known, or could not be read, is told already.
            let skills = source.skills.iter().filter(|id| self.skills.contains_key(*id));
            let servers = source.mcp_servers.iter().filter(|id| self.servers.contains_key(*id));
            let (skills, mcp_servers) = (skills.cloned().collect(), servers.cloned().collect());
            match texts::agent(&self.reading.root, source) {
                Ok(instructions) => {
                    let agent = Agent {
                        id: source.id.clone(),
                        description: source.description.clone(),
                        plugin: self.bundle.0.clone(),
                        skills,
                        model: source.model.clone(),
                        mcp_servers,
                        instructions,
                    };
                    self.agents.insert(agent.id.clone(), agent);
                }
                Err((member, problem)) => self.reading.fault(&format!("{place}.{member}"), problem),
            }
        }
    }

    fn id(&mut self, place: &str, id: &str, before: &[String]) {
        let place = format!("{place}.id");
        if let Some(problem) = name_fault(id) {
            self.reading.fault(&place, format!("{id:?} {problem}"));
        }
        if before.iter().any(|it| it.eq_ignore_ascii_case(id)) {
            self.reading.fault(&place, format!("{id:?} is used before, if case does not count"));
        }
    }

    fn names(&self, kind: &str) -> Vec<String> {
        let source = &self.reading.source;
        match kind {
            "plugin" => source
                .plugins
                .iter()
                .filter_map(|it| Path::new(&it.path).file_name())
                .map(|name| name.to_string_lossy().into_owned())
                .collect(),
            "skill" => source.skills.iter().map(|it| it.id.clone()).collect(),
            "agent" => source.agents.iter().map(|it| it.id.clone()).collect(),
            _ => source.mcp_servers.iter().map(|it| it.id.clone()).collect(),
        }
    }

    /// Are these names of something that the catalogue has?
    fn known(&mut self, place: &str, names: &[String], kind: &str) {
        let all = self.names(kind);
        for (nth, name) in names.iter().enumerate().filter(|(_, name)| !all.contains(name)) {
            let near = closest(name, all.iter().map(String::as_str));
            let near = near.map(|it| format!(": did you mean {it}?")).unwrap_or_default();
            let problem = format!("the catalogue has no {kind} {name:?}{near}");
            self.reading.fault(&format!("{place}[{nth}]"), problem);
        }
    }

    fn done(mut self, path: &Path, policy: Option<&Policy>) -> Result<Compiled, SourceError> {
        for (at, audience) in self.reading.source.audiences.clone().iter().enumerate() {
            for (member, names, kind) in [
                ("plugins", &audience.plugins, "plugin"),
                ("skills", &audience.skills, "skill"),
                ("agents", &audience.agents, "agent"),
                ("mcp_servers", &audience.mcp_servers, "mcp_server"),
            ] {
                self.known(&format!("audiences[{at}].{member}"), names, kind);
            }
        }
        let has = reach::resolve(&mut self.reading);
        self.unlisted(&has);
        if let Some(policy) = policy {
            self.beside(policy, &has);
        }
        let mut archives = BTreeMap::new();
        let mut documents = Vec::with_capacity(has.len());
        for (at, has) in has.iter().enumerate() {
            let Some(audience) = self.reading.source.audiences.get(at).cloned() else { continue };
            match self.document(at, &audience, has, &mut archives) {
                Ok(document) => {
                    self.sense(at, &document);
                    documents.push(document);
                }
                Err(error) => self.reading.fault(&format!("audiences[{at}]"), error.to_string()),
            }
        }
        let Reading { source, mut faults, mut warnings, .. } = self.reading;
        faults.sort_by_key(|found| found.at);
        warnings.sort_by_key(|found| found.at);
        if !faults.is_empty() {
            return Err(SourceError::Faults { path: path.to_owned(), found: faults });
        }
        let mut descriptions = self.descriptions;
        descriptions.insert(self.bundle.0, generated::description(&source.name));

        Ok(Compiled { source, documents, archives, descriptions, warnings })
    }
}

fn managed(gateway: &str, source: ServerSource) -> ManagedServer {
    let ServerSource { id, url, transport, command, args, tools } = source;
    let transport = transport.unwrap_or(match command {
        Some(_) => Transport::Stdio,
        None => Transport::Http,
    });
    let url = match (url, transport) {
        (None, Transport::Http) => Some(format!("{gateway}/mcp/{id}")),
        (url, _) => url,
    };

    ManagedServer { id, transport, url, command, args, tool_policy: tools }
}

fn is_origin(gateway: &str) -> bool {
    url::Url::parse(gateway).is_ok_and(|url| {
        url.scheme() == "https"
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
    })
}
