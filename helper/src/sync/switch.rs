//! Puts in place what was built.
//!
//! Where the system lets two folders change places in one step, the whole folder of plugins changes places with its successor:
//! at each moment it is one whole version. Where it cannot (Windows, a mount point, another file system between them), each
//! plugin is put in place by renaming, each is whole at each moment, and a journal that is on the disk before the first of
//! them says what all is to become: a run that finds one goes on with it, or back if it cannot.

use super::disk::{self, Disk, there};
use super::places::{RECORDS, STAGING, names};
use super::stage::next;
use super::state::Store;
use super::trouble::{Trouble, at};
use super::wanted::{self, Found, Stands, Wanted};
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// Longest journal that is read.
const LARGEST: u64 = 1024 * 1024;

/// Where, and with what.
#[derive(Debug)]
pub struct Place<'a> {
    /// The folder of plugins.
    pub mount: &'a Path,
    /// Where the journal is.
    pub store: &'a Store<'a>,
    /// The disk.
    pub disk: &'a Disk,
}

/// What is being put in place, name by name.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Journal {
    /// What goes, below the folder of plugins.
    remove: Vec<String>,
    /// What comes, or comes instead.
    put: Vec<String>,
    /// Where that was built, below the folder of plugins.
    #[serde(default = "usual")]
    staging: String,
}

fn usual() -> String {
    STAGING.to_owned()
}

impl Journal {
    /// Does it name nothing but what a run of ours moves? Whoever could lay one down would have the system move anything.
    fn is_ours(&self) -> bool {
        let plain = |name: &str| {
            let mut parts = Path::new(name).components();
            matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
                && !(cfg!(windows) && name.contains([':', '\\']))
        };
        let record = |name: &'_ str| name.strip_prefix(RECORDS)?.strip_prefix('/').map(plain);
        let below = |name: &String| record(name).unwrap_or_else(|| plain(name));

        names(STAGING).any(|name| name == self.staging)
            && self.remove.iter().chain(&self.put).all(below)
    }
}

/// What became of a switch that was broken off.
#[derive(Debug)]
pub struct Recovered {
    /// Was there one?
    pub finished: bool,
    /// What could not be cleared away.
    pub left: Vec<Trouble>,
}

/// How it was put in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As a whole.
    Exchanged,
    /// Name by name.
    Renamed,
}

/// Of a name in a journal.
struct Places {
    /// Where it stands.
    live: PathBuf,
    /// Where goes what stood there.
    old: PathBuf,
    /// Where the new one comes from.
    next: PathBuf,
}

/// In what is being made: what stood before.
const OLD: &str = "old";

fn free(mut paths: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    paths.find(|path| there(path).is_ok_and(|about| about.is_none()))
}

impl Place<'_> {
    /// Puts in place what was built of `wanted`; `gone` goes.
    ///
    /// # Errors
    /// [`Trouble`]; then what stood there stands there, or the next run sees to it.
    pub fn switch(
        &self,
        staging: &Path,
        wanted: &Wanted<'_>,
        found: &Found,
        gone: &[String],
        as_a_whole: bool,
    ) -> Result<How, Trouble> {
        if as_a_whole && self.exchange(staging)? {
            return Ok(How::Exchanged);
        }
        let changed = |name: &String| found.plugins.get(name) != Some(&Stands::Whole);
        let plugins = wanted.plugins.iter().map(|it| it.plugin.name.clone()).filter(changed);
        // The document last: it says what stands.
        let records = found.records.iter().map(|name| format!("{RECORDS}/{name}"));
        let name = staging.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let put = plugins.chain(records).collect();
        let journal = Journal { remove: gone.to_vec(), put, staging: name };
        self.prepare(staging)?;
        let text = serde_json::to_vec(&journal).unwrap_or_default();
        let path = self.store.journal();
        self.disk.replace(&path, &text).map_err(at(&path))?;
        self.go(&journal)?;

        Ok(How::Renamed)
    }

    /// Finishes what a run before this one could not, and clears away what it left.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn recover(&self) -> Result<Recovered, Trouble> {
        let path = self.store.journal();
        let text = disk::read(&path, LARGEST).map_err(at(&path))?;
        let journal = text.and_then(|text| serde_json::from_slice::<Journal>(&text).ok());
        let journal = journal.filter(Journal::is_ours);
        if let Some(journal) = &journal {
            self.go(journal)?;
        }
        let left = self.clear()?;

        Ok(Recovered { finished: journal.is_some(), left })
    }

    /// Removes what was only needed on the way; says what could not be removed. Nobody needs that any more, and the next
    /// run takes another name for its own: it holds up nothing.
    ///
    /// # Errors
    /// [`Trouble::Disk`], if the journal cannot be removed.
    pub fn clear(&self) -> Result<Vec<Trouble>, Trouble> {
        let journal = self.store.journal();
        self.disk.remove(&journal).map_err(at(&journal))?;
        let left = self.successors().chain(self.stagings());

        Ok(left.filter_map(|path| self.disk.remove(&path).map_err(at(&path)).err()).collect())
    }

    /// Where the next one is built: in the folder of plugins, under a name that is free.
    pub fn staging(&self) -> PathBuf {
        free(self.stagings()).unwrap_or_else(|| self.mount.join(STAGING))
    }

    fn stagings(&self) -> impl Iterator<Item = PathBuf> {
        names(STAGING).map(|name| self.mount.join(name))
    }

    /// Beside the folder of plugins: two folders cannot change places where one is in the other.
    fn successors(&self) -> impl Iterator<Item = PathBuf> {
        let name = self.mount.file_name().unwrap_or_default().to_string_lossy();
        let all: Vec<_> = names(&format!(".{name}.tollgate-next")).collect();

        all.into_iter().map(|name| self.mount.with_file_name(name))
    }

    /// Lets the whole folder change places; false where this system cannot.
    fn exchange(&self, staging: &Path) -> Result<bool, Trouble> {
        // Where none is free the second way is left.
        let Some(successor) = free(self.successors()) else { return Ok(false) };
        let next = next(staging);
        match self.disk.rename(&next, &successor) {
            Ok(()) => {}
            Err(error) if cannot(&error) => return Ok(false),
            Err(error) => return Err(at(&successor)(error)),
        }
        match self.disk.exchange(&successor, self.mount) {
            Ok(()) => {}
            Err(error) => {
                self.disk.rename(&successor, &next).map_err(at(&successor))?;
                return if cannot(&error) { Ok(false) } else { Err(at(self.mount)(error)) };
            }
        }
        // From here on it stands, whatever comes.
        self.disk.sync_parent(self.mount).map_err(at(self.mount))?;

        Ok(true)
    }

    fn prepare(&self, staging: &Path) -> Result<(), Trouble> {
        let old = staging.join(OLD);
        self.disk.ensure_folder(&old.join(RECORDS)).map_err(at(&old))?;
        let records = self.mount.join(RECORDS);
        if !wanted::records(self.mount).map_err(at(&records))? {
            self.disk.remove(&records).map_err(at(&records))?;
        }
        self.disk.ensure_folder(&records).map_err(at(&records))?;

        self.disk.sync_folder(staging).map_err(at(staging))
    }

    fn places(&self, journal: &Journal, name: &str) -> Places {
        let staging = self.mount.join(&journal.staging);

        Places {
            live: self.mount.join(name),
            old: staging.join(OLD).join(name),
            next: next(&staging).join(name),
        }
    }

    /// Forward; or back, if something holds it up.
    fn go(&self, journal: &Journal) -> Result<(), Trouble> {
        if let Err(trouble) = self.forward(journal) {
            self.back(journal)?;
            self.clear()?;
            return Err(trouble);
        }
        // Gone on with once more, it could take for new what somebody has put there since.
        let path = self.store.journal();

        self.disk.remove(&path).map_err(at(&path))
    }

    /// Each step may have been done already.
    fn forward(&self, journal: &Journal) -> Result<(), Trouble> {
        for name in &journal.remove {
            self.aside(&self.places(journal, name))?;
        }
        for name in &journal.put {
            let places = self.places(journal, name);
            let Places { live, next, .. } = &places;
            if there(next).map_err(at(next))?.is_some() {
                self.aside(&places)?;
                self.disk.rename(next, live).map_err(at(live))?;
            }
        }

        self.sync()
    }

    fn aside(&self, Places { live, old, .. }: &Places) -> Result<(), Trouble> {
        if there(live).map_err(at(live))?.is_none() {
            return Ok(());
        }

        self.disk.rename(live, old).map_err(at(live))
    }

    fn back(&self, journal: &Journal) -> Result<(), Trouble> {
        for name in journal.put.iter().chain(&journal.remove).rev() {
            let Places { live, old, next } = self.places(journal, name);
            let is_put = journal.put.contains(name);
            let here = |path: &Path| -> Result<bool, Trouble> {
                Ok(there(path).map_err(at(path))?.is_some())
            };
            if is_put && here(&live)? && !here(&next)? {
                self.disk.rename(&live, &next).map_err(at(&live))?;
            }
            if here(&old)? && !here(&live)? {
                self.disk.rename(&old, &live).map_err(at(&live))?;
            }
        }

        self.sync()
    }

    fn sync(&self) -> Result<(), Trouble> {
        let records = self.mount.join(RECORDS);
        self.disk.sync_folder(&records).map_err(at(&records))?;

        self.disk.sync_folder(self.mount).map_err(at(self.mount))
    }
}

/// Does it mean that these two cannot change places here, rather than that something is wrong?
fn cannot(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unsupported
            | ErrorKind::InvalidInput
            | ErrorKind::CrossesDevices
            | ErrorKind::ResourceBusy
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_names_nothing_but_what_lies_in_the_folder_of_plugins() {
        let of = |remove: &str, put: &str, staging: &str| Journal {
            remove: vec![remove.into()],
            put: vec![put.into()],
            staging: staging.into(),
        };

        assert!(of("acme", ".tollgate/manifest.json", ".staging").is_ours());
        assert!(of("Their own", ".tollgate/managed-mcp.json", ".staging-3").is_ours());
        for name in
            ["../x", "/etc", "a/b", "..", ".", "", "a/", ".tollgate/../x", ".tollgate/", "./a"]
        {
            assert!(!of(name, "acme", ".staging").is_ours(), "{name}");
            assert!(!of("acme", name, ".staging").is_ours(), "{name}");
        }
        for name in ["a:b", "a\\b"] {
            // Names like others, but on Windows: nobody's there.
            assert_eq!(of(name, "acme", ".staging").is_ours(), cfg!(unix), "{name}");
        }
        for staging in ["../eve", "eve", "/tmp/eve", ".staging/x", ""] {
            assert!(!of("acme", "acme", staging).is_ours(), "{staging}");
        }
    }
}
