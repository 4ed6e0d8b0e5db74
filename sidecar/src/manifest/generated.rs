//! The plugin that brings a catalogue's skills and agents: laptops only know plugins.
//!
//! Its files are made of the document's own texts, so that whoever holds a document can make it again, without one of them
//! (`revise`). Its version follows from its files: the same texts make the same plugin, whatever was published between.

use super::ManifestFailure;
use super::archive::{self, Packed};
use contract::canonical;
use contract::manifest::{Agent, Archive, Installation, Plugin, Skill, sha256};
use serde_json::{Value, json};

/// Where a plugin says what it is.
pub const PLUGIN_JSON: &str = ".claude-plugin/plugin.json";

/// Where a client sees that a plugin has changed.
pub const VERSION_JSON: &str = "version.json";

/// A plugin with its archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// As a document has it.
    pub plugin: Plugin,
    /// The archive's bytes.
    pub archive: Vec<u8>,
}

impl Bundle {
    /// Packs files into a plugin.
    ///
    /// # Errors
    /// [`ManifestFailure`].
    pub fn new(
        name: &str,
        version: &str,
        installation: Installation,
        mut files: Vec<Packed>,
    ) -> Result<Self, ManifestFailure> {
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let broken = |problem| ManifestFailure::Broken { path: name.into(), problem };
        let archive = archive::pack(&files).map_err(broken)?;
        let files: Vec<_> = files.iter().map(Packed::listed).collect();
        let plugin = Plugin {
            name: name.to_owned(),
            version: version.to_owned(),
            installation,
            archive: Archive { sha256: sha256(&archive), bytes: archive.len() as u64 },
            directory_sha256: Plugin::directory_digest(&files)?,
            files,
        };

        Ok(Self { plugin, archive })
    }
}

/// What a generated plugin says of itself.
pub fn description(catalogue: &str) -> String {
    format!("Skills and agents of {catalogue}")
}

/// The plugin of these skills and agents; none if there are none.
///
/// # Errors
/// [`ManifestFailure`].
pub fn bundle<'a>(
    (catalogue, name, installation): (&str, &str, Installation),
    skills: impl Iterator<Item = &'a Skill>,
    agents: impl Iterator<Item = &'a Agent>,
) -> Result<Option<Bundle>, ManifestFailure> {
    let skills = skills.map(|it| (format!("skills/{}/SKILL.md", it.id), &it.instructions));
    let agents = agents.map(|it| (format!("agents/{}.md", it.id), &it.instructions));
    let mut files: Vec<Packed> =
        agents.chain(skills).map(|(path, text)| Packed::text(path, text.as_bytes())).collect();
    if files.is_empty() {
        return Ok(None);
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let listed: Vec<_> = files.iter().map(Packed::listed).collect();
    let digest = Plugin::directory_digest(&listed)?;
    let version = format!("1.0.0+c{}", digest.get(..12).unwrap_or_default());
    let about = json!({
        "name": name, "version": version, "description": description(catalogue),
        "installationPreference": installation.as_str(),
    });
    files.push(Packed::text(PLUGIN_JSON, line(&about)?));
    files.push(Packed::text(VERSION_JSON, line(&json!({ "version": version }))?));

    Bundle::new(name, &version, installation, files).map(Some)
}

/// One form, with a line's end.
fn line(value: &Value) -> Result<Vec<u8>, ManifestFailure> {
    let mut text = canonical::write(value.to_string().as_bytes())?;
    text.push(b'\n');

    Ok(text)
}
