use super::archive::Packed;
use super::generated::{self, Bundle};
use super::marketplace::Marketplace;
use super::publication::{Archived, Contents, Envelopes, Publication, Written};
use super::signing::{self, Key};
use super::{ManifestFailure, revise};
use crate::policy::signer;
use contract::envelope::PinnedKey;
use contract::manifest::{
    Agent, Audience, Document, INDEX_SCHEMA, Index, Installation, Kind, ManagedServer, OnExpiry,
    Revocation, SCHEMA, Skill, Transport, sha256,
};
use contract::policy::Who;
use ed25519_compact::{KeyPair, Seed};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

mod revising;

const AT: u64 = 1_790_000_000;

pub(super) fn key(seed: u8) -> Key {
    Key::Here { key_id: format!("key-{seed}"), pair: KeyPair::from_seed(Seed::new([seed; 32])) }
}

fn pins(seeds: &[u8]) -> Vec<PinnedKey> {
    seeds.iter().map(|seed| key(*seed).public()).collect()
}

fn skill(id: &str) -> Skill {
    let instructions = format!("---\nname: {id}\ndescription: It {id}s\n---\n\nDo it.\n");
    Skill {
        id: id.into(),
        description: format!("It {id}s"),
        plugin: "acme-skills".into(),
        instructions,
    }
}

fn agent(id: &str, skill: &str, server: &str) -> Agent {
    Agent {
        id: id.into(),
        description: "Helps".into(),
        plugin: "acme-skills".into(),
        skills: vec![skill.into()],
        model: "claude-sonnet-5".into(),
        mcp_servers: vec![server.into()],
        instructions: format!("---\nname: {id}\n---\n\nHelp.\n"),
    }
}

fn server(id: &str) -> ManagedServer {
    ManagedServer {
        id: id.into(),
        transport: Transport::Http,
        url: Some(format!("https://gateway.example.com/mcp/{id}")),
        command: None,
        args: vec![],
        tool_policy: BTreeMap::new(),
    }
}

/// Two audiences: finance has the plugin `ledger`, a skill more and an agent; everyone has the skill `sort`.
pub(super) fn contents(version: u64) -> Contents {
    let mut archives = BTreeMap::new();
    let mut add = |bundle: Bundle| {
        archives.insert(bundle.plugin.archive.sha256.clone(), Archived::Memory(bundle.archive));
        bundle.plugin
    };
    let of = ("acme", "acme-skills", Installation::Required);
    let skills = [skill("audit"), skill("sort")];
    let agents = [agent("clerk", "audit", "books")];
    let both = generated::bundle(of, skills.iter(), agents.iter()).unwrap().unwrap();
    let one = generated::bundle(of, skills[1..].iter(), [].iter()).unwrap().unwrap();
    let files = vec![Packed::text(".claude-plugin/plugin.json", "{\"name\":\"ledger\"}")];
    let ledger = Bundle::new("ledger", "2.0.0", Installation::Available, files).unwrap();
    let both = add(both);
    let base = Document {
        schema: SCHEMA.into(),
        catalogue: "acme".into(),
        audience: "everyone".into(),
        version,
        issued_at: AT,
        expires_at: AT + 14 * 86_400,
        on_expiry: OnExpiry::Keep,
        plugins: vec![add(one)],
        skills: vec![skill("sort")],
        agents: vec![],
        managed_mcp_servers: vec![server("tickets")],
        revocations: vec![],
    };
    let finance = Document {
        audience: "finance".into(),
        plugins: vec![both, add(ledger)],
        skills: skills.to_vec(),
        agents: agents.to_vec(),
        managed_mcp_servers: vec![server("books"), server("tickets")],
        ..base.clone()
    };
    gathered(vec![finance, base], archives)
}

fn gathered(documents: Vec<Document>, archives: BTreeMap<String, Archived>) -> Contents {
    let mut marketplaces = BTreeMap::new();
    let (version, issued_at, expires_at) =
        (documents[0].version, documents[0].issued_at, documents[0].expires_at);
    let mut audiences = Vec::new();
    let mut written = BTreeMap::new();
    for document in documents {
        let name = document.audience.clone();
        let offered =
            Marketplace::of(&document, ("https://gw.example.com", "Acme"), &BTreeMap::new());
        let offered = offered.canonical().unwrap();
        let document = Written::document(document).unwrap();
        let groups = if name == "finance" { vec!["finance".into()] } else { vec![] };
        audiences.push(Audience {
            name: name.clone(),
            who: Who { groups, ..Who::default() },
            unless: None,
            document_sha256: document.sha256(),
            marketplace_sha256: Some(sha256(&offered)),
        });
        marketplaces.insert(name.clone(), offered);
        written.insert(name, document);
    }
    let index = Written::index(Index {
        schema: INDEX_SCHEMA.into(),
        catalogue: "acme".into(),
        version,
        issued_at,
        expires_at,
        audiences,
    })
    .unwrap();
    Contents { index, documents: written, marketplaces, archives }
}

async fn signed(place: &Path, seed: u8) -> PathBuf {
    let dir = place.join("publication");
    signing::publication(contents(3), &key(seed)).await.unwrap().write(&dir).unwrap();
    dir
}

#[tokio::test]
async fn what_is_written_and_signed_is_what_is_read() {
    let place = tempfile::tempdir().unwrap();
    let dir = signed(place.path(), 1).await;

    let read = Publication::read(&dir, &pins(&[1])).unwrap();

    assert_eq!(read.index().version, 3);
    assert_eq!(read.contents().documents, contents(3).documents);
    assert_eq!(read.key_ids().iter().collect::<Vec<_>>(), ["key-1"]);
    for (sha, archived) in &read.contents().archives {
        assert_eq!(sha256(&archived.bytes().unwrap()), *sha);
    }
    assert_eq!(Contents::read(&dir).unwrap(), *read.contents());
    let again = place.path().join("again");
    read.write(&again).unwrap();
    assert_eq!(Publication::read(&again, &pins(&[1])).unwrap().envelopes(), read.envelopes());
    read.write(&dir).unwrap();
    assert!(Publication::read(&dir, &pins(&[1])).is_ok(), "over itself, archives and all");
}

#[tokio::test]
async fn a_publication_is_believed_whole_or_not_at_all() {
    let place = tempfile::tempdir().unwrap();
    let dir = signed(place.path(), 1).await;
    let read = || Publication::read(&dir, &pins(&[1]));
    let archive = fs::read_dir(dir.join("archives")).unwrap().next().unwrap().unwrap().path();
    for file in [
        "index.json",
        "documents/finance.json",
        "marketplaces/everyone.json",
        "signed/index.json",
        "signed/documents/everyone.json",
        archive.to_str().unwrap(),
    ] {
        let path = dir.join(file);
        let before = fs::read(&path).unwrap();
        let mut bytes = before.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let told = read().unwrap_err().to_string();
        let name = Path::new(file).file_name().unwrap().to_str().unwrap();
        assert!(told.contains(name), "{file}: {told}");
        fs::remove_file(&path).unwrap();
        assert!(read().is_err(), "{file} is missing");
        fs::write(&path, &before).unwrap();
        read().unwrap();
    }
    // An audience's document in another's place: each is well signed.
    let documents = dir.join("signed/documents");
    for documents in [documents, dir.join("documents")] {
        fs::copy(documents.join("everyone.json"), documents.join("finance.json")).unwrap();
    }
    assert!(read().unwrap_err().to_string().contains("digest"));

    let foreign = Publication::read(&dir, &pins(&[2])).unwrap_err().to_string();
    assert!(foreign.contains("not signed by a pinned key"), "{foreign}");
}

#[tokio::test]
async fn what_fits_by_digest_still_has_to_fit_by_sense() {
    let other = |change: &dyn Fn(&mut Document)| {
        let Contents { documents, archives, .. } = contents(3);
        let mut list: Vec<_> = documents.into_values().map(|it| it.says).collect();
        change(&mut list[0]);
        gathered(list.into_iter().rev().collect(), archives)
    };
    for (contents, problem) in [
        (other(&|it| it.version = 4), "another catalogue, version or time"),
        (other(&|it| it.plugins[0].files[0].executable = true), "another mode"),
    ] {
        let error = signing::publication(contents, &key(1)).await.unwrap_err().to_string();
        assert!(error.contains(problem) || error.contains("directory_sha256"), "{error}");
    }
}

#[tokio::test]
async fn two_keys_sign_while_one_takes_over_from_the_other() {
    let place = tempfile::tempdir().unwrap();
    let dir = signed(place.path(), 1).await;
    let contents = Contents::read(&dir).unwrap();
    let before = Envelopes::lying_in(&dir, &contents).unwrap().unwrap();

    let both = signing::envelopes(&contents, &key(2), Some(&before)).await.unwrap();
    both.write(&dir).unwrap();

    for seed in [1, 2] {
        let read = Publication::read(&dir, &pins(&[seed])).unwrap();
        assert_eq!(read.key_ids().iter().collect::<Vec<_>>(), [&format!("key-{seed}")]);
    }
    let once = signing::envelopes(&contents, &key(2), Some(&both)).await.unwrap();
    assert_eq!(once, both, "whoever signs twice has signed once");
    let other = super::tests::contents(4);
    let refused = signing::envelopes(&other, &key(2), Some(&before)).await.unwrap_err();
    assert!(refused.to_string().contains("--add"), "{refused}");
}

#[tokio::test]
async fn a_signer_is_asked_once_for_each_document_and_not_believed() {
    let place = tempfile::tempdir().unwrap();
    let count = place.path().join("count");
    let command =
        format!("cat >/dev/null; echo x >>'{}'; echo {}", count.display(), "00".repeat(64));
    let key = Key::Command { command, public: key(1).public() };

    let error = signing::publication(contents(3), &key).await.unwrap_err();

    assert!(matches!(error, ManifestFailure::Signer(signer::SignerError::Other { .. })), "{error}");
    assert_eq!(fs::read_to_string(&count).unwrap().lines().count(), 1, "the first fails");
}

#[test]
fn a_folder_of_something_else_is_not_written_over() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("thesis.txt"), "five years").unwrap();

    let error = contents(3).write(place.path()).unwrap_err().to_string();

    assert!(error.contains("thesis.txt"), "{error}");
    assert!(place.path().join("thesis.txt").exists());
}
