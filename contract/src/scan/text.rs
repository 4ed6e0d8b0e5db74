//! The scan of plain text.

use super::Scanner;
use super::rule::{BORDER, Rule};
use super::sweep::Sweep;
use std::borrow::Cow;
use std::ops::Range;

/// Calls `tell` for what stands in the text, in the order of the anchors.
pub(super) fn each<'s>(
    scanner: &'s Scanner,
    text: &str,
    mut tell: impl FnMut(&'s Rule, Range<usize>),
) {
    let index = &scanner.index;
    let bytes = text.as_bytes();
    Sweep::default().each(&index.anywhere, &index.starts, bytes, |at, found| {
        let mut anchors = found.anchors;
        while anchors != 0 {
            let bit = usize::try_from(anchors.trailing_zeros()).unwrap_or_default();
            anchors &= anchors.wrapping_sub(1);
            index.at(bytes, at.saturating_add(bit), |seen| {
                let Some(rule) = scanner.rules.get(seen.rule) else { return };
                let Some(place) = seen.at.checked_sub(seen.lead) else { return };
                if let Some(found) = within(rule, text, place) {
                    tell(rule, found);
                }
            });
        }
    });
}

/// Tries a rule at a place, in a window as wide as the rule needs it.
fn within(rule: &Rule, text: &str, at: usize) -> Option<Range<usize>> {
    let from = at.saturating_sub(rule.before.saturating_add(BORDER));
    let from = text.floor_char_boundary(from);
    let to = text.floor_char_boundary(at.saturating_add(rule.after));
    let found = rule.find(text.get(from..to)?, at.checked_sub(from)?)?;

    Some(found.start.saturating_add(from)..found.end.saturating_add(from))
}

/// The text with `[id]` in place of each find; borrowed where there is none.
pub(super) fn mask<'t>(scanner: &Scanner, text: &'t str) -> Cow<'t, str> {
    let mut finds: Vec<(Range<usize>, &Rule)> = Vec::new();
    each(scanner, text, |rule, found| {
        finds.push((found, rule));
    });
    if finds.is_empty() {
        return Cow::Borrowed(text);
    }
    finds.sort_by_key(|(found, rule)| (found.start, rule.wanted));
    let mut masked = String::with_capacity(text.len());
    let mut kept = 0;
    let mut finds = finds.into_iter().peekable();
    while let Some((mut found, mut rule)) = finds.next() {
        // What overlaps is one find; the more precise rule names it.
        while let Some((other, by)) = finds.next_if(|(other, _)| other.start < found.end) {
            found.end = found.end.max(other.end);
            if by.wanted < rule.wanted {
                rule = by;
            }
        }
        masked.push_str(text.get(kept..found.start).unwrap_or_default());
        masked.push('[');
        masked.push_str(&rule.label);
        masked.push(']');
        kept = found.end;
    }
    masked.push_str(text.get(kept..).unwrap_or_default());

    Cow::Owned(masked)
}
