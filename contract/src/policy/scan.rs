//! What the rules over secrets and words find in a body.
//!
//! All patterns and words of a policy are looked for in one sweep ([`crate::scan`]); what is found
//! counts by the rules that are for this caller. What is told of a find is its rule, its place and a
//! digest, never its text.

use super::document::{Action, Blocklist, BreakGlass, CustomPattern, SecretRule};
use super::judge::{Denial, Why};
use super::who::{Subject, Who, concerns};
use super::{Fault, Policy};
use crate::model;
use crate::scan::{Hit, Hits, Scanner, Severity, Wanted, catalogue};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Most finds that a row tells.
const MOST_FOUND: usize = 16;

/// Everything that a policy looks for, ready to be looked for.
#[derive(Debug)]
pub(super) struct Watch {
    scanner: Scanner,
    /// What each thing wanted is called, and which rules want it, by their place among all of them.
    wanted: Vec<(String, Vec<usize>)>,
}

/// A rule over secrets or words, without what it looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindRule {
    /// Stands in the row of every call it decided.
    pub id: String,
    /// Whom it is for.
    pub who: Who,
    /// Whom of these it is not for.
    pub unless: Option<Who>,
    /// What is done.
    pub action: Action,
    /// How bad it is.
    pub severity: Severity,
    /// Words that routes can match on.
    pub labels: Vec<String>,
    /// What the person is told where it denies.
    pub say: Option<String>,
    /// [`Why::Secret`] or [`Why::Word`].
    pub why: Why,
}

impl From<SecretRule> for FindRule {
    fn from(rule: SecretRule) -> Self {
        let SecretRule { id, who, unless, patterns: _, except: _, action, severity, labels, say } =
            rule;

        Self { id, who, unless, action, severity, labels, say, why: Why::Secret }
    }
}

impl From<Blocklist> for FindRule {
    fn from(list: Blocklist) -> Self {
        let Blocklist { id, who, unless, words: _, action, severity, labels, say } = list;

        Self { id, who, unless, action, severity, labels, say, why: Why::Word }
    }
}

/// A find, and the rule by which it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// The rule.
    pub rule_id: &'a str,
    /// What is done; `flag` where a caller who has broken the glass passes.
    pub action: Action,
    /// How bad it is.
    pub severity: Severity,
    /// A pattern's id, or `word N` for the Nth of a blocklist, counted from 1.
    pub what: &'a str,
    /// Where it stands, such as `messages[3].content[0].text`.
    pub place: String,
    /// The first 16 hex digits of the SHA-256 of what was found.
    pub digest: String,
}

/// What a scan came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scanned<'a> {
    /// What was found, in the order of the body; at most sixteen.
    pub found: Vec<Found<'a>>,
    /// Is there more of it?
    pub cut: bool,
    /// Words for routes, of the rules that found something.
    pub labels: BTreeSet<&'a str>,
    /// Rules that would have denied, had the caller not broken the glass.
    pub passed: BTreeSet<&'a str>,
    /// The gravest find that denies.
    pub denial: Option<Denial<'a>>,
}

impl Watch {
    /// Makes ready what these rules look for; none if they look for nothing.
    pub(super) fn new(
        secrets: &[SecretRule],
        blocklists: &[Blocklist],
        own: &[CustomPattern],
        faults: &mut Vec<Fault>,
    ) -> Option<Self> {
        let mut gathered = Gathered::default();
        gathered.own(own, faults);
        for (index, rule) in secrets.iter().enumerate() {
            gathered.secrets(index, rule, faults);
        }
        for (index, list) in blocklists.iter().enumerate() {
            gathered.words(secrets.len().saturating_add(index), index, list);
        }
        let Gathered { names, list, .. } = gathered;
        if list.is_empty() {
            return None;
        }
        let wanted: Vec<Wanted> = list.iter().map(|(wanted, _)| wanted.clone()).collect();
        match Scanner::new(&wanted) {
            Ok(scanner) => {
                let rules = list.into_iter().map(|(_, (name, rules))| (name, rules));
                Some(Self { scanner, wanted: rules.collect() })
            }
            Err(found) => {
                for fault in found {
                    let place = names.get(fault.wanted).cloned().unwrap_or_default();
                    faults.push(Fault { place, problem: fault.kind.to_string() });
                }
                None
            }
        }
    }
}

/// What rules look for, each thing once.
#[derive(Default)]
struct Gathered {
    /// Where each thing stands in the document, for faults.
    names: Vec<String>,
    list: Vec<(Wanted, (String, Vec<usize>))>,
    own: BTreeMap<String, (usize, Wanted)>,
    seen: BTreeMap<String, usize>,
}

impl Gathered {
    fn own(&mut self, own: &[CustomPattern], faults: &mut Vec<Fault>) {
        for (index, pattern) in own.iter().enumerate() {
            let CustomPattern { id, anchors, pattern } = pattern;
            if id.is_empty() || self.own.contains_key(id) {
                let problem = "is empty, or used before".to_owned();
                faults.push(Fault { place: format!("patterns[{index}].id"), problem });
            }
            if catalogue().get(id).is_some() {
                let problem = format!("{id:?} is the name of a shipped pattern");
                faults.push(Fault { place: format!("patterns[{index}].id"), problem });
            }
            let wanted =
                Wanted::Custom { id: id.clone(), anchors: anchors.clone(), regex: pattern.clone() };
            // It has to be good even if no rule uses it.
            if let Err(found) = Scanner::new(std::slice::from_ref(&wanted)) {
                faults.extend(found.into_iter().map(|fault| Fault {
                    place: format!("patterns[{index}]"),
                    problem: fault.kind.to_string(),
                }));
                continue;
            }
            self.own.insert(id.clone(), (index, wanted));
        }
    }

    fn secrets(&mut self, index: usize, rule: &SecretRule, faults: &mut Vec<Fault>) {
        let meant = |id: &str| {
            let any = |list: &[String]| list.iter().any(|those| model::matches(those, id));
            any(&rule.patterns) && !any(&rule.except)
        };
        for pattern in catalogue().precise().filter(|pattern| meant(&pattern.id)) {
            let wanted = Wanted::Shipped(pattern.id.clone());
            self.want(&pattern.id, wanted, format!("secrets[{index}]"), index);
        }
        let own: Vec<(String, usize, Wanted)> = self
            .own
            .iter()
            .filter(|(id, _)| meant(id))
            .map(|(id, (place, wanted))| (id.clone(), *place, wanted.clone()))
            .collect();
        for (id, place, wanted) in own {
            self.want(&id, wanted, format!("patterns[{place}]"), index);
        }
        for (member, list) in [("patterns", &rule.patterns), ("except", &rule.except)] {
            for (position, those) in list.iter().enumerate() {
                let known = catalogue().precise().any(|pattern| model::matches(those, &pattern.id))
                    || self.own.keys().any(|id| model::matches(those, id));
                if !known {
                    faults.push(Fault {
                        place: format!("secrets[{index}].{member}[{position}]"),
                        problem: format!(
                            "no pattern is {those:?}; `tollgate policy patterns` lists them"
                        ),
                    });
                }
            }
        }
    }

    fn words(&mut self, rule: usize, index: usize, list: &Blocklist) {
        for (position, word) in list.words.iter().enumerate() {
            let wanted = Wanted::Word { text: word.clone(), case: false, part: false };
            let place = format!("blocklists[{index}].words[{position}]");
            // The row names it by its number: the word itself may be what must not be seen.
            let name = format!("word {}", position.saturating_add(1));
            self.names.push(place);
            self.list.push((wanted, (name, vec![rule])));
        }
    }

    /// A pattern that several rules want is looked for once.
    fn want(&mut self, id: &str, wanted: Wanted, place: String, rule: usize) {
        let known = self.seen.get(id).and_then(|at| self.list.get_mut(*at));
        if let Some((_, (_, rules))) = known {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
            return;
        }
        self.seen.insert(id.to_owned(), self.list.len());
        self.names.push(place);
        self.list.push((wanted, (id.to_owned(), vec![rule])));
    }
}

impl Policy {
    /// Scans a body as it came. Nothing is looked for where no rule is for this caller.
    pub fn scan(&self, subject: &Subject<'_>, body: &[u8]) -> Scanned<'_> {
        self.scanned(subject, |scanner| scanner.scan(body))
    }

    /// Scans plain text.
    pub fn scan_text(&self, subject: &Subject<'_>, text: &str) -> Scanned<'_> {
        self.scanned(subject, |scanner| scanner.scan_text(text))
    }

    /// The text without what any rule looks for; borrowed where there is nothing of it.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.watch.as_ref().map_or(Cow::Borrowed(text), |watch| watch.scanner.mask(text))
    }

    /// Is anything looked for at all?
    pub fn looks_for_something(&self) -> bool {
        self.watch.is_some()
    }

    fn scanned(&self, subject: &Subject<'_>, scan: impl FnOnce(&Scanner) -> Hits) -> Scanned<'_> {
        let Some(watch) = &self.watch else { return Scanned::default() };
        let concerned = |rule: &FindRule| concerns(&rule.who, rule.unless.as_ref(), subject);
        let rules: Vec<Option<&FindRule>> =
            self.finds.iter().map(|rule| concerned(rule).then_some(rule)).collect();
        if rules.iter().all(Option::is_none) {
            return Scanned::default();
        }
        let hits = scan(&watch.scanner);
        let mut count =
            Count { glass: self.breaks(subject), gravest: None, scanned: Scanned::default() };
        count.scanned.cut = hits.cut;
        for hit in hits.list {
            let Some((what, wanting)) = watch.wanted.get(hit.wanted) else { continue };
            for rule in wanting.iter().filter_map(|at| rules.get(*at).copied().flatten()) {
                count.enter(rule, what, &hit);
            }
        }

        count.scanned
    }
}

/// What the finds come to.
struct Count<'a> {
    glass: Option<&'a BreakGlass>,
    gravest: Option<Severity>,
    scanned: Scanned<'a>,
}

impl<'a> Count<'a> {
    /// Enters a find.
    fn enter(&mut self, rule: &'a FindRule, what: &'a str, hit: &Hit) {
        let Self { glass, gravest, scanned } = self;
        scanned.labels.extend(rule.labels.iter().map(String::as_str));
        let mut action = rule.action;
        if action == Action::Deny && glass.is_some_and(|glass| glass.passes(&rule.id)) {
            scanned.passed.insert(&rule.id);
            action = Action::Flag;
        }
        if action == Action::Deny && gravest.is_none_or(|before| before < rule.severity) {
            *gravest = Some(rule.severity);
            scanned.denial = Some(Denial {
                why: rule.why,
                rule_id: Some(&rule.id),
                say: rule.say.as_deref(),
                place: hit.place.clone(),
            });
        }
        if scanned.found.len() >= MOST_FOUND {
            scanned.cut = true;
            // What it is refused for is among what is told.
            let told = scanned.found.iter().any(|other| other.action == Action::Deny);
            if action == Action::Flag || told {
                return;
            }
            scanned.found.pop();
        }
        scanned.found.push(Found {
            rule_id: &rule.id,
            action,
            severity: rule.severity,
            what,
            place: hit.place.clone(),
            digest: hit.digest.clone(),
        });
    }
}
