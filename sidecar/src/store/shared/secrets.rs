//! What gateways of one installation have in common.

use super::Backend;
use crate::clock;
use crate::store::{StoreError, signed};

impl Backend {
    pub(in crate::store) async fn gate_secret(
        &self,
        name: &str,
        fresh: &str,
    ) -> Result<String, StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO gate_secrets (name, value, made_at) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(name)
        .bind(fresh)
        .bind(signed(clock::now()))
        .execute(&mut *write)
        .await?;
        let value = sqlx::query_scalar("SELECT value FROM gate_secrets WHERE name = $1")
            .bind(name)
            .fetch_one(&mut *write)
            .await?;
        write.commit().await?;

        Ok(value)
    }
}
