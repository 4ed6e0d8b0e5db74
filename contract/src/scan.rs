//! The scan for secrets and blocked words.
//!
//! One engine for three: the filter's deny and flag ([`Scanner::scan`], over a body as it came), the
//! sidecar's masking of what is stored ([`Scanner::mask`]), and the trial of a policy
//! ([`Scanner::scan_text`]). What is found never leaves: a [`Hit`] says which rule, where, and a digest.
//!
//! One sweep over the bytes looks for anchors, literals of which each match has one; only around an
//! anchor is JSON's escaping undone and an expression tried. See `docs/scan.md`.

mod base64;
mod body;
mod catalogue;
mod index;
mod rule;
mod sweep;
mod text;
mod unescape;
mod walk;
mod wanted;

pub use catalogue::{Catalogue, Loose, Pattern, Severity, Use, catalogue};
pub use wanted::{
    Fault, FaultKind, LONGEST_REGEX, LONGEST_WORD, MOST_ANCHORS, MOST_WANTED, Wanted,
};

use self::index::Index;
use self::rule::Rule;
use self::wanted::Builder;
use crate::envelope::hex;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// Most hits that are told beyond the first of each thing wanted.
pub const MOST_HITS: usize = 64;
/// Most hits that are told of one thing wanted.
pub const MOST_OF_ONE: u8 = 8;

/// What was wanted, made ready.
#[derive(Debug)]
pub struct Scanner {
    rules: Vec<Rule>,
    index: Index,
    wanted: usize,
}

/// A find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What was found: its index in the list the scanner was made of.
    pub wanted: usize,
    /// Where: `messages[3].content[0].text`. Names that are not the API's are `*`. Empty in plain text.
    pub place: String,
    /// The first 16 hexadecimal digits of the SHA-256 of what was found.
    pub digest: String,
}

/// All finds of one text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hits {
    /// The finds, as they stand in the text. The first of each thing wanted is always among them.
    pub list: Vec<Hit>,
    /// There may be more than are told.
    pub cut: bool,
    /// How many are told of each thing wanted.
    told: Vec<u8>,
}

impl Scanner {
    /// Makes a scanner for what is wanted; [`Hit::wanted`] is an index of this list.
    ///
    /// # Errors
    /// Every element that cannot be looked for, and why.
    pub fn new(wanted: &[Wanted]) -> Result<Self, Vec<Fault>> {
        if wanted.len() > MOST_WANTED {
            return Err(vec![Fault { wanted: MOST_WANTED, kind: FaultKind::Many }]);
        }
        let mut builder = Builder::of(wanted);
        let mut faults = Vec::new();
        for (index, what) in wanted.iter().enumerate() {
            if let Err(kind) = builder.add(index, what) {
                faults.push(Fault { wanted: index, kind });
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }

        Ok(Self::of(builder, wanted.len()))
    }

    /// A scanner for everything that is masked in what is stored: the whole catalogue, each pattern in
    /// its loosest form. Only for [`Scanner::mask`].
    pub fn masking() -> Self {
        let mut builder = Builder::default();
        let mut wanted = 0_usize;
        for pattern in &catalogue().patterns {
            // A test sees to it that each of them can be looked for.
            if builder.loose(wanted, pattern).is_ok() {
                wanted = wanted.saturating_add(1);
            }
        }

        Self::of(builder, wanted)
    }

    fn of(builder: Builder, wanted: usize) -> Self {
        let (rules, index) = builder.done();

        Self { rules, index, wanted }
    }

    /// Is nothing wanted?
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Scans a whole JSON body as it came: every string and every member's name, across the borders of
    /// neighbouring text blocks, and text documents in base64.
    ///
    /// The body should have been proven to be JSON; of other bytes no more is promised than an end.
    pub fn scan(&self, body: &[u8]) -> Hits {
        if self.is_empty() {
            return Hits::default();
        }

        body::scan(self, body)
    }

    /// Scans plain text.
    pub fn scan_text(&self, text: &str) -> Hits {
        let mut hits = Hits::of(self);
        text::each(self, text, |rule, found| {
            hits.add(rule.wanted, text.get(found).unwrap_or_default(), String::new);
        });

        hits
    }

    /// The text with `[id]` in place of each find; borrowed where there is none.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        text::mask(self, text)
    }
}

impl Hits {
    fn of(scanner: &Scanner) -> Self {
        Self { told: vec![0; scanner.wanted], ..Self::default() }
    }

    /// Was nothing found?
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Would a further find of this be told? If not, there was one more.
    fn is_full(&mut self, wanted: usize) -> bool {
        let told = self.told.get(wanted).copied().unwrap_or(MOST_OF_ONE);
        let full = told >= MOST_OF_ONE || (told > 0 && self.list.len() >= MOST_HITS);
        self.cut |= full;

        full
    }

    fn add(&mut self, wanted: usize, found: &str, place: impl FnOnce() -> String) {
        if self.is_full(wanted) {
            return;
        }
        let mut digest = hex(&Sha256::digest(found));
        digest.truncate(16);
        let hit = Hit { wanted, place: place(), digest };
        // Two anchors of one rule may stand in one find.
        if self.list.iter().rev().take(4).any(|last| *last == hit) {
            return;
        }
        if let Some(told) = self.told.get_mut(wanted) {
            *told = told.saturating_add(1);
        }
        self.list.push(hit);
    }
}

#[cfg(test)]
mod tests;
