//! What happened to Envoy's files, as the store keeps it.

use super::{Store, StoreError};
use crate::acts::Act;
use std::collections::BTreeMap;

/// Something that happened to the files of a gateway's Envoy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvoyChange {
    /// The writer of the gateway's rows.
    pub gateway: String,
    /// Rises by one with each.
    pub number: u64,
    /// Unix seconds.
    pub at: u64,
    /// Who did it, or found it.
    pub by: String,
    /// What it was.
    pub way: EnvoyWay,
    /// The ticket it belongs to.
    pub ticket: Option<String>,
    /// Why, in their words.
    pub why: Option<String>,
    /// A line for each resource that changed.
    pub changes: Vec<String>,
    /// The digest of each file afterwards, by name.
    pub files: BTreeMap<String, String>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EnvoyWay {
    /// An edit was put in force.
    #[default]
    Apply,
    /// What had changed by another way was taken as it is.
    Adopt,
    /// The files, or what Envoy serves, were found to be something else.
    Drift,
    /// They were found to agree again.
    Agrees,
}

impl EnvoyWay {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Adopt => "adopt",
            Self::Drift => "drift",
            Self::Agrees => "agrees",
        }
    }

    pub(super) fn of(word: &str) -> Self {
        match word {
            "adopt" => Self::Adopt,
            "drift" => Self::Drift,
            "agrees" => Self::Agrees,
            _ => Self::Apply,
        }
    }

    /// Did somebody mean the files to be so?
    pub fn is_meant(self) -> bool {
        matches!(self, Self::Apply | Self::Adopt)
    }
}

impl Store {
    /// What happened to the files of a gateway's Envoy, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn envoy_changes(
        &self,
        gateway: &str,
        limit: u32,
    ) -> Result<Vec<EnvoyChange>, StoreError> {
        each!(self, db => db.envoy_changes(gateway, limit).await)
    }

    /// What was last meant to be in force.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn envoy_meant(&self, gateway: &str) -> Result<Option<EnvoyChange>, StoreError> {
        each!(self, db => db.envoy_meant(gateway).await)
    }

    /// Notes that something happened, with its row. False if something else has meanwhile, so that its number is not
    /// the next one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_envoy_change(&self, new: &EnvoyChange, act: &Act) -> Result<bool, StoreError> {
        each!(self, db => db.add_envoy_change(new, act).await)
    }
}
