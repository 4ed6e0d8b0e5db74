//! `tollgate audit lineage` and `tollgate audit who`: what followed from what, and what somebody did.

mod deed;

use super::{MOST_AT_ONCE, Rows};
use crate::args::FilterArgs;
use crate::failure::Failure;
use crate::screen::{Screen, shown};
use crate::store::{Called, Step};
use deed::{Deed, HEAD, cells};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Most steps of a tree.
const STEPS: u32 = 10_000;

/// The method that calls a tool.
const TOOL_CALL: &str = "tools/call";

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
    match &step.called {
        Some(called) => text.push_str(&called_as(called)),
        None => text.push_str(&shown(step.model.as_deref().unwrap_or_default())),
    }
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
    if step.called.is_none() {
        text.extend(["  ", &cost(step.cost_micro)]);
    }
    text.extend(["  ", &step.outcome]);
    if let Some(rule) = &step.rule_id {
        text.extend([" (", &shown(rule), ")"]);
    }
    text.push_str(&step.called.as_ref().map(noted).unwrap_or_default());
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

/// A server and what was called there: the tool, or the method and what it names.
fn called_as(called: &Called) -> String {
    let Called { server, method, name, .. } = called;
    let words = [&**server, if method == TOOL_CALL { "" } else { method }, name];
    let words = words.iter().filter(|word| !word.is_empty()).map(|word| shown(word));

    words.collect::<Vec<_>>().join(" ")
}

/// What a reader should know of its answer.
fn noted(called: &Called) -> String {
    let mut text = String::new();
    if called.failed {
        text.push_str("  the tool failed");
    }
    if called.hidden > 0 {
        text.extend(["  ", &called.hidden.to_string(), " hidden"]);
    }
    if !called.withheld.is_empty() {
        let tools: Vec<String> = called.withheld.iter().map(|tool| shown(tool)).collect();
        text.extend(["  withheld: ", &tools.join(", ")]);
    }

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
    let priced = |step: &&Step| step.called.is_none() && step.cost_micro.is_none();
    let unpriced = steps.iter().filter(priced).count();
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
    fn a_call_of_a_server_shows_what_was_called_and_how_it_went() {
        let called = |id: &str, called: Called, outcome: &str| Step {
            kind: "mcp".into(),
            model: None,
            tokens_in: None,
            tokens_out: None,
            cost_micro: None,
            policy_ver: None,
            outcome: outcome.into(),
            called: Some(Called { server: "git\u{1b}".into(), ..called }),
            ..step(id, Some("a"), &[])
        };
        let tool = || Called { method: TOOL_CALL.into(), name: "push".into(), ..Called::default() };
        let failed = Called { failed: true, ..tool() };
        let listed = Called {
            method: "tools/list".into(),
            hidden: 2,
            withheld: vec!["pull".into()],
            ..Called::default()
        };
        let denied = Step { rule_id: Some("no_push".into()), ..called("d", tool(), "denied") };
        let steps = [
            step("a", None, &["mcp__git__push"]),
            called("b", failed, "allowed"),
            called("c", listed, "allowed"),
            denied,
        ];

        let text = tree("t1", &steps);

        let about = "10:00:00.123 mcp git·";
        assert!(
            text.ends_with(&format!(
                "   ├─ {about} push  allowed  the tool failed  policy b1  b\n   \
                    ├─ {about} tools/list  allowed  2 hidden  withheld: pull  policy b1  c\n   \
                    └─ {about} push  denied (no_push)  policy b1  d\n\
                 4 steps, 1000/20 tokens, $0.005500\n"
            )),
            "{text}"
        );
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
