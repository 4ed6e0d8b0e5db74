//! `tollgate manifest`.

use super::compile::{self, Compiled};
use super::publication::{Contents, Envelopes, Publication};
use super::signing::{self, Key};
use super::{ManifestFailure, diff, publish, published};
use crate::args::{
    ManifestBuildArgs, ManifestCheckArgs, ManifestCommand, ManifestKeyArgs, ManifestSignArgs,
};
use crate::failure::Failure;
use crate::operators::operator::Operator;
use crate::policy::command::ask::tell;
use crate::policy::compile::{self as source, SourceError};
use crate::policy::history;
use crate::policy::walk::Found;
use crate::screen::{Screen, shown};
use crate::settings::Data;
use crate::{clock, keys};
use contract::envelope::{Envelope, PinnedKey};
use contract::policy::Policy;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &ManifestCommand,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        ManifestCommand::Published(command) => {
            published::run(command, operator, data, screen).await
        }
        ManifestCommand::Check(wanted) => check(wanted, data, screen).await,
        ManifestCommand::Build(wanted) => build(wanted, data, screen).await,
        ManifestCommand::Sign(wanted) => sign(wanted, data, screen).await,
        ManifestCommand::Diff { from, to } => {
            told(&diff::Side::read(from)?, &diff::Side::read(to)?, screen)
        }
        ManifestCommand::Show { dir } => show(dir, data, screen),
        ManifestCommand::Keys => pins(data, screen),
    }
}

async fn check(
    wanted: &ManifestCheckArgs,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let policy = match &wanted.policy {
        Some(file) => Some(Arc::new(source::file(file)?.policy)),
        None if wanted.in_force => Some(history::in_force(data).await?.policy),
        None => None,
    };
    let path = &wanted.catalogue;
    match compiled(path, policy.as_deref(), screen) {
        Ok(compiled) if screen.json() => {
            screen.object(&report(path, Some(&compiled), &[], &compiled.warnings))
        }
        Ok(compiled) => {
            screen.say("No faults.");
            screen.print(&format!("{}\n", compiled.source.name))
        }
        Err(SourceError::Faults { path, found }) => {
            if screen.json() {
                screen.object(&report(&path, None, &found, &[]))?;
            } else {
                screen.say(&source::listed(&path, &found));
                screen.say(&counted(found.len(), "fault"));
            }
            Err(Failure::Answered)
        }
        Err(error) => Err(error.into()),
    }
}

/// A catalogue without faults; what else is to be said of it is said.
fn compiled(
    path: &Path,
    policy: Option<&Policy>,
    screen: &mut Screen,
) -> Result<Compiled, SourceError> {
    let compiled = compile::file(path, policy)?;
    if !screen.json() && !compiled.warnings.is_empty() {
        screen.say(&source::listed(path, &compiled.warnings));
        screen.say(&counted(compiled.warnings.len(), "warning"));
    }

    Ok(compiled)
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}.") } else { format!("{number} {what}s.") }
}

fn report(file: &Path, compiled: Option<&Compiled>, faults: &[Found], warnings: &[Found]) -> Value {
    let each = |list: &[Found]| -> Vec<Value> {
        list.iter()
            .map(|found| {
                json!({ "line": found.at.line, "column": found.at.column, "place": found.place,
                    "problem": found.problem })
            })
            .collect()
    };

    json!({
        "file": file.display().to_string(), "catalogue": compiled.map(|it| &it.source.name),
        "audiences": compiled.map(|it| it.documents.len()),
        "faults": each(faults), "warnings": each(warnings),
    })
}

async fn build(
    wanted: &ManifestBuildArgs,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let compiled = compiled(&wanted.catalogue, None, screen)?;
    let version = match wanted.version {
        Some(version) => version,
        None => publish::next(&compiled.source.name, data).await?,
    };
    let at = match (wanted.at, std::env::var("SOURCE_DATE_EPOCH")) {
        (Some(micros), _) => micros / 1_000_000,
        (None, Ok(epoch)) => epoch.parse().map_err(|error| {
            Failure::Refused(format!("SOURCE_DATE_EPOCH is no number of seconds: {error}"))
        })?,
        (None, Err(_)) => clock::now(),
    };
    let contents = compiled.contents(version, at)?;
    contents.write(&wanted.out)?;
    let digest = contents.index.sha256();
    screen.say(&format!(
        "Version {version} of {}, for {}, holds until {}: sign it with `tollgate manifest sign {}`",
        compiled.source.name,
        counted(contents.documents.len(), "audience").trim_end_matches('.'),
        clock::readable(contents.index.says.expires_at),
        wanted.out.display()
    ));

    screen.value(
        &digest,
        &json!({
            "catalogue": compiled.source.name, "version": version, "issued_at": at,
            "expires_at": contents.index.says.expires_at, "index_sha256": digest,
        }),
    )
}

async fn sign(wanted: &ManifestSignArgs, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    let contents = Contents::read(&wanted.dir)?;
    let key = key(&wanted.with, data)?;
    let before = if wanted.add { Envelopes::lying_in(&wanted.dir, &contents)? } else { None };
    if wanted.add && before.is_none() {
        return Err(ManifestFailure::Unsigned(wanted.dir.clone()).into());
    }
    let envelopes = signing::envelopes(&contents, &key, before.as_ref()).await?;
    envelopes.write(&wanted.dir)?;
    let index = &contents.index.says;
    let digest = contents.index.sha256();
    screen.say(&format!(
        "Signed by {}: version {} of {}, {}",
        key.key_id(),
        index.version,
        index.catalogue,
        wanted.dir.display()
    ));

    screen.value(
        &digest,
        &json!({ "catalogue": index.catalogue, "version": index.version, "index_sha256": digest,
            "key_id": key.key_id() }),
    )
}

/// The key that was named.
///
/// # Errors
/// [`Failure`].
pub fn key(wanted: &ManifestKeyArgs, data: &Data) -> Result<Key, Failure> {
    let Some(command) = &wanted.signer else {
        let path = wanted.key.clone().unwrap_or_else(|| data.manifest_key());
        let (key_id, pair) = keys::manifest_key(&path)?;
        return Ok(Key::Here { key_id, pair });
    };
    let public = if let Some(file) = &wanted.public_key {
        let pin = keys::pin(file)?;
        PinnedKey { key_id: wanted.key_id.clone().unwrap_or(pin.key_id), ..pin }
    } else {
        let pins = keys::manifest_pins(data)?;
        let mut fits =
            pins.iter().filter(|pin| wanted.key_id.as_ref().is_none_or(|id| *id == pin.key_id));
        let (Some(only), None) = (fits.next(), fits.next()) else {
            let names: Vec<_> = pins.iter().map(|pin| pin.key_id.as_str()).collect();
            return Err(Failure::Refused(format!(
                "which key the signer has is not said: --key-id ({}) or --public-key",
                names.join(", ")
            )));
        };
        only.clone()
    };

    Ok(Key::Command { command: command.clone(), public })
}

/// Tells what changes.
///
/// # Errors
/// [`Failure::Answered`], if something does.
pub fn told(from: &diff::Side, to: &diff::Side, screen: &mut Screen) -> Result<(), Failure> {
    let changes = diff::diff(from, to);
    let each = |change: &diff::Change| (change.way, change.object(), change.to_string());

    tell(changes.iter().map(each), "what is in them", screen)
}

fn show(dir: &Path, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    let contents = Contents::read(dir)?;
    let pins = keys::manifest_pins(data)?;
    let signed = signers(dir, &contents)?;
    let believed = match Publication::read(dir, &pins) {
        Ok(publication) => Ok(publication.key_ids().iter().cloned().collect::<Vec<_>>()),
        Err(ManifestFailure::Unsigned(_)) => Err("it is not signed".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let index = &contents.index.says;
    let rows: Vec<Vec<String>> = index
        .audiences
        .iter()
        .filter_map(|audience| contents.documents.get(&audience.name))
        .map(|document| {
            let it = &document.says;
            let plugins = it.plugins.iter().map(|it| format!("{} {}", it.name, it.version));
            vec![
                it.audience.clone(),
                plugins.collect::<Vec<_>>().join(", "),
                it.skills.len().to_string(),
                it.agents.len().to_string(),
                it.managed_mcp_servers.len().to_string(),
                it.revocations.len().to_string(),
                document.sha256().get(..16).unwrap_or_default().to_owned(),
            ]
        })
        .collect();
    if screen.json() {
        let documents: Result<Vec<Value>, _> = index
            .audiences
            .iter()
            .filter_map(|audience| contents.documents.get(&audience.name))
            .map(|document| serde_json::to_value(&document.says))
            .collect();
        return screen.object(&json!({
            "index": index, "documents": documents?, "index_sha256": contents.index.sha256(),
            "signed_by": signed, "believed": believed.as_ref().ok(), "why_not": believed.as_ref().err(),
        }));
    }
    screen.print(&format!(
        "catalogue  {}\nversion    {}\nissued     {}\nexpires    {}\nsigned     {}\nbelieved   {}\n\n",
        index.catalogue,
        index.version,
        clock::readable(index.issued_at),
        clock::readable(index.expires_at),
        if signed.is_empty() { "no".into() } else { shown(&signed.join(", ")) },
        match &believed {
            Ok(keys) => format!("here, for {}", keys.join(", ")),
            Err(why) => format!("not here: {why}"),
        },
    ))?;

    screen.table(&["AUDIENCE", "PLUGINS", "SKILLS", "AGENTS", "MCP", "REVOKED", "SHA-256"], &rows)
}

/// Who says to have signed. Nothing here tells that they have.
fn signers(dir: &Path, contents: &Contents) -> Result<Vec<String>, Failure> {
    let Some(envelopes) = Envelopes::lying_in(dir, contents)? else { return Ok(Vec::new()) };
    let envelope: Envelope = serde_json::from_slice(&envelopes.index)?;

    Ok(envelope.signatures.into_iter().map(|signed| signed.keyid).collect())
}

fn pins(data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    if keys::manifest_pins(data)?.is_empty() {
        data.create()?;
        keys::new_manifest_key(data)?;
        screen.say(&format!("{} signs manifests.", data.manifest_key().display()));
        screen.say(
            "In production it belongs to the security team, on another machine: move it away.",
        );
        screen.say("This machine only needs keys/manifest/*.pub, and so does each laptop.");
    }
    let pins = keys::manifest_pins(data)?;
    if screen.json() {
        return pins.iter().try_for_each(|pin| screen.object(pin));
    }
    let rows: Vec<_> = pins.into_iter().map(|pin| vec![pin.key_id, pin.public_key]).collect();

    screen.table(&["KEY ID", "PUBLIC KEY"], &rows)
}
