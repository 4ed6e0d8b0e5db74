//! Betas: which of them a provider takes, and what goes with those that it does not.

use super::table::{Betas, Pair, Place, Unknown, Without, lookup};
use super::unmappable;
use crate::lane::dialect::Unmappable;
use crate::lane::edit::{Edits, Object};

/// What is told of betas that no list has.
const UNLISTED: &str = "beta";

/// What a call's betas become.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sorted {
    /// Those that go on, by the provider's names.
    pub(super) kept: Vec<String>,
    /// Those that do not, as they were asked for.
    gone: Vec<String>,
    /// Is what goes on what came?
    pub(super) same: bool,
}

/// Sorts what the header and the body ask for.
pub(super) fn sort<'a>(
    table: &Betas,
    asked: impl Iterator<Item = &'a str>,
    dropped: &mut Vec<&'static str>,
) -> Sorted {
    let mut sorted = Sorted { same: true, ..Sorted::default() };
    for name in asked.map(str::trim).filter(|name| !name.is_empty()) {
        let here = lookup(table.aliases, name).unwrap_or(name);
        let rejected = table.rejected.iter().find(|rejected| **rejected == name);
        let taken = rejected.is_none()
            && table.place != Place::Dropped
            && (table.unknown == Unknown::Pass || table.accepted.contains(&here));
        if taken && !sorted.kept.iter().any(|kept| kept == here) {
            sorted.same &= here == name;
            sorted.kept.push(here.to_owned());
        } else if taken {
            sorted.same = false;
        } else {
            sorted.same = false;
            sorted.gone.push(name.to_owned());
            let line = rejected.copied().unwrap_or(UNLISTED);
            if !dropped.contains(&line) {
                dropped.push(line);
            }
        }
    }

    sorted
}

impl Sorted {
    /// Takes out what the provider would refuse without its beta.
    ///
    /// # Errors
    /// 400 where the call would mean something else without it.
    pub(super) fn pair(
        &self,
        pairs: &[Pair],
        body: &Object<'_>,
        edits: &mut Edits,
        dropped: &mut Vec<&'static str>,
    ) -> Result<(), Unmappable> {
        for Pair { member, betas, without } in pairs {
            let among = |names: &[String]| names.iter().any(|name| betas.contains(&name.as_str()));
            let there = body.value(member).is_some_and(|value| value != b"null");
            if !there || !among(&self.gone) || among(&self.kept) {
                continue;
            }
            match without {
                Without::Remove => {
                    body.remove(member, edits);
                    dropped.push(member);
                }
                Without::Refuse => {
                    return Err(unmappable(400, format!("this upstream cannot do {member}")));
                }
            }
        }

        Ok(())
    }
}
