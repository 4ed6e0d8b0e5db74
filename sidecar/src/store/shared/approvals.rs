//! What people were asked to approve.

use super::{Backend, Connection, Db, DbRow, append, approval_messages};
use crate::content::seal;
use crate::store::approvals::{Approval, Asked, Bounds, Decided, State, Wanted};
use crate::store::{StoreError, signed, unsigned};
use contract::audit::Event;
use sqlx::{QueryBuilder, Row as _};

const APPROVAL: &str = "id, digest, tenant_id, user_id, session_id, server, tool, arguments, reason, trace_id,
    requested_event_id, asked_at, valid_seconds, state, until, decided_at, decided_by, note, used_at, used_event_id";

impl Backend {
    pub(in crate::store) async fn ask_approval(
        &self,
        new: &Approval,
        bounds: Bounds,
        webhooks: &[String],
    ) -> Result<Asked, StoreError> {
        let mut write = self.write().await?;
        lapse(&mut write, new).await?;
        if let Some(known) = live(&mut write, &new.digest).await? {
            write.commit().await?;
            return Ok(Asked::Known(known));
        }
        let (open, lately) = counted(&mut write, new).await?;
        if open >= bounds.open {
            return Ok(Asked::TooMany);
        }
        if lately >= bounds.per_minute {
            return Ok(Asked::TooFast);
        }
        if !insert(&mut write, new).await? {
            // Another sidecar was asked the same in this moment.
            let known = live(&mut write, &new.digest).await?;
            return Ok(known.map_or(Asked::TooFast, Asked::Known));
        }
        for webhook in webhooks {
            approval_messages::add(&mut write, &new.id, webhook, new.asked_at).await?;
        }
        write.commit().await?;

        Ok(Asked::New(new.clone()))
    }

    pub(in crate::store) async fn approval(
        &self,
        id: &str,
    ) -> Result<Option<Approval>, StoreError> {
        let sql = format!("SELECT {APPROVAL} FROM approvals WHERE id = $1");
        let row = sqlx::query(&sql).bind(id).fetch_optional(self.current()).await?;

        row.as_ref().map(approval).transpose()
    }

    pub(in crate::store) async fn approvals(
        &self,
        tenants: Option<&[String]>,
        open: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Approval>, StoreError> {
        let mut query: QueryBuilder<'_, Db> =
            QueryBuilder::new(format!("SELECT {APPROVAL} FROM approvals WHERE 1 = 1"));
        if let Some(tenants) = tenants {
            query.push(" AND tenant_id IN (''");
            for tenant in tenants {
                query.push(", ").push_bind(tenant);
            }
            query.push(")");
        }
        if let Some(now) = open {
            query.push(" AND state = 'open' AND until > ").push_bind(signed(now));
        }
        query.push(" ORDER BY asked_at DESC, id LIMIT ").push_bind(i64::from(limit));
        let rows = query.build().persistent(false).fetch_all(self.current()).await?;

        rows.iter().map(approval).collect()
    }

    pub(in crate::store) async fn decide_approval(
        &self,
        decided: &Decided<'_>,
        row: &Event<'static>,
    ) -> Result<Option<Approval>, StoreError> {
        let mut write = self.write().await?;
        let state = if decided.approved { State::Approved } else { State::Denied };
        let done = sqlx::query(
            "UPDATE approvals SET state = $1, until = $2, decided_at = $3, decided_by = $4, note = $5
             WHERE id = $6 AND state = 'open' AND until > $3",
        )
        .bind(state.as_str())
        .bind(signed(decided.until))
        .bind(signed(decided.now))
        .bind(decided.by)
        .bind(Some(decided.note).filter(|note| !note.is_empty()))
        .bind(decided.id)
        .execute(&mut *write)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        append::add(&mut write, &self.writer, &[seal(row)]).await?;
        approval_messages::add_decided(&mut write, decided.id, decided.now).await?;
        let sql = format!("SELECT {APPROVAL} FROM approvals WHERE id = $1");
        let row = sqlx::query(&sql).bind(decided.id).fetch_one(&mut *write).await?;
        write.commit().await?;

        approval(&row).map(Some)
    }

    /// One statement: of two that race, on whichever sidecar, the second finds it used.
    pub(in crate::store) async fn use_approval(
        &self,
        wanted: &Wanted,
        now: u64,
    ) -> Result<Option<String>, StoreError> {
        let used = sqlx::query_scalar(
            "UPDATE approvals SET state = 'used', used_at = $1, used_event_id = $2
             WHERE digest = $3 AND tenant_id = $4 AND user_id = $5 AND server = $6 AND tool = $7
                 AND state = 'approved' AND until > $1 AND used_at IS NULL
             RETURNING id",
        )
        .bind(signed(now))
        .bind(&wanted.event_id)
        .bind(&wanted.digest)
        .bind(&wanted.tenant_id)
        .bind(&wanted.user_id)
        .bind(&wanted.server)
        .bind(&wanted.tool)
        .fetch_optional(&self.writers)
        .await?;

        Ok(used)
    }
}

/// What of this call was live and is past its time makes room.
async fn lapse(write: &mut Connection, new: &Approval) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE approvals SET state = 'lapsed'
         WHERE digest = $1 AND state IN ('open', 'approved', 'denied') AND until <= $2",
    )
    .bind(&new.digest)
    .bind(signed(new.asked_at))
    .execute(write)
    .await?;

    Ok(())
}

async fn live(write: &mut Connection, digest: &str) -> Result<Option<Approval>, StoreError> {
    let sql = format!(
        "SELECT {APPROVAL} FROM approvals
         WHERE digest = $1 AND state IN ('open', 'approved', 'denied')"
    );
    let row = sqlx::query(&sql).bind(digest).fetch_optional(write).await?;

    row.as_ref().map(approval).transpose()
}

/// How many of theirs wait, and how many they asked within the last minute.
async fn counted(write: &mut Connection, new: &Approval) -> Result<(i64, i64), StoreError> {
    let row = sqlx::query(
        "SELECT COALESCE(SUM(CASE WHEN state = 'open' AND until > $3 THEN 1 ELSE 0 END), 0) AS open,
             COALESCE(SUM(CASE WHEN asked_at > $3 - 60 THEN 1 ELSE 0 END), 0) AS lately
         FROM approvals WHERE tenant_id = $1 AND user_id = $2",
    )
    .bind(&new.tenant_id)
    .bind(&new.user_id)
    .bind(signed(new.asked_at))
    .fetch_one(write)
    .await?;

    Ok((row.try_get("open")?, row.try_get("lately")?))
}

async fn insert(write: &mut Connection, new: &Approval) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO approvals (id, digest, tenant_id, user_id, session_id, server, tool, arguments,
             reason, trace_id, requested_event_id, asked_at, valid_seconds, state, until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'open', $14)
         ON CONFLICT DO NOTHING",
    )
    .bind(&new.id)
    .bind(&new.digest)
    .bind(&new.tenant_id)
    .bind(&new.user_id)
    .bind(&new.session_id)
    .bind(&new.server)
    .bind(&new.tool)
    .bind(&new.arguments)
    .bind(&new.reason)
    .bind(&new.trace_id)
    .bind(&new.requested_event_id)
    .bind(signed(new.asked_at))
    .bind(signed(new.valid_seconds))
    .bind(signed(new.until))
    .execute(write)
    .await?;

    Ok(done.rows_affected() == 1)
}

fn approval(row: &DbRow) -> Result<Approval, StoreError> {
    let time = |name: &str| row.try_get::<Option<i64>, _>(name).map(|at| at.map(unsigned));

    Ok(Approval {
        id: row.try_get("id")?,
        digest: row.try_get("digest")?,
        tenant_id: row.try_get("tenant_id")?,
        user_id: row.try_get("user_id")?,
        session_id: row.try_get("session_id")?,
        server: row.try_get("server")?,
        tool: row.try_get("tool")?,
        arguments: row.try_get("arguments")?,
        reason: row.try_get("reason")?,
        trace_id: row.try_get("trace_id")?,
        requested_event_id: row.try_get("requested_event_id")?,
        asked_at: unsigned(row.try_get("asked_at")?),
        valid_seconds: unsigned(row.try_get("valid_seconds")?),
        state: State::of(row.try_get("state")?),
        until: unsigned(row.try_get("until")?),
        decided_at: time("decided_at")?,
        decided_by: row.try_get("decided_by")?,
        note: row.try_get("note")?,
        used_at: time("used_at")?,
        used_event_id: row.try_get("used_event_id")?,
    })
}
