//! What has to stand, by a document and by what holds beside it; and whether it does.

use super::disk::there;
use super::mcp;
use super::places::{LAST_SYNC, LOG, MANIFEST, MCP, OLD_LOG, RECORDS, STAGING, names};
use super::state::Held;
use contract::manifest::{File, Kind, ManagedServer, Manifest, Plugin, Revocation};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// What has to stand in the folder of plugins.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The document.
    pub manifest: &'a Manifest,
    /// As it was signed.
    pub envelope: &'a [u8],
    /// Its plugins that have to stand.
    pub plugins: Vec<Stand<'a>>,
    /// Its servers that may be used.
    pub servers: Vec<&'a ManagedServer>,
}

/// A plugin that has to stand.
#[derive(Debug, Clone)]
pub struct Stand<'a> {
    /// The plugin.
    pub plugin: &'a Plugin,
    /// Its files that have to stand: all, but for what was revoked.
    pub files: Vec<&'a File>,
}

impl<'a> Wanted<'a> {
    /// By a document, what was revoked beside it, and whether everything goes because it has expired.
    pub fn new(
        manifest: &'a Manifest,
        envelope: &'a [u8],
        held: Option<&Held>,
        nothing: bool,
    ) -> Self {
        let document = manifest.document();
        let held = held.filter(|held| held.version > document.version);
        let beside = held.map(|held| held.revocations.as_slice()).unwrap_or_default();
        let revoked = |kind: Kind, id: &str| {
            let same = |it: &Revocation| it.kind == kind && it.id.eq_ignore_ascii_case(id);
            document.revokes(kind, id) || beside.iter().any(same)
        };
        let stays = |file: &File| {
            let mut parts = file.path.split('/');
            match (parts.next(), parts.next()) {
                (Some("skills"), Some(id)) => !revoked(Kind::Skill, id),
                (Some("agents"), Some(name)) => {
                    !revoked(Kind::Agent, name.strip_suffix(".md").unwrap_or(name))
                }
                _ => true,
            }
        };
        let plugins =
            document.plugins.iter().filter(|it| !nothing && !revoked(Kind::Plugin, &it.name));
        let servers = document.managed_mcp_servers.iter();

        Self {
            manifest,
            envelope,
            plugins: plugins
                .map(|plugin| Stand {
                    plugin,
                    files: plugin.files.iter().filter(|file| stays(file)).collect(),
                })
                .filter(|stand| !stand.files.is_empty())
                .collect(),
            servers: servers.filter(|it| !nothing && !revoked(Kind::McpServer, &it.id)).collect(),
        }
    }

    /// The files of [`RECORDS`] that belong to the document, by name.
    pub fn records(&self) -> [(&'static str, Vec<u8>); 2] {
        [(MCP, mcp::file(&self.servers)), (MANIFEST, self.envelope.to_vec())]
    }

    /// Names that a foreign entry may not have, even where such may stay; in lower case.
    pub fn revoked(&self, held: Option<&Held>) -> BTreeSet<String> {
        let held = held.map(|held| held.revocations.as_slice()).unwrap_or_default();
        let all = self.manifest.document().revocations.iter().chain(held);

        all.filter(|it| it.kind == Kind::Plugin).map(|it| it.id.to_ascii_lowercase()).collect()
    }

    /// Looks at what stands.
    ///
    /// # Errors
    /// As the system has them.
    pub fn compare(&self, mount: &Path) -> io::Result<Found> {
        let mut found = Found::default();
        let mut here = BTreeSet::new();
        if there(mount)?.is_some() {
            for entry in fs::read_dir(mount)? {
                let name = entry?.file_name();
                // A name that is not Unicode is nobody's.
                match name.to_str() {
                    Some(RECORDS) => {}
                    Some(name) if names(STAGING).any(|it| it == name) => {}
                    Some(name) => drop(here.insert(name.to_owned())),
                    None => found.foreign.push(name.to_string_lossy().into_owned()),
                }
            }
        }
        for stand in &self.plugins {
            let name = &stand.plugin.name;
            let state = if !here.remove(name) {
                Stands::Not
            } else if stand.stands(&mount.join(name))? {
                Stands::Whole
            } else {
                Stands::Otherwise
            };
            found.plugins.insert(name.clone(), state);
        }
        found.foreign.extend(here);
        let are_ours = records(mount)?;
        for (name, bytes) in self.records() {
            let path = mount.join(RECORDS).join(name);
            let stands = are_ours
                && there(&path)?.is_some_and(|about| about.is_file())
                && super::disk::read(&path, (bytes.len() as u64).saturating_add(1))
                    .is_ok_and(|read| read.as_deref() == Some(&bytes));
            if !stands {
                found.records.push(name);
            }
        }

        Ok(found)
    }
}

/// Is the folder of records the system's own, with regular files of the known names in it and nothing else? One that is not
/// is built anew: who can write it could have it say anything.
///
/// # Errors
/// As the system has them.
pub fn records(mount: &Path) -> io::Result<bool> {
    let folder = mount.join(RECORDS);
    if !there(&folder)?.is_some_and(|about| about.is_dir() && closed(&about)) {
        return Ok(false);
    }
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name();
        let is_known = [MANIFEST, MCP, LAST_SYNC, LOG, OLD_LOG].iter().any(|it| name == **it);
        let path = folder.join(&name);
        let is_file = |about: fs::Metadata| about.is_file() && has_mode(&about, false);
        if !is_known || !there(&path)?.is_some_and(is_file) {
            return Ok(false);
        }
    }

    Ok(true)
}

/// How a plugin stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// As signed.
    Whole,
    /// Not at all.
    Not,
    /// Something else stands under its name, or more, or less.
    Otherwise,
}

/// What stands, beside what has to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Each plugin that has to.
    pub plugins: BTreeMap<String, Stands>,
    /// Names of all else in the folder.
    pub foreign: Vec<String>,
    /// Files of [`RECORDS`] that are not what they should be.
    pub records: Vec<&'static str>,
}

impl Found {
    /// Is all there, and as it should be?
    pub fn is_whole(&self) -> bool {
        self.records.is_empty() && self.plugins.values().all(|it| *it == Stands::Whole)
    }
}

impl Stand<'_> {
    /// Does it stand in this folder, and nothing else?
    ///
    /// # Errors
    /// As the system has them.
    pub fn stands(&self, folder: &Path) -> io::Result<bool> {
        if !there(folder)?.is_some_and(|about| about.is_dir() && closed(&about)) {
            return Ok(false);
        }
        let mut left: BTreeMap<&str, &File> =
            self.files.iter().map(|file| (file.path.as_str(), *file)).collect();
        let folders: BTreeSet<&str> = self.folders().collect();

        Ok(walk(folder, "", &mut left, &folders)? && left.is_empty())
    }

    /// The folders that its files need, each once and those above first.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        let all: BTreeSet<&str> = self
            .files
            .iter()
            .flat_map(|file| file.path.match_indices('/').filter_map(|(at, _)| file.path.get(..at)))
            .collect();

        all.into_iter()
    }
}

fn walk(
    folder: &Path,
    above: &str,
    left: &mut BTreeMap<&str, &File>,
    folders: &BTreeSet<&str>,
) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { return Ok(false) };
        let path = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
        let about = fs::symlink_metadata(entry.path())?;
        if about.is_dir() {
            if !folders.contains(path.as_str())
                || !closed(&about)
                || !walk(&entry.path(), &path, left, folders)?
            {
                return Ok(false);
            }
            continue;
        }
        let Some(file) = left.remove(path.as_str()) else { return Ok(false) };
        let same = about.is_file()
            && about.len() == file.bytes
            && has_mode(&about, file.executable)
            && digest(&entry.path())? == file.sha256;
        if !same {
            return Ok(false);
        }
    }

    Ok(true)
}

fn digest(path: &Path) -> io::Result<String> {
    let (mut file, mut digest) = (fs::File::open(path)?, Sha256::new());
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(contract::envelope::hex(&digest.finalize()));
        }
        digest.update(chunk.get(..read).unwrap_or_default());
    }
}

/// Can others than its owner not write it?
#[cfg(unix)]
fn closed(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    about.mode() & 0o022 == 0 && about.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(unix)]
fn has_mode(about: &fs::Metadata, executable: bool) -> bool {
    use std::os::unix::fs::MetadataExt;

    closed(about) && (about.mode() & 0o111 != 0) == executable
}

/// Windows: as the folder of plugins has it, by inheritance.
#[cfg(not(unix))]
fn closed(_about: &fs::Metadata) -> bool {
    true
}

#[cfg(not(unix))]
fn has_mode(_about: &fs::Metadata, _executable: bool) -> bool {
    true
}
