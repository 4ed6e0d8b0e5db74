//! What channels are to be told of requests for approval. It stands in the database, so that whoever decides, a page
//! or a command, need not know where the channels are, and a sidecar that stops forgets nothing.

use super::{Backend, Connection, DbRow};
use crate::store::approvals::Message;
use crate::store::{StoreError, signed, unsigned};
use sqlx::Row as _;

const MESSAGE: &str = "approval_id, webhook, what, attempts, next_at, told_at, problem";

impl Backend {
    pub(in crate::store) async fn approval_messages(
        &self,
        id: &str,
    ) -> Result<Vec<Message>, StoreError> {
        let sql = format!(
            "SELECT {MESSAGE} FROM approval_messages WHERE approval_id = $1 ORDER BY what, webhook"
        );
        let rows = sqlx::query(&sql).bind(id).fetch_all(self.current()).await?;

        rows.iter().map(message).collect()
    }

    pub(in crate::store) async fn due_messages(
        &self,
        webhook: &str,
        now: u64,
    ) -> Result<Vec<Message>, StoreError> {
        let sql = format!(
            "SELECT {MESSAGE} FROM approval_messages
             WHERE next_at IS NOT NULL AND next_at <= $1 AND webhook = $2 ORDER BY next_at LIMIT 100"
        );
        let query = sqlx::query(&sql).bind(signed(now)).bind(webhook);
        let rows = query.fetch_all(self.current()).await?;

        rows.iter().map(message).collect()
    }

    pub(in crate::store) async fn take_message(
        &self,
        message: &Message,
        next_at: u64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE approval_messages SET next_at = $1, attempts = attempts + 1
             WHERE approval_id = $2 AND webhook = $3 AND what = $4
                 AND next_at IS NOT NULL AND attempts = $5",
        )
        .bind(signed(next_at))
        .bind(&message.approval_id)
        .bind(&message.webhook)
        .bind(&message.what)
        .bind(i64::from(message.attempts))
        .execute(&self.writers)
        .await?;

        Ok(done.rows_affected() == 1)
    }

    pub(in crate::store) async fn note_message(&self, message: &Message) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE approval_messages SET next_at = $1, told_at = $2, problem = $3
             WHERE approval_id = $4 AND webhook = $5 AND what = $6",
        )
        .bind(message.next_at.map(signed))
        .bind(message.told_at.map(signed))
        .bind(&message.problem)
        .bind(&message.approval_id)
        .bind(&message.webhook)
        .bind(&message.what)
        .execute(&self.writers)
        .await?;

        Ok(())
    }
}

/// A channel is to be told of a new request.
pub(super) async fn add(
    write: &mut Connection,
    id: &str,
    webhook: &str,
    now: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO approval_messages (approval_id, webhook, what, next_at)
         VALUES ($1, $2, 'asked', $3) ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(webhook)
    .bind(signed(now))
    .execute(write)
    .await?;

    Ok(())
}

/// Every channel that was told of the request is to be told of the decision.
pub(super) async fn add_decided(
    write: &mut Connection,
    id: &str,
    now: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO approval_messages (approval_id, webhook, what, next_at)
         SELECT approval_id, webhook, 'decided', $2 FROM approval_messages
         WHERE approval_id = $1 AND what = 'asked' ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(signed(now))
    .execute(write)
    .await?;

    Ok(())
}

fn message(row: &DbRow) -> Result<Message, StoreError> {
    let time = |name: &str| row.try_get::<Option<i64>, _>(name).map(|at| at.map(unsigned));

    Ok(Message {
        approval_id: row.try_get("approval_id")?,
        webhook: row.try_get("webhook")?,
        what: row.try_get("what")?,
        attempts: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
        next_at: time("next_at")?,
        told_at: time("told_at")?,
        problem: row.try_get("problem")?,
    })
}
