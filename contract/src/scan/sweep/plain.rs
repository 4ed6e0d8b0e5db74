//! The sweep without vector instructions.

use super::{BLOCK, Behind, Masks, Sets};

pub(super) fn masks(
    anywhere: &Sets,
    starts: &Sets,
    behind: Behind,
    blocks: &[[u8; BLOCK]],
    out: &mut [Masks],
) {
    let mut behind = behind;
    for (block, out) in blocks.iter().zip(out) {
        *out = block_masks(anywhere, starts, behind, block);
        behind = Behind(block.last_chunk().copied().unwrap_or_default());
    }
}

fn block_masks(anywhere: &Sets, starts: &Sets, behind: Behind, block: &[u8; BLOCK]) -> Masks {
    let mut masks = Masks::default();
    let [.., one, two, three, four] = behind.0;
    let mut before = [one, two, three, four];
    for (index, byte) in block.iter().enumerate() {
        let bit = 1_u64 << index;
        let [escape, last, first, second] = before;
        before = [last, first, second, *byte];
        let begins = || wordy(first) && (!wordy(last) || escape == b'\\');
        if passes(anywhere, first, second, *byte)
            || passes(starts, first, second, *byte) && begins()
        {
            masks.anchors |= bit;
        }
        match byte {
            b'\\' => masks.back |= bit,
            b'"' => masks.quote |= bit,
            b'u' => masks.u |= bit,
            _ => {}
        }
    }

    masks
}

fn wordy(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn passes(sets: &Sets, first: u8, second: u8, third: u8) -> bool {
    let [one, two, three] = &sets.full.0;
    let of = |set: &[u8; 256], byte: u8| set.get(usize::from(byte)).copied().unwrap_or_default();

    of(one, first) & of(two, second) & of(three, third) != 0
}
