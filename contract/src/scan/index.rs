//! The anchors of all rules, and which of them stands where the sweep saw one.

use super::sweep::Sets;

/// Bytes an anchor is known by.
pub(super) const KNOWN_BY: usize = 3;

/// A literal that stands in every match of a rule.
#[derive(Debug)]
pub(super) struct Anchor {
    /// Its bytes; none of them can stand escaped in JSON, unless it is disguised on purpose.
    pub(super) bytes: Vec<u8>,
    /// How far behind the place where the rule is tried it stands.
    pub(super) lead: usize,
    /// Is the case of ASCII letters disregarded?
    pub(super) fold: bool,
    /// Does it stand only where a word begins?
    pub(super) at_word: bool,
    /// Must the word end with it?
    pub(super) ends_word: bool,
    /// Of a phrase: the last byte of the word before, the first byte of the word behind.
    pub(super) neighbours: (Option<u8>, Option<u8>),
    /// Which rule it belongs to.
    pub(super) rule: usize,
}

#[derive(Debug)]
struct Entry {
    anchor: Anchor,
    /// Where in the anchor the bytes stand that it is known by.
    offset: usize,
    /// The four bytes from there on, letters in lower case; where the anchor ends before the fourth,
    /// that is zero, which no byte of a text becomes.
    key: u32,
    /// The next entry of the same hash, plus one.
    next: usize,
}

/// An anchor that stands in the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Where the rule is to be tried, as far as before the anchor; `lead` bytes of text before `at`.
    pub(super) at: usize,
    /// See [`Anchor::lead`].
    pub(super) lead: usize,
    /// Which rule.
    pub(super) rule: usize,
}

/// All anchors.
#[derive(Debug)]
pub(super) struct Index {
    /// What the sweep looks for anywhere.
    pub(super) anywhere: Sets,
    /// What the sweep looks for where words begin.
    pub(super) starts: Sets,
    slots: Vec<u16>,
    shift: u32,
    entries: Vec<Entry>,
    /// Is one of them known by three bytes alone?
    short: bool,
}

impl Index {
    /// Most anchors there can be.
    pub(super) const MOST: usize = 0xffff;

    /// Of these anchors, each of which has at least [`KNOWN_BY`] bytes.
    pub(super) fn of(anchors: Vec<Anchor>) -> Self {
        let bits = anchors.len().saturating_mul(8).next_power_of_two().clamp(4096, 65536);
        let bits = bits.trailing_zeros();
        let mut index = Self {
            anywhere: Sets::default(),
            starts: Sets::default(),
            slots: vec![0; 1 << bits],
            shift: 32_u32.saturating_sub(bits),
            entries: Vec::with_capacity(anchors.len()),
            short: false,
        };
        for anchor in anchors {
            index.add(anchor);
        }

        index
    }

    fn add(&mut self, anchor: Anchor) {
        let sets = if anchor.at_word { &mut self.starts } else { &mut self.anywhere };
        let offset = sets.add(&anchor.bytes, anchor.fold, anchor.at_word);
        let known: Vec<u8> = anchor.bytes.iter().skip(offset).take(4).copied().collect();
        let mut four = [0; 4];
        for (key, byte) in four.iter_mut().zip(&known) {
            *key = byte | 0x20;
        }
        let key = u32::from_le_bytes(four);
        self.short |= known.len() < 4;
        let slot = self.slot(key);
        let Ok(number) = u16::try_from(self.entries.len().saturating_add(1)) else { return };
        let Some(slot) = self.slots.get_mut(slot) else { return };
        let next = usize::from(std::mem::replace(slot, number));
        self.entries.push(Entry { anchor, offset, key, next });
    }

    /// Calls `tell` for each anchor that is known by three bytes of which the last is at `last`.
    #[inline]
    pub(super) fn at(&self, bytes: &[u8], last: usize, mut tell: impl FnMut(Seen)) {
        let Some(at) = last.checked_sub(KNOWN_BY - 1) else { return };
        let four = four(bytes, at) | 0x2020_2020;
        self.told(four, bytes, at, &mut tell);
        if self.short {
            self.told(four & 0x00ff_ffff, bytes, at, &mut tell);
        }
    }

    /// The same for the anchors whose slot is that of `key`.
    #[inline]
    fn told(&self, key: u32, bytes: &[u8], at: usize, tell: &mut impl FnMut(Seen)) {
        let mut number = self.slots.get(self.slot(key)).map_or(0, |number| usize::from(*number));
        while let Some(entry) = number.checked_sub(1).and_then(|index| self.entries.get(index)) {
            if entry.key == key
                && let Some(seen) = entry.seen(bytes, at)
            {
                tell(seen);
            }
            number = entry.next;
        }
    }

    #[inline]
    fn slot(&self, key: u32) -> usize {
        // Multiplicative hashing (Knuth, volume 3, section 6.4) of four bytes, or three.
        let hash = key.wrapping_mul(0x9e37_79b1);

        usize::try_from(hash.checked_shr(self.shift).unwrap_or_default()).unwrap_or_default()
    }
}

impl Entry {
    fn seen(&self, bytes: &[u8], at: usize) -> Option<Seen> {
        let anchor = &self.anchor;
        let start = at.checked_sub(self.offset)?;
        let end = start.checked_add(anchor.bytes.len())?;
        let there = bytes.get(start..end)?;
        let same = if anchor.fold {
            there.eq_ignore_ascii_case(&anchor.bytes)
        } else {
            there == anchor.bytes
        };
        let goes_on = anchor.ends_word
            && bytes.get(end).is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_');

        let (before, behind) = anchor.neighbours;
        let likely = before.is_none_or(|last| may_follow(bytes.get(..start), last))
            && behind.is_none_or(|first| may_precede(bytes.get(end..), first));

        (same && !goes_on && likely).then_some(Seen {
            at: start,
            lead: anchor.lead,
            rule: anchor.rule,
        })
    }
}

/// May a word that begins with `first` stand behind white space here? Yes if in doubt.
fn may_precede(rest: Option<&[u8]>, first: u8) -> bool {
    let mut rest = rest.unwrap_or_default();
    let all = rest.len();
    loop {
        match rest {
            [b' ' | b'\t' | b'\n' | b'\r', after @ ..]
            | [b'\\', b'n' | b't' | b'r', after @ ..] => rest = after,
            [b'\\' | 0x80.., ..] => return true,
            [next, ..] => return rest.len() < all && next.eq_ignore_ascii_case(&first),
            [] => return false,
        }
    }
}

/// May a word that ends with `last` stand before white space here? Yes if in doubt.
fn may_follow(rest: Option<&[u8]>, last: u8) -> bool {
    let mut rest = rest.unwrap_or_default();
    let all = rest.len();
    loop {
        match rest {
            [before @ .., b' ' | b'\t' | b'\n' | b'\r']
            | [before @ .., b'\\', b'n' | b't' | b'r'] => rest = before,
            [.., b'\\' | 0x80..] => return true,
            [.., previous] => {
                // Four digits before may be those of an escape.
                let escape =
                    previous.is_ascii_hexdigit() && matches!(rest, [.., b'\\', b'u', _, _, _, _]);

                return escape || rest.len() < all && previous.eq_ignore_ascii_case(&last);
            }
            [] => return false,
        }
    }
}

#[inline]
fn four(bytes: &[u8], at: usize) -> u32 {
    let rest = bytes.get(at..).unwrap_or_default();
    if let Some(four) = rest.first_chunk::<4>() {
        return u32::from_le_bytes(*four);
    }
    let mut four = [0; 4];
    for (to, from) in four.iter_mut().zip(rest) {
        *to = *from;
    }

    u32::from_le_bytes(four)
}
