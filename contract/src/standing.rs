//! The standing: what happened since the policy was signed. It only ever tightens.
//!
//! Versioned; the filter fetches it each second. An entry ends with the last token it could stop.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stopped {
    /// A person, by `user_id` or `sub`.
    User,
    /// A session, by `sid`.
    Session,
    /// One token, by `jti`.
    Token,
    /// Everything minted from one credential, by `credential_id`.
    Credential,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// What is stopped.
    pub kind: Stopped,
    /// Its id.
    pub id: String,
    /// Unix seconds; no token it could stop lives longer.
    pub until: u64,
}

/// The document the filter fetches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Rises with every change.
    pub version: u64,
    /// Who is stopped.
    pub revoked: Vec<Entry>,
}

impl Standing {
    /// This standing, coming after another. A version only rises: one that fell (a database put back
    /// from a copy) may add, and takes nothing away.
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        if self.version >= before.version {
            return self;
        }
        self.version = before.version;
        self.revoked.extend(before.revoked.iter().cloned());
        self.revoked.sort();
        self.revoked.dedup();

        self
    }
}

/// A standing ready to be asked: once per call, whatever its length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Board {
    version: u64,
    revoked: BTreeMap<Stopped, BTreeSet<String>>,
}

impl From<Standing> for Board {
    fn from(standing: Standing) -> Self {
        let Standing { version, revoked } = standing;
        let mut board = Self { version, revoked: BTreeMap::new() };
        for Entry { kind, id, until: _ } in revoked {
            board.revoked.entry(kind).or_default().insert(id);
        }

        board
    }
}

impl Board {
    /// The standing's version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Is this one stopped?
    pub fn stops(&self, kind: Stopped, id: &str) -> bool {
        self.revoked.get(&kind).is_some_and(|ids| ids.contains(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_version_that_fell_takes_nothing_away() {
        let entry = |id: &str| Entry { kind: Stopped::User, id: id.into(), until: 9 };
        let old = Standing { version: 7, revoked: vec![entry("ann")] };
        let fallen = Standing { version: 3, revoked: vec![entry("bob")] };

        let once = fallen.clone().after(&old);
        let again = fallen.after(&once);

        assert_eq!(once.version, 7);
        assert_eq!(once.revoked, [entry("ann"), entry("bob")]);
        assert_eq!(again, once, "however often it is told");
        let restored = Standing { version: 8, revoked: vec![] };
        assert_eq!(restored.clone().after(&once), restored, "a later version may");
    }

    #[test]
    fn only_what_is_listed_is_stopped() {
        let board = Board::from(Standing {
            version: 7,
            revoked: vec![Entry { kind: Stopped::Session, id: "s1".into(), until: 9 }],
        });

        assert_eq!(board.version(), 7);
        assert!(board.stops(Stopped::Session, "s1"));
        assert!(!board.stops(Stopped::Token, "s1"), "kinds do not mix");
        assert!(!board.stops(Stopped::Session, "s2"));
    }
}
