//! `tollgate manifest publish`, `history`, `rollback` and `revoke`.

use super::changes::{self, Changes};
use super::publication::{Contents, Publication};
use super::publish::{self, Done, MOST, Manner};
use super::revise::{self, Revised};
use super::signing::{self, Key};
use super::{ManifestFailure, incoming};
use crate::args::ChangeArgs;
use crate::args::fleet::{PublicationCommand, SignsArgs};
use crate::clock;
use crate::failure::Failure;
use crate::keys;
use crate::operators::operator::Operator;
use crate::screen::{STDIN, Screen};
use crate::settings::Data;
use crate::store::Store;
use crate::store::manifests::{ManifestVersion, ManifestWay};
use contract::envelope::PinnedKey;
use contract::manifest::{Kind, Revocation};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const NO_OTHER: bool = false;

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    command: &PublicationCommand,
    operator: &Operator,
    data: &Data,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        PublicationCommand::Publish { dir, other_catalogue, change } => {
            let manner = Manner {
                way: ManifestWay::Publish,
                what: "",
                change,
                other_catalogue: *other_catalogue,
            };
            given(dir, manner, (operator, data), screen).await
        }
        PublicationCommand::History { limit } => history(*limit, data, screen).await,
        PublicationCommand::Rollback { version, previous: _, signs, change } => {
            rollback(*version, (signs, change), (operator, data), screen).await
        }
        PublicationCommand::Revoke { kind, id, reason, signs, change } => {
            let revocation =
                Revocation { kind: (*kind).into(), id: id.clone(), reason: reason.clone() };
            revoke(revocation, (signs, change), (operator, data), screen).await
        }
    }
}

async fn given(
    dir: &Path,
    manner: Manner<'_>,
    (operator, data): (&Operator, &Data),
    screen: &mut Screen,
) -> Result<(), Failure> {
    let pins = keys::manifest_pins(data)?;
    let store = Store::create(data).await?;
    if dir.as_os_str() != STDIN {
        let publication = Publication::read(dir, &pins)?;
        return put(&publication, manner, (operator, &store), screen).await;
    }
    let place = incoming::Unpacked::of(&screen.stdin()?, data)?;
    let publication = Publication::read(place.dir(), &pins)?;

    put(&publication, manner, (operator, &store), screen).await
}

async fn put(
    publication: &Publication,
    manner: Manner<'_>,
    (operator, store): (&Operator, &Store),
    screen: &mut Screen,
) -> Result<(), Failure> {
    let index = publication.index();
    let (from, changed) = match publish::publish(store, publication, manner, operator).await? {
        Done::Already => {
            screen.say("It was in force before.");
            (Some(index.version), None)
        }
        Done::Changed(before) => {
            let documents = match &before {
                Some(before) => store.manifest_documents(before.number).await?,
                None => Vec::new(),
            };
            screen.say(
                "In force on every sidecar within half a second, on laptops at their next sync.",
            );
            (before.map(|it| it.version), Some(changes::of(publication, &documents)))
        }
    };
    let changed = changed.unwrap_or_default();
    if !screen.json() {
        for one in &changed {
            told(one, screen);
        }
        if changed.iter().any(|one| one.pin_changed) {
            screen.say(
                "Clients that take a marketplace take it only with its new manifestSha256: push the pins above by MDM \
                 (`tollgate mdm export`).",
            );
        }
    }
    let audiences: Vec<Value> = changed.iter().map(Changes::object).collect();

    screen.value(
        &index.version.to_string(),
        &json!({ "catalogue": index.catalogue, "version": index.version, "from": from,
            "expires_at": clock::readable(index.expires_at), "key_ids": publication.key_ids(),
            "audiences": audiences }),
    )
}

fn told(one: &Changes, screen: &mut Screen) {
    if one.changes.is_empty() {
        screen.say(&format!("{}: unchanged", one.audience));
    } else {
        screen.say(&format!("{}:", one.audience));
        for change in &one.changes {
            screen.say(&format!("  {change}"));
        }
    }
    if let Some(pin) = &one.marketplace {
        let word = if one.pin_changed { "new " } else { "" };
        screen.say(&format!("  {word}manifestSha256 {pin}"));
    }
}

/// Lists what was published.
async fn history(limit: u32, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    let store = Store::open(data).await?;
    let all = store.manifests(limit).await?;
    let mut rows = Vec::new();
    for (place, one) in all.iter().enumerate() {
        if screen.json() {
            screen.object(&json!({
                "number": one.number, "catalogue": one.catalogue, "version": one.version,
                "published_at": clock::readable(one.published_at), "published_by": one.published_by,
                "expires_at": clock::readable(one.expires_at), "key_id": one.key_id,
                "way": one.way.as_str(), "ticket": one.ticket, "why": one.why,
                "in_force": place == 0,
            }))?;
        }
        rows.push(vec![
            one.version.to_string(),
            if place == 0 { "in force".into() } else { String::new() },
            one.catalogue.clone(),
            clock::readable(one.published_at),
            one.published_by.clone(),
            clock::readable(one.expires_at),
            one.key_id.clone(),
            one.way.as_str().to_owned(),
            one.ticket.clone().unwrap_or_default(),
            one.why.clone().unwrap_or_default(),
        ]);
    }
    if screen.json() {
        return Ok(());
    }
    let head = ["VERSION", "", "CATALOGUE", "WHEN", "BY", "EXPIRES", "KEY", "WAY", "TICKET", "WHY"];

    screen.table(&head, &rows)
}

/// What is in force, and everything that it follows from.
async fn in_force(store: &Store) -> Result<ManifestVersion, Failure> {
    store
        .manifest_in_force()
        .await?
        .ok_or_else(|| Failure::NotFound("nothing was ever published here".into()))
}

async fn rollback(
    version: Option<u64>,
    (signs, change): (&SignsArgs, &ChangeArgs),
    (operator, data): (&Operator, &Data),
    screen: &mut Screen,
) -> Result<(), Failure> {
    let (store, pins) = (Store::open(data).await?, keys::manifest_pins(data)?);
    let now = in_force(&store).await?;
    let mut all = store.manifests(MOST).await?.into_iter();
    let older = all.find(|it| {
        it.catalogue == now.catalogue
            && version.map_or(it.version < now.version, |version| it.version == version)
    });
    let older = older.ok_or_else(|| match version {
        Some(version) => Failure::NotFound(format!(
            "no version {version} of {:?} was published: `tollgate manifest history` lists them",
            now.catalogue
        )),
        None => Failure::NotFound("nothing else was ever published here".into()),
    })?;
    let next = now.version.saturating_add(1);
    let older = publish::again(&store, &older, &pins).await?;
    let now = publish::again(&store, &now, &pins).await?;
    let revised = revise::rollback(older.contents(), now.contents(), next, clock::now())?;
    let what = format!(" to what {} said", older.index().version);
    let manner =
        Manner { way: ManifestWay::Rollback, what: &what, change, other_catalogue: NO_OTHER };

    sign_and_put(revised, (manner, signs, &pins), (operator, data, &store), screen).await
}

async fn revoke(
    revocation: Revocation,
    (signs, change): (&SignsArgs, &ChangeArgs),
    (operator, data): (&Operator, &Data),
    screen: &mut Screen,
) -> Result<(), Failure> {
    let (store, pins) = (Store::open(data).await?, keys::manifest_pins(data)?);
    let now = in_force(&store).await?;
    let next = now.version.saturating_add(1);
    let now = publish::again(&store, &now, &pins).await?;
    let what = format!(" without {} {}", revocation.kind.as_str(), revocation.id);
    let named = [revocation.clone()];
    let revised = revise::revoke(now.contents(), revocation, next, clock::now())?;
    if revised.gone.is_empty() {
        screen.say("Nobody has that: is it spelt so? It is revoked all the same.");
    }
    for (kind, id) in revised.also(&named) {
        screen.say(&format!("With it goes what needs it: {} {id}", Kind::as_str(*kind)));
    }
    let manner =
        Manner { way: ManifestWay::Revoke, what: &what, change, other_catalogue: NO_OTHER };

    sign_and_put(revised, (manner, signs, &pins), (operator, data, &store), screen).await
}

async fn sign_and_put(
    revised: Revised,
    (manner, signs, pins): (Manner<'_>, &SignsArgs, &[PinnedKey]),
    (operator, data, store): (&Operator, &Data, &Store),
    screen: &mut Screen,
) -> Result<(), Failure> {
    if let Some(out) = &signs.out {
        return written(&revised.contents, out, screen);
    }
    let key = key(signs, data, pins)?;
    if !pins.contains(&key.public()) {
        return Err(Failure::Refused(format!(
            "the key {} is not pinned here: nobody would believe it",
            key.key_id()
        )));
    }
    let publication = signing::publication(revised.contents, &key).await?;

    put(&publication, manner, (operator, store), screen).await
}

fn written(contents: &Contents, out: &Path, screen: &mut Screen) -> Result<(), Failure> {
    contents.write(out)?;
    let version = contents.index.says.version;
    screen.say(&format!(
        "Nothing is in force yet: `tollgate manifest sign {0}` where the key is, then `tollgate manifest publish {0}`.",
        out.display()
    ));

    screen.value(
        &version.to_string(),
        &json!({ "version": version, "out": out.display().to_string(), "in_force": false }),
    )
}

fn key(signs: &SignsArgs, data: &Data, pins: &[PinnedKey]) -> Result<Key, Failure> {
    let Some(command) = &signs.signer else {
        let path: PathBuf = signs.key.clone().unwrap_or_else(|| data.manifest_key());
        if signs.key.is_none() && !path.exists() {
            return Err(Failure::Manifest(ManifestFailure::Refused(format!(
                "{} is not here: --key or --signer sign, --out DIR writes what is to be signed elsewhere",
                path.display()
            ))));
        }
        let (key_id, pair) = keys::manifest_key(&path)?;
        return Ok(Key::Here { key_id, pair });
    };
    let public = match (&signs.public_key, pins) {
        (Some(file), _) => keys::pin(file)?,
        (None, [only]) => only.clone(),
        (None, _) => {
            let why = "several keys are pinned, or none: --public-key names the signer's";
            return Err(Failure::Refused(why.into()));
        }
    };

    Ok(Key::Command { command: command.clone(), public })
}
