//! What laptops were given, and what they say of themselves, as the store keeps it.

use super::{Store, StoreError};
use contract::audit::Event;

/// Whose laptop: the parts of the key, in this order.
pub type Whose = (String, String, String);

/// A document that somebody is given, who had another before.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Served {
    /// Tenant, user and client program.
    pub whose: Whose,
    /// The catalogue.
    pub catalogue: String,
    /// The audience.
    pub audience: String,
    /// The version.
    pub version: u64,
    /// SHA-256 of the signed bytes, hex.
    pub sha256: String,
    /// When, Unix seconds.
    pub at: u64,
    /// Its row, if it is not what they were given last.
    pub row: Event<'static>,
}

/// A laptop, as it said last. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Device {
    /// Tenant, user and device.
    pub whose: Whose,
    /// The client program that the token was for.
    pub client: String,
    /// `linux`, `macos`, `windows`.
    pub os: String,
    /// The helper's version.
    pub helper: String,
    /// `applied`, `unchanged`, `stale` or `failed`.
    pub result: String,
    /// Why it failed.
    pub code: Option<String>,
    /// The same in its own words, cut to what can be shown.
    pub problem: Option<String>,
    /// What somebody should look at there, in its own words.
    pub warnings: Vec<String>,
    /// What stands there; none: nothing yet.
    pub stands: Option<StandsThere>,
    /// Its last sync.
    pub synced_at: u64,
    /// When it said so.
    pub reported_at: u64,
}

/// The document that stands on a laptop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StandsThere {
    /// The catalogue.
    pub catalogue: String,
    /// The audience.
    pub audience: String,
    /// The version.
    pub version: u64,
    /// SHA-256 of the signed bytes, hex.
    pub sha256: String,
    /// Since when.
    pub applied_at: u64,
}

/// What a laptop said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heard {
    /// What counts of it.
    pub device: Device,
    /// All of it, JSON.
    pub report: String,
    /// Its row, if it is one of a failure.
    pub row: Option<Event<'static>>,
}

/// Which laptops are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// Of these tenants; `None`: of all.
    pub tenants: Option<&'a [String]>,
    /// That were heard of since then.
    pub since: u64,
    /// Of this catalogue.
    pub catalogue: &'a str,
}

/// How many laptops have a version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Count {
    /// The version; none: nothing yet, or another catalogue's.
    pub version: Option<u64>,
    /// The audience.
    pub audience: Option<String>,
    /// How many.
    pub devices: u64,
    /// How many of them failed at their last sync.
    pub failed: u64,
    /// How many of them warn of something.
    pub warned: u64,
}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All.
    Any,
    /// That do not have this version yet, the longest away first.
    Behind(u64),
    /// That have this very version.
    At(u64),
    /// Whose last sync failed.
    Failed,
    /// That warn of something.
    Warned,
}

impl Store {
    /// Notes what was served and what was said, with the rows of what is new: all or nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_fleet(&self, served: &[Served], heard: &[Heard]) -> Result<(), StoreError> {
        each!(self, db => db.note_fleet(served, heard).await)
    }

    /// How many laptops have which version.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fleet_counts(&self, wanted: &Wanted<'_>) -> Result<Vec<Count>, StoreError> {
        each!(self, db => db.fleet_counts(wanted).await)
    }

    /// Laptops, by the time of their last sync, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fleet_devices(
        &self,
        wanted: &Wanted<'_>,
        which: Which,
        limit: u32,
    ) -> Result<Vec<Device>, StoreError> {
        each!(self, db => db.fleet_devices(wanted, which, limit).await)
    }

    /// Laptops of this id, or of this person, with all that they said, as JSON; the one heard of last first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fleet_reports(
        &self,
        wanted: &Wanted<'_>,
        name: &str,
        limit: u32,
    ) -> Result<Vec<(Device, String)>, StoreError> {
        each!(self, db => db.fleet_reports(wanted, name, limit).await)
    }

    /// Since when each laptop has had this version or a later one; none for those that have not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fleet_reached(
        &self,
        wanted: &Wanted<'_>,
        version: u64,
    ) -> Result<Vec<Option<u64>>, StoreError> {
        each!(self, db => db.fleet_reached(wanted, version).await)
    }

    /// How many people were given a document and have no laptop that reports.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fleet_silent(&self, wanted: &Wanted<'_>) -> Result<u64, StoreError> {
        each!(self, db => db.fleet_silent(wanted).await)
    }

    /// Forgets laptops that were not heard of since then, when the others had before then what they have no more, and what
    /// nobody published.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_devices(&self, before: u64) -> Result<(), StoreError> {
        each!(self, db => db.forget_devices(before).await)
    }
}
