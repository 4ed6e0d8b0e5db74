//! Clearing what is stored out of the spool.
//!
//! Envoy appends to the file at any moment, so it can be neither cut nor rewritten without a line
//! being lost in between. Instead the part that is stored is given back to the file system as a hole
//! (`fallocate`, `FALLOC_FL_PUNCH_HOLE`): its bytes are gone and take no space, and no position
//! changes. A file that was rotated away is removed once it has been read to its end.

use super::files;
use crate::store::Mark;
use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// How often: what is stored is gone within a minute.
const EACH: Duration = Duration::from_secs(20);

/// How long a file that was rotated away is left alone: Envoy may still have it open.
const AT_REST: Duration = Duration::from_secs(20);

/// Clears behind the reader.
#[derive(Debug, Default)]
pub(super) struct Sweeper {
    last: Option<Instant>,
    cleared: u64,
    of: String,
    /// Files that have been read to their end: folder and name of the spool, identity, length.
    retired: Vec<(PathBuf, String, u64, Instant)>,
    told: bool,
}

impl Sweeper {
    /// Clears what is stored, if it is time.
    pub(super) fn sweep(&mut self, file: Option<&File>, mark: &Mark) {
        if self.last.is_none_or(|last| last.elapsed() >= EACH) {
            self.finish(file, mark);
        }
    }

    /// Clears what is stored.
    pub(super) fn finish(&mut self, file: Option<&File>, mark: &Mark) {
        self.last = Some(Instant::now());
        if self.of != mark.file {
            self.of.clone_from(&mark.file);
            self.cleared = 0;
        }
        if let Some(file) = file.filter(|_| mark.position > self.cleared) {
            match punch(file, mark.position) {
                Ok(()) => self.cleared = mark.position,
                Err(error) => self.tell(&error),
            }
        }
        self.remove();
    }

    /// A file that has been read to its end, and is not written any more.
    pub(super) fn retire(&mut self, spool: PathBuf, identity: String, length: u64) {
        self.retired.push((spool, identity, length, Instant::now()));
    }

    fn remove(&mut self) {
        self.retired.retain(|(spool, identity, length, since)| {
            if since.elapsed() < AT_REST {
                return true;
            }
            let gone = files::all(spool).map(|all| {
                all.into_iter().find(|file| file.identity == *identity && file.path != *spool)
            });
            if let Ok(Some(file)) = gone {
                remove(&file.path, *length);
            }
            false
        });
    }

    fn tell(&mut self, error: &io::Error) {
        if !self.told {
            warn!(error = %error, "What is stored cannot be cleared out of the spool: rotate it");
        }
        self.told = true;
    }
}

fn remove(path: &Path, length: u64) {
    let grown = fs::metadata(path).is_ok_and(|about| about.len() > length);
    let name = path.display();
    if grown {
        warn!(file = %name, "A rotated spool has grown after it was read; it is left");
        return;
    }
    match fs::remove_file(path) {
        Ok(()) => info!(file = %name, "A rotated spool is stored, and removed"),
        Err(error) => debug!(file = %name, error = %error, "A rotated spool was not removed"),
    }
}

fn punch(file: &File, end: u64) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE.union(FallocateFlags::KEEP_SIZE);

    Ok(fallocate(file, flags, 0, end)?)
}

/// Opens a spool to read and to clear it; to read alone where it is another user's. Others than
/// owner and group may not read what people said.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = match File::options().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(path)?,
        other => other?,
    };
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o007 != 0
        && let Err(error) = file.set_permissions(fs::Permissions::from_mode(mode & 0o770))
    {
        warn!(error = %error, file = %path.display(), "Everybody can read the spool: chmod o= it");
    }

    Ok(file)
}

/// Where the data begins again, if there is a hole at this place: it had been cleared when the mark
/// was lost.
pub(super) fn behind_hole(file: &File, at: u64) -> io::Result<Option<u64>> {
    use std::os::unix::fs::FileExt;

    let mut first = [0xff; 4096];
    let read = file.read_at(&mut first, at)?;
    let zeros = first.iter().take(read).take_while(|byte| **byte == 0).count();
    if zeros == 0 {
        return Ok(None);
    }
    if zeros < first.len() {
        return Ok(Some(at.saturating_add(u64::try_from(zeros).unwrap_or_default())));
    }
    match seek(file, SeekFrom::Data(at)) {
        Ok(data) if data > at => Ok(Some(data)),
        Ok(_) => Ok(Some(at.saturating_add(u64::try_from(zeros).unwrap_or_default()))),
        // Nothing but the hole to the end.
        Err(Errno::NXIO) => Ok(Some(file.metadata()?.len())),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn what_is_stored_is_gone_and_what_is_not_stays_where_it_was() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("audit.jsonl");
        let mut envoy = File::options().create(true).append(true).open(&path).unwrap();
        let stored = "secret words\n".repeat(100_000);
        envoy.write_all(stored.as_bytes()).unwrap();
        envoy.write_all(b"next\n").unwrap();
        envoy.sync_all().unwrap();
        let file = open(&path).unwrap();
        let position = u64::try_from(stored.len()).unwrap();
        let mut sweeper = Sweeper::default();

        sweeper.finish(Some(&file), &Mark { generation: 1, file: "f".into(), position });
        envoy.write_all(b"later\n").unwrap();

        let bytes = fs::read(&path).unwrap();
        assert!(bytes[..stored.len()].iter().all(|byte| *byte == 0));
        assert_eq!(&bytes[stored.len()..], b"next\nlater\n");
        assert!(fs::metadata(&path).unwrap().blocks() * 512 < 100_000, "the space is free");
        assert_eq!(behind_hole(&file, 0).unwrap().map(|at| at > 0), Some(true));
        let mut at = 0;
        while let Some(next) = behind_hole(&file, at).unwrap() {
            at = next;
        }
        assert_eq!(at, position, "whoever has lost the mark finds the first line that is left");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "and nobody else may read it");
    }

    #[test]
    fn a_file_rotated_away_is_removed_once_it_is_stored() {
        let place = tempfile::tempdir().unwrap();
        let spool = place.path().join("audit.jsonl");
        let rotated = place.path().join("audit.jsonl.1");
        fs::write(&rotated, "stored\n").unwrap();
        let grown = place.path().join("audit.jsonl.2");
        fs::write(&grown, "stored\nand more\n").unwrap();
        let identity = |path: &Path| files::identity(&fs::metadata(path).unwrap());
        let mut sweeper = Sweeper::default();
        let before = Instant::now().checked_sub(AT_REST).unwrap();
        sweeper.retired = vec![
            (spool.clone(), identity(&rotated), 7, before),
            (spool.clone(), identity(&grown), 7, before),
        ];

        sweeper.finish(None, &Mark::default());

        assert!(!rotated.exists() && grown.exists());
    }
}
