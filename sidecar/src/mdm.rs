//! `tollgate mdm`: what device management gives to clients.
//!
//! One file of settings ([`settings`]), checked against dated tables of every key ([`keys`], [`value`], [`together`],
//! [`security`]), is written as each platform wants it ([`apple`], [`registry`], [`admx`], [`intune`], [`text`]),
//! compared ([`diff`]), and asked which hosts it makes clients reach ([`egress`], [`reach`]).

pub mod admx;
pub mod apple;
pub mod diff;
pub mod egress;
pub mod export;
pub mod format;
pub mod intune;
pub mod keys;
pub mod reach;
pub mod registry;
pub mod security;
pub mod settings;
pub mod text;
pub mod together;
pub mod value;

use self::settings::{Keys, Profile, Settings};
use crate::args::mdm::{MdmCommand, Product};
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::policy::compile::{self, SourceError};
use crate::policy::walk::Found;
use crate::screen::{STDIN, Screen};
use crate::settings::Data;
use serde_json::{Value, json};
use std::path::Path;

/// What is written: the keys of one client, of one profile.
#[derive(Debug, Clone, Copy)]
pub struct Exported<'s> {
    /// For which client.
    pub product: Product,
    /// Its keys.
    pub keys: &'s Keys,
    /// The profile they are of.
    pub profile: &'s Profile,
    /// The file it stands in.
    pub settings: &'s Settings,
}

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &MdmCommand,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        MdmCommand::Check { file } => check(file, screen),
        MdmCommand::Export(wanted) => export::run(wanted, data, screen).await,
        MdmCommand::Diff { before, after } => diff::run(before, after, screen),
        MdmCommand::Egress(wanted) => egress::run(wanted, operator, screen).await,
        MdmCommand::Keys { product } => list(*product, screen),
    }
}

fn bytes(file: &Path, screen: &mut Screen) -> Result<Vec<u8>, Failure> {
    if file.as_os_str() == STDIN {
        return Ok(screen.stdin()?);
    }
    let read = std::fs::read(file);

    read.map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Failure::NotFound(format!("no file {}", file.display())),
        _ => crate::settings::FileError::Read { path: file.to_owned(), source }.into(),
    })
}

/// Reads a file of settings; faults end the command.
fn given(file: &Path, screen: &mut Screen) -> Result<Settings, Failure> {
    let text = compile::utf8(file, bytes(file, screen)?)?;

    settings::parse(&text)?
        .map_err(|found| SourceError::Faults { path: file.to_owned(), found }.into())
}

/// The one profile that is meant.
fn chosen<'s>(settings: &'s Settings, name: Option<&str>) -> Result<&'s Profile, Failure> {
    let names: Vec<&str> = settings.given().map(|profile| profile.name.as_str()).collect();
    let names = names.join(", ");
    if let Some(name) = name {
        let Some(profile) = settings.profiles.iter().find(|profile| profile.name == name) else {
            return Err(Failure::NotFound(format!("no profile {name:?}; there are: {names}")));
        };
        if profile.template {
            return Err(Failure::Refused(format!(
                "profile {name:?} is a template, only there to be extended; there are: {names}"
            )));
        }
        return Ok(profile);
    }
    let mut given = settings.given();
    match (given.next(), given.next()) {
        (Some(profile), None) => Ok(profile),
        (None, _) => Err(Failure::Refused("there are templates only, and no profile".to_owned())),
        _ => Err(Failure::Refused(format!("which profile? Say --profile, one of {names}"))),
    }
}

fn check(file: &Path, screen: &mut Screen) -> Result<(), Failure> {
    let text = compile::utf8(file, bytes(file, screen)?);
    let outcome = match text {
        Ok(text) => settings::parse(&text)?,
        Err(SourceError::Faults { found, .. }) => Err(found),
        Err(error) => return Err(error.into()),
    };
    let (settings, faults) = match outcome {
        Ok(settings) => (settings, Vec::new()),
        Err(faults) => (Settings::default(), faults),
    };
    if screen.json() {
        let profile = |profile: &Profile| {
            json!({
                "name": profile.name, "template": profile.template,
                "claude_desktop": profile.desktop.len(), "claude_code": profile.code.len(),
            })
        };
        let each = |found: &[Found]| found.iter().map(object).collect::<Vec<_>>();
        screen.object(&json!({
            "file": file.display().to_string(), "faults": each(&faults),
            "warnings": each(&settings.warnings),
            "profiles": settings.profiles.iter().map(profile).collect::<Vec<_>>(),
            "as_of": keys::of(Product::Desktop)?.as_of,
        }))?;
    } else {
        let both = if faults.is_empty() { &settings.warnings } else { &faults };
        if !both.is_empty() {
            screen.say(&compile::listed(file, both));
        }
        screen.say(&told(&settings, &faults)?);
    }

    if faults.is_empty() { Ok(()) } else { Err(Failure::Answered) }
}

fn told(settings: &Settings, faults: &[Found]) -> Result<String, Failure> {
    if !faults.is_empty() {
        return Ok(format!("{}.", counted(faults.len(), "fault")));
    }

    Ok(format!(
        "No faults, {}; {}. Keys as documented on {}.",
        counted(settings.warnings.len(), "warning"),
        counted(settings.profiles.len(), "profile"),
        keys::of(Product::Desktop)?.as_of
    ))
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn object(found: &Found) -> Value {
    json!({ "line": found.at.line, "column": found.at.column, "place": found.place,
        "problem": found.problem })
}

fn list(product: Product, screen: &mut Screen) -> Result<(), Failure> {
    let table = keys::of(product)?;
    let mut rows = Vec::new();
    for key in &table.keys {
        let kind = match key.values.as_slice() {
            [] => format!("{:?}", key.kind).to_lowercase(),
            values => values.join("|"),
        };
        let default = key.default.as_ref().map(text::encode).unwrap_or_default();
        if screen.json() {
            screen.object(&json!({
                "key": key.name, "section": key.section, "type": kind, "default": key.default,
                "set": key.set.as_str(), "about": key.about, "secret": key.secret,
                "as_of": table.as_of,
            }))?;
        }
        let set = key.set.as_str().to_owned();
        rows.push(vec![
            key.section.clone(),
            key.name.clone(),
            kind,
            default,
            set,
            key.about.clone(),
        ]);
    }
    if screen.json() {
        return Ok(());
    }
    screen.table(&["SECTION", "KEY", "TYPE", "DEFAULT", "SET BY", "WHAT IT DOES"], &rows)?;
    let count = table.keys.len();
    screen.say(&format!(
        "{count} keys, as documented on {}: {}",
        table.as_of,
        table.source.join(" ")
    ));

    Ok(())
}

#[cfg(test)]
mod tests;
