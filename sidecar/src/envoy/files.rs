//! Envoy's files: the bootstrap, and what it and they name, with a candidate laid over them.

use super::fault::Fault;
use super::tree::{Origin, Tree};
use crate::policy::yaml::{self, Slip};
use contract::envelope::hex;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path};
use std::sync::Arc;

/// What Envoy is started with. It names the others, and needs a restart.
pub const BOOTSTRAP: &str = "envoy.yaml";

/// Largest file, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Most files.
const MOST: usize = 1_000;

/// The member that Envoy tells again once it serves a file.
const VERSION: &str = "version_info";

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// SDS.
    Secrets,
    /// CDS.
    Clusters,
    /// LDS.
    Listeners,
    /// ECDS.
    Extensions,
    /// RDS.
    Routes,
}

/// A place that names a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// What for.
    pub what: Use,
    /// The file.
    pub file: String,
    /// The resource in it; empty for all.
    pub resource: String,
    /// Where it stands.
    pub origin: Origin,
}

/// A file.
#[derive(Debug, Clone)]
pub struct File {
    /// As it lies there.
    pub bytes: Vec<u8>,
    /// As it reads; none where it is broken.
    pub tree: Option<Tree>,
}

/// Envoy's files at one moment.
#[derive(Debug, Clone, Default)]
pub struct Set {
    files: BTreeMap<String, File>,
    references: Vec<Reference>,
    faults: Vec<Fault>,
}

impl Set {
    /// Reads the files of a directory, a candidate's instead where it has them.
    pub fn read(dir: &Path, candidate: &BTreeMap<String, Vec<u8>>) -> Self {
        let mut set = Self::default();
        let mut wanted = vec![(BOOTSTRAP.to_owned(), None)];
        while let Some((name, origin)) = wanted.pop() {
            if set.files.contains_key(&name) || set.files.len() >= MOST {
                continue;
            }
            let bytes = match candidate.get(&name) {
                Some(bytes) => Ok(bytes.clone()),
                None => read_bounded(&dir.join(&name)),
            };
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error) => {
                    set.faults.push(missing(&name, origin, &error));
                    continue;
                }
            };
            let tree = set.parsed(&name, &bytes);
            let found = tree.as_ref().map(|tree| references(tree, dir)).unwrap_or_default();
            let named = found.iter().map(|it| (it.file.clone(), Some(it.origin.clone())));
            wanted.extend(named);
            set.references.extend(found);
            set.files.insert(name, File { bytes, tree });
        }
        for name in candidate.keys().filter(|name| !set.files.contains_key(*name)) {
            let problem = "none of Envoy's files names it: it would never be read";
            set.faults.push(Fault::of(name, problem));
        }

        set
    }

    fn parsed(&mut self, name: &str, bytes: &[u8]) -> Option<Tree> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.faults.push(Fault::of(name, "is not UTF-8"));
            return None;
        };
        // A name that stands twice may be a secret that lost its own.
        let told = |slip: Slip| {
            let quotes = is_private(name) && slip.problem.contains("twice");
            let problem =
                if quotes { "a member's name stands here twice".into() } else { slip.problem };
            Fault::at(name, slip.at, problem)
        };
        match yaml::parse(text) {
            Ok(node) => Some(Tree::of(&Arc::from(name), node)),
            Err(slips) => {
                self.faults.extend(slips.into_iter().map(told));
                None
            }
        }
    }

    /// What was wrong with them before anybody looked at what they say.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Which file is named where, and what for.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// The files, by name.
    pub fn files(&self) -> &BTreeMap<String, File> {
        &self.files
    }

    /// One as it reads.
    pub fn tree(&self, name: &str) -> Option<&Tree> {
        self.files.get(name)?.tree.as_ref()
    }

    /// What a file is for; none for the bootstrap.
    pub fn use_of(&self, name: &str) -> Option<Use> {
        self.references.iter().find(|it| it.file == name).map(|it| it.what)
    }

    /// The resources of all files of a kind, each with its file.
    pub fn resources(&self, what: Use) -> impl Iterator<Item = (&str, &Tree)> {
        let files = self.files.iter().filter(move |(name, _)| self.use_of(name) == Some(what));

        files.flat_map(|(name, file)| {
            let resources = file.tree.as_ref().and_then(|tree| tree.get("resources"));
            resources.map(Tree::items).unwrap_or_default().iter().map(move |it| (name.as_str(), it))
        })
    }
}

/// Is it a file that only secrets stand in?
pub fn is_private(name: &str) -> bool {
    name.starts_with("secrets/") || name.contains("/secrets/")
}

fn missing(name: &str, origin: Option<Origin>, error: &io::Error) -> Fault {
    let problem = format!("{name} cannot be read: {error}");
    match origin {
        Some(Origin { file: Some(file), at }) => Fault::at(&file, at, problem),
        _ => Fault::of(name, format!("cannot be read: {error}")),
    }
}

/// Reads a file that is not larger than such a file may be.
///
/// # Errors
/// Reading.
pub fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LARGEST.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(io::Error::other("it is larger than 4 MiB"));
    }

    Ok(bytes)
}

fn references(root: &Tree, dir: &Path) -> Vec<Reference> {
    let mut found = Vec::new();
    let mut add = |what, source: Option<&Tree>, resource: &str| {
        let Some(path) = source.and_then(|it| it.walk(&["path_config_source", "path"])) else {
            return;
        };
        let Some(text) = path.text() else { return };
        let (file, resource) = (name_of(text, dir), resource.to_owned());
        found.push(Reference { what, file, resource, origin: path.origin.clone() });
    };
    let dynamic = root.get("dynamic_resources");
    add(Use::Clusters, dynamic.and_then(|it| it.get("cds_config")), "");
    add(Use::Listeners, dynamic.and_then(|it| it.get("lds_config")), "");
    root.each_map(&mut |map| {
        if let Some(name) = map.text_of("route_config_name") {
            add(Use::Routes, map.get("config_source"), name);
        }
        let name = map.text_of("name").unwrap_or_default();
        if map.get("sds_config").is_some() {
            add(Use::Secrets, map.get("sds_config"), name);
        }
        if let Some(discovery) = map.get("config_discovery") {
            add(Use::Extensions, discovery.get("config_source"), name);
        }
    });

    found
}

/// A path as Envoy is told it, which runs in its directory: the name from there.
fn name_of(path: &str, dir: &Path) -> String {
    let path = Path::new(path);
    let path = path.strip_prefix(dir).unwrap_or(path);
    let parts = path.components().filter(|part| *part != Component::CurDir);

    parts.collect::<std::path::PathBuf>().display().to_string()
}

/// SHA-256, in hex.
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The version that a file tells; Envoy tells it again when it serves the file.
pub fn version(tree: &Tree) -> &str {
    tree.text_of(VERSION).unwrap_or_default()
}

/// The text without the line that tells a version.
pub fn without_version(file: &File) -> String {
    let text = String::from_utf8_lossy(&file.bytes);
    let at = file.tree.as_ref().and_then(|tree| tree.key(VERSION));
    let Some(line) = at.filter(|at| at.column == 1).map(|at| at.line) else {
        return text.into_owned();
    };
    let lines = text.split_inclusive('\n').enumerate();

    lines.filter(|(index, _)| index.saturating_add(1) != line).map(|(_, line)| line).collect()
}

/// The text with such a line before its resources; none where these do not stand at the beginning of a line.
pub fn with_version(file: &File, stamp: &str) -> Option<Vec<u8>> {
    let text = without_version(file);
    let node = yaml::parse(&text).ok()?;
    let tree = Tree::of(&Arc::from(""), node);
    let line = tree.key("resources").filter(|at| at.column == 1)?.line;
    // `"resources"` in a mapping that began with a brace stands further right.
    let mut stamped = String::with_capacity(text.len().saturating_add(64));
    for (index, one) in text.split_inclusive('\n').enumerate() {
        if index.saturating_add(1) == line {
            stamped.extend([VERSION, ": \"", stamp, "\"\n"]);
        }
        stamped.push_str(one);
    }

    Some(stamped.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        let tree = Tree::of(&"a".into(), yaml::parse(text).unwrap());

        File { bytes: text.as_bytes().to_vec(), tree: Some(tree) }
    }

    #[test]
    fn a_version_stands_before_the_resources_once_and_goes_again() {
        let plain = "# why\nresources:\n- name: a # here\n";
        let stamped = with_version(&file(plain), "v1").unwrap();
        let stamped = String::from_utf8(stamped).unwrap();

        assert_eq!(stamped, "# why\nversion_info: \"v1\"\nresources:\n- name: a # here\n");
        assert_eq!(without_version(&file(&stamped)), plain);
        let again = with_version(&file(&stamped), "v2").unwrap();
        assert_eq!(String::from_utf8(again).unwrap(), stamped.replace("v1", "v2"));
        assert_eq!(with_version(&file("{resources: []}\n"), "v1"), None);
    }

    #[test]
    fn a_path_is_the_name_from_envoy_s_directory() {
        for (path, name) in [
            ("./routes.yaml", "routes.yaml"),
            ("secrets/a.yaml", "secrets/a.yaml"),
            ("/etc/envoy/./cm/a.yaml", "cm/a.yaml"),
            ("/elsewhere/a.yaml", "/elsewhere/a.yaml"),
        ] {
            assert_eq!(name_of(path, Path::new("/etc/envoy")), name);
        }
    }
}
