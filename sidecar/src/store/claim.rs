//! Who sends to a sink: of many sidecars on one database only one, or each row would be sent by all.

use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};

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

    /// Is it still? A connection that broke has lost its lock.
    pub async fn holds(&mut self) -> bool {
        match &mut self.0 {
            Some(connection) => connection.ping().await.is_ok(),
            None => true,
        }
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
