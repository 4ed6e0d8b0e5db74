//! Which way a change of MCP servers goes, of rules that open something of theirs, and of approvals.
//!
//! What is declared in a request is allowed until a rule closes it; what passes the gate is closed until something opens
//! it by the server's name. So the same word added tightens there and loosens here.

use super::Way::{Depends, Loosens, Neither, Tightens};
use super::judge::{content, rank, superset, turn};
use super::{Way, apart};
use serde_json::Value;

/// In the order of their strictness.
const WORDS: &[&str] = &["allow", "ask", "approve", "blocked"];

/// The largest result that passes unless said, bytes.
const LARGEST_RESULT: u64 = 4 * 1024 * 1024;

/// A server's entry at the gate, member by member; its tools, resources, prompts and pins one level deeper.
pub(super) fn parts<'v>(from: &'v Value, to: &'v Value) -> Vec<(String, &'v Value, &'v Value)> {
    let mut parts = Vec::new();
    for (place, from, to) in apart("gateway", from, to) {
        let deeper = match place.as_str() {
            "gateway.tools" | "gateway.resources" | "gateway.prompts" => true,
            // The first pin and the last are about all tools.
            "gateway.pins" => from.is_object() && to.is_object(),
            _ => false,
        };
        if deeper {
            parts.extend(apart(&place, from, to));
        } else {
            parts.push((place, from, to));
        }
    }

    parts
}

/// Does a rule name tools, resources or prompts of one server by this?
pub(super) fn names(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let of = |beginning: &str, end: &str| {
        let rest = lower.strip_prefix(beginning);
        rest.and_then(|rest| rest.split_once(end)).is_some_and(|(id, _)| !id.contains('*'))
    };

    of("mcp__", "__") || of("resource:", "/") || of("prompt:", "/")
}

/// A new rule over tools.
pub(super) fn rule(rule: &Value) -> Way {
    let tools = rule.get("tools").and_then(Value::as_object);
    let all = || tools.into_iter().flatten();
    let opens = |(name, word): &(&String, &Value)| names(name) && *word != "blocked";
    if !all().any(|one| opens(&one)) {
        Tightens
    } else if all().all(|one| opens(&one) && one.1 == "allow") {
        Loosens
    } else {
        Depends
    }
}

/// The word for something that is closed until it is named.
pub(super) fn word(from: &Value, to: &Value) -> Way {
    match (rank(WORDS, from), rank(WORDS, to)) {
        (Some(from), Some(to)) => turn(Tightens, Some(to > from)),
        (None, Some(0)) => Loosens,
        (Some(0), None) => Tightens,
        (None, _) if to == "blocked" => Tightens,
        (_, None) if from == "blocked" => Loosens,
        // What opens with a question may have been open without one.
        _ => Depends,
    }
}

/// A member of a server's entry at the gate.
pub(super) fn gateway((was, is): (&Value, &Value), member: &str, from: &Value, to: &Value) -> Way {
    let mut place = member.split('.');
    let inner = place.nth(1).unwrap_or_default();
    let deeper = place.next().is_some();
    match inner {
        // The whole of it.
        "" => turn(Loosens, Some(from.is_null())),
        "tools" if otherwise(was) && otherwise(is) => word(from, to),
        // Where others are open, a name may as well close.
        "tools" if rank(WORDS, from).is_none() || rank(WORDS, to).is_none() => Depends,
        "tools" | "resources" | "prompts" => word(from, to),
        "otherwise" => {
            let rank = |value: &Value| rank(WORDS, value).unwrap_or(WORDS.len());
            turn(Tightens, Some(rank(to) > rank(from)))
        }
        "also" => match (from.is_null(), to.is_null()) {
            (true, _) => Loosens,
            (_, true) => Tightens,
            _ => turn(Loosens, superset(from, to)),
        },
        "pins" if !deeper => turn(Tightens, Some(from.is_null())),
        "pins" => match (from.is_null(), to.is_null()) {
            (true, false) => Loosens,
            (false, true) => Tightens,
            _ => Depends,
        },
        "largest_result" => {
            let bytes = |value: &Value| value.as_u64().unwrap_or(LARGEST_RESULT);
            turn(Loosens, Some(bytes(to) > bytes(from)))
        }
        "content" => content(from, to),
        "audit" if from == "before" || to == "before" => turn(Tightens, Some(to == "before")),
        "title" | "denied_as" | "audit" => Neither,
        _ => Depends,
    }
}

/// Is all closed that nothing names?
fn otherwise(server: &Value) -> bool {
    server.pointer("/gateway/otherwise").is_none_or(|word| word == "blocked")
}

/// Who approves.
pub(super) fn approvals(member: &str, from: &Value, to: &Value) -> Way {
    match member {
        "" => turn(Loosens, Some(from.is_null())),
        "valid_seconds" => turn(Loosens, Some(to.as_u64() > from.as_u64())),
        "wait_seconds" => Neither,
        "approvers" => {
            let changed = apart("", from, to);
            let wider = changed.iter().map(|(_, from, to)| superset(from, to));
            let wider: Vec<Option<bool>> = wider.collect();
            let all = |is| wider.iter().all(|one| *one == Some(is));
            turn(Loosens, if all(true) { Some(true) } else { all(false).then_some(false) })
        }
        _ => Depends,
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::compile::compile;
    use crate::policy::diff::diff;

    const BEFORE: &str = "
schema: tollgate.policy/v1
name: n
rules:
  - { id: all, models: ['*'] }
tools:
  - { id: large, tools: { mcp__stripe__refund: approve }, arguments: { /amount: { over: 1000 } } }
  - { id: refunds, who: { groups: [payments] }, tools: { mcp__stripe__refund: allow } }
servers:
  - id: stripe
    gateway:
      title: Stripe
      tools: { 'list_*': allow, pay: ask }
      also: [logging]
      pins: { pay: 'a000000000000000000000000000000000000000000000000000000000000000' }
  - { id: open, gateway: { otherwise: allow } }
approvals: { approvers: { groups: [leads] }, wait: 5m, valid: 10m }
";

    fn told(from: &str, to: &str) -> Vec<String> {
        assert!(BEFORE.contains(from), "{from}");
        let (before, after) =
            (compile(BEFORE).unwrap(), compile(&BEFORE.replacen(from, to, 1)).unwrap());
        let changes = diff(&before.document, &after.document);
        changes.iter().map(ToString::to_string).collect()
    }

    /// What is written instead of what, and what is told of it.
    const CHANGES: &[(&str, &str, &str)] = &[
        (
            "pay: ask",
            "pay: blocked",
            "~ servers stripe.gateway.tools.pay \"ask\" -> \"blocked\"  (tightens)",
        ),
        (
            "pay: ask }",
            "pay: ask, go: allow }",
            "~ servers stripe.gateway.tools.go (nothing) -> \"allow\"  (loosens)",
        ),
        (
            "pay: ask }",
            "pay: ask, 'g*': allow }",
            "~ servers stripe.gateway.tools.g* (nothing) -> \"allow\"  (loosens)",
        ),
        (
            "pay: ask }",
            "pay: ask, go: ask }",
            "~ servers stripe.gateway.tools.go (nothing) -> \"ask\"  (depends)",
        ),
        (
            "      also: [logging]",
            "      resources: { 's://x': allow }\n      also: [logging]",
            "~ servers stripe.gateway.resources.s://x (nothing) -> \"allow\"  (loosens)",
        ),
        (
            "[logging]",
            "[logging, sampling]",
            "~ servers stripe.gateway.also [\"logging\"] -> [\"logging\",\"sampling\"]  (loosens)",
        ),
        (
            "title: Stripe",
            "title: Payments",
            "~ servers stripe.gateway.title \"Stripe\" -> \"Payments\"",
        ),
        (
            "title: Stripe",
            "title: Stripe\n      otherwise: ask",
            "~ servers stripe.gateway.otherwise (nothing) -> \"ask\"  (loosens)",
        ),
        (
            "title: Stripe",
            "title: Stripe\n      largest_result: 9",
            "~ servers stripe.gateway.largest_result (nothing) -> 9  (tightens)",
        ),
        (
            "{ otherwise: allow }",
            "{ otherwise: allow, tools: { x: ask } }",
            "~ servers open.gateway.tools.x (nothing) -> \"ask\"  (depends)",
        ),
        (
            "{ otherwise: allow }",
            "{}",
            "~ servers open.gateway.otherwise \"allow\" -> (nothing)  (tightens)",
        ),
        (
            "[leads]",
            "[leads, heads]",
            "~ approvals.approvers {\"groups\":[\"leads\"]} -> {\"groups\":[\"leads\",\"heads\"]}  (loosens)",
        ),
        ("valid: 10m", "valid: 5m", "~ approvals.valid_seconds 600 -> 300  (tightens)"),
        (
            "tools: { mcp__stripe__refund: allow }",
            "tools: { mcp__stripe__refund: ask }",
            "~ tools refunds.tools.mcp__stripe__refund \"allow\" -> \"ask\"  (tightens)",
        ),
        (
            "tools: { mcp__stripe__refund: allow }",
            "tools: { mcp__stripe__refund: allow, 'mcp__stripe__g*': allow }",
            "~ tools refunds.tools.mcp__stripe__g* (nothing) -> \"allow\"  (loosens)",
        ),
        (
            "{ over: 1000 }",
            "{ over: 9 }",
            "~ tools large.arguments {\"/amount\":{\"over\":1000}} -> {\"/amount\":{\"over\":9}}  (depends)",
        ),
    ];

    #[test]
    fn changes_of_servers_and_approvals_are_told_member_by_member_with_their_way() {
        for (from, to, change) in CHANGES {
            assert_eq!(told(from, to), [*change], "{from} -> {to}");
        }
    }

    #[test]
    fn a_new_rule_that_opens_something_of_a_server_loosens_and_the_first_pin_tightens() {
        let rule = |tools: &str| {
            let text = format!("tools:\n  - {{ id: new, tools: {{ {tools} }} }}");
            told("tools:\n  - ", &format!("{text}\n  - ")).concat()
        };
        assert!(rule("mcp__stripe__pay: allow").ends_with("(loosens)"));
        assert!(rule("'resource:stripe/s://*': allow").ends_with("(loosens)"));
        assert!(rule("mcp__stripe__pay: blocked").ends_with("(tightens)"));
        assert!(rule("mcp__stripe__pay: allow, Bash: blocked").ends_with("(depends)"));
        assert!(rule("'mcp__*__drop': allow").ends_with("(tightens)"));

        let pins = "      pins: { pay: 'a000000000000000000000000000000000000000000000000000000000000000' }\n";
        assert!(told(pins, "").concat().ends_with("(loosens)"));
        let approvals = "approvals: { approvers: { groups: [leads] }, wait: 5m, valid: 10m }\n";
        assert!(told(approvals, "").concat().ends_with("(tightens)"));
        let server = "  - { id: open, gateway: { otherwise: allow } }\n";
        assert!(told(server, "").concat().ends_with("(tightens)"));
    }
}
