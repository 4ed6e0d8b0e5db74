//! The rest of a run, once it is known what has to stand.

use super::{Run, Signed, told::Told};
use crate::sync::disk::there;
use crate::sync::inbox::Inbox;
use crate::sync::places::Foreign;
use crate::sync::record::{Check, Log};
use crate::sync::stage::Stage;
use crate::sync::state::State;
use crate::sync::switch::{How, Place};
use crate::sync::trouble::{Trouble, at};
use crate::sync::wanted::{Found, Wanted};
use contract::envelope::PinnedKey;
use contract::manifest::{Known, OnExpiry};

/// The rest of a run.
pub(super) struct Round<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) place: Place<'a>,
    pub(super) pins: &'a [PinnedKey],
    pub(super) inboxes: &'a [Inbox],
}

impl Round<'_> {
    /// `before`: what stood there, if another document is to stand.
    pub(super) fn see_to(
        &self,
        (manifest, envelope): &Signed,
        before: Option<&Signed>,
        state: &mut State,
        told: &mut Told,
        log: &mut Log,
    ) -> Result<(), Trouble> {
        let Self { run: Run { settings, disk, now, dry_run }, place, pins, inboxes } = self;
        let is_new = state.known.as_ref() != Some(&Known::of(manifest));
        let document = manifest.document();
        let now = state.known.as_ref().map_or(*now, |known| known.issued_at.max(*now));
        told.stale = now >= document.expires_at;
        let nothing =
            told.stale && (document.on_expiry == OnExpiry::Remove || settings.remove_on_expiry);
        let wanted = Wanted::new(manifest, envelope, state.held.as_ref(), nothing);
        let found = wanted.compare(&settings.mount).map_err(at(&settings.mount))?;
        let gone = self.gone(&wanted, &found, before, state);
        let is_whole = found.is_whole() && gone.is_empty();
        log.add(Check {
            result: match (is_whole, is_new) {
                (true, _) => "ok",
                (false, true) => "changes",
                (false, false) => "failed",
            },
            code: (!is_whole && !is_new).then_some("changed"),
            ..Check::good("tree", Told::changes(&found, &gone, before)).of(manifest)
        });
        if is_whole && !is_new {
            return told.now(&wanted, state);
        }
        if *dry_run {
            told.done(&found, &gone, before, is_new);
            return Ok(());
        }
        if !is_whole {
            let (mount, store, staging) = (place.mount, place.store, &place.staging());
            let build = Stage { mount, staging, store, inboxes, disk };
            // With foreign entries to keep there is no whole to change places with.
            let as_a_whole = settings.foreign == Foreign::Remove;
            let switched = build
                .build(&wanted, &found, log)
                .and_then(|()| place.switch(staging, &wanted, &found, &gone, as_a_whole));
            let how = switched.inspect_err(|trouble| {
                log.add(Check::bad("switch", trouble).of(manifest));
                self.clean();
            })?;
            let how = if how == How::Exchanged { "as a whole" } else { "plugin by plugin" };
            log.add(Check::good("switch", how).of(manifest));
        }
        if is_new {
            self.run.know(place.store, state, manifest, envelope, pins)?;
        }
        told.left(&place.clear()?);
        told.done(&found, &gone, before, is_new);

        told.now(&wanted, state)
    }

    /// After a failure: room for the next try. A journal stays, with what it needs.
    fn clean(&self) {
        if !there(&self.place.store.journal()).is_ok_and(|journal| journal.is_none()) {
            return;
        }
        let _left = self.place.clear().is_err();
    }

    /// What stands there and has to go.
    fn gone(
        &self,
        wanted: &Wanted<'_>,
        found: &Found,
        before: Option<&Signed>,
        state: &State,
    ) -> Vec<String> {
        let revoked = wanted.revoked(state.held.as_ref());
        let documents = [Some(wanted.manifest), before.map(|(manifest, _)| manifest)];
        let ours = |name: &str| {
            let plugins = documents.iter().flatten().flat_map(|it| &it.document().plugins);
            plugins.into_iter().any(|it| it.name.eq_ignore_ascii_case(name))
        };
        let goes = |name: &&String| match self.run.settings.foreign {
            Foreign::Remove => true,
            Foreign::Keep => revoked.contains(&name.to_ascii_lowercase()) || ours(name),
        };

        found.foreign.iter().filter(goes).cloned().collect()
    }
}
