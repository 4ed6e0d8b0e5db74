//! How old the standing is: since when the sidecar has not said that it is as we have it.
//!
//! The VM that fetches notes each answer where all VMs see it. An answer says itself how old it is
//! (`age`, RFC 9111 §5.1): a sidecar whose database is away answers with what it knew last.

use crate::host::{Host, HostError};
use std::cell::Cell;
use std::time::Duration;

/// Shared data: when the standing was last known to hold, Unix nanoseconds.
const CONFIRMED: &str = "tollgate.standing.confirmed";

/// From this age on it is told: some fetches have failed.
const OLD: Duration = Duration::from_secs(10);

/// The age as one VM knows it.
#[derive(Debug, Default)]
pub struct Age {
    confirmed: Cell<u64>,
}

impl Age {
    /// The sidecar has answered. What it answered is that many seconds old.
    ///
    /// # Errors
    /// If the host refuses.
    pub fn confirm(&self, host: &impl Host, now: u64, seconds: u64) -> Result<(), HostError> {
        let confirmed = now.saturating_sub(seconds.saturating_mul(1_000_000_000));
        host.share(CONFIRMED, &confirmed.to_le_bytes(), None)?;
        self.confirmed.set(confirmed);

        Ok(())
    }

    /// Takes over what another VM was answered.
    ///
    /// # Errors
    /// If the host refuses.
    pub fn refresh(&self, host: &impl Host) -> Result<(), HostError> {
        let confirmed = crate::gate::wide(&host.shared(CONFIRMED)?.value);
        self.confirmed.set(confirmed.unwrap_or_default());

        Ok(())
    }

    /// The age now. A time in the future is of a clock that was set back: as strange as one long past.
    pub fn now(&self, now: u64) -> Duration {
        Duration::from_nanos(now.abs_diff(self.confirmed.get()))
    }

    /// Is it older than that? What this VM knows of it is some tenths of a second old itself: before it
    /// says yes it looks again.
    ///
    /// # Errors
    /// If the host refuses.
    pub fn over(&self, host: &impl Host, now: u64, most: Duration) -> Result<bool, HostError> {
        if self.now(now) <= most {
            return Ok(false);
        }
        self.refresh(host)?;

        Ok(self.now(now) > most)
    }
}

/// Tells that the standing grows old, and that it is fresh again: once each.
#[derive(Debug, Default)]
pub struct Watch {
    told: Cell<bool>,
}

impl Watch {
    /// Looks at it; `most` is what the policy allows.
    pub fn look(&self, age: Duration, most: Option<Duration>) {
        let seconds = age.as_secs();
        match (age > OLD, self.told.replace(age > OLD)) {
            (true, false) => match most {
                Some(most) => log::warn!(
                    "the standing is {seconds} s old: who is stopped now is not known; calls are refused from {} s on",
                    most.as_secs()
                ),
                None => log::warn!(
                    "the standing is {seconds} s old: who is stopped now is not known; calls go on while their tokens last"
                ),
            },
            (false, true) => log::info!("the standing is known again"),
            (true, true) | (false, false) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeHost;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 1_800_000_000 * SECOND;

    #[test]
    fn what_one_vm_was_answered_keeps_it_young_in_all() {
        let host = FakeHost::default();
        let (one, two) = (Age::default(), Age::default());
        let most = Duration::from_secs(5);

        assert!(two.over(&host, START, most).unwrap(), "never heard of");
        one.confirm(&host, START, 0).unwrap();

        assert!(!two.over(&host, START + 5 * SECOND, most).unwrap(), "it looks before it says yes");
        assert!(two.over(&host, START + 6 * SECOND, most).unwrap());
        one.confirm(&host, START + 6 * SECOND, 0).unwrap();
        assert!(!two.over(&host, START + 7 * SECOND, most).unwrap());
    }

    #[test]
    fn an_old_answer_is_as_old_as_it_says() {
        let host = FakeHost::default();
        let age = Age::default();

        age.confirm(&host, START, 40).unwrap();

        assert_eq!(age.now(START + SECOND), Duration::from_secs(41));
        age.confirm(&host, START, u64::MAX).unwrap();
        assert!(age.now(START) > Duration::from_hours(1));
    }

    #[test]
    fn a_clock_set_back_makes_it_old_and_not_young_for_ever() {
        let host = FakeHost::default();
        let age = Age::default();
        age.confirm(&host, START, 0).unwrap();

        assert!(age.over(&host, START - 100 * SECOND, Duration::from_secs(5)).unwrap());
    }
}
