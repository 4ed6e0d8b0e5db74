//! The publication in force, as a running sidecar follows it: verified here too, laid out as it is served.
//!
//! What cannot be believed changes nothing, and is heard of: a log line, a metric, a row.

use super::ManifestFailure;
use super::prepared::{ENVELOPE, Prepared};
use crate::acts::Act;
use crate::clock;
use crate::counters::Counters;
use crate::keys;
use crate::operators::operator::Operator;
use crate::settings::Data;
use crate::store::manifests::{ManifestDocument, ManifestVersion};
use crate::store::{Store, StoreError};
use contract::audit::{Event, Outcome};
use contract::envelope::PinnedKey;
use contract::manifest::{self, Index, Manifest, sha256};
use contract::policy::Subject;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

/// How often the store is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How often it is told that a publication expires soon.
const TELL: u64 = 3_600; // seconds

/// From how long before that on.
const SOON: u64 = 3 * clock::DAY;

/// How many publications a sidecar that starts looks back through for one that it believes.
const BACK: u32 = 10;

/// Longest reason that a row has, in characters.
const LONGEST: usize = 500;

/// A publication, as it is served.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its number in the history.
    pub number: u64,
    /// Its catalogue.
    pub catalogue: String,
    /// Its version.
    pub version: u64,
    /// When it expires, Unix seconds.
    pub expires_at: u64,
    index: Index,
    shelves: HashMap<String, Arc<Shelf>>,
}

/// What an audience has.
#[derive(Debug, Clone)]
pub struct Shelf {
    /// The catalogue.
    pub catalogue: String,
    /// The audience.
    pub audience: String,
    /// The version.
    pub version: u64,
    /// SHA-256 of the signed bytes, hex.
    pub sha256: String,
    /// The document in its envelope.
    pub document: Prepared,
    /// Its `marketplace.json`, where it has one, and the SHA-256 of that.
    pub marketplace: Option<(Prepared, String)>,
    /// Its archives, and how many bytes they have.
    pub archives: HashMap<String, u64>,
}

impl Shown {
    /// What somebody has: that of the first audience that fits.
    pub fn shelf(&self, subject: &Subject<'_>) -> Option<&Arc<Shelf>> {
        self.shelves.get(&self.index.audience(subject)?.name)
    }

    /// All archives that somebody has.
    pub fn archives(&self) -> BTreeSet<String> {
        self.shelves.values().flat_map(|shelf| shelf.archives.keys().cloned()).collect()
    }

    /// A publication of the store's, believed no more than a folder.
    ///
    /// # Errors
    /// [`ManifestFailure`].
    pub fn open(
        stored: &ManifestVersion,
        documents: Vec<ManifestDocument>,
        pins: &[PinnedKey],
    ) -> Result<Self, ManifestFailure> {
        let path = || PathBuf::from(format!("publication {} of the history", stored.number));
        let index = manifest::open_index(&stored.envelope, pins)
            .map_err(|source| ManifestFailure::Unbelieved { path: path(), source })?;
        let mut by_name: HashMap<String, ManifestDocument> =
            documents.into_iter().map(|it| (it.audience.clone(), it)).collect();
        let mut shelves = HashMap::new();
        for audience in &index.audiences {
            let path = path().join(&audience.name);
            let broken = |problem: &str| ManifestFailure::Broken {
                path: path.clone(),
                problem: problem.into(),
            };
            let found = by_name.remove(&audience.name).ok_or_else(|| broken("is not there"))?;
            let opened = manifest::open(&found.envelope, pins)
                .map_err(|source| ManifestFailure::Unbelieved { path: path.clone(), source })?;
            let says = opened.document();
            let same = opened.sha256() == audience.document_sha256
                && (&says.audience, &says.catalogue) == (&audience.name, &index.catalogue)
                && (says.version, says.issued_at, says.expires_at)
                    == (index.version, index.issued_at, index.expires_at);
            if !same {
                return Err(broken("is not the one that the index names"));
            }
            let market = found.marketplace.as_deref().map(sha256);
            if market != audience.marketplace_sha256 {
                return Err(broken("has a marketplace that is not the one that the index names"));
            }
            shelves.insert(audience.name.clone(), Arc::new(Shelf::new(&opened, found)));
        }

        Ok(Self {
            number: stored.number,
            catalogue: index.catalogue.clone(),
            version: index.version,
            expires_at: index.expires_at,
            index,
            shelves,
        })
    }
}

impl Shelf {
    fn new(opened: &Manifest, found: ManifestDocument) -> Self {
        let says = opened.document();
        let market = found.marketplace.map(|bytes| {
            let digest = sha256(&bytes);
            (Prepared::new("application/json", bytes), digest)
        });

        Self {
            catalogue: says.catalogue.clone(),
            audience: says.audience.clone(),
            version: says.version,
            sha256: opened.sha256().to_owned(),
            document: Prepared::new(ENVELOPE, found.envelope),
            marketplace: market,
            archives: says
                .plugins
                .iter()
                .map(|plugin| (plugin.archive.sha256.clone(), plugin.archive.bytes))
                .collect(),
        }
    }
}

/// What is served now, if anything was ever published.
pub type Live = watch::Receiver<Option<Arc<Shown>>>;

/// Follows what is in force.
#[derive(Debug)]
pub struct Follower {
    data: Data,
    store: Store,
    counters: Arc<Counters>,
    live: watch::Sender<Option<Arc<Shown>>>,
    /// The number that was looked at last, and whose publications were believed then.
    seen: Option<(u64, Vec<PinnedKey>)>,
    /// When it was last told that it expires.
    told: u64,
    away: bool,
}

impl Follower {
    /// Finds what is in force. A store that is away, or a publication that is not believed, is no reason not to start.
    pub async fn start(data: &Data, store: &Store, counters: &Arc<Counters>) -> Self {
        let (live, _now) = watch::channel(None);
        let mut follower = Self {
            data: data.clone(),
            store: store.clone(),
            counters: Arc::clone(counters),
            live,
            seen: None,
            told: 0,
            away: false,
        };
        follower.looked().await;

        follower
    }

    /// What is in force, now and later.
    pub fn now(&self) -> Live {
        self.live.subscribe()
    }

    /// Keeps it as the store has it.
    pub async fn follow(mut self) {
        loop {
            sleep(LOOK).await;
            self.looked().await;
        }
    }

    async fn looked(&mut self) {
        let looked = self.look().await;
        if let Err(error) = &looked
            && !self.away
        {
            self.counters.store_errors.one();
            error!(error = %error, "Which manifest is in force is not known; the last one holds");
        }
        self.away = looked.is_err();
        self.warn();
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        // A key that was pinned since may be the one that a publication waits for.
        let before = self.seen.as_ref().map(|(_, pins)| pins.clone()).unwrap_or_default();
        let pins = keys::manifest_pins(&self.data).unwrap_or(before);
        let number = self.store.manifest_number().await?;
        if self.seen.as_ref().is_some_and(|(seen, with)| *seen == number && *with == pins) {
            return Ok(());
        }
        let back = if self.live.borrow().is_some() { 1 } else { BACK };
        for stored in self.store.manifests(back).await? {
            let documents = self.store.manifest_documents(stored.number).await?;
            match Shown::open(&stored, documents, &pins) {
                Ok(shown) => {
                    self.take(shown);
                    break;
                }
                Err(refused) => self.heard(&refused).await,
            }
        }
        self.seen = Some((number, pins));

        Ok(())
    }

    fn take(&mut self, shown: Shown) {
        info!(
            manifest.catalogue = shown.catalogue,
            manifest.version = shown.version,
            manifest.audiences = shown.shelves.len(),
            "A manifest was published"
        );
        self.counters.manifests.version.set(shown.version);
        self.counters.manifests.expires_at.set(shown.expires_at);
        self.told = 0;
        self.live.send_replace(Some(Arc::new(shown)));
    }

    /// Says in time that laptops will take nothing new.
    fn warn(&mut self) {
        let Some((version, expires_at)) =
            self.live.borrow().as_ref().map(|shown| (shown.version, shown.expires_at))
        else {
            return;
        };
        let now = clock::now();
        let left = expires_at.saturating_sub(now);
        if left > SOON || now < self.told.saturating_add(TELL) {
            return;
        }
        self.told = now;
        if left == 0 {
            error!(
                manifest.version = version,
                "The manifest has expired: nothing new lands anywhere"
            );
        } else {
            warn!(
                manifest.version = version,
                hours = left / 3_600,
                "The manifest expires soon: build, sign and publish it anew"
            );
        }
    }

    /// A publication was refused: somebody has to know.
    async fn heard(&self, refused: &ManifestFailure) {
        self.counters.manifests.refused.one();
        error!(error = %refused, "A manifest was published and refused; the old one stays");
        if let Err(error) = told(&self.store, refused).await {
            self.counters.store_errors.one();
            warn!(error = %error, "That a manifest was refused is not written down");
        }
    }
}

async fn told(store: &Store, refused: &ManifestFailure) -> Result<(), StoreError> {
    let why: String = refused.to_string().chars().take(LONGEST).collect();
    let act = Act::new(&Operator::owner(), format!("manifest refused: {why}"))?;
    let row =
        Event { outcome: Outcome::Denied, rule_id: Some("manifest_refused".into()), ..act.row("") };

    store.append(&[row], None).await.map(drop)
}

#[cfg(test)]
mod tests;
