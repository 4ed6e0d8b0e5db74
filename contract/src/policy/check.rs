//! A document → a [`Policy`], or every fault of it.

use super::document::{
    Blocklist, BreakGlass, Document, Effect, Offered, Rule, SCHEMA, SecretRule, ServerRule,
    ToolRule,
};
use super::memo::Memo;
use super::scan::{FindRule, Watch};
use super::tools::Words;
use super::{Fault, Policy, Tools, mcp, residency, servers, sign_in};
use crate::model;
use crate::price::{RateCard, Sheet};
use std::collections::{BTreeMap, BTreeSet};

/// Longest id of a rule, and longest label: they travel in headers.
const LONGEST_ID: usize = 64;

/// Most bytes of all labels together: one call may have them all.
const LONGEST_LABELS: usize = 1024;

/// Longest sentence for the person, in bytes.
const LONGEST_SENTENCE: usize = 300;

/// Collects faults.
#[derive(Default)]
pub(super) struct Faults {
    list: Vec<Fault>,
    /// Of rules, and may they deny?
    ids: BTreeMap<String, bool>,
    labels: BTreeSet<String>,
}

impl Faults {
    pub(super) fn add(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.list.push(Fault { place: place.into(), problem: problem.into() });
    }

    /// What every rule has.
    pub(super) fn rule(&mut self, place: &str, id: &str, denies: bool) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
        if id.is_empty() {
            self.add(format!("{place}.id"), "is empty: a row could not name it");
        } else if id.len() > LONGEST_ID || !id.bytes().all(plain) {
            self.add(
                format!("{place}.id"),
                format!("{id:?} must be up to {LONGEST_ID} letters, digits and - _ . / :"),
            );
        } else if self.ids.insert(id.to_owned(), denies).is_some() {
            self.add(
                format!("{place}.id"),
                format!("{id:?} is used before: a row could not tell the two apart"),
            );
        }
    }

    pub(super) fn words(&mut self, place: &str, labels: &[String], say: Option<&str>) {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        self.labels.extend(labels.iter().cloned());
        for (index, label) in labels.iter().enumerate() {
            if label.is_empty() || label.len() > LONGEST_ID || !label.bytes().all(plain) {
                self.add(
                    format!("{place}.labels[{index}]"),
                    format!("{label:?} travels in a header: lower case, digits and -"),
                );
            }
        }
        if say.is_some_and(|say| {
            say.trim().is_empty() || say.len() > LONGEST_SENTENCE || say.contains(char::is_control)
        }) {
            self.add(
                format!("{place}.say"),
                format!("must be one line of up to {LONGEST_SENTENCE} bytes"),
            );
        }
    }

    pub(super) fn not_empty<T>(&mut self, place: &str, member: &str, list: &[T], so: &str) {
        if list.is_empty() {
            self.add(format!("{place}.{member}"), format!("are empty: {so}"));
        }
    }
}

/// Checks a document.
///
/// # Errors
/// Every fault at once.
pub(super) fn policy(document: Document) -> Result<Policy, Vec<Fault>> {
    let mut faults = Faults::default();
    if document.schema != SCHEMA {
        faults.add("schema", format!("is {:?}, and must be {SCHEMA:?}", document.schema));
    }
    if document.rules.is_empty() {
        faults.add("rules", "are empty: nobody could call anything");
    }
    let rules = each(document.rules, |index, rule| models(&mut faults, index, rule));
    let tools = each(document.tools, |index, rule| tool(&mut faults, index, rule));
    let servers = each(document.servers, |index, rule| server(&mut faults, index, rule));
    let rules_of_sign_in = document.sign_in.iter().enumerate();
    rules_of_sign_in.for_each(|(index, rule)| sign_in::check(&mut faults, index, rule));
    let pins = document.residency.iter().enumerate();
    pins.for_each(|(index, rule)| residency::check(&mut faults, index, rule));
    if let Some(approvals) = &document.approvals {
        mcp::check_approvals(&mut faults, approvals);
    }
    let (secrets, blocklists) = (document.secrets, document.blocklists);
    secrets.iter().enumerate().for_each(|(index, rule)| secret(&mut faults, index, rule));
    blocklists.iter().enumerate().for_each(|(index, list)| words(&mut faults, index, list));
    let watch = Watch::new(&secrets, &blocklists, &document.patterns, &mut faults.list);
    let (offered, names) = offers(&mut faults, document.models);
    if let Some(glass) = &document.break_glass {
        break_glass(&mut faults, glass);
    }
    if document.standing.is_some_and(|terms| terms.max_age_seconds < 10) {
        faults.add("standing.max_age_seconds", "must be 10 at least: news come each second");
    }
    if faults.labels.iter().map(String::len).sum::<usize>() > LONGEST_LABELS {
        faults.add(
            "labels",
            format!("are over {LONGEST_LABELS} bytes in all: they travel in a header"),
        );
    }
    let rates = document.rates.and_then(|sheet| laid_over(&mut faults, sheet));
    if !faults.list.is_empty() {
        return Err(faults.list);
    }

    Ok(Policy {
        name: document.name,
        rules,
        tools,
        served: servers.iter().map(mcp::Served::of).collect(),
        servers,
        sign_in: document.sign_in,
        residency: document.residency,
        approvals: document.approvals,
        finds: finds(secrets, blocklists),
        watch,
        memo: Memo::default(),
        offered,
        names,
        break_glass: document.break_glass,
        standing: document.standing,
        rates,
    })
}

fn finds(secrets: Vec<SecretRule>, blocklists: Vec<Blocklist>) -> Vec<FindRule> {
    secrets.into_iter().map(Into::into).chain(blocklists.into_iter().map(Into::into)).collect()
}

fn each<A, B>(list: Vec<A>, mut check: impl FnMut(usize, A) -> B) -> Vec<B> {
    list.into_iter().enumerate().map(|(index, one)| check(index, one)).collect()
}

/// The rule with its patterns in the form names are compared in.
fn models(faults: &mut Faults, index: usize, mut rule: Rule) -> Rule {
    let place = format!("rules[{index}]");
    let denies = rule.effect == Effect::Deny;
    faults.rule(&place, &rule.id, denies);
    faults.words(&place, &rule.labels, rule.say.as_deref());
    faults.not_empty(&place, "models", &rule.models, "the rule says nothing");
    if denies && (rule.content.is_some() || rule.audit.is_some() || !rule.labels.is_empty()) {
        faults.add(
            format!("{place}.effect"),
            "denies: content, audit and labels are for rules that allow",
        );
    }
    for (position, pattern) in rule.models.iter_mut().enumerate() {
        match model::normalise_pattern(pattern) {
            Ok(normal) => *pattern = normal,
            Err(error) => {
                faults.add(format!("{place}.models[{position}]"), format!("{pattern:?}: {error}"));
            }
        }
    }

    rule
}

fn tool(faults: &mut Faults, index: usize, rule: ToolRule) -> Tools {
    let place = format!("tools[{index}]");
    faults.rule(&place, &rule.id, true);
    faults.words(&place, &rule.labels, rule.say.as_deref());
    if rule.tools.is_empty() {
        faults.add(format!("{place}.tools"), "are empty: the rule says nothing");
    }
    let plain = |name: &String| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:*".contains(&byte);
        !name.is_empty() && name.len() <= 256 && name.bytes().all(fits)
    };
    for name in rule.tools.keys().filter(|name| !plain(name)) {
        faults.add(
            format!("{place}.tools.{name:?}"),
            "no tool has such a name: letters, digits and - _ . / :, and * for any of them",
        );
    }

    mcp::check_arguments(faults, &place, &rule);

    Tools { words: Words::new(&rule.tools), rule }
}

fn server(faults: &mut Faults, index: usize, mut rule: ServerRule) -> ServerRule {
    let place = format!("servers[{index}]");
    faults.rule(&place, &rule.id, false);
    match servers::normalise_pattern(&rule.url) {
        _ if rule.url.is_empty() && rule.gateway.is_some() => {}
        Ok(url) => rule.url = url,
        Err(error) => faults.add(format!("{place}.url"), format!("{:?}: {error}", rule.url)),
    }
    mcp::check(faults, &place, &rule);

    rule
}

fn secret(faults: &mut Faults, index: usize, rule: &SecretRule) {
    let place = format!("secrets[{index}]");
    faults.rule(&place, &rule.id, true);
    faults.words(&place, &rule.labels, rule.say.as_deref());
    faults.not_empty(&place, "patterns", &rule.patterns, "nothing is looked for");
}

fn words(faults: &mut Faults, index: usize, list: &Blocklist) {
    let place = format!("blocklists[{index}]");
    faults.rule(&place, &list.id, true);
    faults.words(&place, &list.labels, list.say.as_deref());
    faults.not_empty(&place, "words", &list.words, "nothing is looked for");
}

/// The models that are offered, and their names where the document lists them.
fn offers(faults: &mut Faults, listed: Vec<Offered>) -> (Vec<Offered>, BTreeSet<String>) {
    let mut names = BTreeSet::new();
    for (index, model) in listed.iter().enumerate() {
        match model::normalise(&model.id) {
            Ok(name) if names.insert(name.clone().into_owned()) => {}
            Ok(_) => faults.add(format!("models[{index}].id"), "is listed before, by another name"),
            Err(error) => {
                faults.add(format!("models[{index}].id"), format!("{:?}: {error}", model.id));
            }
        }
    }
    if !listed.is_empty() {
        return (listed, names);
    }
    match serde_json::from_slice::<Shipped>(include_bytes!("../../data/models.json")) {
        Ok(Shipped { models }) => (models, names),
        Err(error) => {
            faults.add("models", format!("the build's own list cannot be read: {error}"));
            (listed, names)
        }
    }
}

/// The build's list of models.
#[derive(serde::Deserialize)]
struct Shipped {
    models: Vec<Offered>,
}

fn break_glass(faults: &mut Faults, glass: &BreakGlass) {
    faults.not_empty("break_glass", "roles", &glass.roles, "nobody could break it");
    faults.not_empty("break_glass", "passes", &glass.passes, "it would open nothing");
    for (index, those) in glass.passes.iter().enumerate() {
        if !faults.ids.iter().any(|(id, denies)| *denies && model::matches(those, id)) {
            faults.add(
                format!("break_glass.passes[{index}]"),
                format!("no rule that may deny is {those:?}"),
            );
        }
    }
    if glass.keep_days == 0 {
        faults.add("break_glass.keep_days", "must say how long its rows are kept");
    }
}

/// The card in force under a policy with negotiated prices.
fn laid_over(faults: &mut Faults, sheet: Sheet) -> Option<RateCard> {
    let as_of = |error: crate::price::RateError| {
        vec![Fault { place: "as_of".into(), problem: error.to_string() }]
    };
    match RateCard::shipped().map_err(as_of).and_then(|list| list.with(sheet)) {
        Ok(card) => Some(card),
        Err(found) => {
            for Fault { place, problem } in found {
                faults.add(format!("rates.{place}"), problem);
            }
            None
        }
    }
}
