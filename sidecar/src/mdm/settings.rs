//! The file of settings: named profiles, which inherit, with what each client is given.

use super::keys::{self, Table};
use super::value::{self, Said};
use super::{security, together};
use crate::args::mdm::Product;
use crate::failure::Failure;
use crate::policy::compile::slips;
use crate::policy::shape::{Member, Shape, may, must};
use crate::policy::walk::{Found, walk};
use crate::policy::yaml::{self, At, Key as Name, Kind, Node};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What stands first in the file.
pub const SCHEMA: &str = "tollgate.mdm/v1";

/// The whole file.
pub const SETTINGS: &[Member] = &[
    must("schema", Shape::Text, "always tollgate.mdm/v1"),
    must("organization", Shape::Text, "who gives the profiles, as people read it on their machine"),
    must(
        "identifier",
        Shape::Text,
        "what identifiers of profiles begin with: com.example.tollgate",
    ),
    must("profiles", Shape::Table(&Shape::Struct(PROFILE)), "the profiles, by name"),
];

/// A profile.
pub const PROFILE: &[Member] = &[
    may("about", Shape::Text, "for whom it is"),
    may("extends", Shape::Text, "the profile whose keys count where this one has none"),
    may("template", Shape::Truth, "only there to be extended?"),
    may("claude_desktop", Shape::Data, "keys of Claude Desktop"),
    may("claude_code", Shape::Data, "managed settings of Claude Code"),
    may("unchecked", Shape::Struct(UNCHECKED), "keys that this version does not know yet"),
];

/// Keys that are taken as they are.
pub const UNCHECKED: &[Member] = &[
    may("claude_desktop", Shape::Data, "keys of Claude Desktop"),
    may("claude_code", Shape::Data, "managed settings of Claude Code"),
];

/// What each client is given.
pub type Keys = Map<String, Value>;

/// A file without faults.
#[derive(Debug, Default)]
pub struct Settings {
    /// Who gives the profiles.
    pub organization: String,
    /// What identifiers begin with.
    pub identifier: String,
    /// In the order of the file.
    pub profiles: Vec<Profile>,
    /// What is hardly meant so.
    pub warnings: Vec<Found>,
}

/// A profile with all that it inherits.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// For whom it is.
    pub about: Option<String>,
    /// Only there to be extended.
    pub template: bool,
    /// Keys of Claude Desktop.
    pub desktop: Keys,
    /// Managed settings of Claude Code.
    pub code: Keys,
}

impl Profile {
    /// What a client is given.
    pub fn of(&self, product: Product) -> &Keys {
        match product {
            Product::Desktop => &self.desktop,
            Product::Code => &self.code,
        }
    }
}

impl Settings {
    /// Those that are given to somebody.
    pub fn given(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.iter().filter(|profile| !profile.template)
    }
}

/// A key as the file has it; without a value where it takes an inherited one away.
type Own = BTreeMap<String, (At, Option<Value>)>;

/// A profile as the file has it.
#[derive(Default)]
struct Written {
    name: String,
    at: At,
    about: Option<String>,
    extends: Option<(String, At)>,
    template: bool,
    own: [Own; 2],
}

const PRODUCTS: [(Product, &str); 2] =
    [(Product::Desktop, "claude_desktop"), (Product::Code, "claude_code")];

/// What a file says; or every fault.
pub type Outcome = Result<Settings, Vec<Found>>;

/// Reads a file.
///
/// # Errors
/// [`Failure`], if there is no table of keys; the faults of the file stand in the [`Outcome`].
pub fn parse(text: &str) -> Result<Outcome, Failure> {
    let tables = [keys::of(Product::Desktop)?, keys::of(Product::Code)?];
    let root = match yaml::parse(text) {
        Ok(root) => root,
        Err(found) => return Ok(Err(slips(found))),
    };
    let walked = walk(&root, SETTINGS);
    let mut said = Said { faults: walked.found.clone(), warnings: Vec::new() };
    let outer = |name: &str| {
        let text = walked.value.get(name).and_then(Value::as_str);
        (text.unwrap_or_default().to_owned(), walked.at(name))
    };
    let (schema, at) = outer("schema");
    if schema != SCHEMA && !walked.is_faulty("schema") {
        said.fault(at, "schema", format!("is {schema:?}, and {SCHEMA} belongs here"));
    }
    let (identifier, at) = outer("identifier");
    if !is_identifier(&identifier) && !walked.is_faulty("identifier") {
        let problem =
            format!("is {identifier:?}, and a name like com.example.tollgate belongs here");
        said.fault(at, "identifier", problem);
    }
    let (organization, _) = outer("organization");
    let written: Vec<Written> = pairs(member(&root, "profiles"))
        .iter()
        .map(|(name, node)| profile(name, node, tables, &mut said))
        .collect();
    if written.is_empty() && !walked.is_faulty("profiles") {
        said.fault(walked.at("profiles"), "profiles", "is empty: there is no profile");
    }
    let profiles = resolved(&written, tables, &mut said);
    let sort = |found: &mut Vec<Found>| found.sort_by_key(|one| (one.at, one.place.clone()));
    sort(&mut said.faults);
    sort(&mut said.warnings);
    if !said.faults.is_empty() {
        return Ok(Err(said.faults));
    }

    Ok(Ok(Settings { organization, identifier, profiles, warnings: said.warnings }))
}

/// A reversed domain name, as identifiers of profiles begin with.
fn is_identifier(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };

    text.contains('.') && text.len() <= 100 && text.split('.').all(part)
}

fn is_name(text: &str) -> bool {
    let sign = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');

    text.len() <= 64
        && text.bytes().all(sign)
        && text.starts_with(|sign: char| sign.is_ascii_alphanumeric())
}

fn pairs(node: Option<&Node>) -> &[(Name, Node)] {
    match node.map(|node| &node.kind) {
        Some(Kind::Map(pairs)) => pairs,
        _ => &[],
    }
}

fn member<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    pairs(Some(node)).iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
}

/// One profile by itself.
fn profile(name: &Name, node: &Node, tables: [&'static Table; 2], said: &mut Said) -> Written {
    let place = format!("profiles.{}", name.text);
    if !is_name(&name.text) {
        let problem = "is no name for a file: letters, digits, - and _ belong in it";
        said.fault(name.at, &place, problem);
    }
    let text = |member_name: &str| match member(node, member_name).map(|node| (&node.kind, node.at))
    {
        Some((Kind::Scalar { text, .. }, at)) => Some((text.clone(), at)),
        _ => None,
    };
    let mut written = Written {
        name: name.text.clone(),
        at: name.at,
        about: text("about").map(|(about, _)| about),
        extends: text("extends"),
        template: text("template").is_some_and(|(word, _)| word.eq_ignore_ascii_case("true")),
        own: Default::default(),
    };
    for ((product, section), (own, table)) in
        PRODUCTS.iter().zip(written.own.iter_mut().zip(tables))
    {
        let place = format!("{place}.{section}");
        if let Some(node) = member(node, section) {
            checked(node, table, &place, own, said);
        }
        let unchecked = member(node, "unchecked").and_then(|node| member(node, section));
        if let Some(node) = unchecked {
            let place = format!("profiles.{}.unchecked.{section}", name.text);
            taken(node, (table, *product), &place, own, said);
        }
    }

    written
}

fn is_mapping(node: &Node, place: &str, said: &mut Said) -> bool {
    let is = matches!(&node.kind, Kind::Map(_));
    if !is {
        let problem = format!("is {}, and KEY: VALUE belongs here", node.kind.name());
        said.fault(node.at, place, problem);
    }

    is
}

/// Keys of the table.
fn checked(node: &Node, table: &Table, place: &str, own: &mut Own, said: &mut Said) {
    if !is_mapping(node, place, said) {
        return;
    }
    for (name, node) in pairs(Some(node)) {
        let place = format!("{place}.{}", name.text);
        let Some(key) = table.key(&name.text) else {
            said.fault(name.at, &place, unknown(&name.text, table));
            continue;
        };
        if let Kind::Scalar { text, plain } = &node.kind
            && yaml::typed(text, *plain) == yaml::Type::Null
        {
            own.insert(name.text.clone(), (name.at, None));
            continue;
        }
        if let Some(why) = &key.deprecated {
            said.warn(name.at, &place, format!("is deprecated: {why}"));
        }
        if let Some(value) = value::read(node, key, &place, said) {
            if let Some(problem) = security::loose(key, &value) {
                said.warn(name.at, &place, problem);
            }
            own.insert(name.text.clone(), (name.at, Some(value)));
        } else {
            // It stands there all the same: that others need it is no further fault.
            own.insert(name.text.clone(), (name.at, Some(Value::Null)));
        }
    }
}

fn unknown(name: &str, table: &Table) -> String {
    if let Some(key) = table.was(name) {
        return format!("is no longer read: write {}", key.name);
    }
    if name.contains('.') {
        return "has a dot, and such keys are never read: write the members as a mapping"
            .to_owned();
    }
    let near = value::like(name, table.keys.iter().map(|key| key.name.as_str()));

    format!(
        "is no key of the table of {}{near} A newer one goes under `unchecked`.",
        if near.is_empty() { format!("{}.", table.as_of) } else { table.as_of.clone() }
    )
}

/// Keys that the table does not have.
fn taken(
    node: &Node,
    (table, product): (&Table, Product),
    place: &str,
    own: &mut Own,
    said: &mut Said,
) {
    if !is_mapping(node, place, said) {
        return;
    }
    for (name, node) in pairs(Some(node)) {
        let place = format!("{place}.{}", name.text);
        let odd = |sign: char| !sign.is_ascii_alphanumeric() && sign != '_';
        if table.key(&name.text).is_some() {
            said.fault(name.at, &place, "is a key of the table: it stands where it is checked");
            continue;
        }
        if name.text.is_empty() || (product == Product::Desktop && name.text.contains(odd)) {
            said.fault(name.at, &place, "is no name of a key: letters and digits belong in it");
            continue;
        }
        let value = value::any(node, &place, said);
        said.warn(name.at, &place, "is not checked: the table does not have it");
        if keys::is_secret(&name.text) {
            said.warn(name.at, &place, "looks like a secret, and stands in this file");
        }
        own.insert(name.text.clone(), (name.at, Some(value)));
    }
}

/// Each profile with what it inherits, and whether it holds together.
fn resolved(written: &[Written], tables: [&'static Table; 2], said: &mut Said) -> Vec<Profile> {
    let mut profiles = Vec::new();
    for one in written {
        let Some(chain) = chain(one, written, said) else { continue };
        let mut keys: [BTreeMap<String, (At, Value)>; 2] = Default::default();
        for link in chain.iter().rev() {
            for (of, own) in keys.iter_mut().zip(&link.own) {
                for (name, (at, value)) in own {
                    match value {
                        Some(value) => of.insert(name.clone(), (*at, value.clone())),
                        None => of.remove(name),
                    };
                }
            }
        }
        for ((_, section), (of, table)) in PRODUCTS.iter().zip(keys.iter().zip(tables)) {
            if !one.template && !of.is_empty() {
                let place = format!("profiles.{}.{section}", one.name);
                together::check(of, table, (one.at, &place), said);
            }
        }
        let [desktop, code] =
            keys.map(|of| of.into_iter().map(|(name, (_, value))| (name, value)).collect());
        profiles.push(Profile {
            name: one.name.clone(),
            about: one.about.clone(),
            template: one.template,
            desktop,
            code,
        });
    }

    profiles
}

/// A profile and all that it extends, itself first.
fn chain<'w>(one: &'w Written, all: &'w [Written], said: &mut Said) -> Option<Vec<&'w Written>> {
    let mut chain = vec![one];
    let mut seen = BTreeSet::from([one.name.as_str()]);
    let mut link = one;
    while let Some((parent, at)) = &link.extends {
        let place = format!("profiles.{}.extends", link.name);
        let Some(next) = all.iter().find(|other| other.name == *parent) else {
            if std::ptr::eq(link, one) {
                let near = value::like(parent, all.iter().map(|other| other.name.as_str()));
                said.fault(
                    *at,
                    &place,
                    format!("is {parent:?}, and there is no such profile{near}"),
                );
            }
            return None;
        };
        if !seen.insert(&next.name) {
            if next.name == one.name {
                said.fault(*at, &place, "extends itself, by this or by others");
            }
            return None;
        }
        chain.push(next);
        link = next;
    }

    Some(chain)
}
