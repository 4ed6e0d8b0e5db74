//! What the standing says of an exchange: may its caller still call, and how often?

use super::{Exchange, seconds};
use crate::host::Host;
use crate::refusal::Refusal;
use crate::snapshot::Bundle;
use crate::stages::authenticate::{self, Caller};
use crate::throttle;
use contract::standing::Stop;
use std::borrow::Cow;

/// What the client is told beside what every refusal of its kind says.
pub(super) struct Told {
    /// The sentence for the person.
    pub(super) message: Cow<'static, str>,
    /// `retry-after`, seconds.
    pub(super) retry_after: Option<u64>,
}

impl Exchange {
    /// Refuses whoever was stopped in the meantime.
    pub(super) fn still_stands(
        &self,
        host: &impl Host,
        caller: &Caller,
        now: u64,
    ) -> Result<(), Refusal> {
        self.gate.refresh(host)?;
        let latest = self.gate.snapshot().ok_or(Refusal::NotReady)?;
        authenticate::stands(caller, &self.gate.settings, &latest.board, seconds(now))?;

        self.fresh(host, &latest.bundle, now)
    }

    /// Refuses everybody, where the policy wants that, while it is not known who is stopped.
    pub(super) fn fresh(&self, host: &impl Host, bundle: &Bundle, now: u64) -> Result<(), Refusal> {
        match bundle.policy.standing_max_age() {
            Some(most) if self.gate.age.over(host, now, most)? => Err(Refusal::StandingStale),
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses who has had their calls of this minute, before their body is waited for.
    pub(super) fn has_room(
        &self,
        host: &impl Host,
        caller: &Caller,
        now: u64,
    ) -> Result<(), Refusal> {
        match self.wait(host, caller, now)? {
            None => Ok(()),
            Some(_) => Err(Refusal::Throttled),
        }
    }

    /// The same for a call that may be made, and counts it. What is refused does not come here.
    pub(super) fn take_room(
        &self,
        host: &impl Host,
        caller: &Caller,
        now: u64,
    ) -> Result<(), Refusal> {
        // All are looked at before any is counted: of two throttles the roomy one keeps its room. If
        // another worker is faster in between, one counts a call too many.
        self.has_room(host, caller, now)?;
        let latest = self.gate.snapshot().ok_or(Refusal::NotReady)?;
        for (key, per_minute) in latest.board.throttles(&caller.marks, seconds(now)) {
            if throttle::take(host, key, per_minute, now)?.is_some() {
                return Err(Refusal::Throttled);
            }
        }

        Ok(())
    }

    /// How long until all throttles have room, nanoseconds; `None` if they have.
    fn wait(&self, host: &impl Host, caller: &Caller, now: u64) -> Result<Option<u64>, Refusal> {
        let latest = self.gate.snapshot().ok_or(Refusal::NotReady)?;
        let mut longest = None;
        for (key, per_minute) in latest.board.throttles(&caller.marks, seconds(now)) {
            longest = longest.max(throttle::wait(host, key, per_minute, now)?);
        }

        Ok(longest)
    }

    /// What a client is told of this refusal. Where the standing cannot be asked, what all are told.
    pub(super) fn told(&self, host: &impl Host, refusal: Refusal) -> Told {
        let mut told = Told { message: self.sentence(refusal), retry_after: None };
        let now = host.now().unwrap_or(self.started);
        let caller = self.caller.as_deref();
        match refusal {
            Refusal::Throttled => {
                let wait = caller.and_then(|caller| self.wait(host, caller, now).ok()).flatten();
                // Rounded up: who comes a moment early is told again.
                told.retry_after = Some(seconds(wait.unwrap_or_default()).saturating_add(1));
            }
            Refusal::AccessPaused => {
                let board = self.gate.snapshot().map(|latest| latest.board);
                let stop = caller
                    .zip(board)
                    .and_then(|(caller, board)| board.stops(&caller.marks, seconds(now)));
                if let Some(Stop::Paused(until)) = stop {
                    let left = u64::from(until).saturating_sub(seconds(now));
                    told.message = format!("{} {}", refusal.message(), ends_in(left)).into();
                }
            }
            _ if refusal.status() == 503 => told.retry_after = Some(1),
            _ => {}
        }

        told
    }
}

/// For a person, who needs no seconds.
fn ends_in(left: u64) -> String {
    let minutes = left.div_ceil(60);
    match minutes {
        0 | 1 => "It ends within a minute.".to_owned(),
        2..=120 => format!("It ends in {minutes} minutes."),
        _ => format!("It ends in {} hours.", minutes.div_ceil(60)),
    }
}
