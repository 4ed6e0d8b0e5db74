//! Reads the inboxes. Whoever owns one may have put anything there: links, pipes, files that grow while they are read. A name
//! is opened once, without following links; what is open is what is judged and read.

use super::trouble::{Trouble, at};
use contract::envelope::LARGEST;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The document's name in an inbox.
pub const DOCUMENT: &str = "manifest.json";

/// The folder of archives in an inbox.
pub const ARCHIVES: &str = "archives";

/// Most inboxes that are looked at.
const MOST: usize = 256;

/// Most inboxes of one person: somebody may have made more to keep others out.
const MOST_EACH: usize = 4;

/// A person's inbox.
#[derive(Debug)]
pub struct Inbox {
    /// Its name, made printable.
    pub name: String,
    folder: system::Folder,
}

/// All of them, by name.
///
/// # Errors
/// [`Trouble::Disk`]; [`Trouble::Mount`], if somebody made it a link.
pub fn all(root: &Path) -> Result<Vec<Inbox>, Trouble> {
    let mut names = Vec::new();
    // Elsewhere only the administrator can have made it one, and may.
    if cfg!(windows)
        && std::fs::symlink_metadata(root).is_ok_and(|about| about.file_type().is_symlink())
    {
        return Err(Trouble::Mount { path: root.to_owned(), why: "it is a link" });
    }
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(root)(error)),
    };
    for entry in entries {
        names.push(entry.map_err(at(root))?.file_name());
    }
    names.sort();
    let mut inboxes: Vec<Inbox> = Vec::new();
    for name in names {
        // What is no folder, or is gone, is no inbox.
        let Ok(folder) = system::open_folder(root, &name) else { continue };
        let owner = folder.owner();
        let same = inboxes.iter().filter(|it| owner.is_some() && it.folder.owner() == owner);
        if inboxes.len() < MOST && same.count() < MOST_EACH {
            inboxes.push(Inbox { name: printable(&name.to_string_lossy()), folder });
        }
    }

    Ok(inboxes)
}

fn printable(name: &str) -> String {
    let plain = |sign: char| if sign.is_ascii_graphic() { sign } else { '?' };

    name.chars().map(plain).take(64).collect()
}

impl Inbox {
    /// The document; none where there is none.
    ///
    /// # Errors
    /// [`Trouble::Inbox`].
    pub fn document(&self) -> Result<Option<Vec<u8>>, Trouble> {
        let most = u64::try_from(LARGEST).unwrap_or(u64::MAX);
        let Some(file) = self.file(&[DOCUMENT], most)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = file.take(most).read_to_end(&mut bytes);
        read.map_err(|error| self.trouble(DOCUMENT, error.to_string()))?;

        Ok(Some(bytes))
    }

    /// An archive of this many bytes; none where there is none.
    ///
    /// # Errors
    /// [`Trouble::Inbox`].
    pub fn archive(&self, sha256: &str, bytes: u64) -> Result<Option<File>, Trouble> {
        self.file(&[ARCHIVES, &format!("{sha256}.zip")], bytes)
    }

    fn file(&self, path: &[&str], most: u64) -> Result<Option<File>, Trouble> {
        let name = path.join("/");
        let file = match self.folder.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.trouble(&name, told(&error))),
        };
        let about = file.metadata().map_err(|error| self.trouble(&name, error.to_string()))?;
        if !about.is_file() {
            return Err(self.trouble(&name, "is not a file".into()));
        }
        if about.len() > most {
            return Err(self.trouble(&name, format!("is longer than {most} bytes")));
        }

        Ok(Some(file))
    }

    fn trouble(&self, file: &str, why: String) -> Trouble {
        Trouble::Inbox { inbox: self.name.clone(), file: file.to_owned(), why }
    }
}

/// What the open says of a link, in words.
fn told(error: &io::Error) -> String {
    if system::is_link(error) {
        "is a link, or lies behind one".into()
    } else {
        format!("cannot be opened: {error}")
    }
}

#[cfg(unix)]
mod system {
    use rustix::fs::{CWD, Mode, OFlags, fstat, openat};
    use rustix::io::Errno;
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    /// An open folder.
    #[derive(Debug)]
    pub(super) struct Folder(OwnedFd);

    const FOLDER: OFlags = OFlags::DIRECTORY.union(FILE);
    // A pipe would keep us waiting.
    const FILE: OFlags = OFlags::RDONLY
        .union(OFlags::NOFOLLOW)
        .union(OFlags::NONBLOCK)
        .union(OFlags::CLOEXEC)
        .union(OFlags::NOCTTY);

    pub(super) fn is_link(error: &io::Error) -> bool {
        let code = error.raw_os_error();
        [Errno::LOOP, Errno::NOTDIR].iter().any(|it| code == Some(it.raw_os_error()))
    }

    pub(super) fn open_folder(root: &Path, name: &OsStr) -> io::Result<Folder> {
        Ok(Folder(openat(CWD, root.join(name), FOLDER, Mode::empty())?))
    }

    impl Folder {
        /// Whose it is.
        pub(super) fn owner(&self) -> Option<u32> {
            fstat(&self.0).ok().map(|about| about.st_uid)
        }

        /// Opens a name in it, part by part.
        pub(super) fn open(&self, path: &[&str]) -> io::Result<File> {
            let Some((name, above)) = path.split_last() else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let mut folder: Option<OwnedFd> = None;
            for part in above {
                let from = folder.as_ref().unwrap_or(&self.0);
                folder = Some(openat(from, *part, FOLDER, Mode::empty())?);
            }
            let from = folder.as_ref().unwrap_or(&self.0);

            Ok(File::from(openat(from, *name, FILE, Mode::empty())?))
        }
    }
}

#[cfg(not(unix))]
mod system {
    use std::ffi::OsStr;
    use std::fs::{self, File};
    use std::io::{self, ErrorKind};
    use std::path::{Path, PathBuf};

    /// A folder that is not a link.
    #[derive(Debug)]
    pub(super) struct Folder(PathBuf);

    pub(super) fn is_link(error: &io::Error) -> bool {
        error.kind() == ErrorKind::NotADirectory
    }

    pub(super) fn open_folder(root: &Path, name: &OsStr) -> io::Result<Folder> {
        let path = root.join(name);
        if fs::symlink_metadata(&path)?.is_dir() { Ok(Folder(path)) } else { Err(link()) }
    }

    impl Folder {
        /// Not asked for here.
        #[expect(clippy::unused_self, reason = "elsewhere it is asked for")]
        pub(super) fn owner(&self) -> Option<u32> {
            None
        }

        /// Opens a name in it. What lies above is looked at, not held: who wins that race has a digest compared, no more.
        pub(super) fn open(&self, path: &[&str]) -> io::Result<File> {
            let mut full = self.0.clone();
            for part in path {
                full.push(part);
                if fs::symlink_metadata(&full)?.file_type().is_symlink() {
                    return Err(link());
                }
            }

            open(&full)
        }
    }

    fn link() -> io::Error {
        ErrorKind::NotADirectory.into()
    }

    #[cfg(windows)]
    fn open(path: &Path) -> io::Result<File> {
        use std::os::windows::fs::OpenOptionsExt;

        const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
        let file =
            File::options().read(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path)?;
        if file.metadata()?.file_type().is_symlink() { Err(link()) } else { Ok(file) }
    }

    #[cfg(not(windows))]
    fn open(path: &Path) -> io::Result<File> {
        File::open(path)
    }
}
