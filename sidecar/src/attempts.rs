//! Guessing is slowed: whoever fails too often waits before the next try is looked at.
//!
//! Failures are counted for three: for a pair of address and account (what is tried with it: a token's id, a
//! session's, a certificate), for the address alone, and for the account alone. One count would not do.
//! Counted by account alone, anybody who knows a token's id could lock its owner out; counted by address
//! alone, an office behind one address would wait for its clumsiest member. So the pair has the free failures
//! of `identity.yaml`, the address some times as many, and the account very many, which only a swarm of
//! addresses reaches; and whoever came in from an address within a day is not asked about the account there.
//!
//! All of it is in memory and bounded: what has been quiet longest is forgotten first. A sidecar that starts
//! anew has forgotten all; secrets here have 256 bits, and what this saves is work and rows.

use crate::clock;
use crate::identity;
use crate::sign_in::Refused;
use axum::http::HeaderMap;
use contract::headers::SOURCE_ADDRESS;
use lru::LruCache;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

/// How many addresses, accounts and pairs are remembered together.
const PLACES: NonZeroUsize = match NonZeroUsize::new(65_536) {
    Some(places) => places,
    None => NonZeroUsize::MIN,
};

/// Seconds without a failure after which nothing is held against anybody.
const WINDOW: u64 = 60;

/// An office shares one address.
const ADDRESS: u32 = 5;

/// A swarm of addresses tries one account.
const ACCOUNT: u32 = 100;

/// For so many seconds an address that an account came in from is its own.
const OWN: u64 = clock::DAY;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Pair(String, String),
    Address(String),
    Account(String),
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    failures: u32,
    /// Until then nothing is looked at, Unix seconds.
    until: u64,
    /// Unix seconds.
    last: u64,
    /// Has somebody been told to wait since the last failure? The first one who is gets a row with a name.
    told: bool,
    /// When the account last came in from here, Unix seconds.
    good: u64,
}

/// Who tries what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    address: Option<String>,
    account: Option<String>,
}

/// Somebody has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Seconds; at least one.
    pub seconds: u64,
    /// Is this the first refusal since the last failure?
    pub first: bool,
}

impl Attempt {
    /// Whoever asks, with what. An account that is none (a token of no known form) counts for its address alone.
    pub fn of(asked: &HeaderMap, account: Option<&str>) -> Self {
        let address = asked.get(SOURCE_ADDRESS).and_then(|value| value.to_str().ok());
        let account = account.filter(|account| !account.is_empty() && account.len() <= 128);

        Self { address: address.and_then(network), account: account.map(ToOwned::to_owned) }
    }

    /// What is tried, where that is known.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    fn pair(&self) -> Option<Place> {
        Some(Place::Pair(self.address.clone()?, self.account.clone()?))
    }

    /// Where it is counted, and how many failures are free there.
    fn places(&self, free: u32) -> impl Iterator<Item = (Place, u32)> {
        let address = self.address.clone().map(Place::Address);
        let account = self.account.clone().map(Place::Account);

        [
            self.pair().map(|pair| (pair, free)),
            address.map(|address| (address, free.saturating_mul(ADDRESS))),
            account.map(|account| (account, free.saturating_mul(ACCOUNT))),
        ]
        .into_iter()
        .flatten()
    }
}

/// An address; of IPv6 the 64 bits that one customer has (RFC 6177 §2), or their machine would have as many
/// tries as addresses.
fn network(text: &str) -> Option<String> {
    match text.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => Some(address.to_string()),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Some(format!("{a:x}:{b:x}:{c:x}:{d:x}::/64"))
        }
    }
}

/// What has failed lately.
pub struct Attempts {
    free: u32,
    longest: u64,
    counts: Mutex<LruCache<Place, Count>>,
}

impl fmt::Debug for Attempts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Attempts")
    }
}

impl Default for Attempts {
    fn default() -> Self {
        Self::new(&identity::Attempts::default())
    }
}

impl Attempts {
    /// With these limits.
    pub fn new(limits: &identity::Attempts) -> Self {
        let (free, longest) = (limits.free.max(1), limits.longest.max(1));

        Self { free, longest, counts: Mutex::new(LruCache::new(PLACES)) }
    }

    /// Must they wait?
    ///
    /// # Errors
    /// [`Wait`]: what they sent is not looked at.
    pub fn look(&self, attempt: &Attempt, now: u64) -> Result<(), Wait> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let own = attempt.pair().and_then(|pair| counts.peek(&pair).copied());
        let own = own.is_some_and(|count| count.good > 0 && now.saturating_sub(count.good) < OWN);
        let mut wait: Option<Wait> = None;
        for (place, _) in attempt.places(self.free) {
            if own && matches!(place, Place::Account(_)) {
                continue;
            }
            let Some(count) = counts.get_mut(&place).filter(|count| count.until > now) else {
                continue;
            };
            let seconds = count.until.saturating_sub(now);
            let first = !std::mem::replace(&mut count.told, true);
            if wait.is_none_or(|longer| longer.seconds < seconds) {
                wait = Some(Wait { seconds, first });
            }
        }

        wait.map_or(Ok(()), Err)
    }

    /// It failed.
    pub fn failed(&self, attempt: &Attempt, now: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, free) in attempt.places(self.free) {
            let count = counts.get_or_insert_mut(place, Count::default);
            let quiet = count.last.max(count.until).saturating_add(WINDOW);
            if now > quiet {
                count.failures = 0;
            }
            count.failures = count.failures.saturating_add(1);
            count.last = now;
            count.told = false;
            if let Some(beyond) = count.failures.checked_sub(free).filter(|beyond| *beyond > 0) {
                let wait = 1_u64.checked_shl(beyond.saturating_sub(1)).unwrap_or(self.longest);
                let wait = if beyond > 32 { self.longest } else { wait.min(self.longest) };
                count.until = now.saturating_add(wait);
            }
        }
    }

    /// It went well: nothing is held against the account here any more.
    pub fn succeeded(&self, attempt: &Attempt, now: u64) {
        let Some(pair) = attempt.pair() else { return };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.put(pair, Count { good: now, ..Count::default() });
    }
}

/// Is this what a guess ends with? A right credential that is refused for another reason is none.
pub fn is_guess(why: Refused) -> bool {
    matches!(
        why,
        Refused::Unknown
            | Refused::Expired
            | Refused::Revoked
            | Refused::SessionUnknown
            | Refused::SessionReused
            | Refused::CodeUnknown
            | Refused::CodeMismatch
            | Refused::CertificateRevoked
            | Refused::CertificateExpired
            | Refused::CertificateUnusable
            | Refused::CertificateUnknownUser
            | Refused::SubjectRefused
            | Refused::SubjectReused
            | Refused::ScimUnknown
            | Refused::ScimExpired
            | Refused::ScimRevoked
    )
}

#[cfg(test)]
mod tests;
