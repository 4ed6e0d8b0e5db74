//! The signing keys of a sidecar that serves: read when it starts, and followed from then on.

use super::{KeyError, Listing, Live, Ring, SigningKey, listing, retire, signer};
use crate::counters::Counters;
use crate::identity::Identity;
use crate::settings::Settings;
use crate::store::Store;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The keys, and how they were when they were read.
#[derive(Debug)]
pub struct Kept {
    seen: Listing,
    elsewhere: Vec<SigningKey>,
    live: watch::Sender<Live>,
}

impl Kept {
    /// Reads them.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(settings: &Settings, identity: &Identity) -> Result<Self, KeyError> {
        let directory = settings.data.signing();
        let seen = listing(&directory);
        let elsewhere = signer::keys(settings.token_signer.as_ref())?;
        let ring = Ring::read_with(&directory, &elsewhere)?.offering(identity.tiers());

        Ok(Self { seen, elsewhere, live: watch::Sender::new(Live::new(ring)) })
    }

    /// What they are, now and later.
    pub fn now(&self) -> watch::Receiver<Live> {
        self.live.subscribe()
    }

    /// Follows the directory, and lets keys retire.
    pub fn follow(
        self,
        settings: &Settings,
        store: &Store,
        counters: &Arc<Counters>,
        watching: &mut JoinSet<()>,
    ) {
        let directory = settings.data.signing();
        let (now, ttl) = (self.now(), settings.token_ttl);
        watching.spawn(retire::watch(directory.clone(), now, ttl, store.clone()));
        let kept = (directory, self.elsewhere);
        watching.spawn(super::watch(kept, self.seen, self.live, Arc::clone(counters)));
    }
}
