//! Refusals of somebody unknown, so that a flood of them costs bounded disk.
//!
//! The first few for one reason from one address get rows of their own each second. The rest are
//! counted, and each tick hands the counts over to become one row each. The table is bounded: beyond
//! [`PLACES`] they are counted together under `*`.

use std::collections::HashMap;

/// How many addresses and reasons are told apart.
pub const PLACES: usize = 1024;

/// Where those stand that are too many to tell apart.
pub const OTHERS: &str = "*";

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Window {
    second: u64,
    rows: u32,
    since: u64,
    counted: u64,
}

/// What somebody unknown was refused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason {
    /// The code.
    pub code: &'static str,
    /// What was answered.
    pub status: u16,
    /// At the sidecar's sign-in, or at a call?
    pub sign_in: bool,
}

/// The table of one VM.
#[derive(Debug, Default)]
pub struct Flood {
    windows: HashMap<(Reason, String), Window>,
}

/// Refusals that got no rows of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burst {
    /// What for.
    pub reason: Reason,
    /// The address they came from, or [`OTHERS`].
    pub address: String,
    /// Unix nanoseconds of the first.
    pub since: u64,
    /// How many.
    pub count: u64,
}

impl Flood {
    /// Does this refusal get a row of its own? If not, it is counted.
    pub fn admits(&mut self, reason: Reason, address: &str, now: u64, most: u32) -> bool {
        let mut place = (reason, address.to_owned());
        if self.windows.len() >= PLACES && !self.windows.contains_key(&place) {
            OTHERS.clone_into(&mut place.1);
        }
        let window = self.windows.entry(place).or_default();
        let second = now.checked_div(1_000_000_000).unwrap_or_default();
        if window.second != second {
            window.second = second;
            window.rows = 0;
        }
        if window.rows < most {
            window.rows = window.rows.saturating_add(1);
            return true;
        }
        if window.counted == 0 {
            window.since = now;
        }
        window.counted = window.counted.saturating_add(1);

        false
    }

    /// What was counted since the last time. Addresses that have been quiet leave the table.
    pub fn take(&mut self, now: u64) -> Vec<Burst> {
        let second = now.checked_div(1_000_000_000).unwrap_or_default();
        let bursts: Vec<Burst> = self
            .windows
            .iter_mut()
            .filter(|(_, window)| window.counted > 0)
            .map(|((reason, address), window)| Burst {
                reason: *reason,
                address: address.clone(),
                since: window.since,
                count: std::mem::take(&mut window.counted),
            })
            .collect();
        self.windows.retain(|_, window| window.second.saturating_add(1) >= second);

        bursts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const SECOND: u64 = 1_000_000_000;
    const REASON: Reason = Reason { code: "token_expired", status: 401, sign_in: false };

    #[test]
    fn the_first_few_of_a_second_get_rows_and_the_rest_are_counted() {
        let mut flood = Flood::default();

        let rows = (0..100).filter(|_| flood.admits(REASON, "10.0.0.1", 5 * SECOND, 3)).count();

        assert_eq!(rows, 3);
        let burst =
            Burst { reason: REASON, address: "10.0.0.1".into(), since: 5 * SECOND, count: 97 };
        assert_eq!(flood.take(5 * SECOND), [burst]);
        assert_eq!(flood.take(5 * SECOND), [], "once");
        assert!(flood.admits(REASON, "10.0.0.1", 6 * SECOND, 3), "the next second has rows again");
    }

    #[test]
    fn ten_thousand_addresses_stay_a_bounded_table_and_none_is_uncounted() {
        let mut flood = Flood::default();

        let rows: u64 = (0..10_000)
            .map(|n| u64::from(flood.admits(REASON, &format!("address {n}"), SECOND, 1)))
            .sum();
        let counted: u64 = flood.take(SECOND).iter().map(|burst| burst.count).sum();

        assert!(flood.windows.len() <= PLACES + 1, "{}", flood.windows.len());
        assert_eq!(rows + counted, 10_000);
    }
}
