//! The sweep: 64 bytes at a time, where could an anchor stand, and where are quotes and escapes?
//!
//! Each anchor is known by three of its bytes. They are spread over eight buckets; per bucket and byte
//! a set of low and of high halves is kept, so that one table look-up of 16 lanes (`i8x16.swizzle`)
//! judges 16 bytes for all buckets at once. This is the Teddy algorithm of Hyperscan, with what it
//! lets through judged again by a hash. Without vector instructions the sets are looked up per byte.

#[cfg(target_feature = "simd128")]
mod lanes;
#[cfg(any(test, not(target_feature = "simd128")))]
mod plain;

#[cfg(target_feature = "simd128")]
use lanes as form;
#[cfg(not(target_feature = "simd128"))]
use plain as form;
use std::sync::LazyLock;

/// Bytes that are judged at a time.
const BLOCK: usize = 64;
/// Blocks that are judged in one go.
const STRIDE: usize = 16;

/// Sets of three bytes in a row, by bucket.
#[derive(Debug, Default)]
pub(super) struct Sets {
    low: [[u8; 16]; 3],
    high: [[u8; 16]; 3],
    /// The halves by bucket and byte, bit n being half n, to choose buckets by.
    halves: [[(u16, u16); 3]; 8],
    full: Full,
}

/// The sets by whole bytes.
#[derive(Debug)]
struct Full([[u8; 256]; 3]);

impl Default for Full {
    fn default() -> Self {
        Self([[0; 256]; 3])
    }
}

/// What stands in a block: bit n is byte n.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Masks {
    /// The last of three bytes that an anchor may be known by.
    anchors: u64,
    /// `\`
    back: u64,
    /// `"`
    quote: u64,
    /// `u`
    u: u64,
}

/// The bytes before a block.
#[derive(Debug, Default, Clone, Copy)]
struct Behind([u8; 16]);

/// What the sweep found in a block: bit n is byte n.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// The last of three bytes that an anchor may be known by.
    pub(super) anchors: u64,
    /// A quote that begins or ends a string.
    pub(super) quotes: u64,
    /// The `u` of a `\uXXXX`.
    pub(super) disguised: u64,
}

/// What one block leaves for the next.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    escape: u64,
    behind: Behind,
}

impl Sweep {
    /// Judges all bytes, block by block; `tell` is told where each begins.
    #[inline]
    pub(super) fn each(
        mut self,
        anywhere: &Sets,
        starts: &Sets,
        bytes: &[u8],
        mut tell: impl FnMut(usize, Found),
    ) {
        let mut at = 0_usize;
        let mut masks = [Masks::default(); STRIDE];
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        let end = [padded(rest)];
        for blocks in blocks.chunks(STRIDE).chain([&end[..]]) {
            form::masks(anywhere, starts, self.behind, blocks, &mut masks);
            if let Some(behind) = blocks.last().and_then(|block| block.last_chunk()) {
                self.behind = Behind(*behind);
            }
            for (_, masks) in blocks.iter().zip(&masks) {
                let escaped = self.escaped(masks.back);
                let found = Found {
                    anchors: masks.anchors,
                    quotes: masks.quote & !escaped,
                    disguised: masks.u & escaped,
                };
                tell(at, found);
                at = at.saturating_add(BLOCK);
            }
        }
    }

    /// Which bytes stand behind a backslash that is not itself escaped (Langdale and Lemire, "Parsing
    /// gigabytes of JSON per second", section 3.1.1).
    #[inline]
    fn escaped(&mut self, back: u64) -> u64 {
        const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
        if back == 0 {
            return std::mem::take(&mut self.escape);
        }
        let begins = back & !self.escape;
        let runs = (begins << 1 | ODD).wrapping_sub(begins) ^ ODD;
        let escaped = runs ^ (back | self.escape);
        self.escape = (runs & back) >> 63;

        escaped
    }
}

/// Fills what is no whole block with zeros.
fn padded(rest: &[u8]) -> [u8; BLOCK] {
    let mut chunk = [0; BLOCK];
    for (to, from) in chunk.iter_mut().zip(rest) {
        *to = *from;
    }

    chunk
}

impl Sets {
    /// Takes three bytes in a row of `anchor` into the bucket where they let least else through, and
    /// says which three. `fold`: letters of either case; `first`: no other three than the first.
    pub(super) fn add(&mut self, anchor: &[u8], fold: bool, first: bool) -> usize {
        let mut best = (f32::INFINITY, 0, 0, [0; 3]);
        let windows = if first { 1 } else { 16 };
        for (offset, window) in anchor.windows(3).take(windows).enumerate() {
            let Ok(bytes) = <[u8; 3]>::try_from(window) else { continue };
            for (bucket, halves) in self.halves.iter().enumerate() {
                let with = halves_with(halves, bytes, fold);
                let more = passing(&with) - passing(halves);
                if more < best.0 {
                    best = (more, offset, bucket, bytes);
                }
            }
        }
        let (_, offset, bucket, bytes) = best;
        self.take(bucket, bytes, fold);

        offset
    }

    fn take(&mut self, bucket: usize, bytes: [u8; 3], fold: bool) {
        if let Some(halves) = self.halves.get_mut(bucket) {
            *halves = halves_with(halves, bytes, fold);
        }
        let bit = 1 << bucket;
        for (index, byte) in bytes.into_iter().enumerate() {
            for byte in cases(byte, fold) {
                let (low, high) = (usize::from(byte & 15), usize::from(byte >> 4));
                let low = self.low.get_mut(index).and_then(|set| set.get_mut(low));
                let high = self.high.get_mut(index).and_then(|set| set.get_mut(high));
                let full =
                    self.full.0.get_mut(index).and_then(|set| set.get_mut(usize::from(byte)));
                [low, high, full].into_iter().flatten().for_each(|set| *set |= bit);
            }
        }
    }
}

/// The halves of a bucket were three bytes more in it.
fn halves_with(halves: &[(u16, u16); 3], bytes: [u8; 3], fold: bool) -> [(u16, u16); 3] {
    let mut with = *halves;
    for ((low, high), byte) in with.iter_mut().zip(bytes) {
        for byte in cases(byte, fold) {
            *low |= 1 << (byte & 15);
            *high |= 1 << (byte >> 4);
        }
    }

    with
}

/// How much of ordinary text a bucket lets through, were its bytes independent of each other.
fn passing(halves: &[(u16, u16); 3]) -> f32 {
    halves.iter().map(|(low, high)| common(*low, *high)).product()
}

fn common(low: u16, high: u16) -> f32 {
    let mut sum = 0.0;
    for (half, row) in (0..16).zip(&*COMMON) {
        if high >> half & 1 == 1 {
            for (half, share) in (0..16).zip(row) {
                sum += if low >> half & 1 == 1 { *share } else { 0.0 };
            }
        }
    }

    sum
}

/// [`commonness`] by high and low half.
static COMMON: LazyLock<[[f32; 16]; 16]> = LazyLock::new(|| {
    let byte = |high: u8, low: u8| commonness(high << 4 | low);
    let row = |high: usize| {
        std::array::from_fn(|low| {
            byte(u8::try_from(high).unwrap_or_default(), u8::try_from(low).unwrap_or_default())
        })
    };

    std::array::from_fn(row)
});

/// How often a byte stands in prose and code, in thousandths, roughly.
fn commonness(byte: u8) -> f32 {
    match byte {
        b' ' => 150.0,
        b'e' | b't' => 70.0,
        b'a' | b'i' | b'n' | b'o' | b'r' | b's' => 50.0,
        b'c' | b'd' | b'l' | b'm' | b'p' | b'u' => 28.0,
        b'\\' | b'"' => 20.0,
        b'f' | b'g' | b'h' | b'b' | b'y' => 15.0,
        b'_' | b'-' | b'.' | b',' | b'(' | b')' | b'/' | b':' | b'=' => 10.0,
        b'k' | b'v' | b'w' | b'x' => 7.0,
        b'0'..=b'9' => 6.0,
        b'j' | b'q' | b'z' => 2.0,
        0x80.. => 0.2,
        _ if byte.is_ascii_control() => 0.1,
        _ => 4.0,
    }
}

fn cases(byte: u8, fold: bool) -> impl Iterator<Item = u8> {
    let other = if fold && byte.is_ascii_alphabetic() { Some(byte ^ 0x20) } else { None };

    [byte].into_iter().chain(other)
}
