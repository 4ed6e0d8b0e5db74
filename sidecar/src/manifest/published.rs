//! `tollgate manifest publish`, `history`, `rollback` and `revoke`.

use super::changes::{self, Pin};
use super::diff::Change;
use super::publication::{Contents, Publication};
use super::publish::{self, Done, MOST, Manner};
use super::revise::{self, Revised};
use super::signing::{self, Key};
use super::{command, incoming};
use crate::args::ChangeArgs;
use crate::args::fleet::{PublicationCommand, SignsArgs};
use crate::clock;
use crate::failure::Failure;
use crate::keys;
use crate::operators::operator::Operator;
use crate::screen::{STDIN, Screen, shown};
use crate::settings::Data;
use crate::store::Store;
use crate::store::manifests::{ManifestVersion, ManifestWay};
use contract::envelope::PinnedKey;
use contract::manifest::{Kind, Revocation};
use serde_json::{Value, json};
use std::path::Path;

/// How something is put in force that the command itself made.
fn own<'a>(way: ManifestWay, what: &'a str, change: &'a ChangeArgs) -> Manner<'a> {
    Manner { way, what, change, other_catalogue: false, unrevoke: &[] }
}

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
        PublicationCommand::Publish { dir, other_catalogue, unrevoke, change } => {
            let manner = Manner {
                way: ManifestWay::Publish,
                what: "",
                change,
                other_catalogue: *other_catalogue,
                unrevoke,
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
    let done = publish::publish(store, publication, manner, operator).await?;
    let before = match &done {
        Done::Changed(Some(before)) => {
            Some((&**before, store.manifest_documents(before.number).await?))
        }
        Done::Already | Done::Changed(None) => None,
    };
    let changed =
        changes::of(publication, before.as_ref().map(|(version, all)| (*version, &**all)));
    let was = before.as_ref().map(|(_, all)| &**all).unwrap_or_default();
    let pins = if done == Done::Already { Vec::new() } else { changes::pins(publication, was) };
    if done == Done::Already {
        screen.say("It was in force before.");
    } else {
        screen
            .say("In force on every sidecar within half a second, on laptops at their next sync.");
    }
    if !screen.json() {
        told(publication, &changed, &pins, screen);
    }
    let from = match &done {
        Done::Already => Some(index.version),
        Done::Changed(before) => before.as_ref().map(|it| it.version),
    };
    let audiences: Vec<&String> = index.audiences.iter().map(|it| &it.name).collect();
    let changed: Vec<Value> = changed.iter().map(Change::object).collect();
    let pins: Vec<Value> = pins.iter().map(Pin::object).collect();

    screen.value(
        &index.version.to_string(),
        &json!({ "catalogue": index.catalogue, "version": index.version, "from": from,
            "expires_at": clock::readable(index.expires_at), "key_ids": publication.key_ids(),
            "audiences": audiences, "changes": changed, "marketplaces": pins }),
    )
}

fn told(publication: &Publication, changed: &[Change], pins: &[Pin], screen: &mut Screen) {
    let audiences: Vec<String> =
        publication.index().audiences.iter().map(|it| it.name.clone()).collect();
    screen.say(&format!("For {}.", audiences.join(", ")));
    for change in changed {
        screen.say(&format!("  {}", shown(&change.to_string())));
    }
    for pin in pins {
        let word = if pin.changed { "new manifestSha256" } else { "manifestSha256" };
        screen.say(&format!("  {}: {word} {}", pin.audience, pin.sha256));
    }
    if pins.iter().any(|pin| pin.changed) {
        screen.say(
            "Clients that take a marketplace take it only with its new manifestSha256: push the pins above by MDM.",
        );
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

/// What is said where there is no publication.
pub const NOTHING: &str = "nothing was ever published here: `tollgate manifest publish DIR` does";

/// What is in force, and everything that it follows from.
async fn in_force(store: &Store) -> Result<ManifestVersion, Failure> {
    store.manifest_in_force().await?.ok_or_else(|| Failure::NotFound(NOTHING.into()))
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
    let manner = own(ManifestWay::Rollback, &what, change);

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
    let named = revocation.clone();
    let revised = revise::revoke(now.contents(), revocation, next, clock::now())?;
    let within: Vec<_> = revise::within(&revised.contents, &named).into_iter().collect();
    if !within.is_empty() {
        let within = within.join(", ");
        screen.say(&format!(
            "It is a part of {within}: laptops with the helper take it out at their next sync. The archive has it still, for \
             clients that take {within} from a marketplace: `tollgate manifest revoke --kind plugin` if they must lose it."
        ));
    } else if revised.gone.is_empty() {
        screen.say("Nobody has that: is it spelt so? It is revoked all the same.");
    }
    for (kind, id) in revised.also(std::slice::from_ref(&named)) {
        screen.say(&format!("With it goes what needs it: {} {id}", Kind::as_str(*kind)));
    }
    let manner = own(ManifestWay::Revoke, &what, change);

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
    let key = key(signs, data)?;
    if !pins.contains(&key.public()) {
        return Err(Failure::Refused(format!(
            "the key {} is not pinned here, so nobody would believe it: put its .pub into DATA/keys/manifest",
            key.key_id()
        )));
    }
    let publication = signing::publication(revised.contents, &key).await?;
    if let Some(before) = store.manifest_in_force().await? {
        let mut others = changes::signers(&before.envelope);
        others.remove(key.key_id());
        if !others.is_empty() {
            let others: Vec<String> = others.iter().map(|it| shown(it)).collect();
            screen.say(&alone(key.key_id(), &others.join(", ")));
        }
    }

    put(&publication, manner, (operator, store), screen).await
}

/// One act is one signature. While a key takes over from another that is one too few.
fn alone(key_id: &str, others: &str) -> String {
    format!(
        "WARNING: what is in force was signed by {others}, and this is signed by {key_id} alone: laptops that do not pin \
         {key_id} refuse it and keep what they have. Do the same with --out DIR, sign DIR with each key (`tollgate manifest \
         sign`, then with --add), and publish that."
    )
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

fn key(signs: &SignsArgs, data: &Data) -> Result<Key, Failure> {
    let path = data.manifest_key();
    if signs.with.key.is_none() && signs.with.signer.is_none() && !path.exists() {
        return Err(Failure::Refused(format!(
            "{} is not here: --key or --signer sign, --out DIR writes what is to be signed elsewhere",
            path.display()
        )));
    }

    command::key(&signs.with, data)
}
