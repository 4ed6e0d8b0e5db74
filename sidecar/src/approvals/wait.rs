//! Agents that wait for a person: a few of each user's at once, and never longer than the policy says.

use super::Approvals;
use crate::clock;
use crate::store::StoreError;
use crate::store::approvals::{Approval, State};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Most of one user that wait at once; who is one too many is answered at once.
const OF_ONE: usize = 20;

/// Most that wait at one sidecar.
const OF_ALL: usize = 512;

/// How often one looks: another sidecar, or a command, may have decided.
const LOOK: Duration = Duration::from_millis(500);

type Who = (String, String);

/// Who waits, by tenant and user.
#[derive(Debug, Default)]
pub struct Waits(Mutex<BTreeMap<Who, usize>>);

/// A place among those who wait; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    waits: Arc<Waits>,
    who: Who,
}

impl Waits {
    /// A place, if there is one.
    pub fn place(self: &Arc<Self>, tenant: &str, user: &str) -> Option<Place> {
        let who = (tenant.to_owned(), user.to_owned());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let everybody: usize = all.values().sum();
        let theirs = all.get(&who).copied().unwrap_or_default();
        if theirs >= OF_ONE || everybody >= OF_ALL {
            return None;
        }
        all.insert(who.clone(), theirs.saturating_add(1));
        drop(all);

        Some(Place { waits: Arc::clone(self), who })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.waits.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(theirs) = all.get_mut(&self.who) {
            *theirs = theirs.saturating_sub(1);
            if *theirs == 0 {
                all.remove(&self.who);
            }
        }
    }
}

impl Approvals {
    /// The request when it is decided, or as it is when the time is up or the sidecar stops.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn waited(
        &self,
        approval: Approval,
        seconds: u64,
        place: Place,
    ) -> Result<Approval, StoreError> {
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut draining = self.draining.clone();
        let mut now_known = approval;
        while now_known.standing(clock::now()) == State::Open
            && Instant::now() < end
            && !*draining.borrow()
        {
            tokio::select! {
                () = sleep(LOOK) => {}
                told = draining.changed() => if told.is_err() { break },
            }
            now_known = self.sign_in.store.approval(&now_known.id).await?.unwrap_or(now_known);
        }
        drop(place);

        Ok(now_known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_so_many_places_and_each_comes_back() {
        let waits = Arc::new(Waits::default());
        let taken: Vec<Place> = (0..OF_ONE).map(|_| waits.place("acme", "ann").unwrap()).collect();

        assert!(waits.place("acme", "ann").is_none());
        assert!(waits.place("other", "ann").is_some(), "another's are another's");
        drop(taken);
        assert!(waits.place("acme", "ann").is_some());
        assert!(waits.0.lock().unwrap().len() <= 1, "nothing is kept of who has gone");
    }
}
