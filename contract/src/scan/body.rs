//! The scan of a JSON body as it came: one sweep, and a closer look where an anchor stands.

use super::index::Seen;
use super::rule::{BORDER, Rule};
use super::sweep::{Found, Sweep};
use super::unescape::{unescape, unescape_before};
use super::walk::{End, Role, Walker};
use super::{Hits, Scanner, base64, text};
use std::ops::Range;

/// Bytes of each of two neighbouring text blocks that are read together.
const SEAM: usize = 256;

/// Scans a body.
pub(super) fn scan(scanner: &Scanner, body: &[u8]) -> Hits {
    let mut run = Run {
        scanner,
        body,
        walker: Walker::new(body),
        hits: Hits::of(scanner),
        open: None,
        before: None,
        disguised: false,
        walked: 0,
    };
    let index = &scanner.index;
    Sweep::default().each(&index.anywhere, &index.starts, body, |at, found| run.block(at, found));

    run.finish()
}

struct Run<'s> {
    scanner: &'s Scanner,
    body: &'s [u8],
    walker: Walker<'s>,
    hits: Hits,
    /// Where the string begins that we are in.
    open: Option<usize>,
    /// What was found before the string in which something was found.
    before: Option<Hits>,
    /// Has the string a `\uXXXX`?
    disguised: bool,
    /// Up to where the document was walked.
    walked: usize,
}

impl Run<'_> {
    #[inline]
    fn block(&mut self, at: usize, found: Found) {
        let mut events = found.anchors | found.quotes | found.disguised;
        while events != 0 {
            let number = events.trailing_zeros();
            let bit = 1_u64 << number;
            events &= events.wrapping_sub(1);
            let at = at.saturating_add(usize::try_from(number).unwrap_or_default());
            if found.quotes & bit != 0 {
                self.quote(at);
                continue;
            }
            self.disguised |= found.disguised & bit != 0;
            if found.anchors & bit != 0
                && let Some(start) = self.open
            {
                let scanner = self.scanner;
                scanner.index.at(self.body, at, |seen| self.seen(start, seen));
            }
        }
    }

    fn quote(&mut self, at: usize) {
        if let Some(start) = self.open.take() {
            self.string(start..at);
            self.walked = at.saturating_add(1);
        } else {
            self.walk(at);
            self.open = Some(at.saturating_add(1));
            self.before = None;
            self.disguised = false;
        }
    }

    /// An anchor stands in the string that begins at `start`.
    fn seen(&mut self, start: usize, seen: Seen) {
        let Some(rule) = self.scanner.rules.get(seen.rule) else { return };
        if self.hits.is_full(rule.wanted) {
            return;
        }
        let reach = rule.before.saturating_add(seen.lead).saturating_add(BORDER);
        let mut window = unescape_before(self.body, start, seen.at, reach);
        let Some(at) = window.len().checked_sub(seen.lead) else { return };
        let rest = self.body.get(seen.at..).unwrap_or_default();
        window.push_str(&unescape(rest, rule.after.saturating_sub(seen.lead)));
        if let Some(found) = rule.find(&window, at) {
            if self.before.is_none() {
                self.before = Some(self.hits.clone());
            }
            self.hit(rule, &window, found);
        }
    }

    fn hit(&mut self, rule: &Rule, text: &str, found: Range<usize>) {
        let Self { hits, walker, .. } = self;
        hits.add(rule.wanted, text.get(found).unwrap_or_default(), || walker.place());
    }

    fn string(&mut self, range: Range<usize>) {
        let raw = self.body.get(range.clone()).unwrap_or_default();
        let mut plain = None;
        if self.disguised {
            // What was found in it as it stands is found again, and exactly.
            if let Some(before) = self.before.take() {
                self.hits = before;
            }
            let text = unescape(raw, usize::MAX);
            self.text(&text);
            plain = Some(text);
        }
        if self.walker.string(range.clone()) == Role::Text {
            self.seam(range, plain.as_deref());
        }
    }

    /// Scans text that does not stand in the body as it is.
    fn text(&mut self, plain: &str) {
        let scanner = self.scanner;
        text::each(scanner, plain, |rule, found| self.hit(rule, plain, found));
    }

    /// Reads the end of the text block before and the beginning of this one together.
    fn seam(&mut self, range: Range<usize>, plain: Option<&str>) {
        let raw = self.body.get(range.clone()).unwrap_or_default();
        let end = plain.map_or_else(
            || End::Raw(range.clone()),
            |plain| End::Text(last(plain, SEAM).to_owned()),
        );
        let mut joined = match self.walker.neighbour(end) {
            Some(End::Text(text)) => text,
            Some(End::Raw(before)) => {
                let text = unescape_before(self.body, before.start, before.end, SEAM);
                last(&text, SEAM).to_owned()
            }
            None => return,
        };
        let border = joined.len();
        if let Some(plain) = plain {
            joined.push_str(plain.get(..plain.floor_char_boundary(SEAM)).unwrap_or(plain));
        } else {
            joined.push_str(&unescape(raw, SEAM));
        }
        let scanner = self.scanner;
        text::each(scanner, &joined, |rule, found| {
            if found.start < border && found.end > border {
                self.hit(rule, &joined, found);
            }
        });
        if raw.len() < SEAM {
            // A block this short may be the middle of three.
            self.walker.lengthen(last(&joined, SEAM));
        }
    }

    /// Walks up to `at`, and reads the documents whose objects have ended.
    fn walk(&mut self, at: usize) {
        self.walker.between(self.walked..at);
        self.walked = at;
        for document in std::mem::take(&mut self.walker.documents) {
            let data = self.body.get(document.data).unwrap_or_default();
            let Some(plain) = base64::text(data) else { continue };
            let (scanner, hits) = (self.scanner, &mut self.hits);
            text::each(scanner, &plain, |rule, found| {
                let found = plain.get(found).unwrap_or_default();
                hits.add(rule.wanted, found, || document.place.clone());
            });
        }
    }

    fn finish(mut self) -> Hits {
        if self.open.is_none() {
            self.walk(self.body.len());
        }

        self.hits
    }
}

/// The last `most` bytes of a text, or a little less.
fn last(text: &str, most: usize) -> &str {
    let from = text.ceil_char_boundary(text.len().saturating_sub(most));

    text.get(from..).unwrap_or_default()
}
