//! Builds what has to stand, beside what stands: whole, compared with the document file by file, and on the disk itself.

use super::disk::{self, Disk, there};
use super::inbox::Inbox;
use super::places::{LAST_SYNC, LOG, OLD_LOG, RECORDS};
use super::record::{Check, Log};
use super::state::Store;
use super::trouble::{Trouble, at};
use super::wanted::{Found, Stand, Stands, Wanted};
use contract::manifest::{File as Signed, Manifest, Plugin};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// Longest log or `last-sync.json` that is carried over.
const LARGEST_RECORD: u64 = 4 * 1024 * 1024;

/// From what, and where.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The folder of plugins.
    pub mount: &'a Path,
    /// What is being made, in that folder.
    pub staging: &'a Path,
    /// Where archives are kept.
    pub store: &'a Store<'a>,
    /// Where new ones lie.
    pub inboxes: &'a [Inbox],
    /// The disk.
    pub disk: &'a Disk,
}

/// Where it is built.
pub fn next(staging: &Path) -> PathBuf {
    staging.join("next")
}

impl Stage<'_> {
    /// Builds it. What was there from a run before is thrown away.
    ///
    /// # Errors
    /// [`Trouble`]; then nothing has been changed that anybody uses.
    pub fn build(&self, wanted: &Wanted<'_>, found: &Found, log: &mut Log) -> Result<(), Trouble> {
        let next = next(self.staging);
        self.disk.remove(self.staging).map_err(at(self.staging))?;
        self.disk.make_folder(self.staging).map_err(at(self.staging))?;
        self.disk.make_folder(&next).map_err(at(&next))?;
        for stand in &wanted.plugins {
            let built = self.plugin(stand, found, &next);
            match &built {
                Ok(from) => log.add(
                    Check::good("archive", format!("{} from {from}", stand.plugin.name))
                        .of(wanted.manifest),
                ),
                Err(trouble) => log.add(Check::bad("archive", trouble).of(wanted.manifest)),
            }
            built?;
        }
        self.records(wanted, &next)?;

        self.disk.sync_folder(&next).map_err(at(&next))
    }

    /// One plugin; says what it was taken from.
    fn plugin(
        &self,
        stand: &Stand<'_>,
        found: &Found,
        next: &Path,
    ) -> Result<&'static str, Trouble> {
        let name = &stand.plugin.name;
        let folder = next.join(name);
        if found.plugins.get(name) == Some(&Stands::Whole) {
            let live = self.mount.join(name);
            match self.fill(stand, &folder, |file| File::open(live.join(&file.path))) {
                // Somebody has been at it since it was looked at.
                Err(Trouble::ArchiveDiffers { .. }) => {
                    self.disk.remove(&folder).map_err(at(&folder))?;
                }
                other => return other.map(|()| "what stands"),
            }
        }
        let archive = self.archive(stand.plugin)?;
        self.extract(stand, &archive, &folder)?;

        Ok("its archive")
    }

    /// Copies each file from where it is, and compares what was copied.
    fn fill<R: Read>(
        &self,
        stand: &Stand<'_>,
        folder: &Path,
        mut open: impl FnMut(&Signed) -> io::Result<R>,
    ) -> Result<(), Trouble> {
        self.folders(stand, folder)?;
        for file in &stand.files {
            let to = folder.join(&file.path);
            let mut from = open(file).map_err(|error| differs(stand.plugin, &file.path, &error))?;
            self.file(stand.plugin, file, &mut from, &to)?;
        }

        self.sync_folders(stand, folder)
    }

    fn folders(&self, stand: &Stand<'_>, folder: &Path) -> Result<(), Trouble> {
        self.disk.make_folder(folder).map_err(at(folder))?;
        for below in stand.folders() {
            let path = folder.join(below);
            self.disk.make_folder(&path).map_err(at(&path))?;
        }

        Ok(())
    }

    fn sync_folders(&self, stand: &Stand<'_>, folder: &Path) -> Result<(), Trouble> {
        for below in stand.folders() {
            let path = folder.join(below);
            self.disk.sync_folder(&path).map_err(at(&path))?;
        }

        self.disk.sync_folder(folder).map_err(at(folder))
    }

    fn file(
        &self,
        plugin: &Plugin,
        file: &Signed,
        from: &mut impl Read,
        to: &Path,
    ) -> Result<(), Trouble> {
        let copied = self.disk.copy(from, to, file.bytes, file.executable);
        let (bytes, sha256) = match copied {
            Ok(copied) => copied,
            // What cannot be inflated, ends early or does not end.
            Err(error) if is_content(&error) => return Err(differs(plugin, &file.path, &error)),
            Err(error) => return Err(at(to)(error)),
        };
        if bytes != file.bytes || sha256 != file.sha256 {
            return Err(differs(plugin, &file.path, &"is not what was signed"));
        }

        Ok(())
    }

    /// Takes from an archive the files that were signed. One that has others too is not what the document means.
    fn extract(&self, stand: &Stand<'_>, archive: &Path, folder: &Path) -> Result<(), Trouble> {
        let plugin = stand.plugin;
        let file = File::open(archive).map_err(at(archive))?;
        let mut zip = ZipArchive::new(file).map_err(|error| differs(plugin, "", &error))?;
        if zip.len() != plugin.files.len() {
            return Err(differs(plugin, "", &"has other entries than were signed"));
        }
        self.folders(stand, folder)?;
        for file in &stand.files {
            let mut entry =
                zip.by_name(&file.path).map_err(|error| differs(plugin, &file.path, &error))?;
            if !entry.is_file() || entry.is_symlink() {
                return Err(differs(plugin, &file.path, &"is not a file"));
            }
            self.file(plugin, file, &mut entry, &folder.join(&file.path))?;
        }

        self.sync_folders(stand, folder)
    }

    /// A plugin's archive, where only the system writes: copied first, looked at then.
    fn archive(&self, plugin: &Plugin) -> Result<PathBuf, Trouble> {
        let kept = self.store.archives().join(format!("{}.zip", plugin.archive.sha256));
        if there(&kept).map_err(at(&kept))?.is_some() {
            if is_archive(&kept, plugin).map_err(at(&kept))? {
                return Ok(kept);
            }
            self.disk.remove(&kept).map_err(at(&kept))?;
        }
        let mut trouble = None;
        for inbox in self.inboxes {
            match inbox.archive(&plugin.archive.sha256, plugin.archive.bytes) {
                Ok(None) => {}
                Ok(Some(file)) => match self.keep(plugin, file, &kept) {
                    Ok(()) => return Ok(kept),
                    Err(other @ Trouble::ArchiveDiffers { .. }) => trouble = Some(other),
                    Err(other) => return Err(other),
                },
                Err(other) => trouble = Some(other),
            }
        }

        Err(trouble.unwrap_or_else(|| Trouble::ArchiveMissing { plugin: plugin.name.clone() }))
    }

    fn keep(&self, plugin: &Plugin, mut file: File, kept: &Path) -> Result<(), Trouble> {
        let new = kept.with_extension("new");
        self.disk.remove(&new).map_err(at(&new))?;
        let copied = self.disk.copy(&mut file, &new, plugin.archive.bytes, false);
        let outcome = match copied {
            Ok((bytes, sha256))
                if bytes == plugin.archive.bytes && sha256 == plugin.archive.sha256 =>
            {
                self.disk
                    .rename(&new, kept)
                    .and_then(|()| self.disk.sync_parent(kept))
                    .map_err(at(kept))
            }
            Ok(_) => Err(differs(plugin, "", &"is not the one that was signed")),
            Err(error) if is_content(&error) => Err(differs(plugin, "", &error)),
            Err(error) => Err(at(&new)(error)),
        };
        if outcome.is_err() {
            let _left = self.disk.remove(&new).is_err();
        }

        outcome
    }

    /// What stands beside the plugins: the document's own files, and the records that go on.
    fn records(&self, wanted: &Wanted<'_>, next: &Path) -> Result<(), Trouble> {
        let (from, to) = (self.mount.join(RECORDS), next.join(RECORDS));
        self.disk.make_folder(&to).map_err(at(&to))?;
        for (name, bytes) in wanted.records() {
            let path = to.join(name);
            self.disk.write_new(&path, &bytes).map_err(at(&path))?;
        }
        for name in [LAST_SYNC, LOG, OLD_LOG] {
            // One that cannot be carried over, such as a link, begins anew.
            if let Ok(Some(bytes)) = disk::read(&from.join(name), LARGEST_RECORD) {
                let path = to.join(name);
                self.disk.write_new(&path, &bytes).map_err(at(&path))?;
            }
        }

        self.disk.sync_folder(&to).map_err(at(&to))
    }

    /// Throws away archives that no document needs any more. What is left behind is thrown away the next time.
    ///
    /// # Errors
    /// [`Trouble::Disk`].
    pub fn tidy(
        store: &Store<'_>,
        disk: &Disk,
        standing: Option<&Manifest>,
    ) -> Result<(), Trouble> {
        let folder = store.archives();
        let plugins = standing.map(|it| it.document().plugins.as_slice()).unwrap_or_default();
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let name = entry.map_err(at(&folder))?.file_name();
            let name = name.to_string_lossy();
            let needed = name
                .strip_suffix(".zip")
                .is_some_and(|sha256| plugins.iter().any(|it| it.archive.sha256 == sha256));
            if !needed {
                let path = folder.join(&*name);
                disk.remove(&path).map_err(at(&path))?;
            }
        }

        Ok(())
    }
}

/// Is it still the archive, on the disk?
fn is_archive(path: &Path, plugin: &Plugin) -> io::Result<bool> {
    use sha2::{Digest, Sha256};

    let file = File::open(path)?;
    if !file.metadata()?.is_file() || file.metadata()?.len() != plugin.archive.bytes {
        return Ok(false);
    }
    let mut digest = Sha256::new();
    io::copy(&mut file.take(plugin.archive.bytes), &mut digest)?;

    Ok(contract::envelope::hex(&digest.finalize()) == plugin.archive.sha256)
}

fn is_content(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof
    )
}

fn differs(plugin: &Plugin, path: &str, why: &dyn std::fmt::Display) -> Trouble {
    let place = if path.is_empty() { String::new() } else { format!("{path:?} ") };

    Trouble::ArchiveDiffers { plugin: plugin.name.clone(), why: format!("{place}{why}") }
}
