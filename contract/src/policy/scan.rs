//! What the rules over secrets and words find in a body.
//!
//! All patterns and words of a policy are looked for in one sweep ([`crate::scan`]); what is found
//! counts by the rules that are for this caller. What is told of a find is its rule, its place and a
//! digest, never its text.

use super::document::{Action, Blocklist, CustomPattern, SecretRule, Severity};
use super::judge::{Denial, Why};
use super::who::{Subject, Who, concerns};
use super::{Fault, Policy};
use crate::model;
use crate::scan::{Hits, Scanner, Wanted, catalogue};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Most finds that a row tells.
const MOST_FOUND: usize = 16;

/// Everything that a policy looks for, ready to be looked for.
#[derive(Debug)]
pub(super) struct Watch {
    scanner: Scanner,
    /// What each thing wanted is called, and which rules want it.
    wanted: Vec<(String, Vec<Section>)>,
}

/// A rule that wants something found, by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Secrets(usize),
    Blocklists(usize),
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

/// What rules of both kinds have.
struct Terms<'a> {
    id: &'a str,
    who: &'a Who,
    unless: Option<&'a Who>,
    action: Action,
    severity: Severity,
    labels: &'a [String],
    say: Option<&'a str>,
    why: Why,
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
            gathered.words(index, list);
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
    list: Vec<(Wanted, (String, Vec<Section>))>,
    own: BTreeMap<String, (usize, Wanted)>,
    seen: BTreeMap<String, usize>,
}

impl Gathered {
    fn own(&mut self, own: &[CustomPattern], faults: &mut Vec<Fault>) {
        for (index, pattern) in own.iter().enumerate() {
            let CustomPattern { id, anchors, pattern } = pattern;
            if catalogue().get(id).is_some() {
                let problem = format!("{id:?} is the name of a shipped pattern");
                faults.push(Fault { place: format!("patterns[{index}].id"), problem });
            }
            let wanted =
                Wanted::Custom { id: id.clone(), anchors: anchors.clone(), regex: pattern.clone() };
            // It has to be good even if no rule uses it.
            if let Err(found) = Scanner::new(std::slice::from_ref(&wanted)) {
                let problem = |fault: crate::scan::Fault| fault.kind.to_string();
                faults.extend(found.into_iter().map(|fault| Fault {
                    place: format!("patterns[{index}]"),
                    problem: problem(fault),
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
        let shipped = catalogue().precise().map(|pattern| pattern.id.as_str());
        let shipped: Vec<&str> = shipped.filter(|id| meant(id)).collect();
        for id in shipped {
            let wanted = Wanted::Shipped(id.to_owned());
            self.want(id.to_owned(), wanted, format!("secrets[{index}]"), Section::Secrets(index));
        }
        let own: Vec<(String, usize, Wanted)> = self
            .own
            .iter()
            .filter(|(id, _)| meant(id))
            .map(|(id, (place, wanted))| (id.clone(), *place, wanted.clone()))
            .collect();
        for (id, place, wanted) in own {
            self.want(id, wanted, format!("patterns[{place}]"), Section::Secrets(index));
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

    fn words(&mut self, index: usize, list: &Blocklist) {
        for (position, word) in list.words.iter().enumerate() {
            let wanted = Wanted::Word { text: word.clone(), case: false, part: false };
            let place = format!("blocklists[{index}].words[{position}]");
            // The row names it by its number: the word itself may be what must not be seen.
            let name = format!("word {}", position.saturating_add(1));
            self.names.push(place);
            self.list.push((wanted, (name, vec![Section::Blocklists(index)])));
        }
    }

    /// A pattern that several rules want is looked for once.
    fn want(&mut self, id: String, wanted: Wanted, place: String, section: Section) {
        let known = self.seen.get(&id).and_then(|at| self.list.get_mut(*at));
        if let Some((_, (_, rules))) = known {
            if !rules.contains(&section) {
                rules.push(section);
            }
            return;
        }
        self.seen.insert(id.clone(), self.list.len());
        self.names.push(place);
        self.list.push((wanted, (id, vec![section])));
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
        let concerned = |section: &Section| {
            self.terms(*section).is_some_and(|terms| concerns(terms.who, terms.unless, subject))
        };
        let secrets = (0..self.secrets.len()).map(Section::Secrets);
        let rules = secrets.chain((0..self.blocklists.len()).map(Section::Blocklists));
        let rules: Vec<Section> = rules.filter(concerned).collect();
        if rules.is_empty() {
            return Scanned::default();
        }
        let hits = scan(&watch.scanner);
        let mut scanned = Scanned { cut: hits.cut, ..Scanned::default() };
        let mut gravest = None;
        for hit in hits.list {
            let Some((what, wanting)) = watch.wanted.get(hit.wanted) else { continue };
            for section in wanting.iter().filter(|section| rules.contains(section)) {
                let Some(terms) = self.terms(*section) else { continue };
                let found = Found {
                    rule_id: terms.id,
                    action: terms.action,
                    severity: terms.severity,
                    what,
                    place: hit.place.clone(),
                    digest: hit.digest.clone(),
                };
                self.count(&mut scanned, &mut gravest, subject, &terms, found);
            }
        }

        scanned
    }

    /// Enters a find.
    fn count<'a>(
        &'a self,
        scanned: &mut Scanned<'a>,
        gravest: &mut Option<Severity>,
        subject: &Subject<'_>,
        terms: &Terms<'a>,
        mut found: Found<'a>,
    ) {
        scanned.labels.extend(terms.labels.iter().map(String::as_str));
        let glass = self.breaks(subject);
        let passes = glass
            .is_some_and(|glass| glass.passes.iter().any(|those| model::matches(those, terms.id)));
        if found.action == Action::Deny && passes {
            scanned.passed.insert(terms.id);
            found.action = Action::Flag;
        }
        if found.action == Action::Deny && gravest.is_none_or(|before| before < found.severity) {
            *gravest = Some(found.severity);
            scanned.denial = Some(Denial {
                why: terms.why,
                rule_id: Some(terms.id),
                say: terms.say,
                place: found.place.clone(),
            });
        }
        if scanned.found.len() < MOST_FOUND {
            scanned.found.push(found);
            return;
        }
        scanned.cut = true;
        // What it is refused for is among what is told.
        let told = scanned.found.iter().any(|other| other.action == Action::Deny);
        if found.action == Action::Deny && !told {
            scanned.found.pop();
            scanned.found.push(found);
        }
    }

    fn terms(&self, section: Section) -> Option<Terms<'_>> {
        match section {
            Section::Secrets(index) => self.secrets.get(index).map(|rule| Terms {
                id: &rule.id,
                who: &rule.who,
                unless: rule.unless.as_ref(),
                action: rule.action,
                severity: rule.severity,
                labels: &rule.labels,
                say: rule.say.as_deref(),
                why: Why::Secret,
            }),
            Section::Blocklists(index) => self.blocklists.get(index).map(|list| Terms {
                id: &list.id,
                who: &list.who,
                unless: list.unless.as_ref(),
                action: list.action,
                severity: list.severity,
                labels: &list.labels,
                say: list.say.as_deref(),
                why: Why::Word,
            }),
        }
    }
}
