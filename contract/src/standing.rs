//! The standing: what happened since the policy was signed. It only ever tightens.
//!
//! Somebody, or something they hold, is revoked, paused or throttled. The filter fetches the whole
//! list about once a second, and asks it at every call. So its form is one that needs no reading:
//! records of one length, in order, searched where they lie. No name of an operator and no reason is
//! in it, and no address of a person either: what is listed is listed by a hash of its kind and id.
//!
//! ```text
//! "TGS1"  version: u64  record*                                    (numbers are little endian)
//! record: key: 16 bytes  until: u32  per_minute: 3 bytes  effect: 1 byte
//! ```
//!
//! `key` is the first 16 bytes of the SHA-256 of kind, a zero byte and id. `until` is in Unix seconds,
//! [`FOR_EVER`] for none. Records rise, as bytes, and none is there twice.

use crate::claims::Claims;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

mod record;

pub use record::{Key, Record};

/// Largest standing that is fetched: some 170,000 entries.
pub const LARGEST: usize = 4 * 1024 * 1024; // 4 MiB, what Envoy buffers of an answer

/// `until` of what does not end by itself.
pub const FOR_EVER: u32 = u32::MAX;

/// Most calls a minute that a throttle can say: above that it would be none.
pub const MOST_PER_MINUTE: u32 = 600;

/// How each standing begins.
const MAGIC: &[u8; 4] = b"TGS1";

/// Bytes before the first record.
const HEAD: usize = 12;

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A person, by `user_id` or `sub`.
    User,
    /// A session, by `sid`.
    Session,
    /// One token, by `jti`.
    Token,
    /// Everything minted from one credential, by `credential_id`.
    Credential,
    /// Everything bound to one client certificate, by its SHA-256 as `cnf.x5t#S256` has it.
    Cert,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::User, Self::Session, Self::Token, Self::Credential, Self::Cert];

    /// The kind of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Its word in keys and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Session => "session",
            Self::Token => "token",
            Self::Credential => "credential",
            Self::Cert => "cert",
        }
    }
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Nothing of it is served, until somebody restores it.
    Revoked,
    /// Nothing of it is served, for a time.
    Paused,
    /// Only so many calls a minute are.
    Throttled {
        /// In any 60 s; 1 to [`MOST_PER_MINUTE`].
        per_minute: u32,
    },
}

impl Effect {
    fn throttles(self) -> bool {
        matches!(self, Self::Throttled { .. })
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What is listed.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// What becomes of it.
    pub effect: Effect,
    /// When it ends by itself, Unix seconds.
    pub until: Option<u64>,
}

/// The list as the store has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Rises with every change.
    pub version: u64,
    /// Who is listed.
    pub entries: Vec<Entry>,
}

impl Standing {
    /// As the filter fetches it.
    pub fn encode(&self) -> Vec<u8> {
        let records: Vec<Record> = self.entries.iter().map(Entry::record).collect();

        Board::of(self.version, &records).bytes
    }
}

impl Entry {
    fn record(&self) -> Record {
        let until = self.until.map_or(FOR_EVER, |until| u32::try_from(until).unwrap_or(FOR_EVER));

        Record { key: Key::new(self.kind, &self.id), until, effect: self.effect }
    }
}

/// Why a document is no standing. The one before it stays in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StandingError {
    /// Not begun as one.
    #[error("standing: not of this form")]
    Form,
    /// A record is cut, or says what this version does not know.
    #[error("standing: record {0} cannot be read")]
    Record(usize),
    /// A search would not find all.
    #[error("standing: record {0} is out of order")]
    Order(usize),
}

/// What a token can be listed by. Made once for each, and kept with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks(Vec<Key>);

impl Marks {
    /// The marks of a verified token: its `sub`, its `jti` (empty for none), the user's id, and its claims.
    pub fn new(user_id: &str, subject: &str, token_id: &str, claims: &Claims) -> Self {
        let cert = claims.cnf.as_ref().map_or("", |cnf| cnf.x5t_s256.as_str());
        let mut keys: Vec<Key> = [
            (Kind::User, user_id),
            (Kind::User, subject),
            (Kind::Session, &claims.sid),
            (Kind::Token, token_id),
            (Kind::Credential, &claims.credential_id),
            (Kind::Cert, cert),
        ]
        .into_iter()
        .filter(|(_, id)| !id.is_empty())
        .map(|(kind, id)| Key::new(kind, id))
        .collect();
        keys.sort_unstable();
        keys.dedup();

        Self(keys)
    }
}

/// Why a caller is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Until this time, Unix seconds.
    Paused(u32),
    /// Until somebody restores it.
    Revoked,
}

/// A standing ready to be asked. A look costs a few comparisons for each mark, however long it is,
/// and allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    version: u64,
    throttles: bool,
    bytes: Vec<u8>,
}

impl Default for Board {
    fn default() -> Self {
        Self::of_sorted(0, Vec::new())
    }
}

impl Board {
    /// Reads one. What it says is not copied; that it is in order is proven here, in one pass.
    ///
    /// # Errors
    /// [`StandingError`].
    pub fn read(bytes: Vec<u8>) -> Result<Self, StandingError> {
        let (magic, rest) = bytes.split_first_chunk::<4>().ok_or(StandingError::Form)?;
        let (version, rest) = rest.split_first_chunk::<8>().ok_or(StandingError::Form)?;
        if magic != MAGIC {
            return Err(StandingError::Form);
        }
        let version = u64::from_le_bytes(*version);
        let (records, cut) = rest.as_chunks::<{ Record::LENGTH }>();
        if !cut.is_empty() {
            return Err(StandingError::Record(records.len()));
        }
        let mut throttles = false;
        let mut before: Option<&[u8; Record::LENGTH]> = None;
        for (place, raw) in records.iter().enumerate() {
            if before.is_some_and(|before| !Record::rises(before, raw)) {
                return Err(StandingError::Order(place));
            }
            throttles |= Record::effect_of(raw)
                .map(Effect::throttles)
                .ok_or(StandingError::Record(place))?;
            before = Some(raw);
        }

        Ok(Self { version, throttles, bytes })
    }

    fn of(version: u64, records: &[Record]) -> Self {
        let mut raw: Vec<[u8; Record::LENGTH]> = records.iter().map(Record::write).collect();
        raw.sort_unstable_by(Record::order);

        Self::of_sorted(version, raw)
    }

    fn of_sorted(version: u64, mut raw: Vec<[u8; Record::LENGTH]>) -> Self {
        raw.dedup();
        let mut bytes = Vec::with_capacity(HEAD.saturating_add(raw.as_flattened().len()));
        bytes.extend(MAGIC);
        bytes.extend(version.to_le_bytes());
        bytes.extend(raw.as_flattened());
        let throttles = raw.iter().filter_map(Record::effect_of).any(Effect::throttles);

        Self { version, throttles, bytes }
    }

    /// This one, coming after another. A version only rises: one that fell (a database put back from a
    /// copy) may add, and takes nothing away.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        if self.version >= before.version {
            return self;
        }
        // Both are in order already. The filter has no code that sorts records.
        let (mut ours, mut theirs) =
            (self.records().iter().peekable(), before.records().iter().peekable());
        let mut all = Vec::with_capacity(self.len().saturating_add(before.len()));
        loop {
            let next = match (ours.peek(), theirs.peek()) {
                (Some(one), Some(other)) if Record::rises(one, other) => ours.next(),
                (_, Some(_)) => theirs.next(),
                (_, None) => ours.next(),
            };
            match next {
                Some(record) => all.push(*record),
                None => break Self::of_sorted(before.version, all),
            }
        }
    }

    /// As it is shared.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The standing's version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.records().len()
    }

    /// Is nobody listed?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Is who has these marks stopped now? What is revoked is, whatever else is said of them.
    pub fn stops(&self, marks: &Marks, now: u64) -> Option<Stop> {
        if self.is_empty() {
            return None;
        }
        let stops = marks.0.iter().flat_map(|key| self.of_key(*key)).filter_map(|record| {
            match record.effect {
                Effect::Revoked if record.holds(now) => Some(Stop::Revoked),
                Effect::Paused if record.holds(now) => Some(Stop::Paused(record.until)),
                _ => None,
            }
        });

        stops.max()
    }

    /// By what is who has these marks throttled now, and to how many calls a minute? Where nobody is,
    /// nothing is looked for.
    pub fn throttles(&self, marks: &Marks, now: u64) -> impl Iterator<Item = (Key, u32)> {
        let marks = if self.throttles { marks.0.as_slice() } else { &[] };

        marks.iter().flat_map(|key| self.of_key(*key)).filter_map(move |record| {
            match record.effect {
                Effect::Throttled { per_minute } if record.holds(now) => {
                    Some((record.key, per_minute))
                }
                _ => None,
            }
        })
    }

    fn of_key(&self, key: Key) -> impl Iterator<Item = Record> {
        let records = self.records();
        let first = records.partition_point(|raw| Record::key_of(raw) < key);
        let from = records.get(first..).unwrap_or_default();

        from.iter().take_while(move |raw| Record::key_of(raw) == key).filter_map(Record::read)
    }

    fn records(&self) -> &[[u8; Record::LENGTH]] {
        self.bytes.get(HEAD..).unwrap_or_default().as_chunks().0
    }
}

/// Of what kind and id comes a key.
fn hashed(kind: Kind, id: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(kind.as_str());
    hash.update([0]);
    hash.update(id);

    hash.finalize().into()
}

#[cfg(test)]
mod tests;
