//! A catalogue as it is written, read with the place of everything.

use super::shape::CATALOGUE;
use crate::policy::compile::{self, SourceError};
use crate::policy::walk::{Found, Walked, walk};
use crate::policy::yaml::{self, At};
use contract::clients::Choice;
use contract::manifest::{Installation, OnExpiry, Revocation, Transport};
use contract::policy::Who;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A catalogue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) schema: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) owner: Option<String>,
    pub(crate) gateway: String,
    pub(crate) valid_for: u64,
    #[serde(default)]
    pub(crate) on_expiry: OnExpiry,
    #[serde(default)]
    pub(crate) bundle: BundleSource,
    #[serde(default)]
    pub(crate) plugins: Vec<PluginSource>,
    #[serde(default)]
    pub(crate) skills: Vec<SkillSource>,
    #[serde(default)]
    pub(crate) agents: Vec<AgentSource>,
    #[serde(default)]
    pub(crate) mcp_servers: Vec<ServerSource>,
    pub(crate) audiences: Vec<AudienceSource>,
    #[serde(default)]
    pub(crate) revocations: Vec<Revocation>,
}

/// The plugin that brings skills and agents.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BundleSource {
    pub(crate) name: Option<String>,
    pub(crate) installation: Option<Installation>,
}

/// A folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PluginSource {
    pub(crate) path: String,
    pub(crate) installation: Option<Installation>,
}

/// Instructions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SkillSource {
    pub(crate) id: String,
    pub(crate) description: Option<String>,
    pub(crate) instructions: Option<String>,
    pub(crate) path: Option<String>,
}

/// A skill, a model and MCP servers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentSource {
    pub(crate) id: String,
    pub(crate) description: String,
    pub(crate) model: String,
    #[serde(default)]
    pub(crate) skills: Vec<String>,
    #[serde(default)]
    pub(crate) mcp_servers: Vec<String>,
    #[serde(default)]
    pub(crate) tools: Vec<String>,
    pub(crate) instructions: Option<String>,
    pub(crate) path: Option<String>,
}

/// An MCP server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerSource {
    pub(crate) id: String,
    pub(crate) url: Option<String>,
    pub(crate) transport: Option<Transport>,
    pub(crate) command: Option<String>,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) tools: BTreeMap<String, Choice>,
}

/// Who gets what.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AudienceSource {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) who: Who,
    pub(crate) unless: Option<Who>,
    #[serde(default)]
    pub(crate) includes: Vec<String>,
    #[serde(default)]
    pub(crate) plugins: Vec<String>,
    #[serde(default)]
    pub(crate) skills: Vec<String>,
    #[serde(default)]
    pub(crate) agents: Vec<String>,
    #[serde(default)]
    pub(crate) mcp_servers: Vec<String>,
}

/// A catalogue, where it lies, and what was found so far.
#[derive(Debug)]
pub(crate) struct Reading {
    /// What it says; where a fault stands, something harmless.
    pub(crate) source: Source,
    /// The folder that everything lies below.
    pub(crate) root: PathBuf,
    walked: Walked,
    /// What is wrong.
    pub(crate) faults: Vec<Found>,
    /// What is no fault, and not meant so.
    pub(crate) warnings: Vec<Found>,
}

impl Reading {
    /// Reads one.
    ///
    /// # Errors
    /// [`SourceError`], where nothing more can be looked at.
    pub(crate) fn read(path: &Path) -> Result<Self, SourceError> {
        let text = compile::read(path)?;
        let faults = |found| SourceError::Faults { path: path.to_owned(), found };
        let root = yaml::parse(&text).map_err(|slips| faults(compile::slips(slips)))?;
        let walked = walk(&root, CATALOGUE);
        let source = serde_json::from_value(walked.value.clone()).map_err(|error| {
            let mut found = walked.found.clone();
            if found.is_empty() {
                let problem = error.to_string();
                found.push(Found { at: At::START, place: String::new(), problem });
            }
            faults(found)
        })?;
        let root = path.parent().filter(|it| !it.as_os_str().is_empty());
        let root = root.unwrap_or_else(|| Path::new("."));

        Ok(Self {
            source,
            root: root.to_owned(),
            faults: walked.found.clone(),
            walked,
            warnings: Vec::new(),
        })
    }

    /// Tells a fault once, unless it only follows from one of shape.
    pub(crate) fn fault(&mut self, place: &str, problem: impl Into<String>) {
        let found = self.found(place, problem.into());
        if !self.walked.is_faulty(place) && !self.faults.contains(&found) {
            self.faults.push(found);
        }
    }

    /// Tells what is no fault, once.
    pub(crate) fn warn(&mut self, place: &str, problem: impl Into<String>) {
        let found = self.found(place, problem.into());
        if !self.warnings.contains(&found) {
            self.warnings.push(found);
        }
    }

    /// Is there a fault of shape?
    pub(crate) fn is_faulty(&self, place: &str) -> bool {
        self.walked.is_faulty(place)
    }

    fn found(&self, place: &str, problem: String) -> Found {
        Found { at: self.walked.at(place), place: place.to_owned(), problem }
    }
}
