//! `tollgate policy publish`, `history` and `rollback`.

use crate::args::ChangeArgs;
use crate::clock;
use crate::failure::Failure;
use crate::keys;
use crate::operators::operator::Operator;
use crate::policy::history::{self, Done};
use crate::policy::{Published, diff, signed};
use crate::screen::{STDIN, Screen};
use crate::settings::Data;
use crate::store::{PolicyVersion, Store, Way};
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::envelope::Envelope;
use contract::policy::Document;
use serde_json::json;
use std::path::Path;

/// Puts a signed policy in force.
pub(super) async fn publish(
    file: &Path,
    change: &ChangeArgs,
    (operator, data): (&Operator, &Data),
    screen: &mut Screen,
) -> Result<(), Failure> {
    let published = if file.as_os_str() == STDIN {
        Published::open(screen.stdin()?, file, &keys::pins(data)?)?
    } else {
        signed(data, file)?
    };
    let store = Store::create(data).await?;

    put(&published, Way::Publish, change, (operator, data, &store), screen).await
}

/// Puts an earlier policy in force again.
pub(super) async fn rollback(
    version: Option<&str>,
    change: &ChangeArgs,
    (operator, data): (&Operator, &Data),
    screen: &mut Screen,
) -> Result<(), Failure> {
    let store = Store::open(data).await?;
    let earlier = match version {
        Some(version) => history::find(&store, version).await?,
        None => history::previous(&store).await?,
    };
    let published = history::again(data, earlier)?;

    put(&published, Way::Rollback, change, (operator, data, &store), screen).await
}

async fn put(
    published: &Published,
    way: Way,
    change: &ChangeArgs,
    (operator, data, store): (&Operator, &Data, &Store),
    screen: &mut Screen,
) -> Result<(), Failure> {
    let done = history::publish(store, published, way, change, operator).await?;
    // The copy that this host's sidecar starts with. It would make its own.
    if let Err(error) = published.keep(data) {
        screen.say(&format!("It is in force, and not kept here as a file: {error}"));
    }
    let from = match done {
        Done::Already => {
            screen.say("It was in force before.");
            Some(published.version.clone())
        }
        Done::Changed(from) => {
            screen.say(
                "In force on every sidecar within half a second, in the gates a second later.",
            );
            from
        }
    };

    screen.value(
        &published.version,
        &json!({ "version": published.version, "name": published.name,
            "key_id": published.key_id, "from": from }),
    )
}

/// Lists what was published.
pub(super) async fn list(limit: u32, data: &Data, screen: &mut Screen) -> Result<(), Failure> {
    let store = Store::open(data).await?;
    // One more, which the oldest is compared with.
    let all = store.policies(limit.saturating_add(1)).await?;
    let listed = all.iter().take(usize::try_from(limit).unwrap_or(usize::MAX));
    let mut rows = Vec::new();
    for (index, one) in listed.enumerate() {
        let changed = changes(all.get(index.saturating_add(1)), one);
        if screen.json() {
            screen.object(&json!({
                "number": one.number, "version": one.version, "name": one.name,
                "published_at": clock::readable(one.published_at), "published_by": one.published_by,
                "key_id": one.key_id, "way": one.way.as_str(), "ticket": one.ticket,
                "why": one.why, "changes": changed, "in_force": index == 0,
            }))?;
        }
        rows.push(vec![
            one.version.clone(),
            if index == 0 { "in force".into() } else { String::new() },
            one.name.clone(),
            clock::readable(one.published_at),
            one.published_by.clone(),
            one.key_id.clone(),
            one.way.as_str().to_owned(),
            changed.unwrap_or_default(),
            one.ticket.clone().unwrap_or_default(),
            one.why.clone().unwrap_or_default(),
        ]);
    }
    if screen.json() {
        return Ok(());
    }
    let head = ["VERSION", "", "NAME", "WHEN", "BY", "KEY", "WAY", "CHANGES", "TICKET", "WHY"];

    screen.table(&head, &rows)
}

/// How many rules and members came, went and changed: `+1 -0 ~2`.
fn changes(before: Option<&PolicyVersion>, now: &PolicyVersion) -> Option<String> {
    let (before, now) = (document(before?)?, document(now)?);
    let changes = diff::diff(&before, &now);
    let count = |which: fn(&diff::What) -> bool| {
        changes.iter().filter(|change| which(&change.what)).count()
    };

    Some(format!(
        "+{} -{} ~{}",
        count(|what| matches!(what, diff::What::Added(_))),
        count(|what| matches!(what, diff::What::Removed(_))),
        count(|what| matches!(what, diff::What::Changed { .. }))
    ))
}

/// What a version says, for a look: nothing is decided by it.
fn document(version: &PolicyVersion) -> Option<Document> {
    let envelope: Envelope = serde_json::from_slice(&version.envelope).ok()?;

    serde_json::from_slice(&BASE64_STANDARD.decode(envelope.payload).ok()?).ok()
}
