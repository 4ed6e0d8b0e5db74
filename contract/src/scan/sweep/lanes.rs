//! The sweep with WebAssembly's 128-bit vectors.

use super::{BLOCK, Masks, READ, Sets};
use core::arch::wasm32::{
    i8x16_bitmask, i8x16_eq, i8x16_ne, i8x16_splat, i8x16_swizzle, u16x8_shr, u64x2, v128, v128_and,
};

pub(super) fn masks(anywhere: &Sets, starts: &Sets, chunk: &[u8; READ]) -> Masks {
    let anywhere = Vectors::of(anywhere);
    let starts = Vectors::of(starts);
    let mut masks = Masks::default();
    let mut at = 0;
    while at < BLOCK {
        let [first, second, third] = [at, at + 1, at + 2].map(|from| Halves::of(load(chunk, from)));
        masks.anywhere |= bits(anywhere.pass(first, second, third)) << at;
        masks.starts |= bits(starts.pass(first, second, third)) << at;
        let bytes = load(chunk, at);
        masks.back |= equal(bytes, b'\\') << at;
        masks.quote |= equal(bytes, b'"') << at;
        masks.u |= equal(bytes, b'u') << at;
        masks.wordy |= bits(wordy(first)) << at;
        at += 16;
    }

    masks
}

/// The halves of 16 bytes.
#[derive(Clone, Copy)]
struct Halves {
    low: v128,
    high: v128,
}

impl Halves {
    #[inline]
    fn of(bytes: v128) -> Self {
        let low = i8x16_splat(15);

        Self { low: v128_and(bytes, low), high: v128_and(u16x8_shr(bytes, 4), low) }
    }
}

/// The sets of one kind, as vectors.
struct Vectors {
    low: [v128; 3],
    high: [v128; 3],
}

impl Vectors {
    #[inline]
    fn of(sets: &Sets) -> Self {
        Self { low: sets.low.map(vector), high: sets.high.map(vector) }
    }

    /// The buckets that pass, by lane.
    #[inline]
    fn pass(&self, first: Halves, second: Halves, third: Halves) -> v128 {
        let [low1, low2, low3] = self.low;
        let [high1, high2, high3] = self.high;
        let one = look(low1, high1, first);
        let two = look(low2, high2, second);
        let three = look(low3, high3, third);

        v128_and(v128_and(one, two), three)
    }
}

/// Not zero: a letter, a digit, `_` or not ASCII.
#[inline]
fn wordy(bytes: Halves) -> v128 {
    // 1: digits, 2: A–O and a–o, 4: P–Z and p–z, 8: `_`, 16: not ASCII
    const LOW: [u8; 16] = [
        1 | 4 | 16,
        1 | 2 | 4 | 16,
        1 | 2 | 4 | 16,
        1 | 2 | 4 | 16,
        1 | 2 | 4 | 16,
        1 | 2 | 4 | 16,
        1 | 2 | 4 | 16,
        1 | 2 | 4 | 16,
        1 | 2 | 4 | 16,
        1 | 2 | 4 | 16,
        2 | 4 | 16,
        2 | 16,
        2 | 16,
        2 | 16,
        2 | 16,
        2 | 8 | 16,
    ];
    const HIGH: [u8; 16] = [0, 0, 0, 1, 2, 4 | 8, 2, 4, 16, 16, 16, 16, 16, 16, 16, 16];

    look(vector(LOW), vector(HIGH), bytes)
}

#[inline]
fn look(low: v128, high: v128, bytes: Halves) -> v128 {
    v128_and(i8x16_swizzle(low, bytes.low), i8x16_swizzle(high, bytes.high))
}

#[inline]
fn bits(lanes: v128) -> u64 {
    u64::from(i8x16_bitmask(i8x16_ne(lanes, i8x16_splat(0))))
}

#[inline]
fn equal(bytes: v128, byte: u8) -> u64 {
    u64::from(i8x16_bitmask(i8x16_eq(bytes, i8x16_splat(byte.cast_signed()))))
}

#[inline]
fn load(chunk: &[u8; READ], from: usize) -> v128 {
    let bytes = chunk.get(from..).and_then(|rest| rest.first_chunk::<16>());

    vector(bytes.copied().unwrap_or_default())
}

#[inline]
fn vector(bytes: [u8; 16]) -> v128 {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;

    u64x2(
        u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        u64::from_le_bytes([i, j, k, l, m, n, o, p]),
    )
}
