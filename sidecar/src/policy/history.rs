//! What was published: recorded with the row of who did it, found again, put in force again.

use super::live::{BY_FILE, opened};
use super::{PolicyError, Published};
use crate::acts::Act;
use crate::args::ChangeArgs;
use crate::clock;
use crate::failure::Failure;
use crate::keys::{self, KeyError};
use crate::operators::operator::Operator;
use crate::settings::Data;
use crate::store::{PolicyVersion, Store, StoreError, Way};
use serde_json::json;

/// How often somebody else may be the first before it is told as a failure.
const TRIES: usize = 8;

/// Most versions that are looked through for one.
const MOST: u32 = 10_000;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It was in force before.
    Already,
    /// It is in force, and before it that was.
    Changed(Option<String>),
}

/// Puts a policy in force for all sidecars of a database.
///
/// # Errors
/// [`Failure`]; then nothing has changed.
pub async fn publish(
    store: &Store,
    published: &Published,
    way: Way,
    change: &ChangeArgs,
    operator: &Operator,
) -> Result<Done, Failure> {
    for _ in 0..TRIES {
        let before = store.policy_in_force().await?;
        if before.as_ref().is_some_and(|one| one.envelope == published.envelope.body()) {
            return Ok(Done::Already);
        }
        let from = before.as_ref().map(|before| before.version.clone());
        let act = act(operator, published, way, before.as_ref(), change)?;
        let number = before.map_or(0, |before| before.number).saturating_add(1);
        if store.publish_policy(&version(published, number, way, change, &act), Some(&act)).await? {
            return Ok(Done::Changed(from));
        }
    }

    Err(Failure::Refused("others publish at the same time, over and over: try again".into()))
}

/// Records what came as a file, behind the entry that is known here; its number, or none if somebody
/// else was first: whoever published meanwhile did not know of the file, and their word is the later.
pub(super) async fn record_file(
    store: &Store,
    published: &Published,
    known: u64,
) -> Result<Option<u64>, StoreError> {
    let before = store.policy_in_force().await?;
    if before.as_ref().map_or(0, |before| before.number) != known {
        return Ok(None);
    }
    let change = ChangeArgs::default();
    let act = act(&Operator::owner(), published, BY_FILE, before.as_ref(), &change)?;
    // The first was in force before this database had a history, and has its row from then.
    let row = before.is_some().then_some(&act);
    let number = known.saturating_add(1);
    let new = version(published, number, BY_FILE, &change, &act);

    Ok(store.publish_policy(&new, row).await?.then_some(number))
}

fn version(
    published: &Published,
    number: u64,
    way: Way,
    change: &ChangeArgs,
    act: &Act,
) -> PolicyVersion {
    PolicyVersion {
        number,
        version: published.version.clone(),
        name: published.name.clone(),
        key_id: published.key_id.clone(),
        envelope: published.envelope.body().to_vec(),
        published_at: clock::now(),
        published_by: act.who().to_owned(),
        way,
        ticket: change.ticket.clone(),
        why: change.why.clone(),
    }
}

/// The act, with the versions before and after it.
fn act(
    operator: &Operator,
    published: &Published,
    way: Way,
    before: Option<&PolicyVersion>,
    change: &ChangeArgs,
) -> Result<Act, KeyError> {
    let from = before.map(|before| before.version.as_str());
    let told = |version: &str, name: &str, key_id: &str| json!({ "version": version, "name": name, "key_id": key_id });
    let act = Act::new(operator, what(published, way, from, change))?.to(told(
        &published.version,
        &published.name,
        &published.key_id,
    ));

    Ok(match before {
        Some(before) => act.from(told(&before.version, &before.name, &before.key_id)),
        None => act,
    })
}

/// The act in the words of its row: from what to what, and why.
fn what(published: &Published, way: Way, from: Option<&str>, change: &ChangeArgs) -> String {
    let Published { version, name, key_id, .. } = published;
    let from = from.unwrap_or("nothing");
    let mut words = format!("policy {} {from} -> {version} ({name}, {key_id})", way.as_str());
    if let Some(ticket) = &change.ticket {
        words = format!("{words} ticket {ticket}");
    }
    if let Some(why) = &change.why {
        words = format!("{words}: {why}");
    }

    words
}

/// A version by the beginning of its name.
///
/// # Errors
/// [`Failure::NotFound`]; [`Failure::Refused`] if several begin so.
pub async fn find(store: &Store, beginning: &str) -> Result<PolicyVersion, Failure> {
    let all = store.policies(MOST).await?;
    let mut fitting = all.into_iter().filter(|one| one.version.starts_with(beginning));
    let found = fitting.next().filter(|_| beginning.len() >= 4).ok_or_else(|| {
        Failure::NotFound(format!(
            "no version {beginning:?} was published: `tollgate policy history` lists them"
        ))
    })?;
    if fitting.any(|other| other.version != found.version) {
        return Err(Failure::Refused(format!("{beginning:?} begins several versions: say more")));
    }

    Ok(found)
}

/// The one that was in force before the one that is.
///
/// # Errors
/// [`Failure::NotFound`].
pub async fn previous(store: &Store) -> Result<PolicyVersion, Failure> {
    let mut all = store.policies(MOST).await?.into_iter();
    let now = all.next().map(|now| now.version).unwrap_or_default();

    all.find(|one| one.version != now)
        .ok_or_else(|| Failure::NotFound("nothing else was ever published here".into()))
}

/// An earlier policy, if today's keys still vouch for it.
///
/// # Errors
/// [`PolicyError`].
pub fn again(data: &Data, earlier: PolicyVersion) -> Result<Published, PolicyError> {
    opened(earlier, &keys::pins(data)?)
}

/// The policy in force: the store's, or the file where there is no store.
///
/// # Errors
/// [`Failure`].
pub async fn in_force(data: &Data) -> Result<Published, Failure> {
    let stored = match Store::open(data).await {
        Ok(store) => store.policy_in_force().await?,
        Err(StoreError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(stored) = stored {
        return Ok(again(data, stored)?);
    }

    match Published::current(data) {
        Err(error @ PolicyError::None(_)) => Err(Failure::NotFound(error.to_string())),
        other => Ok(other?),
    }
}
