//! What is no fault, and surely not meant so.
//!
//! Only what is certain whoever asks is told: a warning that is sometimes wrong is never read.

mod mcp;

use super::walk::{Found, Walked};
use contract::model;
use contract::policy::{Document, Effect, Rule, Who};

/// The warnings of a document without faults.
pub fn of(document: &Document, walked: &Walked) -> Vec<Found> {
    let mut warnings = Warnings { walked, list: Vec::new() };
    warnings.audiences(document);
    warnings.rules(document);
    warnings.offered(document);
    warnings.tools(document);
    warnings.servers(document);
    warnings.mcp(document);
    warnings.list.sort_by_key(|found| found.at);

    warnings.list
}

struct Warnings<'w> {
    walked: &'w Walked,
    list: Vec<Found>,
}

impl Warnings<'_> {
    fn add(&mut self, place: String, problem: impl Into<String>) {
        let at = self.walked.at(&place);
        self.list.push(Found { at, place, problem: problem.into() });
    }

    /// Rules that are for nobody.
    fn audiences(&mut self, document: &Document) {
        let all = [
            ("rules", audiences(&document.rules, |rule| (&rule.who, rule.unless.as_ref()))),
            ("tools", audiences(&document.tools, |rule| (&rule.who, rule.unless.as_ref()))),
            ("servers", audiences(&document.servers, |rule| (&rule.who, rule.unless.as_ref()))),
            ("secrets", audiences(&document.secrets, |rule| (&rule.who, rule.unless.as_ref()))),
            (
                "blocklists",
                audiences(&document.blocklists, |list| (&list.who, list.unless.as_ref())),
            ),
        ];
        for (section, nobody) in all {
            for index in nobody {
                self.add(
                    format!("{section}[{index}].unless"),
                    "takes out everybody that the rule is for: it never applies",
                );
            }
        }
    }

    fn rules(&mut self, document: &Document) {
        for (index, rule) in document.rules.iter().enumerate() {
            if rule.effect == Effect::Deny {
                continue;
            }
            if rule.say.is_some() {
                let problem = "is never said: the rule allows, and what no rule allows has no rule";
                self.add(format!("rules[{index}].say"), problem);
            }
            let shadow = document.rules.iter().find(|deny| shadows(deny, rule));
            let passed = |id: &str| {
                let glass = document.break_glass.as_ref();
                glass
                    .is_some_and(|glass| glass.passes.iter().any(|those| model::matches(those, id)))
            };
            if let Some(deny) = shadow.filter(|deny| !passed(&deny.id)) {
                let problem = format!("never applies: {} denies all of it", deny.id);
                self.add(format!("rules[{index}].models"), problem);
            }
        }
    }

    fn offered(&mut self, document: &Document) {
        let allowed = |id: &str| {
            let allowing = document.rules.iter().filter(|rule| rule.effect == Effect::Allow);
            let mut patterns = allowing.flat_map(|rule| &rule.models);
            patterns.any(|pattern| {
                model::normalise_pattern(pattern).is_ok_and(|pattern| model::matches(&pattern, id))
            })
        };
        let names: Vec<String> = document
            .models
            .iter()
            .filter_map(|offered| model::normalise(&offered.id).ok())
            .map(std::borrow::Cow::into_owned)
            .collect();
        for (index, name) in names.iter().enumerate() {
            if !allowed(name) {
                self.add(format!("models[{index}].id"), "is offered, and no rule allows it");
            }
        }
        if names.is_empty() {
            return;
        }
        for (index, rule) in document.rules.iter().enumerate() {
            for (position, pattern) in rule.models.iter().enumerate() {
                let Ok(pattern) = model::normalise_pattern(pattern) else { continue };
                let fits = names.iter().any(|name| model::matches(&pattern, name));
                if rule.effect == Effect::Allow && !fits {
                    let problem = "fits no model of `models`: what is not offered is refused";
                    self.add(format!("rules[{index}].models[{position}]"), problem);
                }
            }
        }
    }

    fn tools(&mut self, document: &Document) {
        for (index, rule) in document.tools.iter().enumerate() {
            let names: Vec<(&String, String)> =
                rule.tools.keys().map(|name| (name, name.to_ascii_lowercase())).collect();
            for (position, (name, lower)) in names.iter().enumerate() {
                let place = format!("tools[{index}].tools.{name:?}");
                if names.iter().skip(position.saturating_add(1)).any(|(_, other)| other == lower) {
                    let problem = "stands there twice but for its case: the stricter word counts";
                    self.add(place, problem);
                } else if has_date(lower) {
                    let problem = "has a date: the provider's tools are named without theirs here";
                    self.add(place, problem);
                }
            }
        }
    }

    fn servers(&mut self, document: &Document) {
        for (index, rule) in document.servers.iter().enumerate() {
            let mut before = document.servers.iter().take(index);
            let same = before.find(|other| {
                !rule.url.is_empty()
                    && other.url == rule.url
                    && other.who.is_everyone()
                    && other.unless.is_none()
            });
            if let Some(same) = same {
                let problem = format!("never applies: {} is the same address, for all", same.id);
                self.add(format!("servers[{index}].url"), problem);
            }
        }
    }
}

/// Which of the rules are for nobody.
fn audiences<R>(rules: &[R], of: impl Fn(&R) -> (&Who, Option<&Who>)) -> Vec<usize> {
    let nobody = |rule: &R| {
        let (who, unless) = of(rule);
        unless.is_some_and(|unless| unless.is_everyone() || unless == who)
    };

    rules.iter().enumerate().filter(|(_, rule)| nobody(rule)).map(|(index, _)| index).collect()
}

/// Does one rule deny all that the other allows?
fn shadows(deny: &Rule, allow: &Rule) -> bool {
    let covers = |pattern: &String| {
        let Ok(pattern) = model::normalise_pattern(pattern) else { return false };
        let mut those = deny.models.iter().filter_map(|those| model::normalise_pattern(those).ok());
        // A `*` of the narrower is only ever met by a `*` of the wider.
        those.any(|those| model::matches(&those, &pattern))
    };

    deny.effect == Effect::Deny
        && deny.unless.is_none()
        && (deny.who.is_everyone() || deny.who == allow.who)
        && allow.models.iter().all(covers)
}

/// `web_search_20250305`.
fn has_date(name: &str) -> bool {
    name.rsplit_once('_').is_some_and(|(_, date)| {
        date.len() == 8 && date.starts_with("20") && date.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use crate::policy::compile::compile;

    fn places(more: &str) -> Vec<String> {
        let text = format!("schema: tollgate.policy/v1\nname: n\nrules:\n{more}");
        let warnings = compile(&text).unwrap().warnings;
        warnings.into_iter().map(|found| format!("{} {}", found.at.line, found.place)).collect()
    }

    #[test]
    fn what_never_applies_is_told_with_its_line() {
        let denied = "  - { id: a, models: [claude-opus-*], who: { groups: [g] } }
  - { id: b, models: ['claude-*'], effect: deny, say: not here }
  - { id: c, models: [claude-haiku-*, other-*] }\n";
        assert_eq!(places(denied), ["4 rules[0].models"]);

        let nobody = "  - { id: a, models: ['*'], who: { groups: [g] }, unless: { groups: [g] } }
  - { id: b, models: ['*'], unless: {} }
  - { id: c, models: ['*'], who: { groups: [g] }, unless: { groups: [h] } }\n";
        assert_eq!(places(nobody), ["4 rules[0].unless", "5 rules[1].unless"]);
    }

    #[test]
    fn what_a_broken_glass_could_pass_is_not_said_to_be_denied_for_ever() {
        let denied = "  - { id: a, models: [m] }\n  - { id: b, models: ['*'], effect: deny }\n";
        let glass = "break_glass: { roles: [oncall], passes: [b], keep: 1y }\n";

        assert_eq!(places(denied).len(), 1);
        assert_eq!(places(&format!("{denied}{glass}")).len(), 0);
    }

    #[test]
    fn what_is_offered_and_not_allowed_and_what_is_allowed_and_not_offered() {
        let text = "  - { id: a, models: [claude-haiku-*, claude-opus-*] }
models:
  - { id: claude-haiku-4-5 }
  - { id: claude-sonnet-4-5 }\n";

        assert_eq!(places(text), ["4 rules[0].models[1]", "7 models[1].id"]);
    }

    #[test]
    fn names_of_tools_that_say_less_than_they_seem_to() {
        let text = "  - { id: a, models: ['*'], say: hello }
tools:
  - { id: t, tools: { Bash: allow, bash: blocked, web_search_20250305: ask } }
servers:
  - { id: s1, url: 'https://a.example/' }
  - { id: s2, url: 'https://a.example/', who: { groups: [g] } }\n";

        assert_eq!(
            places(text),
            [
                "4 rules[0].say",
                "6 tools[0].tools.\"Bash\"",
                "6 tools[0].tools.\"web_search_20250305\"",
                "9 servers[1].url"
            ]
        );
    }
}
