//! The archives of plugins as they are sent: files below the data directory, made from the database once and compared
//! with their digest when they are opened; a bounded part of them in memory.
//!
//! What is in memory are blocks, each read by one and sent by many: ten thousand laptops that fetch the same plugin share
//! its bytes, and one that reads slowly holds no more than the blocks that it is being sent.

use crate::keys::{self, KeyError};
use crate::settings::{self, FileError};
use crate::store::{Store, StoreError};
use bytes::Bytes;
use contract::envelope::hex;
use lru::LruCache;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::{JoinError, spawn_blocking};
use tracing::warn;

/// Bytes of a block.
pub const BLOCK: u64 = 256 * 1024; // 256 KiB

/// Blocks in memory: 64 MiB.
const BLOCKS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// A file that was begun so long ago is nobody's any more.
const LEFT_BEHIND: Duration = Duration::from_hours(1);

/// Files that are open.
const OPEN: NonZeroUsize = NonZeroUsize::MIN.saturating_add(127);

/// Blocks, or whole files, that are being read at once.
const READERS: usize = 16;

/// Why an archive cannot be sent.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its file.
    #[error(transparent)]
    File(#[from] FileError),
    /// No name for its file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Reading it.
    #[error("cannot read an archive: {0}")]
    Read(#[from] io::Error),
    /// The database has it not, or not as it was published.
    #[error(
        "the archive {0} is not in the database as it was published: publish that publication again, or restore the database"
    )]
    Lost(String),
    /// The work was cut off.
    #[error("reading was cut off: {0}")]
    Cut(#[from] JoinError),
}

/// An archive that has its digest.
#[derive(Debug)]
pub struct Opened {
    sha256: String,
    file: Arc<File>,
    length: u64,
}

impl Opened {
    /// How many bytes it has.
    pub fn length(&self) -> u64 {
        self.length
    }
}

type Cell<T> = Arc<OnceCell<T>>;

/// The last used, by archive, or by archive and place.
type Used<K, T> = Arc<Mutex<LruCache<K, Cell<T>>>>;

/// The archives.
#[derive(Debug, Clone)]
pub struct Archives {
    store: Store,
    place: Arc<Path>,
    open: Used<String, Arc<Opened>>,
    blocks: Used<(String, u64), Bytes>,
    readers: Arc<Semaphore>,
}

impl Archives {
    /// With files in this directory.
    pub fn new(store: Store, place: &Path) -> Self {
        Self {
            store,
            place: place.into(),
            open: Arc::new(Mutex::new(LruCache::new(OPEN))),
            blocks: Arc::new(Mutex::new(LruCache::new(BLOCKS))),
            readers: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// An archive, whole and with its digest. Whoever asks at the same time waits for the one who looks.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn open(&self, sha256: &str) -> Result<Arc<Opened>, ArchiveError> {
        let cell = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(open.get_or_insert(sha256.to_owned(), Cell::default))
        };

        cell.get_or_try_init(|| self.opened(sha256)).await.cloned()
    }

    /// The block at a place that is a multiple of [`BLOCK`].
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn block(&self, of: &Opened, at: u64) -> Result<Bytes, ArchiveError> {
        let cell = {
            let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(blocks.get_or_insert((of.sha256.clone(), at), Cell::default))
        };
        let read = || async {
            let _turn = self.readers.acquire().await;
            let (file, length) = (Arc::clone(&of.file), of.length.saturating_sub(at).min(BLOCK));
            spawn_blocking(move || {
                let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
                file.read_exact_at(&mut bytes, at)?;
                Ok(Bytes::from(bytes))
            })
            .await?
        };

        cell.get_or_try_init(read).await.cloned()
    }

    /// Keeps the files of these archives alone, and has them all here before somebody asks.
    pub async fn keep(&self, named: &BTreeSet<String>) {
        let (place, keep) = (Arc::clone(&self.place), named.clone());
        if let Ok(Err(error)) = spawn_blocking(move || forget(&place, &keep)).await {
            warn!(error = %error, "Archives that nobody has any more are still on this disk");
        }
        for sha256 in named {
            if let Err(error) = self.open(sha256).await {
                warn!(error = %error, "An archive is not here yet");
            }
        }
    }

    async fn opened(&self, sha256: &str) -> Result<Arc<Opened>, ArchiveError> {
        let _turn = self.readers.acquire().await;
        let path = self.place.join(format!("{sha256}.zip"));
        let (at, name) = (path.clone(), sha256.to_owned());
        if let Some(opened) = spawn_blocking(move || known(&at, &name)).await?? {
            return Ok(Arc::new(opened));
        }
        self.fetch(sha256, &path).await?;
        let (at, name) = (path.clone(), sha256.to_owned());
        let opened = spawn_blocking(move || known(&at, &name)).await??;

        opened.map(Arc::new).ok_or_else(|| ArchiveError::Lost(sha256.to_owned()))
    }

    /// Makes the file from the database's parts, in one step for whoever reads it.
    async fn fetch(&self, sha256: &str, path: &Path) -> Result<(), ArchiveError> {
        let lost = || ArchiveError::Lost(sha256.to_owned());
        let length = self.store.archive(sha256).await?.ok_or_else(lost)?;
        settings::directory(&self.place)?;
        let beside = path.with_extension(format!("new-{}", hex(&keys::random::<8>()?)));
        let mut file = File::create(&beside)
            .map_err(|source| FileError::Write { path: beside.clone(), source })?;
        let (mut part, mut written) = (0, 0_u64);
        while written < length {
            let bytes = self.store.archive_part(sha256, part).await?.ok_or_else(lost)?;
            let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            file = spawn_blocking(move || file.write_all(&bytes).map(|()| file)).await??;
            written = written.saturating_add(more.max(1));
            part = part.saturating_add(1);
        }
        drop(file);
        fs::rename(&beside, path)
            .map_err(|source| FileError::Write { path: path.to_owned(), source })?;

        Ok(())
    }
}

/// The file, if it is there and has its digest; one that has not is taken away.
fn known(path: &Path, sha256: &str) -> io::Result<Option<Opened>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let (mut digest, mut length) = (Sha256::new(), 0_u64);
    let mut buffer = vec![0; usize::try_from(BLOCK).unwrap_or_default()];
    let mut reader = &file;
    loop {
        let more = reader.read(&mut buffer)?;
        if more == 0 {
            break;
        }
        digest.update(buffer.get(..more).unwrap_or_default());
        length = length.saturating_add(u64::try_from(more).unwrap_or_default());
    }
    if hex(&digest.finalize()) != sha256 {
        fs::remove_file(path)?;
        return Ok(None);
    }

    Ok(Some(Opened { sha256: sha256.to_owned(), file: Arc::new(file), length }))
}

/// Takes away what is not named.
fn forget(place: &Path, named: &BTreeSet<String>) -> io::Result<()> {
    let entries = match fs::read_dir(place) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path: PathBuf = entry?.path();
        let stays = if path.extension().is_some_and(|it| it == "zip") {
            path.file_stem().and_then(|it| it.to_str()).is_some_and(|it| named.contains(it))
        } else {
            // Being made at this moment, or left behind.
            fs::metadata(&path)?.modified()?.elapsed().is_ok_and(|age| age < LEFT_BEHIND)
        };
        if !stays {
            fs::remove_file(&path)?;
        }
    }

    Ok(())
}
