//! What is written down of an edit: a row of the audit table, and the history that drift is found by. Never a secret.

use super::files::{BOOTSTRAP, File, Set, digest, is_private};
use super::mask::Secrets;
use crate::acts::Act;
use crate::args::ChangeArgs;
use crate::clock;
use crate::operators::operator::Operator;
use crate::store::writer::Writer;
use crate::store::{EnvoyChange, EnvoyWay, Store, StoreError};
use contract::audit::{Event, Outcome};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How often somebody else may be the first.
const TRIES: usize = 8;

/// Most changes that a row names.
const MOST: usize = 50;

/// Longest list of changes in the act's own words, in characters.
const LONGEST: usize = 300;

/// The code of an edit that Envoy refused, and that was taken back.
pub const REFUSED: &str = "envoy_refused";

/// Digests of files, by name.
pub type Digests = BTreeMap<String, String>;

/// The digest of each file but the bootstrap. Of a file with secrets it is one that only this sidecar can make: a weak
/// secret could be guessed from a plain one.
pub fn digests(set: &Set, writer: &Writer) -> Digests {
    let files = set.files().iter().filter(|(name, _)| *name != BOOTSTRAP);

    files.map(|(name, file)| (name.clone(), digest_of(name, file, writer))).collect()
}

fn digest_of(name: &str, file: &File, writer: &Writer) -> String {
    let plain = digest(&file.bytes);
    // Of a file that cannot be read nobody knows what stands in it.
    let open = file.tree.as_ref().is_some_and(|tree| Secrets::in_tree(name, tree).is_empty());
    if open && !is_private(name) {
        return format!("sha256:{plain}");
    }
    let keyed = digest(&writer.sign(format!("tollgate.envoy/{plain}").as_bytes()));

    format!("keyed:{keyed}")
}

/// What happened, to be written down.
#[derive(Debug, Clone)]
pub struct Told<'a> {
    /// What it was.
    pub way: EnvoyWay,
    /// Who did it.
    pub operator: &'a Operator,
    /// A line for each change.
    pub changes: &'a [String],
    /// The digests before, of what changed.
    pub before: Digests,
    /// The digests afterwards, of all files.
    pub after: Digests,
    /// For the record.
    pub change: &'a ChangeArgs,
}

impl Told<'_> {
    fn act(&self) -> Result<Act, StoreError> {
        let ChangeArgs { ticket, why } = self.change;
        let listed: String = self.changes.join("; ").chars().take(LONGEST).collect();
        let mut words = format!("envoy {}: {listed}", self.way.as_str());
        if let Some(ticket) = ticket {
            words = format!("{words} ticket {ticket}");
        }
        if let Some(why) = why {
            words = format!("{words}: {why}");
        }
        let changed =
            self.after.iter().filter(|(name, digest)| self.before.get(*name) != Some(*digest));
        let after: Digests = changed.map(|(name, digest)| (name.clone(), digest.clone())).collect();
        let names = |name: &&String| after.contains_key(*name) || !self.after.contains_key(*name);
        let before: Digests = self
            .before
            .iter()
            .filter(|(name, _)| names(name))
            .map(|(name, digest)| (name.clone(), digest.clone()))
            .collect();
        let some: Vec<&String> = self.changes.iter().take(MOST).collect();
        let to = json!({ "files": after, "changes": some, "ticket": ticket });

        Ok(Act::new(self.operator, words)?.from(json!({ "files": before })).to(to))
    }
}

/// Writes it down; the number it has in the history.
///
/// # Errors
/// [`StoreError`].
pub async fn write(store: &Store, told: &Told<'_>) -> Result<u64, StoreError> {
    let gateway = store.writer().id().to_owned();
    let mut number = 0;
    for _ in 0..TRIES {
        let last = store.envoy_changes(&gateway, 1).await?.pop();
        number = last.map_or(0, |last| last.number).saturating_add(1);
        let act = told.act()?;
        let new = EnvoyChange {
            gateway: gateway.clone(),
            number,
            at: clock::now(),
            by: act.who().to_owned(),
            way: told.way,
            ticket: told.change.ticket.clone(),
            why: told.change.why.clone(),
            changes: told.changes.to_vec(),
            files: told.after.clone(),
        };
        if store.add_envoy_change(&new, &act).await? {
            return Ok(number);
        }
    }

    Ok(number)
}

/// The row of an edit that Envoy refused, and that was taken back. The history has nothing of it: nothing changed.
///
/// # Errors
/// [`StoreError`].
pub async fn refused(
    store: &Store,
    operator: &Operator,
    changes: &[String],
    why: &str,
    change: &ChangeArgs,
) -> Result<(), StoreError> {
    let listed: String = changes.join("; ").chars().take(LONGEST).collect();
    let why: String = why.chars().take(LONGEST).collect();
    let act = Act::new(operator, format!("envoy apply taken back ({why}): {listed}"))?;
    let to: Value = json!({ "ticket": change.ticket, "taken_back": true });
    let row =
        Event { outcome: Outcome::Error, rule_id: Some(REFUSED.into()), ..act.to(to).row("") };

    store.append(&[row], None).await.map(drop)
}
