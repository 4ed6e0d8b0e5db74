//! A call of an MCP server at the gate: what the policy says of it, and by which rules.

use super::explain::{Asked, Said, asked, missed};
use super::verdict::{Verdict, refused};
use contract::policy::{APPROVALS, Mcp, Policy, Subject, Why, Word};
use serde::Deserialize;
use serde_json::{Value, json};

/// A call of an MCP server.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Called {
    /// The server's id.
    pub server: String,
    /// The tool.
    pub tool: Option<String>,
    /// What it is called with; nothing at all is an empty object, as servers have it.
    pub arguments: Value,
    /// The address of a resource.
    pub resource: Option<String>,
    /// The name of a prompt.
    pub prompt: Option<String>,
}

impl Called {
    /// One thing is asked for.
    ///
    /// # Errors
    /// What would be right.
    pub fn one(&self) -> Result<(), &'static str> {
        match (&self.tool, &self.resource, &self.prompt) {
            (Some(_), None, None) => Ok(()),
            (None, Some(_), None) | (None, None, Some(_)) if self.arguments.is_null() => Ok(()),
            (None, Some(_), None) | (None, None, Some(_)) => {
                Err("only a tool is called with arguments")
            }
            _ => Err("is of one thing: a tool, a resource or a prompt"),
        }
    }

    /// What rules call it.
    fn name(&self) -> String {
        let Self { server, tool, resource, prompt, .. } = self;
        let tool = tool.as_ref().map(|tool| format!("mcp__{server}__{tool}"));
        let resource = || resource.as_ref().map(|uri| format!("resource:{server}/{uri}"));
        let prompt = || prompt.as_ref().map(|name| format!("prompt:{server}/{name}"));

        tool.or_else(resource).or_else(prompt).unwrap_or_default()
    }

    fn arguments(&self) -> Option<Value> {
        self.tool.is_some().then(|| match &self.arguments {
            Value::Null => json!({}),
            other => other.clone(),
        })
    }

    fn said<'a>(&self, mcp: &Mcp<'a>) -> contract::policy::Said<'a> {
        if let Some(uri) = &self.resource {
            return mcp.resource(uri);
        }
        if let Some(prompt) = &self.prompt {
            return mcp.prompt(prompt);
        }

        mcp.calls(self.tool.as_deref().unwrap_or_default(), &self.arguments().unwrap_or_default())
    }
}

/// What the policy says of it, in the order of the gate: the sign-in, the server, what of it is asked for, what is said.
pub fn judge(policy: &Policy, subject: &Subject<'_>, called: &Called) -> Verdict {
    if let Err(denial) = policy.accepts(subject) {
        return refused(&denial);
    }
    let owned = |words: std::collections::BTreeSet<&str>| -> Vec<String> {
        words.into_iter().map(ToOwned::to_owned).collect()
    };
    let Some(mcp) = policy.mcp(subject, &called.server) else {
        let (why, place) = (Some(Why::Server.code()), Some(called.server.clone()));
        return Verdict { why, place, ..Verdict::default() };
    };
    let said = called.said(&mcp);
    let (rule, place) = (said.rule_id.to_owned(), called.name());
    let no = |why: Why| Verdict {
        rule: Some(rule.clone()),
        why: Some(why.code()),
        place: Some(place.clone()),
        say: said.say.map(ToOwned::to_owned),
        ..Verdict::default()
    };
    if !said.is_open() {
        return no(Why::Tool);
    }
    // Whoever is to approve of a call is not asked about one that may not leave anyway.
    let message = json!({ "params": { "arguments": called.arguments } });
    let scanned = policy.scan(subject, message.to_string().as_bytes());
    let mut findings: Vec<String> =
        scanned.found.iter().map(|found| found.rule_id.to_owned()).collect();
    findings.dedup();
    let verdict = match (&scanned.denial, said.word) {
        (Some(denial), _) => refused(denial),
        (None, Word::Approve) => no(Why::Approval),
        (None, word) => Verdict {
            allowed: true,
            rule: Some(rule.clone()),
            content: Some(mcp.terms().content().as_str()),
            audit: Some(mcp.terms().audit().as_str()),
            labels: owned(&said.labels | &scanned.labels),
            noted: (word == Word::Ask)
                .then(|| (rule.clone(), word.as_str(), place.clone()))
                .into_iter()
                .collect(),
            passed: owned(&said.passed | &scanned.passed),
            ..Verdict::default()
        },
    };

    Verdict { findings, ..verdict }
}

/// What each rule says of it, and each server's entry.
pub fn explain(policy: &Policy, subject: &Subject<'_>, called: &Called) -> Vec<Asked> {
    let mcp = policy.mcp(subject, &called.server);
    let (name, arguments) = (called.name(), called.arguments());
    let heard = mcp.as_ref().map(|mcp| mcp.hears(&name, arguments.as_ref())).unwrap_or_default();
    let mut rules = Vec::new();
    // Our own server has two tools, and no rule is about them.
    let over_tools = if called.server == APPROVALS { Vec::new() } else { policy.tools().collect() };
    for (rule, _) in over_tools {
        let missed = missed(&rule.who, rule.unless.as_ref(), subject);
        let (words, nothing) = match heard.iter().find(|(id, ..)| *id == rule.id) {
            Some((_, word, true)) => (vec![format!("{name}: {}", word.as_str())], ""),
            Some((_, _, false)) => (Vec::new(), "arguments do not fit"),
            None => (Vec::new(), "tools do not fit"),
        };
        rules.push(asked("tools", &rule.id, missed, Said { words, nothing }));
    }
    for server in policy.mcp_servers() {
        let missed = missed(&server.who, server.unless.as_ref(), subject);
        let own = mcp.as_ref().filter(|_| server.id == called.server);
        let words = own.map(|mcp| {
            let by_its_own = called.said(mcp);
            let decides = by_its_own.rule_id == server.id;
            let word = if decides { by_its_own.word.as_str() } else { "a rule decides" };
            format!("reached at /mcp/{}: {word}", server.id)
        });
        let said = Said { words: words.into_iter().collect(), nothing: "is another server" };
        rules.push(asked("servers", &server.id, missed, said));
    }

    rules
}

#[cfg(test)]
mod tests {
    use super::super::cases::{self, Somebody};
    use super::super::compile::compile;
    use super::super::explain::explain;
    use super::*;

    const POLICY: &str = "
schema: tollgate.policy/v1
name: n
rules:
  - { id: all, models: ['*'] }
tools:
  - { id: large, tools: { mcp__stripe__refund: approve }, arguments: { /amount: { over: 1000 } } }
  - { id: payments, who: { groups: [payments] }, tools: { mcp__stripe__refund: allow }, labels: [money] }
  - { id: no-drops, tools: { 'mcp__*__drop_*': blocked }, say: We drop nothing. }
servers:
  - id: stripe
    unless: { sources: [job] }
    gateway:
      tools: { 'list_*': allow, drop_it: allow, search: ask }
      resources: { 'stripe://prices/*': allow }
      prompts: { greet: allow }
      content: none
      audit: before
  - { id: other, url: 'https://other.example/' }
approvals: { approvers: { groups: [leads] }, wait: 5m, valid: 10m }
blocklists:
  - { id: words, words: [falcon], action: deny }
sign_in:
  - { id: no-pats, tiers: [session, mtls, service] }
";

    const CASES: &str = "
schema: tollgate.policy-cases/v1
people:
  ann: { user: ann@example.com, groups: [payments] }
  bob: { user: bob@example.com }
cases:
  - { name: small, who: ann, asks: { mcp: { server: stripe, tool: refund, arguments: { amount: 5, to: [x, null] } } },
      expects: { verdict: allowed, rule: payments, labels: [money], content: none, audit: before } }
  - { name: large, who: ann, asks: { mcp: { server: stripe, tool: refund, arguments: { amount: 5000 } } },
      expects: { verdict: denied, rule: large, why: approval_required } }
  - { name: not bob, who: bob, asks: { mcp: { server: stripe, tool: refund } },
      expects: { verdict: denied, rule: stripe, why: tool_blocked } }
  - { name: by its entry, who: bob, asks: { mcp: { server: stripe, tool: list_all } },
      expects: { verdict: allowed, rule: stripe } }
  - { name: asked, who: bob, asks: { mcp: { server: stripe, tool: search } },
      expects: { verdict: allowed, rule: stripe, noted: [stripe] } }
  - { name: dropped, who: bob, asks: { mcp: { server: stripe, tool: drop_it } },
      expects: { verdict: denied, rule: no-drops, why: tool_blocked } }
  - { name: a price, who: bob, asks: { mcp: { server: stripe, resource: 'stripe://prices/1' } },
      expects: { verdict: allowed, rule: stripe } }
  - { name: a customer, who: bob, asks: { mcp: { server: stripe, resource: 'stripe://customers/1' } },
      expects: { verdict: denied, why: tool_blocked } }
  - { name: greets, who: bob, asks: { mcp: { server: stripe, prompt: greet } }, expects: { verdict: allowed } }
  - { name: no job, who: { source: job }, asks: { mcp: { server: stripe, tool: list_all } },
      expects: { verdict: denied, why: server_not_managed } }
  - { name: not at the gate, who: bob, asks: { mcp: { server: other, tool: x } },
      expects: { verdict: denied, why: server_not_managed } }
  - { name: no pat, who: { tier: pat }, asks: { mcp: { server: stripe, tool: list_all } },
      expects: { verdict: denied, rule: no-pats, why: tier_not_accepted } }
  - { name: a word, who: ann, asks: { mcp: { server: stripe, tool: refund, arguments: { to: the Falcon, amount: 5000 } } },
      expects: { verdict: denied, rule: words, why: word_blocked, findings: [words] } }
  - { name: ours, who: bob, asks: { mcp: { server: approvals, tool: request_approval } },
      expects: { verdict: allowed, rule: approvals } }
";

    #[test]
    fn calls_of_mcp_servers_are_judged_as_in_the_gate() {
        let policy = compile(POLICY).unwrap().policy;
        let (cases, places) = cases::parse(CASES).unwrap();

        for outcome in cases.run(&policy, &places) {
            assert_eq!(outcome.differs, [], "{}", outcome.name);
        }
    }

    #[test]
    fn a_case_asks_for_one_thing() {
        let faults = |asks: &str| {
            let text = format!(
                "schema: tollgate.policy-cases/v1\ncases:\n  - {{ name: n, asks: {asks}, expects: {{ verdict: denied }} }}\n"
            );
            cases::parse(&text).map(|_| ()).unwrap_err().remove(0).place
        };

        assert_eq!(faults("{ mcp: { server: s } }"), "cases[0].asks.mcp");
        assert_eq!(faults("{ mcp: { server: s, tool: t, prompt: p } }"), "cases[0].asks.mcp");
        assert_eq!(faults("{ mcp: { server: s, prompt: p, arguments: {} } }"), "cases[0].asks.mcp");
        assert_eq!(faults("{ model: m, mcp: { server: s, tool: t } }"), "cases[0].asks");
        assert_eq!(faults("{}"), "cases[0].asks.model");
    }

    #[test]
    fn each_rule_says_what_it_says_of_the_call_or_why_it_says_nothing() {
        let policy = compile(POLICY).unwrap().policy;
        let ann = Somebody { groups: vec!["payments".into()], ..Somebody::default() };
        let mcp = Called {
            server: "stripe".into(),
            tool: Some("refund".into()),
            arguments: json!({"amount": 5}),
            ..Called::default()
        };
        let asks = cases::Asks { mcp: Some(mcp), ..cases::Asks::default() };

        let explained = explain(&policy, &ann, &asks);

        let told: Vec<String> = explained
            .rules
            .iter()
            .map(|rule| {
                format!("{}{} {}", if rule.applies { '+' } else { '-' }, rule.id, rule.words)
            })
            .collect();
        assert_eq!(
            told,
            [
                "+no-pats accepts session",
                "-large arguments do not fit",
                "+payments mcp__stripe__refund: allow",
                "-no-drops tools do not fit",
                "+stripe reached at /mcp/stripe: a rule decides",
            ]
        );
    }
}
