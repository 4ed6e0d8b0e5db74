//! Which `tool_use` a call of an MCP server follows from.
//!
//! The call carries no id of it, but the same input: so its parent is who emitted a `tool_use` of
//! that tool, with an input of that digest, for the same user, within an hour before. Clients name
//! such tools `mcp__SERVER__TOOL`, and a server by a name of their own: the server's id is preferred
//! and not demanded. Where several calls are the same, each takes a `tool_use` of its own, the newest
//! first; a call that finds them all taken, as one that is tried again, follows from the newest.
//! Claude Code's session is compared only where the call has it: its MCP client does not send it.

use super::append::Prepared;
use super::lineage::{CHUNK, EMITTED, Emitted, link};
use super::links::{STATEMENT, put_late};
use super::{Connection, Db};
use crate::store::row::Link;
use crate::store::{StoreError, signed};
use contract::audit::{Event, Kind};
use sqlx::QueryBuilder;
use std::collections::{HashMap, HashSet};

/// How long before a call its `tool_use` was asked for at most, microseconds: people approve slowly.
const LONGEST_WAIT: i64 = 3_600_000_000;

/// The method that calls a tool.
const CALL: &str = "tools/call";

/// A call of a tool, and what its parent is found by.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Call {
    event_id: String,
    occurred_at: i64,
    user_id: String,
    session_id: String,
    trace_id: Option<String>,
    server: String,
    tool: String,
    arguments_sha256: String,
}

impl Call {
    /// What an event calls, if it calls a tool and can have a parent.
    pub(super) fn of(event: &Event<'static>) -> Option<Self> {
        let payload = &event.payload;
        let mcp = payload.mcp.as_ref().filter(|_| event.kind == Kind::Mcp)?;
        let calls = mcp.method.as_deref() == Some(CALL) && !event.user_id.is_empty();
        let tool = payload.tool.as_deref().filter(|tool| calls && !tool.is_empty())?;
        // Only where the client named a session is the token's kept beside it.
        let session = event.session_id.as_deref().filter(|_| payload.token_session_id.is_some());

        Some(Self {
            event_id: event.event_id.to_string(),
            occurred_at: signed(event.occurred_at),
            user_id: event.user_id.to_string(),
            session_id: session.unwrap_or_default().to_owned(),
            trace_id: event.trace_id.as_deref().map(ToOwned::to_owned),
            server: plain(payload.mcp_server.as_deref().unwrap_or_default()),
            tool: plain(tool),
            arguments_sha256: mcp.arguments_sha256.as_deref()?.to_owned(),
        })
    }

    fn key(&self) -> Key {
        (self.user_id.clone(), self.arguments_sha256.clone())
    }

    /// The server in the name of a tool that can be this one's.
    fn server_in<'n>(&self, name: &'n str) -> Option<&'n str> {
        let rest = name.strip_prefix("mcp__")?;

        rest.strip_suffix(&*self.tool)?.strip_suffix("__").filter(|server| !server.is_empty())
    }

    fn can_follow_from(&self, one: &Emitted) -> bool {
        let waited = self.occurred_at.saturating_sub(one.occurred_at);

        one.user_id == self.user_id
            && one.input_sha256.as_deref() == Some(&*self.arguments_sha256)
            && (self.session_id.is_empty() || one.session_id == self.session_id)
            && (0..=LONGEST_WAIT).contains(&waited)
            && self.server_in(&one.name).is_some()
    }

    /// The best of these.
    fn choose<'e>(&self, among: impl Iterator<Item = &'e mut Emitted>) -> Option<&'e mut Emitted> {
        among.filter(|one| self.can_follow_from(one)).max_by_key(|one| {
            let same_server = self.server_in(&one.name) == Some(&*self.server);
            let free = one.taken_by.as_deref().is_none_or(|by| by == self.event_id);

            (same_server, free, one.occurred_at, one.event_id.clone(), one.tool_use_id.clone())
        })
    }

    /// Takes the best of these.
    fn take<'e>(&self, among: impl Iterator<Item = &'e mut Emitted>) -> Option<Link> {
        let one = self.choose(among)?;
        one.taken_by.get_or_insert_with(|| self.event_id.clone());

        Some(Link { takes: Some(one.tool_use_id.clone()), ..link(one) })
    }
}

/// A name as clients write it into a tool's: of letters, digits, `_` and `-`.
fn plain(name: &str) -> String {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');

    name.chars().map(|char| if fits(char) { char } else { '_' }).collect()
}

/// Whose, and the digest of an input: most have the same one, that of no arguments.
type Key = (String, String);

/// From when to when, Unix microseconds.
type Span = (i64, i64);

/// What calls of a transaction may follow from.
#[derive(Default)]
pub(super) struct Inputs(HashMap<Key, Vec<Emitted>>);

impl Inputs {
    pub(super) async fn read(
        write: &mut Connection,
        events: &[&Event<'static>],
    ) -> Result<Self, StoreError> {
        let calls: Vec<Call> = events.iter().filter_map(|event| Call::of(event)).collect();

        Self::of(write, &calls).await
    }

    async fn of(write: &mut Connection, calls: &[Call]) -> Result<Self, StoreError> {
        let mut inputs = Self::default();
        let Some((first, last)) = span(calls.iter().map(|call| call.occurred_at)) else {
            return Ok(inputs);
        };
        let keys: HashSet<Key> = calls.iter().map(Call::key).collect();
        let keys: Vec<Key> = keys.into_iter().collect();
        for chunk in keys.chunks(CHUNK) {
            let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(EMITTED);
            among(&mut query, "input_sha256", chunk, (first.saturating_sub(LONGEST_WAIT), last));
            let known: Vec<Emitted> =
                query.build_query_as().persistent(false).fetch_all(&mut *write).await?;
            for one in known {
                inputs.add(one);
            }
        }

        Ok(inputs)
    }

    pub(super) fn add(&mut self, one: Emitted) {
        let Some(digest) = one.input_sha256.clone() else { return };
        let list = self.0.entry((one.user_id.clone(), digest)).or_default();
        // A row that comes a second time does not free what is taken.
        let same = |known: &Emitted| {
            known.tool_use_id == one.tool_use_id && known.event_id == one.event_id
        };
        if !list.iter().any(same) {
            list.push(one);
        }
    }

    /// The parent of a call, if it is known; what it follows from is taken then.
    pub(super) fn parent(&mut self, event: &Event<'static>) -> Option<Link> {
        self.take(&Call::of(event)?)
    }

    fn take(&mut self, call: &Call) -> Option<Link> {
        call.take(self.0.get_mut(&call.key())?.iter_mut())
    }
}

fn span(times: impl Iterator<Item = i64> + Clone) -> Option<Span> {
    Some((times.clone().min()?, times.max()?))
}

fn among<'a>(
    query: &mut QueryBuilder<'a, Db>,
    column: &'static str,
    keys: &'a [Key],
    (first, last): Span,
) {
    query.push("(user_id, ").push(column).push(") IN (");
    query.push_values(keys, |mut row, (user_id, digest)| {
        row.push_bind(user_id).push_bind(digest);
    });
    query.push(") AND occurred_at >= ").push_bind(first);
    query.push(" AND occurred_at <= ").push_bind(last);
}

/// Keeps what calls have taken, and those that have no parent yet.
pub(super) async fn remember(
    write: &mut Connection,
    rows: &[&Prepared<'_>],
) -> Result<(), StoreError> {
    let calls = rows.iter().filter_map(|row| Some((row.link.as_ref(), Call::of(row.event)?)));
    let (found, waiting): (Vec<_>, Vec<_>) = calls.partition(|(link, _)| link.is_some());
    for (link, call) in found {
        if let Some(link) = link {
            put_taken(write, &call, link).await?;
        }
    }
    for chunk in waiting.chunks(STATEMENT) {
        let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
            "INSERT INTO audit_waiting_mcp (event_id, occurred_at, user_id, session_id, trace_id,
                 server, tool, arguments_sha256) ",
        );
        query.push_values(chunk, |mut row, (_, call)| {
            row.push_bind(&call.event_id)
                .push_bind(call.occurred_at)
                .push_bind(&call.user_id)
                .push_bind(&call.session_id)
                .push_bind(&call.trace_id)
                .push_bind(&call.server)
                .push_bind(&call.tool)
                .push_bind(&call.arguments_sha256);
        });
        query.push(" ON CONFLICT DO NOTHING");
        query.build().persistent(false).execute(&mut *write).await?;
    }

    Ok(())
}

async fn put_taken(write: &mut Connection, call: &Call, link: &Link) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE audit_tool_uses SET taken_by = $1
         WHERE tool_use_id = $2 AND event_id = $3 AND taken_by IS NULL",
    )
    .bind(&call.event_id)
    .bind(&link.takes)
    .bind(&link.parent_event_id)
    .execute(write)
    .await?;

    Ok(())
}

/// Links the calls that waited for one of these.
pub(super) async fn find_children(
    write: &mut Connection,
    emitted: &[Emitted],
) -> Result<(), StoreError> {
    let inputs = emitted.iter().filter(|one| one.input_sha256.is_some());
    let Some((first, last)) = span(inputs.clone().map(|one| one.occurred_at)) else {
        return Ok(());
    };
    let keys: HashSet<Key> = inputs
        .map(|one| (one.user_id.clone(), one.input_sha256.clone().unwrap_or_default()))
        .collect();

    let keys: Vec<Key> = keys.into_iter().collect();
    relink(write, &keys, (first, last.saturating_add(LONGEST_WAIT))).await
}

/// Two sidecars may have stored parent and child at the same time, and neither saw the other's.
pub(super) async fn relink_all(write: &mut Connection) -> Result<(), StoreError> {
    let keys: Vec<Key> = sqlx::query_as(
        "SELECT DISTINCT w.user_id, w.arguments_sha256 FROM audit_waiting_mcp w
         JOIN audit_tool_uses t ON t.user_id = w.user_id AND t.input_sha256 = w.arguments_sha256
             AND t.occurred_at <= w.occurred_at AND t.occurred_at >= w.occurred_at - $1
             AND t.name LIKE '%' || w.tool
         LIMIT 2000",
    )
    .bind(LONGEST_WAIT)
    .fetch_all(&mut *write)
    .await?;

    relink(write, &keys, (i64::MIN, i64::MAX)).await
}

async fn relink(write: &mut Connection, keys: &[Key], span: Span) -> Result<(), StoreError> {
    for chunk in keys.chunks(CHUNK) {
        let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(
            "SELECT event_id, occurred_at, user_id, session_id, trace_id, server, tool,
                 arguments_sha256
             FROM audit_waiting_mcp WHERE ",
        );
        among(&mut query, "arguments_sha256", chunk, span);
        query.push(" ORDER BY occurred_at, event_id");
        let waiting: Vec<Call> =
            query.build_query_as().persistent(false).fetch_all(&mut *write).await?;
        let mut inputs = Inputs::of(write, &waiting).await?;
        for call in waiting {
            let Some(link) = inputs.take(&call) else { continue };
            put_taken(write, &call, &link).await?;
            put_late(write, &call.event_id, call.trace_id.as_deref(), &link).await?;
            sqlx::query("DELETE FROM audit_waiting_mcp WHERE event_id = $1")
                .bind(&call.event_id)
                .execute(&mut *write)
                .await?;
        }
    }

    Ok(())
}
