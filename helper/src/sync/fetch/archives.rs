//! The archives of a document: from beside it, or from the gateway; some at a time, and from where they broke off.

use super::post::{Part, Post};
use super::wire::Wire;
use crate::failure::Failure;
use crate::say;
use contract::manifest::Plugin;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many are fetched at a time.
const AT_A_TIME: usize = 4;

/// How often one that breaks off is gone on with.
const TRIES: usize = 4;

pub(super) struct Archives<'a> {
    pub(super) post: &'a Post,
    /// A folder that may have some.
    pub(super) beside: Option<&'a Path>,
}

impl Archives<'_> {
    /// Takes those that lie beside the document; says which are still missing, each once.
    pub(super) fn lay<'p>(&self, plugins: &[&'p Plugin]) -> Result<Vec<&'p Plugin>, Failure> {
        let mut seen = BTreeSet::new();
        let mut missing = Vec::new();
        for plugin in plugins {
            let archive = &plugin.archive;
            if self.post.has(archive) || !seen.insert(archive.sha256.as_str()) {
                continue;
            }
            let name = format!("{}.zip", archive.sha256);
            let places = self.beside.map(|it| [it.join("archives").join(&name), it.join(&name)]);
            let file = places.iter().flatten().find_map(|path| File::open(path).ok());
            match file {
                Some(mut file) => {
                    let mut part = Part::new(self.post, plugin)?;
                    part.take(&mut file, 0)?;
                    part.done()?;
                }
                None => missing.push(*plugin),
            }
        }

        Ok(missing)
    }

    /// Fetches these. What came of one that broke off stays for the next run.
    pub(super) fn fetch(&self, wire: &Wire<'_>, plugins: &[&Plugin]) -> Result<(), Failure> {
        let (next, failed) = (AtomicUsize::new(0), Mutex::new(None::<Failure>));
        let count = plugins.len();
        let work = || {
            while let Some(plugin) = plugins.get(next.fetch_add(1, Ordering::Relaxed)) {
                match self.one(wire, plugin) {
                    Ok(()) => say(&format!(
                        "fetched {} {}, {} bytes ({count} in all)",
                        plugin.name, plugin.version, plugin.archive.bytes
                    )),
                    Err(failure) => {
                        if let Ok(mut failed) = failed.lock() {
                            failed.get_or_insert(failure);
                        }
                        // The others would fare no better.
                        next.store(count, Ordering::Relaxed);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..count.min(AT_A_TIME) {
                scope.spawn(work);
            }
            work();
        });

        failed.into_inner().ok().flatten().map_or(Ok(()), Err)
    }

    fn one(&self, wire: &Wire<'_>, plugin: &Plugin) -> Result<(), Failure> {
        let mut part = Part::new(self.post, plugin)?;
        let mut tries = 0;
        while !part.is_full() {
            let (from, mut body) = wire.archive(&plugin.archive.sha256, part.length())?;
            match part.take(&mut body, from) {
                Ok(()) if part.is_full() => {}
                // It broke off.
                Ok(()) if tries < TRIES => tries += 1,
                Ok(()) => {
                    let error = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                    return Err(wire.unreachable(error.into()));
                }
                Err(failure) => return Err(failure),
            }
        }

        part.done()
    }
}
