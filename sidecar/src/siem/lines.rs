//! Lines into a file or to standard output. A thread of its own writes: one that hangs (a full pipe,
//! a network's disk) holds up its own sink and nothing else, not even the end of the process.

use super::answer::{Answer, Trouble};
use crate::counters::Reason;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use tokio::sync::{mpsc, oneshot};

type Job = (Vec<u8>, oneshot::Sender<io::Result<()>>);

/// Somebody who writes.
pub struct Scribe(mpsc::Sender<Job>);

impl Scribe {
    /// Writes to a file, which must be writable now.
    ///
    /// # Errors
    /// Why it is not.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let mut grown = Grown { path: path.to_owned(), open: None };
        grown.file()?;

        Self::start(move |lines| grown.append(lines))
    }

    /// Writes to standard output.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn of_stdout() -> io::Result<Self> {
        Self::start(|lines| {
            let mut out = io::stdout().lock();
            out.write_all(lines)?;
            out.flush()
        })
    }

    fn start(mut write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (jobs, mut wanted) = mpsc::channel::<Job>(1);
        thread::Builder::new().name("siem-lines".to_owned()).spawn(move || {
            while let Some((lines, done)) = wanted.blocking_recv() {
                // Who asked may have left: then the rows are written again.
                drop(done.send(write(&lines)));
            }
        })?;

        Ok(Self(jobs))
    }

    /// Writes lines; they are on the disk when this returns.
    pub async fn write(&mut self, lines: Vec<u8>) -> Answer {
        let (done, written) = oneshot::channel();
        let failed = |why: &dyn std::fmt::Display| {
            Answer::Later(Trouble::new(Reason::File, why.to_string()))
        };
        if self.0.send((lines, done)).await.is_err() {
            return failed(&"nobody writes any more");
        }
        match written.await {
            Ok(Ok(())) => Answer::Taken(Vec::new()),
            Ok(Err(why)) => failed(&why),
            Err(why) => failed(&why),
        }
    }
}

/// A file that grows, and may be rotated under us.
pub struct Grown {
    path: PathBuf,
    open: Option<(File, (u64, u64))>,
}

impl Grown {
    /// A file, not open yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    /// Appends lines, and returns when they are on the disk.
    ///
    /// # Errors
    /// Why not; a part of them may be there.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let file = self.file()?;
        let written = file.write_all(lines).and_then(|()| file.sync_data());
        if written.is_err() {
            self.open = None;
        }

        written
    }

    /// The file that has the name now.
    fn file(&mut self) -> io::Result<&mut File> {
        let named = std::fs::metadata(&self.path).ok().map(|about| (about.dev(), about.ino()));
        let kept = self.open.take().filter(|(_, identity)| Some(*identity) == named);
        let current = match kept {
            Some(kept) => kept,
            None => self.begin(named.is_none())?,
        };

        Ok(&mut self.open.insert(current).0)
    }

    fn begin(&self, new: bool) -> io::Result<(File, (u64, u64))> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        let about = file.metadata()?;
        // Somebody was stopped in the middle of a line: what comes next is none of it.
        if about.is_file() && about.len() > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        // A file that is new is there after a power cut only if its directory says so.
        if new {
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
        }

        Ok((file, (about.dev(), about.ino())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_closed_to_others_and_a_rotated_one_is_begun_anew() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("audit.jsonl");
        let mut grown = Grown::new(path.clone());

        grown.append(b"1\n").unwrap();
        fs::rename(&path, place.path().join("audit.jsonl.1")).unwrap();
        grown.append(b"2\n").unwrap();
        grown.append(b"3\n").unwrap();

        assert_eq!(fs::read_to_string(&path).unwrap(), "2\n3\n");
        assert_eq!(fs::read_to_string(place.path().join("audit.jsonl.1")).unwrap(), "1\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn half_a_line_that_a_crash_left_does_not_spoil_the_next() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("audit.jsonl");
        fs::write(&path, "whole\nha").unwrap();

        Grown::new(path.clone()).append(b"next\n").unwrap();

        assert_eq!(fs::read_to_string(&path).unwrap(), "whole\nha\nnext\n");
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_not_taken() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("there");
        fs::create_dir(&folder).unwrap();
        let mut scribe = Scribe::of_file(&folder.join("audit.jsonl")).unwrap();
        fs::remove_dir_all(&folder).unwrap();

        assert!(matches!(scribe.write(b"1\n".to_vec()).await, Answer::Later(_)));
        fs::create_dir(&folder).unwrap();
        assert!(matches!(scribe.write(b"1\n".to_vec()).await, Answer::Taken(_)));
    }
}
