//! Of the documents that lie in the inboxes: one, or none.

use super::inbox::Inbox;
use super::pins;
use super::record::{Check, Log};
use super::state::Held;
use super::trouble::Trouble;
use contract::envelope::PinnedKey;
use contract::manifest::{self, Freshness, Known, Manifest, Rejected};
use std::collections::BTreeSet;

/// By what it is chosen.
#[derive(Debug)]
pub struct Judge<'a> {
    /// The keys that are believed.
    pub pins: &'a [PinnedKey],
    /// What this laptop had.
    pub known: Option<&'a Known>,
    /// The only audience whose documents are taken.
    pub audience: Option<&'a str>,
    /// Unix seconds.
    pub now: u64,
}

/// A document that may be taken.
#[derive(Debug)]
pub struct Candidate {
    /// It.
    pub manifest: Manifest,
    /// As it was signed.
    pub envelope: Vec<u8>,
    /// In whose inbox it lay.
    pub inbox: String,
    fresh: Freshness,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Choice {
    /// A newer document than the one that stands.
    pub newer: Option<Candidate>,
    /// Does the one that stands lie there too?
    pub same: bool,
    /// Why there was no choice.
    pub torn: Option<Trouble>,
    /// Why others were not taken, and in whose inbox they lay.
    pub refused: Vec<(String, Trouble)>,
    /// What a document revokes that came too late to be taken.
    pub held: Option<Held>,
}

impl Judge<'_> {
    /// Looks at all inboxes. A bad document in one does not keep a good one in another from being taken.
    pub fn choose(&self, inboxes: &[Inbox], log: &mut Log) -> Choice {
        let mut choice = Choice::default();
        let mut candidates: Vec<Candidate> = Vec::new();
        for inbox in inboxes {
            match self.judge(inbox, &mut choice.held, log) {
                Ok(found) => candidates.extend(found),
                Err(trouble) => choice.refused.push((inbox.name.clone(), trouble)),
            }
        }
        match one_of(&mut candidates) {
            Ok(None) => {}
            Ok(Some(found)) if found.fresh == Freshness::New => choice.newer = Some(found),
            Ok(Some(_)) => choice.same = true,
            Err(trouble) => {
                log.add(Check::bad("choice", &trouble));
                choice.torn = Some(trouble);
            }
        }

        choice
    }

    fn judge(
        &self,
        inbox: &Inbox,
        held: &mut Option<Held>,
        log: &mut Log,
    ) -> Result<Option<Candidate>, Trouble> {
        let opened = inbox.document().and_then(|bytes| {
            let opened = bytes.map(|bytes| Ok((manifest::open(&bytes, self.pins)?, bytes)));
            opened.transpose()
        });
        let (manifest, envelope) = match opened {
            Ok(None) => return Ok(None),
            Ok(Some(opened)) => opened,
            Err(trouble) => {
                log.add(Check::bad("document", &trouble).of_inbox(&inbox.name));
                return Err(trouble);
            }
        };
        match manifest.follows(self.known, self.audience, self.now) {
            Ok(fresh) => {
                let word = match fresh {
                    Freshness::New => "new",
                    Freshness::Same => "the same",
                    Freshness::Stale => "the same, and expired",
                };
                log.add(Check::good("document", word).of_inbox(&inbox.name).of(&manifest));
                let inbox = inbox.name.clone();
                Ok(Some(Candidate { manifest, envelope, inbox, fresh }))
            }
            Err(rejected) => {
                if matches!(rejected, Rejected::Expired(_)) {
                    hold(held, &manifest, self.pins);
                }
                let trouble = Trouble::Rejected(rejected);
                log.add(Check::bad("document", &trouble).of_inbox(&inbox.name).of(&manifest));
                Err(trouble)
            }
        }
    }
}

/// Nothing of an expired document is put anywhere; what it takes back is.
fn hold(held: &mut Option<Held>, manifest: &Manifest, pins: &[PinnedKey]) {
    let document = manifest.document();
    let newest = held.as_ref().is_none_or(|held| held.version < document.version);
    if newest && !document.revocations.is_empty() {
        let key = pins::of(manifest, pins).cloned();
        let revocations = document.revocations.clone();
        *held = Some(Held { version: document.version, revocations, key });
    }
}

/// The one of the highest version.
///
/// # Errors
/// [`Trouble::Ambiguous`] if there are several that differ.
fn one_of(candidates: &mut Vec<Candidate>) -> Result<Option<Candidate>, Trouble> {
    let version = |it: &Candidate| it.manifest.document().version;
    let Some(highest) = candidates.iter().map(version).max() else { return Ok(None) };
    candidates.retain(|it| version(it) == highest);
    let audiences: BTreeSet<&str> =
        candidates.iter().map(|it| it.manifest.document().audience.as_str()).collect();
    if audiences.len() > 1 {
        let audiences = audiences.into_iter().map(str::to_owned).collect();
        return Err(Trouble::Ambiguous { version: highest, audiences });
    }
    let texts: BTreeSet<&str> = candidates.iter().map(|it| it.manifest.sha256()).collect();
    if texts.len() > 1 {
        return Err(Rejected::Differs(highest).into());
    }

    Ok(candidates.pop())
}
