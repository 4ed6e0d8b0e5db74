//! The order of an edit: nothing is ever named that is not there.
//!
//! Secrets come first, then clusters, lanes, the gate, and routes last. Where clusters or lanes also go away, the file is
//! put there twice: first with the old and the new together, and at the end, when nothing names the old, as it was written.

use super::diff;
use super::files::{File, Set, Use, with_version};
use super::tree::Tree;
use std::collections::BTreeSet;

/// One rename.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The file.
    pub file: String,
    /// What is put there.
    pub bytes: Vec<u8>,
    /// The version that Envoy tells when it serves it.
    pub version: String,
}

/// The steps from one state to another. `stamp` names them; none: the files keep the versions that they have.
pub fn plan(before: &Set, after: &Set, stamp: Option<&str>) -> Vec<Step> {
    let changed = diff::files(before, after);
    let of = |what: Use| changed.iter().filter(move |name| after.use_of(name) == Some(what));
    let mut steps = Vec::new();
    let mut last = Vec::new();
    for what in [Use::Secrets, Use::Clusters, Use::Listeners, Use::Extensions, Use::Routes] {
        for name in of(what) {
            let Some(file) = after.files().get(name) else { continue };
            let kept = match what {
                Use::Clusters | Use::Listeners => left_out(before, after, name),
                _ => Vec::new(),
            };
            if kept.is_empty() {
                steps.push((name, file, None));
            } else {
                steps.push((name, file, Some(kept)));
                last.push((name, file, None));
            }
        }
    }
    // What goes away goes in the opposite order: lanes, then the clusters that they may name.
    steps.extend(last.into_iter().rev());
    let numbered = steps.into_iter().enumerate();

    numbered
        .filter_map(|(index, (name, file, kept))| step(index, name, file, kept, stamp))
        .collect()
}

fn step(
    index: usize,
    name: &str,
    file: &File,
    kept: Option<Vec<&Tree>>,
    stamp: Option<&str>,
) -> Option<Step> {
    let version = stamp.map(|stamp| format!("{stamp}-{index}"));
    let own = file.tree.as_ref().map(super::files::version).unwrap_or_default().to_owned();
    let (bytes, version) = match (kept, version) {
        (Some(kept), version) => {
            let version = version.unwrap_or_else(|| format!("tollgate-union-{index}"));
            (union(file, &kept, &version), version)
        }
        (None, Some(version)) => (with_version(file, &version)?, version),
        (None, None) => (file.bytes.clone(), own),
    };

    Some(Step { file: name.to_owned(), bytes, version })
}

/// The resources of a file that the edit takes away.
fn left_out<'s>(before: &'s Set, after: &Set, name: &str) -> Vec<&'s Tree> {
    let resources = |tree: Option<&'s Tree>| {
        tree.and_then(|tree| tree.get("resources")).map(Tree::items).unwrap_or_default()
    };
    let stay: BTreeSet<&str> = after
        .tree(name)
        .and_then(|tree| tree.get("resources"))
        .map(Tree::items)
        .unwrap_or_default()
        .iter()
        .filter_map(|it| it.text_of("name"))
        .collect();
    let olds = resources(before.tree(name)).iter();

    olds.filter(|it| it.text_of("name").is_some_and(|name| !stay.contains(name))).collect()
}

fn union(file: &File, kept: &[&Tree], version: &str) -> Vec<u8> {
    let news = file.tree.as_ref().and_then(|tree| tree.get("resources"));
    let all = news.map(Tree::items).unwrap_or_default().iter().chain(kept.iter().copied());
    let mut text = format!(
        "# Old and new together, while an edit is put in force.\nversion_info: \"{version}\"\nresources:\n"
    );
    for one in all {
        text.extend(["- ", &one.flow(), "\n"]);
    }

    text.into_bytes()
}
