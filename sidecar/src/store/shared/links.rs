//! What later calls will need of these to find their parents, and the children that came too early.

use super::append::Prepared;
use super::lineage::{
    CHUNK, Emitted, Waiting, agent, among, emitted, link, session, starter, starting, takes_part,
    tool_uses,
};
use super::{Connection, Db};
use crate::clock;
use crate::store::row::Link;
use crate::store::{StoreError, signed};
use contract::audit::Event;
use sqlx::QueryBuilder;
use std::collections::HashSet;

/// Keeps what later calls will need, and finds the children that waited for these.
pub(super) async fn remember(
    write: &mut Connection,
    rows: &[&Prepared<'_>],
) -> Result<(), StoreError> {
    let part: Vec<&&Prepared<'_>> = rows.iter().filter(|row| takes_part(row.event)).collect();
    let emitted: Vec<Emitted> = part
        .iter()
        .flat_map(|row| {
            let trace = row.link.as_ref().and_then(|link| link.trace_id.as_deref());
            emitted(row.event, trace.or(row.event.trace_id.as_deref()))
        })
        .collect();
    put_emitted(write, &emitted).await?;
    for row in &part {
        put_answered(write, row.event).await?;
        let first = put_agent(write, row.event).await?;
        if row.link.is_none() {
            put_waiting(write, row.event, first).await?;
        }
    }

    find_children(write, &emitted).await
}

async fn put_emitted(write: &mut Connection, emitted: &[Emitted]) -> Result<(), StoreError> {
    for chunk in emitted.chunks(500) {
        let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
            "INSERT INTO audit_tool_uses (tool_use_id, event_id, occurred_at, user_id, session_id,
                 agent_id, trace_id, name) ",
        );
        query.push_values(chunk, |mut row, one| {
            row.push_bind(&one.tool_use_id)
                .push_bind(&one.event_id)
                .push_bind(one.occurred_at)
                .push_bind(&one.user_id)
                .push_bind(&one.session_id)
                .push_bind(&one.agent_id)
                .push_bind(&one.trace_id)
                .push_bind(&one.name);
        });
        query.push(" ON CONFLICT DO NOTHING");
        query.build().persistent(false).execute(&mut *write).await?;
    }

    Ok(())
}

/// Notes when the answered blocks were answered first: from then on they are not open.
async fn put_answered(write: &mut Connection, event: &Event<'static>) -> Result<(), StoreError> {
    for id in &event.payload.answers {
        sqlx::query(
            "UPDATE audit_tool_uses SET answered_at = $1 WHERE tool_use_id = $2 AND user_id = $3
                 AND session_id = $4 AND (answered_at IS NULL OR answered_at > $1)",
        )
        .bind(signed(event.occurred_at))
        .bind(&**id)
        .bind(&*event.user_id)
        .bind(session(event))
        .execute(&mut *write)
        .await?;
    }

    Ok(())
}

/// Notes an agent; true if this is its first call.
async fn put_agent(write: &mut Connection, event: &Event<'static>) -> Result<bool, StoreError> {
    if agent(event).is_empty() {
        return Ok(false);
    }
    let noted = sqlx::query(
        "INSERT INTO audit_agents (session_id, user_id, agent_id, event_id, occurred_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(session(event))
    .bind(&*event.user_id)
    .bind(agent(event))
    .bind(&*event.event_id)
    .bind(signed(event.occurred_at))
    .execute(write)
    .await?;

    Ok(noted.rows_affected() > 0)
}

async fn put_waiting(
    write: &mut Connection,
    event: &Event<'static>,
    first_of_agent: bool,
) -> Result<(), StoreError> {
    let ids = event.payload.answers.iter().map(|id| &**id);
    let start = (first_of_agent && event.payload.answers.is_empty()).then_some("");
    for id in ids.chain(start) {
        sqlx::query(
            "INSERT INTO audit_waiting (tool_use_id, event_id, occurred_at, user_id, session_id,
                 parent_agent_id) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(&*event.event_id)
        .bind(signed(event.occurred_at))
        .bind(&*event.user_id)
        .bind(session(event))
        .bind(starter(event))
        .execute(&mut *write)
        .await?;
    }

    Ok(())
}

/// Links the calls that waited for one of these.
async fn find_children(write: &mut Connection, emitted: &[Emitted]) -> Result<(), StoreError> {
    let sessions: HashSet<&str> = emitted.iter().map(|one| &*one.session_id).collect();

    relink(write, &sessions.into_iter().collect::<Vec<_>>()).await
}

/// Two sidecars may have stored parent and child at the same time, and neither saw the other's.
pub(super) async fn relink_all(write: &mut Connection) -> Result<(), StoreError> {
    let sessions: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT session_id FROM audit_waiting LIMIT 2000")
            .fetch_all(&mut *write)
            .await?;

    relink(write, &sessions.iter().map(String::as_str).collect::<Vec<_>>()).await
}

async fn relink(write: &mut Connection, sessions: &[&str]) -> Result<(), StoreError> {
    for chunk in sessions.chunks(CHUNK) {
        let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
            "SELECT tool_use_id, event_id, occurred_at, user_id, session_id, parent_agent_id
             FROM audit_waiting WHERE ",
        );
        among(&mut query, "session_id", chunk);
        let waiting: Vec<Waiting> =
            query.build_query_as().persistent(false).fetch_all(&mut *write).await?;
        if waiting.is_empty() {
            continue;
        }
        let known = tool_uses(write, "session_id", chunk).await?;
        for child in waiting {
            if let Some(link) = found(&child, &known) {
                put_link(write, &child, &link).await?;
            }
        }
    }

    Ok(())
}

fn found(child: &Waiting, known: &[Emitted]) -> Option<Link> {
    let same = |one: &&Emitted| {
        one.user_id == child.user_id
            && one.session_id == child.session_id
            && one.event_id != child.event_id
            && one.occurred_at <= child.occurred_at
    };
    if child.tool_use_id.is_empty() {
        return starting(known.iter().filter(same), &child.parent_agent_id, child.occurred_at);
    }

    known
        .iter()
        .filter(same)
        .filter(|one| one.tool_use_id == child.tool_use_id)
        .max_by_key(|one| one.occurred_at)
        .map(link)
}

async fn put_link(write: &mut Connection, child: &Waiting, link: &Link) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit_links (event_id, parent_event_id, trace_id, found_at)
         VALUES ($1, $2, $3, $4) ON CONFLICT (event_id) DO NOTHING",
    )
    .bind(&child.event_id)
    .bind(&link.parent_event_id)
    .bind(&link.trace_id)
    .bind(signed(clock::now_micros()))
    .execute(&mut *write)
    .await?;
    sqlx::query("DELETE FROM audit_waiting WHERE event_id = $1")
        .bind(&child.event_id)
        .execute(&mut *write)
        .await?;

    Ok(())
}

/// Forgets what no call will ask for any more.
pub(super) async fn forget(write: &mut Connection, before: u64) -> Result<(), StoreError> {
    for table in ["audit_tool_uses", "audit_agents", "audit_waiting"] {
        sqlx::query(&format!("DELETE FROM {table} WHERE occurred_at < $1"))
            .bind(signed(before))
            .execute(&mut *write)
            .await?;
    }

    Ok(())
}
