//! The manifests that were published, as the store keeps them: the signed index, the document of each audience, and
//! the archives that those name.

use super::{Store, StoreError};
use crate::acts::Act;

/// Bytes of an archive that are read and written at once.
pub const PART: usize = 1024 * 1024; // 1 MiB

/// A publication: its signed index, and how it came to be in force. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ManifestVersion {
    /// Rises by one with each; the highest is in force.
    pub number: u64,
    /// The catalogue.
    pub catalogue: String,
    /// The catalogue's own number, which only rises.
    pub version: u64,
    /// When it was made.
    pub issued_at: u64,
    /// From when on nothing of it is newly put anywhere.
    pub expires_at: u64,
    /// SHA-256 of the index's signed bytes, hex.
    pub sha256: String,
    /// The key that signed.
    pub key_id: String,
    /// The index, as it was signed.
    pub envelope: Vec<u8>,
    /// When it was put in force.
    pub published_at: u64,
    /// Who did it.
    pub published_by: String,
    /// How.
    pub way: ManifestWay,
    /// The ticket it belongs to.
    pub ticket: Option<String>,
    /// Why, in their words.
    pub why: Option<String>,
}

/// What an audience of a publication has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ManifestDocument {
    /// The audience.
    pub audience: String,
    /// SHA-256 of the signed bytes, hex.
    pub sha256: String,
    /// As it was signed.
    pub envelope: Vec<u8>,
    /// Its `marketplace.json`, where it has one.
    pub marketplace: Option<Vec<u8>>,
}

/// How a publication came to be in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ManifestWay {
    /// `tollgate manifest publish`.
    #[default]
    Publish,
    /// `tollgate manifest rollback`.
    Rollback,
    /// `tollgate manifest revoke`.
    Revoke,
}

impl ManifestWay {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Rollback => "rollback",
            Self::Revoke => "revoke",
        }
    }

    pub(super) fn of(word: &str) -> Self {
        match word {
            "rollback" => Self::Rollback,
            "revoke" => Self::Revoke,
            _ => Self::Publish,
        }
    }
}

/// What became of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestPut {
    /// It is in force.
    Done,
    /// Somebody else has published meanwhile.
    Raced,
    /// The catalogue has had this version, or a higher one.
    Older(u64),
}

impl Store {
    /// The number of the publication in force; 0 where there was none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn manifest_number(&self) -> Result<u64, StoreError> {
        each!(self, db => db.manifest_number().await)
    }

    /// What was published, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn manifests(&self, limit: u32) -> Result<Vec<ManifestVersion>, StoreError> {
        each!(self, db => db.manifests(limit).await)
    }

    /// The publication in force.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn manifest_in_force(&self) -> Result<Option<ManifestVersion>, StoreError> {
        Ok(self.manifests(1).await?.pop())
    }

    /// The documents of a publication, by audience.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn manifest_documents(
        &self,
        number: u64,
    ) -> Result<Vec<ManifestDocument>, StoreError> {
        each!(self, db => db.manifest_documents(number).await)
    }

    /// Puts a publication in force, with the row of who did it. Its archives have to be there before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn publish_manifest(
        &self,
        new: &ManifestVersion,
        documents: &[ManifestDocument],
        act: &Act,
    ) -> Result<ManifestPut, StoreError> {
        each!(self, db => db.publish_manifest(new, documents, act).await)
    }

    /// How many bytes an archive has, if it is there whole.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn archive(&self, sha256: &str) -> Result<Option<u64>, StoreError> {
        each!(self, db => db.archive(sha256).await)
    }

    /// A part of an archive, of [`PART`] bytes unless it is the last; none behind that.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn archive_part(
        &self,
        sha256: &str,
        part: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        each!(self, db => db.archive_part(sha256, part).await)
    }

    /// Puts a part of an archive there, if it is not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_archive_part(
        &self,
        sha256: &str,
        part: u32,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        each!(self, db => db.put_archive_part(sha256, part, bytes).await)
    }

    /// Says that all parts of an archive are there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finish_archive(
        &self,
        sha256: &str,
        bytes: u64,
        now: u64,
    ) -> Result<(), StoreError> {
        each!(self, db => db.finish_archive(sha256, bytes, now).await)
    }
}
