//! The sweep: 64 bytes at a time, where could an anchor stand, and where are quotes and escapes?
//!
//! Each anchor is known by three of its bytes. They are spread over eight buckets; per bucket and byte
//! a set of low and of high halves is kept, so that one table look-up of 16 lanes (`i8x16.swizzle`)
//! judges 16 bytes for all buckets at once. This is the Teddy algorithm of Hyperscan, with what it
//! lets through judged again by a hash. Without vector instructions the sets are looked up per byte.

#[cfg(target_feature = "simd128")]
mod lanes;
mod plain;

#[cfg(target_feature = "simd128")]
use lanes as form;
#[cfg(not(target_feature = "simd128"))]
use plain as form;

/// Bytes that are judged at a time.
pub(super) const BLOCK: usize = 64;
/// Bytes that are read for one block.
const READ: usize = BLOCK + 16;

/// Sets of three bytes in a row, by bucket.
#[derive(Debug, Default)]
pub(super) struct Sets {
    low: [[u8; 16]; 3],
    high: [[u8; 16]; 3],
    costs: [[f32; 3]; 8],
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
    /// Three bytes may begin here that stand in the sets for anywhere.
    anywhere: u64,
    /// The same for the sets of beginnings of words.
    starts: u64,
    /// Letters, digits, `_` and all that is not ASCII.
    wordy: u64,
    /// `\`
    back: u64,
    /// `"`
    quote: u64,
    /// `u`
    u: u64,
}

/// What the sweep found in a block: bit n is byte n.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// An anchor may be known by three bytes here.
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
    wordy: u64,
    back: u64,
}

impl Sweep {
    /// Judges the block that begins at `at`.
    pub(super) fn block(
        &mut self,
        anywhere: &Sets,
        starts: &Sets,
        bytes: &[u8],
        at: usize,
    ) -> Found {
        let whole = bytes.get(at..at.saturating_add(READ));
        let masks = match whole.and_then(|chunk| <&[u8; READ]>::try_from(chunk).ok()) {
            Some(chunk) => form::masks(anywhere, starts, chunk),
            None => form::masks(anywhere, starts, &padded(bytes, at)),
        };
        let escaped = self.escaped(masks.back);
        // Behind an escape's letter a word may begin; behind other letters it goes on.
        let follows = masks.wordy << 1 | self.wordy;
        let behind_escape = masks.back << 2 | self.back;
        let begins = masks.wordy & (!follows | behind_escape);
        self.wordy = masks.wordy >> 63;
        self.back = masks.back >> 62;

        Found {
            anchors: masks.anywhere | masks.starts & begins,
            quotes: masks.quote & !escaped,
            disguised: masks.u & escaped,
        }
    }

    /// Which bytes stand behind a backslash that is not itself escaped (Langdale and Lemire, "Parsing
    /// gigabytes of JSON per second", section 3.1.1).
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

fn padded(bytes: &[u8], at: usize) -> [u8; READ] {
    let mut chunk = [0; READ];
    for (to, from) in chunk.iter_mut().zip(bytes.get(at..).unwrap_or_default()) {
        *to = *from;
    }

    chunk
}

impl Sets {
    /// Takes three bytes into the bucket where they let least else through. `fold`: letters of either
    /// case.
    pub(super) fn add(&mut self, bytes: [u8; 3], fold: bool) {
        let mut best = (f32::INFINITY, 0, [0.0; 3]);
        for (bucket, old) in self.costs.iter().enumerate() {
            let bit = 1 << bucket;
            let mut costs = [0.0; 3];
            for (((cost, low), high), byte) in
                costs.iter_mut().zip(&self.low).zip(&self.high).zip(bytes)
            {
                *cost = passing(low, high, byte, fold, bit);
            }
            let more = costs.iter().product::<f32>() - old.iter().product::<f32>();
            if more < best.0 {
                best = (more, bucket, costs);
            }
        }
        let (_, bucket, costs) = best;
        if let Some(cost) = self.costs.get_mut(bucket) {
            *cost = costs;
        }
        let bit = 1 << bucket;
        for (index, byte) in bytes.into_iter().enumerate() {
            for byte in cases(byte, fold) {
                let (low, high) = halves(byte);
                let sets = self.low.get_mut(index).and_then(|set| set.get_mut(low));
                sets.into_iter().for_each(|set| *set |= bit);
                let sets = self.high.get_mut(index).and_then(|set| set.get_mut(high));
                sets.into_iter().for_each(|set| *set |= bit);
                let sets =
                    self.full.0.get_mut(index).and_then(|set| set.get_mut(usize::from(byte)));
                sets.into_iter().for_each(|set| *set |= bit);
            }
        }
    }

    /// Nothing is in them.
    pub(super) fn is_empty(&self) -> bool {
        self.low.iter().flatten().all(|set| *set == 0)
    }
}

/// How much of ordinary text a bucket lets through at one byte, were `more` in it too.
fn passing(low: &[u8; 16], high: &[u8; 16], more: u8, fold: bool, bit: u8) -> f32 {
    let mut lows = low.map(|set| set & bit != 0);
    let mut highs = high.map(|set| set & bit != 0);
    for byte in cases(more, fold) {
        let (low, high) = halves(byte);
        lows.get_mut(low).into_iter().for_each(|set| *set = true);
        highs.get_mut(high).into_iter().for_each(|set| *set = true);
    }

    (0..=u8::MAX)
        .filter(|byte| {
            let (low, high) = halves(*byte);
            lows.get(low) == Some(&true) && highs.get(high) == Some(&true)
        })
        .map(commonness)
        .sum()
}

/// How often a byte stands in prose and code, in thousandths, roughly.
pub(super) fn commonness(byte: u8) -> f32 {
    match byte {
        b' ' => 150.0,
        b'e' | b't' => 70.0,
        b'a' | b'i' | b'n' | b'o' | b'r' | b's' => 50.0,
        b'c' | b'd' | b'l' | b'm' | b'p' | b'u' => 28.0,
        b'f' | b'g' | b'h' | b'b' | b'y' => 15.0,
        b'k' | b'v' | b'w' | b'x' => 7.0,
        b'j' | b'q' | b'z' => 2.0,
        b'\\' | b'"' => 20.0,
        b'0'..=b'9' => 6.0,
        b'A'..=b'Z' => 4.0,
        b'_' | b'-' | b'.' | b',' | b'(' | b')' | b'/' | b':' | b'=' => 10.0,
        0x20..=0x7e => 4.0,
        0x80..=0xff => 0.2,
        _ => 0.1,
    }
}

fn cases(byte: u8, fold: bool) -> impl Iterator<Item = u8> {
    let other = if fold && byte.is_ascii_alphabetic() { Some(byte ^ 0x20) } else { None };

    [byte].into_iter().chain(other)
}

fn halves(byte: u8) -> (usize, usize) {
    (usize::from(byte & 15), usize::from(byte >> 4))
}
