//! Who asks what → yes, with what is attached to it, or no, with the rule that says so.
//!
//! Nothing here depends on the order of rules but which of several is named. A rule over models that
//! denies beats all that allow; a tool is what the strictest of all rules for this caller says; a
//! server needs one rule that allows it.

use super::document::{BreakGlass, Offered, Rule};
use super::memo::{self, Memo, RuleSet, Said};
use super::tools::{Declared, Place, Server, Word, comparable};
use super::who::{Subject, concerns};
use super::{Effect, Policy, Terms, Tools, servers};
use crate::model;
use std::collections::BTreeSet;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The model, normalised.
    pub model: &'a str,
    /// Models that the provider is asked to call beside it, normalised.
    pub beside: &'a [String],
    /// Tools, servers and skills.
    pub declared: &'a Declared,
}

/// A yes, and what is attached to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant<'a> {
    /// The first rule that allows the model.
    pub rule_id: &'a str,
    /// What all rules that allow it say.
    pub terms: Terms,
    /// Words for routes, sorted.
    pub labels: BTreeSet<&'a str>,
    /// What the row should note.
    pub notes: Vec<Note<'a>>,
    /// Rules that would have denied, had the caller not broken the glass.
    pub passed: BTreeSet<&'a str>,
}

/// Something that passes, and is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note<'a> {
    /// The rule that has it noted.
    pub rule_id: &'a str,
    /// What it says.
    pub word: &'static str,
    /// Where it stands in the body.
    pub place: Place,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// No rule allows the model.
    ModelNotAllowed,
    /// A rule denies the model.
    ModelDenied,
    /// A rule allows the model, and it is not among those that are offered.
    ModelUnknown,
    /// A tool is blocked.
    Tool,
    /// A tool needs somebody's approval first.
    Approval,
    /// A server that no rule allows.
    Server,
    /// A skill is blocked.
    Skill,
    /// There is a secret in it.
    Secret,
    /// There is a blocked word in it.
    Word,
    /// Another way of signing in is accepted from them.
    Tier,
    /// The call does not come over the certificate that its token is bound to.
    Unbound,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::ModelNotAllowed,
        Self::ModelDenied,
        Self::ModelUnknown,
        Self::Tool,
        Self::Approval,
        Self::Server,
        Self::Skill,
        Self::Secret,
        Self::Word,
        Self::Tier,
        Self::Unbound,
    ];

    /// The code of the refusal that the client gets.
    pub fn code(self) -> &'static str {
        match self {
            Self::ModelNotAllowed => "model_not_allowed",
            Self::ModelDenied => "model_denied",
            Self::ModelUnknown => "model_unknown",
            Self::Tool => "tool_blocked",
            Self::Approval => "approval_required",
            Self::Server => "server_not_managed",
            Self::Skill => "skill_blocked",
            Self::Secret => "secret_found",
            Self::Word => "word_blocked",
            Self::Tier => "tier_not_accepted",
            Self::Unbound => "certificate_required",
        }
    }
}

/// A no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial<'a> {
    /// Why.
    pub why: Why,
    /// The rule that says so; none where it is that no rule allows it.
    pub rule_id: Option<&'a str>,
    /// What its author has the person told.
    pub say: Option<&'a str>,
    /// What is denied: a model, or a place in the body such as `tools[3]`.
    pub place: String,
}

impl Policy {
    /// May they?
    ///
    /// # Errors
    /// A [`Denial`], the first in the order sign-in, models, tools, servers, skills.
    pub fn judge<'a>(
        &'a self,
        subject: &Subject<'_>,
        asked: Asked<'a>,
    ) -> Result<Grant<'a>, Denial<'a>> {
        self.accepts(subject)?;
        let mut judgement = Judgement {
            policy: self,
            subject,
            glass: self.breaks(subject),
            grant: Grant::default(),
        };
        // Every model that the provider may call for it, not only the one that answers.
        for model in asked.beside {
            judgement.model(model)?;
        }
        judgement.grant.rule_id = judgement.model(asked.model)?;
        let Declared { tools, servers, skills } = asked.declared;
        if tools.is_empty() && servers.is_empty() && skills.is_empty() {
            return Ok(judgement.grant);
        }
        let concerned = |(_, tools): &(usize, &'a Tools)| {
            // What a rule says of arguments, it says of calls, not of declarations.
            tools.rule.arguments.is_empty()
                && concerns(&tools.rule.who, tools.rule.unless.as_ref(), subject)
        };
        let rules: Vec<(usize, &Tools)> = self.tools.iter().enumerate().filter(concerned).collect();
        let rules = Concerned { set: memo::set(rules.iter().map(|(index, _)| *index)), rules };
        for tool in tools {
            for name in tool.names() {
                judgement.tool(&rules, name, tool.place, Why::Tool)?;
            }
        }
        for server in servers {
            judgement.server(&rules, server)?;
        }
        for skill in skills {
            judgement.tool(&rules, &skill.name(), skill.place, Why::Skill)?;
        }

        Ok(judgement.grant)
    }

    /// The models that they may call, of those that are offered: what `/v1/models` lists.
    pub fn offers(&self, subject: &Subject<'_>) -> Vec<&Offered> {
        let declared = Declared::default();
        let may = |offered: &&Offered| {
            let name = model::normalise(&offered.id);
            name.is_ok_and(|model| {
                self.judge(subject, Asked { model: &model, beside: &[], declared: &declared })
                    .is_ok()
            })
        };

        self.offered.iter().filter(may).collect()
    }

    /// What the policy says of a caller who has broken the glass; none for all others.
    pub fn breaks(&self, subject: &Subject<'_>) -> Option<&BreakGlass> {
        let glass = self.break_glass.as_ref()?;

        glass.roles.iter().any(|role| subject.roles.contains(role)).then_some(glass)
    }
}

/// The rules over tools that are for a caller.
struct Concerned<'a> {
    rules: Vec<(usize, &'a Tools)>,
    /// The same, to be remembered by.
    set: Option<RuleSet>,
}

impl Concerned<'_> {
    /// Hands what they say of a name to `then`.
    fn said<T>(&self, memo: &Memo, name: &str, then: impl FnOnce(&Said) -> T) -> T {
        let name = comparable(name);
        let ask = || -> Said {
            let said = |(index, tools): &(usize, &Tools)| Some((*index, tools.words.of(&name)?));
            self.rules.iter().filter_map(said).collect()
        };
        match &self.set {
            Some(set) if name.len() <= memo::LONGEST => memo.with(set, &name, ask, then),
            _ => then(&ask()),
        }
    }
}

struct Judgement<'a, 's> {
    policy: &'a Policy,
    subject: &'s Subject<'s>,
    glass: Option<&'a BreakGlass>,
    grant: Grant<'a>,
}

impl<'a> Judgement<'a, '_> {
    /// The first rule that allows a model.
    fn model(&mut self, name: &str) -> Result<&'a str, Denial<'a>> {
        let mut first = None;
        for rule in &self.policy.rules {
            if !concerned(rule, name, self.subject) {
                continue;
            }
            match rule.effect {
                Effect::Allow => {
                    first.get_or_insert(rule.id.as_str());
                    self.grant.terms = self.grant.terms.and(rule.terms());
                    self.grant.labels.extend(rule.labels.iter().map(String::as_str));
                }
                Effect::Deny if self.passes(&rule.id) => {}
                Effect::Deny => {
                    return Err(Denial {
                        why: Why::ModelDenied,
                        rule_id: Some(&rule.id),
                        say: rule.say.as_deref(),
                        place: name.to_owned(),
                    });
                }
            }
        }

        let no = |why| Denial { why, rule_id: None, say: None, place: name.to_owned() };
        let first = first.ok_or_else(|| no(Why::ModelNotAllowed))?;
        let offered = &self.policy.names;
        if !offered.is_empty() && !offered.contains(name) {
            return Err(no(Why::ModelUnknown));
        }

        Ok(first)
    }

    fn tool(
        &mut self,
        rules: &Concerned<'a>,
        name: &str,
        place: Place,
        why: Why,
    ) -> Result<(), Denial<'a>> {
        let policy = self.policy;
        rules.said(&policy.memo, name, |said| {
            for (index, word) in said {
                if let Some(tools) = policy.tools.get(*index) {
                    if *word == Word::Approve && policy.passes_gate(name) {
                        // It may be declared: each call of it comes by the gate, and needs the approval there.
                        self.note(&tools.rule.id, *word, place);
                        continue;
                    }
                    self.word(tools, *word, place, why)?;
                }
            }
            Ok(())
        })
    }

    fn word(
        &mut self,
        tools: &'a Tools,
        word: Word,
        place: Place,
        why: Why,
    ) -> Result<(), Denial<'a>> {
        let rule = &tools.rule;
        let why = match word {
            Word::Allow | Word::Ask => {
                self.grant.labels.extend(rule.labels.iter().map(String::as_str));
                if word == Word::Ask {
                    self.note(&rule.id, word, place);
                }
                return Ok(());
            }
            Word::Approve => Why::Approval,
            Word::Blocked => why,
        };
        if self.passes(&rule.id) {
            self.grant.labels.extend(rule.labels.iter().map(String::as_str));
            self.note(&rule.id, word, place);
            return Ok(());
        }

        Err(Denial {
            why,
            rule_id: Some(&rule.id),
            say: rule.say.as_deref(),
            place: place.to_string(),
        })
    }

    /// A server has to be one that is managed, for this caller; then its tools are judged.
    fn server(&mut self, rules: &Concerned<'a>, server: &'a Server) -> Result<(), Denial<'a>> {
        let address = servers::normalise(&server.url).ok();
        let managed = address.as_deref().filter(|address| {
            let rules = self.policy.servers.iter();
            rules
                .filter(|rule| servers::matches(&rule.url, address))
                .any(|rule| concerns(&rule.who, rule.unless.as_ref(), self.subject))
        });
        let Some(address) = managed else {
            return Err(Denial {
                why: Why::Server,
                rule_id: None,
                say: None,
                place: server.place.to_string(),
            });
        };
        // It may be meant by several, a folder and what is in it: its tools are judged by each name.
        for named in self.policy.servers.iter().filter(|rule| servers::names(&rule.url, address)) {
            for (_, tools) in &rules.rules {
                for (_, word) in server.said(&named.id, &tools.words) {
                    self.word(tools, word, server.place, Why::Tool)?;
                }
            }
        }

        Ok(())
    }

    fn passes(&mut self, rule_id: &'a str) -> bool {
        let passes = self.glass.is_some_and(|glass| glass.passes(rule_id));
        if passes {
            self.grant.passed.insert(rule_id);
        }

        passes
    }

    fn note(&mut self, rule_id: &'a str, word: Word, place: Place) {
        let note = Note { rule_id, word: word.as_str(), place };
        if self.grant.notes.len() < MOST_NOTES && !self.grant.notes.contains(&note) {
            self.grant.notes.push(note);
        }
    }
}

/// Most notes that a row keeps. A request declares hundreds of tools.
const MOST_NOTES: usize = 16;

fn concerned(rule: &Rule, model: &str, subject: &Subject<'_>) -> bool {
    rule.models.iter().any(|pattern| model::matches(pattern, model))
        && concerns(&rule.who, rule.unless.as_ref(), subject)
}
