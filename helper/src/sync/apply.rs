//! The half that runs as the system: from what lies in the inboxes to what stands in the folder of plugins.
//!
//! In this order, and nothing is written before all before it went well: the pinned keys; what a run before left undone; what
//! stands, by its own signed document; one document of the inboxes; what then has to stand, beside what does; the archives,
//! copied first and looked at then; the whole new tree; the switch.

mod round;
mod told;

use super::choose::{Candidate, Choice, Judge};
use super::disk::{Disk, there};
use super::inbox;
use super::pins;
use super::places::Settings;
use super::record::{self, Check, Log};
use super::stage::Stage;
use super::state::{State, Store};
use super::switch::Place;
use super::trouble::{Trouble, at};
use contract::envelope::{LARGEST, PinnedKey};
use contract::manifest::{self, Known, LastSync, Manifest, SyncResult};
use round::Round;
use told::Told;
pub use told::writable;

/// One run.
#[derive(Debug)]
pub struct Run<'a> {
    /// What holds here.
    pub settings: &'a Settings,
    /// The disk.
    pub disk: &'a Disk,
    /// Unix seconds.
    pub now: u64,
    /// Only says what would be done.
    pub dry_run: bool,
}

/// How it went.
#[derive(Debug)]
pub struct Outcome {
    /// As `last-sync.json` has it.
    pub last: LastSync,
    /// Why it came to nothing, if it did.
    pub trouble: Option<Trouble>,
    /// Each check.
    pub log: Log,
}

/// A document and its envelope.
type Signed = (Manifest, Vec<u8>);

impl Run<'_> {
    /// Runs.
    ///
    /// # Errors
    /// [`Trouble`], where not even `last-sync.json` could be written. Other troubles are in the [`Outcome`].
    pub fn run(&self) -> Result<Outcome, Trouble> {
        let store = if self.dry_run {
            Store::look(&self.settings.state, self.disk)
        } else {
            Store::open(&self.settings.state, self.disk)?
        };
        let lock = if self.dry_run { None } else { Some(store.lock()?) };
        let mut log = Log { at: self.now, checks: Vec::new() };
        let mut told = Told::default();
        let mut state = store.read()?;
        // Before it may be mended: that it was so is what matters.
        let scratch = if self.dry_run { std::env::temp_dir() } else { self.settings.state.clone() };
        told.user_writable(&self.settings.mount, &scratch);
        let outcome = self.attempt(&store, &mut state, &mut told, &mut log);
        let trouble = outcome.err();
        let last = told.last_sync(&state, trouble.as_ref(), self.now);
        log.add(Check {
            check: "run",
            result: last.result.as_str(),
            detail: last.problem.clone().unwrap_or_default(),
            code: trouble.as_ref().map(Trouble::code),
            ..Check::default()
        });
        // Behind a link nothing of this is ours, and who laid it chose where it leads.
        if !self.dry_run && self.is_folder() {
            let written = record::write(&self.settings.mount, self.disk, &last, &log);
            // What went wrong first is what is told.
            if trouble.is_none() {
                written?;
            }
        }
        drop(lock);

        Ok(Outcome { last, trouble, log })
    }

    fn attempt(
        &self,
        store: &Store<'_>,
        state: &mut State,
        told: &mut Told,
        log: &mut Log,
    ) -> Result<(), Trouble> {
        if state.drawn && !self.dry_run {
            store.write(state)?;
        }
        let mount = &self.settings.mount;
        let place = Place { mount, store, disk: self.disk };
        let pins = pins::read(&self.settings.pins)
            .inspect_err(|trouble| log.add(Check::bad("pins", trouble)))?;
        let names: Vec<&str> = pins.iter().map(|pin| pin.key_id.as_str()).collect();
        log.add(Check::good("pins", names.join(", ")));
        self.mount()?;
        if !self.dry_run {
            let recovered = place.recover()?;
            told.left(&recovered.left);
            if recovered.finished {
                log.add(Check::good("switch", "one that was broken off is finished"));
            }
        }
        self.forget(store, state, &pins, log)?;
        let standing = self.standing(store, state, &pins, log)?;
        told.stands(standing.as_ref(), state);
        let inboxes = inbox::all(&self.settings.inbox)?;
        let judge = Judge {
            pins: &pins,
            known: state.known.as_ref(),
            audience: self.settings.audience.as_deref(),
            now: self.now,
        };
        let mut choice = judge.choose(&inboxes, log);
        self.hold(store, state, &mut choice)?;
        let is_new = choice.newer.is_some();
        let mut from = state.inbox.clone();
        let target = match choice.newer.take() {
            Some(Candidate { manifest, envelope, inbox, .. }) => {
                from = Some(inbox);
                Some((manifest, envelope))
            }
            None => standing.clone(),
        };
        if let Some(target) = &target {
            let round = Round { run: self, place, pins: &pins, inboxes: &inboxes };
            let seen = round.see_to(target, standing.as_ref().filter(|_| is_new), state, told, log);
            // What was laid ready for nothing makes room.
            seen.inspect_err(|_trouble| {
                let live = super::disk::read(&self.settings.standing(), LARGEST as u64);
                // The switch may have gone well, and what came after it not.
                let stands = live.is_ok_and(|live| live.as_ref() == Some(&target.1));
                let now = if stands { Some(target) } else { standing.as_ref() };
                let now = now.map(|(manifest, _)| manifest);
                let _left = !self.dry_run && Stage::tidy(store, self.disk, now).is_err();
            })?;
        }
        told.refused(choice, is_new, target.is_some(), from.as_deref())?;
        self.remember(store, state, from)?;
        if !self.dry_run {
            Stage::tidy(store, self.disk, target.as_ref().map(|(manifest, _)| manifest))?;
        }

        Ok(())
    }

    /// Is there a folder of plugins, or can there be one?
    fn is_folder(&self) -> bool {
        there(&self.settings.mount).is_ok_and(|about| about.is_none_or(|about| about.is_dir()))
    }

    /// The folder of plugins is a folder, and not a link to one.
    fn mount(&self) -> Result<(), Trouble> {
        let path = &self.settings.mount;
        match there(path).map_err(at(path))? {
            Some(about) if about.is_dir() => Ok(()),
            Some(about) => {
                let why = if about.is_symlink() { "it is a link" } else { "it is a file" };
                Err(Trouble::Mount { path: path.clone(), why })
            }
            None if self.dry_run => Ok(()),
            None => self.disk.ensure_folder(path).map_err(at(path)),
        }
    }

    /// What a key has said that is pinned no longer does not bind.
    fn forget(
        &self,
        store: &Store<'_>,
        state: &mut State,
        pins: &[PinnedKey],
        log: &mut Log,
    ) -> Result<(), Trouble> {
        let before = state.clone();
        let bytes = store.standing()?.unwrap_or_default();
        let standing = manifest::open(&bytes, pins).ok();
        let standing = standing
            .filter(|it| state.known.as_ref().is_some_and(|known| known.sha256 == it.sha256()));
        if state.forget(pins, standing.as_ref().and_then(|it| pins::of(it, pins))) {
            log.add(Check::good("pins", "what a key said that is pinned no longer is forgotten"));
        }
        if *state == before || self.dry_run {
            return Ok(());
        }

        store.write(state)
    }

    /// The document that stands: as the folder of plugins has it, if that is newer than what is known (the power was cut
    /// between the two), else as it is kept.
    fn standing(
        &self,
        store: &Store<'_>,
        state: &mut State,
        pins: &[PinnedKey],
        log: &mut Log,
    ) -> Result<Option<Signed>, Trouble> {
        let path = self.settings.standing();
        // A file that somebody put there may be anything: then it is not what stands.
        let live = super::disk::read(&path, LARGEST as u64).unwrap_or_default();
        let live = live.and_then(|bytes| Some((manifest::open(&bytes, pins).ok()?, bytes)));
        let newer = live.filter(|(manifest, _)| {
            let document = manifest.document();
            let pinned = self.settings.audience.as_ref();
            let is_ours = pinned.is_none_or(|pinned| *pinned == document.audience);
            match &state.known {
                None => is_ours,
                Some(known) if known.sha256 == manifest.sha256() => true,
                // The power was cut; or somebody who can write there wants it to look so.
                Some(known) => {
                    is_ours
                        && document.catalogue == known.catalogue
                        && (document.version > known.version
                            || (document.version == known.version
                                && document.audience != known.audience))
                        && document.issued_at <= self.now.saturating_add(manifest::SKEW)
                }
            }
        });
        if let Some((manifest, bytes)) = newer {
            if state.known.as_ref() != Some(&Known::of(&manifest)) {
                log.add(
                    Check::good("switch", "stands already, and was not written down").of(&manifest),
                );
                self.know(store, state, &manifest, &bytes, pins)?;
            }
            return Ok(Some((manifest, bytes)));
        }
        let Some(bytes) = store.standing()? else { return Ok(None) };
        match manifest::open(&bytes, pins) {
            Ok(manifest)
                if state.known.as_ref().is_none_or(|it| it.sha256 == manifest.sha256()) =>
            {
                Ok(Some((manifest, bytes)))
            }
            Ok(_) => Ok(None),
            Err(error) => {
                // Its key is pinned no longer. It stays until a document comes that is believed.
                log.add(Check::bad("standing", &error.into()));
                Ok(None)
            }
        }
    }

    fn know(
        &self,
        store: &Store<'_>,
        state: &mut State,
        manifest: &Manifest,
        envelope: &[u8],
        pins: &[PinnedKey],
    ) -> Result<(), Trouble> {
        state.known = Some(Known::of(manifest));
        state.key = pins::of(manifest, pins).cloned();
        state.applied_at = self.now;
        if state.held.as_ref().is_some_and(|held| held.version <= manifest.document().version) {
            state.held = None;
        }
        if self.dry_run {
            return Ok(());
        }
        store.write_standing(envelope)?;

        store.write(state)
    }

    /// From whose inbox it was taken that stands.
    fn remember(
        &self,
        store: &Store<'_>,
        state: &mut State,
        from: Option<String>,
    ) -> Result<(), Trouble> {
        if state.inbox == from {
            return Ok(());
        }
        state.inbox = from;

        if self.dry_run { Ok(()) } else { store.write(state) }
    }

    /// Revocations of a document that came too late are kept before they are obeyed.
    fn hold(
        &self,
        store: &Store<'_>,
        state: &mut State,
        choice: &mut Choice,
    ) -> Result<(), Trouble> {
        let Some(held) = choice.held.take() else { return Ok(()) };
        let version = state.held.as_ref().map(|held| held.version);
        if version.is_none_or(|version| version < held.version) {
            state.held = Some(held);
            if !self.dry_run {
                store.write(state)?;
            }
        }

        Ok(())
    }
}

/// How it ended, when nothing went wrong.
pub(super) fn result(is_new: bool, stale: bool) -> SyncResult {
    match (is_new, stale) {
        (_, true) => SyncResult::Stale,
        (true, false) => SyncResult::Applied,
        (false, false) => SyncResult::Unchanged,
    }
}
