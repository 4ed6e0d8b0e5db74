//! Who called because of whom.
//!
//! A `tool_use` block has an id, and the call that continues it answers that id: this cannot be left
//! out, so the parent of a call is who emitted the ids that its last user message answers. An agent's
//! first call answers nothing; it hangs on the `tool_use` that is open in the loop that started it, if
//! just one call has one open. Same user and same session always: a forged id links nothing. What is
//! not seen is not made up.
//!
//! Rows may come in another order than the calls, and from several sidecars: a child whose parent has
//! no row yet waits, and the link found then stands in `audit_links`, since rows never change.

use super::mcp::Inputs;
use super::{Connection, Db};
use crate::store::StoreError;
use crate::store::row::Link;
use crate::store::signed;
use contract::audit::{Event, Kind};
use sqlx::QueryBuilder;
use std::collections::{HashMap, HashSet};

/// Tools that start agents: where one of these is open, other open tools are no candidates.
const STARTS_AGENTS: [&str; 2] = ["Task", "Agent"];

/// Ids of one question.
pub(super) const CHUNK: usize = 2_000;

/// A `tool_use` and who emitted it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Emitted {
    pub(super) tool_use_id: String,
    pub(super) event_id: String,
    pub(super) occurred_at: i64,
    pub(super) user_id: String,
    pub(super) session_id: String,
    pub(super) agent_id: String,
    pub(super) trace_id: Option<String>,
    pub(super) name: String,
    pub(super) answered_at: Option<i64>,
    pub(super) input_sha256: Option<String>,
    pub(super) taken_by: Option<String>,
}

/// What one is read by.
pub(super) const EMITTED: &str = "SELECT tool_use_id, event_id, occurred_at, user_id, session_id,
    agent_id, trace_id, name, answered_at, input_sha256, taken_by FROM audit_tool_uses WHERE ";

/// A call whose parent has no row yet.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Waiting {
    pub(super) tool_use_id: String,
    pub(super) event_id: String,
    pub(super) occurred_at: i64,
    pub(super) user_id: String,
    pub(super) session_id: String,
    pub(super) trace_id: Option<String>,
    pub(super) parent_agent_id: String,
}

pub(super) fn session<'a>(event: &'a Event<'static>) -> &'a str {
    event.session_id.as_deref().unwrap_or_default()
}

pub(super) fn agent<'a>(event: &'a Event<'static>) -> &'a str {
    event.agent_id.as_deref().unwrap_or_default()
}

pub(super) fn starter<'a>(event: &'a Event<'static>) -> &'a str {
    event.payload.parent_agent_id.as_deref().unwrap_or_default()
}

/// Can this call have a parent, or be one? Those of MCP servers have theirs otherwise ([`super::mcp`]).
pub(super) fn takes_part(event: &Event<'static>) -> bool {
    event.kind != Kind::Mcp && !event.user_id.is_empty() && !session(event).is_empty()
}

pub(super) fn emitted(
    event: &Event<'static>,
    trace: Option<&str>,
) -> impl Iterator<Item = Emitted> {
    event.payload.tool_uses.iter().map(move |tool| Emitted {
        tool_use_id: tool.id.to_string(),
        event_id: event.event_id.to_string(),
        occurred_at: signed(event.occurred_at),
        user_id: event.user_id.to_string(),
        session_id: session(event).to_owned(),
        agent_id: agent(event).to_owned(),
        trace_id: trace.map(ToOwned::to_owned),
        name: tool.name.to_string(),
        answered_at: None,
        input_sha256: tool.input_sha256.as_deref().map(ToOwned::to_owned),
        taken_by: None,
    })
}

/// The parents that are known, one entry for each event.
pub(super) async fn resolve(
    write: &mut Connection,
    events: &[&Event<'static>],
) -> Result<Vec<Option<Link>>, StoreError> {
    let mut links = vec![None; events.len()];
    let mut known = Known::read(write, events).await?;
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.sort_by_key(|index| events.get(*index).map(|event| event.occurred_at));
    for index in order {
        let Some(event) = events.get(index) else { continue };
        let link = if takes_part(event) {
            let link = known.parent(event);
            let trace = link.as_ref().and_then(|link| link.trace_id.as_deref());
            let emitted: Vec<_> = emitted(event, trace.or(event.trace_id.as_deref())).collect();
            for one in &emitted {
                known.inputs.add(one.clone());
            }
            known.add(emitted);
            known.called(event);
            link
        } else {
            known.inputs.parent(event)
        };
        if let Some(slot) = links.get_mut(index) {
            *slot = link;
        }
    }

    Ok(links)
}

/// What has been emitted, as far as these events may need it.
struct Known {
    tools: HashMap<String, Vec<Emitted>>,
    sessions: HashMap<String, Vec<Emitted>>,
    agents: HashSet<(String, String, String)>,
    inputs: Inputs,
}

impl Known {
    async fn read(write: &mut Connection, events: &[&Event<'static>]) -> Result<Self, StoreError> {
        let mut known = Self {
            tools: HashMap::new(),
            sessions: HashMap::new(),
            agents: HashSet::new(),
            inputs: Inputs::read(write, events).await?,
        };
        let part = || events.iter().filter(|event| takes_part(event));
        let answered: Vec<&str> =
            part().flat_map(|event| event.payload.answers.iter().map(|id| &**id)).collect();
        for chunk in answered.chunks(CHUNK) {
            known.add(tool_uses(write, "tool_use_id", chunk).await?);
        }
        let with_agent: Vec<&str> =
            part().filter(|event| !agent(event).is_empty()).map(|event| session(event)).collect();
        let sessions: Vec<&str> =
            with_agent.iter().copied().collect::<HashSet<_>>().into_iter().collect();
        for chunk in sessions.chunks(CHUNK) {
            let mut query: QueryBuilder<'_, Db> =
                QueryBuilder::new("SELECT session_id, user_id, agent_id FROM audit_agents WHERE ");
            among(&mut query, "session_id", chunk);
            let rows: Vec<(String, String, String)> =
                query.build_query_as().persistent(false).fetch_all(&mut *write).await?;
            known.agents.extend(rows);
        }
        // Only an agent that calls for the first time needs to know what is open.
        let opened: Vec<&str> = part()
            .filter(|event| known.is_new_agent(event))
            .map(|event| session(event))
            .collect::<HashSet<_>>()
            .into_iter()
            .collect();
        for chunk in opened.chunks(CHUNK) {
            for one in tool_uses(write, "session_id", chunk).await? {
                known.sessions.entry(one.session_id.clone()).or_default().push(one);
            }
        }

        Ok(known)
    }

    fn add(&mut self, emitted: impl IntoIterator<Item = Emitted>) {
        for one in emitted {
            self.sessions.entry(one.session_id.clone()).or_default().push(one.clone());
            self.tools.entry(one.tool_use_id.clone()).or_default().push(one);
        }
    }

    fn is_new_agent(&self, event: &Event<'static>) -> bool {
        let key = (session(event).to_owned(), event.user_id.to_string(), agent(event).to_owned());

        !key.2.is_empty() && !self.agents.contains(&key)
    }

    fn called(&mut self, event: &Event<'static>) {
        for id in &event.payload.answers {
            let at = signed(event.occurred_at);
            let same = |one: &&mut Emitted| of_caller(one, event) && one.tool_use_id == **id;
            for one in
                self.sessions.entry(session(event).to_owned()).or_default().iter_mut().filter(same)
            {
                one.answered_at = Some(one.answered_at.unwrap_or(at).min(at));
            }
        }
        let agent = agent(event);
        if !agent.is_empty() {
            let key = (session(event).to_owned(), event.user_id.to_string(), agent.to_owned());
            self.agents.insert(key);
        }
    }

    fn parent(&self, event: &Event<'static>) -> Option<Link> {
        let answered = event
            .payload
            .answers
            .iter()
            .filter_map(|id| self.tools.get(&**id))
            .flatten()
            .filter(|one| of_caller(one, event) && one.occurred_at <= signed(event.occurred_at))
            .filter(|one| *one.event_id != *event.event_id)
            .max_by_key(|one| one.occurred_at);
        if let Some(one) = answered {
            return Some(link(one));
        }
        if !event.payload.answers.is_empty() || !self.is_new_agent(event) {
            return None;
        }
        let open = self.sessions.get(session(event))?.iter();

        starting(
            open.filter(|one| of_caller(one, event)),
            starter(event),
            signed(event.occurred_at),
        )
    }
}

fn of_caller(one: &Emitted, event: &Event<'static>) -> bool {
    one.user_id == *event.user_id && one.session_id == session(event)
}

pub(super) fn link(one: &Emitted) -> Link {
    Link { parent_event_id: one.event_id.clone(), trace_id: one.trace_id.clone(), takes: None }
}

/// The call whose `tool_use` started an agent at that time, if just one can have.
pub(super) fn starting<'a>(
    emitted: impl Iterator<Item = &'a Emitted>,
    starter: &str,
    at: i64,
) -> Option<Link> {
    let open: Vec<&Emitted> = emitted
        .filter(|one| one.agent_id == starter && one.occurred_at <= at)
        .filter(|one| one.answered_at.is_none_or(|answered| answered > at))
        .collect();
    let named = open.iter().filter(|one| STARTS_AGENTS.contains(&&*one.name));
    let candidates: Vec<&&Emitted> =
        if named.clone().next().is_some() { named.collect() } else { open.iter().collect() };
    let first = candidates.first()?;

    candidates.iter().all(|one| one.event_id == first.event_id).then(|| link(first))
}

pub(super) async fn tool_uses(
    write: &mut Connection,
    column: &'static str,
    values: &[&str],
) -> Result<Vec<Emitted>, StoreError> {
    let mut query: QueryBuilder<'_, Db> = QueryBuilder::new(EMITTED);
    among(&mut query, column, values);

    Ok(query.build_query_as().persistent(false).fetch_all(write).await?)
}

pub(super) fn among<'a>(
    query: &mut QueryBuilder<'a, Db>,
    column: &'static str,
    values: &'a [&'a str],
) {
    query.push(column).push(" IN (");
    let mut list = query.separated(", ");
    for value in values {
        list.push_bind(*value);
    }
    query.push(")");
}
