//! At most so many calls a minute, for whom an operator has said so.
//!
//! The times of the last minute's calls stand in the data that all VMs of this Envoy share, and are
//! changed by compare-and-swap: the count is exact over its workers. Each Envoy counts for itself.
//! Nothing here is asked for anybody else. Envoy never forgets a key of that data; there is one for each
//! throttle that was ever met, and operators set them one by one.

use crate::host::{Host, HostError};
use contract::standing::Key;

/// What is counted in, nanoseconds.
const WINDOW: u64 = 60_000_000_000;

/// How often another worker may be faster. Each time it is, one of them has had its call: so many
/// workers do not come at once.
const TRIES: usize = 64;

/// How long until there is room for a call, nanoseconds; `None` if there is now. Takes nothing.
///
/// # Errors
/// If the host refuses.
pub fn wait(
    host: &impl Host,
    key: Key,
    per_minute: u32,
    now: u64,
) -> Result<Option<u64>, HostError> {
    let calls = recent(&host.shared(&name(key))?.value, now);

    Ok(full(&calls, per_minute, now))
}

/// Takes the room of one call, if there is any; else how long until there is, nanoseconds.
///
/// # Errors
/// If the host refuses, or others were faster too often.
pub fn take(
    host: &impl Host,
    key: Key,
    per_minute: u32,
    now: u64,
) -> Result<Option<u64>, HostError> {
    const CONTENDED: HostError = HostError { call: "set_shared_data", status: u32::MAX };
    let name = name(key);
    for _ in 0..TRIES {
        let seen = host.shared(&name)?;
        let mut calls = recent(&seen.value, now);
        if let Some(wait) = full(&calls, per_minute, now) {
            return Ok(Some(wait));
        }
        calls.push(now);
        let value: Vec<u8> = calls.iter().flat_map(|at| at.to_le_bytes()).collect();
        let cas = if seen.cas == 0 { u32::MAX } else { seen.cas };
        if host.share(&name, &value, Some(cas))? {
            return Ok(None);
        }
    }

    Err(CONTENDED)
}

fn name(key: Key) -> String {
    format!("tollgate.throttle.{key}")
}

/// The calls of the last minute, in their order. Those a clock that was set back has left in the
/// future count like those of the past, for a minute.
fn recent(value: &[u8], now: u64) -> Vec<u64> {
    let (words, _) = value.as_chunks::<8>();
    let times = words.iter().map(|word| u64::from_le_bytes(*word));
    let mut calls: Vec<u64> = times.filter(|at| now.abs_diff(*at) < WINDOW).collect();
    calls.sort_unstable();

    calls
}

/// When there is no room: how long until the call is a minute old that has to be.
fn full(calls: &[u64], per_minute: u32, now: u64) -> Option<u64> {
    let most = usize::try_from(per_minute).unwrap_or(usize::MAX);
    let first = calls.get(calls.len().checked_sub(most)?)?;

    Some(first.saturating_add(WINDOW).saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeHost;
    use contract::standing::Kind;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 1_800_000_000 * SECOND;

    fn key(id: &str) -> Key {
        Key::new(Kind::User, id)
    }

    fn took(host: &FakeHost, id: &str, at: u64) -> bool {
        take(host, key(id), 3, START + at * SECOND).unwrap().is_none()
    }

    #[test]
    fn in_no_minute_are_there_more_calls_than_allowed_and_none_less() {
        let host = FakeHost::default();
        let served: Vec<u64> = (0..200).filter(|at| took(&host, "ann", *at)).collect();

        assert_eq!(served, [0, 1, 2, 60, 61, 62, 120, 121, 122, 180, 181, 182]);
        assert!(took(&host, "bob", 199), "each for themselves");
    }

    #[test]
    fn who_asks_is_told_how_long_and_what_is_refused_takes_no_room() {
        let host = FakeHost::default();
        for at in [0, 10, 20] {
            assert!(took(&host, "ann", at));
        }

        for _ in 0..100 {
            let now = START + 30 * SECOND;
            assert_eq!(take(&host, key("ann"), 3, now).unwrap(), Some(30 * SECOND));
            assert_eq!(wait(&host, key("ann"), 3, now).unwrap(), Some(30 * SECOND));
        }
        let later = START + 60 * SECOND;
        assert_eq!(wait(&host, key("ann"), 3, later).unwrap(), None, "looking takes nothing");
        assert_eq!(wait(&host, key("ann"), 3, later).unwrap(), None);
        assert!(took(&host, "ann", 60) && !took(&host, "ann", 61));
        assert_eq!(wait(&host, key("ann"), 1, later).unwrap(), Some(60 * SECOND), "fewer now");
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let host = FakeHost::default();
        for at in [1000, 1001, 1002] {
            assert!(took(&host, "ann", at));
        }

        assert!(took(&host, "ann", 0));
    }

    #[test]
    fn rubbish_in_the_shared_data_stops_nothing() {
        let host = FakeHost::default();
        host.share(&name(key("ann")), b"rubbish that is not of whole words", None).unwrap();

        assert!(took(&host, "ann", 0));
    }
}
