//! The sweep without vector instructions.

use super::{BLOCK, Masks, READ, Sets};

pub(super) fn masks(anywhere: &Sets, starts: &Sets, chunk: &[u8; READ]) -> Masks {
    let mut masks = Masks::default();
    let (bytes, _) = chunk.split_at(BLOCK);
    for (index, (byte, next)) in bytes.iter().zip(chunk.windows(3)).enumerate() {
        let bit = 1_u64 << index;
        let [first, second, third] = *next else { continue };
        if passes(anywhere, first, second, third) {
            masks.anywhere |= bit;
        }
        if passes(starts, first, second, third) {
            masks.starts |= bit;
        }
        match byte {
            b'\\' => masks.back |= bit,
            b'"' => masks.quote |= bit,
            b'u' => masks.u |= bit,
            _ => {}
        }
        if byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80 {
            masks.wordy |= bit;
        }
    }

    masks
}

fn passes(sets: &Sets, first: u8, second: u8, third: u8) -> bool {
    let [one, two, three] = &sets.full.0;
    let of = |set: &[u8; 256], byte: u8| set.get(usize::from(byte)).copied().unwrap_or_default();

    of(one, first) & of(two, second) & of(three, third) != 0
}
