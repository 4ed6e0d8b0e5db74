//! The person's inbox, from the person's side. Archives first, the document last; then the system's half is woken.

use super::not_taken;
use crate::chance;
use crate::failure::Failure;
use crate::home::Home;
use crate::sync::inbox::{ARCHIVES, DOCUMENT};
use contract::envelope::LARGEST;
use contract::manifest::{Archive, Manifest, Plugin};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// How many names are tried that anybody can guess: somebody may have taken the first, or all. On Windows none is: whose a
/// folder is, is not seen there.
const GUESSED: usize = if cfg!(unix) { 4 } else { 0 };

/// In the helper's directory: the name of an inbox that nobody could guess.
const NAME: &str = "sync.inbox";

/// The inbox.
pub(super) struct Post {
    root: PathBuf,
    folder: PathBuf,
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();

    move |source| Failure::Unwritable { path, source }
}

/// A document that somebody dropped.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |source| Failure::NoFile { path: path.to_owned(), source };
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(most).read_to_end(&mut bytes).map_err(unreadable)?;

    Ok(bytes)
}

impl Post {
    /// The person's own; it is made where it is missing.
    pub(super) fn open(root: &Path, home: &Home) -> Result<Self, Failure> {
        let mut last = io::Error::from(ErrorKind::AlreadyExists);
        // Nobody but the system may list the inboxes: one with a name by chance is found again by what was written down.
        let drawn = drawn(home);
        for name in drawn.iter().cloned().chain((0..GUESSED).map(name)) {
            match Self::take(root, &name) {
                Ok(Some(post)) => return Ok(post),
                Ok(None) => {}
                Err(error) => last = error,
            }
        }
        let name = by_chance();
        home.write(NAME, &name)?;
        match Self::take(root, &name) {
            Ok(Some(post)) => Ok(post),
            Ok(None) => Err(unwritable(root)(last)),
            Err(error) => Err(unwritable(root)(error)),
        }
    }

    /// Under this name, unless somebody else has it.
    fn take(root: &Path, name: &str) -> io::Result<Option<Self>> {
        let folder = root.join(name);
        make(&folder)?;
        if !is_ours(&folder) {
            return Ok(None);
        }
        let archives = folder.join(ARCHIVES);
        make(&archives)?;
        if !is_ours(&archives) {
            return Ok(None);
        }

        Ok(Some(Self { root: root.to_owned(), folder }))
    }

    /// One without writing: for a dry run.
    pub(super) fn look(root: &Path, home: &Home) -> Self {
        Self { root: root.to_owned(), folder: root.join(drawn(home).unwrap_or_else(|| name(0))) }
    }

    /// The document that lies there.
    pub(super) fn document(&self) -> Option<Vec<u8>> {
        read(&self.folder.join(DOCUMENT)).ok()
    }

    /// Does an archive lie there, whole? Its length says so: under its name it was put when its digest fitted.
    pub(super) fn has(&self, archive: &Archive) -> bool {
        fs::symlink_metadata(self.archive(&archive.sha256))
            .is_ok_and(|about| about.is_file() && about.len() == archive.bytes)
    }

    fn archive(&self, sha256: &str) -> PathBuf {
        self.folder.join(ARCHIVES).join(format!("{sha256}.zip"))
    }

    /// Puts a document there, in one step, and wakes the system's half.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<(), Failure> {
        let (path, beside) = (self.folder.join(DOCUMENT), self.folder.join(".manifest.new"));
        let write = || {
            let mut file = File::create(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        };
        write().map_err(unwritable(&path))?;
        self.ring();

        Ok(())
    }

    /// Wakes the system's half: it watches the folder of all inboxes, in which now something comes and goes.
    pub(super) fn ring(&self) {
        let bell = self.root.join(format!(".ring-{}", std::process::id()));
        // Without it, the half comes by its clock.
        let _unheard = File::create_new(&bell).is_err();
        let _left = fs::remove_file(&bell).is_err();
    }

    /// Throws away archives that this document does not name.
    pub(super) fn tidy(&self, manifest: &Manifest) {
        let plugins = &manifest.document().plugins;
        let Ok(entries) = fs::read_dir(self.folder.join(ARCHIVES)) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let stem = name.split('.').next().unwrap_or_default();
            if !plugins.iter().any(|it| it.archive.sha256 == stem) {
                let _left = fs::remove_file(entry.path()).is_err();
            }
        }
    }
}

/// An archive that is coming.
pub(super) struct Part<'a> {
    post: &'a Post,
    plugin: &'a Plugin,
    file: File,
    path: PathBuf,
    length: u64,
    digest: Sha256,
}

impl<'a> Part<'a> {
    /// Goes on with what came before.
    pub(super) fn new(post: &'a Post, plugin: &'a Plugin) -> Result<Self, Failure> {
        let path = post.folder.join(ARCHIVES).join(format!("{}.part", plugin.archive.sha256));
        let open = || {
            let mut file =
                File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
            let mut digest = Sha256::new();
            let mut length = io::copy(&mut file, &mut digest)?;
            if length > plugin.archive.bytes {
                file.set_len(0)?;
                io::Seek::rewind(&mut file)?;
                (length, digest) = (0, Sha256::new());
            }
            Ok((file, length, digest))
        };
        let (file, length, digest) = open().map_err(unwritable(&path))?;

        Ok(Self { post, plugin, file, path, length, digest })
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn is_full(&self) -> bool {
        self.length == self.plugin.archive.bytes
    }

    /// Takes what comes, beginning at `from`: where it stands, or anew. It may break off; more than there is, it must not be.
    pub(super) fn take(&mut self, body: &mut impl Read, from: u64) -> Result<(), Failure> {
        if from != self.length {
            self.anew()?;
        }
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let read = match body.read(&mut chunk) {
                Ok(0) | Err(_) => return Ok(()),
                Ok(read) => read,
            };
            let read = chunk.get(..read).unwrap_or_default();
            self.length = self.length.saturating_add(u64::try_from(read.len()).unwrap_or(u64::MAX));
            if self.length > self.plugin.archive.bytes {
                self.anew()?;
                return Err(self.differs("is longer than was signed"));
            }
            self.digest.update(read);
            self.file.write_all(read).map_err(unwritable(&self.path))?;
        }
    }

    fn anew(&mut self) -> Result<(), Failure> {
        self.file.set_len(0).map_err(unwritable(&self.path))?;
        io::Seek::rewind(&mut self.file).map_err(unwritable(&self.path))?;
        (self.length, self.digest) = (0, Sha256::new());

        Ok(())
    }

    /// It is all there: is it the one?
    pub(super) fn done(mut self) -> Result<(), Failure> {
        let sha256 = contract::envelope::hex(&self.digest.clone().finalize());
        if !self.is_full() || sha256 != self.plugin.archive.sha256 {
            self.anew()?;
            return Err(self.differs("is not the one that was signed"));
        }
        let to = self.post.archive(&self.plugin.archive.sha256);
        self.file.sync_all().and_then(|()| fs::rename(&self.path, &to)).map_err(unwritable(&to))
    }

    fn differs(&self, why: &str) -> Failure {
        not_taken("archive_differs", &format!("the archive of {:?} {why}", self.plugin.name))
    }
}

/// The name that was drawn once; one that could not have been drawn is none.
fn drawn(home: &Home) -> Option<String> {
    let name = home.read(NAME).ok()??;
    let rest = name.trim().strip_prefix(&format!("{}-", self::name(0)))?;
    let is_hex = rest.len() == 32 && rest.bytes().all(|sign| sign.is_ascii_hexdigit());

    is_hex.then(|| name.trim().to_owned())
}

/// A name that nobody has taken before.
fn by_chance() -> String {
    // Without chance the name can be guessed, no more.
    format!("{}-{}", name(0), chance::name().unwrap_or_else(|| "0".repeat(32)))
}

/// A folder that is its owner's alone.
fn make(folder: &Path) -> io::Result<()> {
    match create(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(unix)]
fn create(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    fs::DirBuilder::new().mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn create(folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)
}

#[cfg(unix)]
fn name(number: usize) -> String {
    let user = rustix::process::geteuid().as_raw();

    if number == 0 { user.to_string() } else { format!("{user}-{number}") }
}

#[cfg(not(unix))]
fn name(number: usize) -> String {
    let user = std::env::var("USERNAME").unwrap_or_default();
    let plain = |sign: char| if sign.is_alphanumeric() || sign == '-' { sign } else { '_' };
    let user: String = user.chars().map(plain).chain(['u']).take(48).collect();

    if number == 0 { user } else { format!("{user}-{number}") }
}

#[cfg(unix)]
fn is_ours(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    fs::symlink_metadata(folder)
        .is_ok_and(|about| about.is_dir() && about.uid() == rustix::process::geteuid().as_raw())
}

#[cfg(not(unix))]
fn is_ours(folder: &Path) -> bool {
    // One that an elevated run made is the administrators', and cannot be written by the next.
    let probe = folder.join(format!(".probe-{}", std::process::id()));
    let is_written = File::create(&probe).is_ok();
    let _left = fs::remove_file(&probe).is_err();

    is_written && fs::symlink_metadata(folder).is_ok_and(|about| about.is_dir())
}
