//! `tollgate policy`.

pub(crate) mod ask;
mod past;
mod sign;

use super::compile::{self, Compiled, SourceError};
use super::walk::Found;
use super::{Published, history};
use crate::args::PolicyCommand;
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::screen::{STDIN, Screen};
use crate::settings::{Data, FileError};
use crate::store::Store;
use contract::policy::Document;
use contract::scan::catalogue;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &PolicyCommand,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        PolicyCommand::Check { files } => check(files, screen),
        PolicyCommand::Test { file, cases } => ask::test(file, cases.as_deref(), screen),
        PolicyCommand::Explain(asked) => ask::explain(asked, data, screen).await,
        PolicyCommand::Diff { from, to } => {
            ask::diff((from, to.as_deref()), operator, data, screen).await
        }
        PolicyCommand::Sign(wanted) => sign::sign(wanted, data, screen).await,
        PolicyCommand::Publish { file, change } => {
            past::publish(file, change, (operator, data), screen).await
        }
        PolicyCommand::History { limit } => past::list(*limit, data, screen).await,
        PolicyCommand::Rollback { version, previous: _, change } => {
            past::rollback(version.as_deref(), change, (operator, data), screen).await
        }
        PolicyCommand::Show { version } => show(version.as_deref(), data, screen).await,
        PolicyCommand::Patterns => patterns(screen),
    }
}

fn check(files: &[PathBuf], screen: &mut Screen) -> Result<(), Failure> {
    let mut good = true;
    for file in files {
        match given(file, screen) {
            Ok(compiled) => passed(file, &compiled, files.len() > 1, screen)?,
            Err(SourceError::Faults { path, found }) => {
                good = false;
                if screen.json() {
                    screen.object(&report(&path, None, &found, &[]))?;
                } else {
                    screen.say(&compile::listed(&path, &found));
                    screen.say(&counted(found.len(), "fault"));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }

    if good { Ok(()) } else { Err(Failure::Answered) }
}

/// A policy as it is written: a file, or `-` for standard input.
fn given(file: &Path, screen: &mut Screen) -> Result<Compiled, SourceError> {
    if file.as_os_str() != STDIN {
        return compile::file(file);
    }
    let bytes =
        screen.stdin().map_err(|source| FileError::Read { path: file.to_owned(), source })?;

    compile::bytes(file, bytes)
}

fn passed(
    file: &Path,
    compiled: &Compiled,
    many: bool,
    screen: &mut Screen,
) -> Result<(), Failure> {
    if screen.json() {
        return screen.object(&report(file, Some(&compiled.version), &[], &compiled.warnings));
    }
    warn(file, compiled, screen);
    if many {
        return screen.print(&format!("{}  {}\n", compiled.version, file.display()));
    }
    screen.say("No faults.");

    screen.print(&format!("{}\n", compiled.version))
}

/// Says what is no fault, and not meant so.
fn warn(file: &Path, compiled: &Compiled, screen: &mut Screen) {
    if !compiled.warnings.is_empty() {
        screen.say(&compile::listed(file, &compiled.warnings));
        screen.say(&counted(compiled.warnings.len(), "warning"));
    }
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}.") } else { format!("{number} {what}s.") }
}

fn report(file: &Path, version: Option<&str>, faults: &[Found], warnings: &[Found]) -> Value {
    let each = |list: &[Found]| -> Vec<Value> {
        list.iter()
            .map(|found| {
                json!({ "file": file.display().to_string(), "line": found.at.line,
                    "column": found.at.column, "place": found.place, "problem": found.problem })
            })
            .collect()
    };

    json!({ "file": file.display().to_string(), "version": version, "faults": each(faults),
        "warnings": each(warnings) })
}

async fn show(version: Option<&str>, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    let published = match version {
        Some(version) => {
            let store = Store::open(data).await?;
            history::again(data, history::find(&store, version).await?)?
        }
        None => history::in_force(data).await?,
    };
    if screen.json() {
        let policy: Value = serde_json::from_slice(&published.payload)?;
        let mut shown = summary(&published);
        if let Some(object) = shown.as_object_mut() {
            object.insert("policy".into(), policy);
        }
        return screen.object(&shown);
    }
    let policy: Document = serde_json::from_slice(&published.payload)?;
    let prices = policy.rates.map_or_else(
        || "the list's".to_owned(),
        |sheet| format!("negotiated as of {}, then the list's", sheet.as_of),
    );
    let sections = [
        ("tools", policy.tools.len()),
        ("servers", policy.servers.len()),
        ("secrets", policy.secrets.len()),
        ("blocklists", policy.blocklists.len()),
    ];
    let others: Vec<String> =
        sections.iter().map(|(name, count)| format!("{name} {count}")).collect();
    screen.print(&format!(
        "version  {}\nname     {}\nsigned   {}\nprices   {prices}\nbeside   {}\n\n",
        published.version,
        published.name,
        published.key_id,
        others.join(", ")
    ))?;
    let everyone = |names: &[String]| if names.is_empty() { "all".into() } else { names.join(" ") };
    let rows: Vec<Vec<String>> = policy
        .rules
        .iter()
        .map(|rule| {
            vec![
                rule.id.clone(),
                everyone(&rule.who.tenants),
                everyone(&rule.who.groups),
                word(Some(rule.effect)),
                rule.models.join(" "),
                word(rule.content),
                word(rule.audit),
            ]
        })
        .collect();

    screen.table(&["RULE", "TENANTS", "GROUPS", "EFFECT", "MODELS", "CONTENT", "AUDIT"], &rows)
}

/// What a rule says, in its own word; nothing where it says nothing.
fn word(said: Option<impl serde::Serialize>) -> String {
    let value = said.and_then(|said| serde_json::to_value(said).ok());

    value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn summary(published: &Published) -> Value {
    json!({
        "version": published.version, "name": published.name, "key_id": published.key_id,
    })
}

/// The shipped patterns that a rule over secrets may name.
fn patterns(screen: &mut Screen) -> Result<(), Failure> {
    let shipped = catalogue();
    if screen.json() {
        for pattern in shipped.precise() {
            let severity = format!("{:?}", pattern.severity).to_lowercase();
            let (id, provider) = (&pattern.id, &pattern.provider);
            screen.object(&json!({ "id": id, "provider": provider, "severity": severity }))?;
        }
        return Ok(());
    }
    screen.say(&format!("As of {}. {}.", shipped.as_of, shipped.source));
    let rows: Vec<Vec<String>> = shipped
        .precise()
        .map(|pattern| {
            let severity = format!("{:?}", pattern.severity).to_lowercase();
            vec![pattern.id.clone(), pattern.provider.clone(), severity, pattern.form.join(" or ")]
        })
        .collect();

    screen.table(&["PATTERN", "PROVIDER", "SEVERITY", "FORM"], &rows)
}
