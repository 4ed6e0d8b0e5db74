//! What a laptop knows of what it had before, and what it therefore does not take any more.

use super::{Manifest, SKEW};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What was taken last. A laptop keeps it where only the system writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Of which catalogue.
    pub catalogue: String,
    /// For whom.
    pub audience: String,
    /// Its version.
    pub version: u64,
    /// SHA-256 of its signed bytes, hex.
    pub sha256: String,
    /// When it was made, Unix seconds: this laptop's clock cannot be behind it by much.
    pub issued_at: u64,
}

/// How a document stands to what was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It is a newer one.
    New,
    /// It is the same, and holds.
    Same,
    /// It is the same, and has expired: what stands there may stay or go, nothing new comes.
    Stale,
}

/// Why a document, well signed, is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejected {
    /// It is for others.
    #[error("is for the audience {0:?}, and this laptop is pinned to {1:?}")]
    Audience(String, String),
    /// It is another catalogue's.
    #[error("is of the catalogue {0:?}, and this laptop has {1:?}")]
    Catalogue(String, String),
    /// It is older than what stands there.
    #[error("is version {0}, and this laptop has had {1}: an older one is not taken again")]
    Older(u64, u64),
    /// Two texts of one version: one of them lies.
    #[error("says something else than the version {0} that this laptop has")]
    Differs(u64),
    /// It was made later than now.
    #[error("was made at {0}, which is {1} s from now: a clock is wrong")]
    FromTheFuture(u64, u64),
    /// It expired before it came.
    #[error("has expired at {0}")]
    Expired(u64),
}

impl Rejected {
    /// A stable word for it, for reports and vectors.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Audience(..) => "other_audience",
            Self::Catalogue(..) => "other_catalogue",
            Self::Older(..) => "older",
            Self::Differs(_) => "differs",
            Self::FromTheFuture(..) => "from_the_future",
            Self::Expired(_) => "expired",
        }
    }
}

impl Known {
    /// What will be known once a document was taken.
    pub fn of(manifest: &Manifest) -> Self {
        let document = manifest.document();
        Self {
            catalogue: document.catalogue.clone(),
            audience: document.audience.clone(),
            version: document.version,
            sha256: manifest.sha256().to_owned(),
            issued_at: document.issued_at,
        }
    }
}

impl Manifest {
    /// May it be taken, by a laptop that knew `known` and may be pinned to an audience? `now` in Unix seconds.
    ///
    /// People move from one audience to another, and then have the same version for another audience. That a gateway in
    /// wrong hands chooses among the signed ones is prevented by pinning the audience, and by nothing else.
    ///
    /// # Errors
    /// [`Rejected`].
    pub fn follows(
        &self,
        known: Option<&Known>,
        audience: Option<&str>,
        now: u64,
    ) -> Result<Freshness, Rejected> {
        let document = self.document();
        if let Some(pinned) = audience.filter(|pinned| *pinned != document.audience) {
            return Err(Rejected::Audience(document.audience.clone(), pinned.to_owned()));
        }
        let ahead = document.issued_at.saturating_sub(now);
        if ahead > SKEW {
            return Err(Rejected::FromTheFuture(document.issued_at, ahead));
        }
        // A clock that was set back does not make an old document young.
        let now = known.map_or(now, |known| now.max(known.issued_at));
        let expired = now >= document.expires_at;
        match known {
            Some(known) if known.catalogue != document.catalogue => {
                Err(Rejected::Catalogue(document.catalogue.clone(), known.catalogue.clone()))
            }
            Some(known) if document.version < known.version => {
                Err(Rejected::Older(document.version, known.version))
            }
            Some(known) if known.sha256 == self.sha256 && expired => Ok(Freshness::Stale),
            Some(known) if known.sha256 == self.sha256 => Ok(Freshness::Same),
            Some(known)
                if document.version == known.version && document.audience == known.audience =>
            {
                Err(Rejected::Differs(known.version))
            }
            _ if expired => Err(Rejected::Expired(document.expires_at)),
            _ => Ok(Freshness::New),
        }
    }
}
