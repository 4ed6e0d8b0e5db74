//! Chance that can be told again: everything random of a storm follows from its seed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Random numbers from a seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The seed of `TOLLGATE_SEED`, or of the clock.
    pub fn seed() -> u32 {
        let asked = std::env::var("TOLLGATE_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();

        asked.unwrap_or(now.subsec_nanos() ^ u32::try_from(now.as_secs() % 65_536).unwrap_or(0))
    }

    /// From a seed.
    pub fn new(seed: u32) -> Self {
        Self(u64::from(seed))
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);

        mixed ^ (mixed >> 31)
    }

    /// One of so many.
    pub fn below(&mut self, count: u64) -> u64 {
        self.roll() % count
    }

    /// A time between two, milliseconds.
    pub fn between(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least))
    }
}
