//! Tokens that have been verified, by their SHA-256.
//!
//! An Ed25519 verification costs 0.2 ms in the VM, a look-up some microseconds. Only good tokens
//! are remembered, so nobody can push them out with bad ones; at most [`MOST`] of them.

use crate::stages::authenticate::Caller;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// How many are remembered.
pub const MOST: usize = 4096;

/// The hash a token is remembered by.
pub type Key = [u8; 32];

/// The memory of one VM.
#[derive(Debug, Default)]
pub struct Tokens {
    known: HashMap<Key, Rc<Caller>>,
    oldest: VecDeque<Key>,
}

/// The hash of a token.
pub fn key(token: &str) -> Key {
    Sha256::digest(token.as_bytes()).into()
}

impl Tokens {
    /// Who this token names, if it was verified before.
    pub fn get(&self, key: &Key) -> Option<Rc<Caller>> {
        self.known.get(key).map(Rc::clone)
    }

    /// Remembers a verified token; the one remembered longest makes room.
    pub fn remember(&mut self, key: Key, caller: Rc<Caller>) {
        while self.known.len() >= MOST && !self.known.contains_key(&key) {
            match self.oldest.pop_front() {
                Some(first) => drop(self.known.remove(&first)),
                None => self.known.clear(),
            }
        }
        if self.known.insert(key, caller).is_none() {
            self.oldest.push_back(key);
        }
    }

    /// Forgets one.
    pub fn forget(&mut self, key: &Key) {
        if self.known.remove(key).is_some() {
            self.oldest.retain(|candidate| candidate != key);
        }
    }

    /// Keeps those for whom `stays` holds.
    pub fn retain(&mut self, stays: impl Fn(&Caller) -> bool) {
        self.known.retain(|_, caller| stays(caller));
        let known = &self.known;
        self.oldest.retain(|key| known.contains_key(key));
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::authenticate::tests::caller;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_memory_is_bounded_and_the_oldest_leaves() {
        let mut tokens = Tokens::default();
        let caller = Rc::new(caller("ann@example.com"));
        let keys: Vec<Key> = (0..=MOST).map(|n| key(&n.to_string())).collect();

        for key in &keys {
            tokens.remember(*key, Rc::clone(&caller));
        }

        tokens.remember(keys[MOST], Rc::clone(&caller));

        assert_eq!(tokens.len(), MOST, "one that is known pushes nobody out");
        assert!(tokens.get(&keys[0]).is_none(), "the first made room");
        assert!(tokens.get(&keys[MOST]).is_some());
    }

    #[test]
    fn who_was_stopped_leaves() {
        let mut tokens = Tokens::default();
        tokens.remember(key("a"), Rc::new(caller("ann@example.com")));
        tokens.remember(key("b"), Rc::new(caller("bob@example.com")));

        tokens.retain(|caller| caller.user_id != "ann@example.com");
        tokens.forget(&key("never there"));

        assert!(tokens.get(&key("a")).is_none());
        assert!(tokens.get(&key("b")).is_some());
    }
}
