//! What the rules over tools say of a name, remembered: clients declare the same hundred tools at every
//! call, and to match each against each pattern would be most of a verdict's work.
//!
//! It is remembered for each set of rules that are for a caller, so callers alike share it, and by
//! the whole name: nothing here can mistake one for another.

use super::tools::Word;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Rules over tools, one bit each.
pub(super) type RuleSet = [u64; WORDS];

/// Words of a [`RuleSet`]: rules beyond 256 have no place in it.
const WORDS: usize = 4;

/// Longest name that is remembered, bytes. Real ones have under 128.
pub(super) const LONGEST: usize = 256;

/// Most names that are remembered of all sets together; then it begins anew.
const MOST: usize = 8192;

/// What rules say of a name: which rule, by its place in the policy, and its word.
pub(super) type Said = Box<[(usize, Word)]>;

/// The memory. In a filter's VM there is one thread, so its lock is never waited for.
#[derive(Debug, Default)]
pub(super) struct Memo(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    sets: HashMap<RuleSet, HashMap<String, Said>>,
    count: usize,
}

/// These rules as a set; none if one of them has no place in it.
pub(super) fn set(rules: impl IntoIterator<Item = usize>) -> Option<RuleSet> {
    let mut set = RuleSet::default();
    for rule in rules {
        let word = set.get_mut(rule.checked_div(64)?)?;
        *word |= 1_u64.checked_shl(u32::try_from(rule.checked_rem(64)?).ok()?)?;
    }

    Some(set)
}

impl Memo {
    /// Hands what is said of a name to `then`; `ask` finds it out where it is not known.
    pub(super) fn with<T>(
        &self,
        set: &RuleSet,
        name: &str,
        ask: impl FnOnce() -> Said,
        then: impl FnOnce(&Said) -> T,
    ) -> T {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(said) = known.sets.get(set).and_then(|names| names.get(name)) {
            return then(said);
        }
        let said = ask();
        if known.count >= MOST {
            *known = Known::default();
        }
        known.count = known.count.saturating_add(1);
        let names = known.sets.entry(*set).or_default();

        then(names.entry(name.to_owned()).or_insert(said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_is_known_is_not_asked_again_and_sets_do_not_mix() {
        let memo = Memo::default();
        let (one, other) = (set([0, 70]).unwrap(), set([0, 71]).unwrap());
        let said = |word| -> Said { vec![(0, word)].into() };
        let ask = |set, word| memo.with(set, "a", || said(word), |said| said[0].1);

        assert_eq!(ask(&one, Word::Ask), Word::Ask);
        assert_eq!(ask(&one, Word::Blocked), Word::Ask, "it is known");
        assert_eq!(ask(&other, Word::Blocked), Word::Blocked);
        assert_eq!(set([256]), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let memo = Memo::default();
        let all = set([]).unwrap();

        for nth in 0..MOST * 2 + 5 {
            memo.with(&all, &nth.to_string(), || Box::new([]), |_| {});
        }

        assert!(memo.0.lock().unwrap().count <= MOST);
    }
}
