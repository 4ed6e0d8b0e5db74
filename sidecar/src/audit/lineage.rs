//! `tollgate audit lineage` and `tollgate audit who`: what followed from what, and what somebody did.

use super::{MOST_AT_ONCE, Rows};
use crate::args::FilterArgs;
use crate::failure::Failure;
use crate::screen::{Screen, shown};
use crate::store::{Row, Step};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

/// Most steps of a tree.
const STEPS: u32 = 10_000;

/// Most rows that `who` looks at.
const ROWS: u32 = 100_000;

/// Draws the tree of a trace.
///
/// # Errors
/// [`Failure`].
pub(super) async fn lineage(
    rows: &Rows<'_>,
    trace: &str,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let steps = rows.store.lineage(Some(trace), rows.operator.tenants(), STEPS).await?;
    if steps.is_empty() {
        return Err(Failure::NotFound(format!("no row belongs to the trace {trace}")));
    }
    if screen.json() {
        return steps.iter().try_for_each(|step| screen.object(step));
    }

    screen.print(&tree(trace, &steps))
}

/// The steps as a tree, one a line, and what they come to.
fn tree(trace: &str, steps: &[Step]) -> String {
    let known: BTreeSet<&str> = steps.iter().map(|step| &*step.event_id).collect();
    let mut children: HashMap<Option<&str>, Vec<&Step>> = HashMap::new();
    for step in steps {
        let parent = step.parent_event_id.as_deref().filter(|parent| known.contains(parent));
        children.entry(parent).or_default().push(step);
    }
    let whose = steps.first().map(|step| &*step.user_id).unwrap_or_default();
    let mut text = format!("trace {} of {}\n", shown(trace), shown(whose));
    // Depth first without recursion: a chain of calls may be long.
    let mut waiting: Vec<(&Step, String, bool)> = Vec::new();
    let push = |waiting: &mut Vec<_>, parent: Option<&str>, indent: &str| {
        let list = children.get(&parent).map(Vec::as_slice).unwrap_or_default();
        for (index, step) in list.iter().enumerate().rev() {
            let ends = index.saturating_add(1) == list.len();
            waiting.push((*step, indent.to_owned(), ends));
        }
    };
    push(&mut waiting, None, "");
    while let Some((step, indent, last)) = waiting.pop() {
        let branch = if last { "└─ " } else { "├─ " };
        text.extend([&indent, branch, &line(step, whose), "\n"]);
        let deeper = if last { "   " } else { "│  " };
        push(&mut waiting, Some(&step.event_id), &format!("{indent}{deeper}"));
    }
    text.push_str(&total(steps));

    text
}

fn line(step: &Step, whose: &str) -> String {
    let mut text = format!("{} {} ", time(&step.occurred_at), step.kind);
    text.push_str(&shown(step.model.as_deref().unwrap_or_default()));
    // Anybody may claim a trace; only a link is proof.
    if step.user_id != whose {
        text.extend([" by ", &shown(&step.user_id)]);
    }
    if let Some(agent) = &step.agent_id {
        text.extend([" agent ", &shown(agent)]);
    }
    if let (Some(read), Some(written)) = (step.tokens_in, step.tokens_out) {
        text.extend(["  ", &read.to_string(), "/", &written.to_string(), " tokens"]);
    }
    text.extend(["  ", &cost(step.cost_micro), "  ", &step.outcome]);
    if let Some(rule) = &step.rule_id {
        text.extend([" (", &shown(rule), ")"]);
    }
    if let Some(version) = &step.bundle_ver {
        text.extend(["  policy ", &shown(version)]);
        if let Some(minted) = step.policy_ver.as_ref().filter(|minted| *minted != version) {
            text.extend([" (at mint ", &shown(minted), ")"]);
        }
    }
    if !step.tools.is_empty() {
        let tools: Vec<String> = step.tools.iter().map(|tool| shown(tool)).collect();
        text.extend(["  → ", &tools.join(", ")]);
    }

    text.extend(["  ", &step.event_id]);
    text
}

/// Without the day: the steps of a trace are of one.
fn time(occurred_at: &str) -> &str {
    occurred_at.get(11..23).unwrap_or(occurred_at)
}

fn cost(micro: Option<i64>) -> String {
    micro.map_or_else(|| "no price".into(), dollars)
}

/// Microdollars, exactly.
fn dollars(micro: i64) -> String {
    let (whole, rest) = (micro.checked_div(1_000_000), micro.checked_rem(1_000_000));

    format!("${}.{:06}", whole.unwrap_or_default(), rest.unwrap_or_default())
}

fn total(steps: &[Step]) -> String {
    let sum =
        |of: fn(&Step) -> Option<i64>| steps.iter().filter_map(of).fold(0_i64, i64::saturating_add);
    let unpriced = steps.iter().filter(|step| step.cost_micro.is_none()).count();
    let mut text = format!(
        "{} steps, {}/{} tokens, {}",
        steps.len(),
        sum(|step| step.tokens_in),
        sum(|step| step.tokens_out),
        dollars(sum(|step| step.cost_micro))
    );
    if unpriced > 0 {
        text.extend([" and ", &unpriced.to_string(), " without a price"]);
    }
    text.push('\n');

    text
}

/// What somebody did, by what it belongs to.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Deed {
    trace_id: String,
    first: String,
    last: String,
    calls: u64,
    denied: u64,
    failed: u64,
    clients: BTreeSet<String>,
    agents: BTreeSet<String>,
    models: BTreeSet<String>,
    tools: BTreeMap<String, u64>,
    tokens_in: i64,
    tokens_out: i64,
    cost_micro: i64,
    unpriced: u64,
}

impl Deed {
    fn add(&mut self, row: &Row) {
        let at = row.text("occurred_at");
        if self.first.is_empty() || at < self.first {
            self.first.clone_from(&at);
        }
        self.last = self.last.clone().max(at);
        self.calls = self.calls.saturating_add(1);
        match &*row.text("outcome") {
            "denied" => self.denied = self.denied.saturating_add(1),
            "error" => self.failed = self.failed.saturating_add(1),
            _ => {}
        }
        for (set, column) in [
            (&mut self.clients, "client_id"),
            (&mut self.agents, "agent_id"),
            (&mut self.models, "model"),
        ] {
            set.extend(Some(row.text(column)).filter(|word| !word.is_empty()));
        }
        for tool in row
            .get("payload")
            .get("tool_uses")
            .and_then(|tools| tools.as_array())
            .into_iter()
            .flatten()
        {
            if let Some(name) = tool.get("name").and_then(|name| name.as_str()) {
                let count = self.tools.entry(name.to_owned()).or_default();
                *count = count.saturating_add(1);
            }
        }
        let number = |column| row.get(column).as_i64().unwrap_or_default();
        self.tokens_in = self.tokens_in.saturating_add(number("tokens_in"));
        self.tokens_out = self.tokens_out.saturating_add(number("tokens_out"));
        match row.get("cost_micro").as_i64() {
            Some(micro) => self.cost_micro = self.cost_micro.saturating_add(micro),
            None if row.text("kind") == "inference" => {
                self.unpriced = self.unpriced.saturating_add(1);
            }
            None => {}
        }
    }
}

const HEAD: [&str; 9] =
    ["FROM", "TO", "CALLS", "DENIED", "ERRORS", "MODELS", "TOOLS", "COST", "TRACE"];

/// Tells what somebody did in a time.
///
/// # Errors
/// [`Failure`].
pub(super) async fn who(
    rows: &Rows<'_>,
    user: &str,
    from: u64,
    to: u64,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let filter = FilterArgs {
        user: Some(user.to_owned()),
        since: Some(from),
        until: Some(to),
        ..FilterArgs::default()
    };
    let most = if rows.operator.is_on_host() { ROWS } else { MOST_AT_ONCE };
    let rows = rows.of(super::chosen(&filter, most)).await?;
    if rows.is_empty() {
        return Err(Failure::NotFound(format!("{user} did nothing in that time")));
    }
    if rows.len() >= usize::try_from(most).unwrap_or(usize::MAX) {
        screen.say(&format!("Only the latest {most} rows are in this: ask for a shorter time."));
    }
    let mut deeds: BTreeMap<String, Deed> = BTreeMap::new();
    for row in &rows {
        let trace_id = row.text("trace_id");
        let deed = deeds.entry(trace_id.clone()).or_default();
        deed.trace_id = trace_id;
        deed.add(row);
    }
    let mut deeds: Vec<Deed> = deeds.into_values().collect();
    deeds.sort_by(|one, other| one.first.cmp(&other.first));
    if screen.json() {
        return deeds.iter().try_for_each(|deed| screen.object(deed));
    }
    let cells: Vec<Vec<String>> = deeds.iter().map(cells).collect();

    screen.table(&HEAD, &cells)
}

fn cells(deed: &Deed) -> Vec<String> {
    let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
    let tools = deed.tools.iter().fold(String::new(), |mut text, (tool, count)| {
        let gap = if text.is_empty() { "" } else { " " };
        if write!(text, "{gap}{tool}×{count}").is_err() {
            text.clear();
        }
        text
    });
    let unpriced = if deed.unpriced > 0 { format!(" +{}?", deed.unpriced) } else { String::new() };

    vec![
        deed.first.get(..19).unwrap_or(&deed.first).to_owned(),
        time(&deed.last).get(..8).unwrap_or_default().to_owned(),
        deed.calls.to_string(),
        deed.denied.to_string(),
        deed.failed.to_string(),
        list(&deed.models),
        tools,
        format!("{}{unpriced}", dollars(deed.cost_micro)),
        deed.trace_id.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(id: &str, parent: Option<&str>, tools: &[&str]) -> Step {
        Step {
            event_id: id.into(),
            parent_event_id: parent.map(ToOwned::to_owned),
            user_id: "ann".into(),
            occurred_at: "2026-11-21T10:00:00.123456Z".into(),
            kind: "inference".into(),
            model: Some("claude-opus-5".into()),
            tokens_in: Some(1_000),
            tokens_out: Some(20),
            cost_micro: Some(5_500),
            outcome: "allowed".into(),
            bundle_ver: Some("b1".into()),
            policy_ver: Some("b0".into()),
            tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
            ..Step::default()
        }
    }

    #[test]
    fn the_tree_shows_what_followed_from_what_and_what_it_came_to() {
        let mut agent = step("c", Some("b"), &[]);
        agent.agent_id = Some("x\u{1b}[2J".into());
        agent.cost_micro = None;
        let steps = [
            step("a", None, &["Bash", "Read"]),
            step("b", Some("a"), &["Task"]),
            agent,
            step("d", Some("b"), &[]),
            step("e", Some("a row of another trace"), &[]),
        ];

        let text = tree("t1", &steps);

        let about = "10:00:00.123 inference claude-opus-5";
        let rest = "1000/20 tokens  $0.005500  allowed  policy b1 (at mint b0)";
        assert_eq!(
            text,
            format!(
                "trace t1 of ann\n\
                 ├─ {about}  {rest}  → Bash, Read  a\n\
                 │  └─ {about}  {rest}  → Task  b\n\
                 │     ├─ {about} agent x·[2J  1000/20 tokens  no price  allowed  policy b1 (at mint b0)  c\n\
                 │     └─ {about}  {rest}  d\n\
                 └─ {about}  {rest}  e\n\
                 5 steps, 5000/100 tokens, $0.022000 and 1 without a price\n"
            )
        );
    }
}
