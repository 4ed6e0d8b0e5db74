//! The sweep with WebAssembly's 128-bit vectors.

use super::{BLOCK, Behind, Masks, Sets};
use core::arch::wasm32::{
    i8x16_bitmask, i8x16_eq, i8x16_ne, i8x16_shuffle, i8x16_splat, i8x16_swizzle, u16x8_shr, u64x2,
    v128, v128_and, v128_andnot, v128_or,
};

pub(super) fn masks(
    anywhere: &Sets,
    starts: &Sets,
    behind: Behind,
    blocks: &[[u8; BLOCK]],
    out: &mut [Masks],
) {
    let anywhere = Vectors::of(anywhere);
    let starts = Vectors::of(starts);
    let mut before = Lane::of(vector(behind.0), &anywhere, &starts);
    // What stands before what stands behind is not known; it is 13 bytes away from what is used.
    before.begins = before.begins(before);
    for (block, out) in blocks.iter().zip(out) {
        let mut masks = Masks::default();
        let (lanes, _) = block.as_chunks::<16>();
        for (at, bytes) in lanes.iter().enumerate() {
            let shift = 16 * at;
            let bytes = vector(*bytes);
            let mut lane = Lane::of(bytes, &anywhere, &starts);
            lane.begins = lane.begins(before);
            let begins = two(before.begins, lane.begins);
            let starting = v128_and(lane.starts.meet(before.starts), begins);
            let anchors = v128_or(lane.anywhere.meet(before.anywhere), starting);
            masks.anchors |= bits(i8x16_ne(anchors, i8x16_splat(0))) << shift;
            masks.back |= bits(lane.back) << shift;
            masks.quote |= bits(equal(bytes, b'"')) << shift;
            masks.u |= bits(equal(bytes, b'u')) << shift;
            before = lane;
        }
        *out = masks;
    }
}

/// What 16 bytes are.
#[derive(Clone, Copy)]
struct Lane {
    anywhere: Passed,
    starts: Passed,
    wordy: v128,
    back: v128,
    /// Where a word may begin.
    begins: v128,
}

impl Lane {
    #[inline]
    fn of(bytes: v128, anywhere: &Vectors, starts: &Vectors) -> Self {
        let half = i8x16_splat(15);
        let low = v128_and(bytes, half);
        let high = v128_and(u16x8_shr(bytes, 4), half);
        let wordy = i8x16_ne(wordy(low, high), i8x16_splat(0));

        Self {
            anywhere: anywhere.pass(low, high),
            starts: starts.pass(low, high),
            wordy,
            back: equal(bytes, b'\\'),
            begins: i8x16_splat(0),
        }
    }

    #[inline]
    fn begins(self, before: Self) -> v128 {
        let goes_on = v128_andnot(one(before.wordy, self.wordy), two(before.back, self.back));

        v128_andnot(self.wordy, goes_on)
    }
}

/// In which buckets 16 bytes are, as first, second and third byte.
#[derive(Clone, Copy)]
struct Passed([v128; 3]);

impl Passed {
    /// The buckets in which the byte is third and those before it are second and first.
    #[inline]
    fn meet(self, before: Self) -> v128 {
        let Self([first, second, third]) = self;
        let Self([first_before, second_before, _]) = before;

        v128_and(third, v128_and(one(second_before, second), two(first_before, first)))
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

    #[inline]
    fn pass(&self, low: v128, high: v128) -> Passed {
        let [low1, low2, low3] = self.low;
        let [high1, high2, high3] = self.high;

        Passed([
            look(low1, high1, low, high),
            look(low2, high2, low, high),
            look(low3, high3, low, high),
        ])
    }
}

/// Not zero: a letter, a digit, `_` or not ASCII.
#[inline]
fn wordy(low: v128, high: v128) -> v128 {
    // 1: digits, 2: A–O and a–o, 4: P–Z and p–z, 8: `_`, 16: not ASCII
    const ALL: u8 = 1 | 2 | 4 | 16;
    const UP: u8 = 2 | 16;
    const LOW: [u8; 16] = [
        1 | 4 | 16,
        ALL,
        ALL,
        ALL,
        ALL,
        ALL,
        ALL,
        ALL,
        ALL,
        ALL,
        2 | 4 | 16,
        UP,
        UP,
        UP,
        UP,
        UP | 8,
    ];
    const HIGH: [u8; 16] = [0, 0, 0, 1, 2, 4 | 8, 2, 4, 16, 16, 16, 16, 16, 16, 16, 16];

    look(vector(LOW), vector(HIGH), low, high)
}

#[inline]
fn look(low_set: v128, high_set: v128, low: v128, high: v128) -> v128 {
    v128_and(i8x16_swizzle(low_set, low), i8x16_swizzle(high_set, high))
}

/// Each lane moved up by one; the last of those before comes first.
#[inline]
fn one(before: v128, here: v128) -> v128 {
    i8x16_shuffle::<15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30>(before, here)
}

/// Each lane moved up by two.
#[inline]
fn two(before: v128, here: v128) -> v128 {
    i8x16_shuffle::<14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29>(before, here)
}

#[inline]
fn bits(lanes: v128) -> u64 {
    u64::from(i8x16_bitmask(lanes))
}

#[inline]
fn equal(bytes: v128, byte: u8) -> v128 {
    i8x16_eq(bytes, i8x16_splat(byte.cast_signed()))
}

// The compiler makes one load of this; of shifts of a wide number it does not, and the sweep took four
// times as long.
#[expect(clippy::many_single_char_names, reason = "sixteen bytes, in order")]
#[inline]
fn vector(bytes: [u8; 16]) -> v128 {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;

    u64x2(
        u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        u64::from_le_bytes([i, j, k, l, m, n, o, p]),
    )
}

#[cfg(test)]
mod tests {
    use super::super::plain;
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn lanes_miss_nothing_that_bytes_show(
            anchors in proptest::collection::vec("[a-zA-Z0-9_ü-]{3,8}", 1..40),
            text in proptest::collection::vec(prop_oneof![
                "[a-z]{1,4}", "[A-Z0-9_]{1,3}", r#"[\\"u/é\n ]{1,3}"#, any::<char>().prop_map(String::from),
            ], 40..120),
            picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let mut sets = [Sets::default(), Sets::default()];
            for (index, anchor) in anchors.iter().enumerate() {
                sets[index % 2].add(anchor.as_bytes(), index % 3 == 0, index % 2 == 1);
            }
            let mut text = text;
            for pick in picks {
                let at = pick.index(text.len());
                text.insert(at, anchors[pick.index(anchors.len())].clone());
            }
            let text = text.concat();
            let blocks = text.as_bytes().as_chunks::<BLOCK>().0;
            let [mut here, mut there] = [vec![Masks::default(); 100], vec![Masks::default(); 100]];
            masks(&sets[0], &sets[1], Behind::default(), blocks, &mut here);
            plain::masks(&sets[0], &sets[1], Behind::default(), blocks, &mut there);
            for (here, there) in here.iter().zip(&there) {
                prop_assert_eq!(here.anchors & there.anchors, there.anchors);
                prop_assert_eq!((here.back, here.quote, here.u), (there.back, there.quote, there.u));
            }
        }
    }
}
