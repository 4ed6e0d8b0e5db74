//! What is revoked stays so: a publication that was made before a revocation, or by somebody who did not hear of it, would
//! bring back what was withdrawn.

use super::changes;
use crate::args::fleet::Revocable;
use crate::failure::Failure;
use crate::store::manifests::ManifestDocument;
use contract::manifest::{Document, Kind};
use std::collections::{BTreeMap, BTreeSet};

type Revoked = BTreeSet<(Kind, String)>;

/// Compares the documents that would be in force with those that are. Each has to revoke what its audience's revoked; one of
/// a new audience what any revoked; and each what the one of an audience that goes revoked, since its people get another.
///
/// # Errors
/// [`Failure::Refused`] where something would no longer be revoked that `unrevoke` does not name, where it names what is not
/// revoked, and where it is not known what is.
pub fn check<'a>(
    before: &[ManifestDocument],
    after: impl IntoIterator<Item = &'a Document>,
    unrevoke: &[Revocable],
) -> Result<(), Failure> {
    let mut revoked: BTreeMap<&str, Revoked> = BTreeMap::new();
    for stored in before {
        let name = &stored.audience;
        let document = changes::read(stored).ok_or_else(|| {
            Failure::Refused(format!(
                "the document of {name:?} that is in force cannot be read, so nobody knows what it revokes: restore the database from its backup"
            ))
        })?;
        let ids = document.revocations.iter().map(|it| (it.kind, it.id.to_ascii_lowercase()));
        revoked.insert(name, ids.collect());
    }
    let named = |kind: Kind, id: &str| unrevoke.iter().any(|it| it.is(kind, id));
    let is_revoked =
        |it: &&Revocable| revoked.values().flatten().any(|(kind, id)| it.is(*kind, id));
    if let Some(other) = unrevoke.iter().find(|it| !is_revoked(it)) {
        return Err(Failure::Refused(format!(
            "{other} is not revoked: leave --unrevoke {other} out"
        )));
    }
    let after: Vec<&Document> = after.into_iter().collect();
    let mut back: BTreeMap<(Kind, &str), BTreeSet<&str>> = BTreeMap::new();
    for document in &after {
        let is_new = !revoked.contains_key(document.audience.as_str());
        let counts = |name: &str| {
            is_new || name == document.audience || !after.iter().any(|it| it.audience == name)
        };
        for (kind, id) in revoked.iter().filter(|it| counts(it.0)).flat_map(|it| it.1) {
            if !document.revokes(*kind, id) && !named(*kind, id) {
                back.entry((*kind, id)).or_default().insert(&document.audience);
            }
        }
    }
    if back.is_empty() {
        return Ok(());
    }

    Err(Failure::Refused(told(&back)))
}

fn told(back: &BTreeMap<(Kind, &str), BTreeSet<&str>>) -> String {
    let mut all = Vec::new();
    let mut words = Vec::new();
    for ((kind, id), audiences) in back {
        let name = format!("{}/{id}", kind.as_str());
        let audiences: Vec<&str> = audiences.iter().copied().collect();
        all.push(format!("{name} (for {})", audiences.join(", ")));
        words.push(format!("--unrevoke {name}"));
    }

    format!(
        "it would bring back what is revoked: {}. Put that under `revocations` in the catalogue and build it anew; or, if it \
         is to come back, say {}",
        all.join("; "),
        words.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::contents;
    use contract::envelope::enclose;
    use contract::manifest::Revocation;

    fn documents(revoked: [&[&str]; 2]) -> Vec<Document> {
        let all = contents(3).documents.into_values().map(|it| it.says);

        all.zip(revoked)
            .map(|(document, ids)| Document {
                plugins: vec![],
                skills: vec![],
                agents: vec![],
                managed_mcp_servers: vec![],
                revocations: ids
                    .iter()
                    .map(|id| Revocation { kind: Kind::Plugin, id: (*id).into(), reason: None })
                    .collect(),
                ..document
            })
            .collect()
    }

    /// In force: what of everyone's and of finance's is revoked.
    fn stored(revoked: [&[&str]; 2]) -> Vec<ManifestDocument> {
        let mut all = Vec::new();
        for document in documents(revoked) {
            let payload = document.canonical().unwrap();
            all.push(ManifestDocument {
                audience: document.audience,
                sha256: String::new(),
                envelope: serde_json::to_vec(&enclose("", &payload, vec![])).unwrap(),
                marketplace: None,
            });
        }
        all
    }

    fn told(before: &[ManifestDocument], after: &[Document], unrevoke: &[&str]) -> String {
        let unrevoke: Vec<Revocable> = unrevoke.iter().map(|it| it.parse().unwrap()).collect();
        check(before, after, &unrevoke).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn what_is_revoked_comes_back_only_by_name() {
        let before = stored([&["ledger", "notes"], &["ledger", "notes"]]);
        let one = documents([&["NOTES"], &["ledger", "notes"]]);

        let refused = told(&before, &one, &[]);
        assert!(refused.contains("plugin/ledger (for everyone)"), "{refused}");
        assert!(refused.contains("--unrevoke plugin/ledger") && !refused.contains("notes"));
        assert_eq!(told(&before, &one, &["plugin/LEDGER"]), "");
        let other = told(&before, &one, &["skill/ledger", "plugin/ledger"]);
        assert!(other.contains("skill/ledger is not revoked"), "{other}");
        assert!(
            told(&before, &documents([&[], &[]]), &["plugin/notes"]).contains("everyone, finance")
        );
        assert_eq!(told(&before, &documents([&["ledger", "more", "notes"]; 2]), &[]), "");
        assert_eq!(told(&[], &documents([&[], &[]]), &[]), "");
    }

    #[test]
    fn another_name_for_an_audience_brings_nothing_back() {
        let before = stored([&[], &["ledger"]]);
        assert_eq!(told(&before, &documents([&[], &["ledger"]]), &[]), "", "each has its own");

        let mut renamed = documents([&[], &[]]);
        renamed[1].audience = "money".into();
        assert!(told(&before, &renamed, &[]).contains("everyone, money"));
        let alone = &documents([&[], &[]])[..1];
        assert!(told(&before, alone, &[]).contains("for everyone"), "its people get that one");
    }

    #[test]
    fn what_cannot_be_read_may_revoke_anything() {
        let mut before = stored([&[], &[]]);
        before[0].envelope.truncate(9);

        assert!(told(&before, &documents([&[], &[]]), &[]).contains("cannot be read"));
    }
}
