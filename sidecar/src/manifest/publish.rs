//! Putting a publication in force for all sidecars of a database: the archives first, which are named by their digest and
//! harm nobody; then, in one transaction, the index, the documents, and the row of who did it.

use super::publication::{Contents, Envelopes, Publication};
use super::{ManifestFailure, publication::Archived, withdrawn};
use crate::acts::Act;
use crate::args::ChangeArgs;
use crate::args::fleet::Revocable;
use crate::clock;
use crate::failure::Failure;
use crate::keys::KeyError;
use crate::operators::operator::Operator;
use crate::settings::Data;
use crate::store::manifests::{ManifestDocument, ManifestPut, ManifestVersion, ManifestWay, PART};
use crate::store::{Store, StoreError};
use contract::envelope::PinnedKey;
use contract::manifest::SKEW;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// How often somebody else may be the first before it is told as a failure.
const TRIES: usize = 8;

/// Most publications that are looked through for one.
pub(super) const MOST: u32 = 10_000;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It was in force before.
    Already,
    /// It is in force, and before it that was.
    Changed(Option<Box<ManifestVersion>>),
}

/// How it is done.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    /// By which command.
    pub way: ManifestWay,
    /// What else its row says of it.
    pub what: &'a str,
    /// For the record.
    pub change: &'a ChangeArgs,
    /// May another catalogue be in force?
    pub other_catalogue: bool,
    /// What may come back that is revoked.
    pub unrevoke: &'a [Revocable],
}

/// Puts a publication in force.
///
/// # Errors
/// [`Failure`]; then what was in force still is.
pub async fn publish(
    store: &Store,
    publication: &Publication,
    manner: Manner<'_>,
    operator: &Operator,
) -> Result<Done, Failure> {
    timely(publication)?;
    let mut archived = false;
    for _ in 0..TRIES {
        let before = store.manifest_in_force().await?;
        if before.as_ref().is_some_and(|it| it.envelope == publication.envelopes().index) {
            return Ok(Done::Already);
        }
        let catalogue = &publication.index().catalogue;
        if let Some(before) = before.as_ref().filter(|it| it.catalogue != *catalogue)
            && !manner.other_catalogue
        {
            return Err(Failure::Refused(format!(
                "the catalogue {:?} is in force, and laptops that have it take nothing of {catalogue:?}: \
                 --other-catalogue, if you mean it",
                before.catalogue
            )));
        }
        // Each time anew: it may be a revocation that was the first.
        if let Some(before) = &before {
            let stored = store.manifest_documents(before.number).await?;
            let documents = publication.contents().documents.values().map(|it| &it.says);
            withdrawn::check(&stored, documents, manner.unrevoke)?;
        }
        if !archived {
            archives(store, publication.contents()).await?;
            archived = true;
        }
        let act = act(operator, publication, before.as_ref(), manner)?;
        let number = before.as_ref().map_or(0, |it| it.number).saturating_add(1);
        let new = version(publication, number, manner, &act);
        match store.publish_manifest(&new, &documents(publication), &act).await? {
            ManifestPut::Done => return Ok(Done::Changed(before.map(Box::new))),
            ManifestPut::Raced => {}
            ManifestPut::Older(highest) => {
                return Err(Failure::Refused(format!(
                    "{catalogue:?} has had version {highest}: a publication's must be higher than {highest}"
                )));
            }
        }
    }

    Err(Failure::Refused("others publish at the same time, over and over: try again".into()))
}

/// Laptops would not take it.
fn timely(publication: &Publication) -> Result<(), Failure> {
    let (index, now) = (publication.index(), clock::now());
    if index.expires_at <= now {
        let when = clock::readable(index.expires_at);
        return Err(Failure::Refused(format!("it has expired at {when}: build it anew")));
    }
    if index.issued_at > now.saturating_add(SKEW) {
        let when = clock::readable(index.issued_at);
        return Err(Failure::Refused(format!(
            "it was made at {when}: the clock of this host, or of who built it, is wrong"
        )));
    }

    Ok(())
}

async fn archives(store: &Store, contents: &Contents) -> Result<(), Failure> {
    for (sha256, archived) in &contents.archives {
        if store.archive(sha256).await?.is_some() {
            continue;
        }
        // Compared with its digest when the publication was read, and by every sidecar that serves it.
        let bytes = archived.bytes().map_err(ManifestFailure::from)?;
        for (part, chunk) in (0_u32..).zip(bytes.chunks(PART)) {
            store.put_archive_part(sha256, part, chunk).await?;
        }
        store.finish_archive(sha256, bytes.len() as u64, clock::now()).await?;
    }

    Ok(())
}

fn documents(publication: &Publication) -> Vec<ManifestDocument> {
    let contents = publication.contents();
    let envelopes = &publication.envelopes().documents;

    contents
        .documents
        .iter()
        .filter_map(|(audience, document)| {
            Some(ManifestDocument {
                audience: audience.clone(),
                sha256: document.sha256(),
                envelope: envelopes.get(audience)?.clone(),
                marketplace: contents.marketplaces.get(audience).cloned(),
            })
        })
        .collect()
}

fn signers(publication: &Publication) -> String {
    publication.key_ids().iter().cloned().collect::<Vec<_>>().join(" ")
}

fn version(
    publication: &Publication,
    number: u64,
    manner: Manner<'_>,
    act: &Act,
) -> ManifestVersion {
    let index = publication.index();

    ManifestVersion {
        number,
        catalogue: index.catalogue.clone(),
        version: index.version,
        issued_at: index.issued_at,
        expires_at: index.expires_at,
        sha256: publication.contents().index.sha256(),
        key_id: signers(publication),
        envelope: publication.envelopes().index.clone(),
        published_at: clock::now(),
        published_by: act.who().to_owned(),
        way: manner.way,
        ticket: manner.change.ticket.clone(),
        why: manner.change.why.clone(),
    }
}

/// The act, with what was in force before it and after.
fn act(
    operator: &Operator,
    publication: &Publication,
    before: Option<&ManifestVersion>,
    manner: Manner<'_>,
) -> Result<Act, KeyError> {
    let index = publication.index();
    let audiences: BTreeMap<&str, &str> =
        index.audiences.iter().map(|it| (&*it.name, &*it.document_sha256)).collect();
    let told = |it: &ManifestVersion| -> Value {
        json!({ "catalogue": it.catalogue, "version": it.version, "sha256": it.sha256,
            "key_id": it.key_id })
    };
    let from = before.map_or_else(|| "nothing".to_owned(), |it| it.version.to_string());
    let Manner { way, what, change, unrevoke, .. } = manner;
    let mut words = format!(
        "manifest {} {from} -> {} ({}, {}){what}",
        way.as_str(),
        index.version,
        index.catalogue,
        signers(publication)
    );
    for it in unrevoke {
        words = format!("{words} unrevoke {it}");
    }
    if let Some(ticket) = &change.ticket {
        words = format!("{words} ticket {ticket}");
    }
    if let Some(why) = &change.why {
        words = format!("{words}: {why}");
    }
    let act = Act::new(operator, words)?.to(json!({
        "catalogue": index.catalogue, "version": index.version,
        "sha256": publication.contents().index.sha256(), "key_id": signers(publication),
        "expires_at": index.expires_at, "audiences": audiences,
    }));

    Ok(match before {
        Some(before) => act.from(told(before)),
        None => act,
    })
}

/// One more than the highest version that a catalogue has had here.
///
/// # Errors
/// [`Failure`], where there is no database to ask.
pub async fn next(catalogue: &str, data: &Data) -> Result<u64, Failure> {
    let store = match Store::open(data).await {
        Ok(store) => store,
        Err(StoreError::Missing(_)) => {
            let why = "which version it is must be said: --version, one higher each time";
            return Err(Failure::Refused(why.into()));
        }
        Err(error) => return Err(error.into()),
    };
    let all = store.manifests(MOST).await?;
    let highest = all.iter().find(|it| it.catalogue == catalogue).map_or(0, |it| it.version);

    Ok(highest.saturating_add(1))
}

/// A publication of the history, whole, if today's keys still vouch for it.
///
/// # Errors
/// [`Failure`].
pub async fn again(
    store: &Store,
    stored: &ManifestVersion,
    pins: &[PinnedKey],
) -> Result<Publication, Failure> {
    let mut envelopes = Envelopes { index: stored.envelope.clone(), ..Envelopes::default() };
    let mut marketplaces = BTreeMap::new();
    for document in store.manifest_documents(stored.number).await? {
        envelopes.documents.insert(document.audience.clone(), document.envelope);
        if let Some(bytes) = document.marketplace {
            marketplaces.insert(document.audience, bytes);
        }
    }
    let from = PathBuf::from(format!("version {} of the history", stored.version));
    // Opened twice: once for the names of the archives, which are then read.
    let mut named = BTreeSet::new();
    for envelope in envelopes.documents.values() {
        let opened = contract::manifest::open(envelope, pins)
            .map_err(|source| ManifestFailure::Unbelieved { path: from.clone(), source })?;
        named.extend(opened.document().plugins.iter().map(|it| it.archive.sha256.clone()));
    }
    let mut archives = BTreeMap::new();
    for sha256 in named {
        let bytes = bytes(store, &sha256).await?;
        archives.insert(sha256, Archived::Memory(bytes));
    }

    Ok(Publication::of(&from, envelopes, pins, |index, documents| {
        Ok(Contents { index, documents, marketplaces, archives })
    })?)
}

async fn bytes(store: &Store, sha256: &str) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    for part in 0_u32.. {
        let Some(more) = store.archive_part(sha256, part).await? else { break };
        bytes.extend(more);
    }

    Ok(bytes)
}
