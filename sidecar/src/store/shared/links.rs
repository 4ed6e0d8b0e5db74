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
use std::collections::{BTreeMap, HashSet};

/// Rows of one statement.
pub(super) const STATEMENT: usize = 500;

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
    put_answered(write, &part).await?;
    let first = put_agents(write, &part).await?;
    put_waiting(write, &part, &first).await?;
    super::mcp::remember(write, rows).await?;
    find_children(write, &emitted).await?;

    super::mcp::find_children(write, &emitted).await
}

async fn put_emitted(write: &mut Connection, emitted: &[Emitted]) -> Result<(), StoreError> {
    for chunk in emitted.chunks(STATEMENT) {
        let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
            "INSERT INTO audit_tool_uses (tool_use_id, event_id, occurred_at, user_id, session_id,
                 agent_id, trace_id, name, input_sha256) ",
        );
        query.push_values(chunk, |mut row, one| {
            row.push_bind(&one.tool_use_id)
                .push_bind(&one.event_id)
                .push_bind(one.occurred_at)
                .push_bind(&one.user_id)
                .push_bind(&one.session_id)
                .push_bind(&one.agent_id)
                .push_bind(&one.trace_id)
                .push_bind(&one.name)
                .push_bind(&one.input_sha256);
        });
        query.push(" ON CONFLICT DO NOTHING");
        query.build().persistent(false).execute(&mut *write).await?;
    }

    Ok(())
}

/// Notes when the answered blocks were answered first: from then on they are not open.
async fn put_answered(write: &mut Connection, rows: &[&&Prepared<'_>]) -> Result<(), StoreError> {
    // Of two that answer the same, as after a fork, the first counts.
    let mut first: BTreeMap<(&str, &str, &str), i64> = BTreeMap::new();
    for event in rows.iter().map(|row| row.event) {
        for id in &event.payload.answers {
            let at = signed(event.occurred_at);
            let known = first.entry((&**id, &*event.user_id, session(event))).or_insert(at);
            *known = at.min(*known);
        }
    }
    let answers: Vec<_> = first.into_iter().collect();
    for chunk in answers.chunks(STATEMENT) {
        let mut query: QueryBuilder<'_, Db> =
            QueryBuilder::new("UPDATE audit_tool_uses SET answered_at = told.column4 FROM (");
        query.push_values(chunk, |mut row, ((id, user_id, session_id), at)| {
            row.push_bind(*id).push_bind(*user_id).push_bind(*session_id).push_bind(*at);
        });
        query.push(
            ") AS told WHERE tool_use_id = told.column1 AND user_id = told.column2
                 AND session_id = told.column3
                 AND (answered_at IS NULL OR answered_at > told.column4)",
        );
        query.build().persistent(false).execute(&mut *write).await?;
    }

    Ok(())
}

/// Notes agents; gives the events that are the first call of one.
async fn put_agents(
    write: &mut Connection,
    rows: &[&&Prepared<'_>],
) -> Result<HashSet<String>, StoreError> {
    let mut calls: Vec<&Event<'static>> =
        rows.iter().map(|row| row.event).filter(|event| !agent(event).is_empty()).collect();
    calls.sort_by_key(|event| event.occurred_at);
    let mut first = HashSet::new();
    for chunk in calls.chunks(STATEMENT) {
        let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
            "INSERT INTO audit_agents (session_id, user_id, agent_id, event_id, occurred_at) ",
        );
        query.push_values(chunk, |mut row, event| {
            row.push_bind(session(event))
                .push_bind(&*event.user_id)
                .push_bind(agent(event))
                .push_bind(&*event.event_id)
                .push_bind(signed(event.occurred_at));
        });
        query.push(" ON CONFLICT DO NOTHING RETURNING event_id");
        let noted: Vec<String> =
            query.build_query_scalar().persistent(false).fetch_all(&mut *write).await?;
        first.extend(noted);
    }

    Ok(first)
}

/// Keeps the calls that have no parent yet, and may find one.
async fn put_waiting(
    write: &mut Connection,
    rows: &[&&Prepared<'_>],
    first_of_agent: &HashSet<String>,
) -> Result<(), StoreError> {
    let waiting: Vec<(&Event<'static>, &str)> = rows
        .iter()
        .filter(|row| row.link.is_none())
        .flat_map(|row| {
            let answers = &row.event.payload.answers;
            let starts = answers.is_empty() && first_of_agent.contains(&*row.event.event_id);
            let ids = answers.iter().map(|id| &**id).chain(starts.then_some(""));
            ids.map(|id| (row.event, id))
        })
        .collect();
    for chunk in waiting.chunks(STATEMENT) {
        let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
            "INSERT INTO audit_waiting (tool_use_id, event_id, occurred_at, user_id, session_id,
                 trace_id, parent_agent_id) ",
        );
        query.push_values(chunk, |mut row, (event, id)| {
            row.push_bind(*id)
                .push_bind(&*event.event_id)
                .push_bind(signed(event.occurred_at))
                .push_bind(&*event.user_id)
                .push_bind(session(event))
                .push_bind(event.trace_id.as_deref())
                .push_bind(starter(event));
        });
        query.push(" ON CONFLICT DO NOTHING");
        query.build().persistent(false).execute(&mut *write).await?;
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

    relink(write, &sessions.iter().map(String::as_str).collect::<Vec<_>>()).await?;

    super::mcp::relink_all(write).await
}

async fn relink(write: &mut Connection, sessions: &[&str]) -> Result<(), StoreError> {
    for chunk in sessions.chunks(CHUNK) {
        let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
            "SELECT tool_use_id, event_id, occurred_at, user_id, session_id, trace_id,
                 parent_agent_id
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
    put_late(write, &child.event_id, child.trace_id.as_deref(), link).await?;
    sqlx::query("DELETE FROM audit_waiting WHERE event_id = $1")
        .bind(&child.event_id)
        .execute(&mut *write)
        .await?;

    Ok(())
}

/// Keeps a parent that was found later than its child was stored.
pub(super) async fn put_late(
    write: &mut Connection,
    event_id: &str,
    own_trace: Option<&str>,
    link: &Link,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit_links (event_id, parent_event_id, trace_id, own_trace_id, found_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (event_id) DO NOTHING",
    )
    .bind(event_id)
    .bind(&link.parent_event_id)
    .bind(&link.trace_id)
    .bind(own_trace)
    .bind(signed(clock::now_micros()))
    .execute(write)
    .await?;

    Ok(())
}

/// Forgets what no call will ask for any more.
pub(super) async fn forget(write: &mut Connection, before: u64) -> Result<(), StoreError> {
    for table in ["audit_tool_uses", "audit_agents", "audit_waiting", "audit_waiting_mcp"] {
        sqlx::query(&format!("DELETE FROM {table} WHERE occurred_at < $1"))
            .bind(signed(before))
            .execute(&mut *write)
            .await?;
    }

    Ok(())
}
