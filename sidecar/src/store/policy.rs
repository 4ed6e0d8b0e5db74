//! The policies that were published, as the store keeps them.

use super::{Store, StoreError};
use crate::acts::Act;

/// A policy that was published.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyVersion {
    /// Rises by one with each; the highest is in force.
    pub number: u64,
    /// Names the signed bytes.
    pub version: String,
    /// A name for people.
    pub name: String,
    /// The key that signed.
    pub key_id: String,
    /// As it was signed.
    pub envelope: Vec<u8>,
    /// Unix seconds.
    pub published_at: u64,
    /// Who did it.
    pub published_by: String,
    /// How.
    pub way: Way,
    /// The ticket it belongs to.
    pub ticket: Option<String>,
    /// Why, in their words.
    pub why: Option<String>,
}

/// How a policy came to be in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Way {
    /// `tollgate policy publish`.
    #[default]
    Publish,
    /// `tollgate policy rollback`.
    Rollback,
    /// Its file was put into the data directory.
    File,
}

impl Way {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Rollback => "rollback",
            Self::File => "file",
        }
    }

    pub(super) fn of(word: &str) -> Self {
        match word {
            "rollback" => Self::Rollback,
            "file" => Self::File,
            _ => Self::Publish,
        }
    }
}

impl Store {
    /// The number of the policy in force; 0 where none was ever published here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn policy_number(&self) -> Result<u64, StoreError> {
        each!(self, db => db.policy_number().await)
    }

    /// The policy in force.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn policy_in_force(&self) -> Result<Option<PolicyVersion>, StoreError> {
        each!(self, db => db.policy_in_force().await)
    }

    /// What was published, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn policies(&self, limit: u32) -> Result<Vec<PolicyVersion>, StoreError> {
        each!(self, db => db.policies(limit).await)
    }

    /// Was this very envelope published before?
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_policy_known(
        &self,
        version: &str,
        envelope: &[u8],
    ) -> Result<bool, StoreError> {
        each!(self, db => db.is_policy_known(version, envelope).await)
    }

    /// Puts a policy in force, with the row of who did it; none only for the first, which was in force
    /// before there was a history. False if somebody else has published meanwhile, so that its number
    /// is not the next one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn publish_policy(
        &self,
        new: &PolicyVersion,
        act: Option<&Act>,
    ) -> Result<bool, StoreError> {
        each!(self, db => db.publish_policy(new, act).await)
    }
}
