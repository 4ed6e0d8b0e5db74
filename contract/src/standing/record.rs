//! One record of a standing, as bytes.

use super::{Effect, FOR_EVER, Kind, MOST_PER_MINUTE, hashed};
use std::cmp::Ordering;

/// What something is listed by: a hash of its kind and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u128);

impl Key {
    /// The key of an id.
    pub fn new(kind: Kind, id: &str) -> Self {
        let hash = hashed(kind, id);

        Self(hash.first_chunk().map_or(0, |key| u128::from_be_bytes(*key)))
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

/// One entry, as the filter knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What is listed.
    pub key: Key,
    /// When it ends, Unix seconds; [`FOR_EVER`] for never by itself.
    pub until: u32,
    /// What becomes of it.
    pub effect: Effect,
}

const REVOKED: u8 = 1;
const PAUSED: u8 = 2;
const THROTTLED: u8 = 3;

impl Record {
    /// Bytes of one.
    pub(super) const LENGTH: usize = 24;

    /// Does it hold then?
    pub fn holds(&self, now: u64) -> bool {
        self.until == FOR_EVER || now < u64::from(self.until)
    }

    pub(super) fn write(&self) -> [u8; Self::LENGTH] {
        let (effect, per_minute) = match self.effect {
            Effect::Revoked => (REVOKED, 0),
            Effect::Paused => (PAUSED, 0),
            Effect::Throttled { per_minute } => (THROTTLED, per_minute.clamp(1, MOST_PER_MINUTE)),
        };
        let [low, middle, high, _] = per_minute.to_le_bytes();
        let mut raw = [0; Self::LENGTH];
        let (key, rest) = raw.split_at_mut(16);
        key.copy_from_slice(&self.key.0.to_be_bytes());
        let (until, rest) = rest.split_at_mut(4);
        until.copy_from_slice(&self.until.to_le_bytes());
        rest.copy_from_slice(&[low, middle, high, effect]);

        raw
    }

    pub(super) fn read(raw: &[u8; Self::LENGTH]) -> Option<Self> {
        let until = raw.get(16..20)?.first_chunk().map(|until| u32::from_le_bytes(*until))?;

        Some(Self { key: Self::key_of(raw), until, effect: Self::effect_of(raw)? })
    }

    /// The key of a record, without the rest.
    pub(super) fn key_of(raw: &[u8; Self::LENGTH]) -> Key {
        Key(raw.first_chunk().map_or(0, |key| u128::from_be_bytes(*key)))
    }

    /// The effect of a record; none that this version knows is no record.
    pub(super) fn effect_of(raw: &[u8; Self::LENGTH]) -> Option<Effect> {
        let [low, middle, high, effect] = raw.last_chunk()?;
        let per_minute = u32::from_le_bytes([*low, *middle, *high, 0]);
        match (*effect, per_minute) {
            (REVOKED, 0) => Some(Effect::Revoked),
            (PAUSED, 0) => Some(Effect::Paused),
            (THROTTLED, 1..=MOST_PER_MINUTE) => Some(Effect::Throttled { per_minute }),
            _ => None,
        }
    }

    /// The order that a search needs. Keys are compared as numbers, because most differ.
    pub(super) fn order(one: &[u8; Self::LENGTH], other: &[u8; Self::LENGTH]) -> Ordering {
        Self::key_of(one).cmp(&Self::key_of(other)).then_with(|| one.cmp(other))
    }

    /// Does the second come after the first?
    pub(super) fn rises(first: &[u8; Self::LENGTH], second: &[u8; Self::LENGTH]) -> bool {
        Self::order(first, second) == Ordering::Less
    }
}
