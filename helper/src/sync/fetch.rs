//! The half that runs as the person: the document and its archives, from the gateway into the person's inbox.

mod archives;
mod post;
mod told;
mod wire;

use super::args::Fetch as Args;
use super::disk;
use super::pins;
use super::places::{Os, Settings, root};
use super::record;
use super::status::summary;
use crate::cache::{self, now};
use crate::chance;
use crate::config::Config;
use crate::failure::Failure;
use crate::home::Home;
use crate::ladder::Ladder;
use crate::run;
use crate::say;
use archives::Archives;
use contract::envelope::{LARGEST, PinnedKey};
use contract::manifest::{self, Freshness, Known, LastSync, Manifest, Rejected, SyncResult};
use post::Post;
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::time::{Duration, Instant};
use wire::{Answer, Wire};

/// In the helper's directory: what was fetched last.
pub const MEMORY: &str = "sync.json";

/// How long a second run waits for the first.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks at `last-sync.json`.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// A laptop with no news says so this often, in seconds.
const STILL_HERE: u64 = 3600;

/// What a run remembers for the next.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    /// Of the document that lies in the inbox, as the gateway gave it.
    #[serde(default)]
    etag: Option<String>,
    /// SHA-256 of the bytes it was given for.
    #[serde(default)]
    envelope: Option<String>,
    /// What the gateway was told last, without the times in it, and when.
    #[serde(default)]
    told: String,
    /// Unix seconds.
    #[serde(default)]
    told_at: u64,
}

/// What a machine's configuration says of a sync.
///
/// # Errors
/// [`Failure::Sync`] where none is installed.
pub fn settings(config: &Config) -> Result<Settings, Failure> {
    match &config.sync {
        Some(member) => Ok(Settings::new(member, Os::HERE, root().as_deref())),
        None => Err(Failure::Sync {
            code: "not_installed".into(),
            problem: "no sync is installed here (`tollgate-helper install`)".into(),
        }),
    }
}

/// Fetches.
///
/// # Errors
/// [`Failure`].
pub fn fetch(home: &Home, args: &Args) -> Result<(), Failure> {
    let config = Config::load(home)?;
    let settings = settings(&config)?;
    std::thread::sleep(by_chance(args.jitter));
    home.create()?;
    let lock = lock(home)?;
    let mut round = Round::new(home, &config, &settings, args)?;
    let outcome = round.fetch();
    if args.dry_run {
        return outcome.map(drop);
    }
    if matches!(outcome, Ok(SyncResult::Applied)) {
        round.wait(Duration::from_secs(args.wait));
    }
    round.report(&outcome);
    round.remember();
    drop(lock);

    outcome.map(drop)
}

/// So that not all laptops ask in the same second.
fn by_chance(most: u64) -> Duration {
    let drawn = chance::bytes().map_or(0, u64::from_le_bytes);

    Duration::from_millis(drawn.checked_rem(most.saturating_mul(1000)).unwrap_or_default())
}

fn lock(home: &Home) -> Result<File, Failure> {
    let path = home.file("sync.lock");
    let failed = |source| Failure::Unwritable { path: path.clone(), source };
    let started = Instant::now();
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).map_err(failed)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if started.elapsed() > PATIENCE => {
                return Err(Failure::Busy(started.elapsed().as_secs()));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_LOOKS),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
}

struct Round<'a> {
    home: &'a Home,
    config: &'a Config,
    settings: &'a Settings,
    args: &'a Args,
    pins: Vec<PinnedKey>,
    post: Post,
    memory: Memory,
    wire: Option<Wire<'a>>,
    /// What the system's half said before this run.
    before: Option<LastSync>,
    /// The document that the gateway gave.
    given: Option<Manifest>,
}

impl<'a> Round<'a> {
    fn new(
        home: &'a Home,
        config: &'a Config,
        settings: &'a Settings,
        args: &'a Args,
    ) -> Result<Self, Failure> {
        let memory = match home.read(MEMORY) {
            Ok(text) => text.and_then(|text| serde_json::from_str(&text).ok()),
            Err(_unusable) => None,
        };
        let post = if args.dry_run {
            Post::look(&settings.inbox, home)
        } else {
            Post::open(&settings.inbox, home)?
        };

        Ok(Self {
            home,
            config,
            settings,
            args,
            pins: pins::read(&settings.pins).map_err(super::trouble::Trouble::into_failure)?,
            post,
            memory: memory.unwrap_or_default(),
            wire: None,
            before: record::read(&settings.last_sync()),
            given: None,
        })
    }

    fn fetch(&mut self) -> Result<SyncResult, Failure> {
        let here = self.post.document();
        let bytes = match &self.args.from {
            Some(path) => post::read(path)?,
            None => match self.ask(here.as_deref())? {
                Some(bytes) => bytes,
                None => here.clone().unwrap_or_default(),
            },
        };
        let manifest =
            manifest::open(&bytes, &self.pins).map_err(|error| not_taken(error.code(), &error))?;
        let known = self.known();
        self.given = Some(manifest.clone());
        let fresh = manifest.follows(known.as_ref(), self.settings.audience.as_deref(), now());
        let is_here = here.as_deref() == Some(bytes.as_slice());
        let fresh = match fresh {
            Ok(fresh) => fresh,
            Err(rejected) => {
                // What it takes back counts all the same: the system's half looks after that.
                if matches!(rejected, Rejected::Expired(_)) && !is_here && !self.args.dry_run {
                    self.post.put(&bytes)?;
                }
                return Err(not_taken(rejected.code(), &format!("the document {rejected}")));
            }
        };
        if fresh == Freshness::Stale {
            say("The document has expired: nothing new comes from it.");
            return Ok(SyncResult::Stale);
        }
        if self.args.dry_run {
            self.only_say(&manifest, fresh);
            return Ok(SyncResult::Unchanged);
        }
        let count = self.archives(&manifest)?;
        let document = manifest.document();
        if is_here && count == 0 && fresh == Freshness::Same {
            say(&format!("Version {} for {} stands.", document.version, document.audience));
            return Ok(SyncResult::Unchanged);
        }
        if is_here {
            self.post.ring();
        } else {
            self.post.put(&bytes)?;
        }
        say(&format!(
            "Version {} for {} lies in the inbox, {count} archives with it.",
            document.version, document.audience
        ));

        Ok(if fresh == Freshness::New || count > 0 {
            SyncResult::Applied
        } else {
            SyncResult::Unchanged
        })
    }

    /// The gateway's document; none if the one that lies here is it.
    fn ask(&mut self, here: Option<&[u8]>) -> Result<Option<Vec<u8>>, Failure> {
        let digest = here.map(manifest::sha256);
        let etag =
            self.memory.etag.clone().filter(|_| digest.is_some() && digest == self.memory.envelope);
        let answer = match self.wire(false)?.manifest(etag.as_deref()) {
            // The token kept may have been taken back: a new one is tried once.
            Err(Failure::Refused { status: 401, .. }) => {
                self.wire(true)?.manifest(etag.as_deref())?
            }
            other => other?,
        };
        match answer {
            Answer::Same if etag.is_some() => Ok(None),
            Answer::Same => Err(Failure::Answer {
                gateway: self.config.gateway()?.url.clone(),
                status: 304,
                retry_after: None,
            }),
            Answer::Document { bytes, etag } => {
                self.memory.envelope = Some(manifest::sha256(&bytes));
                self.memory.etag = etag;
                Ok(Some(bytes))
            }
        }
    }

    fn wire(&mut self, anew: bool) -> Result<&Wire<'a>, Failure> {
        if anew {
            cache::remove(self.home)?;
            self.wire = None;
        }
        let wire = if let Some(wire) = self.wire.take() {
            wire
        } else {
            let gateway = self.config.gateway()?;
            let answer = run::answer(self.home, self.config, gateway, self.config.ttl)?;
            Wire::new(gateway, &Ladder::plain(self.config), answer.token)?
        };

        Ok(self.wire.insert(wire))
    }

    /// What stands, by its own signature.
    fn known(&self) -> Option<Known> {
        let most = u64::try_from(LARGEST).unwrap_or(u64::MAX);
        let bytes = disk::read(&self.settings.standing(), most).ok()??;

        manifest::open(&bytes, &self.pins).ok().as_ref().map(Known::of)
    }

    /// Brings the archives that are neither in place nor in the inbox; says how many.
    fn archives(&mut self, manifest: &Manifest) -> Result<usize, Failure> {
        let plugins = &manifest.document().plugins;
        let missing: Vec<_> = plugins.iter().filter(|it| !self.stands(it)).collect();
        let beside = self.args.from.as_deref().and_then(|path| path.parent());
        let here = Archives { post: &self.post, beside };
        let missing = here.lay(&missing)?;
        let count = missing.len();
        if count > 0 {
            self.wire(false)?;
            if let Some(wire) = &self.wire {
                Archives { post: &self.post, beside }.fetch(wire, &missing)?;
            }
        }
        self.post.tidy(manifest);

        Ok(count)
    }

    fn stands(&self, plugin: &manifest::Plugin) -> bool {
        let Some(last) = &self.before else { return false };
        // It could not be mended from what is there.
        let lacks = matches!(last.code.as_deref(), Some("archive_missing" | "archive_differs"));
        let Some(standing) = last.standing.as_ref().filter(|_| !lacks) else { return false };

        standing
            .plugins
            .iter()
            .any(|it| it.name == plugin.name && it.directory_sha256 == plugin.directory_sha256)
    }

    fn only_say(&self, manifest: &Manifest, fresh: Freshness) {
        let document = manifest.document();
        say(&format!(
            "Version {} for {}, signed by {}: {}.",
            document.version,
            document.audience,
            manifest.key_id(),
            if fresh == Freshness::New { "it would be laid into the inbox" } else { "it stands" }
        ));
        for plugin in document.plugins.iter().filter(|it| !self.stands(it)) {
            if !self.post.has(&plugin.archive) {
                say(&format!(
                    "Would fetch {} {}, {} bytes.",
                    plugin.name, plugin.version, plugin.archive.bytes
                ));
            }
        }
    }

    /// Waits until the system's half has been at it.
    fn wait(&self, patience: Duration) {
        let started = Instant::now();
        while started.elapsed() < patience {
            let last = record::read(&self.settings.last_sync());
            if let Some(last) = last.filter(|last| self.before.as_ref() != Some(last)) {
                return say(&format!("The system's half: {}.", summary(&last)));
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }

    /// Tells the gateway how it went. That it cannot be told is no failure of the sync.
    fn report(&mut self, outcome: &Result<SyncResult, Failure>) {
        let report =
            told::report(outcome, self.given.as_ref(), record::read(&self.settings.last_sync()));
        let news = told::news(&report);
        let recent =
            now().saturating_sub(self.memory.told_at) < STILL_HERE && self.memory.told_at <= now();
        if recent && news == self.memory.told {
            return;
        }
        // Who could not be asked for the document cannot be told either.
        let Some(wire) = &self.wire else { return };
        match wire.report(&report) {
            Ok(()) => {
                self.memory.told = news;
                self.memory.told_at = now();
            }
            Err(failure) => say(&format!("the gateway was not told: {failure}")),
        }
    }

    fn remember(&self) {
        let text = serde_json::to_string(&self.memory).unwrap_or_default();
        if let Err(failure) = self.home.write(MEMORY, &text) {
            say(&format!("{failure}: the next run asks for all of it again"));
        }
    }
}

fn not_taken(code: &str, problem: &dyn std::fmt::Display) -> Failure {
    Failure::Sync { code: code.to_owned(), problem: record::short(&problem.to_string()) }
}
