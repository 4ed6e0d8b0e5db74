//! `tollgate mdm diff`: in what two profiles differ, whatever format they are in.

use super::keys::{self, Table};
use super::security::{self, Effect};
use super::settings::{self, Keys};
use super::{apple, bytes, chosen, registry, text};
use crate::args::mdm::Product;
use crate::failure::Failure;
use crate::policy::compile::{self, SourceError};
use crate::screen::Screen;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A key that is not the same.
#[derive(Debug)]
pub struct Change {
    /// Of which client.
    pub product: Product,
    /// Which.
    pub key: String,
    /// What it was.
    pub before: Option<Value>,
    /// What it is.
    pub after: Option<Value>,
    /// What that does.
    pub effect: Effect,
}

/// Runs it.
///
/// # Errors
/// [`Failure::Answered`], if they differ.
pub fn run(before: &Path, after: &Path, screen: &mut Screen) -> Result<(), Failure> {
    let tables = [keys::of(Product::Desktop)?, keys::of(Product::Code)?];
    let (one, other) = (side(before, tables, screen)?, side(after, tables, screen)?);
    let changes = changes(&one, &other, tables);
    let mut rows = Vec::new();
    for change in &changes {
        let table = table(change.product, tables);
        let shown =
            |value: &Option<Value>| value.as_ref().map(|value| hidden(value, &change.key, table));
        let (before, after) = (shown(&change.before), shown(&change.after));
        let client = client(change.product);
        if screen.json() {
            screen.object(&json!({
                "client": client, "key": change.key, "before": before, "after": after,
                "effect": change.effect, "loosens": change.effect == Effect::Loosens,
            }))?;
        }
        let cell = |value: Option<Value>| {
            value.map_or_else(|| "-".to_owned(), |value| text::encode(&value))
        };
        let effect = change.effect.as_str().to_owned();
        rows.push(vec![effect, client.to_owned(), change.key.clone(), cell(before), cell(after)]);
    }
    if !screen.json() && !rows.is_empty() {
        screen.table(&["EFFECT", "CLIENT", "KEY", "BEFORE", "AFTER"], &rows)?;
    }
    let loosen = changes.iter().filter(|change| change.effect == Effect::Loosens).count();
    if changes.is_empty() {
        screen.say("The same.");
        return Ok(());
    }
    screen.say(&format!("{} keys differ, {loosen} of them loosen.", changes.len()));

    Err(Failure::Answered)
}

fn client(product: Product) -> &'static str {
    match product {
        Product::Desktop => "desktop",
        Product::Code => "code",
    }
}

fn table(product: Product, [desktop, code]: [&'static Table; 2]) -> &'static Table {
    match product {
        Product::Desktop => desktop,
        Product::Code => code,
    }
}

type Side = Vec<(Product, Keys)>;

/// `FILE`, or `FILE:PROFILE`.
fn side(said: &Path, tables: [&'static Table; 2], screen: &mut Screen) -> Result<Side, Failure> {
    let words = said.to_string_lossy();
    let split = words.rsplit_once(':').filter(|_| !said.exists());
    let (path, profile) = match split {
        Some((file, profile)) => (PathBuf::from(file), Some(profile)),
        None => (said.to_owned(), None),
    };
    let bytes = bytes(&path, screen)?;
    if let Some(read) = exported(&bytes, tables) {
        return read.map_err(|why| Failure::Refused(format!("{}: {why}", path.display())));
    }
    let text = compile::utf8(&path, bytes)?;
    let settings = settings::parse(&text)?
        .map_err(|found| Failure::from(SourceError::Faults { path: path.clone(), found }))?;
    let profile = chosen(&settings, profile)?;

    Ok(vec![(Product::Desktop, profile.desktop.clone()), (Product::Code, profile.code.clone())])
}

/// What was exported, if it is that.
fn exported(bytes: &[u8], tables: [&'static Table; 2]) -> Option<Result<Side, String>> {
    let begins = |with: &[u8]| bytes.trim_ascii_start().starts_with(with);
    if begins(b"<?xml") || begins(b"bplist") || begins(b"<plist") {
        return Some(apple::read(bytes, tables));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || begins(b"Windows Registry") || begins(b"REGEDIT4") {
        return Some(registry::read(bytes, tables));
    }
    let keys: Keys = serde_json::from_slice(bytes).ok()?;
    if keys.get("schema").and_then(Value::as_str) == Some(settings::SCHEMA) {
        return None;
    }
    let product = whose(&keys, tables);

    Some(Ok(vec![(product, keys)]))
}

/// For whom keys are that do not say it.
pub fn whose(keys: &Keys, [desktop, code]: [&Table; 2]) -> Product {
    let known = |table: &Table| keys.keys().filter(|name| table.key(name).is_some()).count();

    if known(code) > known(desktop) { Product::Code } else { Product::Desktop }
}

/// In the order of clients and names. What only one side speaks of at all is not compared.
fn changes(one: &Side, other: &Side, tables: [&'static Table; 2]) -> Vec<Change> {
    let mut changes = Vec::new();
    for (product, before) in one {
        let Some((_, after)) = other.iter().find(|(other, _)| other == product) else { continue };
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for key in names {
            let (before, after) = (before.get(key), after.get(key));
            if before == after {
                continue;
            }
            changes.push(Change {
                product: *product,
                key: key.clone(),
                before: before.cloned(),
                after: after.cloned(),
                effect: security::effect(table(*product, tables), key, before, after),
            });
        }
    }

    changes
}

/// Without its secrets.
pub fn hidden(value: &Value, name: &str, table: &Table) -> Value {
    if keys::is_secret(name) || table.key(name).is_some_and(|key| key.secret) {
        return "(secret)".into();
    }
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), hidden(value, name, table))).collect()
        }
        Value::Array(values) => values.iter().map(|value| hidden(value, name, table)).collect(),
        other => other.clone(),
    }
}
