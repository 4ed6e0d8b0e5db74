//! Who sends to a sink: of many sidecars on one database only one, or each row would be sent by all.

use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};
use std::time::Duration;
use tokio::time::timeout;

/// How long the database may be silent.
const PATIENCE: Duration = Duration::from_secs(5);

/// A sink that is this sidecar's.
#[derive(Debug)]
pub struct Claim(Option<PgConnection>);

impl Claim {
    pub(super) fn sole() -> Self {
        Self(None)
    }

    pub(super) fn held_by(connection: PgConnection) -> Self {
        Self(Some(connection))
    }

    /// Is it still? A connection that broke has lost its lock; one that is silent is as good as
    /// broken.
    pub async fn holds(&mut self) -> bool {
        let Some(connection) = &mut self.0 else { return true };

        matches!(timeout(PATIENCE, connection.ping()).await, Ok(Ok(())))
    }
}

/// The lock of a sink. Another program on the same database hardly has that number.
pub(super) fn number(sink: &str) -> i64 {
    let digest = Sha256::new().chain_update(b"tollgate.siem/").chain_update(sink).finalize();
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(digest) {
        *to = from;
    }

    i64::from_be_bytes(bytes)
}
