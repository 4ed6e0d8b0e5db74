//! Which rule decides, and why each other one does not.

use super::cases::{Asks, Somebody, judge};
use super::verdict::Verdict;
use contract::model;
use contract::policy::{
    Document, Effect, Policy, Server, Skill, Subject, Tool, Who, Words, of_server, servers,
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
pub fn explain(
    policy: &Policy,
    document: &Document,
    somebody: &Somebody,
    asks: &Asks,
) -> Explained {
    let verdict = judge(policy, somebody, asks);
    let lower = Somebody { user: somebody.user.to_ascii_lowercase(), ..somebody.clone() };
    let subject = lower.subject();
    let mut rules = Vec::new();
    models(document, &subject, asks, &mut rules);
    let declared = asks.declared();
    tools(document, &subject, &declared.tools, &declared.skills, &declared.servers, &mut rules);
    remotes(document, &subject, &declared.servers, &mut rules);
    if let Some(text) = &asks.text {
        said(policy, document, &subject, text, &mut rules);
    }

    Explained { verdict, rules, glass: policy.breaks(&subject).is_some() }
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
fn missed(who: &Who, unless: Option<&Who>, subject: &Subject<'_>) -> Option<String> {
    if let Some(member) = who_of(who).misses(subject) {
        return Some(format!("who.{member} does not fit"));
    }
    let except = unless.map(who_of).is_some_and(|unless| unless.includes(subject));

    except.then(|| "unless fits".to_owned())
}

/// With addresses in lower case, as they are compared.
fn who_of(who: &Who) -> Who {
    let users = who.users.iter().map(|user| user.to_ascii_lowercase()).collect();

    Who { users, ..who.clone() }
}

fn models(document: &Document, subject: &Subject<'_>, asks: &Asks, asked: &mut Vec<Asked>) {
    let names: Vec<String> = [&asks.model]
        .into_iter()
        .chain(&asks.beside)
        .map(|name| model::normalise(name).map_or_else(|_| name.clone(), Into::into))
        .collect();
    for rule in &document.rules {
        let fits = |name: &String| {
            rule.models.iter().any(|pattern| {
                model::normalise_pattern(pattern).is_ok_and(|one| model::matches(&one, name))
            })
        };
        let fitting: Vec<&str> =
            names.iter().filter(|name| fits(name)).map(String::as_str).collect();
        let missed = missed(&rule.who, rule.unless.as_ref(), subject)
            .or_else(|| fitting.is_empty().then(|| "models do not fit".to_owned()));
        let effect = if rule.effect == Effect::Allow { "allows" } else { "denies" };
        asked.push(Asked {
            section: "rules",
            id: rule.id.clone(),
            applies: missed.is_none(),
            words: missed.unwrap_or_else(|| format!("{effect} {}", fitting.join(", "))),
        });
    }
}

fn tools(
    document: &Document,
    subject: &Subject<'_>,
    tools: &[Tool],
    skills: &[Skill],
    remote: &[Server],
    asked: &mut Vec<Asked>,
) {
    let plain = tools.iter().flat_map(Tool::names).map(ToOwned::to_owned);
    let names: Vec<String> = plain.chain(skills.iter().map(Skill::name)).collect();
    if names.is_empty() && remote.is_empty() {
        return;
    }
    for rule in &document.tools {
        let words = Words::new(&rule.tools);
        let mut said: Vec<String> = names
            .iter()
            .filter_map(|name| {
                let word = words.of(&name.to_ascii_lowercase())?;
                Some(format!("{name}: {}", word.as_str()))
            })
            .collect();
        for server in remote {
            said.extend(of_remote(document, subject, server, &words));
        }
        let missed = missed(&rule.who, rule.unless.as_ref(), subject)
            .or_else(|| said.is_empty().then(|| "tools do not fit".to_owned()));
        asked.push(Asked {
            section: "tools",
            id: rule.id.clone(),
            applies: missed.is_none(),
            words: missed.unwrap_or_else(|| said.join(", ")),
        });
    }
}

/// What a rule says of the tools of a server.
fn of_remote(
    document: &Document,
    subject: &Subject<'_>,
    server: &Server,
    words: &Words,
) -> Option<String> {
    let managed = document.servers.iter().find(|rule| {
        missed(&rule.who, rule.unless.as_ref(), subject).is_none() && is_at(&rule.url, &server.url)
    })?;
    let named = server.tools.named.keys().map(|tool| of_server(&managed.id, tool));
    let said: Vec<String> = named
        .filter_map(|name| {
            Some(format!("{name}: {}", words.of(&name.to_ascii_lowercase())?.as_str()))
        })
        .collect();
    let all = of_server(&managed.id, "").to_ascii_lowercase();
    let others = words
        .of_any(&all, &|name| {
            server
                .tools
                .named
                .keys()
                .any(|tool| of_server(&managed.id, tool).eq_ignore_ascii_case(name))
        })
        .filter(|_| server.tools.others)
        .map(|word| format!("{all}*: {}", word.as_str()));
    let said: Vec<String> = said.into_iter().chain(others).collect();

    (!said.is_empty()).then(|| said.join(", "))
}

fn is_at(pattern: &str, url: &str) -> bool {
    let (Ok(pattern), Ok(url)) = (servers::normalise_pattern(pattern), servers::normalise(url))
    else {
        return false;
    };

    servers::matches(&pattern, &url)
}

fn remotes(document: &Document, subject: &Subject<'_>, remote: &[Server], asked: &mut Vec<Asked>) {
    if remote.is_empty() {
        return;
    }
    for rule in &document.servers {
        let at: Vec<&str> = remote
            .iter()
            .filter(|server| is_at(&rule.url, &server.url))
            .map(|server| server.url.as_str())
            .collect();
        let missed = missed(&rule.who, rule.unless.as_ref(), subject)
            .or_else(|| at.is_empty().then(|| "url does not fit".to_owned()));
        asked.push(Asked {
            section: "servers",
            id: rule.id.clone(),
            applies: missed.is_none(),
            words: missed.unwrap_or_else(|| format!("allows {}", at.join(", "))),
        });
    }
}

fn said(
    policy: &Policy,
    document: &Document,
    subject: &Subject<'_>,
    text: &str,
    asked: &mut Vec<Asked>,
) {
    let scanned = policy.scan_text(subject, text);
    let secrets = document.secrets.iter().map(|one| ("secrets", &one.id, &one.who, &one.unless));
    let lists =
        document.blocklists.iter().map(|one| ("blocklists", &one.id, &one.who, &one.unless));
    for (section, id, who, unless) in secrets.chain(lists) {
        let found: Vec<String> = scanned
            .found
            .iter()
            .filter(|found| found.rule_id == id)
            .map(|found| {
                format!("found {} ({:?}, {})", found.what, found.action, found.severity.as_str())
                    .to_lowercase()
            })
            .collect();
        let missed = missed(who, unless.as_ref(), subject)
            .or_else(|| found.is_empty().then(|| "nothing found".to_owned()));
        asked.push(Asked {
            section,
            id: id.clone(),
            applies: missed.is_none(),
            words: missed.unwrap_or_else(|| found.join(", ")),
        });
    }
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
        let explained = explain(&compiled.policy, &compiled.document, somebody, asks);
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
