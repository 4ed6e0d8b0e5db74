//! What operators lay on people and on what they hold, as the store takes and gives it.

use crate::clock;
use contract::standing::{Effect, Kind};
use serde_json::{Value, json};

/// One measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// What it is laid on.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// What becomes of it.
    pub effect: Effect,
    /// When it ends by itself, Unix seconds.
    pub ends_at: Option<u64>,
    /// Since when it holds, Unix seconds.
    pub set_at: u64,
    /// Who laid it.
    pub set_by: String,
    /// Why.
    pub why: String,
}

/// Whom it reaches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// The id as it is kept: a person's address, whatever they were named by.
    pub id: String,
    /// Whose it is; `None` if the store does not know it.
    pub user_id: Option<String>,
    /// Tokens that are in use, as far as the store knows.
    pub tokens: u64,
}

/// What became of laying one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Laid {
    /// It holds.
    Done(Reach),
    /// Nothing has this id.
    Unknown,
    /// This one holds already and is stricter. Nothing was changed.
    Stricter(Measure),
}

/// Which measures are lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// All that are laid on it.
    All,
    /// Those of this effect, by its word.
    Effect(&'static str),
    /// This one, as it was laid: what has taken its place since stays.
    This(&'a Measure),
}

impl Which<'_> {
    /// The effect that all of them have; `None` for any.
    pub fn effect(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::Effect(word) => Some(word),
            Self::This(measure) => Some(word(measure.effect)),
        }
    }

    /// Is this one of them?
    pub fn is(self, measure: &Measure) -> bool {
        match self {
            Self::This(wanted) => wanted == measure,
            Self::All | Self::Effect(_) => true,
        }
    }
}

/// What became of lifting some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifted {
    /// These hold no more.
    Done(Reach, Vec<Measure>),
    /// There was none.
    None,
    /// A personal access token that `pat revoke` ended for good.
    Final,
    /// Their directory has ended them: it lets them in again, nobody here does.
    Directory,
}

/// The word of an effect, in the store and on the command line.
pub fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Revoked => "revoked",
        Effect::Paused => "paused",
        Effect::Throttled { .. } => "throttled",
    }
}

/// The word of what it is laid on, on the command line.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Credential => "pat",
        other => other.as_str(),
    }
}

impl Measure {
    /// As commands and rows show it.
    pub fn object(&self) -> Value {
        let per_minute = match self.effect {
            Effect::Throttled { per_minute } => Some(per_minute),
            Effect::Revoked | Effect::Paused => None,
        };

        json!({
            "kind": kind_name(self.kind), "id": self.id, "state": word(self.effect),
            "per_minute": per_minute, "until": self.ends_at.map(clock::readable),
            "by": self.set_by, "since": clock::readable(self.set_at), "why": self.why,
        })
    }

    /// Would laying that one in its place let through what this one does not?
    pub fn is_stricter_than(&self, other: &Self) -> bool {
        let sooner = match (self.ends_at, other.ends_at) {
            (None, Some(_)) => true,
            (Some(mine), Some(other)) => other < mine,
            (_, None) => false,
        };
        let more = match (self.effect, other.effect) {
            (Effect::Throttled { per_minute: mine }, Effect::Throttled { per_minute: other }) => {
                other > mine
            }
            _ => false,
        };

        sooner || more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(effect: Effect, ends_at: Option<u64>) -> Measure {
        Measure {
            kind: Kind::User,
            id: "ann@example.com".into(),
            effect,
            ends_at,
            set_at: 0,
            set_by: "root".into(),
            why: "test".into(),
        }
    }

    #[test]
    fn a_measure_is_replaced_only_by_one_that_lets_no_more_through() {
        let of = |per_minute| Effect::Throttled { per_minute };
        for (before, after, stricter) in [
            (measure(Effect::Paused, Some(9)), measure(Effect::Paused, Some(8)), true),
            (measure(Effect::Paused, Some(9)), measure(Effect::Paused, Some(9)), false),
            (measure(Effect::Revoked, None), measure(Effect::Revoked, Some(9)), true),
            (measure(Effect::Revoked, Some(9)), measure(Effect::Revoked, None), false),
            (measure(of(5), Some(9)), measure(of(6), Some(9)), true),
            (measure(of(5), Some(9)), measure(of(4), Some(9)), false),
            (measure(of(5), Some(9)), measure(of(4), Some(8)), true),
        ] {
            assert_eq!(before.is_stricter_than(&after), stricter, "{before:?} {after:?}");
        }
    }
}
