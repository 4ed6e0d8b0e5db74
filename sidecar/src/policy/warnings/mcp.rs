//! Warnings of MCP servers that are reached through the gate.

use super::Warnings;
use contract::model;
use contract::policy::{Document, Gateway, ToolRule, Word, Words};

/// What something of a server is called by rules over tools: its server, and the name with what it begins with.
struct Named<'r> {
    server: String,
    /// `mcp__ID__`, `resource:ID/` or `prompt:ID/`.
    beginning: String,
    /// What follows, as it is spelled.
    rest: &'r str,
    /// Is it one that only calls at the gate have?
    at_gate: bool,
}

impl Warnings<'_> {
    pub(super) fn mcp(&mut self, document: &Document) {
        for (index, rule) in document.tools.iter().enumerate() {
            self.naming(document, index, rule);
        }
        for (index, server) in document.servers.iter().enumerate() {
            let Some(gateway) = &server.gateway else { continue };
            let place = format!("servers[{index}].gateway");
            if opens_nothing(gateway) && !document.tools.iter().any(|rule| opens(rule, &server.id))
            {
                let problem = "opens nothing: neither does it, nor a rule over tools that names it";
                self.add(place.clone(), problem);
            }
            if document.approvals.is_none() && gateway.otherwise == Word::Approve {
                self.add(format!("{place}.otherwise"), NOBODY);
            }
            let approve = gateway.tools.iter().filter(|(_, word)| **word == Word::Approve);
            for (name, _) in approve.filter(|_| document.approvals.is_none()) {
                self.add(format!("{place}.tools.{name:?}"), NOBODY);
            }
        }
    }

    /// A rule over tools that names servers.
    fn naming(&mut self, document: &Document, index: usize, rule: &ToolRule) {
        for (name, word) in &rule.tools {
            let Some(named) = named(name) else { continue };
            let place = format!("tools[{index}].tools.{name:?}");
            let server = document.servers.iter().find(|server| server.id == named.server);
            let gateway = server.and_then(|server| server.gateway.as_ref());
            let Some(gateway) = gateway else {
                // What is declared in requests may have any server's name, and be meant so.
                if named.at_gate || !rule.arguments.is_empty() {
                    let problem = format!(
                        "never speaks: no server {:?} has a gateway, and it is about calls there",
                        named.server
                    );
                    self.add(place, problem);
                }
                continue;
            };
            if *word == Word::Approve && document.approvals.is_none() {
                self.add(place, NOBODY);
            } else if *word != Word::Blocked && is_closed(gateway, &named) {
                let problem = format!(
                    "opens nothing: the entry of {} blocks it, and the stricter word counts",
                    named.server
                );
                self.add(place, problem);
            }
        }
    }
}

const NOBODY: &str =
    "can be approved of by nobody: there is no `approvals`, and such calls stay refused";

/// The server that a name of a rule is about; none where it may be about several.
fn named(name: &str) -> Option<Named<'_>> {
    let lower = name.to_ascii_lowercase();
    let parts = [("mcp__", "__", false), ("resource:", "/", true), ("prompt:", "/", true)];
    parts.into_iter().find_map(|(beginning, end, at_gate)| {
        let (server, _) = lower.strip_prefix(beginning)?.split_once(end)?;
        let beginning = format!("{beginning}{server}{end}");
        let rest = name.get(beginning.len()..)?;
        let server = server.to_owned();
        (!server.contains('*')).then_some(Named { server, beginning, rest, at_gate })
    })
}

fn opens_nothing(gateway: &Gateway) -> bool {
    let all = gateway.tools.values().chain(gateway.resources.values());
    let mut all = all.chain(gateway.prompts.values());

    gateway.otherwise == Word::Blocked && all.all(|word| *word == Word::Blocked)
}

fn opens(rule: &ToolRule, server: &str) -> bool {
    rule.tools.iter().any(|(name, word)| {
        *word != Word::Blocked && named(name).is_some_and(|named| named.server == server)
    })
}

/// Does the server's own entry block all of this?
fn is_closed(gateway: &Gateway, named: &Named<'_>) -> bool {
    let own = match named.beginning.split([':', '_']).next() {
        Some("mcp") => &gateway.tools,
        Some("resource") => &gateway.resources,
        _ => &gateway.prompts,
    };
    let rest = named.rest.to_ascii_lowercase();
    if !rest.contains('*') {
        return Words::new(own).of(&rest) == Some(Word::Blocked);
    }
    // A `*` of the narrower is only ever met by a `*` of the wider.
    let blocks = own.iter().any(|(wide, word)| {
        *word == Word::Blocked
            && wide.contains('*')
            && model::matches(&wide.to_ascii_lowercase(), &rest)
    });
    let excepts = own.iter().any(|(name, word)| {
        *word != Word::Blocked
            && !name.contains('*')
            && model::matches(&rest, &name.to_ascii_lowercase())
    });

    blocks && !excepts
}

#[cfg(test)]
mod tests {
    use crate::policy::compile::compile;

    fn told(more: &str) -> Vec<String> {
        let text = format!(
            "schema: tollgate.policy/v1\nname: n\nrules:\n  - {{ id: a, models: ['*'] }}\n{more}"
        );
        let warnings = compile(&text).unwrap().warnings;
        warnings
            .into_iter()
            .map(|found| {
                let words: Vec<&str> = found.problem.split(' ').take(3).collect();
                format!("{} {}", found.place, words.join(" "))
            })
            .collect()
    }

    #[test]
    fn what_names_a_server_that_is_not_reached_here_and_speaks_of_calls_there() {
        let tools = "tools:
  - { id: t, tools: { mcp__strpe__refund: approve }, arguments: { /amount: { over: 5 } } }
  - { id: r, tools: { 'resource:strpe/*': allow, 'prompt:strpe/x': ask, 'resource:*/x': ask } }
  - { id: elsewhere, tools: { mcp__theirs__x: allow, mcp__stripe__refund: allow } }
servers:
  - { id: stripe, gateway: { } }
";

        assert_eq!(
            told(tools),
            [
                "tools[0].tools.\"mcp__strpe__refund\" never speaks: no",
                "tools[1].tools.\"resource:strpe/*\" never speaks: no",
                "tools[1].tools.\"prompt:strpe/x\" never speaks: no",
            ]
        );
    }

    #[test]
    fn what_nobody_can_approve_of() {
        let policy = "tools:
  - { id: t, tools: { mcp__stripe__refund: approve, Bash: approve } }
servers:
  - { id: stripe, gateway: { tools: { pay: approve }, otherwise: approve } }
";
        let place = [
            "tools[0].tools.\"mcp__stripe__refund\" can be approved",
            "servers[0].gateway.tools.\"pay\" can be approved",
            "servers[0].gateway.otherwise can be approved",
        ];
        let mut told_now = told(policy);
        told_now.sort();
        let mut place: Vec<String> = place.iter().map(ToString::to_string).collect();
        place.sort();
        assert_eq!(told_now, place);

        let approvals = "approvals: { approvers: { groups: [g] }, wait: 1m, valid: 1m }\n";
        assert_eq!(told(&format!("{policy}{approvals}")), [""; 0]);
    }

    #[test]
    fn a_gateway_that_opens_nothing_and_a_rule_that_opens_what_the_entry_blocks() {
        let policy = "tools:
  - { id: t, tools: { mcp__s__refund: allow, 'mcp__s__drop_*': ask, 'mcp__s__get_*': allow, 'prompt:s/x': allow } }
servers:
  - { id: s, gateway: { tools: { refund: blocked, '*drop*': blocked, 'get*': blocked, get_a: allow }, prompts: { '*': blocked } } }
  - { id: other, gateway: { tools: { x: blocked } } }
";

        let mut told = told(policy);
        told.sort();
        assert_eq!(
            told,
            [
                "servers[1].gateway opens nothing: neither",
                "tools[0].tools.\"mcp__s__drop_*\" opens nothing: the",
                "tools[0].tools.\"mcp__s__refund\" opens nothing: the",
                "tools[0].tools.\"prompt:s/x\" opens nothing: the",
            ]
        );
    }
}
