//! Which rule decides, and why each other one does not.

use super::called;
use super::cases::{Asks, Somebody, judge};
use super::verdict::Verdict;
use contract::model;
use contract::policy::{
    Declared, Effect, Policy, Server, ServerRule, Skill, Subject, Tool, Who, Why, Word, Words,
    servers,
};
use serde_json::{Value, json};

/// An explanation.
#[derive(Debug)]
pub struct Explained {
    /// The verdict.
    pub verdict: Verdict,
    /// Every rule that was asked, in the order of the document.
    pub rules: Vec<Asked>,
    /// Has the caller broken the glass?
    pub glass: bool,
}

/// What became of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its section, such as `rules`.
    pub section: &'static str,
    /// Its id.
    pub id: String,
    /// Did it apply?
    pub applies: bool,
    /// What it says, or why it does not apply.
    pub words: String,
}

/// Explains what a policy says to somebody who asks.
pub fn explain(policy: &Policy, somebody: &Somebody, asks: &Asks) -> Explained {
    let verdict = judge(policy, somebody, asks);
    let subject = somebody.subject();
    let declared = asks.declared();
    let glass = policy.breaks(&subject).is_some();
    let mut rules = sign_in(policy, &subject);
    if let Some(called) = &asks.mcp {
        rules.extend(called::explain(policy, &subject, called));
        return Explained { verdict, rules, glass };
    }
    rules.extend(residency(policy, &subject));
    rules.extend(models(policy, &subject, asks));
    rules.extend(tools(policy, &subject, &declared));
    rules.extend(remotes(policy, &subject, &declared.servers));
    if let Some(text) = &asks.text {
        rules.extend(finds(policy, &subject, text));
    }

    Explained { verdict, rules, glass }
}

impl Explained {
    /// For programs.
    pub fn object(&self, version: &str, user_is_known: bool) -> Value {
        let verdict = &self.verdict;
        let noted: Vec<Value> = verdict
            .noted
            .iter()
            .map(|(rule, word, place)| json!({ "rule": rule, "word": word, "place": place }))
            .collect();
        let rules: Vec<Value> = self
            .rules
            .iter()
            .map(|asked| {
                json!({ "section": asked.section, "id": asked.id, "applies": asked.applies,
                    "words": asked.words })
            })
            .collect();

        json!({
            "verdict": if verdict.allowed { "allowed" } else { "denied" },
            "rule": verdict.rule, "why": verdict.why, "place": verdict.place, "say": verdict.say,
            "content": verdict.content, "audit": verdict.audit, "labels": verdict.labels,
            "noted": noted, "passed": verdict.passed, "findings": verdict.findings,
            "break_glass": self.glass, "rules": rules,
            "version": version, "user_is_known": user_is_known,
        })
    }
}

/// Why a rule with this audience is not for somebody; none if it is.
pub(super) fn missed(who: &Who, unless: Option<&Who>, subject: &Subject<'_>) -> Option<String> {
    if let Some(member) = who.misses(subject) {
        return Some(format!("who.{member} does not fit"));
    }

    unless.is_some_and(|unless| unless.includes(subject)).then(|| "unless fits".to_owned())
}

/// What became of a rule: it is not for them, or it has nothing to say, or this.
pub(super) fn asked(section: &'static str, id: &str, missed: Option<String>, said: Said) -> Asked {
    let Said { words, nothing } = said;
    let missed = missed.or_else(|| words.is_empty().then(|| nothing.to_owned()));

    Asked {
        section,
        id: id.to_owned(),
        applies: missed.is_none(),
        words: missed.unwrap_or_else(|| words.join(", ")),
    }
}

/// What a rule says of what is asked for.
pub(super) struct Said {
    pub(super) words: Vec<String>,
    /// What it is told as if there is none.
    pub(super) nothing: &'static str,
}

fn sign_in(policy: &Policy, subject: &Subject<'_>) -> Vec<Asked> {
    let rules = policy.sign_in().iter().map(|rule| {
        let tier = subject.tier.as_str();
        let words = match (rule.tiers.contains(&subject.tier), rule.bound) {
            (false, _) => format!("does not accept {tier}"),
            (true, true) => format!("accepts {tier} over its certificate"),
            (true, false) => format!("accepts {tier}"),
        };
        let missed = missed(&rule.who, rule.unless.as_ref(), subject);
        asked("sign_in", &rule.id, missed, Said { words: vec![words], nothing: "" })
    });

    rules.collect()
}

/// The first that fits pins; what follows it is not asked.
fn residency(policy: &Policy, subject: &Subject<'_>) -> Vec<Asked> {
    let pinned = policy.pin(subject).rule();
    let rules = policy.residency().iter().map(|rule| {
        let missed = missed(&rule.who, rule.unless.as_ref(), subject);
        let first = pinned.is_none_or(|first| first.id == rule.id);
        let words = if first { vec![format!("keeps in {}", rule.zone)] } else { Vec::new() };
        let said = Said { words, nothing: "one before it fits" };
        asked("residency", &rule.id, missed, said)
    });

    rules.collect()
}

fn models(policy: &Policy, subject: &Subject<'_>, asks: &Asks) -> Vec<Asked> {
    let names: Vec<String> = [&asks.model]
        .into_iter()
        .chain(&asks.beside)
        .map(|name| model::normalise(name).map_or_else(|_| name.clone(), Into::into))
        .collect();
    let rules = policy.rules().iter().map(|rule| {
        let fits = |name: &&String| rule.models.iter().any(|those| model::matches(those, name));
        let effect = if rule.effect == Effect::Allow { "allows" } else { "denies" };
        let fitting: Vec<&str> = names.iter().filter(fits).map(String::as_str).collect();
        let words = if fitting.is_empty() {
            Vec::new()
        } else {
            vec![format!("{effect} {}", fitting.join(", "))]
        };
        let missed = missed(&rule.who, rule.unless.as_ref(), subject);
        asked("rules", &rule.id, missed, Said { words, nothing: "models do not fit" })
    });

    rules.collect()
}

fn tools(policy: &Policy, subject: &Subject<'_>, declared: &Declared) -> Vec<Asked> {
    let plain = declared.tools.iter().flat_map(Tool::names).map(ToOwned::to_owned);
    let names: Vec<String> = plain.chain(declared.skills.iter().map(Skill::name)).collect();
    if names.is_empty() && declared.servers.is_empty() {
        return Vec::new();
    }
    let rules = policy.tools().map(|(rule, words)| {
        let plain = names
            .iter()
            .filter_map(|name| Some((name.clone(), words.of(&name.to_ascii_lowercase())?)));
        let remote = declared.servers.iter().flat_map(|server| of_remote(policy, server, words));
        let words =
            plain.chain(remote).map(|(name, word)| format!("{name}: {}", word.as_str())).collect();
        let missed = missed(&rule.who, rule.unless.as_ref(), subject);
        asked("tools", &rule.id, missed, Said { words, nothing: "tools do not fit" })
    });

    rules.collect()
}

/// What a rule says of the tools of a server, by each name that the policy has for it.
fn of_remote(policy: &Policy, server: &Server, words: &Words) -> Vec<(String, Word)> {
    let Ok(address) = servers::normalise(&server.url) else {
        return Vec::new();
    };
    let named = policy.servers().iter().filter(|rule| servers::names(&rule.url, &address));

    named.flat_map(|rule| server.said(&rule.id, words)).collect()
}

fn remotes(policy: &Policy, subject: &Subject<'_>, remote: &[Server]) -> Vec<Asked> {
    if remote.is_empty() {
        return Vec::new();
    }
    let at = |rule: &ServerRule| -> Vec<String> {
        let fits = |url: &str| {
            servers::normalise(url).is_ok_and(|address| servers::matches(&rule.url, &address))
        };
        let fitting = remote.iter().map(|server| server.url.as_str()).filter(|url| fits(url));
        fitting.map(|url| format!("allows {url}")).collect()
    };
    let rules = policy.servers().iter().map(|rule| {
        let missed = missed(&rule.who, rule.unless.as_ref(), subject);
        asked("servers", &rule.id, missed, Said { words: at(rule), nothing: "url does not fit" })
    });

    rules.collect()
}

fn finds(policy: &Policy, subject: &Subject<'_>, text: &str) -> Vec<Asked> {
    let scanned = policy.scan_text(subject, text);
    let rules = policy.finds().iter().map(|rule| {
        let words = scanned.found.iter().filter(|found| found.rule_id == rule.id).map(|found| {
            let (action, severity) = (found.action.as_str(), found.severity.as_str());
            format!("found {} ({action}, {severity})", found.what)
        });
        let section = if rule.why == Why::Secret { "secrets" } else { "blocklists" };
        let missed = missed(&rule.who, rule.unless.as_ref(), subject);
        asked(section, &rule.id, missed, Said { words: words.collect(), nothing: "nothing found" })
    });

    rules.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::compile::compile;
    use contract::audit::CallSource;

    const POLICY: &str = "
schema: tollgate.policy/v1
name: n
rules:
  - { id: everyone, models: [claude-haiku-*], labels: [cheap] }
  - { id: research, who: { groups: [research] }, models: [claude-opus-*], audit: before }
  - { id: not-jobs, who: { sources: [job] }, models: ['claude-opus-*'], effect: deny }
  - { id: staff, unless: { populations: [contractors] }, models: ['*'] }
tools:
  - { id: shell, who: { sources: [subagent] }, tools: { Bash: blocked } }
  - { id: tickets-ask, tools: { 'mcp__tickets__*': ask } }
servers:
  - { id: tickets, url: 'https://tickets.example/mcp' }
  - { id: wiki, who: { users: [Ann@Example.com] }, url: 'https://wiki.example/mcp' }
blocklists:
  - { id: names, words: [falcon], action: deny }
";

    fn told(somebody: &Somebody, asks: &Asks) -> (Verdict, Vec<String>) {
        let compiled = compile(POLICY).unwrap();
        let explained = explain(&compiled.policy, somebody, asks);
        let rule = |asked: &Asked| {
            let sign = if asked.applies { '+' } else { '-' };
            format!("{sign}{} {}", asked.id, asked.words)
        };
        (explained.verdict, explained.rules.iter().map(rule).collect())
    }

    #[test]
    fn each_rule_says_what_it_does_or_which_member_did_not_fit() {
        let contractor = Somebody {
            groups: vec!["research".into()],
            populations: vec!["contractors".into()],
            source: CallSource::Job,
            ..Somebody::default()
        };
        let asks = Asks { model: "Claude-Opus-4-8[1m]".into(), ..Asks::default() };

        let (verdict, rules) = told(&contractor, &asks);

        assert_eq!((verdict.allowed, verdict.rule.as_deref()), (false, Some("not-jobs")));
        assert_eq!(
            rules,
            [
                "-everyone models do not fit",
                "+research allows claude-opus-4-8",
                "+not-jobs denies claude-opus-4-8",
                "-staff unless fits",
            ]
        );
    }

    #[test]
    fn tools_servers_and_words_are_explained_where_they_are_asked_for() {
        let ann = Somebody { user: "ANN@example.com".into(), ..Somebody::default() };
        let remote =
            |url: &str| super::super::cases::Remote { url: url.into(), ..Default::default() };
        let asks = Asks {
            model: "claude-haiku-4-5".into(),
            tools: vec![super::super::cases::Wanted::Name("bash".into())],
            servers: vec![
                remote("https://tickets.example/mcp"),
                remote("https://wiki.example/mcp"),
            ],
            text: Some("the Falcon lands".into()),
            ..Asks::default()
        };

        let (verdict, rules) = told(&ann, &asks);

        assert_eq!((verdict.why, verdict.rule.as_deref()), (Some("word_blocked"), Some("names")));
        assert_eq!(verdict.findings, ["names"]);
        assert_eq!(
            rules[4..],
            [
                "-shell who.sources does not fit",
                "+tickets-ask mcp__tickets__*: ask",
                "+tickets allows https://tickets.example/mcp",
                "+wiki allows https://wiki.example/mcp",
                "+names found word 1 (deny, medium)",
            ]
        );
    }
}
