use super::*;
use crate::canonical;
use crate::clients::Choice;
use crate::envelope::seal;
use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_compact::{KeyPair, Seed};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod vectors;

const NOW: u64 = 1_790_000_000;

fn key(seed: u8) -> KeyPair {
    KeyPair::from_seed(Seed::new([seed; 32]))
}

fn pins() -> Vec<PinnedKey> {
    vec![PinnedKey {
        key_id: "security".into(),
        public_key: BASE64_STANDARD.encode(key(7).pk.as_ref()),
    }]
}

fn file(path: &str, text: &str) -> File {
    let bytes = text.len() as u64;
    File { path: path.into(), sha256: sha256(text.as_bytes()), bytes, executable: false }
}

fn plugin(name: &str, files: Vec<File>) -> Plugin {
    Plugin {
        name: name.into(),
        version: "1.0.0".into(),
        installation: Installation::Required,
        archive: Archive { sha256: sha256(name.as_bytes()), bytes: 10 },
        directory_sha256: Plugin::directory_digest(&files).unwrap(),
        files,
    }
}

fn document() -> Document {
    let skill = "---\nname: triage\n---\nSort it.\n";
    let agent = "---\nname: desk\n---\nHelp.\n";
    Document {
        schema: SCHEMA.into(),
        catalogue: "acme".into(),
        audience: "finance".into(),
        version: 7,
        issued_at: NOW,
        expires_at: NOW + 86_400,
        on_expiry: OnExpiry::Keep,
        plugins: vec![plugin(
            "acme",
            vec![
                file(".claude-plugin/plugin.json", "{}"),
                file("agents/desk.md", agent),
                file("skills/triage/SKILL.md", skill),
            ],
        )],
        skills: vec![Skill {
            id: "triage".into(),
            description: "Sorts".into(),
            plugin: "acme".into(),
            instructions: skill.into(),
        }],
        agents: vec![Agent {
            id: "desk".into(),
            description: "Helps".into(),
            plugin: "acme".into(),
            skills: vec!["triage".into()],
            model: "claude-sonnet-5".into(),
            mcp_servers: vec!["tickets".into()],
            instructions: agent.into(),
        }],
        managed_mcp_servers: vec![ManagedServer {
            id: "tickets".into(),
            transport: Transport::Http,
            url: Some("https://gateway.example.com/mcp/tickets".into()),
            command: None,
            args: vec![],
            tool_policy: BTreeMap::from([
                ("*".into(), Choice::Blocked),
                ("search".into(), Choice::Allow),
            ]),
        }],
        revocations: vec![Revocation { kind: Kind::Plugin, id: "leaky".into(), reason: None }],
    }
}

fn signed(document: &Document) -> Vec<u8> {
    let envelope = seal(MANIFEST_TYPE, &document.canonical().unwrap(), "security", &key(7));
    serde_json::to_vec(&envelope).unwrap()
}

fn manifest(document: &Document) -> Manifest {
    open(&signed(document), &pins()).unwrap()
}

/// A fault that a change brings, and none before it.
fn fault(change: impl FnOnce(&mut Document)) -> String {
    let mut document = document();
    assert_eq!(document.check(), []);
    change(&mut document);
    let faults = open(&signed(&document), &pins()).unwrap_err();
    assert_eq!(faults.code(), "faults");
    faults.to_string()
}

#[test]
fn what_is_signed_is_what_is_read() {
    let manifest = manifest(&document());

    assert_eq!(*manifest.document(), document());
    assert_eq!(manifest.key_id(), "security");
    assert_eq!(manifest.sha256(), sha256(&document().canonical().unwrap()));
}

#[test]
fn a_policy_is_no_manifest_and_another_key_signs_nothing() {
    let payload = document().canonical().unwrap();
    let wire = |envelope| serde_json::to_vec(&envelope).unwrap();
    let policy = wire(seal(envelope::POLICY_TYPE, &payload, "security", &key(7)));
    let index = wire(seal(INDEX_TYPE, &payload, "security", &key(7)));
    let foreign = wire(seal(MANIFEST_TYPE, &payload, "security", &key(8)));
    let unknown = wire(seal(MANIFEST_TYPE, &payload, "other", &key(7)));

    for (bytes, code) in [
        (policy, "other_type"),
        (index, "other_type"),
        (foreign, "forged"),
        (unknown, "unknown_key"),
        (b"{}".to_vec(), "malformed"),
    ] {
        assert_eq!(open(&bytes, &pins()).unwrap_err().code(), code);
    }
}

#[test]
fn only_the_canonical_form_is_read() {
    let mut text = document().canonical().unwrap();
    text.insert(1, b' ');
    let loose = seal(MANIFEST_TYPE, &text, "security", &key(7));

    let error = open(&serde_json::to_vec(&loose).unwrap(), &pins()).unwrap_err();

    assert!(error.to_string().contains("canonical"), "{error}");
}

#[test]
fn a_member_that_nobody_knows_is_a_fault() {
    let mut value: Value = serde_json::from_slice(&document().canonical().unwrap()).unwrap();
    value["hooks"] = json!([]);
    let payload = canonical::write(value.to_string().as_bytes()).unwrap();
    let envelope = seal(MANIFEST_TYPE, &payload, "security", &key(7));

    let error = open(&serde_json::to_vec(&envelope).unwrap(), &pins()).unwrap_err();

    assert!(error.to_string().contains("hooks"), "{error}");
}

#[test]
fn every_fault_is_told_with_its_place() {
    let paths = |paths: &[&str]| paths.iter().map(|path| file(path, "")).collect::<Vec<_>>();
    let with = |list: &[&str]| plugin("zeta", paths(list));
    for (told, place) in [
        (fault(|it| it.schema = "x".into()), "schema"),
        (fault(|it| it.catalogue = "../x".into()), "catalogue"),
        (fault(|it| it.audience = String::new()), "audience"),
        (fault(|it| it.version = 0), "version"),
        (fault(|it| it.expires_at = it.issued_at), "expires_at"),
        (fault(|it| it.plugins.push(with(&["../x"]))), "plugins[1].files[0].path"),
        (fault(|it| it.plugins.push(with(&["/x"]))), "plugins[1].files[0].path"),
        (fault(|it| it.plugins.push(with(&["a/nul.txt"]))), "plugins[1].files[0].path"),
        (fault(|it| it.plugins.push(with(&["A.md", "a.md"]))), "another spelling"),
        (fault(|it| it.plugins.push(with(&["A/x", "a/y"]))), "another spelling"),
        (fault(|it| it.plugins.push(with(&["a", "a/b"]))), "a file and a folder"),
        (fault(|it| it.plugins.push(with(&["b", "a"]))), "sorted"),
        (fault(|it| it.plugins.push(with(&[]))), "plugins[1].files"),
        (fault(|it| it.plugins.push(plugin("ACME", paths(&["x"])))), "case does not count"),
        (fault(|it| it.plugins.push(plugin("con", paths(&["x"])))), "device"),
        (fault(|it| it.plugins[0].directory_sha256.clear()), "directory_sha256"),
        (fault(|it| it.plugins[0].archive.sha256 = "AB".into()), "archive.sha256"),
        (fault(|it| it.plugins[0].files[0].bytes = LARGEST_PLUGIN), "over 209715200"),
        (fault(|it| it.skills[0].instructions.push('x')), "skills[0].instructions"),
        (fault(|it| it.skills[0].plugin = "other".into()), "skills[0].plugin"),
        (fault(|it| it.agents[0].skills[0] = "other".into()), "agents[0].skills"),
        (fault(|it| it.agents[0].mcp_servers[0] = "x".into()), "agents[0].mcp_servers"),
        (fault(|it| it.managed_mcp_servers[0].url = None), "managed_mcp_servers[0]"),
        (
            fault(|it| it.managed_mcp_servers[0].url = Some("http://x".into())),
            "managed_mcp_servers[0].url",
        ),
        (fault(|it| it.revocations[0].id = "Acme".into()), "revoked, and listed too"),
    ] {
        assert!(told.contains(place), "{place}: {told}");
    }
}

#[test]
fn names_that_mean_something_else_on_some_laptop_are_refused() {
    for bad in [
        "",
        ".",
        "..",
        "/a",
        "a//b",
        "a/",
        "a/../b",
        "./a",
        "a\\b",
        "C:/x",
        "a:b",
        "a*",
        "a?",
        "a\"",
        "a<",
        "a>",
        "a|",
        "a.",
        "a ",
        " a",
        "a./b",
        "CON",
        "con.txt",
        "x/AUX",
        "nul .txt",
        "COM1",
        "lpt9.md",
        "conin$",
        "a\u{e9}",
        "a\n",
        "a\0b",
        "a\u{7f}",
        "\u{202e}a",
    ] {
        assert!(path_fault(bad).is_some(), "{bad:?}");
    }
    for good in [
        "a",
        "a b.md",
        ".mcp.json",
        "COM",
        "com10",
        "console",
        "x/y-z_1.txt",
        "a..b",
        "hooks/run.sh",
    ] {
        assert_eq!(path_fault(good), None, "{good:?}");
    }
    for bad in ["", ".x", "-x", "a b", "a/b", "org", "Unknown", "aux", "a."] {
        assert!(name_fault(bad).is_some(), "{bad:?}");
    }
    assert_eq!(name_fault("deploy-review_2.0"), None);
    assert!(name_fault(&"x".repeat(65)).is_some() && path_fault(&"x".repeat(161)).is_some());
}

#[test]
fn a_laptop_takes_what_is_newer_and_nothing_else() {
    let at = |version, audience: &str, issued_at| {
        let document = Document {
            version,
            audience: audience.into(),
            issued_at,
            expires_at: issued_at + 100,
            ..document()
        };
        manifest(&document)
    };
    let now = at(7, "finance", NOW);
    let known = Known::of(&now);
    let asks = |it: &Manifest, pin, time| it.follows(Some(&known), pin, time);
    let code = |it: Result<_, Rejected>| it.unwrap_err().code();

    assert_eq!(now.follows(None, None, NOW), Ok(Freshness::New));
    assert_eq!(asks(&now, None, NOW), Ok(Freshness::Same));
    assert_eq!(asks(&now, Some("finance"), NOW + 99), Ok(Freshness::Same));
    assert_eq!(asks(&now, None, NOW + 100), Ok(Freshness::Stale));
    assert_eq!(asks(&at(8, "finance", NOW + 5), None, NOW + 5), Ok(Freshness::New));
    assert_eq!(asks(&at(7, "platform", NOW), None, NOW), Ok(Freshness::New), "they moved");

    assert_eq!(code(asks(&at(6, "finance", NOW), None, NOW)), "older");
    assert_eq!(code(asks(&at(7, "finance", NOW + 1), None, NOW + 1)), "differs");
    assert_eq!(code(asks(&at(8, "platform", NOW), Some("finance"), NOW)), "other_audience");
    assert_eq!(code(asks(&at(8, "finance", NOW), None, NOW + 100)), "expired");
    assert_eq!(code(now.follows(None, None, NOW + 100)), "expired");
    assert_eq!(code(asks(&at(8, "finance", NOW + 301), None, NOW)), "from_the_future");
    // The clock was set back: what was known says that it is later.
    assert_eq!(code(asks(&at(8, "finance", NOW - 100), None, NOW - 50)), "expired");
    let other = manifest(&Document { catalogue: "evil".into(), version: 9, ..document() });
    assert_eq!(code(asks(&other, None, NOW)), "other_catalogue");
}

#[test]
fn the_first_audience_that_fits_is_the_callers() {
    use crate::policy::{Subject, Who};
    let audience = |name: &str, groups: &[&str]| Audience {
        name: name.into(),
        who: Who { groups: groups.iter().map(ToString::to_string).collect(), ..Who::default() },
        unless: None,
        document_sha256: sha256(name.as_bytes()),
        marketplace_sha256: None,
    };
    let index = Index {
        schema: INDEX_SCHEMA.into(),
        catalogue: "acme".into(),
        version: 7,
        issued_at: NOW,
        expires_at: NOW + 1,
        audiences: vec![audience("finance", &["finance"]), audience("everyone", &[])],
    };
    let envelope = seal(INDEX_TYPE, &index.canonical().unwrap(), "security", &key(7));
    let read = open_index(&serde_json::to_vec(&envelope).unwrap(), &pins()).unwrap();
    assert_eq!(read, index);

    let groups = ["finance".to_owned()];
    let one = Subject { groups: &groups, ..Subject::default() };
    let name = |subject: &Subject<'_>| read.audience(subject).map(|it| it.name.as_str());
    assert_eq!(name(&one), Some("finance"));
    assert_eq!(name(&Subject::default()), Some("everyone"));
    let twice = Index { audiences: vec![audience("a", &[]), audience("A", &[])], ..index };
    assert!(Index::parse(&twice.canonical().unwrap()).is_err());
}

proptest! {
    /// Whatever path passes stays below its folder, however it is joined.
    #[test]
    fn a_path_without_a_fault_stays_inside(path in "[a-zA-Z0-9./\\\\: ~-]{0,24}") {
        if path_fault(&path).is_none() {
            let joined = std::path::Path::new("/mount/plugin").join(&path);
            let plain = joined.components().all(|part| {
                matches!(part, std::path::Component::Normal(_) | std::path::Component::RootDir)
            });
            prop_assert!(plain && joined.starts_with("/mount/plugin"));
        }
    }

    /// No byte can be changed in what was signed.
    #[test]
    fn a_changed_envelope_is_not_believed(at in 0_usize..4_000, flip in 1_u8..=255) {
        let before = signed(&document());
        let mut bytes = before.clone();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(manifest) = open(&bytes, &pins()) {
            prop_assert_eq!(manifest.document(), &document());
        }
    }
}
