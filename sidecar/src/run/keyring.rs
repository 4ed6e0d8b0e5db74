//! The signing keys of a sidecar that serves.

use crate::counters::Counters;
use crate::identity::Identity;
use crate::keys::{self, Live, Ring, SigningKey};
use crate::settings::Settings;
use crate::store::Store;
use anyhow::Result;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The signing keys, as they are read and followed.
pub(super) struct Keyring {
    live: watch::Sender<Live>,
    /// As they are now.
    pub(super) now: watch::Receiver<Live>,
    elsewhere: Vec<SigningKey>,
    seen: keys::Listing,
}

impl Keyring {
    /// Reads them: a sidecar without a key that signs does not start.
    pub(super) fn read(settings: &Settings, identity: &Identity) -> Result<Self> {
        let directory = settings.data.signing();
        let seen = keys::listing(&directory);
        let elsewhere = keys::signer::keys(settings.token_signer.as_ref())?;
        let ring = Ring::read_with(&directory, &elsewhere)?.offering(identity.tiers());
        let (live, now) = watch::channel(Live::new(ring));

        Ok(Self { live, now, elsewhere, seen })
    }

    /// Follows the directory, and takes away what has signed its last token.
    pub(super) fn watch(
        self,
        watching: &mut JoinSet<()>,
        settings: &Settings,
        store: &Store,
        counters: &Arc<Counters>,
    ) {
        let (directory, ttl) = (settings.data.signing(), settings.token_ttl);
        let kept = (directory.clone(), self.elsewhere);
        watching.spawn(keys::watch(kept, self.seen, self.live, Arc::clone(counters)));
        watching.spawn(keys::retire::watch(directory, self.now, ttl, store.clone()));
    }
}
