//! The one way in which the system half writes. Each act is named before it is done, so that a test can stop the power at any
//! of them, fill the disk, or hold a file open.

use contract::manifest::sha256;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

/// Bytes that are copied at a time.
const CHUNK: usize = 64 * 1024;

/// An act that changes something on the disk.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// A folder is made.
    MakeFolder(&'a Path),
    /// A file is made, empty.
    Create(&'a Path),
    /// So many bytes go to a file.
    Write(&'a Path, usize),
    /// A file or a folder is brought to the disk itself.
    Sync(&'a Path),
    /// Something is renamed.
    Rename(&'a Path, &'a Path),
    /// Two folders change places.
    Exchange(&'a Path, &'a Path),
    /// Something is removed, with what is in it.
    Remove(&'a Path),
}

type Seam = dyn Fn(&Step<'_>) -> io::Result<()> + Send + Sync;

/// The disk.
#[derive(Clone, Default)]
pub struct Disk {
    seam: Option<Arc<Seam>>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Disk").field("seam", &self.seam.is_some()).finish()
    }
}

impl Disk {
    /// A disk of which `seam` hears before each act; where it fails, the act is not done.
    pub fn watched(seam: impl Fn(&Step<'_>) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { seam: Some(Arc::new(seam)) }
    }

    fn before(&self, step: &Step<'_>) -> io::Result<()> {
        self.seam.as_ref().map_or(Ok(()), |seam| seam(step))
    }

    /// Makes a folder that all may read and its owner alone may write. There must be none.
    ///
    /// # Errors
    /// As the system has them.
    pub fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.before(&Step::MakeFolder(path))?;
        fs::create_dir(path)?;

        folder_mode(path, 0o755)
    }

    /// Makes a folder and those above it, where they are missing.
    ///
    /// # Errors
    /// As the system has them.
    pub fn ensure_folder(&self, path: &Path) -> io::Result<()> {
        if fs::symlink_metadata(path).is_ok_and(|about| about.is_dir()) {
            return Ok(());
        }
        if let Some(above) = path.parent() {
            self.ensure_folder(above)?;
        }

        self.make_folder(path)
    }

    /// Copies to a new file, to the disk itself, and says what was copied: how much, and its SHA-256. No more than `most` bytes.
    ///
    /// # Errors
    /// As the system has them; [`ErrorKind::InvalidData`] if there is more, or if it cannot be read: then another source may
    /// do, whereas a disk that cannot be written is the same for all.
    pub fn copy(
        &self,
        from: &mut impl Read,
        to: &Path,
        most: u64,
        executable: bool,
    ) -> io::Result<(u64, String)> {
        self.before(&Step::Create(to))?;
        let mut file = File::options().write(true).create_new(true).open(to)?;
        let (mut bytes, mut digest) = (0_u64, Sha256::new());
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(unread(&error)),
            };
            bytes = bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            if bytes > most {
                return Err(io::Error::new(ErrorKind::InvalidData, "is longer than it may be"));
            }
            let read = chunk.get(..read).unwrap_or_default();
            digest.update(read);
            self.before(&Step::Write(to, read.len()))?;
            file.write_all(read)?;
        }
        file_mode(&file, if executable { 0o755 } else { 0o644 })?;
        self.before(&Step::Sync(to))?;
        file.sync_all()?;

        Ok((bytes, contract::envelope::hex(&digest.finalize())))
    }

    /// Writes a new file, to the disk itself.
    ///
    /// # Errors
    /// As the system has them.
    pub fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.copy(&mut &*bytes, path, u64::MAX, false).map(drop)
    }

    /// Replaces a file in one step.
    ///
    /// # Errors
    /// As the system has them; then the old one stands.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let beside = beside(path);
        self.remove(&beside)?;
        let written = self.write_new(&beside, bytes).and_then(|()| self.rename(&beside, path));
        if let Err(error) = written {
            let _left = self.remove(&beside).is_err();
            return Err(error);
        }

        self.sync_parent(path)
    }

    /// Renames.
    ///
    /// # Errors
    /// As the system has them.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.before(&Step::Rename(from, to))?;

        fs::rename(from, to)
    }

    /// Lets two folders change places in one step.
    ///
    /// # Errors
    /// As the system has them; [`ErrorKind::Unsupported`] where it has no such act.
    pub fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.before(&Step::Exchange(one, other))?;

        exchange(one, other)
    }

    /// Removes a file or a folder with all in it; what is not there is removed already. Links are not followed.
    ///
    /// # Errors
    /// As the system has them.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let Some(about) = there(path)? else { return Ok(()) };
        self.before(&Step::Remove(path))?;
        if about.is_dir() { fs::remove_dir_all(path) } else { remove_entry(path) }
    }

    /// Brings a folder's own entries to the disk itself.
    ///
    /// # Errors
    /// As the system has them.
    pub fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.before(&Step::Sync(path))?;

        sync_folder(path)
    }

    /// The same for the folder in which this is.
    ///
    /// # Errors
    /// As the system has them.
    pub fn sync_parent(&self, path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), |above| self.sync_folder(above))
    }
}

/// What is there under this name, if anything is. A link is itself.
///
/// # Errors
/// As the system has them.
pub fn there(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(about) => Ok(Some(about)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A whole small file that only the system writes; none if there is none.
///
/// # Errors
/// As the system has them; [`ErrorKind::InvalidData`] if it is no file, or longer than `most`.
pub fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(about) = there(path)? else { return Ok(None) };
    if !about.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidData, "is no file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(io::Error::new(ErrorKind::InvalidData, "is longer than it may be"));
    }

    Ok(Some(bytes))
}

fn unread(error: &io::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("cannot be read: {error}"))
}

/// The name under which a file is written before it takes its place.
fn beside(path: &Path) -> std::path::PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();

    path.with_file_name(format!(".{name}.{}", sha256(name.as_bytes()).get(..8).unwrap_or("new")))
}

/// Whatever umask the service has. Of the open file: what stands under its name may be something else by now.
#[cfg(unix)]
fn file_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// The same for a folder; a link that somebody put in its place is not followed.
#[cfg(unix)]
fn folder_mode(path: &Path, mode: u32) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags, open};

    let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;

    file_mode(&File::from(open(path, how, Mode::empty())?), mode)
}

/// What is made in a folder is whose the folder is, by inheritance.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn file_mode(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn folder_mode(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn remove_entry(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

/// A link to a folder is removed as a folder there.
#[cfg(not(unix))]
fn remove_entry(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(|_not_a_file| fs::remove_dir(path))
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Windows opens no folder for that; NTFS writes a rename to its own journal.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};

    // renameat2(2) RENAME_EXCHANGE; renameatx_np(2) RENAME_SWAP.
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn exchange(_one: &Path, _other: &Path) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}
